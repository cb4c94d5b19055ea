"""The control socket answers its owner, refuses in words, and nobody on it can hold the host up."""

import asyncio
import itertools
import json
import os
import re
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest
import uvloop

from supervisor.engine.port import EngineError
from supervisor.http.control import commands
from supervisor.http.control.commands import fulfilled, settled, succeeded
from supervisor.journal.record import Record
from supervisor.logs.timestamps import moment
from supervisor.preflight import BootError
from supervisor.version import VERSION
from tests.bed.engines import REPOSITORY
from tests.harness import EndlessEngine, Harness, ObedientEngine, open_files, short_directory, until
from tests.pure.story import needs, spec
from units.health import Health
from units.quantities import Seconds
from units.spec import ContainerId, Kind, Policy, RestartPolicy, UnitSpec
from units.unit import Failure, Phase, Unit

Scene = Callable[[Harness], Awaitable[None]]


def play(scene: Scene, *specs: UnitSpec, engine: type[ObedientEngine] = ObedientEngine, fast: bool = False) -> None:
    async def run() -> None:
        with short_directory() as run_dir:
            async with asyncio.timeout(20):
                async with Harness(run_dir, *specs, engine=engine()) as harness:
                    await scene(harness)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast else None, debug=False) as runner:
        runner.run(run())


async def ask(harness: Harness, method: str, path: str, extra: bytes = b"") -> tuple[int, Any]:
    status, body = await raw(harness, f"{method} {path} HTTP/1.0\r\n\r\n".encode() + extra)
    return status, json.loads(body)


