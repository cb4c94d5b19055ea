"""What is done about a unit that is unhealthy, and what is not."""

from dataclasses import replace

import pytest

from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.health import Check, CheckKind, Health, Tcp
from units.observed import Observed
from units.quantities import Seconds
from units.spec import HealPolicy, Kind, OnUnhealthy, RestartPolicy, UnitName, UnitSpec, Via
from units.unit import Phase, StoppedBy

S, H, U = Health.STARTING, Health.HEALTHY, Health.UNHEALTHY


def checked(name: str, *kinds: CheckKind, action: OnUnhealthy = OnUnhealthy.RESTART, **policy: object) -> UnitSpec:
    """A unit with one check of each kind, called after it."""
    checks = tuple(Check(kind.value, Tcp(80), kind) for kind in kinds)
    heal = HealPolicy(action, **policy)  # type: ignore[arg-type]
    return replace(spec(name), checks=checks, heal=heal)


def told(story: Story, name: str, health: Health, check: str = "", *, run: int = 0, output: str = "") -> str:
    return story.feed(fact.HealthReported(UnitName(name), story.id(name), health, check, run, output))


def look(story: Story, name: str) -> str:
    return story.feed(fact.LookDue(UnitName(name), story.token(name)))


def up(one: UnitSpec, *more: UnitSpec) -> Story:
    story = Story.of(one, *more)
    story.connect()
    return story.up(*(each.name for each in more), one.name)


def test_a_unit_is_ready_when_all_its_checks_have_passed() -> None:
    story = up(checked("web", CheckKind.LIVENESS, CheckKind.READINESS))
    assert story.unit("web").phase is Phase.RUNNING
    assert told(story, "web", H, "liveness") == ""
    assert told(story, "web", H, "readiness") == "web: running -> ready"


def test_a_readiness_check_that_fails_restarts_nobody() -> None:
    story = up(checked("web", CheckKind.LIVENESS, CheckKind.READINESS))
    told(story, "web", H, "liveness")
    told(story, "web", H, "readiness")
    assert told(story, "web", U, "readiness") == "web: ready -> running"
    assert (story.unit("web").health, story.unit("web").reason) == (
        Health.UNREADY,
        "not ready: readiness check readiness failed",
    )
    assert told(story, "web", H, "readiness") == "web: running -> ready"


@pytest.mark.parametrize("kind", [CheckKind.LIVENESS, CheckKind.STARTUP])
def test_a_vital_check_that_fails_restarts_it_and_says_which(kind: CheckKind) -> None:
    story = up(checked("web", kind))
    assert told(story, "web", U, kind.value, output="connection refused\nmore").startswith("web: running -> stopping")
    story.died("web", 0)
    story.started("web")
    assert story.unit("web").reason == f"restarted after: unhealthy: check {kind.value} failed: connection refused"
    assert story.last is not None
    assert [step.restart for step in story.last.transitions] == ["unhealthy"]


def test_what_was_asked_of_an_earlier_run_is_void() -> None:
    story = up(checked("web", CheckKind.LIVENESS))
    run = story.unit("web").run
    story.later(60).died("web")
    story.started("web")
    assert told(story, "web", U, "liveness", run=run) == ""
    assert story.unit("web").health is S
    assert told(story, "web", U, "liveness", run=run + 1).startswith("web: running -> stopping")


def test_each_run_begins_unexamined() -> None:
    story = up(checked("web", CheckKind.LIVENESS))
    told(story, "web", H, "liveness")
    story.later(60).died("web")
    assert story.started("web").startswith("web: starting -> running")
    assert story.unit("web").health is S


def test_in_a_new_container() -> None:
    story = up(checked("web", CheckKind.LIVENESS, action=OnUnhealthy.RECREATE))
    assert "prepare web beside web-1" in told(story, "web", U, "liveness")
    assert story.unit("web").phase == "running"
    assert "web: running -> stopping" in story.prepared("web")
    told_last = story.died("web", 0).splitlines()[:2]
    assert told_last == ["web: stopping -> creating", "create web replacing web-1 by web-next"]
    story.created("web")
    story.started("web")
    assert (story.unit("web").container, story.unit("web").outdated) == ("web-2", "")


def test_stopped_until_a_person_starts_it() -> None:
    story = up(checked("web", CheckKind.LIVENESS, action=OnUnhealthy.STOP))
    told(story, "web", U, "liveness")
    assert story.died("web", 0) == "web: stopping -> inactive"
    assert story.unit("web").stopped_by is StoppedBy.HEALTH
    assert "unhealthy: check liveness failed" in story.unit("web").reason
    assert story.feed(fact.StartAsked(UnitName("web"))).startswith("web: inactive -> starting")


def test_sent_a_signal_and_another_if_it_does_not_help() -> None:
    story = up(checked("web", CheckKind.LIVENESS, action=OnUnhealthy.SIGNAL, signal="SIGHUP"))
    assert told(story, "web", U, "liveness") == "signal web-1 SIGHUP\narm web look 60"
    assert story.unit("web").phase is Phase.RUNNING
    assert look(story.later(60), "web") == "signal web-1 SIGHUP\narm web look 60"
    assert told(story, "web", H, "liveness") == "web: running -> ready"
    assert look(story.later(60), "web") == ""


