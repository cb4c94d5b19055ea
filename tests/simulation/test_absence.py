"""What happens while no supervisor runs is known to the next one, as far as the engine still tells it."""

import asyncio
import copy
import random
from dataclasses import replace

import pytest

from hooks.notices import Notice
from supervisor.config.settings import SupervisorSettings
from supervisor.engine.calls import LOOK
from supervisor.http.pages.endpoints import unready
from supervisor.runtime.sd_notify import in_short
from supervisor.views.status import unit_row
from tests.pure.story import spec
from tests.simulation import engine_model
from tests.simulation.engine_model import FakeEngine, Faults, Order, Program
from tests.simulation.host import SimulatedHost, body
from tests.simulation.running import Memory
from tests.simulation.virtual_loop import run
from units.health import Check, Exec
from units.spec import UnitName, UnitSpec
from units.unit import Phase, StoppedBy

WEB, DB = UnitName("web"), UnitName("db")
REPAIR = ["rename", "disconnect", "rename"]


def unit(name: str, *, checked: bool) -> UnitSpec:
    one = spec(name)
    checks = (Check("own", Exec(("true",))),) if checked else ()
    return replace(one, body=body(one.name, one.image, one.config_hash, ()), checks=checks)


async def host_with(*, checked: bool) -> SimulatedHost:
    chance = random.Random(1)
    engine = FakeEngine(chance, faults=Faults(), images={"image"})
    host = SimulatedHost(chance, (unit("web", checked=checked), unit("db", checked=checked)), engine)
    host.boot()
    assert await host.until(lambda world: world.units[WEB].phase.up and world.units[DB].phase.up, 60)
    await asyncio.sleep(5)
    return host


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("replay", [0.0, 1.0])
@pytest.mark.parametrize("checked", [False, True])
def test_a_stop_while_no_supervisor_ran_is_respected(*, checked: bool, older: bool, replay: float) -> None:
    """Also where the state that is read is the one from before the last change."""

    async def story() -> None:
        host = await host_with(checked=checked)
        file = host.machine.file("state")
        assert isinstance(file, Memory)
        before = copy.deepcopy(file.state)
        if older:
            host.engine.person_stop("web")
            await asyncio.sleep(5)
            await host.kill9()
            file.state = before
        else:
            await host.kill9()
            host.engine.person_stop("web")
        await asyncio.sleep(20)
        host.engine.lies.replay = replay
        host.boot()
        assert await host.until(lambda world: world.units[DB].phase.up, 60)
        await asyncio.sleep(5)
        web = host.world.units[WEB]
        assert (web.phase, web.stopped_by, web.restarts) == (Phase.INACTIVE, StoppedBy.OUTSIDE, 0)
        await host.kill9()

    run(story())


@pytest.mark.parametrize("checked", [False, True])
def test_a_death_while_no_supervisor_ran_is_a_death(*, checked: bool) -> None:
    """It is restarted, once, and counted."""

    async def story() -> None:
        host = await host_with(checked=checked)
        await host.kill9()
        host.engine.crash("web", 139)
        await asyncio.sleep(20)
        host.boot()
        assert await host.until(lambda world: world.units[WEB].phase.up, 60)
        await host.kill9()

    run(story())


def test_what_an_engine_tells_that_has_forgotten_what_we_know_is_not_believed() -> None:
    """It was started since: what looks like a person's stops is its own clearing up."""

    async def story() -> None:
        host = await host_with(checked=False)
        await host.kill9()
        host.engine._ring.clear()
        host.engine.person_stop("web")
        host.engine.person_stop("db")
        await asyncio.sleep(20)
        host.boot()
        assert await host.until(lambda world: world.units[WEB].phase.up and world.units[DB].phase.up, 60)
        await host.kill9()

    run(story())


@pytest.mark.parametrize("seconds", [45.0, 90.0])
def test_an_engine_that_answers_no_more_is_told_to_be_down(seconds: float) -> None:
    """Its event stream stays open all the while; what is said of units is from before, and says so."""

    async def story() -> None:
        host = await host_with(checked=False)
        frozen = asyncio.create_task(host.engine.freeze(seconds))
        began = asyncio.get_running_loop().time()
        assert await host.until(lambda world: not world.serving, seconds)
        assert asyncio.get_running_loop().time() - began <= SupervisorSettings().snapshot_period + LOOK + 1
        world = host.world
        assert world.engine_up
        assert world.away is not None
        row = unit_row(world.units[WEB], lambda instant: instant, world.away)
        assert str(row["reason"]).startswith("unknown since ")
        assert row["unknown_since"] is not None
        assert in_short(world).startswith("no engine: does not answer")
        assert unready(world)
        assert host.life is not None
        opened = [one for step in host.life.recorder.incidents() for one in step.opened]
        assert [one.reason.partition(":")[0] for one in opened if one.engine] == ["the engine did not answer"]
        await frozen
        assert await host.until(lambda world: world.serving, 30)
        assert host.world.away is None
        assert not unready(host.world)
        await host.kill9()

    run(story())


