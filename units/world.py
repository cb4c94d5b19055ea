"""The world as the core knows it, and the reaction to one event."""

from collections.abc import Iterable, Mapping
from dataclasses import field

from units.commands import Command
from units.events import Event
from units.links import Links
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass
from units.spec import SYSTEM_DOCKER, WATCHED_ENGINE, Kind, Policy, RestartPolicy, UnitName, UnitSpec
from units.switch.record import Switch, SwitchOutcome
from units.troubles import Concern, Reload
from units.unit import Phase, Reason, StandbyContainer, Unit


@dataclass(frozen=True)
class World:
    """The state of all units, the engine and the switch. Without slots, as ``Unit``."""

    units: Mapping[UnitName, Unit]
    links: Links
    engine_up: bool = False
    """The stream is open and a snapshot has been taken since."""
    engine_version: str = ""
    engine_reason: str = "not asked yet"
    away: Instant | None = None
    """Since when the engine has not served, after it had: what is said of units is what was known then."""
    engine: Unit = field(default_factory=lambda: fresh_engine(NEVER, ours=False))
    """The engine itself, System Docker. It is no unit of the configuration: nothing depends on it, and it ends last."""
    draining: bool = False
    overdue: bool = False
    """The last deadline of the shutdown passed with units still running."""
    reloading: frozenset[UnitName] = frozenset()
    """Units whose success made the configuration be read again; their followers wait for the result."""
    consoles: Mapping[str, UnitSpec] = field(default_factory=dict)
    """All definitions of the console, by name."""
    parked: Mapping[str, StandbyContainer] = field(default_factory=dict)
    pruned: frozenset[str] = frozenset()
    """Persistent consoles whose parked container was removed."""
    """Containers of the consoles that are not chosen, by name."""
    switch: Switch | None = None
    """The switch in progress."""
    switched: SwitchOutcome | None = None
    """How the last one ended."""
    watching: bool = False
    """The units are whatever containers there are: each snapshot says which."""
    dry: bool = False
    """A dry run: no step that gives an order is taken."""
    served: tuple[UnitName, str] | None = None
    """The storage context and the engine with which user Docker served last."""
    given_up: frozenset[str] = frozenset()
    """Consoles that were already replaced by another one, because they did not run."""
    troubles: Mapping[Concern, str] = field(default_factory=dict)
    """What the host has to do without, each in a sentence."""
    reload: Reload = Reload.IN_FORCE
    orphans: tuple[str, ...] = ()
    """Running containers of ours whose unit is not in the configuration, by name."""

    @property
    def serving(self) -> bool:
        """The engine is connected, and answered when it was last asked for all containers."""
        return self.engine_up and self.away is None

    @property
    def units_drained(self) -> bool:
        """The host goes down and nothing of any unit runs or is under way any more, or there is no more time for it."""
        if not self.draining:
            return False
        return self.watching or self.overdue or not any(unit.busy for unit in self.units.values())

    @property
    def drained(self) -> bool:
        """The host goes down, no unit runs any more, and the engine, where it is ours, has ended after them."""
        return self.draining and self.engine_ended and self.units_drained

    @property
    def unkillable(self) -> tuple[UnitName, ...]:
        """Units whose processes run on after SIGKILL."""
        return tuple(name for name, unit in self.units.items() if unit.phase is Phase.FAILED and unit.kills)

    @property
    def engine_ended(self) -> bool:
        """There is nothing of the engine to be waited for: it has ended, cannot be ended, or is not ours."""
        return self.engine.phase in {Phase.STOPPED, Phase.FAILED} or not is_ours(self.engine)

    def find(self, name: str) -> Unit | None:
        """A unit, or the engine, by its name; on a host that is only watched the engine also answers to ``engine``."""
        unit = self.units.get(UnitName(name))
        called = {self.engine.name, "engine"} if self.watching else {self.engine.name}
        return self.engine if unit is None and name in called else unit


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
            Phase.LOST: self.before.pending,
            Phase.CRASH_LOOP: self.before.pending if self.after.spec.kind is Kind.SYSTEM_DOCKER else None,
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
    engine: tuple[Transition, ...] = ()
    """Those of the engine itself, which is none of the units."""
    switches: tuple[Switch | SwitchOutcome, ...] = ()
    """Each step that a switch came to, and its end."""
    changed: tuple[UnitName, ...] = ()
    """Units that are not what they were, or are not there any more: all others are the same objects as before."""


def new_world(
    units: Iterable[Unit],
    links: Links,
    consoles: Iterable[UnitSpec] = (),
    *,
    engine: Unit | None = None,
    watching: bool = False,
    dry: bool = False,
) -> World:
    """``engine``: of an attached engine there is nothing to say."""
    by_variant = {spec.variant: spec for spec in consoles}
    engine = engine or fresh_engine(NEVER, ours=False, name=WATCHED_ENGINE if watching else SYSTEM_DOCKER)
    named = {unit.name: unit for unit in units}
    return World(named, links, engine=engine, consoles=by_variant, watching=watching, dry=dry)


ENGINE_RESTARTS = RestartPolicy(Policy.ALWAYS, burst=10, interval=Seconds(300), probe=Seconds(60))
"""Of an engine of ours. Without it nothing runs, so it is tried longer than a unit, and once a minute for ever."""


def fresh_engine(now: Instant, *, ours: bool, name: UnitName = SYSTEM_DOCKER) -> Unit:
    """The engine before anything is known of it. One that is not ours has the restart policy ``no``."""
    restart = ENGINE_RESTARTS if ours else RestartPolicy(Policy.NO)
    spec = UnitSpec(name, Kind.SYSTEM_DOCKER, "", "", "", restart=restart)
    if ours:
        return Unit(spec, Phase.ABSENT, now, reason="not started yet")
    return Unit(spec, Phase.CONNECTING, now, reason="has not answered yet")


def is_ours(engine: Unit) -> bool:
    """Whether the engine's process is started and stopped by us."""
    return engine.spec.restart.policy is not Policy.NO


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
