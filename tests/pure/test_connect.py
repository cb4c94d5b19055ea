"""An engine is reached over a socket, over TCP and over TLS alike; why one is not is said in words."""

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization

from supervisor.cli.doctor.engine_facts import engine_facts
from supervisor.dockerd.tls import certificates
from supervisor.dockerd.tls.certificates import Pair, Purpose
from supervisor.engine.address import Address, AddressError, Tls, resolve
from supervisor.engine.connect import trust
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError, EngineMessage
from supervisor.http.reach import Reach
from tests.docker_29 import FakeDocker
from units.labels import LABEL_UNIT
from units.spec import ContainerId

NOW = datetime.now(UTC)
CA, OTHER_CA = certificates.make_ca(NOW), certificates.make_ca(NOW)
SERVER = certificates.make_leaf(CA, Purpose.SERVER, ("localhost",), NOW)
CLIENT = certificates.make_leaf(CA, Purpose.CLIENT, (), NOW)
STRANGER = certificates.make_leaf(OTHER_CA, Purpose.CLIENT, (), NOW)
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@dataclass
class Certs:
    """What an operator mounts."""

    place: Path

    def write(self, ca: str, client: Pair | None) -> Mapping[str, str]:
        """The variables that name it."""
        (self.place / "ca.pem").write_text(ca)
        for name, text in (("cert.pem", client.cert), ("key.pem", client.key)) if client else ():
            (self.place / name).write_text(text)
        return {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self.place)}

    def server(self) -> ssl.SSLContext:
        """As ``dockerd --tlsverify`` with our CA."""
        cert, key, ca = (self.place / name for name in ("server.pem", "server-key.pem", "server-ca.pem"))
        cert.write_text(SERVER.cert)
        key.write_text(SERVER.key)
        ca.write_text(CA.cert)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


def run(loop: Callable[[], Any], main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main)


async def use(url: str, environ: Mapping[str, str], docker: FakeDocker) -> None:
    """A call, the stream, and a start: each has its own kind of connection."""
    docker.add("web", **{LABEL_UNIT: "web"})
    engine = DockerEngine(resolve(url, environ).address)
    heard: asyncio.Queue[EngineMessage] = asyncio.Queue()
    try:
        async with asyncio.timeout(10):
            await engine.info()
            async with engine.events(None) as hand_over:
                reading = asyncio.ensure_future(hand_over(heard.put_nowait))
                for container in list(docker.containers):
                    await engine.start(ContainerId(container))
                assert (await heard.get()).kind == "start"
                reading.cancel()
            assert [one.unit for one in await engine.snapshot(thorough=True)] == ["web"]
    finally:
        await engine.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [False, True])
def test_an_engine_is_used_over_tcp(certs: Certs, loop: Callable[[], Any], tls: bool) -> None:
    async def main() -> None:
        docker = FakeDocker()
        environ = certs.write(CA.cert, CLIENT) if tls else {}
        async with docker.serve(None, certs.server() if tls else None) as url:
            await use(url, environ, docker)
            facts = await asyncio.to_thread(engine_facts, url, environ)
            assert (facts.reach, facts.url) == (Reach.SERVES, url)

    run(loop, main())


@pytest.mark.parametrize(
    ("ca", "client", "words"),
    [
        (OTHER_CA.cert, STRANGER, "its certificate is not believed"),
        (CA.cert, STRANGER, ""),
        (CA.cert, None, ""),
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_who_is_not_believed_is_told(
    certs: Certs, loop: Callable[[], Any], ca: str, client: Pair | None, words: str
) -> None:
    """In either direction; never a silent loop, never without the address."""

    async def main() -> None:
        environ = certs.write(ca, client)
        async with FakeDocker().serve(None, certs.server()) as url:
            with pytest.raises(EngineError) as error:
                await use(url, environ, FakeDocker())
            assert words in str(error.value)
            assert url.removeprefix("tcp://") in str(error.value)
            facts = await asyncio.to_thread(engine_facts, url, environ)
            assert facts.reach in {Reach.REFUSED, Reach.NONSENSE}

    run(loop, main())


def test_another_name_is_not_believed(certs: Certs) -> None:
    async def main() -> None:
        environ = certs.write(CA.cert, CLIENT)
        async with FakeDocker().serve(None, certs.server()) as url:
            with pytest.raises(EngineError, match="not believed"):
                await use(url.replace("localhost", "127.0.0.1"), environ, FakeDocker())

    asyncio.run(main())


def test_without_verification_any_engine_is_believed(certs: Certs) -> None:
    async def main() -> None:
        docker, environ = FakeDocker(), dict(certs.write(OTHER_CA.cert, CLIENT))
        environ = {**environ, "DOCKER_TLS_VERIFY": "", "DOCKER_TLS": "1"}
        async with docker.serve(None, certs.server()) as url:
            await use(url, environ, docker)

    asyncio.run(main())


def test_a_name_that_nobody_knows_is_told() -> None:
    async def main() -> None:
        engine = DockerEngine(Address(host="nobody.invalid", port=1))
        with pytest.raises(EngineError, match=r"nobody\.invalid:1"):
            await engine.info()
        await engine.close()

    asyncio.run(main())


def encrypted(pair: Pair) -> str:
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    lock = serialization.BestAvailableEncryption(b"secret")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def _no_ca(place: Path) -> None:
    (place / "ca.pem").unlink()


def _half(place: Path) -> None:
    (place / "key.pem").unlink()


def _others(place: Path) -> None:
    (place / "key.pem").write_text(STRANGER.key)


def _locked(place: Path) -> None:
    (place / "key.pem").write_text(encrypted(CLIENT))


def _empty(place: Path) -> None:
    (place / "ca.pem").write_text("")


def _pipe(place: Path) -> None:
    (place / "ca.pem").unlink()
    os.mkfifo(place / "ca.pem")


def _directory(place: Path) -> None:
    (place / "cert.pem").unlink()
    (place / "cert.pem").mkdir()


@pytest.mark.parametrize("spoil", [_no_ca, _half, _others, _locked, _empty, _pipe, _directory])
def test_certificates_that_cannot_be_used_are_refused_at_once(certs: Certs, spoil: Callable[[Path], None]) -> None:
    """With the file's name; nobody is asked for a password, and no pipe is waited for."""
    environ = certs.write(CA.cert, CLIENT)
    spoil(certs.place)
    tls = resolve("tcp://h", environ).address.tls
    assert tls is not None
    with pytest.raises(AddressError, match=str(certs.place)):
        trust(tls)
    assert engine_facts("tcp://h", environ).reach is Reach.NO_URL


def test_a_client_may_have_no_certificate(certs: Certs) -> None:
    certs.write(CA.cert, None)
    place = certs.place
    trust(Tls(f"{place}/ca.pem", f"{place}/cert.pem", f"{place}/key.pem"))
