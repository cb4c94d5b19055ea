"""One step of the world: an event in, the new world, the orders and the told transitions out.

Every unit moves by its table. A unit that moved tells its peers, and they may move in turn, all within the one step,
until nothing moves any more. So a step has one cause, one moment and one result, and a history of events replayed
through ``react`` gives the same world again.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, TypeGuard, assert_never, get_args

from units import console, relinking
from units import events as fact
from units.commands import Command, DropIntent, ReadConfig, RemoveContainer, SwapBack, TakeSnapshot
from units.events import EngineFact, Event, SwitchEvent, UnitEvent, WorldEvent
from units.links import Links, check, shares
from units.machine import Advance, Moment, View, advance
from units.quantities import NEVER, Instant, Seconds
from units.reconcile import leftovers, looks, reconcile
from units.records import dataclass, replace
from units.switching import Outcome, Result, Scene, SpareUse, Switch, Turn, begin, over, refusal, stopgap
from units.switching import advance as advance_switch
from units.tables import rules_of
from units.unit import (
    CONSOLE,
    USER_DOCKER,
    Kind,
    Phase,
    Reason,
    Spare,
    Stamp,
    StoppedBy,
    Switchable,
    Unit,
    UnitName,
    UnitSpec,
    Via,
)

ENGINE_STOP = Seconds(20)
"""An engine that goes down without live-restore stops its containers first, as a person would, in at most 15 s."""

UNIT_EVENTS = frozenset(get_args(UnitEvent))
ENGINE_FACTS = frozenset(get_args(EngineFact))
LOOKING = frozenset({Phase.WAITING, Phase.RUNNING, Phase.READY, Phase.INACTIVE})
"""Phases in which a unit looks at what its peers do: it waits for them, lives in what is theirs, or was left behind."""
ASKS = (fact.StartAsked, fact.StopAsked, fact.RestartAsked, fact.ResetAsked)


@dataclass(frozen=True)
class World:
    """All that is known and wanted. Without slots, as ``Unit``."""

    units: Mapping[UnitName, Unit]
    links: Links
    engine_up: bool = False
    """The stream is open and a snapshot has been taken since."""
    engine_version: str = ""
    engine_reason: str = "not asked yet"
    draining: bool = False
    reloading: frozenset[UnitName] = frozenset()
    """Units whose success made the configuration be read again; their followers wait for the result."""
    consoles: Mapping[str, UnitSpec] = field(default_factory=dict)
    """All definitions of the console, by name."""
    parked: Mapping[str, Spare] = field(default_factory=dict)
    """Containers of the consoles that are not chosen, by name."""
    switch: Switch | None = None
    """The one that is under way."""
    switched: Outcome | None = None
    """How the last one ended."""
    watching: bool = False
    """The units are whatever containers there are: each snapshot says which."""
    given_up: frozenset[str] = frozenset()
    """Consoles for which another one has taken their place already."""

    @property
    def drained(self) -> bool:
        """The host goes down and nothing of any unit runs or is under way any more."""
        return self.draining and (self.watching or not any(unit.busy for unit in self.units.values()))

    @property
    def settled(self) -> bool:
        """Nothing is on its way to something else by itself."""
        moving = {Phase.PULLING, Phase.CREATING, Phase.STARTING, Phase.STOPPING, Phase.DRAINING, Phase.EXITED}
        return self.engine_up and not any(unit.phase in moving for unit in self.units.values())


@dataclass(frozen=True, slots=True)
class Transition:
    """One unit went from one phase to another."""

    before: Unit
    after: Unit
    on: str
    """Name of the fact that did it."""

    @property
    def restart(self) -> Reason | None:
        """Why this transition is a restart; ``None`` when it is none."""
        if self.after.restarts <= self.before.restarts:
            return None
        # A start that nobody here waits for is somebody else's, or one of ours that came after its deadline.
        ours = {
            Phase.STARTING: self.before.pending,
            Phase.CREATING: self.before.pending,
            Phase.STOPPING: self.before.again,
        }.get(self.before.phase)
        return ours or Reason.EXTERNAL


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request."""

    request: int
    accepted: bool
    text: str