@pytest.mark.parametrize("action", [OnUnhealthy.NONE, OnUnhealthy.HOOK])
def test_only_said(action: OnUnhealthy) -> None:
    story = up(checked("web", CheckKind.LIVENESS, action=action))
    told(story, "web", H, "liveness")
    assert told(story, "web", U, "liveness") == "web: ready -> running"
    assert story.unit("web").reason == f"unhealthy: check liveness failed; not restarted (action {action})"


def test_the_start_limit_is_shared_with_crashes_and_opens_again() -> None:
    """Four crashes and one restart for health are five."""
    story = up(replace(checked("web", CheckKind.LIVENESS), restart=RestartPolicy(spec("x").restart.policy, burst=5)))
    for _ in range(4):
        told(story, "web", H, "liveness")
        story.later(10.5).died("web")
        story.started("web")
    assert told(story, "web", U, "liveness").startswith("web: running -> stopping")
    story.died("web", 0)
    story.started("web")
    held = told(story.later(1), "web", U, "liveness")
    assert held == "arm web look 27.5"
    assert "limit of 5 restarts in 60 s reached" in story.unit("web").reason
    assert look(story.later(27.5), "web").startswith("web: running -> stopping")


def test_helped_too_often_it_is_flapping_and_left_alone_until_it_is_calm() -> None:
    story = up(checked("web", CheckKind.LIVENESS, falls=2))
    for _ in range(2):
        assert told(story.later(100), "web", U, "liveness").startswith("web: running -> stopping")
        story.died("web", 0)
        story.started("web")
    assert story.unit("web").flapping
    assert told(story.later(100), "web", U, "liveness") == "arm web look 500"
    assert look(story.later(500), "web").startswith("web: running -> stopping")
    story.died("web", 0)
    story.started("web")
    assert told(story, "web", H, "liveness") == "web: running -> ready\narm web look 600"
    assert look(story.later(600), "web") == ""
    assert (story.unit("web").flapping, story.unit("web").falls) == (False, ())


def test_a_dead_peer_is_no_fault_of_its_own() -> None:
    """While the peer is down nothing is done, and nothing spent; it is thought over again."""
    story = up(replace(checked("web", CheckKind.LIVENESS), dependencies=(needs("db", Via.DEPENDS_ON),)), spec("db"))
    told(story, "web", H, "liveness")
    story.later(1).died("db")
    story.later(1)
    assert told(story, "web", U, "liveness") == "web: ready -> running\narm web look 5"
    assert story.unit("web").reason == "unhealthy: check liveness failed; waiting: db is down"
    assert story.unit("web").falls == ()
    story.started("db")
    assert look(story, "web").startswith("web: running -> stopping")


def test_an_engine_that_is_away_spends_nothing() -> None:
    story = up(checked("web", CheckKind.LIVENESS))
    story.feed(fact.EngineLost("gone"))
    assert told(story, "web", U, "liveness") == "arm web look 5"
    assert look(story.later(5), "web") == "arm web look 5"
    story.connect(seen("web"))
    assert look(story.later(5), "web").startswith("web: running -> stopping")


def test_a_container_that_is_starting_when_adopted_is_not_unhealthy() -> None:
    story = Story.of(spec("web"))
    found = replace(seen("web"), health=S)
    assert story.connect(found) == "web: waiting -> running"
    assert story.unit("web").health is S


def test_who_sits_in_a_dead_namespace_is_brought_back_in_step_first_and_for_nothing() -> None:
    """Its check fails because its network is gone: that costs it nothing, also while the re-link has to wait."""
    app = replace(checked("app", CheckKind.LIVENESS), dependencies=(needs("vpn", Via.NET),))
    story = up(replace(app, settle=Seconds(10.0)), spec("vpn"))
    told(story, "app", H, "liveness")
    story.later(60).killed("vpn", 9)
    story.change("vpn", killed_at=story.now)
    story.feed(fact.RestartAsked(UnitName("vpn")))
    story.died("vpn", 0)
    assert "arm app look" in story.later(1).started("vpn")
    assert told(story.later(1), "app", U, "liveness") == "app: ready -> running\narm app look 1"
    assert "waiting for the re-link of its stale reference" in story.unit("app").reason
    assert look(story.later(1), "app").startswith("app: running -> stopping")
    story.died("app", 0)
    story.started("app")
    assert (story.unit("app").falls, story.unit("app").budget.restarts) == ((), ())


def lifeless(name: str) -> Observed:
    return replace(seen(name), lifeless=True)


def test_a_unit_that_runs_only_for_its_engine_is_restarted() -> None:
    """By a stop and a start: to its engine it runs. Told once; the next run is ready as any other."""
    story = up(spec("web"))
    assert story.look(lifeless("web")) == "web: ready -> stopping\nsignal web-1 SIGTERM\narm web kill 10"
    unit = story.unit("web")
    assert unit.reason.startswith("unhealthy: its process is gone, but the engine says that it runs")
    assert "restarting" in unit.reason
    assert story.look(lifeless("web")) == ""
    story.died("web", 137)
    story.started("web")
    unit = story.unit("web")
    assert (unit.phase, unit.health, unit.restarts) == (Phase.READY, Health.NONE, 1)


def test_a_oneshot_whose_process_is_gone_does_not_run_for_ever() -> None:
    story = up(spec("job", kind=Kind.ONESHOT))
    assert story.unit("job").phase is Phase.RUNNING
    assert story.look(lifeless("job")).partition("\n")[0] == "job: running -> stopping"
    story.died("job", 137)
    assert story.unit("job").phase is Phase.FAILED
    assert story.unit("job").reason.startswith("did not end for its engine: its process is gone")