async def raw(harness: Harness, request: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
    try:
        writer.write(request)
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def lines(harness: Harness, path: str) -> list[dict[str, Any]]:
    status, body = await raw(harness, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert status == 200
    return [json.loads(line) for line in body.splitlines()]


async def refused(harness: Harness, why: str) -> None:
    """The host does not start, and says why."""
    with pytest.raises(BootError, match=why):
        await harness.__aenter__()


def test_what_can_be_read() -> None:
    """Status, units, one unit and the version are the status dictionary and its parts; on uvloop too."""

    async def scene(harness: Harness) -> None:
        code, told = await ask(harness, "GET", "/v1/status")
        assert code == 200
        assert told["engine"]["up"] is True
        assert [(unit["name"], unit["state"]) for unit in told["units"]] == [("db", "ready"), ("web", "ready")]
        assert await ask(harness, "GET", "/v1/units") == (200, told["units"])
        assert await ask(harness, "GET", "/v1/units/web") == (200, told["units"][1])
        assert await ask(harness, "GET", "/v1/version") == (200, {"version": VERSION, "api": "v1", "pid": os.getpid()})
        code, why = await ask(harness, "GET", "/v1/units/web/why")
        assert (code, why["unit"]) == (200, told["units"][1])
        assert why["chain"][-1]["after"] == "ready"

    play(scene, spec("web", needs("db")), spec("db"))
    play(scene, spec("web", needs("db")), spec("db"), fast=True)


def test_a_time_is_the_same_however_often_it_is_asked_for() -> None:
    """The two clocks are not read in the same moment, and it does not show; a wall clock that is set does."""
    late, ahead = itertools.cycle((0.0, 0.0006, 0.0003)), [0.0]

    async def run() -> None:
        with short_directory() as run_dir:
            async with Harness(run_dir, spec("web"), wall=lambda: time.time() + next(late) + ahead[0]) as harness:

                async def since() -> str:
                    return str((await ask(harness, "GET", "/v1/units/web"))[1]["since"])

                first = await since()
                assert {await since() for _ in range(20)} == {first}
                ahead[0] = 3600.0
                later = await since()
                moved = datetime.fromisoformat(later) - datetime.fromisoformat(first)
                assert round(moved.total_seconds()) == 3600

    asyncio.run(run())


def test_the_socket_is_its_owner_s_alone_and_goes_with_its_supervisor() -> None:
    """Mode 0600; no file is left, and no open file either."""

    async def run() -> None:
        with short_directory() as run_dir:
            before = open_files()
            async with Harness(run_dir) as harness:
                mode = harness.control.path.lstat().st_mode
                assert stat.S_ISSOCK(mode)
                assert stat.S_IMODE(mode) == 0o600
                await harness.end()
                assert not harness.control.path.exists()
            assert open_files() <= before + 2  # The default executor's, if any.

    asyncio.run(run())


def test_a_dead_supervisor_s_socket_is_replaced() -> None:
    """A file on which nobody answers is no obstacle."""

    async def run() -> None:
        with short_directory() as run_dir:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(run_dir / "control.sock"))
            async with Harness(run_dir) as harness:
                assert (await ask(harness, "GET", "/v1/version"))[0] == 200

    asyncio.run(run())


def test_a_live_supervisor_s_socket_stays() -> None:
    """The second one is refused, and the first goes on answering."""

    async def run() -> None:
        with short_directory() as run_dir:
            async with Harness(run_dir) as first:
                await refused(Harness(run_dir), "another process answers on")
                assert (await ask(first, "GET", "/v1/version"))[0] == 200

    asyncio.run(run())


def test_a_successor_s_socket_is_not_taken_away() -> None:
    """Closing removes our own file, not another's of the same name."""

    async def run() -> None:
        with short_directory() as run_dir:
            async with Harness(run_dir) as harness:
                harness.control.path.unlink()
                harness.control.path.write_text("another's")
            assert harness.control.path.read_text() == "another's"

    asyncio.run(run())


def test_a_socket_that_cannot_be_opened_says_why() -> None:
    """No directory, a name that is too long, something else in the way: each with a way out."""

    async def run() -> None:
        with short_directory() as run_dir:
            await refused(Harness(run_dir / "none"), "create its directory")
            long = run_dir / ("x" * 120)
            long.mkdir()
            await refused(Harness(long), "shorter --run-dir")
            (run_dir / "control.sock").write_text("precious")
            await refused(Harness(run_dir), "is not a socket")
            assert (run_dir / "control.sock").read_text() == "precious"

    asyncio.run(run())


def test_verbs_are_carried_out_and_waited_for() -> None:
    """Stop, start and restart answer when the unit stands where it was wanted."""

    async def scene(harness: Harness) -> None:
        code, told = await ask(harness, "POST", "/v1/units/web/stop?wait=5")
        assert (code, told["ok"], told["settled"], told["unit"]["state"]) == (200, True, True, "inactive")
        assert harness.phase("web") == "inactive"
        code, told = await ask(harness, "POST", "/v1/units/web/start?wait=5")
        assert (code, told["ok"], told["unit"]["state"]) == (200, True, "ready")
        code, told = await ask(harness, "POST", "/v1/units/web/restart?wait=5")
        assert (code, told["ok"], told["unit"]["state"], told["unit"]["restarts"]) == (200, True, "ready", 1)
        assert told["verb"] == "restart"

    play(scene, spec("web"))


def test_without_a_wait_the_answer_comes_at_once() -> None:
    """Accepted, not settled, and what the unit is in the middle of."""

    async def scene(harness: Harness) -> None:
        harness.engine.ignore_term("web")
        code, told = await ask(harness, "POST", "/v1/units/web/restart")
        assert (code, told["accepted"], told["settled"], told["ok"]) == (200, True, False, True)
        assert told["unit"]["state"] == "stopping"

    play(scene, spec("web"))


def test_a_wait_ends_when_its_time_is_over() -> None:
    """A unit that does not get there in time is no success."""

    async def scene(harness: Harness) -> None:
        harness.engine.ignore_term("web")
        code, told = await ask(harness, "POST", "/v1/units/web/stop?wait=0.05")
        assert (code, told["settled"], told["ok"], told["unit"]["state"]) == (200, False, False, "stopping")

    play(scene, spec("web"))


def test_a_unit_that_fails_ends_the_wait() -> None:
    """A start that comes to nothing is told as soon as that is known, long before the time is over."""

    async def scene(harness: Harness) -> None:
        await ask(harness, "POST", "/v1/units/job/stop?wait=5")
        harness.engine.sicken_at_start("job")
        code, told = await ask(harness, "POST", "/v1/units/job/start?wait=60")
        assert (code, told["settled"], told["ok"], told["unit"]["state"]) == (200, True, False, "failed")

    play(scene, spec("job", kind=Kind.ONESHOT, policy=Policy.NO))


def test_a_unit_that_falls_as_soon_as_it_is_up_has_not_started() -> None:
    """It was ready for a moment, as it has no check; a program that reads its configuration first ends like that."""

    async def scene(harness: Harness) -> None:
        await ask(harness, "POST", "/v1/units/web/stop?wait=5")
        harness.engine.sicken_at_start("web", after=0.3)
        code, told = await ask(harness, "POST", "/v1/units/web/start?wait=60")
        assert (code, told["accepted"], told["ok"]) == (200, True, False)

    play(scene, spec("web"))


def test_asking_for_what_is_so_already_succeeds() -> None:
    """A start of what runs, and a stop of what is stopped, are done at once."""

    async def scene(harness: Harness) -> None:
        code, told = await ask(harness, "POST", "/v1/units/web/start?wait=5")
        assert (code, told["accepted"], told["ok"]) == (200, False, True)
        for _ in range(2):
            code, told = await ask(harness, "POST", "/v1/units/web/stop?wait=5")
            assert (code, told["ok"]) == (200, True)

    play(scene, spec("web"))


def test_what_the_core_refuses_is_a_conflict() -> None:
    """While the host goes down nothing starts, and the answer says so."""

    async def scene(harness: Harness) -> None:
        harness.engine.ignore_term("web")
        harness.host.shut_down("test")
        code, told = await ask(harness, "POST", "/v1/units/web/start?wait=5")
        assert (code, told["error"]) == (409, "the host goes down")

    play(scene, spec("web"))


@pytest.mark.parametrize(
    ("method", "path", "code", "error"),
    [
        ("GET", "/v1/units/nope", 404, "there is no unit 'nope'"),
        ("GET", "/v1/units/nope/why", 404, "there is no unit 'nope'"),
        ("GET", "/v1/units/nope/logs", 404, "there is no unit 'nope'"),
        ("GET", "/v1/events?unit=nope", 404, "there is no unit 'nope'"),
        ("POST", "/v1/units/nope/start", 404, "there is no unit 'nope'"),
        ("POST", "/v1/units/web/explode", 404, "unknown verb 'explode'"),
        ("POST", "/v1/units/web/start?wait=-1", 400, "wait: expected 0 to 3600 seconds"),
        ("POST", "/v1/units/web/start?wait=nan", 400, "wait: expected 0 to 3600 seconds"),
        ("POST", "/v1/units/web/start?wait=soon", 400, "wait: expected 0 to 3600 seconds"),
        ("GET", "/v1/units/web/logs?tail=x", 400, "tail: expected a whole number"),
        ("GET", "/v1/events?follow=perhaps", 400, "follow: expected 0 or 1"),
        ("POST", "/v1/enable/console/debian", 404, "there is no console 'debian'"),
        ("POST", "/v1/enable/storage/nope", 404, "there is no storage 'nope'"),
        ("GET", "/v1/nothing", 404, "not found"),
        ("GET", "/", 404, "not found"),
        ("DELETE", "/v1/units/web", 405, "method not allowed"),
    ],
)
def test_a_refusal_is_json_with_a_hint(method: str, path: str, code: int, error: str) -> None:
    """Whatever is wrong, the answer names it and the way out, and nothing has happened."""

    async def scene(harness: Harness) -> None:
        taken = harness.inbox.taken
        status, told = await ask(harness, method, path)
        assert (status, told["error"]) == (code, error)
        assert told["hint"]
        assert harness.inbox.taken == taken

    play(scene, spec("web"))


def test_odd_names_can_be_asked_for() -> None:
    """A name is a name, whatever it holds, when it is percent-encoded."""

    async def scene(harness: Harness) -> None:
        assert (await ask(harness, "GET", "/v1/units/a%2Fb"))[1]["name"] == "a/b"
        assert (await ask(harness, "GET", "/v1/units/%1b%5B31mred/why"))[1]["unit"]["name"] == "\x1b[31mred"
        assert (await ask(harness, "POST", "/v1/units/a%2Fb/stop?wait=5"))[1]["ok"] is True

    play(scene, spec("a/b"), spec("\x1b[31mred"))


def test_events_are_lines_of_json() -> None:
    """What is kept, of one unit if asked, from a number on if asked, or the last few."""

    async def scene(harness: Harness) -> None:
        told = await lines(harness, "/v1/events")
        assert [record["seq"] for record in told] == list(range(1, len(told) + 1))
        assert {record["unit"] for record in await lines(harness, "/v1/events?unit=web")} == {"web"}
        assert await lines(harness, "/v1/events?after=3") == told[3:]
        assert await lines(harness, "/v1/events?tail=2") == told[-2:]
        assert await lines(harness, "/v1/events?tail=0") == []

    play(scene, spec("web"), spec("db"))


def test_a_follower_sees_what_happens_and_the_end() -> None:
    """Records come as they are made; the stream ends when the supervisor does."""

    async def scene(harness: Harness) -> None:
        reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"GET /v1/events?follow=1&tail=0 HTTP/1.0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await ask(harness, "POST", "/v1/units/web/stop?wait=5")
        decided, first = json.loads(await reader.readline()), json.loads(await reader.readline())
        assert (decided["unit"], decided["rule"], decided["outcome"]) == ("web", "ask.stop", "stop it")
        assert (first["unit"], first["before"], first["after"]) == ("web", "ready", "stopping")
        await harness.end()
        *_, last = (await reader.read()).splitlines()
        assert (json.loads(last)["after"], json.loads(last)["event"]) == ("inactive", "unit.transition")
        writer.close()

    play(scene, spec("web"))


def test_a_follower_that_leaves_is_forgotten() -> None:
    """Its queue goes with it, though nothing happens that could be written to it."""

    async def scene(harness: Harness) -> None:
        _reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"GET /v1/events?follow=1 HTTP/1.0\r\n\r\n")
        await until(lambda: harness.journal._followers)
        writer.close()
        await until(lambda: not harness.journal._followers)

    play(scene, spec("web"))