@dataclass(frozen=True, slots=True)
class Reaction:
    """Everything that one event led to."""

    world: World
    transitions: tuple[Transition, ...] = ()
    commands: tuple[Command, ...] = ()
    answers: tuple[Answer, ...] = ()
    notices: tuple[str, ...] = ()
    """Things a person should know that are no unit's state."""
    switches: tuple[Switch | Outcome, ...] = ()
    """Each step that a switch came to, and its end."""


class DivergedError(AssertionError):
    """Units pushed one another without end: a defect of the tables."""


def new_world(
    units: Iterable[Unit], links: Links, consoles: Iterable[UnitSpec] = (), *, watching: bool = False
) -> World:
    by_variant = {spec.variant: spec for spec in consoles}
    return World({unit.name: unit for unit in units}, links, consoles=by_variant, watching=watching)


def react(world: World, event: Event, moment: Moment) -> Reaction:
    """Take one event. Pure: equal arguments give equal reactions."""
    step = _Step(world, moment)
    if _is_of_a_unit(event):
        step.push(event)
    elif isinstance(event, fact.ContainerLooked):
        _take_look(step, event)
    elif isinstance(event, WorldEvent):
        _take_world_event(step, event)
    elif isinstance(event, SwitchEvent):
        _take_switch_event(step, event)
    step.settle()
    return step.reaction()


