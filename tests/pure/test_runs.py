"""What became of units, as counted: how they end, why they are not restarted, when they are tried again."""

from dataclasses import replace

import pytest

from metrics.runs import how_ended
from tests.pure.story import Story, needs, seen, spec
from tests.pure.test_metrics import Watched, nonzero
from units import events as fact
from units.health import Check, Health, Tcp
from units.quantities import Instant
from units.spec import ContainerId, HealPolicy, Kind, OnUnhealthy, Place, Policy, UnitName
from units.unit import Phase, StoppedBy
from units.world import new_world

CONSOLE = UnitName("console")


def one(policy: Policy = Policy.ALWAYS) -> Watched:
    watched = Watched(Story.of(spec("console", policy=policy)))
    watched.connect("console")
    return watched


@pytest.mark.parametrize(
    ("code", "oom", "how"),
    [
        (0, False, "success"),
        (1, False, "error"),
        (127, False, "error"),
        (128, False, "error"),
        (129, False, "signal"),
        (134, False, "sigabrt"),
        (137, False, "sigkill"),
        (137, True, "oom"),
        (139, False, "sigsegv"),
        (143, False, "sigterm"),
        (192, False, "signal"),
        (255, False, "error"),
        (None, False, "error"),
    ],
)
def test_exit_codes_are_classed(code: int | None, how: str, *, oom: bool) -> None:
    """Few classes, and each code has one."""
    assert how_ended(code, oom=oom) == how


def test_each_end_is_counted_once() -> None:
    """By how, whether the stream tells it or a snapshot; a death that moves nobody counts for nothing."""
    watched = one()
    watched.feed(fact.ContainerDied(CONSOLE, watched.story.id("console"), 137))
    watched.started("console")
    watched.feed(fact.ContainerDied(CONSOLE, ContainerId("older"), 0))
    watched.feed(fact.SnapshotTaken((replace(seen("console", running=False), exit_code=0),), "period", 99))
    assert nonzero(watched.scrape("unit_exits_total")) == [
        "unit_exits_total{unit=console,how=success} 1",
        "unit_exits_total{unit=console,how=sigkill} 1",
    ]


def test_when_the_next_try_is() -> None:
    """The delay and its end while the unit waits for it; 0 before and afterwards."""
    names = ("unit_backoff_seconds", "unit_next_try_timestamp_seconds")
    nothing = ["unit_backoff_seconds{unit=console} 0", "unit_next_try_timestamp_seconds{unit=console} 0"]
    watched = one()
    assert watched.scrape(*names) == nothing
    watched.died("console")
    watched.started("console")
    watched.story.later(0.5)
    watched.died("console")
    assert watched.scrape(*names) == [
        "unit_backoff_seconds{unit=console} 0.2",
        "unit_next_try_timestamp_seconds{unit=console} 1700000100.7",
    ]
    watched.feed(fact.RetryDue(CONSOLE, watched.story.token("console")))
    assert watched.scrape(*names) == nothing


def test_how_long_a_start_takes() -> None:
    """From the start to ready, of the run that was seen to begin; one that was found running says nothing."""
    watched = one()
    assert watched.scrape("unit_ready_seconds") == ["unit_ready_seconds{unit=console} 0"]
    watched.died("console")
    watched.feed(fact.HealthReported(CONSOLE, watched.story.id("console"), Health.STARTING))
    watched.started("console")
    watched.feed(fact.HealthReported(CONSOLE, watched.story.id("console"), Health.STARTING))
    watched.story.later(2.5)
    watched.feed(fact.HealthReported(CONSOLE, watched.story.id("console"), Health.HEALTHY))
    assert watched.story.phases() == {"console": "ready"}
    assert watched.scrape("unit_ready_seconds") == ["unit_ready_seconds{unit=console} 2.5"]


def withheld(watched: Watched) -> list[str]:
    return [line.split("reason=")[1] for line in nonzero(watched.scrape("unit_restarts_withheld_total"))]


