"""A proxy before the engine that lets little pass: what it refuses is not done, not counted, and not told as done."""

import asyncio
import random

import pytest

from supervisor.engine.port import EngineError
from tests.simulation import virtual_loop
from tests.simulation.engine_model import FakeEngine, Program
from tests.simulation.host import body
from tests.simulation.test_foreign import Watched
from units.health import Health
from units.quantities import Seconds
from units.spec import (
    ContainerId,
    Dependency,
    HealPolicy,
    Kind,
    OnFailure,
    OnUnhealthy,
    Policy,
    RestartPolicy,
    StopPolicy,
    UnitName,
    UnitSpec,
    Via,
)
from units.unit import Failure, Phase, Unit


def foreign(name: str, *edges: Dependency, action: OnUnhealthy = OnUnhealthy.RESTART) -> UnitSpec:
    return UnitSpec(
        UnitName(name),
        Kind.FOREIGN,
        "image",
        "",
        "",
        edges,
        RestartPolicy(Policy.ALWAYS),
        StopPolicy(timeout=Seconds(3)),
        heal=HealPolicy(action, signal="SIGHUP" if action is OnUnhealthy.SIGNAL else ""),
    )


class Bench:
    """A watch on an engine with these containers, which run."""

    def __init__(self, *specs: UnitSpec) -> None:
        chance = random.Random(1)
        programs: dict[str, Program] = {one.name: Program(healthy_after=0.5) for one in specs}
        self.specs: dict[str, UnitSpec] = {one.name: one for one in specs}
        self.engine = FakeEngine(chance, programs=programs, images={"image"}, foreign=self.specs)
        self.watched: Watched | None = None
        self.chance = chance

    async def up(self) -> None:
        for name, spec in self.specs.items():
            await self.engine.create(name, body(name, "image", "", spec.dependencies))
            self.engine.person_start(name)
        self.watched = Watched(self.engine, self.chance)
        await asyncio.sleep(5)
        self.engine.calls.clear()

    def unit(self, name: str) -> Unit:
        assert self.watched is not None
        return self.watched.running.world.units[UnitName(name)]

    def runs(self, name: str) -> int:
        found = self.engine.named(name)
        assert found is not None
        return found.runs

    def asked(self, operation: str) -> list[float]:
        return [at for at, called, _ in self.engine.calls if called == operation]

    async def close(self) -> None:
        assert self.watched is not None
        assert self.watched.recorder.undecided() == []
        await self.watched.kill9()


ACTIONS = {
    OnUnhealthy.RESTART: "restart",
    OnUnhealthy.RECREATE: "rename",
    OnUnhealthy.SIGNAL: "signal",
    OnUnhealthy.STOP: "signal",
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_refused_restart_is_none(action: OnUnhealthy) -> None:
    """It is shown with the proxy's words, tried ever more rarely, and done when it is allowed."""

    async def main() -> None:
        bench = Bench(foreign("web", action=action))
        await bench.up()
        bench.engine.lies.refuses = frozenset({ACTIONS[action]})
        bench.engine.sicken("web")
        await asyncio.sleep(100)
        unit = bench.unit("web")
        assert (unit.phase, unit.health, unit.restarts) == (Phase.RUNNING, Health.UNHEALTHY, 0)
        assert unit.reason.startswith("unhealthy: HEALTHCHECK failed; refused: ")
        assert "403 Forbidden by administrative rules; next try in" in unit.reason
        assert (unit.falls, unit.budget.restarts, unit.flapping) == ((), (), False)
        tries = bench.asked(ACTIONS[action])
        assert 2 <= len(tries) <= 5
        assert bench.runs("web") == 1
        bench.engine.lies.refuses = frozenset()
        await asyncio.sleep(100)
        if action in {OnUnhealthy.RESTART, OnUnhealthy.RECREATE}:
            unit = bench.unit("web")
            assert (unit.phase, unit.restarts, unit.refused) == (Phase.READY, 1, "")
        await bench.close()

    virtual_loop.run(main())


@pytest.mark.parametrize("refused", ["restart", "rename", "create"])
def test_a_refused_relink_is_none(refused: str) -> None:
    """Who was not started anew has not joined again what was."""

    async def main() -> None:
        joins = Dependency(UnitName("vpn"), Via.NET, hard=False, on_failure=OnFailure.PROCEED)
        bench = Bench(foreign("vpn"), foreign("app", joins))
        await bench.up()
        bench.engine.lies.refuses = frozenset({refused})
        if refused == "restart":
            bench.engine.person_restart("vpn")
        else:
            bench.engine.person_remove("vpn")
            bench.engine.lies.refuses = frozenset()
            await bench.engine.create("vpn", body("vpn", "image", ""))
            bench.engine.lies.refuses = frozenset({refused})
            bench.engine.person_start("vpn")
        await asyncio.sleep(60)
        unit = bench.unit("app")
        assert (unit.phase.up, unit.restarts, bench.runs("app")) == (True, 0, 1)
        assert "refused: " in unit.reason
        assert "re-created" in unit.reason or "restarted;" in unit.reason
        bench.engine.lies.refuses = frozenset()
        await asyncio.sleep(120)
        unit = bench.unit("app")
        assert (unit.phase, unit.restarts, unit.refused) == (Phase.READY, 1, "")
        await bench.close()

    virtual_loop.run(main())


def test_a_restart_that_fails_and_changes_nothing_is_none() -> None:
    """Not even when nobody says that it was refused: the run that a snapshot finds is the one of before."""

    async def main() -> None:
        bench = Bench(foreign("web"))
        await bench.up()

        async def broken(container: ContainerId, grace: Seconds | None) -> None:  # noqa: ARG001 - as the engine
            bench.engine.calls.append((asyncio.get_running_loop().time(), "restart", "web"))
            raise EngineError(Failure.OTHER, "restart: 502 Bad Gateway")

        bench.engine.restart = broken  # type: ignore[method-assign]
        bench.engine.sicken("web")
        await asyncio.sleep(100)
        unit = bench.unit("web")
        assert (unit.phase, unit.restarts, bench.runs("web")) == (Phase.RUNNING, 0, 1)
        assert 2 <= len(bench.asked("restart")) <= 6
        await bench.close()

    virtual_loop.run(main())