class _Step:
    """The mutable inside of one ``react``; nothing of it outlives the call."""

    def __init__(self, world: World, moment: Moment) -> None:
        self.world = world
        self.units = dict(world.units)
        self.moment = moment
        self.queue: deque[UnitEvent] = deque()
        self.transitions: list[Transition] = []
        self.commands: list[Command] = []
        self.answers: list[Answer] = []
        self.notices: list[str] = []
        self.switches: list[Switch | Outcome] = []

    def push(self, event: UnitEvent) -> None:
        self.queue.append(event)

    def poke(self, why: str) -> None:
        """Everybody who waits looks again, and everybody who may hold on to what is over."""
        for unit in self.units.values():
            if unit.phase in {Phase.WAITING, Phase.DRAINING} or (
                unit.phase in LOOKING and self.world.links.leaders.get(unit.name)
            ):
                self.push(fact.PeerChanged(unit.name, why))

    def settle(self) -> None:
        budget = 200 + 60 * len(self.units)
        while self.queue or _look_at_switch(self):
            budget -= 1
            if budget < 0:
                raise DivergedError(f"still moving: {list(self.queue)[:4]}")
            if self.queue:
                self._take(self.queue.popleft())

    def view(self, event: UnitEvent) -> View:
        world, moment = self.world, self.moment
        if world.switch is not None and isinstance(event, ASKS):
            moment = replace(moment, cause=world.switch.cause)  # Its own asks: a person's would have been refused.
        return View(self.units, world.links, world.engine_up, world.draining, world.reloading, moment)

    def _take(self, event: UnitEvent) -> None:
        unit = self.units.get(event.unit)
        if unit is None:
            self._answer(event, accepted=False, text=f"there is no unit '{event.unit}'")
            if self.world.watching and isinstance(event, fact.ContainerStarted | fact.ContainerCreated):
                self.commands.append(TakeSnapshot(f"{event.unit}: a container that is not known yet"))
            return
        if _is_of_the_engine(event) and _of_another_container(unit, event):
            if isinstance(event, fact.ContainerStarted):
                self.commands.append(TakeSnapshot(f"{unit.name}: another container of it was started"))
            return
        if isinstance(event, fact.HealthReported) and event.run not in {0, unit.run}:
            return  # Of an earlier run: the answer came late.
        if self.world.draining and isinstance(event, fact.StartAsked | fact.RestartAsked):
            self._answer(event, accepted=False, text="the host goes down")
            return
        if self.world.switch is not None and _would_disturb(event):
            text = f"a switch of the {self.world.switch.of} is under way ({self.world.switch.step}): wait for its end"
            self._answer(event, accepted=False, text=text)
            return
        rules = rules_of(unit.spec.kind)
        result = advance(rules, unit, event, self.view(event))
        if result.edge is None:
            why = rules.why_ignored(unit.phase, type(event)) or "no rule applies now"
            self._answer(event, accepted=False, text=f"{unit.name} is {unit.phase}: {why}")
            return
        self._apply(unit, event, result)

    def _apply(self, before: Unit, event: UnitEvent, result: Advance) -> None:
        after = result.unit
        self.commands.extend(result.commands)
        if after.spec.reloads and not after.reloaded and after.phase in {Phase.READY, Phase.COMPLETED}:
            after = replace(after, reloaded=True)
            self.world = replace(self.world, reloading=self.world.reloading | {after.name})
            self.commands.append(ReadConfig(after.name))
        self.units[after.name] = after
        if after.phase is not before.phase or after.restarts != before.restarts:
            self.transitions.append(Transition(before, after, type(event).__name__))
        if after.phase is not before.phase:
            self._tell_peers(after)
        if isinstance(event, fact.ContainerStarted) and self.world.links.leaders.get(after.name):
            self.push(fact.PeerChanged(after.name, after.name))  # It may hold on to what is over already.
        if isinstance(event, fact.ContainerStarted) and not event.found and _address_matters(after, self.view(event)):
            self.commands.append(TakeSnapshot(f"{after.name}: its address may be another one now"))
        if isinstance(event, ASKS):
            self._answer(event, accepted=True, text=f"{after.name} is {after.phase}: {after.reason}")

    def _tell_peers(self, unit: Unit) -> None:
        links = self.world.links
        for name in links.followers.get(unit.name, ()):
            if self.units[name].phase in LOOKING:
                self.push(fact.PeerChanged(name, unit.name))
        for name in links.downstream(unit.name):
            if self.units[name].phase in relinking.UP:  # It may have put off a re-link until this one had settled.
                self.push(fact.PeerChanged(name, unit.name))
        if self.world.draining and not unit.busy:
            for other in self.units.values():
                if other.phase is Phase.DRAINING:
                    self.push(fact.PeerChanged(other.name, unit.name))

    def _answer(self, event: UnitEvent, *, accepted: bool, text: str) -> None:
        if isinstance(event, ASKS) and event.request:
            self.answers.append(Answer(event.request, accepted, text))

    def reaction(self) -> Reaction:
        world = replace(self.world, units=self.units)
        return Reaction(
            world,
            tuple(self.transitions),
            tuple(self.commands),
            tuple(self.answers),
            tuple(self.notices),
            tuple(self.switches),
        )

    def scene(self) -> Scene:
        world = self.world
        return Scene(self.units, world.consoles, world.engine_up, world.draining, self.moment)

    def turn(self, turn: Turn) -> None:
        """Do what a row of the switch's table says: first the definitions, then the orders, then what is asked."""
        self.world = replace(self.world, switch=turn.switch)
        if turn.spare is SpareUse.NONE:
            for spec in turn.specs:
                self._redefine(spec)
        else:
            self._use_spare(turn.spare, turn.specs)
        self.commands.extend(turn.orders)
        for ask in turn.asks:
            self.push(ask)

    def end_switch(self, turn: Turn, result: Result) -> None:
        self.turn(turn)
        outcome = over(turn.switch, result, self.moment.now)
        self.world = replace(self.world, switch=None, switched=outcome)
        self.switches.append(outcome)
        if outcome.request:
            self.answers.append(Answer(outcome.request, result is Result.DONE, in_words(outcome)))

    def _use_spare(self, use: SpareUse, specs: tuple[UnitSpec, ...]) -> None:
        """The console is made anew: its old container is kept until the new one has proved itself."""
        unit = self.units[CONSOLE]
        spare = unit.spare
        if use is SpareUse.KEEP:
            kept = None if unit.container is None else Spare(unit.container, unit.config_hash)
            self.units[CONSOLE] = replace(console.become(unit, specs[0], kept), renew=True, spare=kept)
        elif use is SpareUse.USE and spare is not None:
            if unit.container != spare.container:
                order = SwapBack(CONSOLE, spare.container, unit.spec.container, unit.container)
                self.commands.append(order)
            self.units[CONSOLE] = replace(console.become(unit, unit.spec, spare), fresh=False)
        elif use is SpareUse.DROP and spare is not None:
            self.commands.append(RemoveContainer(CONSOLE, spare.container, "the console was made anew"))
            self.units[CONSOLE] = replace(unit, spare=None)

    def _redefine(self, spec: UnitSpec) -> None:
        """Another console in the console's unit, or another place for user Docker."""
        unit = self.units[spec.name]
        if spec.name == CONSOLE:
            parked = dict(self.world.parked)
            if unit.container is not None:
                parked[unit.spec.variant] = Spare(unit.container, unit.config_hash)
            self.units[CONSOLE] = console.become(unit, spec, parked.pop(spec.variant, None))
            self.world = replace(self.world, parked=parked)
        else:
            self.units[spec.name] = replace(unit, spec=spec)
        self.world = replace(self.world, links=check(unit.spec for unit in self.units.values()).links)


