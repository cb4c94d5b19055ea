"""Answers *why*: the chain of events and decisions that led a unit to its state. Pure.

A chain has the unit's own records and, of the same events and causes, those of the host and of the units that it
depends on, or, while the host goes down, of the units that depend on it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from supervisor.journal.journal import Journal
from supervisor.journal.record import Record
from supervisor.logs.timestamps import as_iso
from supervisor.views.status import unit_row, what_next
from units.links import Links
from units.spec import UnitName
from units.unit import MEANING, Phase, Unit
from units.world import World

CALM = 600.0
"""Seconds in a good state after which a new chain begins."""
LONGEST = 250
"""Records of one chain."""
SURROUNDINGS = 16
"""Records of the host (engine lost and back, configuration, shutdown, another supervisor) in one chain."""
GOOD = frozenset(
    {Phase.READY.value, Phase.COMPLETED.value, Phase.INACTIVE.value, Phase.RUNNING.value, Phase.SERVING.value}
)


def why(journal: Journal, world: World, name: UnitName, since: float | None = None) -> dict[str, Any]:
    """Why a unit, or the engine, is in its state: its row, what comes next, and the chain of events that led there.

    Args:
        journal: Where the records are.
        world: The present state.
        name: The unit.
        since: Seconds since 1970; without it the chain begins after the unit was last healthy for ten minutes.

    Raises:
        KeyError: no such unit.
    """
    unit = world.find(name)
    if unit is None:
        raise KeyError(name)
    name = unit.name
    own = _told(journal.records(name))
    begin = story(own) if since is None else sum(record.time < since for record in own)
    shown = chain(journal, world.links, name, own, begin)
    due = journal.due(name)
    to_wall = journal.wall
    waits = due is not None and unit.phase.troubled and due > to_wall(unit.since)
    return {
        "unit": unit_row(unit, to_wall, None if unit is world.engine else world.away),
        "meaning": MEANING[unit.phase],
        "next": what_next(unit, world),
        "next_try": as_iso(due) if waits and due is not None else None,
        "waits_for": waits_for(unit, world),
        "earlier": begin,
        "chain": [record.as_dict() for record in shown],
    }


def _told(records: Iterable[Record]) -> list[Record]:
    """Without the begin and end of incidents: each record names its incident."""
    return [record for record in records if not record.event.startswith("incident.")]


def story(own: Sequence[Record]) -> int:
    """Where the last chain begins: after the last time that the unit was in a good state for long enough."""
    begin, last = 0, ""
    for i, record in enumerate(own):
        if i and last in GOOD and record.time - own[i - 1].time >= CALM:
            begin = i
        if record.event == "unit.transition":
            last = record.after
    return begin


def chain(journal: Journal, links: Links, name: UnitName, own: Sequence[Record], begin: int) -> list[Record]:
    """The unit's own records from ``begin`` on, and those of others that belong to them, by number."""
    shown = own[begin:]
    found = {record.seq: record for record in shown}
    if shown:
        near = upstream(links, name)
        if any(record.after == Phase.DRAINING for record in shown):
            near |= frozenset(links.followers.get(name, ()))
        everything = {record.seq: record for record in _told(journal.records())}
        for peer in near:
            everything |= {record.seq: record for record in _told(journal.records(peer))}
        others = [everything[seq] for seq in sorted(everything) if everything[seq].unit in near | {""}]
        found |= _related(shown, others)
        start = own[begin - 1].seq if begin else 0
        about_host = [one for one in others if not one.unit and one.seq > start]
        found |= {record.seq: record for record in about_host[-SURROUNDINGS:]}
    return [found[seq] for seq in sorted(found)][-LONGEST:]


def _related(shown: Sequence[Record], others: Iterable[Record]) -> dict[int, Record]:
    """Records of the same fact, or earlier ones of the same cause."""
    causes = {record.cause: record.seq for record in shown if record.cause}
    facts = {(record.taken, record.time) for record in shown}
    return {one.seq: one for one in others if one.seq < causes.get(one.cause, 0) or (one.taken, one.time) in facts}


def upstream(links: Links, name: UnitName) -> frozenset[UnitName]:
    """All that the unit depends on, directly or not."""
    queue = [name]
    for here in queue:
        queue += [edge.target for edge in links.leaders.get(here, ()) if edge.target not in queue]
    return frozenset(queue[1:])


def waits_for(unit: Unit, world: World) -> list[dict[str, str]]:
    """The units that a waiting unit may be waiting for: its dependencies that are not up, with their reasons."""
    if unit.phase is not Phase.WAITING:
        return []
    ahead = [world.units[edge.target] for edge in world.links.leaders.get(unit.name, ()) if edge.target in world.units]
    return [
        {"unit": one.name, "state": one.phase.value, "reason": one.reason}
        for one in ahead
        if one.phase.value not in GOOD or one.phase is Phase.INACTIVE
    ]
