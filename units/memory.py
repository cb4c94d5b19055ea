"""The state file's content: the part of each unit that the engine cannot report again, as plain data and back.

Two kinds of start are distinguished. In the *same boot* (the supervisor was killed, upgraded or restarted, the host
was not) a oneshot that succeeded is done, and what ran is believed to run until the snapshot says otherwise. A *new
boot* begins everything afresh; only budgets, counters and the stops that are meant to last are kept.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from units.bounded import UNREADABLE, finite, shortened
from units.health import ENGINE, Health, combine
from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.spec import ContainerId, Place, Policy, UnitName, UnitSpec
from units.unit import Budget, Phase, Reason, StoppedBy, Unit, anonymous
from units.world import World, fresh_unit, is_ours

BELIEVED = frozenset({Phase.RUNNING, Phase.READY, Phase.PAUSED, Phase.COMPLETED, Phase.FAILED})
"""Phases restored in the same boot; units in other phases start over."""

MOST, FEW, LONGEST_DELAY = 2**53, 1000, 1e6
"""Bounds of what is believed: a count, moments in a list, seconds of a delay."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The monotonic and the wall clock, read together: instants do not survive a reboot, wall times do."""

    now: Instant
    wall: float
    """Seconds since 1970."""

    def to_wall(self, instant: Instant) -> float:
        return self.wall - (self.now - instant)

    def from_wall(self, wall: float) -> Instant:
        """A wall clock that was set back in between must not put anything into the future."""
        return Instant(self.now - max(0.0, self.wall - wall))


def remember(world: World, clocks: Clocks) -> dict[str, Any]:
    """The world as plain data for the state file; an engine of ours is kept by its name, which no unit has."""
    kept: dict[str, Any] = {name: _remember(unit, clocks) for name, unit in world.units.items()}
    if is_ours(world.engine):
        kept[world.engine.name] = _remember(world.engine, clocks)
    return kept


def _remember(unit: Unit, clocks: Clocks) -> dict[str, Any]:
    return {
        "phase": unit.phase.value,
        "since": clocks.to_wall(unit.since) if unit.moved else 0,
        "reason": unit.reason,
        "wanted": unit.wanted,
        "enabled": unit.spec.enabled,
        "stopped_by": unit.stopped_by.value,
        "container": unit.container or "",
        "config_hash": unit.config_hash,
        "health": unit.reports.get(ENGINE, Health.NONE).value,
        "falls": [clocks.to_wall(at) for at in unit.falls],
        "flapping": unit.flapping,
        "failures": unit.budget.failures,
        "restart_times": [clocks.to_wall(at) for at in unit.budget.restarts],
        "delay": unit.budget.delay,
        "looping": unit.budget.looping,
        "restarts": unit.restarts,
        "kills": unit.kills,
        "exit_code": unit.exit_code,
        "death": unit.death,
        "pending": unit.pending.value if unit.pending else "",
        "fresh": unit.fresh,
        "reloaded": unit.reloaded,
        "aged": unit.aged,
        **({"volumes": dict(unit.volumes)} if unit.volumes else {}),
        "variant": unit.spec.variant,
        "place": list(_as_words(unit.place)),
    }


def _as_words(place: Place | None) -> tuple[str, ...]:
    return () if place is None else (place.context, place.container, place.engine)


def recall(
    specs: Iterable[UnitSpec], kept: Mapping[str, Any], clocks: Clocks, *, same_boot: bool, same_host_boot: bool
) -> list[Unit]:
    """The units as they stand before the first snapshot.

    ``same_boot``: the last supervisor did not end by shutting everything down. ``same_host_boot``: the machine has not
    been restarted; until it is, a person's stop holds. A record that makes no sense is ignored.
    """
    units = []
    for spec in specs:
        unit = fresh_unit(spec, clocks.now, "")
        record = kept.get(spec.name)
        if isinstance(record, dict):
            try:
                unit = _recall(unit, record, clocks, same_boot=same_boot, same_host_boot=same_host_boot)
            except UNREADABLE:
                unit = fresh_unit(spec, clocks.now, "")
        units.append(unit)
    return units


def _budget(record: Mapping[str, Any], clocks: Clocks) -> Budget:
    return Budget(
        _number(record["failures"]),
        tuple(clocks.from_wall(finite(at)) for at in _few(record["restart_times"])),
        Seconds(max(0.0, min(finite(record["delay"]), LONGEST_DELAY))),
        looping=bool(record["looping"]),
    )


