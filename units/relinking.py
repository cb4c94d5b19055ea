"""Re-link: which containers have a stale reference to another one, and the steps that fix it.

A container's reference to another one is fixed either when it is created (by id, or copied) or when it is started (by
joining the namespace of that moment). After the other one was restarted or re-created, the reference is stale. Which
step fixes it was measured on engines 20.10 and 26.1: docs/explanation/references.md.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from units.commands import Timer
from units.events import SuccessorMade
from units.machine import Moved, View, arm
from units.quantities import NEVER, Seconds
from units.records import dataclass, replace
from units.restart import recent
from units.spec import BINDING_MODES as SHARED
from units.spec import ContainerId, Dependency, Rebuild, UnitName, Via
from units.unit import Phase, Reason, Unit, anonymous
from units.words import duration

BY_ID = SHARED | {Via.LINK}
"""Edges that the engine stores as the other container's id when it creates this one."""
MOVING = frozenset({Phase.STOPPING, Phase.STARTING, Phase.CREATING, Phase.EXITED})
"""Phases that end by themselves, and soon."""
SOON = 0.001
BY_HAND = Seconds(2)
"""A person who restarts one container of several may be about to restart the others."""
OFTEN, WITHIN = 5, Seconds(60)
"""More re-links than this in so many seconds do not help: containers that share with such a unit wait."""


SHARED_AS = {
    Via.NET: "network namespace",
    Via.PID: "pid namespace",
    Via.IPC: "ipc namespace",
    Via.LINK: "link",
}
REJOINS = {
    Via.NET: "rejoin the network of",
    Via.PID: "rejoin the pid namespace of",
    Via.IPC: "rejoin the ipc namespace of",
    Via.LINK: "update its link to",
    Via.VOLUMES: "mount the volumes of",
}


class Cure(StrEnum):
    """What fixes a stale reference."""

    RESTART = "restart"
    RECREATE = "recreate"


@dataclass(frozen=True, slots=True)
class StaleReference:
    """One stale reference."""

    edge: Dependency
    cure: Cure
    why: str


def worn(unit: Unit, view: View) -> str:
    """Why its next start needs a new container; empty when the present one will do."""
    if not unit.spec.relink or unit.spec.rebuild is Rebuild.NEVER:
        return ""
    return "; ".join(one.why for one in _stale(unit, view) if one.cure is Cure.RECREATE)


def later(one: Unit, other: Unit) -> bool:
    """Whether ``one`` was started after ``other``: by event order, else by the engine's clock, else by ours."""
    first, second = one.begun, other.begun
    if first.seq and second.seq:
        return first.seq > second.seq
    if first.wall and second.wall:
        return first.wall > second.wall
    return NEVER not in {one.started_at, other.started_at} and one.started_at > other.started_at


def stale(unit: Unit, view: View) -> tuple[StaleReference, ...]:
    """The stale references of a running unit, as far as the unit they point to runs and so can be joined again."""
    if not unit.phase.up:
        return ()
    return tuple(_stale(unit, view))


def _stale(unit: Unit, view: View) -> Iterator[StaleReference]:
    for edge in view.links.leaders.get(unit.name, ()):
        leader = view.units[edge.target]
        if edge.via is Via.VOLUMES:
            if _other_volumes(unit, leader):
                yield StaleReference(
                    edge,
                    Cure.RECREATE,
                    f"the volumes of {leader.name} changed; this container still mounts the old ones",
                )
            continue
        if not leader.phase.up:
            continue
        if edge.via in BY_ID and _holds_another(unit, edge.via, leader):
            yield StaleReference(
                edge,
                Cure.RECREATE,
                f"{leader.name} was re-created; this container still uses the old one's {SHARED_AS[edge.via]}",
            )
        elif edge.via in SHARED and later(leader, unit):
            yield StaleReference(
                edge, Cure.RESTART, f"{leader.name} restarted; this container is in its old {SHARED_AS[edge.via]}"
            )
        elif edge.via is Via.LINK and leader.readdressed is not None and _moved_since(leader, unit):
            yield StaleReference(
                edge, Cure.RESTART, f"{leader.name} has a new address; the link of this container is stale"
            )
        elif edge.restart and later(leader, unit):
            yield StaleReference(edge, Cure.RESTART, f"{leader.name} restarted; depends_on has restart: true")


def _holds_another(unit: Unit, via: Via, leader: Unit) -> bool:
    """Whether its container refers to another container than its leader's; known only after an inspect."""
    if unit.look is None or leader.container is None:
        return False
    if via is Via.LINK:  # The engine reports a link by name only; a leader created later is not the one it meant.
        return leader.look is not None and leader.look.created > unit.look.created
    held = dict(unit.look.holds).get(via)
    return held is not None and held != leader.container


def _moved_since(leader: Unit, unit: Unit) -> bool:
    assert leader.readdressed is not None
    return later(replace(leader, begun=leader.readdressed), unit)


def _other_volumes(unit: Unit, donor: Unit) -> bool:
    """Whether the donor has a volume that the taker lacks, at a place that the taker does not fill itself.

    A taker that was created after its donor would not change by being created once more. And nobody is moved from a
    volume to an anonymous one in its place: whoever made that made it empty.
    """
    if unit.look is None or donor.look is None or donor.container is None or unit.look.created > donor.look.created:
        return False
    taken = dict(unit.look.mounts)
    return any(
        taken.get(place) != source and not (place in taken and anonymous(source))
        for place, source in donor.look.mounts
        if place not in unit.look.own_places
    )


def acts(unit: Unit, view: View) -> bool:
    """Whether a stale reference of this unit would be fixed: not while it is paused, and nobody waits for that."""
    if not unit.spec.relink or not unit.wanted or view.draining or unit.phase is Phase.PAUSED:
        return False
    return bool(curable(unit, view))


