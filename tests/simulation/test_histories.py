"""What must hold, in hundreds of invented histories of the real shell.

A failing history prints its seed: ``pytest tests/simulation --seed N`` plays it again.
"""

import asyncio
import os
import random
import re
from collections import Counter
from dataclasses import dataclass

import pytest

from supervisor.engine.members import LAST_PAUSE
from tests.simulation.engine_model import FakeEngine, Faults
from tests.simulation.host import (
    DrawnGates,
    SimulatedHost,
    draw_faults,
    draw_program,
    draw_specs,
    left_down,
    lie,
    misfortune,
    stranded,
)
from tests.simulation.seeds import named, play_all, seeds_of
from tests.simulation.virtual_loop import run
from units.events import SnapshotTaken
from units.health import Health
from units.incidents import well
from units.machine import Moment, View
from units.quantities import NEVER, Instant
from units.reconcile import doubtful, reconcile
from units.relinking import curable, patience
from units.spec import Kind, Rebuild, UnitName
from units.tables.by_kind import rules_of
from units.unit import Phase
from units.world import World

REPLACED = re.compile("'[0-9a-f]{12}_")


@dataclass
class Outcome:
    seed: int
    faults: list[str]
    rows: set[tuple[str, str, str]]
    events: int
    seconds: float


async def history(seed: int) -> Outcome:
    """Live through one host's life, then judge it."""
    chance = random.Random(seed)
    specs = draw_specs(chance)
    engine = FakeEngine(
        chance,
        order=chance.choice(("20.10", "26.1")),
        faults=draw_faults(chance),
        programs={spec.name: draw_program(chance, spec) for spec in specs},
        images={"image"},
    )
    lies = random.Random(f"lies {seed}")
    engine.live_restore = lies.random() < 0.5
    lot = random.Random(f"gates {seed}")  # Its own, so that a seed's history is the same with and without gates.
    gates = DrawnGates(lot) if lot.random() < 0.2 else None
    host = SimulatedHost(chance, specs, engine, gates)
    liar = random.Random(f"lies {seed}")
    engine.lies.lag = liar.choice((0.0, 0.0, 2.0, 60.0, float("inf")))
    engine.lies.replay = random.Random(f"replay {seed}").choice((0.0, 0.0, 0.5))
    host.fate = random.Random(f"fate {seed}")
    host.boot()
    await asyncio.sleep(chance.uniform(0, 20))
    for _ in range(chance.randint(0, 12)):
        await misfortune(host)
        if liar.random() < 0.15:
            lie(host, liar)
        if gates is not None and lot.random() < 0.2:
            gates.turn()
        await asyncio.sleep(chance.choice((0.01, 0.3, 2, 15)))
    faults = await judge(host)
    rows = set[tuple[str, str, str]]().union(*(life.recorder.rows for life in host.lives))
    events = sum(len(life.recorder.history) for life in host.lives)
    return Outcome(seed, faults, rows, events, asyncio.get_running_loop().time())


async def judge(host: SimulatedHost) -> list[str]:
    engine = host.engine
    # Trouble ends: no more faults of the engine, programs that live on, and time for what is under way.
    engine.faults = Faults()
    if host.gates is not None:
        host.gates.refuses = 0.0
    engine.engine_up()
    seldom = LAST_PAUSE if engine.lies.stuck else 0.0  # Who did not answer for long is asked seldom.
    engine.lies.stuck.clear()
    engine.lies.deaf = engine.lies.full = False
    await asyncio.sleep(150 + seldom)
    # One that was just replaced may have been started again by a person's restart: it has to go, and soon.
    told = [text for text in engine.violations if not REPLACED.search(text)]
    told += engine.emptied
    told += [f"{len(live)} of {one.name} run" for one in host.specs if len(live := engine.live(one.name)) > 1]
    await host.until(lambda world: not stranded(world), 120)
    told += [f"stranded: {text}" for text in stranded(host.world)]
    told += left_down(host.world, engine)
    told += believed_alive(host)
    told += await disagreements(host)
    told += dead_namespaces(host.world)
    told += too_many_restarts(host)
    told += waves(host)
    told += incidents(host)
    told += replay_differs(host)
    told += [text for life in host.lives for text in life.recorder.undecided()]
    told += await shut_down(host)
    return told


def believed_alive(host: SimulatedHost) -> list[str]:
    """What is dead for minutes is known to be, although its engine says that it runs."""
    now = asyncio.get_running_loop().time()
    lost = [one for one in host.engine.containers.values() if one.lost_at is not None and now - one.lost_at > 120]
    up = [unit for one in lost if (unit := host.world.units.get(UnitName(str(one.unit)))) is not None and unit.phase.up]
    return [f"{unit.name} is thought to live" for unit in up if unit.health is not Health.UNHEALTHY]


async def disagreements(host: SimulatedHost) -> list[str]:
    """In a quiet moment the world equals a fresh snapshot: reconcile finds nothing."""
    if not await host.until(quiet, 300):
        return []  # A unit that dies every second leaves no quiet moment.
    engine, world = host.engine, host.world
    seen = await engine.snapshot(thorough=True, doubtful=lambda listed: doubtful(world.units, listed))
    found = reconcile(world.units, SnapshotTaken(seen, "period"))
    await asyncio.sleep(0.1)  # What the snapshot has seen may be on its way still.
    if host.world is not world:
        return []
    return [f"not what the engine says: {fact}" for fact in found]


