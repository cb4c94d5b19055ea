"""What fell together: units that go down for one cause share one incident, from the first fall until all are well.

Derived from reactions, after the orders; nothing is decided by it.

- A unit *falls* when it dies, or is found unhealthy, or cannot be brought up, though it is wanted and nobody asked.
- The first fall of a cause opens an incident, whose id is that cause's.
- Whoever leaves its place for a cause of an incident joins it: what shares a network with the fallen, what needs it.
- A loss of the engine is an incident, too; what the next snapshot finds dead belongs to it.
- A unit is in one incident at a time. One that falls again before its incident is over stays in it.
- It is over when all its units have been well for a while: a crash loop is one incident, not one for each crash.
"""

from collections.abc import Mapping
from dataclasses import field

from units import events as fact
from units.events import Event
from units.health import Health
from units.machine import Moment
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass, replace
from units.spec import LASTING, UnitName
from units.unit import Phase, StoppedBy, Unit
from units.world import Reaction, Transition

CALM = Seconds(10)
"""Well for so long, and it is over: the shortest run that a restart policy takes for a good one."""
CAUSES = 64
"""Causes that one incident remembers: a crash loop has a new one for each crash."""

_ASKED = frozenset({Phase.STOPPING, Phase.DRAINING, Phase.INACTIVE, Phase.COMPLETED})
"""Whoever dies there was to go."""
_DEATHS = frozenset({"ContainerDied", "ContainerDestroyed"})


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble of the host, as a person on call counts them."""

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
    well: Instant = NEVER
    """Since when all its units are well; NEVER: they are not."""


@dataclass(frozen=True, slots=True)
class Incidents:
    """Those that are not over."""

    open: tuple[Incident, ...] = ()
    of: Mapping[UnitName, str] = field(default_factory=dict)
    """The id of each unit's incident."""

    def named(self, incident: str) -> Incident | None:
        return next((one for one in self.open if one.id == incident), None)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one reaction made of it."""

    incidents: Incidents
    opened: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()


def look(before: Incidents, event: Event, moment: Moment, reaction: Reaction) -> Looked:
    """``event``: what the reaction is to."""
    if not (before.open or reaction.transitions or isinstance(event, fact.EngineLost)):
        return Looked(before)
    known = {one.id: one for one in before.open}
    of = dict(before.of)
    _engine(known, event, moment, reaction)
    for transition in reaction.transitions:
        _move(known, of, transition, moment, draining=reaction.world.draining)
    closed = []
    for one in list(known.values()):
        if (now := _aged(one, of, moment, reaction)) is None:
            closed.append(known.pop(one.id))
            of = {name: incident for name, incident in of.items() if incident != one.id}
        else:
            known[one.id] = now
    opened = tuple(one for one in known.values() if before.named(one.id) is None)
    return Looked(Incidents(tuple(known.values()), of), opened, tuple(closed))


def well(unit: Unit) -> bool:
    """It is where it should be, as far as anybody can tell."""
    if unit.phase is Phase.RUNNING:
        return unit.spec.kind in LASTING and unit.health is Health.NONE
    if unit.phase is Phase.READY:
        return unit.health is not Health.UNHEALTHY
    if unit.phase is Phase.INACTIVE:
        return unit.stopped_by is not StoppedBy.HEALTH
    return unit.phase is Phase.COMPLETED


def falls(transition: Transition, *, draining: bool = False) -> bool:
    """Whether the unit goes down by itself in this step."""
    before, after = transition.before, transition.after
    if draining:
        return False
    if _found_ill(transition):
        return True
    # One that exited after a signal from outside may still turn out to have been stopped by a person.
    if not after.wanted or after.phase in _ASKED or after.phase is Phase.EXITED:
        return False
    if before.phase is Phase.EXITED:
        return not after.phase.up
    return after.phase.troubled or (transition.on in _DEATHS and before.phase not in _ASKED)


def _found_ill(transition: Transition) -> bool:
    return transition.on == "HealthReported" and transition.before.phase is Phase.READY


def _engine(known: dict[str, Incident], event: Event, moment: Moment, reaction: Reaction) -> None:
    if isinstance(event, fact.EngineLost) and reaction.world.engine_version and not reaction.world.draining:
        lost = next((one for one in known.values() if one.engine or not one.root), None)
        if lost is None:
            lost = Incident(moment.cause, moment.now, "", f"the engine was lost: {event.reason}")
        known[lost.id] = replace(lost, engine=True, causes=(*lost.causes, moment.cause)[-CAUSES:])
    if isinstance(event, fact.SnapshotTaken) and reaction.world.engine_up:
        for one in [one for one in known.values() if one.engine]:
            known[one.id] = replace(one, engine=False, causes=(*one.causes, moment.cause)[-CAUSES:])


def _move(
    known: dict[str, Incident],
    of: dict[UnitName, str],
    transition: Transition,
    moment: Moment,
    *,
    draining: bool,
) -> None:
    after = transition.after
    fell = falls(transition, draining=draining)
    left = transition.before.phase.up and not after.phase.up and after.wanted and not draining
    if not fell and not left:
        return
    mine = next((one for one in known.values() if after.cause in one.causes), None)
    if mine is None and fell:
        mine = known.get(of.get(after.name, ""))
    if mine is None:
        if not fell:
            return
        mine = Incident(after.cause, moment.now, after.name, after.reason)
    causes = mine.causes if after.cause in mine.causes else (*mine.causes, after.cause)[-CAUSES:]
    units = mine.units if after.name in mine.units else (*mine.units, after.name)
    known[mine.id] = replace(mine, units=units, causes=causes)
    of[after.name] = mine.id


def _aged(incident: Incident, of: Mapping[UnitName, str], moment: Moment, reaction: Reaction) -> Incident | None:
    """As it is now; None: it is over."""
    units = reaction.world.units
    theirs = (units.get(name) for name in incident.units if of.get(name) == incident.id)
    if incident.engine or not all(unit is None or well(unit) for unit in theirs):
        return incident if incident.well == NEVER else replace(incident, well=NEVER)
    if incident.well == NEVER:
        return replace(incident, well=moment.now)
    return None if moment.now - incident.well >= CALM else incident
