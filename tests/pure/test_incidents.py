"""What falls for one cause is one incident, from the first fall until all are well; what was asked for is none."""

from dataclasses import dataclass, field

import pytest

from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.events import Event
from units.health import Health
from units.incidents import CALM, Incident, Incidents, look, well
from units.machine import Moment
from units.quantities import Instant
from units.spec import Dependency, Policy, UnitName, Via
from units.unit import Failure, Phase


@dataclass
class Watched(Story):
    """A history, and the incidents in it."""

    incidents: Incidents = field(default_factory=Incidents)
    opened: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)

    def feed(self, event: Event) -> str:
        told = super().feed(event)
        assert self.last is not None
        moment = Moment(Instant(self.now), self.jitter, f"c{self.seq}", self.seq)
        looked = look(self.incidents, event, moment, self.last)
        self.incidents = looked.incidents
        self.opened += looked.opened
        self.closed += looked.closed
        return told

    def quiet(self) -> None:
        """Time goes by, and something happens that is about nobody."""
        self.later(CALM + 1).feed(fact.ConfigRefused("a reading that failed"))

    def told(self) -> list[tuple[str, tuple[UnitName, ...]]]:
        return [(one.root, one.units) for one in self.incidents.open]

    def finish(self, name: str) -> None:
        """It ends as it was asked to, and is started again."""
        self.died(name, 0)
        self.later(1).started(name)


def vpn_and_friends() -> Story:
    friends = [spec(name, Dependency(UnitName("vpn"), Via.NET)) for name in ("a", "b", "c")]
    story = Watched.of(spec("vpn"), *friends, spec("other"))
    story.connect()
    return story.up("vpn", "a", "b", "c", "other").later(60)


def watched(*names: str, policy: Policy = Policy.ALWAYS) -> Watched:
    story = Watched.of(*(spec(name, policy=policy) for name in names))
    assert isinstance(story, Watched)
    story.connect()
    story.up(*names)
    assert not story.opened
    story.later(60)
    return story


def test_a_lost_vpn_and_its_friends_are_one_incident() -> None:
    """Its id is the cause of the first fall; it closes when the last of them has been well for a while."""
    story = vpn_and_friends()
    assert isinstance(story, Watched)
    story.died("vpn", 137)
    (opened,) = story.opened
    assert (opened.id, opened.root, opened.units) == (f"c{story.seq}", "vpn", ("vpn",))
    story.later(1).started("vpn")
    assert story.told() == [("vpn", ("vpn", "a", "b", "c"))]
    assert set(story.incidents.of) == {"vpn", "a", "b", "c"}
    for name in ("a", "b", "c"):
        story.finish(name)
    story.quiet()  # Well for the first time.
    assert not story.closed or story.closed[0].id == opened.id
    story.quiet()
    assert [one.id for one in story.closed] == [opened.id]
    assert story.incidents == Incidents()
    assert len(story.opened) == 1


def test_two_that_fall_each_for_its_own_are_two() -> None:
    """Being at the same time is no cause."""
    story = watched("a", "b")
    story.died("a")
    story.died("b")
    assert story.told() == [("a", ("a",)), ("b", ("b",))]


def test_a_crash_loop_is_one_incident() -> None:
    """Though each crash has a cause of its own, and the unit was up between them."""
    story = watched("a")
    for _ in range(8):
        story.died("a")
        if story.unit("a").phase is Phase.BACKOFF:
            story.later(1).feed(fact.RetryDue(UnitName("a"), story.token("a")))
        story.later(0.2).started("a")
    assert story.unit("a").phase in {Phase.CRASH_LOOP, Phase.READY}
    assert len(story.opened) == 1
    assert len(story.incidents.open[0].causes) >= 5


