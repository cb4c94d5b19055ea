"""A simulated host: the real shell over a fake engine on virtual time, with a life that a seed draws."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hooks.gates import GateVerdict
from hooks.points import Asked
from supervisor.boot_app import boot_mode
from supervisor.config.settings import Settings
from supervisor.journal.restart_origins import RestartOrigins
from supervisor.logs.pipeline import Pipeline
from supervisor.runtime.loop import Observer
from tests.simulation.engine_model import FULL, FakeEngine, Faults, Program
from tests.simulation.running import NIGHT, SILENT, Machine, Running, start
from units.actions import FREE
from units.decisions import Judgement, judgement, of_standing
from units.events import ConfigRead, Event, ResetAsked, RestartAsked, StartAsked, StopAsked
from units.health import Check, CheckKind, Exec
from units.incidents import IncidentChange, Incidents, look
from units.kernel import react
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.rule_book import RULES
from units.rules import Decision
from units.spec import (
    Condition,
    Dependency,
    Kind,
    OnFailure,
    Policy,
    Rebuild,
    RestartPolicy,
    StopPolicy,
    UnitName,
    UnitSpec,
    Via,
)
from units.unit import Phase, StoppedBy
from units.world import Entry, Reaction, Transition, World


class Recorder:
    """Everything a replay needs, and the restarts and starts that were ordered."""

    def __init__(self) -> None:
        self.first: World | None = None
        self.history: list[tuple[Event, Moment]] = []
        self.rows: set[tuple[str, str, str]] = set()
        self.restarts: dict[UnitName, list[Instant]] = defaultdict(list)
        self.relinks: list[tuple[UnitName, str]] = []
        """Each re-link, and the cause of its wave."""
        self.moved: set[UnitName] = set()
        self.decisions: list[Decision] = []
        self.decided: list[tuple[Transition, int]] = []
        """Each restart, and the number of the decision that it comes from."""
        self.misjudged: list[str] = []
        self._plans = RestartOrigins()
        self._before: World | None = None

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        self.history.append((entry.event, moment))
        self._tell_decisions(entry.event, moment, reaction)
        for step in reaction.transitions:
            self.rows.add((step.before.phase, step.on, step.after.phase))
            if step.after.phase is not step.before.phase:
                self.moved.add(step.after.name)
            if step.after.relinks != step.before.relinks:
                self.relinks.append((step.after.name, step.after.wave))
            if step.after.phase is Phase.STARTING and step.after.pending not in FREE:
                self.restarts[step.after.name].append(moment.now)
            before, after = step.before.budget.restarts, step.after.budget.restarts
            refunded = step.on == "StartFailed" and before and after == before[:-1]
            ordered = self.restarts[step.after.name]
            if refunded and ordered:
                ordered.pop()  # Nothing came of it. (One that died while it was started is no transition, and not in.)

    def incidents(self) -> list[IncidentChange]:
        """What each step made of the incidents, oldest first."""
        assert self.first is not None
        world, told = self.first, [IncidentChange(Incidents())]
        for event, moment in self.history:
            reaction = react(world, event, moment)
            world = reaction.world
            told.append(look(told[-1].incidents, event, moment, reaction))
        return told

    def _tell_decisions(self, event: Event, moment: Moment, reaction: Reaction) -> None:
        for step in reaction.transitions:
            number = self._plans.tell(step, event, moment, reaction.world, self._keep)
            if step.restart is not None:
                self.decided.append((step, number))
            judged = judgement(step, event, moment)
            if judged is not None and (fault := misjudged(judged, step)):
                self.misjudged.append(fault)
        before, self._before = self._before or self.first, reaction.world
        for decision in () if before is None else of_standing(before, event, moment, reaction):
            self._plans.note(decision, self._keep(decision))

    def _keep(self, decision: Decision) -> int:
        self.decisions.append(decision)
        return len(self.decisions)

    def undecided(self) -> list[str]:
        """Each restart comes from exactly one decision: of its unit, for its reason, and of no other restart."""
        told = [*self.misjudged, *(f"no such rule: {one.rule}" for one in self.decisions if one.rule not in RULES)]
        counts = Counter(number for _, number in self.decided)
        told += [f"{times} restarts come from one decision" for times in counts.values() if times != 1]
        for step, number in self.decided:
            decision = self.decisions[number - 1] if number else None
            if decision is None or decision.unit != step.after.name or decision.restart is not step.restart:
                told.append(f"{step.after.name}: a restart for {step.restart} comes from {decision}")
        return told

    def replay(self) -> World:
        assert self.first is not None
        world = self.first
        for event, moment in self.history:
            world = react(world, event, moment).world
        return world


class DrawnGates:
    """Somebody who is asked before each start and stop, takes his time, and says no now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.refuses = chance.choice((0.0, 0.3, 0.8))
        self._longest = chance.choice((0.01, 2.0, 10.0))
        self._units = chance.choice((frozenset("0123456789"), frozenset("02468")))
        """How the names end of those whose starts and stops are asked for."""
        self._stand = True

    async def ask(self, asked: Asked) -> GateVerdict:
        await asyncio.sleep(self._chance.uniform(0, self._longest))
        no = self._chance.random() < self.refuses
        return GateVerdict((("drawn", f"not {asked.unit} now"),)) if no else GateVerdict()

    def stand_before(self, point: str, unit: str) -> bool:
        return self._stand and (point == "before_switch" or unit[-1] in self._units)

    def moment(self) -> float:
        return NIGHT + asyncio.get_running_loop().time()

    def turn(self) -> None:
        """They come, or go."""
        self._stand = not self._stand