@pytest.mark.parametrize("order", ["20.10", "26.1"])
def test_a_signal_that_a_person_sent_before_makes_no_persons_stop_of_an_engine_s_own(order: Order) -> None:
    """The program ignored it; what ended it was a new engine that clears up."""

    async def story() -> None:
        host = await host_with(checked=False)
        host.engine.order, host.engine.live_restore = order, False
        host.engine.behave("web", Program(term=None))
        host.engine.person_kill("web", 15)
        await asyncio.sleep(60)
        host.engine.engine_down()
        await asyncio.sleep(5)
        host.engine.engine_up()
        await asyncio.sleep(20)
        web = host.world.units[WEB]
        assert (web.phase, web.stopped_by) == (Phase.READY, StoppedBy.NOBODY)
        await host.kill9()

    run(story())


@pytest.mark.parametrize("delay", [0.5, 1.0, 2.0, 3.0])
def test_a_death_while_all_are_looked_at_is_not_lost(delay: float) -> None:
    """It was inspected before, alive; another one's inspect hangs meanwhile; and the list stays wrong for ever."""

    async def story() -> None:
        host = await host_with(checked=False)
        await host.kill9()
        host.machine.forget("state")
        host.engine.lies.lag = float("inf")
        host.engine.person_run("orphan", {"dockwarden.unit": "orphan"})
        host.engine.lies.stuck["orphan"] = ""
        host.boot()
        await asyncio.sleep(delay)
        host.engine.crash("web", 139)
        await asyncio.sleep(10)
        host.engine.lies.stuck.clear()
        await asyncio.sleep(100)
        assert host.engine.live("web")
        await host.kill9()

    run(story())


def test_what_a_lost_run_has_left_in_a_network_keeps_no_unit_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both engines keep its endpoint, and refuse each later start of that name until they are restarted themselves."""
    monkeypatch.setattr(engine_model, "LEAVES_ENDPOINT", 1)

    async def story() -> None:
        host = await host_with(checked=False)
        host.engine.lose("web")
        assert await host.until(lambda world: world.units[WEB].restarts == 1, 200)
        web = host.engine.named("web")
        assert web is not None
        assert web.running
        assert [call for _, call, _ in host.engine.calls if call in {"rename", "disconnect"}] == REPAIR
        await host.kill9()

    run(story())


class Pager:
    """Somebody who gets notices."""

    kind = "webhook"
    name = "pager"

    def __init__(self) -> None:
        self.got: list[str] = []

    async def send(self, notice: Notice) -> None:
        self.got.append(f"{notice.unit} {notice.event}")


@pytest.mark.parametrize("rebooted", [False, True])
def test_what_people_were_told_is_not_told_again(*, rebooted: bool) -> None:
    """Unless the machine was booted: whoever did that wants to know."""

    async def story() -> None:
        host, pager = await host_with(checked=False), Pager()
        real = host.machine.options
        host.machine.options = lambda **said: replace(real(**said), receivers=(pager,))  # type: ignore[method-assign]
        await host.kill9()
        host.engine.programs["web"] = Program(lifetime=lambda _: 0.0, exit_codes=(1,))
        for container in host.engine.containers.values():
            container.program = host.engine.programs.get(container.name, container.program)
        host.engine.person_kill("web")
        host.boot()
        assert await host.until(lambda world: world.units[WEB].phase is Phase.CRASH_LOOP, 300)
        await asyncio.sleep(60)
        assert pager.got == ["web give-up"]
        await host.kill9()
        if rebooted:
            host.machine.boot_id = "another boot"
        host.boot()
        await asyncio.sleep(900)
        assert host.world.units[WEB].phase is Phase.CRASH_LOOP
        assert pager.got == ["web give-up"] * (2 if rebooted else 1)
        await host.kill9()

    run(story())
