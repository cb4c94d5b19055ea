"""Histories, told in the core's own words."""

from dataclasses import replace

import pytest

from tests.pure.story import Story, after, needs, seen, spec
from units import events as fact
from units.health import Health
from units.quantities import Seconds
from units.spec import HealPolicy, Kind, OnUnhealthy, Policy, UnitName, Via
from units.unit import Failure, Phase, StoppedBy


def test_units_start_when_what_they_need_runs() -> None:
    """A chain comes up from its end; each unit waits for its peer by name."""
    story = Story.of(spec("web", needs("db")), spec("db"))
    assert story.connect() == "db: waiting -> creating\narm db deadline 45\ncreate db".replace(
        "arm db deadline 45\ncreate db", "create db\narm db deadline 45"
    )
    assert story.unit("web").reason == "waiting for db (creating)"
    assert story.created("db") == "db: creating -> starting\nstart db-1\narm db deadline 45"
    assert story.started("db") == "db: starting -> ready\nweb: waiting -> creating\ncreate web\narm web deadline 45"


def test_a_killed_service_is_started_again_within_the_same_step() -> None:
    """The first death after a good run leads to the start order at once."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(60)
    assert story.died("db", 137) == "db: ready -> starting\nstart db-1\narm db deadline 45"
    story.started("db")
    assert story.unit("db").reason == "restarted after: killed by SIGKILL (exit code 137)"
    assert story.unit("db").restarts == 1


def test_a_second_death_backs_off() -> None:
    """The second death in a row waits 200 ms; the timer's token is the one that counts."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(1)
    story.died("db")
    story.up("db").later(1)
    assert story.died("db") == "db: ready -> backoff\narm db retry 0.2"
    assert story.feed(fact.RetryDue(UnitName("db"), story.token("db") - 1)) == ""
    assert story.feed(fact.RetryDue(UnitName("db"), story.token("db"))).startswith("db: backoff -> starting")


@pytest.mark.parametrize("order", [("die", "stop"), ("stop", "die")])
def test_docker_stop_is_respected_in_either_order_of_events(order: tuple[str, str]) -> None:
    """20.10 says die, stop; 26.1 says stop, die. Both are a person's wish."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(60)
    story.killed("db", 15)
    for word in order:
        if word == "die":
            story.died("db", 143)
        else:
            story.stopped("db")
    unit = story.unit("db")
    assert (unit.phase, unit.wanted, unit.stopped_by) == (Phase.INACTIVE, False, StoppedBy.OUTSIDE)


def test_docker_kill_with_sigterm_is_a_crash_after_a_second_of_doubt() -> None:
    """A die after a stop signal, and no stop: nobody wished it."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(60)
    story.killed("db", 15)
    assert story.died("db", 143) == "db: ready -> exited\narm db verdict 1"
    assert story.feed(fact.VerdictDue(UnitName("db"), story.token("db"))).startswith("db: exited -> starting")


def test_docker_restart_by_a_person_leaves_the_unit_up() -> None:
    """kill, die, stop, start, restart: the engine starts it itself, and it is wanted again."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(60)
    story.killed("db", 15)
    story.died("db", 0)
    story.stopped("db")
    assert story.started("db") == "db: inactive -> ready"
    assert story.unit("db").wanted
    assert story.unit("db").reason == "started from outside"


def test_a_removed_container_is_made_anew() -> None:
    """Docker rm -f: the start finds no container, and one is created."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(60)
    story.died("db", 137)
    story.destroyed("db")
    assert story.unit("db").phase in {Phase.CREATING, Phase.BACKOFF}
    story.feed(fact.StartFailed(UnitName("db"), story.id("db"), Failure.NOT_FOUND, "no such container"))
    if story.unit("db").phase is Phase.BACKOFF:
        story.feed(fact.RetryDue(UnitName("db"), story.token("db")))
    assert story.unit("db").phase is Phase.CREATING