def in_words(outcome: Outcome) -> str:
    """How a switch ended, as a sentence."""
    kind = "storage context" if outcome.of is Switchable.STORAGE else outcome.of.value
    what = f"the {kind} {outcome.origin or 'of before'}"
    match outcome.result:
        case Result.DONE:
            return f"the {kind} is {outcome.target or 'the own one'} now"
        case Result.REFUSED:
            return f"nothing was touched: {outcome.why}"
        case Result.ROLLED_BACK:
            return f"{what} is back, for: {outcome.why}"
        case Result.STUCK:
            return f"{what} is not back in time, and still being tried; the switch failed for: {outcome.why}"
        case Result.DROPPED:
            return f"the host goes down; it comes up with {what}"


def _would_disturb(event: UnitEvent) -> bool:
    """A person's wish for a unit that a switch is moving; the switch's own wishes have no request."""
    return isinstance(event, ASKS) and bool(event.request) and event.unit in {CONSOLE, USER_DOCKER}


def _look_at_switch(step: _Step) -> bool:
    """Whether the units got to where the switch goes on, or fails, or where one must begin; then it has."""
    if step.world.switch is not None:
        return _move_switch(step, fact.UnitsMoved())
    if len(step.world.consoles) < 2:
        return False
    asked = stopgap(step.scene(), step.world.given_up)
    if asked is None:
        return False
    failed = step.units[CONSOLE]
    step.notices.append(f"the console {failed.spec.variant} does not run ({failed.reason}); default takes its place")
    step.world = replace(step.world, given_up=step.world.given_up | {failed.spec.variant})
    turn = begin(asked, step.scene(), stopgap=True)
    step.turn(turn)
    step.switches.append(turn.switch)
    return True


def _take_switch_event(step: _Step, event: SwitchEvent) -> None:
    if not isinstance(event, fact.SwitchAsked):
        _move_switch(step, event)
        return
    why = refusal(event, step.world.switch, step.scene())
    if why:
        if event.request:
            step.answers.append(Answer(event.request, accepted=False, text=why))
        return
    turn = begin(event, step.scene())
    step.turn(turn)
    step.switches.append(turn.switch)


def _move_switch(step: _Step, event: SwitchEvent) -> bool:
    switch = step.world.switch
    moved = None if switch is None else advance_switch(switch, event, step.scene())
    if switch is None or moved is None:
        return False
    turn, to = moved
    if isinstance(to, Result):
        step.end_switch(turn, to)
        return True
    step.turn(turn)
    if to is not switch.step:
        step.switches.append(turn.switch)
    return to is not switch.step


def _is_of_a_unit(event: Event) -> TypeGuard[UnitEvent]:
    """Many times cheaper than ``isinstance``, which asks one class after the other."""
    return type(event) in UNIT_EVENTS


def _is_of_the_engine(event: UnitEvent) -> TypeGuard[EngineFact]:
    return type(event) in ENGINE_FACTS


def _of_another_container(unit: Unit, event: EngineFact) -> bool:
    """Facts about an incarnation that is gone already are normal, and count for nothing."""
    if isinstance(event, fact.ContainerCreated | fact.ContainerStarted):
        if event.variant not in {"", unit.spec.variant}:
            return True  # Another console's, of before a switch or by somebody else's hand.
        if unit.container is None or isinstance(event, fact.ContainerCreated):
            return False
    return event.container != unit.container


def _address_matters(unit: Unit, view: View) -> bool:
    """Somebody has written it down: the environment of a legacy link is made once, at the start of who has it."""
    return any(
        edge.target == unit.name and edge.via is Via.LINK
        for name in view.links.followers.get(unit.name, ())
        if view.units[name].phase in relinking.UP
        for edge in view.links.leaders[name]
    )