def misjudged(judged: Judgement, step: Transition) -> str:
    """Where what was found out afterwards is not what the table did."""
    found, kept = judged.verdict.budget, step.after.budget
    if (found.failures, found.delay, found.looping) != (kept.failures, kept.delay, kept.looping):
        return f"{step.after.name} on {step.on}: {kept} was decided, and {found} was found out"
    return ""


@dataclass
class Life(Running):
    """One supervisor's run, and what was seen of it."""

    recorder: Recorder


class SimulatedHost:
    """An engine, a state file and a clock that survive; supervisors that come and go."""

    def __init__(
        self,
        chance: random.Random,
        specs: tuple[UnitSpec, ...],
        engine: FakeEngine,
        gates: DrawnGates | None = None,
    ) -> None:
        self.chance = chance
        self.gates = gates
        self.specs = specs
        self.engine = engine
        self.machine = Machine(chance, engine)
        self.life: Life | None = None
        self.lives: list[Life] = []
        self.handled = False
        """A person has started a container."""
        self.onlookers: tuple[Observer, ...] = ()
        """Further ones, of the next life."""
        self.fate = random.Random(0)
        """Of what comes with other misfortunes."""

    def boot(self) -> Life:
        options, outside = self.machine.options(), self.machine.outside(self._read_settings, in_thread=self._in_thread)
        mode = boot_mode(options, Settings(units=self.specs), outside, SILENT, Pipeline(()))
        recorder = Recorder()
        running = start(options, mode, outside, recorder, *self.onlookers, gates=self.gates)
        recorder.first = running.world
        self.life = Life(running.host, running.task, recorder)
        self.lives.append(self.life)
        return self.life

    def _read_settings(self, _paths: tuple[Path, ...]) -> Settings:
        return Settings(units=self.specs)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """A configuration takes its time to be read."""
        if work == self._read_settings:
            await asyncio.sleep(self.chance.uniform(0, 0.2))
        return work(*arguments)

    def reread(self) -> None:
        """The configuration is another one now."""
        assert self.life is not None
        self.life.host.inbox.put(ConfigRead(self.specs))

    async def kill9(self) -> None:
        """The supervisor is gone between two instructions; nothing is tidied up."""
        assert self.life is not None
        life, self.life = self.life, None
        await life.kill9()

    def ask(self, event: Event) -> None:
        if self.life is not None:
            self.life.host.inbox.put(event)

    @property
    def world(self) -> World:
        assert self.life is not None
        return self.life.world

    def by_hand(self, act: Callable[[str], None], name: str) -> None:
        """A person starts something."""
        self.handled = True
        act(name)

    async def until(self, holds: Callable[[World], bool], seconds: float) -> bool:
        """Virtual seconds are free: look often."""
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            assert self.life is not None
            if self.life.task.done():
                self.life.task.result()
            if holds(self.world):
                return True
            await asyncio.sleep(0.25)
        return holds(self.world)


