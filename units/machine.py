"""One step of one unit: rows, the view a row may look at, and the rule by which the first fitting row wins.

A table is total: each cell of (phase, event) either has rows or stands in the list of what is ignored, with a reason.
Where a cell has rows and no guard holds, the event changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, Generic, TypeVar, get_args

from units.commands import ArmTimer, Command, Timer
from units.engine_events import DaemonEvent
from units.events import (
    ContainerStarted,
    DeadlineDue,
    EngineFact,
    KillDue,
    LookDue,
    PeerChanged,
    RetryDue,
    UnitEvent,
    VerdictDue,
)
from units.links import Links
from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.spec import UnitName
from units.unit import Phase, Reason, Unit


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is decided, with the random number for jitter."""

    now: Instant
    jitter: float
    """Drawn from [0, 1)."""
    cause: str
    """Id of the event at hand; what it starts carries this id to the end."""
    seq: int = 0
    """Number of the event at hand, counted from the start of the supervisor."""


@dataclass(frozen=True, slots=True)
class View:
    """All that guards and actions may look at besides their own unit."""

    units: Mapping[UnitName, Unit]
    links: Links
    engine_up: bool
    draining: bool
    reloading: frozenset[UnitName]
    moment: Moment
    memo: dict[str, Any] = field(default_factory=dict)
    """Results computed for this event: guards of one cell ask for the same verdict repeatedly."""

    @property
    def now(self) -> Instant:
        return self.moment.now


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of an action. The row sets the phase, not the action."""

    unit: Unit
    commands: tuple[Command, ...] = ()


E = TypeVar("E", bound=UnitEvent | DaemonEvent)
Action = Callable[[Unit, E, View], Moved]
Guard = Callable[[Unit, E, View], bool]


def always(_unit: Unit, _event: UnitEvent | DaemonEvent, _view: View) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Edge(Generic[E]):
    """One row: in phase ``at``, on this event, when the guard holds, do this and be in phase ``to``."""

    at: Phase
    on: type[E]
    to: Phase
    do: Action[E]
    when: Guard[E] = always


@dataclass(frozen=True, slots=True)
class Ignored:
    """Cells that have no row, and why that is right."""

    at: tuple[Phase, ...]
    on: tuple[type[UnitEvent | DaemonEvent], ...]
    why: str


EVENTS: tuple[type[UnitEvent], ...] = get_args(UnitEvent)
DAEMON_EVENTS: tuple[type[DaemonEvent], ...] = get_args(DaemonEvent)
FACTS = frozenset((*get_args(EngineFact), *DAEMON_EVENTS))
TIMERS = (RetryDue, KillDue, VerdictDue, DeadlineDue, LookDue)


@dataclass(frozen=True, slots=True)
class Table:
    """The transitions of one kind of unit."""

    name: str
    phases: tuple[Phase, ...]
    edges: tuple[Edge[Any], ...]
    ignored: tuple[Ignored, ...]
    cells: Mapping[tuple[Phase, type[UnitEvent | DaemonEvent]], tuple[Edge[Any], ...]]
    events: tuple[type[UnitEvent | DaemonEvent], ...] = EVENTS
    """What it answers to."""
    begins: tuple[Phase, ...] = (Phase.WAITING,)
    """Where a unit of this kind begins."""

    def why_ignored(self, at: Phase, on: type[UnitEvent | DaemonEvent]) -> str | None:
        """Why this cell has no row; ``None``: it has one."""
        return next((entry.why for entry in self.ignored if at in entry.at and on in entry.on), None)


def table(
    name: str,
    phases: Iterable[Phase],
    edges: Iterable[Edge[Any]],
    ignored: Iterable[Ignored],
    *,
    events: tuple[type[UnitEvent | DaemonEvent], ...] = EVENTS,
    begins: tuple[Phase, ...] = (Phase.WAITING,),
) -> Table:
    """Index the rows. Tests check that they are total and disjoint."""
    phases, edges, ignored = tuple(phases), tuple(edges), tuple(ignored)
    cells: dict[tuple[Phase, type[UnitEvent | DaemonEvent]], tuple[Edge[Any], ...]] = {}
    for edge in edges:
        cells[edge.at, edge.on] = (*cells.get((edge.at, edge.on), ()), edge)
    return Table(name, phases, edges, ignored, cells, events, begins)


def rows(
    at: Iterable[Phase], on: type[E], to: Phase | None, do: Action[E], when: Guard[E] = always
) -> tuple[Edge[E], ...]:
    """The same row for several phases; ``to=None`` stays where it is."""
    return tuple(Edge(phase, on, phase if to is None else to, do, when) for phase in at)


@dataclass(frozen=True, slots=True)
class Advance:
    """What an event did to one unit. ``edge`` is the row that fitted, if any."""

    unit: Unit
    commands: tuple[Command, ...]
    edge: Edge[Any] | None


OF_ITS_OWN = frozenset(event for event in (*EVENTS, *DAEMON_EVENTS) if event.__name__.endswith(("Due", "Failed"))) - {
    LookDue
}
"""Timers that the unit has armed, and orders of its own that failed."""


SOON_AFTER = Seconds(10)
"""A start through the engine so soon after the end is a restart: by a person, or by the engine's restart policy."""


def cause_of(unit: Unit, event: UnitEvent | DaemonEvent, view: View) -> str:
    """The cause id of a transition: the event's own, unless it only continues what the unit is doing."""
    moment = view.moment
    if type(event) in OF_ITS_OWN:
        return unit.cause or moment.cause
    if unit.phase.moving and type(event) in FACTS:
        return unit.cause or moment.cause
    if unit.phase is Phase.INACTIVE and isinstance(event, ContainerStarted) and moment.now - unit.since < SOON_AFTER:
        return unit.cause or moment.cause
    if unit.phase is Phase.WAITING and isinstance(event, PeerChanged):
        leader = view.units.get(UnitName(event.peer)) if unit.pending is Reason.RELINK else None
        return (leader.cause if leader is not None else unit.cause) or moment.cause
    return moment.cause


def advance(rules: Table, unit: Unit, event: UnitEvent | DaemonEvent, view: View) -> Advance:
    """Apply the first row whose guard holds. A timer that was armed in an earlier phase, or before another, is void."""
    if isinstance(event, TIMERS) and event.token != unit.token:
        return Advance(unit, (), None)
    for edge in rules.cells.get((unit.phase, type(event)), ()):
        if edge.when(unit, event, view):
            step = edge.do(unit, event, view)
            after = step.unit
            if edge.to is not unit.phase or after.restarts != unit.restarts:
                cause = after.wave if after.wave != unit.wave else cause_of(unit, event, view)
                after = replace(after, phase=edge.to, since=view.now, moved=view.moment.seq, cause=cause)
            if edge.to is Phase.READY and after.proved != after.run:
                after = replace(after, proved=after.run)
            if edge.to is not unit.phase and after.token == unit.token:
                after = replace(after, token=unit.token + 1)
            return Advance(after, step.commands, edge)
    return Advance(unit, (), None)


def arm(unit: Unit, timer: Timer, delay: Seconds, commands: tuple[Command, ...] = (), **changes: Any) -> Moved:
    """A step that arms a timer; timers armed before become stale."""
    token = unit.token + 1
    return Moved(replace(unit, token=token, **changes), (*commands, ArmTimer(unit.name, timer, delay, token)))