def curable(unit: Unit, view: View) -> tuple[StaleReference, ...]:
    """The stale references that may be fixed: with ``rebuild: never`` none that needs a new container."""
    never = unit.spec.rebuild is Rebuild.NEVER
    return tuple(one for one in stale(unit, view) if not (never and one.cure is Cure.RECREATE))


def _ahead(unit: Unit, view: View) -> Iterator[Unit]:
    """All units whose start would make this one stale, directly or not."""
    seen: set[UnitName] = {unit.name}
    queue = [unit.name]
    for name in queue:
        for edge in view.links.leaders.get(name, ()):
            if edge.target not in seen and (edge.via in BY_ID or edge.restart or edge.via is Via.VOLUMES):
                seen.add(edge.target)
                queue.append(edge.target)
                yield view.units[edge.target]


def leader_changes(unit: Unit, view: View) -> bool:
    """Whether a unit that its container refers to is about to have another container: a copy would refer to the old."""
    edges = (edge for edge in view.links.leaders.get(unit.name, ()) if edge.via in BY_ID or edge.via is Via.VOLUMES)
    leaders = (view.units[edge.target] for edge in edges)
    return any(one.phase in MOVING or (one.phase.up and one.plan is not None and not one.kept) for one in leaders)


def unlinked(unit: Unit, _event: Any, view: View) -> bool:
    """A guard: it has a stale reference, and no unit ahead of it is moving or is to be re-linked first."""
    if not acts(unit, view) or not view.engine_up:
        return False
    return not any(leader.phase in MOVING or acts(leader, view) for leader in _ahead(unit, view))


def cure_of(unit: Unit, view: View) -> Cure:
    cures = {one.cure for one in curable(unit, view)}
    return Cure.RECREATE if Cure.RECREATE in cures else Cure.RESTART


def patience(unit: Unit, view: View) -> Seconds:
    """How long to wait: for a person who may be restarting both, and for a leader that keeps restarting."""
    often = recent(unit.relinks, WITHIN, view.now)
    waits = [WITHIN - (view.now - often[0])] if len(often) >= OFTEN else []
    if unit.spec.settle:
        leaders = [view.units[one.edge.target] for one in curable(unit, view)]
        wait = unit.spec.settle if cure_of(unit, view) is Cure.RECREATE else min(unit.spec.settle, BY_HAND)
        if cure_of(unit, view) is Cure.RECREATE or unit.kill_seen or any(leader.by_hand for leader in leaders):
            waits.append(wait - (view.now - max(leader.since for leader in leaders)))
    left = max(0.0, *waits, unit.refused_until - view.now)
    return Seconds(left if left > SOON else 0.0)  # A timer shorter than the clock's grain would come again and again.


def joins(unit: Unit, view: View) -> tuple[tuple[ContainerId, ContainerId], ...]:
    """The stale container ids in its configuration, each with the current id."""
    held = dict(unit.look.holds) if unit.look is not None else {}
    return tuple(
        (held[edge.via], leader.container)
        for edge in view.links.leaders.get(unit.name, ())
        if edge.via in held
        and (leader := view.units[edge.target]).container is not None
        and held[edge.via] != leader.container
    )


def unlinked_too_soon(unit: Unit, event: Any, view: View) -> bool:
    return unlinked(unit, event, view) and patience(unit, view) > 0


def unlinked_for_good(unit: Unit, event: Any, view: View) -> bool:
    """A guard: only a new container fixes the stale reference."""
    return unlinked(unit, event, view) and cure_of(unit, view) is Cure.RECREATE


def anew_unprepared(unit: Unit, event: Any, view: View) -> bool:
    """A guard: only a new container fixes the stale reference, and none stands ready."""
    return unlinked(unit, event, view) and cure_of(unit, view) is Cure.RECREATE and unit.unprepared


def relink_is_ready(unit: Unit, event: SuccessorMade, view: View) -> bool:
    """A guard: the new container was made for a reference that is still stale."""
    same = unit.plan is Reason.RELINK and event.config_hash == unit.spec.config_hash
    return same and unlinked(unit, event, view) and cure_of(unit, view) is Cure.RECREATE


def reason_of(unit: Unit, view: View) -> str:
    return "; ".join(dict.fromkeys(one.why for one in curable(unit, view)))


def relinked(unit: Unit, view: View) -> Unit:
    """The unit as its re-link begins, with the attempt counted and the reason kept."""
    attempts = (*recent(unit.relinks, WITHIN, view.now), view.now)[-OFTEN:]
    why = reason_of(unit, view)
    found = curable(unit, view)
    edges = tuple(dict.fromkeys(one.edge.via for one in found))
    newest = max((view.units[one.edge.target] for one in found), key=lambda leader: leader.since)
    return replace(unit, relinks=attempts, relinked_via=edges, reason=why, wave=newest.cause or view.moment.cause)


def rejoined(unit: Unit) -> str:
    """What a restart for a stale reference was for, in words."""
    vias = unit.relinked_via or tuple(SHARED)
    edges = [edge for edge in unit.spec.dependencies if edge.via in vias]
    told = dict.fromkeys(f"{REJOINS.get(edge.via, 'follow')} {edge.target}" for edge in edges)
    return f"restarted to {' and '.join(told)}" if told else "restarted for a stale reference"


def settle(unit: Unit, _event: Any, view: View) -> Moved:
    delay = patience(unit, view)
    refused = f"{unit.refused}; " if unit.refused else ""
    reason = f"{reason_of(unit, view)}; {refused}{cure_of(unit, view)} in {duration(delay)}"
    return arm(replace(unit, reason=reason), Timer.LOOK, delay)
