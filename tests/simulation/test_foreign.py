"""A host that is only watched, with a life that a seed draws: whoever we take down is up again, and in step."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from supervisor.config.autoheal import Autoheal
from supervisor.logs.pipeline import Pipeline
from supervisor.watch_app import WatchOptions, watch_mode
from tests.simulation import virtual_loop
from tests.simulation.engine_model import FakeEngine, Faults, Program
from tests.simulation.host import Recorder, body, left_down
from tests.simulation.running import SILENT, Machine, start
from tests.simulation.seeds import play_all, seeds_of
from units.events import SnapshotTaken
from units.health import Health
from units.machine import Moment, View
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

AT_WORK = {Phase.STOPPING, Phase.STARTING, Phase.CREATING, Phase.EXITED}
QUESTIONS = {"info", "events", "snapshot", "inspect", "image", "logs"}
"""Calls that change nothing."""
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


class Watched:
    """An engine that survives, and watches that come and go."""

    def __init__(self, engine: FakeEngine, chance: random.Random, *, dry: bool = False) -> None:
        self.engine = engine
        self.dry = dry
        self.machine = Machine(chance, engine)
        self.recorder = Recorder()
        self.begin()

    def begin(self) -> None:
        options, outside = self.machine.options(), self.machine.outside()
        wanted = WatchOptions(options, everything=False, dry=self.dry, autoheal=Autoheal())
        mode = watch_mode(wanted, outside, SILENT, Pipeline(()))
        self.recorder = Recorder()
        self.running = start(options, mode, outside, self.recorder)
        self.recorder.first = self.running.world

    def absent_at_death(self, name: str) -> bool:
        """It was dead when the present watch first looked: why, nobody can tell."""
        looks = (moment.now for event, moment in self.recorder.history if isinstance(event, SnapshotTaken))
        found = self.engine.named(name)
        return found is not None and found.changed_at <= next(looks, float("inf"))

    async def kill9(self) -> None:
        await self.running.kill9()


async def history(seed: int, *, dry: bool = False) -> list[str]:
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
    faults = replace(faults, owner_late=chance.choice((0, 0.5, 1)))
    engine = FakeEngine(chance, programs=programs, images={"image"}, foreign=specs)
    for name, spec in specs.items():
        await engine.create(name, body(name, "image", "", spec.dependencies))
        engine.person_start(name)
    engine.faults = faults
    watched = Watched(engine, chance, dry=dry)
    engine.calls.clear()
    await asyncio.sleep(chance.uniform(0, 10))
    for _ in range(chance.randint(0, 10)):
        name = chance.choice(list(specs))
        acts: tuple[Callable[[], None], ...] = (
            partial(engine.person_restart, name),
            partial(engine.crash, name, 137),
            partial(engine.person_start, name),
            partial(engine.sicken, name),
            engine.cut_streams,
            partial(engine.person_pause, name),
            partial(engine.person_unpause, name),
        )
        chance.choice(acts)()
        if chance.random() < 0.1:
            await engine.freeze(chance.uniform(1, 40))
        if chance.random() < 0.15:
            await watched.kill9()
            await asyncio.sleep(chance.uniform(0, 3))
            watched.begin()
        await asyncio.sleep(chance.choice((0.05, 1, 8, 30)))
    engine.faults = Faults()
    await asyncio.sleep(400)
    told = []
    if not any((faults.before, faults.after, faults.late, faults.cut)):
        told += [f"{name} was not left paused" for name in engine.disturbed]
    told += judge_dry(watched) if dry else judge(watched, specs)
    await watched.kill9()
    return told


def judge(watched: Watched, specs: dict[str, UnitSpec]) -> list[str]:
    if watched.running.task.done():
        return [f"the watch has ended: {watched.running.task.exception()!r}"]
    world, engine = watched.running.world, watched.engine
    now = Instant(asyncio.get_running_loop().time())
    view = View(world.units, world.links, world.engine_up, world.draining, world.reloading, Moment(now, 0, ""))
    told = [f"{name} is not known" for name in specs if engine.named(name) and name not in world.units]
    for unit in world.units.values():
        held = engine.named(unit.name)
        if unit.phase in AT_WORK and now - unit.since > 120:
            told.append(f"{unit.name} hangs in {unit.phase}: {unit.reason}")
        if unit.phase.up and (held is None or not held.running):
            told.append(f"{unit.name} is thought to run")
        if held is not None and held.paused is not (unit.phase is Phase.PAUSED):
            told.append(f"{unit.name} is {'not ' if held.paused else ''}thought to be paused")
        if unit.phase is Phase.INACTIVE and held is not None and held.running:
            told.append(f"{unit.name} is thought to be down")
        if unit.spec.relink and unit.health is not Health.UNHEALTHY and unit.phase is not Phase.PAUSED:
            told += [f"{unit.name} holds on: {one.why}" for one in curable(unit, view) if not patience(unit, view)]
    names = [each.name for each in engine.containers.values()]
    told += [text for text in left_down(world, engine) if not watched.absent_at_death(text.split()[0])]
    told += engine.emptied
    noted = watched.machine.file("recreations").load() or {"recreations": {}}
    told += [f"{name} was left over" for name in names if name not in specs and name[13:] not in noted["recreations"]]
    told += [f"{name} is lost" for name in specs if name not in names]
    told += watched.recorder.undecided()
    return told


def judge_dry(watched: Watched) -> list[str]:
    """Nobody is touched, and everybody is seen as it is."""
    if watched.running.task.done():
        return [f"the watch has ended: {watched.running.task.exception()!r}"]
    told = [f"{operation} {of}" for _, operation, of in watched.engine.calls if operation not in QUESTIONS]
    for unit in watched.running.world.units.values():
        held = watched.engine.named(unit.name)
        running = held is not None and held.running
        if unit.phase in AT_WORK or unit.phase.up != running:
            told.append(f"{unit.name} is {unit.phase}: {unit.reason}; it does {'' if running else 'not '}run")
    return told + watched.recorder.undecided()


def play(seed: int, *, dry: bool = False) -> list[str]:
    try:
        told: list[str] = virtual_loop.run(history(seed, dry=dry))
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed must be told
        return [f"{type(error).__name__}: {error}"]
    return told


def test_histories(pytestconfig: pytest.Config) -> None:
    """Nobody is lost, left down in the middle of our work, or left out of step where that can be cured."""
    seeds = seeds_of(pytestconfig, share=4)
    bad = {seed: told for seed, told in zip(seeds, play_all(play, seeds), strict=True) if told}
    assert not bad, "\n".join(f"--seed {seed}: {told[:3]}" for seed, told in list(bad.items())[:20])


def test_histories_of_a_dry_run(pytestconfig: pytest.Config) -> None:
    """The same histories, and not one call that changes anything."""
    seeds = seeds_of(pytestconfig, share=4)
    bad = {seed: told for seed, told in zip(seeds, play_all(partial(play, dry=True), seeds), strict=True) if told}
    assert not bad, "\n".join(f"--seed {seed}: {told[:3]}" for seed, told in list(bad.items())[:20])