def test_a_crash_loop_is_entered_and_left_by_reset_failed() -> None:
    """After five restarts in a minute it waits for five minutes, or for a person."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db")
    for _ in range(20):
        story.later(0.1)
        story.died("db")
        if story.unit("db").phase is Phase.CRASH_LOOP:
            break
        if story.unit("db").phase is Phase.BACKOFF:
            story.feed(fact.RetryDue(UnitName("db"), story.token("db")))
        story.started("db")
    assert story.unit("db").phase is Phase.CRASH_LOOP
    assert story.unit("db").restarts == 5
    assert story.feed(fact.ResetAsked(UnitName("db"), 7)).startswith("db: crash-loop -> starting")
    assert story.last is not None
    assert story.last.answers[0].accepted


def test_a_failed_dependency_holds_its_dependents_with_a_reason() -> None:
    """A hard edge holds, an after edge proceeds."""
    story = Story.of(
        spec("net", kind=Kind.ONESHOT, policy=Policy.NO), spec("web", needs("net")), spec("ntp", after("net"))
    )
    story.connect()
    story.up("net")
    story.died("net", 3)
    assert story.phases() == {"net": "failed", "web": "waiting", "ntp": "creating"}
    assert "held: it is failed: exit code 3" in story.unit("web").reason


def test_a_oneshot_completes_and_lets_its_followers_go() -> None:
    """Followers of a oneshot wait for its end, not for its start."""
    story = Story.of(spec("net", kind=Kind.ONESHOT, policy=Policy.NO), spec("ntp", after("net")))
    story.connect()
    story.up("net")
    assert story.unit("ntp").phase is Phase.WAITING
    assert story.died("net", 0).splitlines()[:2] == ["net: running -> completed", "ntp: waiting -> creating"]


def test_a_volume_holder_is_made_and_never_started() -> None:
    """Its existence is its completion; when it is destroyed it is made anew."""
    story = Story.of(spec("vols", kind=Kind.VOLUME), spec("web", needs("vols", Via.VOLUMES)))
    story.connect()
    assert story.created("vols").splitlines()[0] == "vols: creating -> completed"
    assert story.destroyed("vols") == "vols: completed -> creating\ncreate vols\narm vols deadline 45"


def test_a_missing_image_is_pulled_then_looked_for_now_and_then() -> None:
    """404 on create, one pull, then image-missing; pulls are ever further apart, looks are not."""
    story = Story.of(spec("db"))
    story.connect()
    missing = fact.CreateFailed(UnitName("db"), Failure.IMAGE_MISSING, "no such image")
    assert story.feed(missing).startswith("db: creating -> pulling")
    failed = fact.PullFailed(UnitName("db"), Failure.IMAGE_MISSING, "no such image")
    assert story.feed(failed) == "db: pulling -> image-missing\narm db retry 5"
    story.later(5).feed(fact.RetryDue(UnitName("db"), story.token("db")))
    assert story.feed(missing).startswith("db: creating -> pulling")
    assert story.feed(failed) == "db: pulling -> image-missing\narm db retry 5"
    story.later(5).feed(fact.RetryDue(UnitName("db"), story.token("db")))
    assert story.feed(missing) == "db: creating -> image-missing\narm db retry 5"


def test_adoption_touches_nothing_that_runs_as_defined() -> None:
    """A running container of the same definition leads to no order at all."""
    story = Story.of(spec("db"), spec("web", needs("db")))
    assert story.connect(seen("db"), seen("web")) == "db: waiting -> ready\nweb: waiting -> ready"


def test_adoption_replaces_what_was_made_from_another_definition() -> None:
    """A running container of an old definition is stopped when its successor is made, replaced, and started."""
    story = Story.of(spec("db", config_hash="h2"))
    assert story.connect(seen("db")) == "db: waiting -> ready\nprepare db beside db-1"
    assert story.prepared("db", "h2") == "db: ready -> stopping\nsignal db-1 SIGTERM\narm db kill 10"
    told = story.died("db", 143)
    assert told == "db: stopping -> creating\ncreate db replacing db-1 by db-next\narm db deadline 45"


def test_leftovers_of_a_crash_are_removed_at_the_connect_and_only_then() -> None:
    """Two containers of one unit: the one with its name stays."""
    story = Story.of(spec("db"))
    told = story.connect(seen("db"), seen("db", number=2, running=False, bears="db_abcdef"))
    assert "RemoveContainer(unit='db', container='db-2'" in told
    assert "Remove" not in story.look(seen("db"), seen("db", number=2, running=False, bears="db_abcdef"))


def test_shutdown_ends_dependents_first() -> None:
    """Web goes before db; the world is drained when both are gone."""
    story = Story.of(spec("db"), spec("web", needs("db")))
    story.connect()
    story.up("db", "web")
    told = story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert "signal web-1 SIGTERM" in told
    assert "signal db-1" not in told
    assert story.phases() == {"db": "draining", "web": "stopping"}
    assert story.died("web", 143).splitlines()[:2] == ["web: stopping -> inactive", "db: draining -> stopping"]
    assert not story.world.drained
    story.died("db", 143)
    assert story.world.drained


def test_a_second_signal_kills_everything_at_once() -> None:
    """Hurried, no order is kept any more."""
    story = Story.of(spec("db"), spec("web", needs("db")))
    story.connect()
    story.up("db", "web")
    story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    told = story.feed(fact.ShutdownHurried("SIGTERM"))
    assert "signal db-1 SIGKILL" in told
    assert "signal web-1 SIGKILL" in told


def test_a_process_that_survives_three_sigkills_is_given_up() -> None:
    """10 s, then SIGKILL after SIGKILL 2, 4 and 8 s apart, then failed."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db")
    story.feed(fact.StopAsked(UnitName("db")))
    story.killed("db", 15)
    waits = []
    for _ in range(3):
        waits.append(story.feed(fact.KillDue(UnitName("db"), story.token("db"))))
        story.killed("db", 9)
    assert waits == [f"signal db-1 SIGKILL\narm db kill {wait}" for wait in (2, 4, 8)]
    assert story.feed(fact.KillDue(UnitName("db"), story.token("db"))) == "db: stopping -> failed"
    assert "still running after 3 SIGKILLs" in story.unit("db").reason
    late = fact.SignalFailed(UnitName("db"), story.id("db"), Failure.NOT_RUNNING, "it is not running")
    assert story.feed(late) == "db: failed -> inactive"


