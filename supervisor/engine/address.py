"""Where an engine is and how it is reached, by what is said and what the environment says. Pure, and light.

An address means what it means to the docker client: ``unix:///path``, or ``tcp://host:port``, with TLS by
``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH``. docker-autoheal's ``DOCKER_SOCK`` is a path, or means TLS with the files
in /certs. What is said and cannot be followed is an error with the way out, or a variable that is named as unused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from supervisor.state.paths import DOCKER_URL
from units.bounded import escaped, shortened
from units.records import dataclass

LONGEST_PATH = 107
"""Bytes of a unix socket's path."""
PLAIN_PORT, TLS_PORT = 2375, 2376
"""Of an address without one."""
AUTOHEAL_CERTS = "/certs"
_TCP = re.compile(
    r"(?P<host>\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[\w.-]*)(?::(?P<port>[0-9]{1,5}))?(?P<base>(?:/[\w.~%-]+)*)/?",
    re.ASCII | re.IGNORECASE,
)
_INSTEAD: Final = {
    "ssh": "forward its socket (ssh -nNT -L /run/far.sock:/var/run/docker.sock user@host), and name unix:///run/far.sock",
    "http": "name it as tcp://host:port",
    "https": "name it as tcp://host:port, with DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
    "npipe": "only engines on Linux are supported",
    "fd": "it is a socket that systemd opens for dockerd; name its path: unix:///path",
}


class AddressError(ValueError):
    """It is no address of an engine that can be reached; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files. ``cert`` and ``key`` may be missing together: then the engine may ask for none."""

    ca: str
    cert: str
    key: str
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket's ``path``, or ``host`` and ``port``; there ``base`` comes before the path of each request."""

    path: str = ""
    host: str = ""
    port: int = 0
    base: str = ""
    tls: Tls | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}" if self.path else f"tcp://{self.place}{self.base}"

    @property
    def place(self) -> str:
        """For messages: the path, or host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Found:
    """An address, and each variable that is set and means nothing, with the reason."""

    address: Address
    unused: tuple[tuple[str, str], ...] = ()


def resolve(named: str | None, environ: Mapping[str, str], usable: Callable[[str], bool] = lambda _: False) -> Found:
    """The engine that is meant.

    Args:
        named: by ``--engine``; else the environment says it, else it is on this host.
        environ: variables of the docker client and of docker-autoheal.
        usable: whether there is a file at a path that we may use.

    Raises AddressError.
    """
    source, text = _source(named, environ)
    tls = _client_tls(environ)
    if source == "DOCKER_SOCK" and tls is None:
        tls = _autoheal_tls(text, usable)
    if not source:
        text = f"tcp://localhost:{TLS_PORT}" if tls is not None else _local(environ, usable)
    try:
        address = parse(text, tls)
    except AddressError as error:
        raise AddressError(f"{source}: {error}") from None
    return Found(address, tuple(_unused(source, address, environ)))


def parse(text: str, tls: Tls | None = None) -> Address:
    """An address alone. ``tls`` counts for TCP only. Raises AddressError."""
    kind, separator, rest = text.strip().partition("://")
    if not separator:  # As the client does; a path is docker-autoheal's way.
        kind, rest = ("unix" if "/" in kind else "tcp"), kind
    match kind.lower():
        case "unix":
            return _unix(rest)
        case "tcps":  # docker-autoheal's word for TLS.
            return _tcp(rest, tls or Tls(*_autoheal_files()))
        case "tcp":
            return _tcp(rest, tls)
        case other:
            instead = _INSTEAD.get(other, "name it as unix:///path or tcp://host:port")
            raise AddressError(f"{_shown(other)}:// is not supported: {instead}")


def _source(named: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Who names the engine, and what they say; empty where nobody does."""
    said = {"--engine": named, **{name: environ.get(name) for name in ("DOCKER_SOCK", "DOCKER_HOST")}}
    return next(((name, text) for name, text in said.items() if text and text.strip()), ("", ""))


def _local(environ: Mapping[str, str], usable: Callable[[str], bool]) -> str:
    """A user's own engine (rootless) has its socket in the user's runtime directory."""
    own = f"{environ.get('XDG_RUNTIME_DIR', '')}/docker.sock"
    theirs = not usable(DOCKER_URL.removeprefix("unix://")) and len(own) > len("/docker.sock") and usable(own)
    return f"unix://{own}" if theirs else DOCKER_URL


def _client_tls(environ: Mapping[str, str]) -> Tls | None:
    """The client's own rule: any text switches TLS on, also ``0``."""
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not environ.get("DOCKER_TLS"):
        return None
    home = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME') or '/root'}/.docker"
    place = environ.get("DOCKER_CERT_PATH") or home
    return Tls(f"{place}/ca.pem", f"{place}/cert.pem", f"{place}/key.pem", verify)


def _autoheal_tls(text: str, usable: Callable[[str], bool]) -> Tls | None:
    files = _autoheal_files()
    return Tls(*files) if text.strip().startswith("tcp://") and usable(files[0]) else None


def _autoheal_files() -> tuple[str, str, str]:
    return (f"{AUTOHEAL_CERTS}/ca.pem", f"{AUTOHEAL_CERTS}/client-cert.pem", f"{AUTOHEAL_CERTS}/client-key.pem")


def _unix(path: str) -> Address:
    path = path or DOCKER_URL.removeprefix("unix://")
    if not path.startswith("/"):
        raise AddressError(f"unix://{_shown(path)}: a socket's path must be absolute: unix:///path")
    if not path.isprintable() or len(path.encode()) > LONGEST_PATH:
        raise AddressError(f"unix://{_shown(path)}: a socket's path has {LONGEST_PATH} bytes at most, all printable")
    return Address(path=path)


def _tcp(rest: str, tls: Tls | None) -> Address:
    if "@" in rest:  # It may be a password, so it is not repeated.
        raise AddressError("tcp://…@…: a user is not supported: a client shows who it is by its certificate")
    found = _TCP.fullmatch(rest)
    port = int((found and found["port"]) or (PLAIN_PORT if tls is None else TLS_PORT))
    if found is None or not 0 < port < 65536:
        raise AddressError(f"{_shown(rest)}: no address of an engine: name it as unix:///path or tcp://host:port")
    return Address(host=found["host"].strip("[]") or "localhost", port=port, base=found["base"], tls=tls)


def _unused(source: str, address: Address, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Variables that somebody has set in vain."""
    sources = ("--engine", "DOCKER_SOCK", "DOCKER_HOST")
    weaker = sources[sources.index(source) + 1 :] if source else ()
    why = dict.fromkeys(weaker, f"{source} names the engine")
    context = environ.get("DOCKER_CONTEXT")
    if context and context != "default":
        why["DOCKER_CONTEXT"] = "contexts are not read: name the engine with DOCKER_HOST or --engine"
    why["DOCKER_API_VERSION"] = "the version is chosen at each connection"
    tls = ("DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH")
    if address.path:
        why |= dict.fromkeys(tls, f"{address.url} is a unix socket, which has no TLS")
    elif address.tls is None:
        why["DOCKER_CERT_PATH"] = "without DOCKER_TLS_VERIFY=1 there is no TLS"
    yield from ((name, reason) for name, reason in why.items() if environ.get(name))


def _shown(text: str) -> str:
    return escaped(shortened(text, 128))
