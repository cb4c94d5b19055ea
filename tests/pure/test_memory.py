"""What outlives a supervisor, and what a new boot begins afresh."""

import json

import pytest

from tests.pure.story import Story, spec
from units import events as fact
from units.memory import Clocks, recall, recall_engine, remember
from units.quantities import Instant, Seconds
from units.records import replace
from units.spec import Kind, Policy, UnitName
from units.unit import Budget, Phase, StoppedBy, Unit
from units.world import fresh_engine

THEN = Clocks(Instant(500), 10_000.0)
LATER = Clocks(Instant(20), 10_100.0)
"""A hundred seconds later by the wall clock; the monotonic clock began anew."""


def kept(story: Story) -> dict[str, object]:
    written: dict[str, object] = json.loads(json.dumps(remember(story.world, THEN)))
    return written


def again(story: Story, *, same_boot: bool = True, same_host_boot: bool = True) -> dict[str, Unit]:
    specs = [unit.spec for unit in story.world.units.values()]
    units = recall(specs, kept(story), LATER, same_boot=same_boot, same_host_boot=same_host_boot)
    return {unit.name: unit for unit in units}


def crashed() -> Story:
    story = Story.of(spec("db"), spec("net", kind=Kind.ONESHOT, policy=Policy.NO))
    story.connect()
    story.up("db", "net")
    story.died("net", 0)
    story.now = 490
    story.died("db", 137)
    story.started("db")
    story.now = 500
    return story


def test_budgets_and_counters_outlive_everything() -> None:
    """Times are kept by the wall clock: ten seconds ago then is a hundred and ten seconds ago now."""
    for same_boot in (True, False):
        unit = again(crashed(), same_boot=same_boot)["db"]
        assert unit.restarts == 1
        assert unit.budget.failures == 1
        assert [round(LATER.now - at) for at in unit.budget.restarts] == [110]


def test_the_budget_of_an_engine_of_ours_outlives_the_supervisor() -> None:
    """One that ends again and again is as far from its crash loop as before; nonsense counts for nothing."""
    engine = fresh_engine(THEN.now, ours=True)
    spent = replace(engine, budget=Budget(3, (Instant(490),), Seconds(0.8)), restarts=3, death="exit code 1")
    story = Story.of(spec("web"))
    story.world = replace(story.world, engine=spent)
    fresh = fresh_engine(LATER.now, ours=True)
    unit = recall_engine(fresh, kept(story), LATER)
    assert (unit.restarts, unit.budget.failures, unit.budget.delay, unit.death) == (3, 3, 0.8, "exit code 1")
    assert [round(LATER.now - at) for at in unit.budget.restarts] == [110]
    assert recall_engine(fresh, {fresh.name: {"restarts": "many"}}, LATER) == fresh
    assert recall_engine(fresh, {}, LATER) == fresh
    foreign = fresh_engine(LATER.now, ours=False)
    assert recall_engine(foreign, kept(story), LATER) == foreign


def test_in_the_same_boot_what_was_known_is_believed() -> None:
    """A oneshot that succeeded is done, what ran is looked for by its id."""
    units = again(crashed())
    assert (units["net"].phase, units["db"].phase) == (Phase.COMPLETED, Phase.READY)
    assert units["db"].container == "db-1"


def test_a_new_boot_begins_afresh() -> None:
    """Oneshots run again; no container is believed in."""
    units = again(crashed(), same_boot=False)
    assert {unit.phase for unit in units.values()} == {Phase.WAITING}
    assert all(unit.fresh and unit.container is None for unit in units.values())


@pytest.mark.parametrize(
    ("policy", "same_host_boot", "stays"),
    [
        (Policy.ALWAYS, True, True),
        (Policy.ALWAYS, False, False),
        (Policy.UNLESS_STOPPED, False, True),
    ],
)
def test_a_stop_lasts_until_the_machine_is_restarted(policy: Policy, same_host_boot: bool, stays: bool) -> None:
    """And that of unless-stopped even longer."""
    story = Story.of(spec("db", policy=policy))
    story.connect()
    story.up("db")
    story.feed(fact.StopAsked(UnitName("db")))
    story.died("db", 143)
    unit = again(story, same_boot=False, same_host_boot=same_host_boot)["db"]
    assert (unit.phase is Phase.INACTIVE, unit.wanted) == (stays, not stays)
    assert (unit.stopped_by is StoppedBy.PERSON) == stays


@pytest.mark.parametrize("nonsense", [None, 3, {}, {"phase": "flying"}, {"restart_times": "soon"}])
def test_a_record_that_makes_no_sense_counts_for_nothing(nonsense: object) -> None:
    """The unit begins as if nothing had been written."""
    (unit,) = recall([spec("db")], {"db": nonsense}, LATER, same_boot=True, same_host_boot=True)
    assert unit.phase is Phase.WAITING


def test_a_wall_clock_set_back_puts_nothing_into_the_future() -> None:
    """Otherwise a window of restarts would last for as long as the clock was wrong."""
    assert Clocks(Instant(50), 100.0).from_wall(5000.0) == Instant(50)


def test_a_disabled_unit_that_a_person_started_is_no_restart_to_the_next_supervisor() -> None:
    """It runs on, wanted, and counts what it counted; one that was disabled meanwhile is not wanted."""
    off = replace(spec("web"), enabled=False)
    story = Story.of(off)
    story.connect()
    story.feed(fact.StartAsked(UnitName("web")))
    story.created("web")
    story.started("web")
    unit = again(story)["web"]
    assert (unit.wanted, unit.phase, unit.restarts) == (True, Phase.READY, story.unit("web").restarts)
    record = kept(story)["web"]
    assert isinstance(record, dict)
    (unit,) = recall([off], {"web": {**record, "enabled": True}}, LATER, same_boot=True, same_host_boot=True)
    assert not unit.wanted