def test_output_is_lines_of_json() -> None:
    """The last so many, with the stream that they were written to."""

    async def scene(harness: Harness) -> None:
        assert await lines(harness, "/v1/units/web/logs?tail=2") == [
            {"stream": "stdout", "text": "two"},
            {"stream": "stdout", "text": "three"},
        ]

    play(scene, spec("web"))


def test_output_that_cannot_be_had_says_why() -> None:
    """A unit without a container, and an engine that refuses, are refusals; no output is none."""

    class Refusing(ObedientEngine):
        output = ()

        async def logs(
            self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
        ) -> Any:
            async for line in super().logs(container, tail=tail, follow=follow, since=since):
                yield line
            if self.containers[container].unit == "web":
                raise EngineError(Failure.OTHER, "no logging driver")

    async def scene(harness: Harness) -> None:
        code, told = await ask(harness, "GET", "/v1/units/web/logs")
        assert (code, told["error"]) == (503, "the engine cannot read the output of web: no logging driver")
        assert await lines(harness, "/v1/units/db/logs") == []
        harness.engine.images.clear()
        harness.engine.person_remove("db")
        await until(lambda: harness.phase("db") == "pulling")
        assert (await ask(harness, "GET", "/v1/units/db/logs"))[0] == 409

    play(scene, spec("web"), spec("db"), engine=Refusing)


