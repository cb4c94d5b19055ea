"""Incidents: units that fail for one cause share one, from the first failure until all of them are healthy again.

Derived from reactions, after the orders; nothing is decided by it.

- A unit *falls* when it dies, is found unhealthy, or cannot be started, though it is wanted and no stop was requested.
- The first fall of a cause opens an incident, whose id is that cause's.
- A unit that goes down for a cause of an incident joins it: one that shares its network, or depends on it.
- A loss of the engine is an incident, too; units that the next snapshot finds dead belong to it.
- A unit is in one incident at a time. One that falls again before its incident is over stays in it.
- It is over when all its units have been healthy for 10 s: a crash loop is one incident, not one for each crash.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field

from units import events as fact
from units.engine_events import EngineStalled
from units.events import Event
from units.health import Health
from units.machine import Moment
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass, replace
from units.spec import LASTING, UnitName
from units.unit import Phase, StoppedBy, Unit
from units.world import Reaction, Transition

CALM = Seconds(10)
"""All units healthy for so long end an incident: the shortest run that a restart policy counts as good."""
CAUSES = 64
"""Causes that one incident remembers: a crash loop has a new one for each crash."""

_ASKED = frozenset({Phase.STOPPING, Phase.DRAINING, Phase.INACTIVE, Phase.COMPLETED})
"""Phases in which a death was requested."""
_DEATHS = frozenset({"ContainerDied", "ContainerDestroyed"})


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident of the host, as a person on call counts them."""

    id: str
    """The cause id of the first fall."""
    opened: Instant
    root: str
    """The unit that fell first; empty: the engine was lost."""
    reason: str
    """Why that one fell, in words."""
    units: tuple[UnitName, ...] = ()
    """In the order of their falls."""
    causes: tuple[str, ...] = ()
    engine: bool = False
    """The engine is part of it, and away."""
    ill: frozenset[UnitName] = frozenset()
    """Its units that are not healthy now."""
    well: Instant = NEVER
    """Since when all its units are healthy; NEVER: they are not."""


@dataclass(frozen=True, slots=True)
class Incidents:
    """The incidents that are not over, and the indexes by which an event finds its own without a walk over all."""

    by_id: Mapping[str, Incident] = field(default_factory=dict)
    """In the order in which they were opened."""
    of: Mapping[UnitName, str] = field(default_factory=dict)
    """The id of each unit's incident."""
    by_cause: Mapping[str, str] = field(default_factory=dict)
    """The id of the incident that a cause belongs to."""
    settling: Mapping[str, Instant] = field(default_factory=dict)
    """Since when all units of an incident are healthy, by id; the earliest comes first."""

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(self.by_id.values())


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """The incidents after one reaction, and which of them it opened and closed."""

    incidents: Incidents
    opened: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()


def look(before: Incidents, event: Event, moment: Moment, reaction: Reaction) -> IncidentChange:
    """Update the incidents with one reaction, at the cost of what it changed, however many incidents are open.

    Args:
        before: The incidents so far.
        event: The event that the reaction answers.
        moment: When it came.
        reaction: What it led to.
    """
    of_engine = isinstance(event, fact.EngineLost | EngineStalled | fact.SnapshotTaken)
    changed = any(name in before.of for name in reaction.changed)
    if not (reaction.transitions or changed or of_engine or _due(before.settling, moment)):
        return IncidentChange(before)
    book = _Book(before, moment, reaction)
    if of_engine:
        book.note_engine(event)
    for transition in reaction.transitions:
        book.move(transition)
    book.settle()
    return book.looked()


def well(unit: Unit) -> bool:
    """Whether the unit is in the state it should be in."""
    if unit.phase is Phase.RUNNING:
        return unit.spec.kind in LASTING and unit.health is Health.NONE
    if unit.phase is Phase.READY:
        return unit.health is not Health.UNHEALTHY
    if unit.phase is Phase.PAUSED:
        return True
    if unit.phase is Phase.INACTIVE:
        return unit.stopped_by is not StoppedBy.HEALTH
    return unit.phase is Phase.COMPLETED


def falls(transition: Transition, *, draining: bool = False) -> bool:
    """Whether the unit fails in this step."""
    before, after = transition.before, transition.after
    if draining:
        return False
    if _found_ill(transition):
        return True
    # One that exited after a stop signal may still turn out to have been stopped by a person.
    if not after.wanted or after.phase in _ASKED or after.phase is Phase.EXITED:
        return False
    if before.phase is Phase.EXITED:
        return not after.phase.up
    return after.phase.troubled or (transition.on in _DEATHS and before.phase not in _ASKED)


def _found_ill(transition: Transition) -> bool:
    return transition.on == "HealthReported" and transition.before.phase is Phase.READY


