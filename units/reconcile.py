"""Compares a snapshot of the engine with the known state, and makes the facts that explain the difference.

Level after edge: the stream makes us fast, the snapshot makes us right. The facts go through the same tables, so there
is no second way for a unit to move. A second run on the world that the first one left finds nothing.

What was only listed is a hint: no state follows from it. ``doubtful`` says which containers must be inspected for that.
"""

from collections.abc import Iterable, Mapping

from units import events as fact
from units.commands import Command, RemoveContainer
from units.events import ContextLost, EngineFact, Observed, SnapshotTaken, SpecChanged
from units.health import ENGINE, PROCESS, Health
from units.quantities import NEVER
from units.records import replace
from units.spec import ContainerId, Kind, Rebuild, UnitName
from units.unit import Beyond, Phase, Unit

P = Phase
Correction = EngineFact | SpecChanged | ContextLost
BELIEVED_UP = frozenset({P.RUNNING, P.READY, P.PAUSED, P.DRAINING})
BELIEVED_DOWN = frozenset(
    {
        P.INACTIVE,
        P.WAITING,
        P.BACKOFF,
        P.CRASH_LOOP,
        P.IMAGE_MISSING,
        P.COMPLETED,
        P.FAILED,
        P.EXITED,
        P.STARTING,
    }
)


LIFELESS = "its process is gone, but the engine says that it runs"
GRAIN = 0.001
"""Seconds. An event's stamp is later than the start that it tells of, and a new run is later than both."""


def reconcile(units: Mapping[UnitName, Unit], snapshot: SnapshotTaken) -> tuple[Correction, ...]:
    """Facts, in the order of the units, that bring each unit to where its container is."""
    candidates = _by_unit(units, snapshot.containers)
    facts: list[Correction] = []
    for name, unit in units.items():
        if unit.moved <= snapshot.asked_after:
            facts.extend(_explain(unit, keeper(unit, candidates.get(name, ()))))
    return tuple(facts)


def doubtful(units: Mapping[UnitName, Unit], listed: Iterable[Observed]) -> tuple[Observed, ...]:
    """What must be inspected before it is believed: rows that do not fit, and known containers without a row.

    An engine that came up on a full disk (seen with 26.1) lists none of its containers until their state is written
    again, although each still has its name: who has no container, and cannot get one, is asked for by that.
    """
    found = _by_unit(units, listed)
    asked: list[Observed] = []
    for name, unit in units.items():
        if unit.spec.kind is Kind.USER_DOCKER:
            continue  # It is no container.
        seen = found.get(name, ())
        kept = keeper(unit, seen)
        if not seen and unit.container is None and unit.phase in {P.BACKOFF, P.CRASH_LOOP}:
            named = ContainerId(unit.spec.container)
            asked.append(Observed(name, named, unit.spec.container, running=False, created=False, hint=True))
        if _explain(unit, None if kept is None else replace(kept, hint=False)):
            asked += seen
            if unit.container is not None and all(one.container != unit.container for one in seen):
                asked.append(Observed(name, unit.container, name, unit.phase.up, created=False, hint=True))
        else:
            asked += (one for one in seen if one.running and one is not kept)
    present = {name: unit.spec.variant for name, unit in units.items()}
    asked += (one for one in listed if one.running and one.variant not in {"", present.get(one.unit, one.variant)})
    return tuple(one for one in asked if one.hint)


def missed(units: Mapping[UnitName, Unit], snapshot: SnapshotTaken) -> tuple[EngineFact, ...]:
    """Starts, deaths and removals of which the event stream should have told already."""
    told = (fact.ContainerStarted, fact.ContainerDied, fact.ContainerDestroyed)
    engines = (one for one in reconcile(units, snapshot) if units[one.unit].spec.kind is not Kind.USER_DOCKER)
    return tuple(one for one in engines if isinstance(one, told))


def unread(units: Mapping[UnitName, Unit], snapshot: SnapshotTaken) -> dict[UnitName, str]:
    """Why a unit's container does not tell its state, for each unit that was seen."""
    found = _by_unit(units, snapshot.containers)
    kept = {name: keeper(units[name], seen) for name, seen in found.items()}
    return {name: one.unread for name, one in kept.items() if one is not None}


def beyond(units: Mapping[UnitName, Unit], snapshot: SnapshotTaken) -> dict[UnitName, Beyond]:
    """What the engine is doing to a unit's container that does not run."""
    found = _by_unit(units, snapshot.containers)
    kept = {name: keeper(units[name], seen) for name, seen in found.items()}
    return {
        name: Beyond.NOTHING if one.running else one.beyond
        for name, one in kept.items()
        if one is not None and one.container == units[name].container
    }


def looks(units: Mapping[UnitName, Unit], snapshot: SnapshotTaken) -> tuple[fact.ContainerLooked, ...]:
    """What the units' containers were seen to hold, where that is news."""
    found = _by_unit(units, snapshot.containers)
    return tuple(
        fact.ContainerLooked(name, seen.container, seen.look, seen.ran_for, seen.started)
        for name, unit in units.items()
        if (seen := keeper(unit, found.get(name, ()))) is not None
        and seen.container == unit.container
        and seen.look is not None
        and (seen.look != unit.look or unit.started_at == NEVER)
    )