def test_what_a_person_asks_for_is_none() -> None:
    """Neither a stop, nor a restart, nor a stop through the engine, nor what follows the one that was asked."""
    story = vpn_and_friends()
    assert isinstance(story, Watched)
    story.feed(fact.RestartAsked(UnitName("vpn"), 1))
    story.finish("vpn")
    for name in ("a", "b", "c"):
        story.finish(name)
    assert [story.unit(name).restarts for name in ("vpn", "a", "b", "c")] == [1, 1, 1, 1]
    story.later(60).feed(fact.StopAsked(UnitName("other"), 2))
    story.died("other", 0)
    story.killed("a", 15)
    story.died("a", 143)
    story.stopped("a")
    assert story.opened == []


def test_a_death_that_turns_out_to_be_a_crash_is_one() -> None:
    """It exited after a signal from outside, and nobody had stopped it."""
    story = watched("a")
    story.killed("a", 15)
    story.died("a", 1)
    assert (story.unit("a").phase, story.opened) == (Phase.EXITED, [])
    story.later(1).feed(fact.VerdictDue(UnitName("a"), story.token("a")))
    assert story.told() == [("a", ("a",))]


def test_one_that_cannot_be_brought_up_is_one_until_a_person_gives_up() -> None:
    """It never stood, so it never fell; but somebody is waiting for it."""
    story = Watched.of(spec("a"))
    assert isinstance(story, Watched)
    story.connect()
    story.created("a")
    story.feed(fact.StartFailed(UnitName("a"), story.id("a"), Failure.UNRECOVERABLE, "no such command"))
    assert story.told() == [("a", ("a",))]
    story.feed(fact.StopAsked(UnitName("a"), 1))
    story.quiet()
    story.quiet()
    assert story.incidents == Incidents()


def test_an_unhealthy_unit_is_one() -> None:
    """Being restarted for it is a part of the same."""
    story = watched("a")
    story.feed(fact.HealthReported(UnitName("a"), story.id("a"), Health.HEALTHY))
    story.later(60).feed(fact.HealthReported(UnitName("a"), story.id("a"), Health.UNHEALTHY))
    assert story.told() == [("a", ("a",))]
    story.finish("a")
    assert len(story.opened) == 1


def test_what_the_engine_took_with_it_is_one_incident() -> None:
    """Opened by its loss; a snapshot finds who died of it."""
    story = watched("a", "b")
    story.feed(fact.EngineLost("connection reset"))
    lost = story.incidents.open[0]
    assert (lost.root, lost.units, lost.engine) == ("", (), True)
    story.later(5).connect(seen("a", running=False), seen("b", running=False))
    assert story.told() == [("", ("a", "b"))]
    story.later(1).up("a", "b")
    story.quiet()
    story.quiet()
    assert [one.id for one in story.closed] == [lost.id]


def test_an_engine_that_was_only_away_for_a_moment_leaves_none_behind() -> None:
    """All are found as they were."""
    story = watched("a")
    story.feed(fact.EngineLost("connection reset"))
    story.later(1).connect(seen("a"))
    story.quiet()
    story.quiet()
    assert (story.incidents, len(story.closed)) == (Incidents(), 1)


def test_a_shutdown_is_none() -> None:
    """Everybody goes, as asked."""
    story = watched("a")
    story.feed(fact.ShutdownAsked("SIGTERM", story.unit("a").spec.stop.timeout))
    story.died("a", 137)
    story.feed(fact.EngineLost("it has ended"))
    assert story.opened == []


@pytest.mark.parametrize(
    ("phase", "is_well"), [(Phase.READY, True), (Phase.COMPLETED, True), (Phase.BACKOFF, False), (Phase.WAITING, False)]
)
def test_where_a_unit_is_well(phase: Phase, *, is_well: bool) -> None:
    """Where it is wanted to be, or done."""
    story = watched("a")
    story.change("a", phase=phase)
    assert well(story.unit("a")) is is_well


def test_needing_the_fallen_is_not_falling() -> None:
    """A dependent that stays up is in no incident."""
    story = Watched.of(spec("db"), spec("web", needs("db")))
    assert isinstance(story, Watched)
    story.connect()
    story.up("db", "web").later(60)
    story.died("db")
    story.later(1).started("db")
    assert story.told() == [("db", ("db",))]
