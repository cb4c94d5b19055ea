"""No timer outlives the phase in which it was armed: over every table, by construction."""

from dataclasses import replace

import pytest

from tests.pure.story import Story, spec
from units import events as fact
from units.health import Health
from units.links import Links
from units.machine import TIMERS, Moment, Moved, Table, View, advance, always, table
from units.quantities import Instant, Seconds
from units.spec import Kind, UnitName
from units.tables.by_kind import rules_of
from units.unit import Phase, Unit

ALL = pytest.mark.parametrize("kind", list(Kind))


def view_of(unit: Unit) -> View:
    none = Links({}, {})
    return View({unit.name: unit}, none, True, False, frozenset(), Moment(Instant(5), 0.5, "c", 5))


def with_every_row_open(kind: Kind) -> Table:
    """The table of this kind, in which each row fits and nothing is done."""
    rules = rules_of(kind)
    rows = [replace(edge, do=lambda unit, *_: Moved(unit), when=always) for edge in rules.edges]
    return table(rules.name, rules.phases, rows, (), events=rules.events)


@ALL
def test_whatever_is_done_leaving_a_phase_voids_its_timers(kind: Kind) -> None:
    """Each row that leads elsewhere changes the token, and none that stays does."""
    rules = with_every_row_open(kind)
    for (phase, on), (edge, *_) in rules.cells.items():
        unit = Unit(spec("a", kind=kind), phase, token=7)
        event = on(UnitName("a"), 7) if on in TIMERS else object.__new__(on)
        after = advance(rules, unit, event, view_of(unit)).unit
        assert (after.token == 7) == (edge.to is phase), f"{phase} on {on.__name__}"


@ALL
@pytest.mark.parametrize("timer", TIMERS)
def test_a_timer_that_does_not_count_moves_nobody(kind: Kind, timer: type[fact.RetryDue]) -> None:
    """In no phase of any table, whatever the guards of its rows say."""
    rules = with_every_row_open(kind)
    for phase in rules.phases:
        unit = Unit(spec("a", kind=kind), phase, token=7)
        assert advance(rules, unit, timer(unit.name, 6), view_of(unit)).edge is None


def test_a_oneshot_without_a_deadline_runs_as_long_as_it_likes() -> None:
    """The 45 s in which the engine had to answer its start say nothing of its run."""
    story = Story.of(spec("migrate", kind=Kind.ONESHOT))
    story.connect()
    story.created("migrate")
    armed = story.token("migrate")
    story.started("migrate")
    assert story.later(45).feed(fact.DeadlineDue(UnitName("migrate"), armed)) == ""
    assert story.unit("migrate").phase is Phase.RUNNING


def test_a_oneshot_with_a_deadline_is_stopped_when_it_is_over() -> None:
    """Counted from its start."""
    story = Story.of(replace(spec("setup", kind=Kind.ONESHOT), deadline=Seconds(30)))
    story.connect()
    story.created("setup")
    assert "arm setup deadline 30" in story.started("setup")
    said = story.feed(fact.DeadlineDue(UnitName("setup"), story.token("setup")))
    assert "setup: running -> stopping" in said
    assert story.unit("setup").reason == "exceeded its deadline of 30 s"


def test_user_docker_that_has_served_is_not_stopped_for_its_deadline() -> None:
    """It served in time, and is just not ready as the deadline of its start elapses."""
    story = Story.of(replace(spec("user-docker", kind=Kind.USER_DOCKER), deadline=Seconds(60)))
    story.change("user-docker", phase=Phase.READY, token=3, container=story.id("user-docker"))
    story.world = replace(story.world, engine_up=True)
    unit, ident = UnitName("user-docker"), story.id("user-docker")
    story.feed(fact.HealthReported(unit, ident, Health.STARTING))
    assert story.unit("user-docker").phase is Phase.RUNNING
    assert story.feed(fact.DeadlineDue(unit, 3)) == ""
