"""Real engines that are reached over TLS by the real docker client: who has a certificate gets in, nobody else does."""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from supervisor.dockerd.tls import certificates
from supervisor.dockerd.tls.certificates import Pair, Purpose, check_pair
from supervisor.dockerd.tls.isolated import materialize_apart
from supervisor.dockerd.tls.settings import DIRECTORY, TlsFiles, TlsSettings
from tests.bed import engines, images
from tests.bed.bed import Bed, BedError
from tests.bed.bed import Engine as BedEngine
from tests.bed.engines import REPOSITORY

IMAGE = "busybox:tls"
LISTEN = "tcp://127.0.0.1:2376"
NAMES = ("localhost", "127.0.0.1")
FILES = TlsFiles(DIRECTORY / "ca.pem", DIRECTORY / "server-cert.pem", DIRECTORY / "server-key.pem")


class Host:
    """A bed with an engine that listens on TCP, and people who want to reach it."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.docker = engines.program("docker")
        self.engine: BedEngine | None = None

    def generate(self, *words: str | Path) -> None:
        program: list[str | Path] = [sys.executable, "-m", "supervisor", "tls", "generate", "--ca-dir", DIRECTORY]
        self.bed.run([*program, *words], cwd=REPOSITORY)

    def call(self, *options: str, certs: Path | None = None, host: str = LISTEN) -> tuple[int, str]:
        """Ask the engine for its name and return the exit code and what the client said."""
        env = {"DOCKER_HOST": host, "DOCKER_CONFIG": str(self.bed.dir / "nothing"), "DOCKER_TLS_VERIFY": ""}
        if certs is not None:
            env |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certs)}
        said = self.bed.run([self.docker, *options, "info", "--format", "{{.Name}}"], env=env, check=False)
        return said.returncode, said.stdout.strip() + said.stderr


@pytest.fixture(scope="module")
def host(engine_version: str) -> Iterator[Host]:
    with Bed() as bed:
        host = Host(bed)
        host.generate("--server")
        bed.run(["sh", "-c", "echo 127.0.0.1 localhost wrong.example >/etc/hosts"])
        host.engine = bed.engine(engine_version, *FILES.args, "--host", LISTEN).start()
        yield host


def test_who_has_a_certificate_gets_in(host: Host) -> None:
    """The files are where the docker client looks for them, under the names it wants."""
    mine = host.bed.dir / "mine"
    host.generate("--dir", mine)
    assert host.call(certs=mine) == (0, "bed")
    assert host.call(certs=mine, host="tcp://localhost:2376") == (0, "bed")


def test_who_has_none_does_not(host: Host) -> None:
    """Neither without TLS, nor without a certificate, nor with another CA's."""
    ca = f"--tlscacert={DIRECTORY}/ca.pem"
    assert "Client sent an HTTP request to an HTTPS server" in host.call()[1]
    refused(host, "--tlsverify", ca)
    theirs = host.bed.dir / "theirs"
    host.generate("--dir", theirs, "--ca-dir", host.bed.dir / "their-ca")
    keys = (f"--tlscert={theirs}/cert.pem", f"--tlskey={theirs}/key.pem")
    refused(host, "--tlsverify", ca, *keys)
    server = (f"--tlscert={FILES.cert}", f"--tlskey={FILES.key}")
    refused(host, "--tlsverify", ca, *server)


def refused(host: Host, *how: str) -> None:
    """By the engine, for the certificate; in which words depends on the release.

    With TLS 1.3 a client may still be writing when it is cut off, and never reads why: then it asks again.
    """
    answers = (host.call(*how) for _ in range(10))
    code, said = next(answer for answer in answers if "connection reset by peer" not in answer[1])
    assert (code, "remote error: tls: " in said) == (1, True), said


def test_an_engine_under_another_name_is_not_believed(host: Host) -> None:
    mine = host.bed.dir / "believing"
    host.generate("--dir", mine)
    code, said = host.call(certs=mine, host="tcp://wrong.example:2376")
    assert code != 0
    assert "certificate is valid for localhost, not wrong.example" in said


