"""Why a unit stands where it stands: the chain from the first fact, over other units, to the way out."""

import json
from dataclasses import replace

import pytest
import structlog

from supervisor.journal.journal import Journal
from supervisor.journal.why import CALM, why
from tests.pure.test_journal import BOX, CONSOLE, DOCKER, Story, spec
from units import events as fact
from units.spec import ContainerId, Dependency, UnitName, Via


def test_why_leads_from_the_engine_s_fact_to_the_present_state() -> None:
    """The chain has the fact with its exit code, the engine's own stamp, and the decision."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.ContainerDied(CONSOLE, BOX, 0))
    story.tell(fact.ContainerDied(CONSOLE, BOX, 137), engine_ns=1_700_000_000_250_000_000)
    told = why(story.journal, story.world, CONSOLE)
    assert json.loads(json.dumps(told)) == told
    assert told["unit"]["state"] == "backoff"
    assert told["next_try"] == "2023-11-14T22:13:20.800Z"
    assert told["chain"][-1]["fact"] == "ContainerDied exit_code=137"
    assert told["chain"][-1]["engine_time"] == "2023-11-14T22:13:20.250Z"
    assert told["chain"][-1]["reason"] == told["unit"]["reason"]
    assert told["chain"][-2]["rule"] == "restart.backoff"
    assert told["chain"][-3]["fact"] == "ContainerDied exit_code=0"
    assert [link["seq"] for link in told["chain"]] == sorted(link["seq"] for link in told["chain"])


def test_why_shows_the_peer_that_pushed_a_unit() -> None:
    """A dependent that starts because another is up shows that other's record, and not the rest of the host's."""
    story = Story(spec(CONSOLE), spec(DOCKER, CONSOLE), spec(UnitName("other")))
    story.boot()
    story.up()
    told = why(story.journal, story.world, DOCKER)
    assert told["chain"][-1]["fact"] == "ContainerStarted of console"
    assert {link.get("unit", "") for link in told["chain"]} <= {"docker", "console", ""}


def test_why_of_a_crash_loop_says_the_way_out() -> None:
    """When it is tried again, and the command that does so now."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.crash(8)
    told = why(story.journal, story.world, CONSOLE)
    assert told["unit"]["state"] == "crash-loop"
    assert "`dockwarden reset-failed console`" in told["next"]
    assert told["next_try"] is not None


def test_why_of_an_unknown_unit_is_a_key_error() -> None:
    """Who asks has looked the name up."""
    with pytest.raises(KeyError):
        why(Story().journal, Story().world, CONSOLE)


def test_a_story_begins_after_the_last_calm() -> None:
    """What happened before ten minutes of rest is another story; --since still tells it."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    before = len(story.journal.records("console"))
    story.now += CALM + 1
    story.tell(fact.ContainerDied(CONSOLE, BOX, 1))
    told = why(story.journal, story.world, CONSOLE)
    assert told["earlier"] == before
    assert told["chain"][0]["rule"] == "restart.immediate"
    assert why(story.journal, story.world, CONSOLE, 0)["chain"][0]["event"] == "engine.back"


def test_the_fall_of_a_peer_is_told_with_its_decision() -> None:
    """The chain of one that was brought back in step begins with what befell the other."""
    friend = replace(spec(DOCKER), dependencies=(Dependency(CONSOLE, Via.NET),))
    story = Story(spec(CONSOLE), friend, spec(UnitName("other")))
    story.boot()
    story.up()
    story.up(DOCKER, ContainerId("d" * 64))
    story.now += CALM
    story.tell(fact.ContainerDied(CONSOLE, BOX, 1))
    story.tell(fact.ContainerStarted(CONSOLE, BOX))
    chain = why(story.journal, story.world, DOCKER)["chain"]
    assert [(one["unit"], one.get("rule") or one.get("after")) for one in chain] == [
        ("console", "restart.immediate"),
        ("console", "starting"),
        ("console", "ready"),
        ("docker", "relink.net"),
        ("docker", "stopping"),
    ]


def test_the_host_s_events_between_its_own_are_in_the_chain() -> None:
    """An engine that went away explains what a snapshot found afterwards; a supervisor's start is told, too."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.now += CALM
    story.tell(fact.EngineLost("connection refused"))
    story.tell(fact.EngineBack("26.1"))
    story.tell(fact.SnapshotTaken((fact.Observed(CONSOLE, BOX, "console", running=False, created=False),), "connect"))
    chain = why(story.journal, story.world, CONSOLE)["chain"]
    assert [one.get("rule") or one["event"] for one in chain][:3] == ["engine.lost", "engine.back", "restart.immediate"]


def test_an_engine_that_is_away_now_is_the_end_of_the_chain() -> None:
    """It has moved no unit yet, and is what everybody wants to know."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.EngineLost("connection refused"))
    last = why(story.journal, story.world, CONSOLE)["chain"][-1]
    assert (last["event"], last["reason"]) == ("engine.lost", "connection refused")


def test_yesterday_s_story_is_told_by_today_s_supervisor() -> None:
    """The records of the one before are part of the chain, and where it ended is."""
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    story.tell(fact.ContainerDied(CONSOLE, BOX, 137))
    story.journal = Journal(structlog.get_logger(), story.journal.wall, kept=story.journal.records())
    story.journal.begin("version 2", story.journal.wall(story.now))  # type: ignore[arg-type]
    story.tell(fact.ContainerStarted(CONSOLE, BOX))
    chain = why(story.journal, story.world, CONSOLE)["chain"]
    assert [one.get("rule") or one.get("restart") or one["event"] for one in chain][-4:] == [
        "restart.immediate",
        "unit.transition",
        "supervisor.started",
        "exit",
    ]


def test_one_that_waits_says_how_those_ahead_of_it_are() -> None:
    story = Story(spec(CONSOLE), spec(DOCKER, CONSOLE), spec(UnitName("other")))
    story.boot()
    told = why(story.journal, story.world, DOCKER)["waits_for"]
    assert [(one["unit"], one["state"]) for one in told] == [("console", "creating")]
    assert why(story.journal, story.world, CONSOLE)["waits_for"] == []
