"""The counters of each unit: transitions, restarts, ends, withheld restarts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metrics import catalog
from metrics.catalog import Metric
from metrics.exposition import Template, stencilled
from metrics.numbers import UnitCounter
from units.commands import ArmTimer, Timer
from units.events import ContainerKilled, ContainerOomed, ContainerStarted, Event, HealthReported, SnapshotTaken
from units.healing import next_answer_within
from units.health import Health
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass
from units.restart import recent
from units.spec import OnUnhealthy, UnitName
from units.unit import Phase, Reason, StoppedBy, Unit
from units.world import Reaction, Transition, World

ENDED = frozenset({"ContainerDied", "ContainerDestroyed", "VerdictDue"})
"""Facts after which the restart decision is made."""
SIGNALS = {143: "sigterm", 137: "sigkill", 139: "sigsegv", 134: "sigabrt"}
RISING = frozenset({Phase.STARTING, Phase.RUNNING})
STOPS = {
    StoppedBy.PERSON: "person",
    StoppedBy.OUTSIDE: "person",
    StoppedBy.SHUTDOWN: "shutdown",
    StoppedBy.HEALTH: "policy",
}

Column = tuple[Metric, Callable[[Sequence[Unit], Sequence[str], bool], str]]
"""A metric, and what writes its series of some units: they, their names escaped, whether as OpenMetrics."""


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A unit's timer until its next start. ``token``: whether it still counts, the unit knows."""

    token: int
    delay: Seconds
    due: Instant


@dataclass(frozen=True, slots=True)
class DoubtfulExit:
    """A SIGKILL that nobody was seen to send: perhaps the kernel's, which some engines tell a moment later."""

    at: Instant
    cause: str
    wall: float


OOM_LATE = Seconds(1)
"""Within it after a death an engine tells that it was for lack of memory."""


class Runs:
    """``started``: the instant from which on a run is one that we saw begin."""

    def __init__(self, started: float) -> None:
        self._started = started
        self.restarts = UnitCounter(catalog.UNIT_RESTARTS)
        self.transitions = UnitCounter(catalog.UNIT_TRANSITIONS)
        self.withheld = UnitCounter(catalog.UNIT_WITHHELD)
        self.exits = UnitCounter(catalog.UNIT_EXITS)
        self.kills = UnitCounter(catalog.UNIT_KILLS)
        self.checks = UnitCounter(catalog.UNIT_CHECKS)
        self.corrections = UnitCounter(catalog.CORRECTIONS)
        self._tallies = (
            self.transitions,
            self.restarts,
            self.withheld,
            self.exits,
            self.kills,
            self.checks,
            self.corrections,
        )
        self._waits: dict[UnitName, PendingRun] = {}
        self._ready: dict[UnitName, float] = {}
        self._doubtful: dict[UnitName, DoubtfulExit] = {}

    def observe(self, event: Event, now: Instant, wall: float, reaction: Reaction) -> None:
        for moved in reaction.transitions:
            self._count(moved, now, wall)
            if isinstance(event, SnapshotTaken) and moved.on != "PeerChanged":
                self.corrections.add(moved.after.name)
        for command in reaction.commands:
            if isinstance(command, ArmTimer) and command.timer is Timer.RETRY:
                self._waits[command.unit] = PendingRun(command.token, command.delay, Instant(now + command.delay))
        if isinstance(event, ContainerKilled):
            unit = reaction.world.units.get(event.unit)
            if unit is not None and unit.kills == 1 and event.unit in reaction.changed:
                self.kills.add(event.unit)
        if isinstance(event, ContainerOomed | ContainerStarted) and event.unit in self._doubtful:
            self._count_doubtful(event.unit, oom=isinstance(event, ContainerOomed))
        if isinstance(event, HealthReported):
            unit = reaction.world.units.get(event.unit)
            if unit is not None and (reason := unhelped(unit, event, reaction.world, now)):
                self.withheld.add(unit.name, reason)

    def _count_doubtful(self, name: UnitName, *, oom: bool = False) -> None:
        ended = self._doubtful.pop(name)
        self.exits.trace(name, "oom" if oom else "sigkill", ended.cause, ended.wall)

    def _count(self, moved: Transition, now: Instant, wall: float) -> None:
        before, after = moved.before, moved.after
        if after.phase is not before.phase:
            self.transitions.trace(after.name, after.phase, after.cause, wall)
        if (reason := moved.restart) is not None:
            self.restarts.trace(after.name, reason, after.cause, wall)
        if moved.on == "ContainerDied":
            if after.name in self._doubtful:
                self._count_doubtful(after.name)
            oom = before.oom or after.oom or after.pending is Reason.OOM
            how = how_ended(after.exit_code, oom=oom)
            if how == "sigkill" and not before.kill_seen:
                self._doubtful[after.name] = DoubtfulExit(now, after.cause, wall)
            else:
                self.exits.trace(after.name, how, after.cause, wall)
        if why := unrestarted(moved):
            self.withheld.trace(after.name, why, after.cause, wall)
        if after.phase is Phase.READY and before.phase in RISING and after.started_at >= self._started:
            self._ready[after.name] = after.since - after.started_at

    def keep(self, world: World) -> None:
        """Forget all other units."""
        for tally in self._tallies:
            tally.keep(world.units)
        for kept in (self._waits, self._ready, self._doubtful):
            for name in [name for name in kept if name not in world.units]:
                del kept[name]

    def columns(self, epoch: float, now: Instant) -> list[Column]:
        """For one scrape. ``epoch``: the wall time of instant 0."""
        for name in [name for name, ended in self._doubtful.items() if now - ended.at >= OOM_LATE]:
            self._count_doubtful(name)
        backoff, next_try, ready = map(
            Template, (catalog.UNIT_BACKOFF, catalog.UNIT_NEXT_TRY, catalog.UNIT_READY_SECONDS)
        )

        def delays(units: Sequence[Unit], names: Sequence[str], _openmetrics: bool) -> str:
            waits = (self._wait(unit) for unit in units)
            return stencilled(names, [backoff.one(wait.delay if wait else 0) for wait in waits])

        def dues(units: Sequence[Unit], names: Sequence[str], _openmetrics: bool) -> str:
            waits = (self._wait(unit) for unit in units)
            return stencilled(names, [next_try.one(on_wall(wait.due, epoch) if wait else 0) for wait in waits])

        def readies(units: Sequence[Unit], names: Sequence[str], _openmetrics: bool) -> str:
            return stencilled(names, [ready.one(round(self._ready.get(unit.name, 0), 6)) for unit in units])

        return [
            (catalog.UNIT_BACKOFF, delays),
            (catalog.UNIT_NEXT_TRY, dues),
            (catalog.UNIT_READY_SECONDS, readies),
            *((tally.metric, _written(tally)) for tally in self._tallies),
        ]

    def _wait(self, unit: Unit) -> PendingRun | None:
        wait = self._waits.get(unit.name)
        return wait if wait is not None and wait.token == unit.token else None

    def counted(self) -> dict[str, Any]:
        """What must go on counting after a restart of the supervisor, as plain data."""
        return {unit: {str(reason): count for reason, count in by.items()} for unit, by in self.restarts.counts.items()}

    def restore(self, kept: object) -> None:
        """Take up what ``counted`` gave. What makes no sense counts for nothing."""
        for unit, by in kept.items() if isinstance(kept, Mapping) else ():
            if isinstance(by, Mapping):
                counts = {str(reason): by.get(reason.value) for reason in Reason}
                self.restarts.counts[unit] = {
                    reason: count for reason, count in counts.items() if type(count) is int and count > 0
                }


