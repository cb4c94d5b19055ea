"""System Docker as people see it: status, why, log, hooks, metrics and refusals, and no unit is mistaken for it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from hooks import happenings
from metrics import Metrics
from supervisor.journal.journal import Journal
from supervisor.journal.why import why
from supervisor.views.status import Context, status
from tests.harness import Harness, short_directory
from tests.pure.story import Story, needs, spec
from units import engine_events
from units import events as fact
from units.kernel import react
from units.links import check
from units.machine import Moment
from units.quantities import Instant
from units.records import replace
from units.spec import SYSTEM_DOCKER, UnitName
from units.world import Entry, Reaction, fresh_engine


class Seen:
    """A host with an engine of ours, and those who look on."""

    def __init__(self) -> None:
        self.world = replace(Story.of(spec("web")).world, engine=fresh_engine(Instant(0), ours=True))
        self.journal = Journal(structlog.get_logger(), lambda instant: 1_700_000_000 + instant)
        self.metrics = Metrics(wall=lambda: 1_700_000_000.0, now=lambda: 0.0, world=lambda: self.world)
        self.hooks: list[tuple[str, str]] = []
        self.seq = 0

    def tell(self, event: fact.Event) -> Reaction:
        self.seq += 1
        moment = Moment(Instant(float(self.seq)), 0.5, f"b-{self.seq}", self.seq)
        reaction = react(self.world, event, moment)
        self.world = reaction.world
        entry = Entry(event, moment.cause, moment.now)
        self.journal.observe(entry, moment, reaction)
        self.metrics.observe(entry, moment, reaction)
        told = happenings.happenings(event, reaction, moment.cause, 0.0)
        self.hooks += [(one.name, one.unit) for one in told if isinstance(one, happenings.UnitMoved)]
        return reaction

    def fall(self) -> None:
        """Started, served, killed, and started again."""
        self.tell(engine_events.DaemonAbsent(SYSTEM_DOCKER))
        self.tell(engine_events.DaemonStarted(SYSTEM_DOCKER, 7))
        self.tell(fact.EngineBack("26.1"))
        self.tell(fact.SnapshotTaken((), "connect"))
        self.tell(engine_events.DaemonEnded(SYSTEM_DOCKER, 7, 137, "no space left"))
        self.tell(fact.RetryDue(SYSTEM_DOCKER, self.world.engine.token))
        self.tell(engine_events.DaemonStarted(SYSTEM_DOCKER, 8))

    def page(self) -> str:
        return b"".join(self.metrics.render()[1]).decode()


@pytest.fixture(autouse=True)
def _plain_structlog() -> Any:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_its_death_is_a_warning_and_its_restart_says_why() -> None:
    seen = Seen()
    with capture_logs() as lines:
        seen.fall()
    moves = [line for line in lines if line["event"] == "unit.transition" and line["unit"] == "system-docker"]
    assert [(line["log_level"], line["before"], line["after"]) for line in moves] == [
        ("info", "absent", "starting"),
        ("info", "starting", "serving"),
        ("warning", "serving", "lost"),
        ("info", "lost", "starting"),
        ("info", "starting", "starting"),
    ]
    assert (moves[2]["exit_code"], moves[4]["restart"], moves[4]["restarts"]) == (137, "exit", 1)
    assert "no space left" in moves[2]["reason"]
    decided = [line["rule"] for line in lines if line["event"] == "unit.decision" and line["unit"] == "system-docker"]
    assert decided == ["restart.immediate"]


def test_a_process_that_runs_and_does_not_answer_is_hung_until_it_answers() -> None:
    """Its stream has ended, and its own end is not reported within a second: no process is started beside it."""
    host = Seen()
    for event in (
        engine_events.DaemonAbsent(SYSTEM_DOCKER),
        engine_events.DaemonStarted(SYSTEM_DOCKER, 7),
        fact.EngineBack("26.1"),
        fact.SnapshotTaken((), "connect"),
        fact.EngineLost("the stream has ended"),
    ):
        host.tell(event)
    reaction = host.tell(fact.VerdictDue(SYSTEM_DOCKER, host.world.engine.token))
    assert (host.world.engine.phase.value, host.world.engine.pid) == ("hung", 7)
    assert reaction.commands == ()
    host.tell(fact.EngineBack("26.1"))
    host.tell(fact.SnapshotTaken((), "connect"))
    assert host.world.engine.phase.value == "serving"


def test_why_tells_its_story() -> None:
    seen = Seen()
    seen.fall()
    told = why(seen.journal, seen.world, SYSTEM_DOCKER)
    assert (told["unit"]["state"], told["unit"]["restarts"]) == ("starting", 1)
    assert told["next"] == "it answers on its socket, or its process ends"
    assert [one["after"] for one in told["chain"] if one["event"] == "unit.transition"][-3:] == [
        *("lost", "starting", "starting"),
    ]


def test_hooks_are_told_as_of_a_unit() -> None:
    seen = Seen()
    seen.fall()
    assert [name for name, unit in seen.hooks if unit == "system-docker"] == [
        *("unit.transition", "unit.transition", "unit.ready"),
        *("unit.transition", "unit.died", "unit.transition", "unit.transition", "unit.restarted"),
    ]


def test_it_has_series_of_its_own_and_none_of_a_unit() -> None:
    """So that no alert about units fires for it beside the one about the engine."""
    seen = Seen()
    seen.fall()
    page = seen.page()
    assert 'dockwarden_engine_state{state="starting"} 1.0' in page
    assert 'dockwarden_engine_state{state="serving"} 0.0' in page
    assert 'dockwarden_engine_restarts_total{reason="exit"} 1.0' in page
    assert "dockwarden_engine_crash_loop 0.0" in page
    assert 'unit="system-docker"' not in page
    assert "dockwarden_units 1.0" in page


def test_status_shows_it_beside_the_units() -> None:
    seen = Seen()
    seen.fall()
    told = status(seen.world, Context("embedded", "unix:///x", lambda instant: instant, 0.0))
    assert [row["name"] for row in told["units"]] == ["web"]
    engine = told["engine"]
    assert (engine["unit"]["name"], engine["unit"]["kind"], engine["unit"]["state"]) == (
        *("system-docker", "system-docker", "starting"),
    )
    assert engine["daemon_pid"] == 8
    assert engine["daemon"].startswith("starting: dockerd (pid 8) restarted after: ")


def test_it_can_be_asked_for_and_not_be_moved() -> None:
    """Its row and its why are answered; stop, start and restart are refused with words."""

    async def scene(run_dir: Path) -> None:
        async with Harness(run_dir, spec("web")) as harness:
            code, row = await asked(harness, "GET", "/v1/units/system-docker")
            assert (code, row["state"]) == (200, "serving")
            code, told = await asked(harness, "GET", "/v1/units/system-docker/why")
            assert (code, told["unit"]["name"]) == (200, "system-docker")
            for verb in ("start", "stop", "restart", "reset-failed"):
                code, refused = await asked(harness, "POST", f"/v1/units/system-docker/{verb}")
                assert code == 409, verb
                assert "by hand" in refused["error"]

    with short_directory() as run_dir:
        asyncio.run(scene(run_dir))


async def asked(harness: Harness, method: str, path: str) -> tuple[int, Any]:
    reader, writer = await asyncio.open_unix_connection(str(harness.run_dir / "control.sock"))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_no_unit_can_depend_on_it() -> None:
    """All units wait for the engine anyway."""
    found = check([spec("web", needs("system-docker"))])
    assert found.errors == ("web: links: system-docker is no unit; every unit waits for it anyway: leave it out",)
    assert check([spec("web", needs("system-docker")), spec("system-docker")]).errors == ()


def test_a_watched_container_of_its_name_moves_alone() -> None:
    """The engine's timers, records and orders go by another name."""
    story = Story.of(spec("system-docker"), spec("engine"))
    story.world = replace(
        story.world, watching=True, engine=fresh_engine(Instant(0), ours=False, name=UnitName("@engine"))
    )
    story.connect()
    assert story.world.engine.phase == "serving"
    story.feed(fact.EngineLost("gone"))
    assert story.world.engine.phase == "lost"
    assert {"system-docker", "engine"} == set(story.world.units)
    assert story.last is not None
    assert [moved.after.name for moved in story.last.engine] == ["@engine"]
