"""What a person has paused is left alone, and is judged by what its check says after it goes on."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from supervisor.engine import decode
from supervisor.views.severity import Level, level
from supervisor.views.status import shown_reason
from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.health import Check, Health, Tcp
from units.links import check
from units.observed import Observed
from units.spec import Kind, Policy, RestartPolicy, UnitName, UnitSpec, Via
from units.unit import Beyond, Phase
from units.world import new_world

WEB = UnitName("web")


def foreign(name: str, *edges: Any) -> UnitSpec:
    return replace(spec(name, *edges), kind=Kind.FOREIGN, expected=True)


def watched(*specs: UnitSpec, **more: Any) -> Story:
    story = Story(new_world((), check(()).links, watching=True))
    story.connect(*(replace(seen(one.name), spec=one, **more) for one in specs))
    return story


def booted(*specs: UnitSpec) -> Story:
    story = Story.of(*specs)
    story.connect()
    story.up(*(one.name for one in specs))
    said(story, Health.STARTING)
    said(story, Health.HEALTHY)
    return story


def said(story: Story, health: Health) -> str:
    return story.feed(fact.HealthReported(WEB, story.id("web"), health))


def pause(story: Story) -> str:
    return story.feed(fact.ContainerPaused(WEB, story.id("web")))


def unpause(story: Story) -> str:
    return story.feed(fact.ContainerUnpaused(WEB, story.id("web")))


def look_due(story: Story) -> str:
    return story.feed(fact.LookDue(WEB, story.token("web")))


@pytest.fixture(params=["boot", "watch"])
def story(request: pytest.FixtureRequest) -> Story:
    if request.param == "boot":
        return booted(spec("web"))
    return watched(foreign("web"), health=Health.HEALTHY)


def test_it_is_shown_and_nothing_is_done_about_it(story: Story) -> None:
    assert pause(story) == "web: ready -> paused"
    assert said(story, Health.UNHEALTHY) == ""
    unit = story.unit("web")
    assert (unit.phase, unit.reason) == (Phase.PAUSED, "paused by a person (docker pause)")
    assert (unit.falls, unit.budget.restarts, unit.restarts) == ((), (), 0)


def test_its_next_check_decides_not_the_one_that_it_was_frozen_in(story: Story) -> None:
    pause(story)
    said(story, Health.UNHEALTHY)
    assert unpause(story).startswith("web: paused -> running\narm web look")
    assert "restart" not in said(story, Health.UNHEALTHY), "that is the old verdict, told once more by a snapshot"
    assert said(story.later(5), Health.HEALTHY) == "web: running -> ready"


def test_who_is_still_unhealthy_after_that_is_helped(story: Story) -> None:
    pause(story)
    said(story, Health.UNHEALTHY)
    unpause(story)
    story.later(62)
    assert look_due(story).startswith("web: running -> stopping")


def test_a_check_of_ours_begins_anew_and_counts_at_once() -> None:
    one = replace(foreign("web"), checks=(Check("own", Tcp(80)),))
    story = watched(one)
    own = partial(fact.HealthReported, WEB, story.id("web"), check="own")
    story.feed(own(Health.HEALTHY))
    assert pause(story) == "web: ready -> paused"
    assert unpause(story) == "web: paused -> running"
    assert story.unit("web").reports == {}
    assert "web: running -> stopping" in story.later(3).feed(own(Health.UNHEALTHY))


def test_who_was_healthy_is_ready_at_once(story: Story) -> None:
    pause(story)
    assert unpause(story) == "web: paused -> ready"


def test_it_is_found_paused_and_unhealthy() -> None:
    """moby#46203: the watch begins while it is backed up."""
    story = watched(foreign("web"), beyond=Beyond.PAUSED, health=Health.UNHEALTHY)
    assert story.unit("web").phase is Phase.PAUSED
    assert story.unit("web").falls == ()
    story.look(replace(seen("web"), spec=foreign("web"), health=Health.UNHEALTHY))
    assert (story.unit("web").phase, story.unit("web").falls) == (Phase.RUNNING, ())


def test_a_snapshot_tells_a_pause_that_the_stream_did_not(story: Story) -> None:
    story.look(replace(seen("web"), spec=story.unit("web").spec, beyond=Beyond.PAUSED, health=Health.HEALTHY))
    assert story.unit("web").phase is Phase.PAUSED
    story.look(replace(seen("web"), spec=story.unit("web").spec, health=Health.HEALTHY))
    assert story.unit("web").phase is Phase.READY


def test_it_can_be_stopped_and_its_death_is_a_death(story: Story) -> None:
    pause(story)
    story.killed("web", 15)
    story.stopped("web")
    story.died("web", 0)
    assert (story.unit("web").phase, story.unit("web").reason) == (
        Phase.INACTIVE,
        "stopped from outside (docker stop)",
    )