def draw_specs(chance: random.Random) -> tuple[UnitSpec, ...]:
    """A configuration without cycles: a unit only needs units drawn before it."""
    names = [UnitName(f"u{number}") for number in range(chance.randint(1, 7))]
    specs: list[UnitSpec] = []
    for name in names:
        kind = chance.choices((Kind.SERVICE, Kind.ONESHOT, Kind.VOLUME), (6, 2, 1))[0]
        image = "missing" if chance.random() < 0.04 else "image"
        edges = tuple(draw_edges(chance, specs))
        specs.append(
            UnitSpec(
                name,
                kind,
                image,
                body(name, image, "h1", edges),
                "h1",
                edges,
                RestartPolicy(chance.choices(tuple(Policy), (1, 2, 6, 3))[0], probe=Seconds(70)),
                StopPolicy(timeout=Seconds(chance.choice((0.5, 3, 10)))),
                chance.choices(tuple(Rebuild), (2, 6, 1))[0],
                reloads=chance.random() < 0.1,
                deadline=Seconds(chance.choice((0, 0, 30))) if kind is Kind.ONESHOT else Seconds(0),
                checks=draw_checks(chance) if kind is Kind.SERVICE else (),
            )
        )
    return tuple(specs)


def draw_checks(chance: random.Random) -> tuple[Check, ...]:
    """Mostly none; and of these most pass."""
    if chance.random() < 0.75:
        return ()
    command = chance.choice((("echo", "well"), ("echo", "well"), ("false",), ("sleep",)))
    kind = chance.choice(tuple(CheckKind))
    return (Check("own", Exec(command), kind, Seconds(chance.choice((2, 10))), start_period=Seconds(5)),)


MODES = {Via.NET: "NetworkMode", Via.PID: "PidMode", Via.IPC: "IpcMode"}


def body(name: str, image: str, config_hash: str, edges: Iterable[Dependency] = ()) -> str:
    edges = tuple(edges)
    host: dict[str, Any] = {MODES[edge.via]: f"container:{edge.target}" for edge in edges if edge.via in MODES}
    host["VolumesFrom"] = [edge.target for edge in edges if edge.via is Via.VOLUMES]
    labels = {"dockwarden.unit": name, "dockwarden.config-hash": config_hash}
    return json.dumps({"Image": image, "Labels": labels, "HostConfig": host})


def draw_edges(chance: random.Random, before: list[UnitSpec]) -> list[Dependency]:
    """Only what runs for long has namespaces to live in, and only one unit's of each kind can be lived in."""
    edges: list[Dependency] = []
    kinds = {spec.name: spec.kind for spec in before}
    for target in chance.sample(list(kinds), min(len(kinds), chance.randint(0, 2))):
        via = chance.choice((Via.LINK, Via.VOLUMES, Via.NET, Via.PID, Via.IPC, Via.DEPENDS_ON, Via.AFTER))
        if via in MODES and (kinds[target] is not Kind.SERVICE or via in {edge.via for edge in edges}):
            via = Via.AFTER
        if via is Via.AFTER:
            edges.append(Dependency(target, via, hard=False, on_failure=OnFailure.PROCEED))
        else:
            condition = chance.choice(tuple(Condition)) if via is Via.DEPENDS_ON else Condition.STARTED
            restart = via is Via.DEPENDS_ON and kinds[target] is Kind.SERVICE and chance.random() < 0.5
            edges.append(Dependency(target, via, condition, restart=restart))
    return edges


