"""What an event costs does not grow with the host. Counted in calls and lines of ours: clocks measure the machine."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hooks.notifier import Notifier
from supervisor.engine.port import EngineMessage
from supervisor.runtime.engine_watch import EngineWatch
from tests.counted import Counted
from tests.simulation.engine_model import FakeEngine, Faults, Program
from tests.simulation.host import SimulatedHost, body
from tests.simulation.running import SILENT
from tests.simulation.virtual_loop import run
from units.quantities import Seconds
from units.spec import ContainerId, Kind, Policy, RestartPolicy, UnitName, UnitSpec
from units.unit import Phase
from units.world import World

FEW = 110
"""Calls of ours from a death to its order."""
MOST = 12
"""Times as much for ten times as many."""


def spec(name: UnitName) -> UnitSpec:
    policy = RestartPolicy(Policy.ALWAYS, delay=Seconds(0.2))
    return UnitSpec(name, Kind.SERVICE, "image", body(name, "image", "h1"), "h1", (), policy)


def all_ready(world: World) -> bool:
    return all(unit.phase is Phase.READY for unit in world.units.values())


async def booted(count: int, kind: type[FakeEngine] = FakeEngine) -> SimulatedHost:
    """A host with all its observers, on which nothing happens."""
    chance = random.Random(7)
    specs = tuple(spec(UnitName(f"u{number}")) for number in range(count))
    programs = {str(one.name): Program() for one in specs}
    engine = kind(chance, order="26.1", faults=Faults(), programs=programs, images={"image"})
    host = SimulatedHost(chance, specs, engine)
    host.onlookers = (Notifier((), lambda *_: None, SILENT, lambda notice: notice),)
    host.boot()
    assert await host.until(all_ready, 120)
    await asyncio.sleep(60)
    return host


async def deaths(host: SimulatedHost) -> None:
    """All at once; they are restarted, and their incidents end."""
    before = host.world
    for one in host.specs:
        host.engine.crash(one.name, 137)
    await asyncio.sleep(60)
    assert all_ready(host.world)
    assert all(host.world.units[name].restarts == unit.restarts + 1 for name, unit in before.units.items())


async def shutdown(host: SimulatedHost) -> None:
    assert host.life is not None
    host.life.host.shut_down("a test")
    await asyncio.wait({host.life.task})
    assert host.world.drained


class NarrowEngine(FakeEngine):
    """Its port has few connections, and each start takes long: the last one leaves after a minute."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._connections = asyncio.Semaphore(2)

    async def start(self, container: ContainerId) -> None:
        async with self._connections:
            await asyncio.sleep(2)
            await super().start(container)


def test_a_start_that_waits_for_its_turn_is_not_overdue() -> None:
    """Each death is one restart, and each start is ordered once."""

    async def story() -> None:
        host = await booted(70, NarrowEngine)
        before, asked = host.world, len(host.engine.calls)
        for one in host.specs:
            host.engine.crash(one.name, 137)
        assert await host.until(lambda world: not all_ready(world), 5)
        assert await host.until(all_ready, 120)
        assert all(host.world.units[name].restarts == unit.restarts + 1 for name, unit in before.units.items())
        assert sum(operation == "start" for _, operation, _ in host.engine.calls[asked:]) == len(host.specs)
        await host.kill9()

    run(story())


def test_an_order_leaves_after_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the message that tells of a death to the call of the engine: read, decide, order; the rest comes after."""
    counted, asked = Counted(), []

    async def story() -> None:
        hear, start = EngineWatch._hear, FakeEngine.start

        def counting(watch: EngineWatch, heard: EngineMessage) -> None:
            if heard.kind == "die":
                with counted:
                    hear(watch, heard)
            else:
                hear(watch, heard)

        def noting(engine: FakeEngine, container: ContainerId) -> Coroutine[Any, Any, None]:
            asked.append(counted.calls)
            return start(engine, container)

        monkeypatch.setattr(EngineWatch, "_hear", counting)
        monkeypatch.setattr(FakeEngine, "start", noting)
        host = await booted(20)
        asked.clear()
        host.engine.crash("u7", 137)
        await asyncio.sleep(5)
        assert all_ready(host.world)
        await host.kill9()

    run(story())
    assert len(asked) == 1
    assert 20 < asked[0] <= FEW


@pytest.mark.parametrize("happens", [deaths, shutdown])
def test_ten_times_as_many_cost_no_more_than_a_little_more_than_ten_times(
    happens: Callable[[SimulatedHost], Any],
) -> None:
    async def cost(count: int) -> Counted:
        host = await booted(count)
        with Counted() as counted:
            await happens(host)
        assert host.life is not None
        assert not host.life.recorder.incidents()[-1].incidents.open
        return counted

    few, many = run(cost(30)), run(cost(300))
    assert few.calls > 30 * 10  # Something was counted at all.
    assert max(many.calls / few.calls, many.lines / few.lines) <= MOST