def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless stream to a reader that sleeps ends, and what it held is freed; others are served meanwhile."""
    monkeypatch.setattr("supervisor.http.server.STUCK", 0.1)

    async def scene(harness: Harness) -> None:
        with socket.socket(socket.AF_UNIX) as sleeper:
            sleeper.connect(str(harness.control.path))
            sleeper.send(b"GET /v1/units/web/logs?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: harness.control._busy)
            assert (await ask(harness, "GET", "/v1/version"))[0] == 200
            await until(lambda: not harness.control._busy)

    play(scene, spec("web"), engine=EndlessEngine)


def test_a_client_that_asks_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request, and answers left unread, do not hold a connection for ever."""
    monkeypatch.setattr("supervisor.http.door.IDLE", 0.1)

    async def scene(harness: Harness) -> None:
        half, half_writer = await asyncio.open_unix_connection(str(harness.control.path))
        half_writer.write(b"GET /v1/status HT")
        with socket.socket(socket.AF_UNIX) as sleeper:
            sleeper.connect(str(harness.control.path))
            sleeper.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    sleeper.send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
                    await asyncio.sleep(0)
            (server,) = harness.control._servers
            await until(lambda: not server.connections)
        with suppress(ConnectionResetError):
            assert await half.read() == b""
        half_writer.close()

    play(scene, spec("web"))


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"POST /v1/units/web/stop HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /v1/units/%ff%fe/why HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v1/events?after=99999999999999999999 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_garbage_hurts_nobody(garbage: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no request get an error or the door; the next client is served, and nothing is printed."""

    async def scene(harness: Harness) -> None:
        taken = harness.inbox.taken
        reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(garbage)
        writer.write_eof()
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        writer.close()
        assert answer == b"" or answer.split()[1].startswith(b"4")
        assert (await ask(harness, "GET", "/v1/version"))[0] == 200
        assert harness.inbox.taken == taken

    play(scene, spec("web"))
    assert capfd.readouterr() == ("", "")


