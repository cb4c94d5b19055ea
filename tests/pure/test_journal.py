"""Each transition is told once, remembered for a while, and leads back to what caused it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from supervisor.journal.journal import Journal
from supervisor.journal.reaction_writer import in_words
from supervisor.journal.record import QUEUE, Dropped, Record
from supervisor.journal.store import GAP, KEPT, KEPT_PER_UNIT
from units import events as fact
from units.health import Check, Health, Tcp
from units.kernel import react
from units.links import check
from units.machine import Moment
from units.quantities import Instant
from units.spec import (
    ContainerId,
    Dependency,
    HealPolicy,
    Kind,
    OnUnhealthy,
    Policy,
    RestartPolicy,
    UnitName,
    UnitSpec,
    Via,
)
from units.world import Entry, Reaction, World, fresh_unit, new_world

CONSOLE, DOCKER = UnitName("console"), UnitName("docker")
BOX = ContainerId("c" * 64)


def spec(name: UnitName, *needs: UnitName) -> UnitSpec:
    return UnitSpec(
        name,
        Kind.SERVICE,
        f"os-{name}",
        "{}",
        "abc",
        dependencies=tuple(Dependency(need, Via.DEPENDS_ON) for need in needs),
        restart=RestartPolicy(Policy.ALWAYS),
    )


class Story:
    """A world, a journal, and what has happened to both."""

    def __init__(self, *specs: UnitSpec) -> None:
        links = check(specs).links
        self.world: World = new_world([fresh_unit(one, Instant(0), "") for one in specs], links)
        self.journal = Journal(structlog.get_logger(), lambda instant: 1_700_000_000 + instant)
        self.now, self.seq = 0.0, 0

    def tell(self, event: fact.Event, engine_ns: int = 0) -> Reaction:
        self.now += 0.1
        self.seq += 1
        moment = Moment(Instant(self.now), 0.5, f"b-{self.seq}", self.seq)
        reaction = react(self.world, event, moment)
        self.world = reaction.world
        self.journal.observe(Entry(event, moment.cause, moment.now, engine_ns), moment, reaction)
        return reaction

    def boot(self) -> None:
        self.tell(fact.EngineBack("26.1"))
        self.tell(fact.SnapshotTaken((), "connect"))

    def up(self, name: UnitName = CONSOLE, box: ContainerId = BOX) -> None:
        self.tell(fact.ContainerCreated(name, box, "abc"))
        self.tell(fact.ContainerStarted(name, box))

    def crash(self, times: int) -> None:
        for _ in range(times):
            self.tell(fact.ContainerDied(CONSOLE, BOX, 1))
            token = self.world.units[CONSOLE].token
            if self.world.units[CONSOLE].phase == "backoff":
                self.tell(fact.RetryDue(CONSOLE, token))
            if self.world.units[CONSOLE].phase == "crash-loop":
                return
            self.tell(fact.ContainerStarted(CONSOLE, BOX))


@pytest.fixture(autouse=True)
def _plain_structlog() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def of(lines: list[Any], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


def test_each_transition_is_one_line(lines: list[Any]) -> None:
    """From waiting to ready: creating, starting, ready, each with its cause and its number."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    told = of(lines, "unit.transition")
    assert [(line["before"], line["after"], line["on"]) for line in told] == [
        ("connecting", "serving", "EngineAnswered"),
        ("waiting", "creating", "PeerChanged"),
        ("creating", "starting", "ContainerCreated"),
        ("starting", "ready", "ContainerStarted"),
    ]
    assert told[3] == {
        "event": "unit.transition",
        "log_level": "info",
        "unit": "console",
        "before": "starting",
        "after": "ready",
        "state": "ready",
        "reason": story.world.units[CONSOLE].reason,
        "cause": story.world.units[CONSOLE].cause,
        "on": "ContainerStarted",
        "happened": "started",
        "incarnation": 1,
        "seq": 5,
        "container": "c" * 12,
        "restarts": 0,
    }


