"""One step of the world while it runs: a queue of facts, units that move by their tables, and their peers."""

from collections import deque
from collections.abc import Callable
from typing import TypeGuard, cast, get_args

from units import events as fact
from units.commands import ArmTimer, Command, KeepServed, ReadConfig, TakeSnapshot
from units.dry_run import only_said, spare
from units.engine_events import DaemonEvent
from units.events import EngineFact, UnitEvent
from units.machine import Advance, Moment, View, advance
from units.records import replace
from units.spec import BINDING_MODES, CONSOLE, USER_DOCKER, Kind, UnitName, Via
from units.switch.record import Switch, SwitchOutcome
from units.tables.by_kind import rules_of
from units.unit import Phase, Unit
from units.world import Answer, Reaction, Transition, World

ENGINE_FACTS = frozenset(get_args(EngineFact))
LOOKING = frozenset({Phase.WAITING, Phase.RUNNING, Phase.READY, Phase.INACTIVE, Phase.FAILED})
"""Phases in which a unit reacts to its peers: it waits for them, shares with them, or was left behind."""
ASKS = (fact.StartAsked, fact.StopAsked, fact.RestartAsked, fact.ResetAsked)
NOT_BY_HAND = (
    "System Docker is not started, stopped or restarted by hand: it runs as long as Dockwarden, and ends with it"
)


class DivergedError(AssertionError):
    """Units pushed one another without end: a defect of the tables."""


class Step:
    """The mutable inside of one ``react``; nothing of it outlives the call.

    Args:
        look_at_switch: Asked when no fact waits: whether a switch goes on, fails or must begin; then it has.
    """

    def __init__(self, world: World, moment: Moment, look_at_switch: Callable[["Step"], bool]) -> None:
        self.world = world
        self._look_at_switch = look_at_switch
        self.units = dict(world.units)
        """To be read; what changes it is ``put`` and ``drop``."""
        self.changed: dict[UnitName, None] = {}
        self.moment = moment
        self.queue: deque[UnitEvent | DaemonEvent] = deque()
        self.transitions: list[Transition] = []
        self.commands: list[Command] = []
        self.answers: list[Answer] = []
        self.notices: list[str] = []
        self.engine: list[Transition] = []
        self.switches: list[Switch | SwitchOutcome] = []

    def put(self, unit: Unit) -> None:
        """From now on the unit is this."""
        self.units[unit.name] = unit
        self.changed[unit.name] = None

    def drop(self, name: UnitName) -> None:
        del self.units[name]
        self.changed[name] = None

    def push(self, event: UnitEvent | DaemonEvent) -> None:
        self.queue.append(event)

    def poke(self, why: str) -> None:
        """Have all waiting units, and all that may have stale references, check again."""
        for unit in self.units.values():
            if unit.phase in {Phase.WAITING, Phase.DRAINING} or (
                unit.phase in LOOKING and self.world.links.leaders.get(unit.name)
            ):
                self.push(fact.PeerChanged(unit.name, why))

    def settle(self) -> None:
        budget = 200 + 60 * len(self.units)
        while self.queue or self._look_at_switch(self):
            budget -= 1
            if budget < 0:
                raise DivergedError(f"still moving: {list(self.queue)[:4]}")
            if not self.queue:
                continue
            event = self.queue.popleft()
            if event.unit == self.world.engine.name:
                self._take_of_engine(event)
            else:
                self._take(cast("UnitEvent", event))

    def view(self, event: UnitEvent | DaemonEvent) -> View:
        world, moment = self.world, self.moment
        if world.switch is not None and isinstance(event, ASKS):
            moment = replace(
                moment, cause=world.switch.cause
            )  # The switch's own requests: a person's would have been refused.
        return View(self.units, world.links, world.engine_up, world.draining, world.reloading, moment)

    def _take(self, event: UnitEvent) -> None:
        unit = self.units.get(event.unit)
        if unit is None:
            self._answer(event, accepted=False, text=f"there is no unit '{event.unit}'")
            if self.world.watching and isinstance(event, fact.ContainerStarted | fact.ContainerCreated):
                self.commands.append(TakeSnapshot(f"{event.unit}: unknown container"))
            return
        if _is_of_the_engine(event) and _of_another_container(unit, event):
            self._note_another(unit, event)
            return
        if isinstance(event, fact.HealthReported) and event.run not in {0, unit.run}:
            return  # Of an earlier run: the answer came late.
        if self.world.draining and isinstance(event, fact.StartAsked | fact.RestartAsked):
            self._answer(event, accepted=False, text="the host goes down")
            return
        if self.world.switch is not None and _would_disturb(event):
            text = (
                f"a switch of the {self.world.switch.of} is in progress ({self.world.switch.step}): wait until it ends"
            )
            self._answer(event, accepted=False, text=text)
            return
        rules = rules_of(unit.spec.kind)
        view = self.view(event)
        result = advance(rules, unit, event, view)
        if self.world.dry:
            result = spare(unit, result, event, view)
        if result.edge is None:
            why = rules.why_ignored(unit.phase, type(event)) or "not possible now"
            self._answer(event, accepted=False, text=f"{unit.name} is {unit.phase}: {why}")
            return
        self._apply(unit, event, result)

    def _note_another(self, unit: Unit, event: EngineFact) -> None:
        """An event about a container that is not the unit's present one."""
        if isinstance(event, fact.ContainerStarted):
            self.commands.append(TakeSnapshot(f"{unit.name}: another container of this unit was started"))
        if isinstance(event, fact.ContainerDestroyed) and self._is_parked(event):
            self.commands.append(TakeSnapshot("a parked console was removed"))

    def _note_served(self, unit: Unit) -> None:
        served = None if unit.spec.context is None else (unit.spec.context, unit.spec.engine)
        if served is not None and served != self.world.served:
            self.world = replace(self.world, served=served)
            self.commands.append(KeepServed(*served))

    def _is_parked(self, event: fact.ContainerDestroyed) -> bool:
        return any(one.container == event.container for one in self.world.parked.values())

    def _take_of_engine(self, event: UnitEvent | DaemonEvent) -> None:
        """The engine is no unit: it has no peers, and ends when all units have."""
        before = self.world.engine
        if isinstance(event, ASKS):
            self._answer(event, accepted=False, text=NOT_BY_HAND)
            return
        result = advance(rules_of(Kind.SYSTEM_DOCKER), before, event, self.view(event))
        after = result.unit
        self.commands.extend(result.commands)
        self.world = replace(self.world, engine=after)
        if after.phase is not before.phase or after.restarts != before.restarts:
            self.engine.append(Transition(before, after, type(event).__name__))

    def _apply(self, before: Unit, event: UnitEvent, result: Advance) -> None:
        after = result.unit
        self.commands.extend(result.commands)
        if after.spec.reloads and not after.reloaded and after.phase.arrived:
            after = replace(after, reloaded=True)
            self.world = replace(self.world, reloading=self.world.reloading | {after.name})
            self.commands.append(ReadConfig(after.name))
        if after is not before:
            self.put(after)
        if after.phase is not before.phase or after.restarts != before.restarts:
            self.transitions.append(Transition(before, after, type(event).__name__))
        if after.phase is not before.phase:
            self._tell_peers(after)
        if after.phase is Phase.READY and after.name == USER_DOCKER:
            self._note_served(after)
        if self.world.links.leaders.get(after.name) and (
            isinstance(event, fact.ContainerStarted) or _turned(before, result)
        ):
            self.push(fact.PeerChanged(after.name, after.name))  # Its references may be stale already.
        if isinstance(event, fact.ContainerStarted) and not event.found and _address_matters(after, self.view(event)):
            self.commands.append(TakeSnapshot(f"{after.name}: its address may have changed"))
        if isinstance(event, fact.ContainerStarted) and not event.found and _is_missed(after, self.view(event)):
            self.commands.append(TakeSnapshot(f"{after.name}: a start without it may have failed"))
        if isinstance(event, ASKS):
            said = self.world.dry and only_said(after)
            self._answer(event, accepted=not said, text=f"{after.name} is {after.phase}: {after.reason}")

    def _tell_peers(self, unit: Unit) -> None:
        links = self.world.links
        for name in links.followers.get(unit.name, ()):
            if self.units[name].phase in LOOKING:
                self.push(fact.PeerChanged(name, unit.name))
        for name in links.downstream(unit.name):
            if self.units[name].phase.up:  # It may have put off a re-link until this one had settled.
                self.push(fact.PeerChanged(name, unit.name))
        if self.world.draining and not unit.busy:
            for name in links.upstream(unit.name):
                if self.units[name].phase is Phase.DRAINING:
                    self.push(fact.PeerChanged(name, unit.name))

    def _answer(self, event: UnitEvent | DaemonEvent, *, accepted: bool, text: str) -> None:
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
            tuple(self.engine),
            tuple(self.switches),
            tuple(self.changed),
        )


