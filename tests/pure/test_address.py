"""What names an engine means what it means to the docker client and to docker-autoheal, or is refused in words."""

from collections.abc import Mapping

import pytest

from supervisor.engine.address import Address, AddressError, Tls, parse, resolve

OWN = Tls("/c/ca.pem", "/c/cert.pem", "/c/key.pem")
AUTOHEALS = Tls("/certs/ca.pem", "/certs/client-cert.pem", "/certs/client-key.pem")
VERIFY = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"}
LOCAL = Address(path="/var/run/docker.sock")


@pytest.mark.parametrize(
    ("named", "environ", "address"),
    [
        (None, {}, LOCAL),
        (None, {"DOCKER_HOST": "", "DOCKER_SOCK": " "}, LOCAL),
        ("unix:///x", {"DOCKER_HOST": "unix:///y", "DOCKER_SOCK": "/z"}, Address(path="/x")),
        (None, {"DOCKER_HOST": "unix:///y", "DOCKER_SOCK": "/z"}, Address(path="/z")),
        (None, {"DOCKER_HOST": "unix:///y"}, Address(path="/y")),
        (None, {"DOCKER_HOST": " unix:///y\n"}, Address(path="/y")),
        (None, {"DOCKER_HOST": "unix://"}, LOCAL),
        (None, {"DOCKER_HOST": "tcp://h:1"}, Address(host="h", port=1)),
        (None, {"DOCKER_HOST": "tcp://h"}, Address(host="h", port=2375)),
        (None, {"DOCKER_HOST": "h:1"}, Address(host="h", port=1)),
        (None, {"DOCKER_HOST": "tcp://:1"}, Address(host="localhost", port=1)),
        (None, {"DOCKER_HOST": "tcp://"}, Address(host="localhost", port=2375)),
        (None, {"DOCKER_HOST": "tcp://[::1]:1"}, Address(host="::1", port=1)),
        (None, {"DOCKER_HOST": "tcp://h:1/"}, Address(host="h", port=1)),
        (None, {"DOCKER_HOST": "TCP://h:1/a/b/"}, Address(host="h", port=1, base="/a/b")),
        (None, {"DOCKER_HOST": "tcp://h", **VERIFY}, Address(host="h", port=2376, tls=OWN)),
        ("tcp://h", VERIFY, Address(host="h", port=2376, tls=OWN)),
        (None, VERIFY, Address(host="localhost", port=2376, tls=OWN)),
        (
            None,
            {"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS": "1", "DOCKER_CERT_PATH": "/c"},
            Address(host="h", port=1, tls=Tls("/c/ca.pem", "/c/cert.pem", "/c/key.pem", verify=False)),
        ),
        (
            None,
            {"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "0", "HOME": "/h"},
            Address(host="h", port=1, tls=Tls("/h/.docker/ca.pem", "/h/.docker/cert.pem", "/h/.docker/key.pem")),
        ),
        (None, {"DOCKER_HOST": "tcp://h:1", "DOCKER_CERT_PATH": "/c"}, Address(host="h", port=1)),
        (None, {"DOCKER_HOST": "unix:///y", **VERIFY}, Address(path="/y")),
        (None, {"DOCKER_SOCK": "tcps://h:1"}, Address(host="h", port=1, tls=AUTOHEALS)),
        (None, {"DOCKER_SOCK": "tcp://h:1"}, Address(host="h", port=1)),
        (None, {"DOCKER_SOCK": "tcp://h:1", **VERIFY}, Address(host="h", port=1, tls=OWN)),
    ],
    ids=str,
)
def test_the_engine_that_is_meant(named: str | None, environ: Mapping[str, str], address: Address) -> None:
    assert resolve(named, environ).address == address
    assert parse(address.url, address.tls) == address


def test_autoheals_certificates_are_used_where_they_are_mounted() -> None:
    """There ``tcp://`` meant TLS, and ``/certs`` is where its files are."""
    mounted = {"/certs/ca.pem"}.__contains__
    assert resolve(None, {"DOCKER_SOCK": "tcp://h:1"}, mounted).address.tls == AUTOHEALS
    assert resolve(None, {"DOCKER_HOST": "tcp://h:1"}, mounted).address.tls is None


@pytest.mark.parametrize(
    ("there", "path"),
    [
        ({"/var/run/docker.sock"}, "/var/run/docker.sock"),
        ({"/var/run/docker.sock", "/run/user/7/docker.sock"}, "/var/run/docker.sock"),
        ({"/run/user/7/docker.sock"}, "/run/user/7/docker.sock"),
        (set(), "/var/run/docker.sock"),
    ],
)
def test_a_users_own_engine_is_found(there: set[str], path: str) -> None:
    """A rootless engine's socket is in the user's runtime directory."""
    assert resolve(None, {"XDG_RUNTIME_DIR": "/run/user/7"}, there.__contains__).address.path == path
    assert resolve(None, {}, there.__contains__).address.path == "/var/run/docker.sock"
    assert resolve(None, {"XDG_RUNTIME_DIR": ""}, {"/docker.sock"}.__contains__).address.path == "/var/run/docker.sock"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssh://u@h", "--engine: ssh:// is not supported: forward its socket"),
        ("http://h:1", "name it as tcp://host:port"),
        ("https://h:1", "DOCKER_TLS_VERIFY=1"),
        ("npipe:////./pipe/docker_engine", "engines on Linux"),
        ("fd://", "name its path"),
        ("ftp://h", "ftp:// is not supported"),
        ("unix://x", "must be absolute"),
        ("var/run/docker.sock", "must be absolute"),
        ("unix:///" + "x" * 107, "107 bytes"),
        ("unix:///a\0b", "printable"),
        ("unix:///\udcff", "printable"),
        ("tcp://h:0", "no address"),
        ("tcp://h:65536", "no address"),
        ("tcp://h:" + "9" * 5000, "no address"),
        ("tcp://h:x", "no address"),
        ("tcp://::1", "no address"),
        ("tcp://h:1?x", "no address"),
        ("tcp://h h:1", "no address"),
        ("tcp://me:secret@h:1", "a user is not supported"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(AddressError) as error:
        resolve(text, {})
    assert words in str(error.value)
    assert "secret" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("named", "environ", "unused"),
    [
        (None, {}, []),
        (None, {"DOCKER_HOST": "tcp://h", **VERIFY, "DOCKER_CONTEXT": "default"}, []),
        ("unix:///x", {"DOCKER_HOST": "unix:///y", "DOCKER_SOCK": "/z"}, ["DOCKER_SOCK", "DOCKER_HOST"]),
        (None, {"DOCKER_HOST": "unix:///y", "DOCKER_SOCK": "/z"}, ["DOCKER_HOST"]),
        (None, {"DOCKER_CONTEXT": "far", "DOCKER_API_VERSION": "1.41"}, ["DOCKER_CONTEXT", "DOCKER_API_VERSION"]),
        (None, {"DOCKER_HOST": "unix:///y", **VERIFY}, ["DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"]),
        (None, {"DOCKER_HOST": "tcp://h", "DOCKER_CERT_PATH": "/c"}, ["DOCKER_CERT_PATH"]),
    ],
)
def test_a_variable_that_means_nothing_is_named(
    named: str | None, environ: Mapping[str, str], unused: list[str]
) -> None:
    found = resolve(named, environ).unused
    assert [name for name, _ in found] == unused
    assert all(reason for _, reason in found)