def test_a_death_tells_its_exit_code_and_the_restart_its_reason(lines: list[Any]) -> None:
    """The line of the restart says why it is one."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.ContainerDied(CONSOLE, BOX, 137))
    last = of(lines, "unit.transition")[-1]
    assert (last["after"], last["exit_code"], last["log_level"]) == ("starting", 137, "warning")
    assert last["happened"] == "died (exit code 137)"
    assert of(lines, "unit.restarted") == []
    story.tell(fact.ContainerStarted(CONSOLE, BOX))
    last = of(lines, "unit.transition")[-1]
    assert (last["after"], last["restart"], last["restarts"], last["log_level"]) == ("ready", "exit", 1, "info")
    (restarted,) = of(lines, "unit.restarted")
    assert {key: restarted[key] for key in ("unit", "restart", "restarts", "reason", "seq")} == {
        "unit": "console",
        "restart": "exit",
        "restarts": 1,
        "reason": "restarted after: killed by SIGKILL (exit code 137)",
        "seq": last["seq"],
    }
    story.tell(fact.ContainerDied(CONSOLE, BOX, 3))
    last = of(lines, "unit.transition")[-1]
    assert (last["after"], last["exit_code"]) == ("backoff", 3)


def test_a_stop_is_no_warning_and_an_oom_says_so(lines: list[Any]) -> None:
    """A crash is one; the line of a death by OOM has the word in it."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.StopAsked(CONSOLE))
    story.tell(fact.ContainerDied(CONSOLE, BOX, 143))
    assert {line["log_level"] for line in of(lines, "unit.transition")} == {"info"}
    story.tell(fact.StartAsked(CONSOLE))
    story.tell(fact.ContainerStarted(CONSOLE, BOX))
    story.tell(fact.ContainerOomed(CONSOLE, BOX))
    assert (of(lines, "unit.fact")[-1]["log_level"], of(lines, "unit.fact")[-1]["happened"]) == ("warning", "OOM kill")
    story.tell(fact.ContainerDied(CONSOLE, BOX, 137))
    last = of(lines, "unit.transition")[-1]
    assert (last["reason"], last["log_level"]) == ("OOM-killed (exit code 137)", "warning")


def test_a_crash_loop_is_a_warning(lines: list[Any]) -> None:
    """What a person should look at stands out."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.crash(8)
    last = of(lines, "unit.transition")[-1]
    assert (last["after"], last["log_level"]) == ("crash-loop", "warning")


def test_the_world_s_events_are_told(lines: list[Any]) -> None:
    """Engine, configuration, shutdown; and a snapshot that corrected nothing only for who debugs."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.SnapshotTaken((fact.Observed(CONSOLE, BOX, "console", running=True, created=False),), "period"))
    story.tell(fact.SnapshotTaken((fact.Observed(CONSOLE, BOX, "console", running=False, created=False),), "doubt"))
    story.tell(fact.EngineLost("connection refused"))
    story.tell(fact.ConfigRefused("services: no image"))
    story.tell(fact.ShutdownAsked("SIGTERM", story.world.units[CONSOLE].spec.stop.timeout))
    levels = [(line["event"], line["log_level"]) for line in lines if not line["event"].startswith(("unit.", "order."))]
    assert levels == [
        ("engine.back", "info"),
        ("snapshot.taken", "debug"),
        ("snapshot.taken", "debug"),
        ("snapshot.taken", "info"),
        ("incident.opened", "warning"),
        ("engine.lost", "warning"),
        ("incident.opened", "warning"),
        ("config.refused", "error"),
        ("supervisor.notice", "warning"),
        ("shutdown.asked", "info"),
    ]


def test_orders_are_told_at_debug(lines: list[Any]) -> None:
    """Each order names its unit and its cause."""
    story = Story(spec(CONSOLE))
    story.boot()
    first = of(lines, "order.given")[0]
    assert (first["order"], first["unit"], first["log_level"]) == ("CreateContainer", "console", "debug")
    assert first["cause"] == story.world.units[CONSOLE].cause