def test_a_huge_body_is_not_read() -> None:
    """A request's body means nothing; whoever sends gigabytes is soon cut off."""

    async def scene(harness: Harness) -> None:
        _reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"POST /v1/units/web/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        writer.close()
        assert (await ask(harness, "GET", "/v1/version"))[0] == 200

    play(scene, spec("web"))


def test_too_many_requests_at_once_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit answers, it does not queue."""
    monkeypatch.setattr("supervisor.http.control.server.CLIENTS", 1)

    async def scene(harness: Harness) -> None:
        _reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"GET /v1/events?follow=1 HTTP/1.0\r\n\r\n")
        await until(lambda: harness.control._busy)
        assert (await ask(harness, "GET", "/v1/version"))[0] == 503
        writer.close()

    play(scene, spec("web"))


def test_a_client_that_leaves_ends_its_wait() -> None:
    """Nothing of a request outlives its connection."""

    async def scene(harness: Harness) -> None:
        harness.engine.ignore_term("web")
        _reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"POST /v1/units/web/stop?wait=600 HTTP/1.0\r\n\r\n")
        await until(lambda: harness.control.api._asking.waiting)
        writer.close()
        await until(lambda: not harness.control.api._asking.waiting)

    play(scene, spec("web"))


def test_closing_ends_the_waits() -> None:
    """Who waits for a unit while the supervisor ends gets what is known, not silence."""

    async def scene(harness: Harness) -> None:
        harness.engine.ignore_term("web")
        waiting = asyncio.create_task(ask(harness, "POST", "/v1/units/web/stop?wait=600"))
        await until(lambda: harness.control.api._asking.waiting)
        await harness.quiet()
        await harness.end()
        code, told = await waiting
        assert (code, told["settled"], told["ok"]) == (200, False, False)

    play(scene, spec("web"))


def test_a_loop_that_is_stuck_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact that nobody takes is an error after a while, not a client that hangs."""
    monkeypatch.setattr(commands, "ANSWER", 0.05)

    async def scene(harness: Harness) -> None:
        next(task for task in asyncio.all_tasks() if task.get_name() == "loop").cancel()
        code, told = await ask(harness, "POST", "/v1/units/web/stop")
        assert (code, told["error"]) == (503, "the supervisor did not accept the request within 0.05 s")

    play(scene, spec("web"))


def at(phase: Phase, *, kind: Kind = Kind.SERVICE, health: Health = Health.NONE, wanted: bool = True) -> Unit:
    return Unit(spec("web", kind=kind), phase, health=health, wanted=wanted)


def test_when_a_start_has_settled() -> None:
    """Ready, or running without a check; a oneshot at work and a check that has not passed are still on their way."""
    assert settled("start", at(Phase.READY))
    assert settled("start", at(Phase.RUNNING))
    assert not settled("start", at(Phase.RUNNING, health=Health.STARTING))
    assert not settled("start", at(Phase.RUNNING, kind=Kind.ONESHOT))
    for phase in (Phase.WAITING, Phase.PULLING, Phase.CREATING, Phase.STARTING, Phase.BACKOFF, Phase.STOPPING):
        assert not settled("start", at(phase))
    for phase in (Phase.FAILED, Phase.CRASH_LOOP, Phase.IMAGE_MISSING, Phase.INACTIVE):
        assert settled("restart", at(phase))
        assert not succeeded("restart", at(phase))
    assert succeeded("start", at(Phase.COMPLETED, kind=Kind.ONESHOT))