def _take_look(step: _Step, event: fact.ContainerLooked) -> None:
    """What its container holds is no matter of a unit's phase; but who holds on to what is over is one of its own."""
    unit = step.units.get(event.unit)
    if unit is None or unit.container != event.container:
        return
    before, new = unit.look, event.look
    changes: dict[str, Any] = {"look": new}
    if before is not None and before.address and new.address and before.address != new.address:
        changes["readdressed"] = unit.begun
    if unit.phase in relinking.UP and unit.started_at == NEVER and event.started:
        changes |= {
            "started_at": Instant(step.moment.now - event.ran_for),
            "begun": Stamp(0, event.started),
        }
    step.units[unit.name] = replace(unit, **changes)
    for name in (unit.name, *step.world.links.followers.get(unit.name, ())):
        if step.units[name].phase in LOOKING:
            step.push(fact.PeerChanged(name, unit.name))


def _take_world_event(step: _Step, event: WorldEvent) -> None:
    match event:
        case fact.EngineBack(version=version):
            step.world = replace(step.world, engine_version=version, engine_reason="connected, being looked at")
        case fact.EngineLost(reason=reason):
            _lose_engine(step, reason)
        case fact.SnapshotTaken():
            _take_snapshot(step, event)
        case fact.ConfigRead():
            _read_config(step, event)
        case fact.ConfigRefused(problems=problems):
            step.world = replace(step.world, reloading=frozenset())
            step.notices.append(f"the configuration does not hold, the present one stays: {problems}")
            step.poke("configuration")
        case fact.ShutdownAsked(total=total):
            _drain(step, total)
        case fact.ShutdownHurried():
            if not step.world.draining:
                _drain(step, Seconds(0))
            for name in step.units:
                step.push(fact.HurryAsked(name))
        case _:
            assert_never(event)


def _lose_engine(step: _Step, reason: str) -> None:
    """No unit moves: what ran runs on. But stops seen just before were the engine's own, not a person's."""
    was_up = step.world.engine_up
    step.world = replace(step.world, engine_up=False, engine_reason=reason)
    if not was_up or step.world.draining:
        return
    if any(unit.phase in {Phase.RUNNING, Phase.READY} for unit in step.units.values()):
        return  # It left units running, so it stopped none: whoever was stopped was stopped by a person.
    for unit in step.units.values():
        if unit.stopped_by is StoppedBy.OUTSIDE and step.moment.now - unit.since < ENGINE_STOP:
            step.push(fact.StopRevoked(unit.name))


def _take_snapshot(step: _Step, event: fact.SnapshotTaken) -> None:
    came_up = not step.world.engine_up
    if came_up and event.trigger != "connect":
        return  # Asked before the engine went away; the one that counts is on its way.
    if step.world.watching:
        _meet(step, event)
    corrections = reconcile(step.units, event)
    for correction in corrections:
        step.push(correction)
    step.settle()
    for look in looks(step.units, event):
        _take_look(step, look)
    step.commands.extend(leftovers(step.units, event))
    _take_consoles(step, event)
    if came_up:
        step.world = replace(step.world, engine_up=True, engine_reason="serving")
        step.poke("engine")


def _meet(step: _Step, snapshot: fact.SnapshotTaken) -> None:
    """On a host that is only watched: who is new, who is another one than before, and who has left."""
    seen = {one.unit for one in snapshot.containers}
    changed = False
    for spec in (one.spec for one in snapshot.containers if one.spec is not None):
        unit = step.units.get(spec.name)
        if unit is None:
            known = "does not run"
            step.units[spec.name] = Unit(spec, Phase.INACTIVE, step.moment.now, reason=known, cause=step.moment.cause)
            changed = True
        elif unit.spec != spec:
            step.units[spec.name] = replace(unit, spec=spec)
            step.push(fact.SpecChanged(spec.name, spec))
            changed = True
    needed = {edge.target for unit in step.units.values() for edge in unit.spec.dependencies}
    for name, unit in tuple(step.units.items()):
        if name not in seen | needed and unit.container is None and unit.phase is Phase.INACTIVE:
            del step.units[name]
            changed = True
    if changed:
        checked = check(unit.spec for unit in step.units.values())
        step.notices.extend(checked.warnings)
        step.world = replace(step.world, links=checked.links)


def _take_consoles(step: _Step, event: fact.SnapshotTaken) -> None:
    """Which other consoles there are; after a switch that was cut off, a second one may run."""
    chosen = step.units.get(CONSOLE)
    if chosen is None or step.world.switch is not None:
        return
    others = console.parked(step.world.consoles, chosen.spec.variant, event.containers)
    step.world = replace(step.world, parked=others)
    step.commands.extend(console.park(step.world.consoles, others, chosen.spec))