def _due(settling: Mapping[str, Instant], moment: Moment) -> bool:
    """Whether the incident that has been calm for longest is over."""
    return bool(settling) and moment.now - next(iter(settling.values())) >= CALM


class _Book:
    """The incidents while one reaction is worked into them."""

    def __init__(self, before: Incidents, moment: Moment, reaction: Reaction) -> None:
        self._open = dict(before.by_id)
        self._of = dict(before.of)
        self._by_cause = dict(before.by_cause)
        self._settling = dict(before.settling)
        self._moment = moment
        self._units = reaction.world.units
        self._world = reaction.world
        self._changed = reaction.changed
        self._touched: dict[str, None] = {}
        self._opened: dict[str, None] = {}
        self._closed: list[Incident] = []

    def note_engine(self, event: Event) -> None:
        world, cause = self._world, self._moment.cause
        if isinstance(event, fact.EngineLost | EngineStalled) and world.engine_version and not world.draining:
            verb = "was lost" if isinstance(event, fact.EngineLost) else "did not answer"
            lost = next((one for one in self._open.values() if one.engine or not one.root), None)
            if lost is None:
                lost = Incident(cause, self._moment.now, "", f"the engine {verb}: {event.reason}")
            self._keep(replace(lost, engine=True), cause)
        if isinstance(event, fact.SnapshotTaken) and world.serving:
            for one in [one for one in self._open.values() if one.engine]:
                self._keep(replace(one, engine=False), cause)

    def move(self, transition: Transition) -> None:
        """Find the incident that a unit's fall belongs to, or open one."""
        after, draining = transition.after, self._world.draining
        fell = falls(transition, draining=draining)
        left = transition.before.phase.up and not after.phase.up and after.wanted and not draining
        if not fell and not left:
            return
        mine = self._open.get(self._by_cause.get(after.cause, ""))
        if mine is None and fell:
            mine = self._open.get(self._of.get(after.name, ""))
        if mine is None:
            if not fell:
                return
            mine = Incident(after.cause, self._moment.now, after.name, after.reason)
        if self._of.get(after.name) != mine.id:
            self._part(after.name)
            self._of[after.name] = mine.id
            units = mine.units if after.name in mine.units else (*mine.units, after.name)
            mine = replace(mine, units=units)
        self._keep(mine, after.cause)

    def settle(self) -> None:
        """Update the health of the units that changed, and close incidents that are over."""
        unwell: dict[str, list[UnitName]] = {}
        for name in self._changed:
            if (mine := self._of.get(name)) is not None:
                unwell.setdefault(mine, []).append(name)
                self._touched[mine] = None
        for incident in self._touched:
            self._age(self._open[incident], unwell.get(incident, ()))
        while _due(self._settling, self._moment):
            self._close(next(iter(self._settling)))

    def looked(self) -> IncidentChange:
        incidents = Incidents(self._open, self._of, self._by_cause, self._settling)
        return IncidentChange(incidents, tuple(self._open[one] for one in self._opened), tuple(self._closed))

    def _keep(self, incident: Incident, cause: str) -> None:
        if cause not in incident.causes:
            for old in incident.causes[: max(0, len(incident.causes) + 1 - CAUSES)]:
                self._forget(old, incident.id)
            incident = replace(incident, causes=(*incident.causes, cause)[-CAUSES:])
        self._by_cause.setdefault(cause, incident.id)
        if incident.id not in self._open:
            self._opened[incident.id] = None
        self._open[incident.id] = incident
        self._touched[incident.id] = None

    def _part(self, name: UnitName) -> None:
        """A unit leaves its incident for another one."""
        old = self._open.get(self._of.get(name, ""))
        if old is not None:
            self._open[old.id] = replace(old, ill=old.ill - {name})
            self._touched[old.id] = None

    def _age(self, incident: Incident, changed: Iterable[UnitName]) -> None:
        """Update an incident after these of its units changed."""
        units = self._units
        bad = {name for name in changed if (unit := units.get(name)) is not None and not well(unit)}
        ill = incident.ill.difference(changed) | bad
        since = incident.well
        if incident.engine or ill:
            since = NEVER
            self._settling.pop(incident.id, None)
        elif since == NEVER:
            since = self._settling[incident.id] = self._moment.now
        if ill != incident.ill or since != incident.well:
            self._open[incident.id] = replace(incident, ill=ill, well=since)

    def _close(self, incident: str) -> None:
        del self._settling[incident]
        over = self._open.pop(incident)
        self._closed.append(over)
        for name in over.units:
            if self._of.get(name) == incident:
                del self._of[name]
        for cause in over.causes:
            self._forget(cause, incident)

    def _forget(self, cause: str, incident: str) -> None:
        if self._by_cause.get(cause) == incident:
            del self._by_cause[cause]