def test_when_a_stop_has_settled() -> None:
    """Nothing of it runs and it is not wanted; one that survived its SIGKILLs is no success."""
    assert settled("stop", at(Phase.INACTIVE, wanted=False))
    assert not settled("stop", at(Phase.STOPPING, wanted=False))
    assert not settled("stop", at(Phase.CREATING, wanted=False))
    assert settled("stop", at(Phase.FAILED, wanted=False))
    assert not succeeded("stop", at(Phase.FAILED, wanted=False))
    assert fulfilled("stop", at(Phase.INACTIVE))
    assert not fulfilled("stop", at(Phase.READY))


def test_the_reference_names_every_path() -> None:
    """What can be asked is on the page, and what is on the page can be asked."""

    async def scene(harness: Harness) -> None:
        page = (REPOSITORY / "docs/reference/control.md").read_text()
        told = set(re.findall(r"^\| `((?:GET|POST) /v1/[^?`]+)", page, re.MULTILINE))
        assert told == {f"{route.method} {route.path}" for route in harness.control.api.routes}

    play(scene)


def test_the_reference_names_every_field_of_a_record() -> None:
    """Fields of the records and of the status are explained."""
    page = (REPOSITORY / "docs/reference/control.md").read_text()
    assert [f.name for f in fields(Record) if f.name != "engine_ns" and f"`{f.name}`" not in page] == []


def test_why_has_the_last_words_of_one_that_is_down_and_a_moment_to_begin_with() -> None:
    """What its container wrote last is nine times out of ten the cause; one that is well has nothing to say."""

    async def scene(harness: Harness) -> None:
        assert (await ask(harness, "GET", "/v1/units/web/why"))[1]["output"] == []
        for _ in range(2):
            harness.engine.crash("web", 3)
            await harness.quiet()
        code, told = await ask(harness, "GET", "/v1/units/web/why?since=10m")
        assert (code, told["unit"]["state"], told["output"]) == (200, "backoff", ["two", "three", "four"])
        code, told = await ask(harness, "GET", "/v1/units/web/why?since=2100-01-01T00:00:00Z")
        assert (code, told["chain"]) == (200, [])
        for wrong in ("", "soon", "1h30", "-5m", "1.5h", "2026-01-02", "2026-01-02T03:04:05"):
            code, told = await ask(harness, "GET", f"/v1/units/web/why?since={wrong}")
            assert (code, told["error"]) == (400, f"since: '{wrong}' is not a time")

    class Talker(ObedientEngine):
        output = ("one", "two", "three", "four")

    resting = replace(spec("web"), restart=RestartPolicy(Policy.ALWAYS, delay=Seconds(30)))
    play(scene, resting, engine=Talker)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("10m", 9400),
        ("10min", 9400),
        ("1h30m", 4600),
        ("2s", 9998),
        ("1970-01-01T00:00:07.5+00:00", 7.5),
        ("7.5", 7.5),
        ("1w", 0),
    ],
)
def test_a_moment_is_a_span_ago_or_a_time(text: str, at: float) -> None:
    assert moment(text, 10_000) == at * 10**9


def test_a_timeline_is_a_picture_that_may_do_nothing() -> None:
    """An SVG, with a policy that forbids whatever a browser could be made to fetch or run."""

    async def scene(harness: Harness) -> None:
        reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"GET /v1/units/web/timeline.svg?since=1h HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert b"Content-Type: image/svg+xml" in head
        assert b"Content-Security-Policy: default-src 'none'" in head
        assert body.startswith(b"<svg ")
        assert (await ask(harness, "GET", "/v1/units/nope/timeline.svg"))[0] == 404
        code, chart = await ask(harness, "GET", "/v1/boot")
        assert (code, chart["units"][0]["waited_for"], chart["critical_path"]) == (200, "engine", ["engine", "web"])
        assert (await raw(harness, b"GET /v1/boot.svg HTTP/1.0\r\n\r\n"))[1].startswith(b"<svg ")

    play(scene, spec("web"))
