"""A host that is only watched, with a life that a seed draws: whoever we take down is up again, and in step."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from supervisor.runtime.loop import Inbox
from supervisor.runtime.recreate import Recreations
from supervisor.runtime.shell import Shell, Timing
from supervisor.state.writer import Boot, Keeper
from tests.simulation import virtual_loop
from tests.simulation.engine_model import FakeEngine, Faults, Program
from tests.simulation.host import NIGHT, SILENT, Memory, NoGauges, Recorder, body, directly, nothing
from units import links
from units.events import ConfigRefused, Event
from units.health import Health
from units.machine import Moment, View
from units.memory import Clocks
from units.quantities import Instant, Seconds
from units.relinking import curable, patience
from units.spec import (
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
from units.unit import Phase
from units.world import new_world

AT_WORK = {Phase.STOPPING, Phase.STARTING, Phase.CREATING, Phase.EXITED}
REFERENCES = (Via.NET, Via.PID, Via.IPC, Via.DEPENDS_ON, Via.LINK)


def draw(chance: random.Random) -> dict[str, UnitSpec]:
    specs: dict[str, UnitSpec] = {}
    for number in range(chance.randint(2, 6)):
        name = UnitName(f"c{number}")
        edges: list[Dependency] = []
        for target in chance.sample(list(specs), min(len(specs), chance.randint(0, 2))):
            via = chance.choice(REFERENCES)
            if via not in {edge.via for edge in edges}:
                edges.append(
                    Dependency(
                        UnitName(target),
                        via,
                        hard=False,
                        on_failure=OnFailure.PROCEED,
                        restart=via is Via.DEPENDS_ON and chance.random() < 0.7,
                    )
                )
        specs[name] = UnitSpec(
            name,
            Kind.FOREIGN,
            "image",
            "",
            "",
            tuple(edges),
            RestartPolicy(Policy.ALWAYS, probe=Seconds(70)),
            StopPolicy(timeout=Seconds(3)),
            heal=HealPolicy(chance.choice((OnUnhealthy.RESTART, OnUnhealthy.RESTART, OnUnhealthy.RECREATE))),
            relink=chance.random() < 0.9,
            settle=Seconds(chance.choice((0, 5))),
            expected=chance.random() < 0.5,
        )
    return specs


@dataclass
class Watched:
    """An engine that survives, and watches that come and go."""

    engine: FakeEngine
    chance: random.Random
    notes: Memory = field(default_factory=Memory)
    shell: Shell | None = None
    task: "asyncio.Task[None] | None" = None
    recorder: Recorder = field(default_factory=Recorder)

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        inbox = Inbox(loop.time, str(self.chance.randrange(10**6)))
        recreations = Recreations(self.engine, self.notes, SILENT, directly)

        def clocks() -> Clocks:
            return Clocks(Instant(loop.time()), NIGHT + loop.time())

        keeper = Keeper(Memory(), Boot("host"), clocks, SILENT, counters=dict, failed=lambda: None, in_thread=directly)
        self.recorder = Recorder()
        self.shell = Shell(
            new_world((), links.check(()).links, watching=True),
            self.engine,
            inbox,
            SILENT,
            gauges=NoGauges(),
            keeper=keeper,
            observers=(self.recorder,),
            chance=self.chance.random,
            timing=Timing(),
            read_config=self._no_config,
            prepare=recreations.finish,
            recreations=recreations,
        )
        self.task = asyncio.ensure_future(self.shell.run())

    async def _no_config(self) -> Event:
        await nothing()
        return ConfigRefused("there is none")

    async def kill9(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})


async def history(seed: int) -> list[str]:
    chance = random.Random(seed)
    specs = draw(chance)
    programs = {
        name: Program(
            term=chance.choice((0.05, 0.05, None)),
            healthy_after=chance.choice((None, None, 0.5)),
            sick_after=chance.choice((None, 40.0)),
        )
        for name in specs
    }
    faults = Faults(before=0.02, after=0.02, late=0.01, cut=0.02) if chance.random() < 0.5 else Faults()
    engine = FakeEngine(chance, programs=programs, images={"image"}, foreign=specs)
    for name, spec in specs.items():
        await engine.create(name, body(name, "image", "", spec.dependencies))
        engine.person_start(name)
    engine.faults = faults
    watched = Watched(engine, chance)
    await watched.begin()
    await asyncio.sleep(chance.uniform(0, 10))
    for _ in range(chance.randint(0, 10)):
        name = chance.choice(list(specs))
        acts: tuple[Callable[[], None], ...] = (
            partial(engine.person_restart, name),
            partial(engine.crash, name, 137),
            partial(engine.person_start, name),
            partial(engine.sicken, name),
            engine.cut_streams,
        )
        chance.choice(acts)()
        if chance.random() < 0.15:
            await watched.kill9()
            await asyncio.sleep(chance.uniform(0, 3))
            await watched.begin()
        await asyncio.sleep(chance.choice((0.05, 1, 8, 30)))
    engine.faults = Faults()
    await asyncio.sleep(400)
    told = judge(watched, specs)
    await watched.kill9()
    return told


def judge(watched: Watched, specs: dict[str, UnitSpec]) -> list[str]:
    assert watched.shell is not None
    assert watched.task is not None
    if watched.task.done():
        return [f"the watch has ended: {watched.task.exception()!r}"]
    world, engine = watched.shell.world, watched.engine
    now = Instant(asyncio.get_running_loop().time())
    view = View(world.units, world.links, world.engine_up, world.draining, world.reloading, Moment(now, 0, ""))
    told = [f"{name} is not known" for name in specs if engine.named(name) and name not in world.units]
    for unit in world.units.values():
        held = engine.named(unit.name)
        if unit.phase in AT_WORK and now - unit.since > 120:
            told.append(f"{unit.name} hangs in {unit.phase}: {unit.reason}")
        if unit.phase in {Phase.RUNNING, Phase.READY} and (held is None or not held.running):
            told.append(f"{unit.name} is thought to run")
        if unit.phase is Phase.INACTIVE and held is not None and held.running:
            told.append(f"{unit.name} is thought to be down")
        if unit.spec.relink and unit.health is not Health.UNHEALTHY:
            told += [f"{unit.name} holds on: {one.why}" for one in curable(unit, view) if not patience(unit, view)]
    names = [each.name for each in engine.containers.values()]
    noted = watched.notes.state or {}
    told += [f"{name} was left over" for name in names if name not in specs and name[13:] not in noted["recreations"]]
    told += [f"{name} is lost" for name in specs if name not in names]
    told += watched.recorder.undecided()
    return told


def test_histories(pytestconfig: pytest.Config) -> None:
    """Nobody is lost, left down in the middle of our work, or left out of step where that can be cured."""
    seed, count = pytestconfig.getoption("--seed"), pytestconfig.getoption("--histories") // 4
    seeds = [seed] if seed is not None else range(count)
    bad = {number: told for number in seeds if (told := virtual_loop.run(history(number)))}
    assert not bad, "\n".join(f"--seed {number}: {told[:3]}" for number, told in list(bad.items())[:20])