OURS = """
import asyncio, json, os, sys
from supervisor.engine.address import resolve
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError
from units.labels import LABEL_UNIT

async def main():
    engine = DockerEngine(resolve(None, os.environ).address)
    try:
        async with asyncio.timeout(30):
            version = (await engine.info()).version
            async with engine.events(None) as hand_over:
                heard = asyncio.Queue()
                reading = asyncio.ensure_future(hand_over(heard.put_nowait))
                body = {"Image": sys.argv[1], "Cmd": ["sleep", "9"], "Labels": {LABEL_UNIT: "tls"}}
                made = await engine.create("tls", json.dumps(body))
                await engine.start(made)
                kinds = [(await heard.get()).kind for _ in range(2)]
                await engine.remove(made)
                reading.cancel()
        print(version, *kinds)
    except EngineError as error:
        print(error)
    finally:
        await engine.close()

import uvloop
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


def ours(host: Host, certs: Path, url: str = LISTEN) -> str:
    """What our own adapter has to say."""
    env = {"DOCKER_HOST": url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certs)}
    return host.bed.run([sys.executable, "-c", OURS, IMAGE], env=env, cwd=REPOSITORY).stdout.strip()


def test_our_own_adapter_gets_in_with_a_certificate(host: Host) -> None:
    """Calls, the stream and starts; with another CA's certificate, or for another name, it is told why not."""
    assert host.engine is not None
    host.engine.docker.load(images.busybox_tar(host.bed.dir / "busybox.tar", IMAGE))
    mine, theirs = host.bed.dir / "our-adapter", host.bed.dir / "their-adapter"
    host.generate("--dir", mine)
    assert ours(host, mine).split()[1:] == ["create", "start"]
    assert "its certificate is not believed" in ours(host, mine, "tcp://wrong.example:2376")
    host.generate("--dir", theirs, "--ca-dir", host.bed.dir / "their-ca-2")
    (theirs / "ca.pem").write_bytes((mine / "ca.pem").read_bytes())
    assert "127.0.0.1:2376" in ours(host, theirs)


def test_the_doctor_gets_in_with_a_certificate(host: Host) -> None:
    mine = host.bed.dir / "doctor"
    host.generate("--dir", mine)
    env = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(mine)}
    asked = [sys.executable, "-m", "supervisor", "doctor", "--json", "--engine", LISTEN]
    said = json.loads(host.bed.run(asked, env=env, cwd=REPOSITORY, check=False).stdout)
    assert not [one for one in said["findings"] if one["id"].startswith("DW-E0")]
    assert said["versions"]["engine"] != "-"


def configured(kind: str, kept: Path) -> tuple[TlsSettings, Pair]:
    """Certificates as an operator may bring them, and a client's."""
    now = datetime.now(UTC)
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8 if kind == "ed25519" else serialization.PrivateFormat.TraditionalOpenSSL
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    ca = certificates.make_ca(now, text)
    client = certificates.make_leaf(ca, Purpose.CLIENT, (), now)
    if kind == "only a CA":
        return TlsSettings(ca.cert, ca.key, kept=kept), client
    server = certificates.make_leaf(ca, Purpose.SERVER, NAMES, now)
    return TlsSettings(ca.cert, None, server.cert, server.key, kept), client


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "only a CA"])
def test_an_engine_takes_what_is_configured(engine_version: str, kind: str) -> None:
    """What passes our check serves, and the client of that CA gets in."""
    before = set(DIRECTORY.glob("*"))
    with Bed() as bed:
        settings, client = configured(kind, bed.dir / "kept")
        # A bed's /etc is its own: there the files must be, as in the file system of a storage context.
        files = asyncio.run(materialize_apart(settings, Path(f"/proc/{bed.init_pid}/root")))
        bed.engine(engine_version, *files.args, "--host", LISTEN).start()
        mine = bed.dir / "mine"
        mine.mkdir()
        for name, text in (("ca.pem", settings.ca_cert), ("cert.pem", client.cert), ("key.pem", client.key)):
            (mine / name).write_text(text or "")
        assert Host(bed).call(certs=mine) == (0, "bed")
    assert set(DIRECTORY.glob("*")) == before, "it was the machine's"


def test_an_engine_fails_on_what_our_check_refuses(engine_version: str) -> None:
    """A key of another certificate: the engine ends at once, and its log is all it leaves; the check tells before."""
    now = datetime.now(UTC)
    ca = certificates.make_ca(now)
    server, other = (certificates.make_leaf(ca, Purpose.SERVER, NAMES, now) for _ in range(2))
    assert len(check_pair(server.cert, other.key, ca.cert, now)) == 1
    with Bed() as bed:
        place = bed.dir
        for name, text in (("ca.pem", ca.cert), ("cert.pem", server.cert), ("key.pem", other.key)):
            (place / name).write_text(text)
        files = TlsFiles(place / "ca.pem", place / "cert.pem", place / "key.pem")
        with pytest.raises(BedError, match="private key does not match public key"):
            bed.engine(engine_version, *files.args, "--host", LISTEN).start()