def _drain(step: _Step, total: Seconds) -> None:
    if step.world.draining:
        return
    step.world = replace(step.world, draining=True)
    if step.world.switch is not None:
        step.end_switch(Turn(step.world.switch, (DropIntent(),)), Result.DROPPED)
    timeouts = {name: unit.spec.stop.timeout for name, unit in step.units.items()}
    share = shares(step.world.links, timeouts, total)
    for name in step.units:
        step.push(fact.DrainAsked(name, share[name]))


def _change_specs(step: _Step, specs: tuple[UnitSpec, ...]) -> None:
    """The configuration was read again: re-plan what is affected, and only that."""
    checked = check((*specs, *_gone(step, specs)))
    step.notices.extend(checked.warnings)
    if checked.errors:
        step.notices.append("the new configuration is refused: " + "; ".join(checked.errors))
        step.world = replace(step.world, reloading=frozenset())
        step.poke("configuration")
        return
    step.world = replace(step.world, links=checked.links, reloading=frozenset())
    for spec in specs:
        old = step.units.get(spec.name)
        if old is None:
            step.units[spec.name] = fresh_unit(spec, step.moment.now, step.moment.cause)
        elif old.spec != spec:
            if old.spec.kind is not spec.kind:
                old = replace(old, phase=_phase_for(old, spec.kind))
            step.units[spec.name] = replace(old, spec=spec)
            step.push(fact.SpecChanged(spec.name, spec))
        if old is not None and old.stopped_by is StoppedBy.CONFIG:
            step.push(fact.StartAsked(spec.name))
    for spec in _gone(step, specs):
        if step.units[spec.name].stopped_by is not StoppedBy.CONFIG:
            step.push(fact.StopAsked(spec.name, by=StoppedBy.CONFIG))
    step.settle()
    step.poke("configuration")


def _read_config(step: _Step, event: fact.ConfigRead) -> None:
    if step.world.switch is None:
        _change_specs(step, _with_present_console(step, event))
        return
    step.notices.append("a switch is under way, the present configuration stays: read it again afterwards")
    step.world = replace(step.world, reloading=frozenset())
    step.poke("configuration")


def _with_present_console(step: _Step, event: fact.ConfigRead) -> tuple[UnitSpec, ...]:
    """Another console is a switch, never a side effect: the unit keeps the one it has, in its new definition."""
    unit = step.units.get(CONSOLE)
    if unit is not None and event.consoles:
        present = unit.spec.variant
        consoles = {spec.variant: spec for spec in event.consoles}
        chosen = next((spec.variant for spec in event.specs if spec.name == CONSOLE), present)
        if chosen != present:
            step.notices.append(
                f"the configuration asks for the console {chosen}, and {present} runs: 'console switch {chosen}'"
            )
        # One that lost its definition runs on as it is: a missing definition is no changed one.
        kept = consoles.setdefault(present, unit.spec)
        step.world = replace(step.world, consoles=consoles)
        return tuple(kept if spec.name == CONSOLE else spec for spec in event.specs)
    step.world = replace(step.world, consoles={spec.variant: spec for spec in event.consoles})
    return event.specs


def _gone(step: _Step, specs: tuple[UnitSpec, ...]) -> tuple[UnitSpec, ...]:
    """Units that the configuration no longer has: without dependencies, so that they hold nobody."""
    known = {spec.name for spec in specs}
    return tuple(replace(unit.spec, dependencies=()) for name, unit in step.units.items() if name not in known)


def _phase_for(unit: Unit, kind: Kind) -> Phase:
    """A unit that became another kind may stand in a phase its new table does not know."""
    if unit.phase in rules_of(kind).phases:
        return unit.phase
    return Phase.RUNNING if kind is Kind.ONESHOT else Phase.INACTIVE


def fresh_unit(spec: UnitSpec, now: Instant, cause: str) -> Unit:
    """A unit as it stands before anything has happened to it."""
    if not spec.enabled:
        return Unit(spec, Phase.INACTIVE, now, reason="disabled (dockwarden.enabled)", cause=cause, wanted=False)
    return Unit(spec, Phase.WAITING, now, reason="waiting for the engine", cause=cause)