def test_a_person_s_wish_is_carried_out(story: Story) -> None:
    pause(story)
    assert story.feed(fact.RestartAsked(WEB)).startswith("web: paused -> stopping")


def test_the_host_goes_down_with_it() -> None:
    story = booted(spec("web"))
    pause(story)
    told = story.feed(fact.ShutdownAsked("x", story.unit("web").spec.stop.timeout))
    assert "web: paused -> stopping" in told
    assert "signal web-1 SIGTERM" in told


def test_who_needs_it_is_not_restarted_for_it() -> None:
    story = watched(foreign("db"), foreign("web", needs("db")), health=Health.HEALTHY)
    story.feed(fact.ContainerPaused(UnitName("db"), story.id("db")))
    assert "restart" not in said(story, Health.UNHEALTHY)
    assert story.unit("web").reason == "unhealthy: HEALTHCHECK failed; waiting: db is paused"


def test_its_stale_reference_waits_until_it_goes_on() -> None:
    story = watched(foreign("vpn"), foreign("web", needs("vpn", Via.NET)))
    pause(story)
    story.died("vpn", 1)
    assert story.started("vpn") == "vpn: inactive -> ready"
    assert story.unit("web").phase is Phase.PAUSED
    assert "web: ready -> stopping" in unpause(story)


def test_nobody_waits_for_its_re_link() -> None:
    """It comes first in a chain, and is paused: the others are brought back all the same."""
    chain = (
        foreign("vpn"),
        foreign("web", needs("vpn", Via.NET)),
        foreign("app", needs("web", Via.PID), needs("vpn", Via.NET)),
    )
    story = watched(*chain)
    pause(story)
    story.died("vpn", 1)
    assert "app: ready -> stopping" in story.started("vpn")


def test_a_oneshot_s_deadline_does_not_run_meanwhile() -> None:
    job = replace(spec("web"), kind=Kind.ONESHOT, deadline=30, restart=RestartPolicy(Policy.NO))  # type: ignore[arg-type]
    story = Story.of(job)
    story.connect()
    story.up("web")
    old = story.token("web")
    assert pause(story) == "web: running -> paused"
    assert story.later(100).feed(fact.DeadlineDue(WEB, old)) == ""
    assert unpause(story) == "web: paused -> running\narm web deadline 30"


STATES = {
    "running": (True, Beyond.NOTHING),
    "paused": (True, Beyond.PAUSED),
    "restarting": (False, Beyond.RESTARTING),
    "removing": (False, Beyond.REMOVING),
    "dead": (False, Beyond.DEAD),
    "exited": (False, Beyond.NOTHING),
}


@pytest.mark.parametrize("state", STATES)
def test_each_word_of_an_engine_is_known_in_lists_and_inspects(state: str) -> None:
    """Of a restarting container engines say that it runs, too."""
    row = {"Id": "1" * 64, "Names": ["/web"], "State": state, "Labels": {}}
    runs = state in {"running", "paused", "restarting"}
    found = {"Id": "1" * 64, "Name": "/web", "State": {"Status": state, "Running": runs}, "Config": {}}

    def word(one: Observed | None) -> tuple[bool, Beyond]:
        assert one is not None
        return one.running, one.beyond

    assert word(decode.observed(row, by_name=True)) == STATES[state]
    assert word(decode.inspected(found, 0.0, by_name=True)) == STATES[state]


def test_the_time_of_a_check_is_its_own_or_the_engine_s() -> None:
    def within(**check: int) -> float:
        return decode.ties({"Config": {"Healthcheck": check}}).check_within

    assert within() == 60
    assert within(Interval=1_000_000_000, Timeout=2_000_000_000) == 3
    assert within(Interval=10**18, Timeout=-1) == 60


def test_who_is_restarted_by_its_engine_is_left_to_it() -> None:
    """Neither down, so that nobody starts it, nor a new run."""
    story = watched(foreign("vpn"), foreign("web", needs("vpn", Via.NET)))
    story.died("web", 1)
    rows = [replace(seen(name), spec=story.unit(name).spec) for name in ("vpn", "web")]
    story.look(rows[0], replace(rows[1], running=False, beyond=Beyond.RESTARTING, exit_code=1))
    unit = story.unit("web")
    assert (unit.phase, unit.restarts, unit.beyond) == (Phase.INACTIVE, 0, Beyond.RESTARTING)
    assert shown_reason(unit).startswith("restarting: its engine's restart policy is at work; exit code 1")
    story.died("vpn", 1)
    story.started("vpn")
    assert story.unit("web").phase is Phase.INACTIVE
    story.started("web")
    assert (story.unit("web").beyond, shown_reason(story.unit("web"))) == (Beyond.NOTHING, "started from outside")


def test_it_is_no_trouble_on_the_page() -> None:
    row = {"state": "paused", "flapping": False, "health": "unhealthy", "kind": "service", "name": "web"}
    assert level(row) is Level.ASIDE
