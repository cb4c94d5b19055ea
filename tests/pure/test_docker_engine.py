"""The adapter against a peer that reads from a script: what no real engine does on demand."""

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from supervisor.engine import calls, docker
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError, EngineInfo, EngineMessage, StaleEndpointError
from supervisor.runtime.engine_watch import EngineTooOldError, only_too_old, refuse_old
from units.events import ContainerStarted, Observed
from units.quantities import Seconds
from units.spec import ContainerId, UnitName
from units.unit import Failure

ID = "ab" * 32
ROW = {"Id": ID, "Names": ["/console"], "Labels": {"dockwarden.unit": "console"}, "State": "running", "Status": "Up"}
Calls = list[tuple[str, str]]


def answer(status: int, body: bytes | str | Any, kind: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        kind.encode(),
        len(data),
        data,
    )


def stream(*lines: Any, end: bool = True) -> bytes:
    """A chunk for each line; without an end, the connection is closed in the middle."""
    parts = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"]
    for line in lines:
        data = json.dumps(line).encode() + b"\n"
        parts.append(b"%x\r\n%s\r\n" % (len(data), data))
    return b"".join(parts) + (b"0\r\n\r\n" if end else b"")


class Peer:
    """Answers by what the request's path contains; what it does not know it leaves unanswered."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers
        self.requests: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                target = head.split(" ")[1]
                self.requests.append(target)
                if "chunked" in head.lower():
                    await reader.readuntil(b"0\r\n\r\n")
                elif "content-length: " in head.lower():
                    await reader.readexactly(int(head.lower().partition("content-length: ")[2].split("\r\n")[0]))
                found = next((data for part, data in self._answers.items() if part in target), None)
                if found is None:
                    await reader.read()
                    break
                writer.write(found)
                if found == b"" or (b"chunked" in found and not found.endswith(b"0\r\n\r\n")):
                    break
        writer.close()


def run(
    path: Path, answers: dict[str, bytes], main: Callable[[DockerEngine, Peer], Coroutine[Any, Any, None]]
) -> Calls:
    calls: Calls = []

    async def served() -> None:
        peer = Peer(answers)
        async with asyncio.timeout(10), await asyncio.start_unix_server(peer, path / "x.sock", limit=1 << 22):
            engine = DockerEngine(
                f"unix://{path}/x.sock", on_call=lambda call, outcome, _: calls.append((call, outcome))
            )
            try:
                await main(engine, peer)
            finally:
                await engine.close()

    asyncio.run(served())
    return calls


async def open_events(engine: DockerEngine) -> None:
    async with engine.events(None):
        pass


async def refusal(call: Any) -> tuple[Failure, str]:
    with pytest.raises(EngineError) as caught:
        await call
    return caught.value.failure, str(caught.value)


def test_the_version_is_asked_for_without_a_version(tmp_path: Path) -> None:
    async def main(engine: DockerEngine, peer: Peer) -> None:
        assert await engine.info() == EngineInfo("26.1.5", "1.45", "1.24")
        assert peer.requests == ["/version"]

    told = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}
    assert run(tmp_path, {"/version": answer(200, told)}, main) == [("info", "ok")]


def test_a_container_that_goes_while_a_snapshot_is_taken_is_left_out(tmp_path: Path) -> None:
    async def main(engine: DockerEngine, _peer: Peer) -> None:
        assert await engine.snapshot(thorough=True) == ()
        expected = Observed(UnitName("console"), ContainerId(ID), "console", running=False, created=False, hint=True)
        assert await engine.snapshot(thorough=False) == (expected,)

    gone = answer(404, {"message": f"No such container: {ID}"})
    row = {**ROW, "State": "exited", "Status": "Exited (0) 1 second ago"}
    calls = run(tmp_path, {"/v1.41/containers/json": answer(200, [row]), "/json": gone}, main)
    assert calls == [("list", "ok"), ("inspect", "not_found"), ("list", "ok")]


@pytest.mark.parametrize(("body", "kind"), [(b"not JSON", "application/json"), (b"{}", "application/json")])
def test_an_answer_that_is_none_is_the_engines_failure(tmp_path: Path, body: bytes, kind: str) -> None:
    async def main(engine: DockerEngine, _peer: Peer) -> None:
        assert (await refusal(engine.create("uu", "{}")))[0] is Failure.OTHER

    assert run(tmp_path, {"/create": answer(201, body, kind)}, main) == [("create", "other")]


def test_a_refusal_may_be_plain_text(tmp_path: Path) -> None:
    async def main(engine: DockerEngine, _peer: Peer) -> None:
        for call in (engine.snapshot(thorough=False), engine.start(ContainerId(ID)), open_events(engine)):
            assert "too old" in (await refusal(call))[1]

    run(tmp_path, {"/": answer(400, b"client is too old\n", "text/plain")}, main)


def test_an_engine_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in itertools.product((calls, docker), ("LOOK", "ACT", "PROGRESS")):
        monkeypatch.setattr(module, name, 0.05)
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"x")

    async def main(engine: DockerEngine, _peer: Peer) -> None:
        container = ContainerId(ID)
        for call in (
            *(engine.info(), engine.snapshot(thorough=True), engine.create("uu", "{}"), engine.start(container)),
            *(engine.signal(container, "TERM"), engine.rename(container, "vv"), engine.remove(container)),
            *(engine.look(container), engine.owner("uu"), engine.pull("x:1"), engine.load(str(archive))),
            open_events(engine),
        ):
            failure, text = await refusal(call)
            assert (failure, text.endswith("no answer within 0.05 s")) == (Failure.TIMEOUT, True), text

    assert {outcome for _, outcome in run(tmp_path, {}, main)} == {"timeout"}


def test_a_pull_that_was_cut_is_no_success(tmp_path: Path) -> None:
    async def main(engine: DockerEngine, _peer: Peer) -> None:
        assert (await refusal(engine.pull("x:1")))[0] is Failure.UNREACHABLE

    run(tmp_path, {"/images/create": stream({"status": "Pulling"}, end=False)}, main)


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("x", "x:latest"),
        ("x:1", "x:1"),
        ("host:5000/x", "host:5000/x:latest"),
        ("host:5000/x:1", "host:5000/x:1"),
        ("x@sha256:ab", "x@sha256:ab"),
    ],
)
def test_a_pull_brings_one_image(tmp_path: Path, image: str, asked: str) -> None:
    async def main(engine: DockerEngine, peer: Peer) -> None:
        await engine.pull(image)
        assert [unquote(request) for request in peer.requests] == [f"/v1.41/images/create?fromImage={asked}"]

    run(tmp_path, {"/images/create": stream({"status": "Pulling"})}, main)


def test_a_pull_may_fail_in_the_middle(tmp_path: Path) -> None:
    async def main(engine: DockerEngine, _peer: Peer) -> None:
        assert await refusal(engine.pull("x:1")) == (Failure.OTHER, "pull x:1: toomanyrequests")

    error = {"errorDetail": {"message": "toomanyrequests"}, "error": "toomanyrequests"}
    run(tmp_path, {"/images/create": stream({"status": "Pulling"}, error)}, main)


def test_a_load_tells_its_images_or_fails(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"x" * 1_000_000)
    lines = [{"status": "Loading layer"}, {"stream": "Loaded image: a:1\n"}, {"stream": "Loaded image: b:2\n"}]

    async def loads(engine: DockerEngine, _peer: Peer) -> None:
        assert await engine.load(str(archive)) == ["a:1", "b:2"]

    async def fails(engine: DockerEngine, _peer: Peer) -> None:
        failure, text = await refusal(engine.load(str(archive)))
        assert (failure, text) == (Failure.OTHER, f"load {archive}: invalid tar header")

    async def names_nothing(engine: DockerEngine, _peer: Peer) -> None:
        assert "named no image" in (await refusal(engine.load(str(archive))))[1]

    run(tmp_path, {"/load": stream(*lines)}, loads)
    run(tmp_path, {"/load": stream({"errorDetail": {"message": "invalid tar header"}})}, fails)
    run(tmp_path, {"/load": stream(lines[0])}, names_nothing)


def test_an_event_may_be_longer_than_any_buffer(tmp_path: Path) -> None:
    attributes = {"dockwarden.unit": "console", "long": "x" * 3_000_000}
    event = {"Action": "start", "Actor": {"ID": ID, "Attributes": attributes}, "timeNano": 5}

    async def main(engine: DockerEngine, peer: Peer) -> None:
        heard: list[EngineMessage] = []
        async with engine.events(1_700_000_000_000_000_005) as hand_over:
            with pytest.raises(EngineError, match="cut") as caught:
                await hand_over(heard.append)
        assert caught.value.failure is Failure.UNREACHABLE
        (told,) = heard
        assert (told.fact, told.at) == (ContainerStarted(UnitName("console"), ContainerId(ID), at=5e-9), 5)
        assert peer.requests[0].endswith("&since=1700000000.000000005")

    run(tmp_path, {"/events": stream(event, end=False)}, main)


def test_a_message_that_is_no_json_is_passed_over(tmp_path: Path) -> None:
    async def main(engine: DockerEngine, _peer: Peer) -> None:
        heard: list[EngineMessage] = []
        async with engine.events(None) as hand_over:
            with pytest.raises(EngineError):
                await hand_over(heard.append)
        assert [(each.fact, each.kind) for each in heard] == [(None, "other"), (None, "other")]

    run(tmp_path, {"/events": stream("text", end=False).replace(b'"text"', b"{brok?") + b"3\r\n[]\n\r\n"}, main)


DEEP = b"[" * 200_000
FAR = b"1" + b"0" * 400
DIGITS = b"1" * 4400
ODD = (DEEP, FAR, DIGITS, b"NaN", b"-1", b"1e999", b'{"a":' * 200_000, b"[]", b"null", b'"\\ud800"', b"\xff\x00")


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_line_costs_only_itself(tmp_path: Path, odd: bytes) -> None:
    """Whatever stands in it, or in one of its fields: what comes after it is heard."""
    good = raw_event("start", ID)
    lines = [odd, b"{}", *(field.replace(b"5", odd) for field in (b'{"timeNano": 5}', FIELDS)), good]
    data = b"".join(b"%x\r\n%s\n\r\n" % (len(line) + 1, line) for line in lines)

    async def main(engine: DockerEngine, _peer: Peer) -> None:
        heard: list[EngineMessage] = []
        async with engine.events(None) as hand_over:
            with pytest.raises(EngineError):
                await hand_over(heard.append)
        assert heard[-1].fact == ContainerStarted(UnitName("console"), ContainerId(ID), at=5e-9)
        assert all(0 <= one.at < 2**63 and len(one.key) < 100 for one in heard)

    run(tmp_path, {"/events": stream(end=False) + data}, main)


def raw_event(action: str, container: str) -> bytes:
    actor = {"ID": container, "Attributes": {"dockwarden.unit": "console"}}
    return json.dumps({"Action": action, "Actor": actor, "timeNano": 5}).encode()


FIELDS = b'{"Action": "kill", "Actor": {"ID": "a", "Attributes": {"dockwarden.unit": "console", "signal": "5"}}}'


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_is_the_engine_s_failure_or_nothing(tmp_path: Path, odd: bytes) -> None:
    """The version, a list, an inspect: an error with words, at most."""

    async def main(engine: DockerEngine, _peer: Peer) -> None:
        with suppress(EngineError, EngineTooOldError):
            refuse_old(await engine.info())
        with suppress(EngineError):
            await engine.snapshot(thorough=True)
        with suppress(EngineError):
            await engine.context(ContainerId(ID))
        with suppress(EngineError):
            await open_events(engine)

    run(tmp_path, {"/events": answer(500, odd), "/": answer(200, odd)}, main)
    version = answer(200, b'{"ApiVersion": "%s"}' % odd[:5000])
    run(tmp_path, {"/events": answer(500, odd), "/version": version, "/": answer(200, odd)}, main)


IN_THE_WAY = "endpoint with name console already exists in network host"


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_an_endpoint_of_an_ended_run_is_told_as_such(tmp_path: Path, verb: str) -> None:
    """The engine answers 403, as a proxy does that lets nothing through (26.1, chaos seed 443)."""

    async def main(engine: DockerEngine, _peer: Peer) -> None:
        with pytest.raises(StaleEndpointError) as caught:
            await (engine.start(ContainerId(ID)) if verb == "start" else engine.restart(ContainerId(ID), Seconds(1)))
        assert (caught.value.network, caught.value.name, caught.value.failure) == ("host", "console", Failure.OTHER)

    assert run(tmp_path, {f"/{verb}": answer(403, {"message": IN_THE_WAY})}, main) == [(verb, "other")]


@pytest.mark.parametrize("running", [True, False, None])
def test_only_an_endpoint_that_nobody_runs_with_is_ended(tmp_path: Path, running: bool | None) -> None:
    async def main(engine: DockerEngine, peer: Peer) -> None:
        if running:
            assert (await refusal(engine.disconnect("host", "console")))[0] is Failure.CONFLICT
        else:
            await engine.disconnect("host", "console")
        assert any(one.endswith("/networks/host/disconnect") for one in peer.requests) is not running

    run(
        tmp_path,
        {
            "/disconnect": answer(200, b""),
            "/networks/host": answer(200, {"Containers": {ID: {"Name": "console"}, "ep-1": {"Name": "console"}}}),
            "/json": answer(404, {"message": "gone"})
            if running is None
            else answer(200, {"State": {"Running": running}}),
        },
        main,
    )


def test_that_an_engine_is_too_old_is_told_alone() -> None:
    """However deep it lies; beside another failure it is not the reason."""
    old = EngineTooOldError("the engine 19.3 serves API 1.40 at most")
    inner = ExceptionGroup("", [old])
    assert only_too_old(inner) is old
    assert only_too_old(ExceptionGroup("", [inner, EngineTooOldError("again")])) is old
    assert only_too_old(ExceptionGroup("", [inner, ValueError("a defect")])) is None
    assert only_too_old(ExceptionGroup("", [ValueError("a defect")])) is None