def test_a_refused_wish_is_told(lines: list[Any]) -> None:
    """Who asked in vain finds it in the log."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.StartAsked(CONSOLE, 1))
    assert of(lines, "unit.fact")[-1]["refused"].startswith("console is ready")


def test_records_can_be_read_by_unit_and_from_a_number_on() -> None:
    """What a follower missed, it asks for by the last number that it saw."""
    story = Story(spec(CONSOLE), spec(DOCKER, CONSOLE))
    story.boot()
    story.up()
    everything = story.journal.records()
    assert [record.seq for record in everything] == list(range(1, len(everything) + 1))
    assert {record.unit for record in story.journal.records("docker")} == {"docker"}
    assert story.journal.records(after_seq=3) == everything[3:]
    assert story.journal.records("nobody") == []


def test_memory_is_bounded_and_a_quiet_unit_is_not_forgotten() -> None:
    """4096 records in all, 64 a unit, and those of a unit that rarely moves outlive its neighbour's storm."""
    story = Story(spec(CONSOLE), spec(DOCKER))
    story.boot()
    story.up(DOCKER, ContainerId("d" * 64))
    story.up()
    for _ in range(KEPT):
        story.tell(fact.ContainerKilled(CONSOLE, BOX, 1))
    assert len(story.journal.records()) == KEPT
    assert len(story.journal.records("console")) == KEPT_PER_UNIT
    assert story.journal.records("docker")[-1].after == "ready"


def test_every_line_about_a_unit_can_be_placed() -> None:
    """Also one that somebody else writes: of which run, after which record, of what cause."""
    story = Story(spec(CONSOLE))
    assert story.journal.about(CONSOLE) == {}
    story.boot()
    story.up()
    unit = story.world.units[CONSOLE]
    assert story.journal.about(CONSOLE) == {"cause": unit.cause, "incarnation": 1, "seq": 5}
    story.crash(1)
    assert story.journal.about(CONSOLE)["incarnation"] == 2
    assert story.journal.records(CONSOLE)[-1].as_dict()["incarnation"] == 2


def test_what_falls_together_says_so_in_each_record(lines: list[Any]) -> None:
    """From the first fall to the last, and again when it is over, with all that fell."""
    story = Story(spec(CONSOLE), replace(spec(DOCKER), dependencies=(Dependency(CONSOLE, Via.NET),)))
    story.boot()
    story.up()
    story.up(DOCKER, ContainerId("d" * 64))
    story.now += 60
    story.tell(fact.ContainerDied(CONSOLE, BOX, 137))
    story.tell(fact.ContainerStarted(CONSOLE, BOX))
    opened = of(lines, "incident.opened")[0]
    story.tell(fact.ContainerDied(DOCKER, ContainerId("d" * 64), 0))
    story.tell(fact.ContainerStarted(DOCKER, ContainerId("d" * 64)))
    assert story.journal.about(DOCKER)["incident"] == opened["incident"]
    told = {
        (record.unit, record.incident) for record in story.journal.records() if record.incarnation and record.incident
    }
    assert told == {(CONSOLE, opened["incident"]), (DOCKER, opened["incident"])}
    for _ in range(2):
        story.now += 11
        story.tell(fact.ConfigRefused("why"))
    closed = of(lines, "incident.closed")[0]
    assert (closed["incident"], closed["units"], closed["unit"]) == (opened["incident"], [CONSOLE, DOCKER], CONSOLE)
    assert "incident" not in story.journal.about(DOCKER)