def test_a_crash_loop_and_a_policy_withhold_restarts() -> None:
    """Each death that is not answered counts, by why it is not."""
    looping = one()
    for _ in range(6):
        looping.died("console")
        if looping.story.phases() == {"console": "backoff"}:
            looping.feed(fact.RetryDue(CONSOLE, looping.story.token("console")))
        if looping.story.phases() == {"console": "starting"}:
            looping.started("console")
    assert looping.story.phases() == {"console": "crash-loop"}
    assert withheld(looping) == ["start-limit} 1"]
    unwanted = one(Policy.NO)
    unwanted.died("console")
    assert unwanted.story.phases() == {"console": "failed"}
    assert withheld(unwanted) == ["policy} 1"]


def test_people_and_shutdowns_withhold_restarts() -> None:
    """A stop through us or behind our back is a person's; that of a shutdown is the host's. A restart is none."""
    for by, reason in ((StoppedBy.PERSON, "person"), (StoppedBy.SHUTDOWN, "shutdown"), (StoppedBy.SWITCH, "")):
        watched = one()
        watched.feed(fact.StopAsked(CONSOLE, by=by))
        watched.died("console")
        assert watched.story.phases() == {"console": "inactive"}
        assert withheld(watched) == ([f"{reason}}} 1"] if reason else [])
    watched = one()
    watched.feed(fact.RestartAsked(CONSOLE))
    watched.died("console")
    assert watched.story.phases() == {"console": "starting"}
    assert withheld(watched) == []


@pytest.mark.parametrize(
    ("heal", "falls", "reason"),
    [
        (HealPolicy(OnUnhealthy.NONE), (), "policy} 1"),
        (HealPolicy(OnUnhealthy.RESTART), (99.0,) * 5, "flapping} 1"),
        (HealPolicy(OnUnhealthy.SIGNAL, "SIGHUP"), (), ""),
        (HealPolicy(OnUnhealthy.RESTART), (), ""),
    ],
)
def test_what_is_not_done_about_ill_units(heal: HealPolicy, falls: tuple[float, ...], reason: str) -> None:
    """Only where nothing is done does it count, and why."""
    watched = Watched(Story.of(replace(spec("console"), heal=heal)))
    watched.connect("console")
    watched.story.change("console", falls=tuple(map(Instant, falls)), flapping=bool(falls))
    watched.feed(fact.HealthReported(CONSOLE, watched.story.id("console"), Health.UNHEALTHY))
    assert withheld(watched) == ([reason] if reason else [])


def test_ill_for_another_s_sake() -> None:
    """While what it needs is down, while the engine is away, and over its start limit."""
    ill = fact.HealthReported(CONSOLE, ContainerId("console-1"), Health.UNHEALTHY)
    peer = Watched(Story.of(spec("ntp"), spec("console", needs("ntp"))))
    peer.connect("ntp", "console")
    for _ in range(2):
        peer.died("ntp")
    peer.feed(ill)
    assert withheld(peer) == ["peer} 1"]
    away = one()
    away.feed(fact.EngineLost("gone"))
    away.feed(ill)
    assert withheld(away) == ["engine} 1"]
    spent = one()
    spent.story.change("console", budget=replace(spent.story.unit("console").budget, restarts=(Instant(99),) * 5))
    spent.feed(ill)
    assert withheld(spent) == ["start-limit} 1"]
    dry = Watched(Story.of(spec("console")))
    dry.story.world = replace(dry.story.world, dry=True)
    dry.connect("console")
    dry.feed(ill)
    assert withheld(dry) == ["dry-run} 1"]


def test_a_stop_that_took_a_kill_counts_once() -> None:
    """However many SIGKILLs it takes; one that heeds its signal does not count."""
    watched = one()
    watched.feed(fact.StopAsked(CONSOLE))
    for signal in (15, 9, 9):
        watched.feed(fact.ContainerKilled(CONSOLE, watched.story.id("console"), signal))
        watched.feed(fact.KillDue(CONSOLE, watched.story.token("console")))
    assert watched.story.unit("console").kills == 2
    watched.died("console")
    assert watched.scrape("unit_stop_timeouts_total") == ["unit_stop_timeouts_total{unit=console} 1"]


