"""Hooks are told what they ask for, in order, and can hold up nobody."""

import asyncio
import json
import os
import select
from collections import Counter
from pathlib import Path

import pytest
import structlog

from hooks import command
from hooks.circuit import FAILURES
from hooks.folder import MOST, find
from hooks.happenings import ALL, happenings, sample
from hooks.line import QUEUE
from hooks.runner import HookRunner
from tests.pure.story import Story, spec
from units import events as fact
from units.events import Event
from units.machine import Moment
from units.quantities import Instant
from units.spec import UnitName
from units.world import Entry

OFF = Path("/nonexistent/off")
SILENT = structlog.wrap_logger(None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50))


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def names(story: Story, event: Event) -> list[str]:
    story.feed(event)
    assert story.last is not None
    return [one.name for one in happenings(event, story.last, "c", 1.0)]


def up(name: str = "web") -> Story:
    story = Story.of(spec(name))
    story.connect()
    return story.up(name)


def test_a_crash_is_told_as_a_death_and_a_restart() -> None:
    story = up()
    web = UnitName("web")
    told = names(story, fact.ContainerDied(web, story.id("web"), 3))
    assert told == ["unit.transition", "unit.died"]
    again = names(story, fact.ContainerStarted(web, story.id("web")))
    assert again == ["unit.transition", "unit.started", "unit.ready", "unit.restarted"]


def test_a_crash_loop_is_told_as_a_failure_once() -> None:
    story = up()
    told: list[str] = []
    for _ in range(8):
        told += names(story, fact.ContainerDied(UnitName("web"), story.id("web"), 3))
        story.later(0.1)
        if story.unit("web").phase == "backoff":
            told += names(story, fact.RetryDue(UnitName("web"), story.token("web")))
        if story.unit("web").phase == "starting":
            told += names(story, fact.ContainerStarted(UnitName("web"), story.id("web")))
    assert told.count("unit.failed") == 1


@pytest.mark.parametrize("name", ALL)
def test_each_event_has_a_sample_that_is_json_and_an_environment(name: str) -> None:
    event = sample(name, "we\0b", 1.0)
    assert json.loads(event.as_json())["event"] == name
    assert event.environment()["DOCKWARDEN_EVENT"] == name
    assert not any("\0" in value for value in event.environment().values())


def test_what_is_a_hook(tmp_path: Path) -> None:
    folder = tmp_path / "hooks.d"
    script(folder / "10-all", "true")
    script(folder / "unit.restarted" / "mail", "true")
    script(folder / ".hidden", "true")
    script(folder / "left~", "true")
    script(folder / "README", "true").chmod(0o644)
    script(folder / "open", "true").chmod(0o777)
    found = find(folder)
    assert [(hook.name, hook.asks) for hook in found.hooks] == [
        ("10-all", ""),
        ("unit.restarted/mail", "unit.restarted"),
    ]
    assert [name for name, _ in found.refused] == ["open"]
    assert find(tmp_path / "nowhere").hooks == ()


def test_there_is_an_end_to_hooks(tmp_path: Path) -> None:
    for number in range(MOST + 1):
        script(tmp_path / f"{number:03}", "true")
    found = find(tmp_path)
    assert len(found.hooks) == MOST
    assert [name for name, _ in found.refused] == [f"{MOST:03}"]


class Bench:
    """Hooks of a folder, and a world that they look at."""

    def __init__(self, folder: Path) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.ended = asyncio.Event()
        self.story = up()
        self.hooks = HookRunner(folder, self._count, SILENT, lambda: 1.0, OFF)

    def _count(self, hook: str, outcome: str, _seconds: float) -> None:
        self.counts[hook, outcome] += 1
        self.ended.set()

    def crash(self) -> None:
        event = fact.ContainerDied(UnitName("web"), self.story.id("web"), 3)
        self.story.feed(event)
        assert self.story.last is not None
        self.hooks.observe(Entry(event, "c-1", Instant(0)), Moment(Instant(0), 0.5, "c-1", 1), self.story.last)
        self.story.feed(fact.ContainerStarted(UnitName("web"), self.story.id("web")))

    async def until(self, hook: str, outcome: str, number: int) -> None:
        async with asyncio.timeout(30):
            while self.counts[hook, outcome] < number:
                self.ended.clear()
                await self.ended.wait()


def test_an_executable_reads_the_event(tmp_path: Path) -> None:
    script(tmp_path / "d" / "unit.died" / "note", f'cat > {tmp_path}/told; echo "$DOCKWARDEN_UNIT" > {tmp_path}/unit')

    async def main() -> None:
        bench = Bench(tmp_path / "d")
        bench.crash()
        await bench.until("unit.died/note", "done", 1)
        await bench.hooks.close()

    asyncio.run(main())
    told = json.loads((tmp_path / "told").read_text())
    assert (told["event"], told["unit"], told["exit_code"]) == ("unit.died", "web", 3)
    assert (tmp_path / "unit").read_text() == "web\n"