def draw_program(chance: random.Random, spec: UnitSpec) -> Program:
    term = chance.choice((0.02, 0.05, 1.0, None))
    if spec.kind is Kind.ONESHOT:
        longest = chance.choice((2.0, 20.0))
        return Program(lambda lot: lot.uniform(0.05, longest), chance.choice(((0,), (0,), (0, 3))), term=term)
    lifetime: Callable[[random.Random], float] | None = None
    mood = chance.random()
    if mood < 0.15:
        lifetime = lambda lot: lot.uniform(0.05, 3)  # noqa: E731
    elif mood < 0.4:
        lifetime = lambda lot: lot.expovariate(1 / 60)  # noqa: E731
    healthy = chance.choice((None, None, None, 0.5, 5.0))
    return Program(lifetime, (0, 1, 137), 0.1, term, 0, healthy, chance.choice((None, None, 20.0)) if healthy else None)


def draw_faults(chance: random.Random) -> Faults:
    return Faults(
        before=chance.choice((0, 0, 0.05)),
        after=chance.choice((0, 0, 0.05)),
        late=chance.choice((0, 0, 0.02)),
        cut=chance.choice((0, 0, 0.02)),
        owner_late=chance.choice((0, 0.5, 1)),
    )


ASKS = (StartAsked, StopAsked, RestartAsked, ResetAsked)


async def misfortune(host: SimulatedHost) -> None:
    """One thing that happens to a host."""
    chance, engine = host.chance, host.engine
    name = chance.choice(host.specs).name
    deeds: list[Callable[[], Awaitable[None] | None]] = [
        lambda: engine.crash(name, chance.choice((0, 1, 139))),
        lambda: engine.oom(name, main=chance.random() < 0.7),
        lambda: engine.person_kill(name, chance.choice((9, 9, 15, 1))),
        lambda: engine.person_stop(name),
        lambda: host.by_hand(engine.person_start, name),
        lambda: host.by_hand(engine.person_restart, name),
        lambda: engine.person_remove(name),
        lambda: engine.sicken(name),
        lambda: host.ask(chance.choice(ASKS)(name)),
        engine.cut_streams,
        lambda: outage(host),
        lambda: engine.freeze(chance.uniform(1, 40)),
        lambda: relaunch(host),
        lambda: reconfigure(host),
        lambda: reboot(host),
        lambda: engine.person_pause(name),
        lambda: engine.person_unpause(name),
    ]
    done = chance.choices(deeds, (6, 1, 4, 2, 2, 2, 2, 1, 4, 1, 1, 1, 1, 2, 1, 1, 1))[0]()
    if done is not None:
        await done


def lie(host: SimulatedHost, chance: random.Random) -> None:
    """The engine serves, and a container is mute or long dead, there is no space, or the stream is silent."""
    lies, name = host.engine.lies, chance.choice(host.specs).name
    match chance.randrange(7):
        case 0:
            lies.stuck[name] = chance.choice(("", "RWLayer of container is unexpectedly nil"))
        case 1:
            lies.stuck.clear()
        case 2 | 3:
            lies.full = not lies.full
        case 4:
            host.engine.lose(name)
        case _:  # With a list that is wrong for ever, too, there would be nobody left to tell.
            lies.deaf = not lies.deaf and lies.lag != float("inf")


def reconfigure(host: SimulatedHost) -> None:
    """Somebody edits one unit's definition, or takes a unit out, and the configuration is read again."""
    index = host.chance.randrange(len(host.specs))
    spec = host.specs[index]
    changed = f"h{host.chance.randint(1, 3)}"
    new = replace(spec, config_hash=changed, body=body(spec.name, spec.image, changed, spec.dependencies))
    host.specs = (*host.specs[:index], new, *host.specs[index + 1 :])
    needed = {edge.target for other in host.specs for edge in other.dependencies}
    absent = spec.name not in needed and host.chance.random() < 0.3
    host.ask(ConfigRead(tuple(one for one in host.specs if not absent or one.name != spec.name)))