def test_health_checks_of_our_own() -> None:
    """By unit and outcome, all there from the start, only for who has some."""
    check = Check("live", Tcp(80))
    watched = Watched(Story.of(replace(spec("console"), checks=(check,)), spec("ntp")))
    watched.metrics.probed("console", "tcp", "failed", 0.1, 0.0)
    assert watched.scrape("unit_health_checks_total") == [
        f"unit_health_checks_total{{unit=console,outcome={outcome}}} {int(outcome == 'failed')}"
        for outcome in ("passed", "failed", "timeout", "error")
    ]
    assert nonzero(watched.scrape("probes_total")) == ["probes_total{probe=tcp,outcome=failed} 1"]


def test_the_parts_of_a_boot() -> None:
    """First the engine, then the units; both 0 until they are over."""
    watched = Watched(Story.of(spec("console")))
    watched.story.later(2)
    watched.connect()
    assert watched.scrape("boot_phase_seconds") == [
        "boot_phase_seconds{phase=engine} 2",
        "boot_phase_seconds{phase=units} 0",
    ]
    watched.story.later(3)
    watched.feed(fact.ContainerCreated(CONSOLE, watched.story.id("console"), "h1"))
    watched.started("console")
    assert watched.scrape("boot_phase_seconds", "boot_seconds") == [
        "boot_seconds 5",
        "boot_phase_seconds{phase=engine} 2",
        "boot_phase_seconds{phase=units} 3",
    ]


def test_the_engine_s_last_word() -> None:
    """The stamp of the latest event, never going back."""
    watched = one()
    assert watched.scrape("event_last_timestamp_seconds") == ["event_last_timestamp_seconds 0"]
    watched.died("console", at=100.25)
    watched.started("console", at=100.125)
    assert watched.scrape("event_last_timestamp_seconds") == ["event_last_timestamp_seconds 1700000100.25"]


def test_whether_user_docker_is_where_it_should_be() -> None:
    """1 in its context's present container, 0 in that of before, no series on a host without."""
    docker = replace(spec("user-docker", kind=Kind.USER_DOCKER), context=UnitName("storage"))
    watched = Watched(Story.of(spec("storage"), docker))
    watched.connect("storage")
    place = Place(UnitName("storage"), watched.story.id("storage"))
    watched.story.change("user-docker", place=place, phase=Phase.READY)
    assert watched.scrape("storage_context_up") == ["storage_context_up 1"]
    watched.story.change("storage", container=ContainerId("another"))
    assert watched.scrape("storage_context_up") == ["storage_context_up 0"]
    assert one().scrape("storage_context_up") == []


def test_what_left_the_world_is_forgotten() -> None:
    """A watched host on which containers come and go under ever new names does not make us grow."""
    story = Story.of(spec("console"))
    story.world = new_world((), story.world.links, watching=True)
    watched = Watched(story)
    watched.feed(fact.EngineBack("26.1"))
    for number in range(50):
        name = f"job-{number}"
        found = replace(seen(name), spec=spec(name, kind=Kind.FOREIGN))
        watched.feed(fact.SnapshotTaken((found,), "connect", story.seq))
        watched.died(name)
        watched.feed(fact.ContainerDestroyed(UnitName(name), story.id(name)))
    watched.feed(fact.SnapshotTaken((), "period", story.seq))
    assert watched.story.phases() == {}
    runs = watched.metrics._runs
    assert [tally.counts for tally in runs._tallies] == [{}] * len(runs._tallies)
    assert not runs._ready
    assert not runs._waits


def test_a_kill_for_lack_of_memory_that_is_told_late_is_one() -> None:
    """Some engines tell the death first: it is counted when the next thing is known, and as one."""
    watched = one()
    watched.feed(fact.ContainerDied(CONSOLE, watched.story.id("console"), 137))
    assert nonzero(watched.scrape("unit_exits_total")) == []
    watched.feed(fact.ContainerOomed(CONSOLE, watched.story.id("console")))
    watched.started("console")
    assert nonzero(watched.scrape("unit_exits_total")) == ["unit_exits_total{unit=console,how=oom} 1"]
    watched.feed(fact.ContainerDied(CONSOLE, watched.story.id("console"), 137))
    watched.story.later(1.5)
    assert nonzero(watched.scrape("unit_exits_total")) == [
        "unit_exits_total{unit=console,how=sigkill} 1",
        "unit_exits_total{unit=console,how=oom} 1",
    ]
