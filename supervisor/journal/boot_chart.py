"""The boot chart: for each unit its stages from the supervisor's start until it first reached its goal.

Kept apart from the journal, whose ring a unit that crashes all day would fill: a boot has some ten stages a unit, and
then nothing more is added. A unit waited for the unit, the engine or the request whose event let it go on; followed
backwards from the last unit, that is the critical path.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from supervisor.logs.timestamps import as_iso
from units import events as fact
from units.events import Event
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.records import dataclass
from units.unit import Phase, Unit
from units.world import Entry, Reaction, Transition

MOST = 32
"""Stages of one unit; a unit that never becomes ready is not recorded further."""
ENGINE = "engine"
STEADY = Seconds(10)
"""That a unit must stay up to have come up."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A unit's state from one moment on."""

    state: Phase
    at: Instant
    reason: str


@dataclass(frozen=True, slots=True)
class UnitBoot:
    """How one unit came up."""

    stages: tuple[Stage, ...]
    waited_for: str = ""
    """Whose fact ended its wait: a unit's name, ``engine``, ``configuration`` or ``request``; empty: still waiting."""
    found: bool = False
    """Its container was already running."""
    over: bool = False
    """It is ready or completed, or it is not recorded further."""


class BootChart:
    """An observer of the first minutes.

    ``wall`` turns a moment into seconds since 1970; ``units``: as they stand before anything has happened. One that the
    previous supervisor left ready counts as found running until a snapshot says otherwise.
    """

    def __init__(self, wall: Callable[[Instant], float], begun: Instant, units: Iterable[Unit]) -> None:
        self._wall = wall
        self._begun = begun
        self._engine: Instant | None = None
        self._rises = {str(unit.name): _first(unit, begun) for unit in units if unit.wanted}

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        if self._engine is None and reaction.world.engine_up:
            self._engine = moment.now
        for moved in reaction.transitions:
            rise = self._rises.get(moved.after.name)
            if rise is not None and (not rise.over or _fell(rise, moved, moment.now)):
                self._rises[moved.after.name] = _on(rise, moved, entry.event, moment.now)

    def told(self) -> dict[str, Any]:
        """As plain data; times in seconds from the start of the supervisor."""
        units = [self._unit(name, rise) for name, rise in self._rises.items()]
        units.sort(key=lambda unit: (unit["arrived"] is None, unit["arrived"] or 0.0, unit["unit"]))
        path = critical_path(units)
        for unit in units:
            unit["critical"] = unit["unit"] in path
        done = all(unit["arrived"] is not None for unit in units) and bool(units)
        return {
            "began": as_iso(self._wall(self._begun)),
            "engine": None if self._engine is None else _round(self._engine - self._begun),
            "took": units[-1]["arrived"] if done else None,
            "critical_path": path,
            "units": units,
        }

    def _unit(self, name: str, rise: UnitBoot) -> dict[str, Any]:
        stages = rise.stages
        begins = [_round(stage.at - self._begun) for stage in stages]
        there = stages[-1].state.arrived
        return {
            "unit": name,
            "state": stages[-1].state.value,
            "arrived": begins[-1] if there else None,
            "waited": begins[1] if len(begins) > 1 else None,
            "waited_for": rise.waited_for,
            "found": rise.found,
            "took": _round(begins[-1] - begins[min(1, len(begins) - 1)]) if there else None,
            "stages": [
                {"state": stage.state.value, "begin": begin, "reason": stage.reason}
                for stage, begin in zip(stages, begins, strict=True)
            ],
        }


def _first(unit: Unit, begun: Instant) -> UnitBoot:
    there = unit.phase.arrived
    return UnitBoot((Stage(unit.phase, begun, unit.reason),), found=there, over=there)


def _on(rise: UnitBoot, moved: Transition, event: Event, now: Instant) -> UnitBoot:
    after = moved.after
    stages = (*rise.stages, Stage(after.phase, now, after.reason))
    waited_for, found = rise.waited_for, rise.found
    if moved.before.phase is Phase.WAITING:
        waited_for = _released_by(event, after.name)
        found = moved.on == "ContainerStarted"
    return UnitBoot(stages, waited_for, found, over=after.phase.arrived or len(stages) >= MOST)


def _fell(rise: UnitBoot, moved: Transition, now: Instant) -> bool:
    """Whether it was up, but not for long: it has not come up yet."""
    last = rise.stages[-1]
    short = last.state.arrived and now - last.at < STEADY and len(rise.stages) < MOST
    return short and moved.after.wanted and not rise.found and not moved.after.phase.arrived


def _released_by(event: Event, name: str) -> str:
    unit = getattr(event, "unit", None)
    if unit is not None:
        return "request" if unit == name else str(unit)
    return "configuration" if isinstance(event, fact.ConfigRead) else ENGINE


def critical_path(units: Sequence[Mapping[str, Any]]) -> list[str]:
    """From what came first to the unit that was last there: each waited for the one before it."""
    by_name = {str(unit["unit"]): unit for unit in units}
    arrived = [unit for unit in units if unit["arrived"] is not None]
    if not arrived:
        return []
    path = [str(max(arrived, key=lambda unit: float(unit["arrived"]))["unit"])]
    while (before := str(by_name[path[-1]]["waited_for"])) in by_name and before not in path:
        path.append(before)
    if by_name[path[-1]]["waited_for"] == ENGINE:
        path.append(ENGINE)
    return path[::-1]


def _round(seconds: float) -> float:
    return round(seconds, 3)