def _written(tally: UnitCounter) -> Callable[[Sequence[Unit], Sequence[str], bool], str]:
    def write(units: Sequence[Unit], names: Sequence[str], openmetrics: bool) -> str:
        if tally.metric is catalog.UNIT_CHECKS:
            pairs = [(unit, name) for unit, name in zip(units, names, strict=True) if unit.spec.checks]
            units, names = [unit for unit, _ in pairs], [name for _, name in pairs]
        return tally.text([unit.name for unit in units], names, openmetrics=openmetrics)

    return write


def how_ended(exit_code: int | None, *, oom: bool) -> str:
    """The class of an exit code."""
    if oom:
        return "oom"
    if exit_code == 0:
        return "success"
    if exit_code is not None and 128 < exit_code <= 192:
        return SIGNALS.get(exit_code, "signal")
    return "error"


def unrestarted(moved: Transition) -> str:
    """Why this death leads to no restart; empty: it does, or it is none."""
    before, after = moved.before, moved.after
    if before.phase is after.phase or not (before.alive or before.phase is Phase.EXITED):
        return ""
    match after.phase:
        case Phase.CRASH_LOOP:
            return "start-limit"
        case Phase.FAILED if moved.on in ENDED:
            return "policy"
        case Phase.INACTIVE:
            return STOPS.get(after.stopped_by, "")
        case Phase.CLEARING if not after.wanted:
            return STOPS.get(after.stopped_by, "")
        case _:
            return ""


def unhelped(unit: Unit, report: HealthReported, world: World, now: Instant) -> str:
    """Why nothing is done about a unit that has just turned unhealthy; empty: it has not, or something is."""
    if report.health is not Health.UNHEALTHY or unit.health is not Health.UNHEALTHY or not unit.phase.up:
        return ""
    policy, restart = unit.spec.heal, unit.spec.restart
    if policy.action in {OnUnhealthy.NONE, OnUnhealthy.HOOK}:
        return "policy"
    if policy.action is OnUnhealthy.SIGNAL and unit.falls and unit.falls[-1] == now:
        return ""  # It was sent its signal, and stays where it is.
    spent = recent(unit.budget.restarts, restart.interval, now)
    reasons = (
        ("shutdown", not unit.wanted or world.draining),
        ("engine", not world.engine_up),
        ("paused", unit.phase is Phase.PAUSED or now - unit.resumed < next_answer_within(unit)),
        ("refused", now < unit.refused_until),
        ("dry-run", world.dry),
        ("flapping", unit.flapping),
        ("start-limit", bool(restart.burst) and len(spent) >= restart.burst),
    )
    return next((reason for reason, holds in reasons if holds), "peer")


def on_wall(instant: Instant, epoch: float) -> float:
    """Seconds since 1970, to the millisecond; 0 for what has not been yet."""
    return 0 if instant == NEVER else round(instant + epoch, 3)
