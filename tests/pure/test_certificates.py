"""Certificates by what a handshake makes of them, not by what they say."""

import datetime as dt
import ssl
from pathlib import Path

import pytest

from supervisor import certificates as tls


def shake(directory: Path, host: str, *, client: bool) -> None:
    """A whole handshake in memory, as dockerd and the docker client would have it. Raises ssl.SSLError."""
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(directory / tls.SERVER, directory / tls.SERVER_KEY)
    there.load_verify_locations(directory / tls.CA)
    there.verify_mode = ssl.CERT_REQUIRED
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    here.load_verify_locations(directory / tls.CA)
    if client:
        here.load_cert_chain(directory / "client" / tls.CLIENT, directory / "client" / tls.CLIENT_KEY)
    out, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        here.wrap_bio(back, out, server_hostname=host),
        there.wrap_bio(out, back, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        end.write(b"hello")
    for end in ends:
        end.read()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    tls.server_in(tmp_path, ["host.example", "10.0.0.7"])
    tls.give_client(tmp_path / "client", tls.authority_in(tmp_path))
    return tmp_path


@pytest.mark.parametrize("host", ["host.example", "10.0.0.7", "localhost", "127.0.0.1"])
def test_a_client_with_a_certificate_gets_in(kept: Path, host: str) -> None:
    """Under each name that was asked for, and from the host itself."""
    shake(kept, host, client=True)


def test_who_has_none_or_asks_another_host_does_not(kept: Path) -> None:
    """The server turns the one away, the client the other."""
    with pytest.raises(ssl.SSLError):
        shake(kept, "localhost", client=False)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(kept, "other.example", client=True)


def test_keys_are_their_owner_s_alone_and_the_authority_stays(kept: Path) -> None:
    """A second call makes no other authority, and no other server certificate unless it has to."""
    modes = {path.name: path.stat().st_mode & 0o777 for path in kept.glob("*.pem")}
    assert modes == {tls.CA: 0o644, tls.CA_KEY: 0o600, tls.SERVER: 0o644, tls.SERVER_KEY: 0o600}
    authority, server = tls.authority_in(kept), tls.server_in(kept, ["host.example"])
    assert tls.authority_in(kept) == authority
    assert tls.server_in(kept) == server
    more = tls.server_in(kept, ["new.example"])
    assert more != server
    assert not tls.check_pair(more, authority.certificate, what="x", hostnames=["new.example", "host.example"])
    assert tls.server_in(kept, force=True) != more


def test_what_cannot_be_used_is_named() -> None:
    """The wrong key, the wrong authority, a wrong time, and what is no PEM at all."""
    authority, other = tls.make_authority(), tls.make_authority()
    one, two = (tls.make_leaf(authority, server=True) for _ in range(2))

    def told(pair: tls.Pair, by: tls.Pair = authority, now: dt.datetime | None = None) -> str:
        return "; ".join(tls.check_pair(pair, by.certificate, what="rancher.docker.server", now=now))

    assert told(one) == ""
    assert "rancher.docker.server_key is not the key of" in told(tls.Pair(one.certificate, two.key))
    assert "was not signed by the authority" in told(one, other)
    assert "only: make a new one" in told(one, now=dt.datetime.now(dt.UTC) + dt.timedelta(days=4 * 365))
    assert "rancher.docker.server_cert is no PEM certificate" in told(tls.Pair(b"nonsense", one.key))
    assert "rancher.docker.server_key is no PEM key" in told(tls.Pair(one.certificate, b"nonsense"))
    with pytest.raises(tls.CertificateError, match="server_key is missing"):
        tls.configured({"ca_cert": "x", "server_cert": "y"})


def test_half_an_authority_is_never_completed(tmp_path: Path) -> None:
    """A lost key is a person's to find again: a new authority would lock out all clients."""
    tls.authority_in(tmp_path)
    (tmp_path / tls.CA_KEY).unlink()
    with pytest.raises(tls.CertificateError, match="without its other half"):
        tls.authority_in(tmp_path)
