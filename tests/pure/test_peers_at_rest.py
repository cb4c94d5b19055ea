"""Who has done its work, was stopped or never started holds nobody back; and a new container begins without a past."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config.foreign_labels import WatchPolicy, spec_of
from supervisor.engine.decode import ContainerSummary
from tests.pure.story import Story, needs, spec
from units import events as fact
from units.events import Observed
from units.health import Health
from units.links import check
from units.quantities import Instant
from units.spec import ContainerId, Dependency, Kind, UnitName, UnitSpec, Via
from units.unit import Look, Phase, StoppedBy
from units.world import new_world

APP, PEER = UnitName("app"), UnitName("peer")


def foreign(name: str, *edges: Dependency, **changes: Any) -> UnitSpec:
    return replace(spec(name, *(replace(edge, hard=False) for edge in edges), kind=Kind.FOREIGN), **changes)


def row(one: UnitSpec, *, running: bool, exit_code: int = 0, number: int = 1, **changes: Any) -> Observed:
    ident = ContainerId(f"{one.name}-{number}")
    health = Health.HEALTHY if running and one.name == APP else Health.NONE
    seen = Observed(one.name, ident, one.name, running, False, exit_code, health=health, spec=one, look=Look())
    return replace(seen, **changes)


def watching(*rows: Observed) -> Story:
    story = Story(new_world((), check(()).links, watching=True))
    story.connect(*rows)
    return story


def ails(story: Story) -> str:
    return story.feed(fact.HealthReported(APP, ContainerId("app-1"), Health.UNHEALTHY)).partition("\n")[0]


@pytest.mark.parametrize(
    ("how", "expected", "held"),
    [
        ({"exit_code": 0}, False, False),
        ({"exit_code": 143}, False, False),
        ({"exit_code": 137}, False, False),
        ({"exit_code": 137, "oom": True}, False, True),
        ({"exit_code": 1}, False, True),
        ({"created": True}, False, False),
        ({"exit_code": 143}, True, False),
        ({"exit_code": 1}, True, False),
        ({"exit_code": 128, "look": Look(failed="no such device")}, True, True),
    ],
)
def test_who_holds_back_at_the_start_of_a_watch(how: dict[str, Any], expected: bool, held: bool) -> None:
    """By what an inspect shows, so that each start answers alike."""
    peer = foreign("peer", expected=expected)
    app = foreign("app", needs("peer", Via.DEPENDS_ON))
    for _ in range(2):
        told = ails(watching(row(app, running=True), row(peer, running=False, **how)))
        assert told == f"app: ready -> {'running' if held else 'stopping'}"


def test_who_has_completed_under_the_watch_holds_nobody_back() -> None:
    peer, app = foreign("peer"), foreign("app", needs("peer", Via.DEPENDS_ON))
    story = watching(row(app, running=True), row(peer, running=True))
    story.died("peer", 0)
    assert ails(story) == "app: ready -> stopping"


def test_a_service_that_has_finished_holds_nobody_back_either() -> None:
    """The same on a host with a configuration: completed is not down."""
    story = Story.of(spec("app", needs("peer", Via.DEPENDS_ON)), spec("peer"))
    story.change("peer", phase=Phase.COMPLETED)
    story.change("app", phase=Phase.READY, container=ContainerId("app-1"))
    story.world = replace(story.world, engine_up=True)
    assert ails(story) == "app: ready -> stopping"


def test_one_missing_replica_of_several_holds_nobody_back() -> None:
    """Compose's label names a service; one container of it that is up will do."""
    labels = {
        "dockwarden.enable": "true",
        "com.docker.compose.project": "p",
        "com.docker.compose.depends_on": "db:service_started:false",
    }
    summary = ContainerSummary("app", ContainerId("c" * 64), "i", labels)
    services = {("p", "db"): (UnitName("db-1"), UnitName("db-2"))}
    app = spec_of(summary, {}, services, WatchPolicy())
    one, other = foreign("db-1"), foreign("db-2")
    story = watching(row(app, running=True), row(one, running=True), row(other, running=False, exit_code=1))
    assert ails(story) == "app: ready -> stopping"
    story = watching(
        row(app, running=True), row(one, running=False, exit_code=1), row(other, running=False, exit_code=1)
    )
    assert ails(story) == "app: ready -> running"


def test_a_stop_belongs_to_the_container_that_was_stopped() -> None:
    """One that another tool made anew under the name, and could not start without its leader, is started after it."""
    wg = foreign("wg", expected=True)
    app = foreign("app", needs("wg", Via.NET), expected=True)
    story = watching(row(app, running=True), row(wg, running=True))
    story.killed("app", 15)
    story.stopped("app")
    story.died("app", 0)
    assert story.unit("app").stopped_by is StoppedBy.OUTSIDE
    story.change("app", flapping=True, falls=(Instant(1),))
    story.destroyed("app")
    story.destroyed("wg")
    for name in (APP, UnitName("wg")):
        story.feed(fact.ContainerCreated(name, ContainerId(f"{name}-2")))
    unit = story.unit("app")
    assert (unit.stopped_by, unit.wanted, unit.flapping, unit.falls) == (StoppedBy.NOBODY, True, False, ())
    told = story.feed(fact.ContainerStarted(UnitName("wg"), ContainerId("wg-2")))
    assert "TakeSnapshot" in told
    failed = row(app, running=False, exit_code=128, number=2, look=Look(failed="cannot join"))
    told = story.look(failed, row(wg, running=True, number=2))
    assert "app: inactive -> backoff\narm app retry 3" in told