def test_the_engine_going_down_is_not_a_person() -> None:
    """Stops seen just before the stream ended were the engine's own: the units are wanted again."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db").later(60)
    story.killed("db", 15)
    story.stopped("db")
    story.died("db", 143)
    story.later(3).feed(fact.EngineLost("stream cut"))
    assert story.unit("db").phase is Phase.WAITING
    assert story.connect(seen("db", running=False, exit_code=143)).startswith("db: waiting -> starting")


def test_a_health_check_decides_readiness() -> None:
    """With a check declared, ready comes with its first success and goes with its failure."""
    quiet = replace(spec("db"), heal=HealPolicy(OnUnhealthy.NONE))
    story = Story.of(quiet, spec("web", needs("db", Via.DEPENDS_ON)))
    story.connect()
    story.created("db")
    story.feed(fact.HealthReported(UnitName("db"), story.id("db"), Health.STARTING))
    assert story.started("db").splitlines()[0] == "db: starting -> running"
    healthy = fact.HealthReported(UnitName("db"), story.id("db"), Health.HEALTHY)
    assert story.feed(healthy) == "db: running -> ready"
    unhealthy = fact.HealthReported(UnitName("db"), story.id("db"), Health.UNHEALTHY)
    assert story.feed(unhealthy) == "db: ready -> running"


def sick(story: Story, name: str) -> str:
    return story.feed(fact.HealthReported(UnitName(name), story.id(name), Health.UNHEALTHY))


def test_an_unhealthy_unit_is_restarted_within_its_budget() -> None:
    """Each restart is charged; the one over the limit is not made, and the unit is left as it is."""
    story = Story.of(spec("db"))
    story.connect()
    story.created("db")
    story.feed(fact.HealthReported(UnitName("db"), story.id("db"), Health.STARTING))
    story.started("db")
    for number in range(5):
        assert sick(story, "db").splitlines()[:2] == ["db: running -> stopping", "signal db-1 SIGTERM"]
        story.died("db", 0)
        story.started("db")
        assert story.unit("db").restarts == number + 1
        assert story.unit("db").reason == "restarted after: unhealthy: HEALTHCHECK failed"
    assert sick(story, "db") == "arm db look 600"
    assert story.unit("db").health is Health.UNHEALTHY
    assert "flapping" in story.unit("db").reason
    story.later(600)
    again = story.feed(fact.LookDue(UnitName("db"), story.token("db")))
    assert again.startswith("db: running -> stopping")


@pytest.mark.parametrize("via", [Via.NET, Via.PID, Via.IPC])
def test_who_shares_a_namespace_is_started_again_after_its_owner(via: Via) -> None:
    """Once, in order along a chain, and at no cost; a mere dependency is left alone."""
    story = Story.of(
        spec("vpn"), spec("app", needs("vpn", via)), spec("log", needs("app", via)), spec("web", needs("vpn"))
    )
    story.connect()
    story.up("vpn", "app", "web", "log").later(60)
    assert story.died("vpn").splitlines()[0] == "vpn: ready -> starting"
    assert story.phases() == {"vpn": "starting", "app": "ready", "log": "ready", "web": "ready"}
    assert story.later(1).started("vpn").splitlines()[:2] == ["vpn: starting -> ready", "app: ready -> stopping"]
    story.died("app", 0)
    assert story.later(1).started("app").splitlines()[:2] == ["app: starting -> ready", "log: ready -> stopping"]
    story.died("log", 0)
    story.later(1).started("log")
    shared = {Via.NET: "network", Via.PID: "pid namespace", Via.IPC: "ipc namespace"}[via]
    assert story.unit("app").reason == f"restarted to rejoin the {shared} of vpn"
    assert [story.unit(name).restarts for name in ("vpn", "app", "log", "web")] == [1, 1, 1, 0]
    assert story.unit("app").budget.restarts == ()
    assert set(story.phases().values()) == {"ready"}


def test_followers_of_a_reloadconfig_unit_wait_for_the_new_configuration() -> None:
    """Its success orders a reading; only what is affected by the result moves."""
    first = (
        spec("init", kind=Kind.ONESHOT, policy=Policy.NO, reloads=True),
        spec("web", after("init")),
        spec("db"),
    )
    story = Story.of(*first)
    story.connect()
    story.up("db", "init")
    assert story.died("init", 0) == "init: running -> completed\nReadConfig(unit='init')"
    assert story.unit("web").phase is Phase.WAITING
    told = story.feed(fact.ConfigRead((*first, spec("new"))))
    assert told.splitlines()[:2] == ["web: waiting -> creating", "new: waiting -> creating"]
    assert "db" not in told


def test_asks_are_answered() -> None:
    """An ask that changes nothing says why; an unknown unit is named."""
    story = Story.of(spec("db"))
    story.connect()
    story.up("db")
    story.feed(fact.StartAsked(UnitName("db"), 5))
    assert story.last is not None
    assert (story.last.answers[0].accepted, story.last.answers[0].text) == (
        False,
        "db is ready: it runs, or is about to",
    )
    story.feed(fact.StopAsked(UnitName("nope"), 6))
    assert story.last.answers[0].text == "there is no unit 'nope'"


def test_reconcile_finds_nothing_the_second_time() -> None:
    """The same snapshot again leads to no fact and no order."""
    story = Story.of(spec("db"), spec("web"), spec("vols", kind=Kind.VOLUME))
    view = (seen("db"), seen("web", running=False, exit_code=1), seen("vols", running=False))
    story.connect(*view)
    story.feed(fact.ContainerStarted(UnitName("web"), story.id("web")))
    again = (seen("db"), seen("web"), seen("vols", running=False))
    story.look(*again)
    assert story.look(*again) == ""


def test_a_foreign_container_with_the_name_is_not_touched() -> None:
    """A name clash fails the unit, says so, and is tried again later."""
    story = Story.of(spec("db"))
    story.connect()
    told = story.feed(fact.CreateFailed(UnitName("db"), Failure.NAME_TAKEN, "the name 'db' is taken"))
    assert told == "db: creating -> failed\narm db retry 300"


def test_shutdown_order_passes_through_a_finished_oneshot() -> None:
    """The console comes after a oneshot that comes after syslog: syslog ends last, though the oneshot is long done."""
    story = Story.of(
        spec("syslog"),
        spec("net", after("syslog"), kind=Kind.ONESHOT, policy=Policy.NO),
        spec("console", after("net")),
    )
    story.connect()
    story.up("syslog", "net")
    story.died("net", 0)
    story.up("console")
    story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert story.phases() == {"syslog": "draining", "net": "inactive", "console": "stopping"}
    assert story.died("console", 143).splitlines()[:2] == [
        "console: stopping -> inactive",
        "syslog: draining -> stopping",
    ]


def test_a_container_that_joins_a_gone_one_is_made_anew() -> None:
    """The engine kept the id of the container whose network it shared; only a new container can share the new one."""
    story = Story.of(spec("web"))
    story.connect()
    story.up("web").later(60)
    story.died("web", 1)
    stale = fact.StartFailed(UnitName("web"), story.id("web"), Failure.STALE, "No such container: 0123")
    assert story.feed(stale) == "web: starting -> creating\ncreate web replacing web-1\narm web deadline 45"


def test_a_snapshot_says_nothing_of_units_that_moved_since_it_was_asked() -> None:
    """The list was made before the start that the stream has told of: it must not look like a death."""
    story = Story.of(spec("db"))
    story.connect()
    asked = story.seq
    story.up("db")
    told = story.feed(fact.SnapshotTaken((seen("db", running=False),), "period", asked))
    assert (told, story.unit("db").phase) == ("", Phase.READY)