def dead_namespaces(world: World) -> list[str]:
    """Nobody holds on to what is over where that can be cured."""
    moment = Moment(Instant(asyncio.get_running_loop().time()), 0, "")
    view = View(world.units, world.links, world.engine_up, world.draining, world.reloading, moment)
    up = (unit for unit in world.units.values() if unit.phase.up)
    services = (unit for unit in up if unit.spec.kind is Kind.SERVICE)
    due = [unit for unit in services if not patience(unit, view)]  # Who went too often lately has to wait.
    return [f"{unit.name} holds on: {one.why}" for unit in due for one in curable(unit, view)]


def waves(host: SimulatedHost) -> list[str]:
    """Each unit is brought back in step at most once per cause, and never without one.

    A second time is owed to a person only, who starts a container in the moment in which it is being replaced; or to a
    gate that vetoed the first.
    """
    told = []
    for life in host.lives:
        counts = Counter(life.recorder.relinks)
        most = (2 if host.handled else 1) + (60 if host.gates is not None else 0)
        often = [key for key, times in counts.items() if times > most]
        told += [f"{unit} was re-linked again and again for {wave}" for unit, wave in often]
        told += [f"{unit} was re-linked without a cause" for unit, wave in counts if not wave]
    return told


def incidents(host: SimulatedHost) -> list[str]:
    """Who went down in this life and is not up again is in an incident; and none outlives its reason."""
    assert host.life is not None
    now = host.life.recorder.incidents()[-1].incidents
    moved = host.life.recorder.moved
    bad = {Phase.CRASH_LOOP, Phase.FAILED, Phase.IMAGE_MISSING, Phase.BACKOFF}
    units = host.world.units
    down = [name for name in moved if units[name].wanted and units[name].phase in bad]
    told = [f"{name} is down, in no incident" for name in down if name not in now.of]
    return told + [
        f"the incident of {one.root or 'the engine'} is not over: {one}"
        for one in now.open
        if not one.engine
        and one.well == NEVER
        and all(well(units[name]) for name in one.units if now.of.get(name) == one.id)
    ]


def quiet(world: World) -> bool:
    return world.engine_up and not any(unit.phase.moving for unit in world.units.values())


def too_many_restarts(host: SimulatedHost) -> list[str]:
    """Restarts in any window of the interval stay within the burst."""
    told = []
    for life in host.lives:
        for spec in host.specs:
            times = life.recorder.restarts[spec.name]
            for last in times:
                count = sum(1 for at in times if 0 <= last - at < spec.restart.interval)
                kept = host.engine.named(spec.container)
                if kept is not None and kept.held and spec.rebuild is Rebuild.NEVER:
                    continue  # A person is asked, and each try costs nothing.
                if count > spec.restart.burst and not forgiven(life.recorder, spec.name):
                    told.append(f"{spec.name}: {count} restarts in the minute before {last:.1f}")
    return told


def forgiven(recorder: object, name: str) -> bool:
    """A person's wish gives a new budget; then the window says nothing."""
    history = getattr(recorder, "history", [])
    return any(
        (type(event).__name__ in {"StartAsked", "RestartAsked", "ResetAsked"} and event.unit == name)
        or type(event).__name__ == "ConfigRead"
        for event, _ in history
    )


def replay_differs(host: SimulatedHost) -> list[str]:
    """Replaying the journal gives the same world."""
    assert host.life is not None
    return [] if host.life.recorder.replay() == host.world else ["the replay gives another world"]


async def shut_down(host: SimulatedHost) -> list[str]:
    """A shutdown ends in time, and leaves nothing running."""
    assert host.life is not None
    host.life.host.shut_down("the end")
    done, _ = await asyncio.wait({host.life.task}, timeout=80)
    if not done:
        return [f"the shutdown hangs: {[(u.name, u.phase, u.reason) for u in host.world.units.values() if u.busy]}"]
    host.life.task.result()
    left = [spec.name for spec in host.specs if spec.kind is not Kind.VOLUME and host.engine.live(spec.name)]
    return [f"left running: {left}"] if left else []


def play(seed: int) -> Outcome:
    try:
        outcome: Outcome = run(history(seed))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the seed must be told
        return Outcome(seed, [f"{type(error).__name__}: {error}"], set(), 0, 0)
    return outcome


def test_histories(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    """No wanted unit is stranded, no unit runs twice, restarts keep to the burst, a replay gives the same world."""
    seeds = seeds_of(pytestconfig)
    outcomes = play_all(play, seeds)
    bad = [outcome for outcome in outcomes if outcome.faults]
    with capsys.disabled():
        report(named(seeds), outcomes)
    assert not bad, (
        "\n".join(f"--seed {one.seed}: {'; '.join(one.faults[:3])}" for one in bad[:20])
        + f"\n{len(bad)} of {len(outcomes)} histories"
    )


def report(seeds: str, outcomes: list[Outcome]) -> None:
    """How far the histories reach: rows of the tables that some history took."""
    rows = set[tuple[str, str, str]]().union(*(outcome.rows for outcome in outcomes))
    known = {(edge.at, edge.on.__name__, edge.to) for kind in Kind for edge in rules_of(kind).edges}
    events, seconds = sum(one.events for one in outcomes), sum(one.seconds for one in outcomes)
    print(
        f"\n{len(outcomes)} histories ({seeds}), {events} events, {seconds / 3600:.0f} simulated hours; "
        f"{len(rows)} of {len({row for row in known if row[0] != row[2]})} transitions were taken"
    )
    if "DOCKWARDEN_ROWS" in os.environ:
        print(*sorted(map(str, known - rows)), sep="\n")
    strange = rows - known
    assert strange == set()


def test_a_seed_gives_the_same_history_twice() -> None:
    """Everything that is drawn is drawn from the seed."""
    first, second = play(11), play(11)
    assert (first.faults, first.rows, first.events, first.seconds) == (
        second.faults,
        second.rows,
        second.events,
        second.seconds,
    )