def _recall(unit: Unit, record: Mapping[str, Any], clocks: Clocks, *, same_boot: bool, same_host_boot: bool) -> Unit:
    code = record["exit_code"]
    unit = replace(
        unit,
        budget=_budget(record, clocks),
        restarts=_number(record["restarts"]),
        exit_code=None if code is None else _number(code, -MOST),
        falls=tuple(clocks.from_wall(finite(at)) for at in _few(record.get("falls", []))),
        flapping=bool(record.get("flapping", False)),
        death=_text(record["death"]),
        volumes=_as_volumes(record) if record.get("variant", "") == unit.spec.variant else (),
        aged=not same_host_boot or record.get("aged") is True,
    )
    stopped_by = StoppedBy(record["stopped_by"])
    if _stays_stopped(unit, stopped_by, same_host_boot=same_host_boot):
        return replace(
            unit,
            phase=Phase.INACTIVE,
            wanted=False,
            stopped_by=stopped_by,
            reason=_text(record["reason"]),
            fresh=bool(record["fresh"]) or not same_boot,
        )
    if not same_boot or record.get("variant", "") != unit.spec.variant:
        return unit  # The record is about another console's container.
    return _believe(unit, record)


def _number(value: object, least: int = 0) -> int:
    """Raises ValueError for what no unit has ever counted."""
    if type(value) is not int or not least <= value <= MOST:
        raise ValueError("not a number of ours")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text of ours")
    return shortened(value)


def _few(values: object) -> list[Any]:
    if not isinstance(values, list):
        raise TypeError("not a list of ours")
    return values[-FEW:]


def _as_volumes(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Of another console they are not its own."""
    kept = record.get("volumes", {})
    return tuple((str(place), volume) for place, volume in kept.items() if anonymous(volume))


def recall_engine(engine: Unit, kept: Mapping[str, Any], clocks: Clocks) -> Unit:
    """An engine of ours as it stands before it is looked for: with the budget and counters of the last supervisor's."""
    record = kept.get(engine.name)
    if not isinstance(record, dict) or not is_ours(engine):
        return engine
    try:
        death = _text(record["death"])
        return replace(engine, budget=_budget(record, clocks), restarts=_number(record["restarts"]), death=death)
    except UNREADABLE:
        return engine


def _as_place(words: object) -> Place | None:
    match words:
        case [str(context), str(container), str(engine)]:
            return Place(UnitName(context), ContainerId(container), engine)
        case _:
            return None


def _stays_stopped(unit: Unit, by: StoppedBy, *, same_host_boot: bool) -> bool:
    """A person's stop holds until the host is restarted; that of ``unless-stopped`` holds even then."""
    if by not in {StoppedBy.PERSON, StoppedBy.OUTSIDE, StoppedBy.HEALTH}:
        return False
    return same_host_boot or unit.spec.restart.policy is Policy.UNLESS_STOPPED


def _by_a_person(record: Mapping[str, Any]) -> bool:
    """Whether the unit was not to be started, and somebody started it."""
    return bool(record.get("wanted")) and record.get("enabled") is False


def _believe(unit: Unit, record: Mapping[str, Any]) -> Unit:
    container = _text(record["container"])
    pending = _text(record["pending"])
    said = Health(record["health"])
    reports = {} if said is Health.NONE else {ENGINE: said}
    unit = replace(
        unit,
        container=ContainerId(container) if container else None,
        config_hash=_text(record["config_hash"]),
        reports=reports,
        health=combine(unit.spec.checks, reports),
        wanted=unit.wanted or _by_a_person(record),
        fresh=bool(record["fresh"]),
        reloaded=bool(record["reloaded"]),
        pending=Reason(pending) if pending else None,
        place=_as_place(record.get("place")),
    )
    phase = Phase(record["phase"])
    if phase not in BELIEVED or not unit.wanted:
        return unit
    if phase is Phase.FAILED and (unit.pending or record.get("kills")):
        return unit  # Its next try, or the end of its process, was still to come: both are looked for again.
    if unit.spec.checks and phase.up:
        return unit  # Found running by the snapshot, it begins a run as far as its checks are concerned.
    return replace(unit, phase=phase, reason=_text(record["reason"]))
