"""The world as the core knows it, and the reaction to one event."""

from collections.abc import Iterable, Mapping
from dataclasses import field

from units.commands import Command
from units.events import Event
from units.links import Links
from units.quantities import Instant
from units.records import dataclass
from units.spec import UnitName, UnitSpec
from units.switch.record import Outcome, Switch
from units.unit import Phase, Reason, Spare, Unit


@dataclass(frozen=True)
class World:
    """The state of all units, the engine and the switch. Without slots, as ``Unit``."""

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
    """The switch in progress."""
    switched: Outcome | None = None
    """How the last one ended."""
    watching: bool = False
    """The units are whatever containers there are: each snapshot says which."""
    given_up: frozenset[str] = frozenset()
    """Consoles that were already replaced by another one, because they did not run."""

    @property
    def drained(self) -> bool:
        """The host goes down and nothing of any unit runs or is under way any more."""
        return self.draining and (self.watching or not any(unit.busy for unit in self.units.values()))


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
        # A start that was not ordered here, or one of ours that completed after its deadline.
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
    """Warnings for the operator that are no unit's state."""
    switches: tuple[Switch | Outcome, ...] = ()
    """Each step that a switch came to, and its end."""
    changed: tuple[UnitName, ...] = ()
    """Units that are not what they were, or are not there any more: all others are the same objects as before."""


def new_world(
    units: Iterable[Unit], links: Links, consoles: Iterable[UnitSpec] = (), *, watching: bool = False
) -> World:
    by_variant = {spec.variant: spec for spec in consoles}
    return World({unit.name: unit for unit in units}, links, consoles=by_variant, watching=watching)


def fresh_unit(spec: UnitSpec, now: Instant, cause: str) -> Unit:
    """A unit as it stands before anything has happened to it."""
    if not spec.enabled:
        return Unit(spec, Phase.INACTIVE, now, reason="disabled (dockwarden.enabled)", cause=cause, wanted=False)
    return Unit(spec, Phase.WAITING, now, reason="waiting for the engine", cause=cause)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event on its way."""

    event: Event
    cause: str
    """Id of what it belongs to."""
    arrived: Instant
    engine_ns: int = 0
    """The engine's own stamp, nanoseconds since 1970; 0 for what is not the engine's."""