def test_a_restart_names_its_decision_and_a_decision_its_rule() -> None:
    """The decision stands before the transition that it led to; the restart that comes of it points back."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.ContainerDied(CONSOLE, BOX, 137))
    story.tell(fact.ContainerStarted(CONSOLE, BOX))
    decision, died, opened, started = story.journal.records("console")[-4:]
    assert (opened.event, opened.incident) == ("incident.opened", decision.cause)
    assert (decision.event, decision.rule, decision.outcome, decision.restart) == (
        "unit.decision",
        "restart.immediate",
        "start it at once",
        "exit",
    )
    assert decision.as_dict()["inputs"]["exit_code"] == 137
    assert (died.after, died.decision) == ("starting", 0)
    assert (started.restart, started.decision) == ("exit", decision.seq)


def test_what_is_put_off_again_and_again_is_told_once() -> None:
    """A unit that is looked at every five seconds must not push its own past out of memory."""
    sick = replace(spec(CONSOLE), checks=(Check("live", Tcp(80)),), heal=HealPolicy(OnUnhealthy.NONE))
    story = Story(sick)
    story.boot()
    story.up()
    for _ in range(10):
        story.tell(fact.HealthReported(CONSOLE, BOX, Health.UNHEALTHY, "live"))
    rules = [record.rule for record in story.journal.records("console") if record.rule]
    assert rules == ["heal.withhold"]


def test_the_records_of_the_supervisor_before_go_on_after_a_gap() -> None:
    """Their numbers are not used again, also those that it may not have written; a restart finds its decision."""
    first = Story(spec(CONSOLE))
    first.boot()
    first.up()
    first.tell(fact.ContainerDied(CONSOLE, BOX, 137))
    kept = first.journal.records()
    first.journal = Journal(structlog.get_logger(), lambda instant: 1_700_000_000 + instant, kept=kept)
    first.journal.begin("version 1", 1_700_000_001)
    first.tell(fact.ContainerStarted(CONSOLE, BOX))
    records = first.journal.records()
    assert records[: len(kept)] == kept
    assert records[len(kept)].seq == kept[-1].seq + GAP + 1
    assert (records[-1].restart, records[-1].decision) == ("exit", kept[-3].seq)
    assert kept[-3].rule == "restart.immediate"


def test_facts_are_told_in_words() -> None:
    """Name and fields, without what says nothing; an exit code of 0 says something."""
    assert in_words(fact.ContainerDied(CONSOLE, BOX, 0)) == "ContainerDied exit_code=0"
    assert in_words(fact.ContainerDied(CONSOLE, BOX, 137, oom=True)) == "ContainerDied exit_code=137 oom"
    assert in_words(fact.HealthReported(CONSOLE, BOX, Health.HEALTHY)) == "HealthReported health=healthy"
    assert in_words(fact.StopAsked(CONSOLE, 5)) == "StopAsked by=person"
    assert in_words(fact.SnapshotTaken((), "doubt")) == "SnapshotTaken trigger=doubt containers=0"
    assert in_words(fact.ContainerStarted(CONSOLE, BOX)) == "ContainerStarted"
    assert in_words(fact.SpecChanged(CONSOLE, spec(CONSOLE))) == "SpecChanged"
    assert in_words(fact.ConfigRead((spec(CONSOLE),))) == "ConfigRead units=1"


def test_a_follower_sees_what_comes_in_order() -> None:
    """From the subscription on, each record once; closing ends the iteration."""

    async def follow() -> list[str]:
        story = Story(spec(CONSOLE))
        story.boot()
        seen: list[str] = []
        with story.journal.subscribe() as coming:
            story.up()
            story.journal.close()
            async for item in coming:
                assert isinstance(item, Record)
                seen.append(item.after)
        return seen

    assert asyncio.run(follow()) == ["starting", "ready"]


def test_a_slow_follower_loses_the_oldest_and_is_told_how_many() -> None:
    """The queue never grows beyond its bound, and supervision never waits."""

    async def follow() -> tuple[object, object, int]:
        story = Story(spec(CONSOLE))
        story.boot()
        story.up()
        with story.journal.subscribe() as coming:
            for _ in range(QUEUE + 3):
                story.tell(fact.ContainerKilled(CONSOLE, BOX, 1))
            story.journal.close()
            items = [item async for item in coming]
        return items[0], items[1], len(items)

    dropped, first, count = asyncio.run(follow())
    assert dropped == Dropped(3)
    assert isinstance(first, Record)
    assert first.seq == 5 + 3 + 1
    assert count == QUEUE + 1


def test_a_follower_that_left_is_forgotten() -> None:
    """Leaving the block frees its queue."""
    story = Story(spec(CONSOLE))
    with story.journal.subscribe():
        assert len(story.journal._followers) == 1
    assert not story.journal._followers


def test_empty_fields_are_left_out_of_a_record_s_json() -> None:
    """But an exit code of 0 and no restarts are said."""
    record = Record(seq=1, time=0, event="unit.transition", exit_code=0, restarts=0)
    assert record.as_dict() == {
        "seq": 1,
        "time": "1970-01-01T00:00:00.000Z",
        "event": "unit.transition",
        "level": "info",
        "taken": 0,
        "exit_code": 0,
        "restarts": 0,
    }
    assert replace(record, engine_ns=1_000_000_000).as_dict()["engine_time"] == "1970-01-01T00:00:01.000Z"
