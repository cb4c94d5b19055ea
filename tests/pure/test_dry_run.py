"""A dry run says what would be done, and cannot do it."""

import asyncio
from dataclasses import replace

from supervisor.engine.port import ContainerAddress, Engine, EngineView
from supervisor.engine.read_only import ReadOnlyEngine
from supervisor.runtime.probes import NOT_IN_A_DRY_RUN, Probes
from tests.pure.story import Story, seen, spec
from units import events as fact
from units.health import Check, Exec, Health
from units.links import check
from units.spec import ContainerId, Kind, UnitName
from units.unit import Phase, Reason
from units.world import new_world

WEB = UnitName("web")


def dry() -> Story:
    story = Story(new_world((), check(()).links, watching=True, dry=True))
    foreign = replace(spec("web"), kind=Kind.FOREIGN, expected=True)
    story.connect(replace(seen("web"), spec=foreign, health=Health.HEALTHY))
    return story


def ill(story: Story) -> str:
    return story.feed(fact.HealthReported(WEB, story.id("web"), Health.UNHEALTHY))


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_what_is_given_to_a_dry_run_has_nothing_that_writes() -> None:
    assert public(ReadOnlyEngine) == public(EngineView)
    assert {"start", "stop", "restart", "signal", "create", "remove", "exec_create"} <= public(Engine)


def test_who_is_unhealthy_is_shown_so_and_what_would_be_done_is_said_once() -> None:
    story = dry()
    said = ill(story)
    assert said == (
        "web: ready -> running\nSayOnly(unit='web', what='would restart it', why='unhealthy: HEALTHCHECK failed')"
    )
    unit = story.unit("web")
    assert (unit.phase, unit.health) == (Phase.RUNNING, Health.UNHEALTHY)
    assert unit.reason == "unhealthy: HEALTHCHECK failed; would restart it (dry run)"
    assert (unit.falls, unit.again, unit.pending, unit.budget.restarts) == ((), None, None, ())
    assert ill(story) == ""


def test_a_person_s_wish_is_refused_with_what_it_would_come_to() -> None:
    story = dry()
    assert "would restart it" in story.feed(fact.RestartAsked(WEB, request=7))
    assert story.last is not None
    (answer,) = story.last.answers
    assert (answer.accepted, answer.text) == (False, "web is ready: restarting (by user); would restart it (dry run)")
    assert story.unit("web").phase is Phase.READY
    assert "would stop it" in story.feed(fact.StopAsked(WEB))
    assert story.unit("web").phase is Phase.READY


def test_who_is_paused_stays_paused() -> None:
    story = dry()
    story.feed(fact.ContainerPaused(WEB, story.id("web")))
    assert "would restart it" in story.feed(fact.RestartAsked(WEB))
    assert story.unit("web").phase is Phase.PAUSED


def test_who_is_down_stays_where_it_is() -> None:
    story = dry()
    story.died("web", 1)
    before = story.unit("web")
    assert before.phase is Phase.INACTIVE
    assert "would start it" in story.feed(fact.StartAsked(WEB))
    after = story.unit("web")
    assert (after.phase, after.pending) == (Phase.INACTIVE, None)
    story.later(30).started("web")
    assert (story.unit("web").phase, story.unit("web").restarts) == (Phase.RUNNING, 1)
    assert story.last is not None
    assert [step.restart for step in story.last.transitions] == [Reason.EXTERNAL]


def test_no_command_is_run_in_a_container() -> None:
    async def ask() -> str:
        where = ContainerAddress(0, "", host_network=False)
        told = await Probes(None).ask(Check("own", Exec(("true",))), ContainerId("c"), where)
        return f"{told.kind}: {told.output}"

    assert asyncio.run(ask()) == f"error: {NOT_IN_A_DRY_RUN}"