def leftovers(units: Mapping[UnitName, Unit], snapshot: SnapshotTaken) -> tuple[Command, ...]:
    """Containers that a crash between two calls of a replacement left behind.

    One that runs is removed only if it has the name of a replaced one beside a unit that is up: it was started again
    just as it was being replaced, and the two would share ports and files.
    """
    orders: list[Command] = []
    for name, seen in _by_unit(units, snapshot.containers).items():
        unit = units[name]
        if unit.spec.kind is Kind.CONSOLE and unit.spec.rebuild is Rebuild.NEVER:
            continue  # It may hold a person's files.
        if unit.spec.kind is Kind.FOREIGN:
            continue  # None of ours.
        if unit.phase is P.CREATING:
            continue  # What seems to be left over may be just taking its place.
        kept = keeper(unit, seen)
        for extra in seen:
            if kept is None or extra.container == kept.container or extra.hint:
                continue
            if unit.successor is not None and extra.container == unit.successor.container:
                continue
            # In mid-life a second container that does not run may be one that is just being replaced.
            dead = not extra.running and snapshot.trigger == "connect"
            twin = extra.running and _replaced(unit, extra) and unit.phase in BELIEVED_UP
            if dead or (twin and unit.container == kept.container):
                orders.append(RemoveContainer(name, extra.container, f"left over beside {kept.container[:12]}"))
    return tuple(orders)


def _replaced(unit: Unit, seen: Observed) -> bool:
    """Whether it was renamed to make room for its successor."""
    return seen.name == f"{seen.container[:12]}_{unit.spec.container}"


def keeper(unit: Unit, seen: tuple[Observed, ...]) -> Observed | None:
    """The unit's container among all that carry its label: a running, else the known, else the one with its name."""
    return max(
        seen,
        key=lambda one: (one.running, one.container == unit.container, one.name == unit.spec.container),
        default=None,
    )


def _by_unit(units: Mapping[UnitName, Unit], seen: Iterable[Observed]) -> dict[UnitName, tuple[Observed, ...]]:
    found: dict[UnitName, tuple[Observed, ...]] = {}
    for one in seen:
        # Containers of other consoles carry the same unit's label, but are parked.
        if one.unit in units and one.variant in {"", units[one.unit].spec.variant}:
            found[one.unit] = (*found.get(one.unit, ()), one)
    return found


def _explain(unit: Unit, seen: Observed | None) -> list[Correction]:
    facts: list[Correction] = []
    if seen is not None and seen.hint and seen.container == unit.container:
        return facts
    if unit.container is not None and (seen is None or seen.container != unit.container):
        if unit.phase is P.CREATING:
            return []  # It is being replaced: the answer is on its way.
        facts.append(fact.ContainerDestroyed(unit.name, unit.container))
    if seen is None:
        return facts
    if seen.container != unit.container:
        facts.append(fact.ContainerCreated(unit.name, seen.container, seen.config_hash, seen.variant))
        facts.extend(_tell_health(unit, seen))
    if unit.spec.kind is Kind.FOREIGN and seen.container != unit.container:
        unit = replace(unit, phase=P.INACTIVE)  # As it is after these facts.
    if unit.spec.kind is not Kind.VOLUME:  # A data container may be running or not.
        facts.extend(_tell_state(unit, seen))
    return facts


def _tell_health(unit: Unit, seen: Observed) -> list[EngineFact]:
    if seen.health is Health.NONE:
        return []
    return [fact.HealthReported(unit.name, seen.container, Health.STARTING)]


def _tell_state(unit: Unit, seen: Observed) -> list[Correction]:
    name, container = unit.name, seen.container
    unkilled = unit.phase is P.FAILED and unit.kills > 0 and seen.container == unit.container
    if seen.running and unit.phase in BELIEVED_DOWN and not unkilled:
        same = seen.container == unit.container and 0 < seen.started <= unit.begun.wall + GRAIN
        started = fact.ContainerStarted(
            name, container, seen.ran_for, seen.variant, seen.started, found=True, same=same
        )
        told: list[Correction] = [started]
        if seen.beyond is Beyond.PAUSED:
            told.append(fact.ContainerPaused(name, container))
        if seen.health in {Health.HEALTHY, Health.UNHEALTHY}:
            told.append(fact.HealthReported(name, container, seen.health))
        return told
    if not seen.running and (unit.phase in BELIEVED_UP or unit.phase is P.STOPPING or unkilled):
        return [fact.ContainerDied(name, container, seen.exit_code, oom=seen.oom)]
    if seen.running and unit.phase in {P.RUNNING, P.READY, P.PAUSED}:
        return _tell_of_running(unit, seen)
    return []


def _tell_of_running(unit: Unit, seen: Observed) -> list[Correction]:
    """What is news of one that is known to run."""
    name, container = unit.name, seen.container
    told: list[Correction] = []
    if (seen.beyond is Beyond.PAUSED) is not (unit.phase is P.PAUSED):
        paused = seen.beyond is Beyond.PAUSED
        told.append((fact.ContainerPaused if paused else fact.ContainerUnpaused)(name, container))
    if seen.displaced:
        told.append(ContextLost(name, container, seen.displaced))
    if seen.health is not unit.reports.get(ENGINE, Health.NONE) and seen.health is not Health.NONE:
        told.append(fact.HealthReported(name, container, seen.health))
    if seen.lifeless and unit.reports.get(PROCESS) is not Health.UNHEALTHY:
        told.append(fact.HealthReported(name, container, Health.UNHEALTHY, PROCESS, output=LIFELESS))
    if unit.config_hash not in {"", unit.spec.config_hash} and unit.spec.rebuild is not Rebuild.NEVER:
        told.append(SpecChanged(name, unit.spec))
    return told