async def reboot(host: SimulatedHost) -> None:
    """An orderly shutdown, and another boot."""
    assert host.life is not None
    host.life.host.shut_down("a person")
    await asyncio.wait({host.life.task})
    host.life.task.result()
    host.boot()


async def outage(host: SimulatedHost) -> None:
    """No engine is back sooner than a third of a second after its end.

    It may be another version's then, and may hold on to what its predecessor left: such a container never starts again.
    """
    host.engine.engine_down()
    await asyncio.sleep(host.chance.uniform(0.3, 15))
    for one in host.engine.containers.values():
        one.held = one.held or (one.running and host.fate.random() < 0.1)
    host.engine.order = host.fate.choice(("20.10", "26.1"))
    host.engine.engine_up()


async def relaunch(host: SimulatedHost) -> None:
    """Kill -9 of the supervisor, things go on meanwhile, and it comes again."""
    await host.kill9()
    if host.chance.random() < 0.1:
        host.machine.forget("state")
    await asyncio.sleep(host.chance.choice((0.05, 2, 20)))
    host.boot()


def stranded(world: World) -> list[str]:
    """Wanted units that are neither where they belong nor waiting for something that is not there either."""
    bad = []
    for unit in world.units.values():
        if not unit.wanted:
            continue
        if unit.phase in {Phase.READY, Phase.RUNNING, Phase.PAUSED, Phase.COMPLETED}:
            continue
        if unit.phase in {Phase.FAILED, Phase.CRASH_LOOP, Phase.BACKOFF, Phase.IMAGE_MISSING}:
            continue
        if unit.phase is Phase.WAITING and excused(world, unit.name):
            continue
        bad.append(f"{unit.name} is {unit.phase} since {unit.since:.1f}: {unit.reason}")
    return bad


UNTRIED = {Phase.BACKOFF, Phase.CRASH_LOOP, Phase.FAILED}


def left_down(world: World, engine: FakeEngine) -> list[str]:
    """Units that nobody stopped, and that are down for what happened to others."""
    told = []
    for unit in world.units.values():
        if unit.stopped_by is StoppedBy.OUTSIDE and unit.name not in engine.stopped:
            told.append(f"{unit.name} counts as stopped by a person, and nobody stopped it")
        if unit.phase is Phase.FAILED and "SIGKILLs" in unit.reason:
            told.append(f"{unit.name} is said to have survived what every process dies of: {unit.reason}")
        if unit.wanted and FULL in unit.death + unit.reason and unit.phase is Phase.CRASH_LOOP:
            told.append(f"{unit.name} is charged for what the engine lacked: {unit.reason}")
        held = engine.named(unit.spec.container)
        if held is not None and held.held and unit.phase in UNTRIED and unit.spec.rebuild is not Rebuild.NEVER:
            told.append(f"{unit.name} is started again and again in a container that cannot be: {unit.reason}")
        if held is None or not held.taken or held.running or not unit.wanted or unit.spec.kind is Kind.VOLUME:
            continue
        owners = [world.units[edge.target] for edge in unit.spec.dependencies if edge.via is Via.PID]
        if unit.phase in {Phase.FAILED, Phase.INACTIVE, Phase.COMPLETED} and all(one.phase.up for one in owners):
            told.append(f"{unit.name} died with its pid namespace, and is left down: {unit.reason}")
    return told


def excused(world: World, name: UnitName) -> bool:
    """Some hard dependency is not what it should be."""
    for edge in world.links.leaders[name]:
        target = world.units[edge.target]
        settled = target.phase in {Phase.FAILED, Phase.CRASH_LOOP, Phase.INACTIVE, Phase.IMAGE_MISSING, Phase.BACKOFF}
        if settled or target.phase is Phase.WAITING:
            return True
        if edge.condition is not Condition.STARTED and target.phase.up:
            return True
        if target.spec.kind is Kind.ONESHOT and target.phase is Phase.RUNNING:
            return True
    return False