def _would_disturb(event: UnitEvent) -> bool:
    """A person's request for a unit that a switch is moving; the switch's own have no request number."""
    return isinstance(event, ASKS) and bool(event.request) and event.unit in {CONSOLE, USER_DOCKER}


def _turned(before: Unit, result: Advance) -> bool:
    """It changed from one of the phases in which it is up to the other, and the timer for its next look is void."""
    armed = any(isinstance(command, ArmTimer) for command in result.commands)
    return before.phase.up and result.unit.phase.up and result.unit.phase is not before.phase and not armed


def _is_of_the_engine(event: UnitEvent) -> TypeGuard[EngineFact]:
    return type(event) in ENGINE_FACTS


def _of_another_container(unit: Unit, event: EngineFact) -> bool:
    """Whether an event is about a previous container; such events are normal and ignored."""
    if isinstance(event, fact.ContainerCreated | fact.ContainerStarted):
        if event.variant not in {"", unit.spec.variant}:
            return True  # Another console's, from before a switch or started through the engine.
        if unit.container is None or isinstance(event, fact.ContainerCreated):
            return False
    return event.container != unit.container


def _is_missed(unit: Unit, view: View) -> bool:
    """Whether a new container lives in this one's namespaces: a start of it that failed is seen by an inspect only."""
    return any(
        edge.target == unit.name and edge.via in BINDING_MODES
        for name in view.links.followers.get(unit.name, ())
        if (one := view.units[name]).spec.expected and one.phase is Phase.INACTIVE and one.run == 0
        for edge in view.links.leaders[name]
    )


def _address_matters(unit: Unit, view: View) -> bool:
    """Whether a running unit has a legacy link to this one, whose address is fixed when that unit starts."""
    return any(
        edge.target == unit.name and edge.via is Via.LINK
        for name in view.links.followers.get(unit.name, ())
        if view.units[name].phase.up
        for edge in view.links.leaders[name]
    )
