"""What an engine that was killed, and is started again without live-restore, does of itself is nobody's stop."""

from dataclasses import replace

import pytest

from tests.pure.story import Story, seen, spec
from units import events as fact
from units.health import Health
from units.quantities import Seconds
from units.spec import Kind, Policy, UnitName
from units.unit import Failure, Phase, StoppedBy

ORDERS = pytest.mark.parametrize("order", ["kill die stop", "kill stop die"])
"""20.10's and 26.1's."""


def up(policy: Policy, kind: Kind = Kind.SERVICE) -> Story:
    story = Story.of(spec("web", policy=policy, kind=kind))
    story.connect()
    story.up("web").later(60)
    return story


def cleared(story: Story, order: str, code: int = 0) -> None:
    """The engine is killed; the next one ends what it finds, before it serves."""
    story.feed(fact.EngineLost("events: the connection was cut"))
    story.later(5).feed(fact.EngineBack("26.1"))
    web, ident = UnitName("web"), story.id("web")
    for word in order.split():
        match word:
            case "kill":
                story.feed(fact.ContainerKilled(web, ident, 15, unserved=True))
            case "die":
                story.died("web", code)
            case _:
                story.feed(fact.ContainerStopped(web, ident, unserved=True))


@ORDERS
@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("kind", [Kind.SERVICE, Kind.ONESHOT, Kind.CONSOLE])
def test_what_the_engine_ended_at_its_start_is_started_again(order: str, policy: Policy, kind: Kind) -> None:
    """Whatever its restart policy and its exit code, free of charge, and as soon as the engine serves."""
    story = up(policy, kind)
    cleared(story, order)
    unit = story.unit("web")
    assert (unit.phase, unit.wanted, unit.reason) == (Phase.WAITING, True, "waiting for the engine")
    told = story.feed(fact.SnapshotTaken((seen("web", running=False),), "connect", story.seq))
    assert "start web-1" in told
    assert story.unit("web").budget.failures == 0


@ORDERS
def test_a_person_s_stop_that_was_under_way_stays_one(order: str) -> None:
    """The signal came before the engine's end."""
    story = up(Policy.ALWAYS)
    story.killed("web", 15)
    cleared(story, order)
    assert story.unit("web").stopped_by is StoppedBy.OUTSIDE


def test_a_stop_that_is_told_after_a_start_which_failed_for_the_engine_is_nobody_s() -> None:
    """The start was carried out though its answer was lost, and the next engine ended it."""
    story = up(Policy.ALWAYS)
    story.died("web", 1)
    story.feed(fact.StartFailed(UnitName("web"), story.id("web"), Failure.UNREACHABLE, "cut"))
    cleared(story, "kill die stop")
    assert story.unit("web").phase is Phase.BACKOFF


def test_a_foreign_container_that_the_engine_ended_is_left_to_its_policy() -> None:
    """It does not count as stopped by its operator."""
    story = Story.of(replace(spec("web", kind=Kind.FOREIGN), expected=True))
    story.connect()
    story.change("web", phase=Phase.READY, container=story.id("web"), health=Health.NONE)
    cleared(story, "kill stop die", 143)
    unit = story.unit("web")
    assert (unit.phase, unit.stopped_by) == (Phase.INACTIVE, StoppedBy.NOBODY)


def test_an_engine_that_goes_down_with_the_host_has_stopped_for_the_host() -> None:
    """Its stops came first: the next boot starts them all the same."""
    story = up(Policy.UNLESS_STOPPED)
    story.killed("web", 15)
    story.stopped("web")
    story.died("web", 0)
    assert story.unit("web").stopped_by is StoppedBy.OUTSIDE
    story.feed(fact.ShutdownAsked("a test", Seconds(60)))
    story.feed(fact.EngineLost("gone"))
    assert story.unit("web").stopped_by is StoppedBy.SHUTDOWN