def test_one_that_hangs_delays_no_other_and_loses_only_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PATIENCE", 0.2)
    script(tmp_path / "d" / "unit.died" / "hangs", "exec sleep 1000")
    script(tmp_path / "d" / "unit.died" / "works", "true")

    async def main() -> Bench:
        bench = Bench(tmp_path / "d")
        for _ in range(QUEUE + 3):
            bench.crash()
        await bench.until("unit.died/works", "done", 1)
        await bench.until("unit.died/hangs", "failed", 1)
        await bench.hooks.close()
        return bench

    bench = asyncio.run(main())
    assert bench.counts["unit.died/hangs", "dropped"] >= 1
    row = next(row for row in bench.hooks.listed() if row["name"] == "unit.died/hangs")
    assert row["last_error"] == "did not end within 0.2 s"


def test_one_that_fails_is_left_alone_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hooks.circuit.REST", 0.05)
    script(tmp_path / "d" / "unit.died" / "bad", "echo why; exit 3")

    async def main() -> None:
        bench = Bench(tmp_path / "d")
        for _ in range(FAILURES + 1):
            bench.crash()
        await bench.until("unit.died/bad", "failed", FAILURES)
        assert bench.hooks.listed()[0]["state"] == "resting"
        assert bench.hooks.listed()[0]["last_error"] == "exit code 3: why"
        await bench.until("unit.died/bad", "failed", FAILURES + 1)
        await bench.hooks.close()

    asyncio.run(main())


def test_a_flood_is_read_by_sips_and_a_long_story_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of ``yes`` costs the loop a few dozen reads; and who has much to say is not taken for hanging."""
    pieces: list[int] = []
    receive = command._Talk.pipe_data_received

    def counted(self: command._Talk, fd: int, data: bytes) -> None:
        pieces.append(len(data))
        receive(self, fd, data)

    monkeypatch.setattr(command._Talk, "pipe_data_received", counted)
    flood = script(tmp_path / "flood", "exec timeout 0.5 yes")
    story = script(tmp_path / "story", "head -c 1000000 /dev/zero | tr '\\0' x")

    async def main() -> tuple[tuple[int, str], tuple[int, str]]:
        told = await command.outcome([str(story)], {}, "", 10)
        pieces.clear()
        return told, await command.outcome([str(flood)], {}, "", 10)

    (code, said), (killed, _) = asyncio.run(main())
    assert (code, said) == (0, "x" * command.KEPT)
    assert killed == 124
    assert len(pieces) < 120


def test_at_the_end_what_runs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pids")
    script(tmp_path / "d" / "unit.died" / "long", f"sleep 1000 & echo $$ $! > {tmp_path}/pids; wait")

    async def main() -> list[int]:
        bench = Bench(tmp_path / "d")
        bench.crash()
        pids = await asyncio.to_thread((tmp_path / "pids").read_text)
        await bench.hooks.close()
        return [int(pid) for pid in pids.split()]

    assert [is_gone(pid) for pid in asyncio.run(main())] == [True, True]


def is_gone(pid: int) -> bool:
    """Or goes: one that was killed lets its files go a moment before it ends."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 5)[0])
    finally:
        os.close(process)


def test_one_that_has_ended_before_it_was_spoken_to_is_no_defect_of_ours() -> None:
    """Its pipe is gone then; on a real engine that once ended the supervisor."""

    class Ended(asyncio.SubprocessTransport):
        def get_pipe_transport(self, fd: int) -> None:  # noqa: ARG002
            return None

    command._say(Ended(), b"event")


def test_reload_finds_new_ones_and_forgets_old_ones(tmp_path: Path) -> None:
    old = script(tmp_path / "d" / "old", "true")

    async def main() -> list[str]:
        hooks = HookRunner(tmp_path / "d", lambda *_: None, SILENT, lambda: 1.0, OFF)
        old.unlink()
        script(tmp_path / "d" / "new", "true")
        hooks.reload()
        await hooks.close()
        return [row["name"] for row in hooks.listed()]

    assert asyncio.run(main()) == ["new"]


def test_trying_out_tells_who_failed(tmp_path: Path) -> None:
    script(tmp_path / "d" / "unit.*" / "bad", "exit 1")
    script(tmp_path / "d" / "good", "true")
    script(tmp_path / "d" / "engine.lost" / "other", "exit 1")

    async def main() -> list[dict[str, str]]:
        hooks = HookRunner(tmp_path / "d", lambda *_: None, SILENT, lambda: 1.0, OFF)
        try:
            return await hooks.test("unit.restarted", "web")
        finally:
            await hooks.close()

    told = [(row["hook"], row["error"]) for row in asyncio.run(main())]
    assert told == [("good", ""), ("unit.*/bad", "exit code 1")]
