"""Who waits for a unit is answered when it gets there, when it cannot, or when the time is over: nobody polls."""

import asyncio
from dataclasses import replace

import pytest

from supervisor.http.control.waits import GOALS, hopeless
from tests.harness import Harness, until
from tests.pure.story import Story, spec
from tests.pure.test_control import ask, at, play
from units import events as fact
from units.health import Health
from units.machine import Moment
from units.quantities import Instant
from units.spec import Kind, Policy, UnitName
from units.unit import Phase
from units.world import World


def test_what_is_so_already_is_answered_at_once() -> None:
    """Also without any time to wait."""

    async def scene(harness: Harness) -> None:
        code, told = await ask(harness, "GET", "/v1/units/web/wait")
        assert (code, told["reached"], told["hopeless"], told["unit"]["state"]) == (200, True, False, "ready")
        code, told = await ask(harness, "GET", "/v1/units/web/wait?for=stopped")
        assert (code, told["reached"], told["hopeless"]) == (200, False, False)

    play(scene, spec("web"))


def test_the_answer_comes_with_the_transition() -> None:
    """What was reached counts, also when the unit has left again before the answer was written."""

    async def scene(harness: Harness) -> None:
        waiting = asyncio.create_task(ask(harness, "GET", "/v1/units/web/wait?for=stopped&timeout=600"))
        await until(lambda: harness.control.api._waiting._waits)
        harness.inbox.put(fact.StopAsked(UnitName("web"), 0))
        await harness.quiet()
        harness.inbox.put(fact.StartAsked(UnitName("web"), 0))
        code, told = await waiting
        assert (code, told["reached"]) == (200, True)
        assert not harness.control.api._waiting._waits

    play(scene, spec("web"))


def test_what_was_over_before_the_wait_began_is_no_news() -> None:
    """It may be told only now: telling comes after acting."""

    async def scene(harness: Harness) -> None:
        waiting = asyncio.create_task(ask(harness, "GET", "/v1/units/web/wait?for=stopped&timeout=600"))
        waits = harness.control.api._waiting
        await until(lambda: waits._waits)
        down = Story.of(spec("web"))
        now = Instant(0)
        waits.observe(Moment(now, 0.5, "c", harness.inbox.taken), all_stopped(down.world))
        await harness.quiet()
        assert not waiting.done()
        waits.observe(Moment(now, 0.5, "c", harness.inbox.taken + 1), all_stopped(down.world))
        assert (await waiting)[1]["reached"]

    play(scene, spec("web"))


def all_stopped(world: World) -> World:
    stopped = {name: replace(unit, phase=Phase.INACTIVE) for name, unit in world.units.items()}
    return replace(world, units=stopped)


def test_what_cannot_come_any_more_ends_the_wait() -> None:
    """A oneshot that failed will not complete by itself; a service that a person stopped will not run."""

    async def scene(harness: Harness) -> None:
        waiting = [
            asyncio.create_task(ask(harness, "GET", f"/v1/units/{path}&timeout=600"))
            for path in ("job/wait?for=completed", "web/wait?for=healthy")
        ]
        await until(lambda: len(harness.control.api._waiting._waits) == 2)
        harness.engine.crash("job")
        harness.inbox.put(fact.StopAsked(UnitName("web"), 0))
        told = [(await task)[1] for task in waiting]
        assert [(one["reached"], one["hopeless"]) for one in told] == [(False, True)] * 2

    play(scene, spec("job", kind=Kind.ONESHOT, policy=Policy.NO), spec("web"))


def test_a_wait_has_an_end() -> None:
    """Its time is over, the client leaves, the supervisor ends: nothing of it is left."""

    async def scene(harness: Harness) -> None:
        code, told = await ask(harness, "GET", "/v1/units/web/wait?for=stopped&timeout=0.02")
        assert (code, told["reached"], told["unit"]["state"]) == (200, False, "ready")
        _reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"GET /v1/units/web/wait?for=stopped&timeout=600 HTTP/1.0\r\n\r\n")
        await until(lambda: harness.control.api._waiting._waits)
        writer.close()
        await until(lambda: not harness.control.api._waiting._waits)
        waiting = asyncio.create_task(ask(harness, "GET", "/v1/units/web/wait?for=stopped&timeout=600"))
        await until(lambda: harness.control.api._waiting._waits)
        await harness.end()
        assert (await waiting)[0] == 503

    play(scene, spec("web"))


@pytest.mark.parametrize("path", ["web/wait?for=rain", "web/wait?timeout=-1"])
def test_a_wait_for_nothing_is_refused(path: str) -> None:
    """A goal that is none, and a time that is none."""

    async def scene(harness: Harness) -> None:
        assert (await ask(harness, "GET", f"/v1/units/{path}"))[0] == 400

    play(scene, spec("web"))


def test_what_is_tried_again_now_and_then_may_get_there_yet() -> None:
    """A crash loop is no end; what rests is one, unless that is what was waited for."""
    for phase in (Phase.BACKOFF, Phase.CRASH_LOOP, Phase.IMAGE_MISSING, Phase.WAITING):
        assert not hopeless("ready", at(phase))
    assert hopeless("ready", at(Phase.FAILED))
    assert hopeless("ready", at(Phase.INACTIVE, wanted=False))
    assert not hopeless("ready", at(Phase.INACTIVE))
    assert hopeless("healthy", at(Phase.COMPLETED))
    for goal in ("ready", "completed", "stopped"):
        assert GOALS[goal](at(Phase.COMPLETED))
        assert not hopeless(goal, at(Phase.COMPLETED))
    assert GOALS["running"](at(Phase.RUNNING, health=Health.STARTING))
    assert not GOALS["ready"](at(Phase.RUNNING, health=Health.STARTING))
    assert GOALS["healthy"](at(Phase.READY, health=Health.HEALTHY))
    assert not GOALS["healthy"](at(Phase.READY))
    assert GOALS["failed"](at(Phase.CRASH_LOOP))
