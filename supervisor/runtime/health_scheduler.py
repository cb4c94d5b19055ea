"""Schedules the health checks that the supervisor runs itself, and reports changed verdicts to the core.

Each check has its own timer and at most one probe in flight. ``units.health.judge`` turns the outcomes into a verdict,
and only a change becomes a fact. A schedule lasts for one run of a unit and ends with it, even if a probe is in flight.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from supervisor.engine.port import ContainerAddress, ContainerCommands, EngineError, EngineView
from supervisor.logs.timestamps import as_iso
from supervisor.runtime.loop import Inbox
from units.events import ConfigRead, HealthReported, SnapshotTaken, SpecChanged
from units.health import Check, Standing, asked_now, first_pause, judge, pause
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.spec import ContainerId, UnitName
from units.unit import Phase, Unit
from units.world import Entry, Reaction

if TYPE_CHECKING:
    from supervisor.runtime.probes import ProbeResult

KEPT = 5
"""Outcomes of each check that are kept for status and ``why``."""
RESPECIFYING = (SnapshotTaken, ConfigRead, SpecChanged)
"""Events that may change a running unit's checks, or remove the unit, without a transition."""


class ProbeGauges(Protocol):
    def probed(self, unit: str, probe: str, outcome: str, took: float, late: float) -> None: ...


class Prober(Protocol):
    """Runs one probe; never raises."""

    async def ask(self, check: Check, container: ContainerId, where: ContainerAddress) -> "ProbeResult": ...


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One outcome, as shown in status and ``why``."""

    check: str
    outcome: "ProbeResult"
    at: Instant
    took: Seconds


@dataclass
class _Run:
    """The schedule of one run of one unit."""

    unit: UnitName
    container: ContainerId
    number: int
    started: Instant
    checks: tuple[Check, ...]
    where: ContainerAddress | None = None
    standings: dict[str, Standing] = field(default_factory=dict)
    told: dict[str, deque[CheckResult]] = field(default_factory=dict)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    asking: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    def end(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        for task in self.asking.values():
            task.cancel()


class HealthScheduler:
    """An observer. ``tasks``: the group in which probes run; ``commands``: what runs those that are commands.

    ``unasked``: told once that a check of a unit cannot be asked, and why.
    """

    def __init__(
        self,
        engine: EngineView,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        gauges: ProbeGauges,
        *,
        chance: Callable[[], float],
        commands: ContainerCommands | None = None,
        unasked: Callable[[str, str, str], None] = lambda *_: None,
        probes: Prober | None = None,
    ) -> None:
        self._engine = engine
        self._commands = commands
        self._unasked = unasked
        self._passed: set[tuple[UnitName, str]] = set()
        """Checks that have passed once: from here they can be asked."""
        self._inbox = inbox
        self._tasks = tasks
        self._gauges = gauges
        self._chance = chance
        self._probes = probes
        self._loop = asyncio.get_running_loop()
        self._runs: dict[UnitName, _Run] = {}
        self._closed = False

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        if self._closed:
            return
        units = reaction.world.units
        for step in reaction.transitions:
            if step.after.spec.checks or step.after.name in self._runs:
                self._consider(units.get(step.after.name), step.after.name)
        if isinstance(entry.event, RESPECIFYING):
            checked = [name for name, unit in units.items() if unit.spec.checks]
            for name in {*checked, *self._runs}:
                self._consider(units.get(name), name)

    def outcomes(self, unit: UnitName) -> tuple[CheckResult, ...]:
        """The last outcomes of its present run's checks, oldest first."""
        run = self._runs.get(unit)
        told = [one for row in run.told.values() for one in row] if run is not None else []
        return tuple(sorted(told, key=lambda one: one.at))

    def close(self) -> None:
        """Stop all checks for good."""
        self._closed = True
        for run in self._runs.values():
            run.end()
        self._runs.clear()

    def _consider(self, unit: Unit | None, name: UnitName) -> None:
        run = self._runs.get(name)
        asked = unit is not None and unit.phase.up and unit.phase is not Phase.PAUSED
        wanted = asked and unit is not None and unit.container is not None and bool(unit.spec.checks)
        if run is not None and unit is not None and wanted and _same(run, unit):
            return
        if unit is None:
            self._passed = {one for one in self._passed if one[0] != name}
        if run is not None:
            del self._runs[name]
            run.end()
        if unit is not None and unit.container is not None and wanted:
            run = _Run(name, unit.container, unit.run, unit.started_at, unit.spec.checks)
            self._runs[name] = run
            now = self._loop.time()
            for check in run.checks:
                self._plan(run, check, now + first_pause(check, self._chance()))

    def _plan(self, run: _Run, check: Check, at: float) -> None:
        run.timers[check.name] = self._loop.call_at(at, self._due, run, check, at)

    def _due(self, run: _Run, check: Check, planned: float) -> None:
        now = self._loop.time()
        ran_for = Seconds(max(0.0, now - run.started))
        standing = run.standings.get(check.name, Standing())
        turn = any(check.name == one.name for one in asked_now(run.checks, run.standings))
        if turn and check.name not in run.asking:
            asking = self._ask(run, check, ran_for, now - planned)
            run.asking[check.name] = self._tasks.create_task(asking, name=f"probe:{run.unit}")
        following = planned + pause(check, standing, ran_for, self._chance())
        self._plan(run, check, max(following, now))  # Missed probes are not made up for.

    async def _ask(self, run: _Run, check: Check, ran_for: Seconds, late: float) -> None:
        from supervisor.runtime.probes import ProbeResult, Probes  # noqa: PLC0415 - most hosts have no check of ours

        probes = self._probes = self._probes or Probes(self._commands)
        began = self._loop.time()
        try:
            if run.where is None:
                run.where = await self._engine.whereabouts(run.container)
            outcome = await probes.ask(check, run.container, run.where)
            if not outcome.reached:
                run.where = None  # Its address may have changed.
        except EngineError as error:
            outcome = ProbeResult(passed=False, output=str(error), kind="error")
        finally:
            run.asking.pop(check.name, None)
        if self._runs.get(run.unit) is not run:
            return  # That run has ended, or has other checks: ignore the outcome.
        outcome = self._weighed(run, check, outcome)
        took = Seconds(self._loop.time() - began)
        self._gauges.probed(run.unit, type(check.probe).__name__.lower(), outcome.kind, took, late)
        row = run.told.setdefault(check.name, deque(maxlen=KEPT))
        row.append(CheckResult(check.name, outcome, Instant(self._loop.time()), took))
        if outcome.kind != "error":  # A probe that could not be run does not count.
            self._judge(run, check, outcome, ran_for)

    def _weighed(self, run: _Run, check: Check, outcome: "ProbeResult") -> "ProbeResult":
        """What could not be asked did not answer no."""
        if outcome.passed:
            self._passed.add((run.unit, check.name))
        elif outcome.no_way and (run.unit, check.name) not in self._passed:
            outcome = replace(outcome, kind="error")
        before = run.told.get(check.name)
        if outcome.kind == "error" and (not before or before[-1].outcome.kind != "error"):
            self._unasked(run.unit, check.name, outcome.output)
        return outcome

    def _judge(self, run: _Run, check: Check, outcome: "ProbeResult", ran_for: Seconds) -> None:
        before = run.standings.get(check.name, Standing())
        after = judge(check, before, passed=outcome.passed, ran_for=ran_for)
        run.standings[check.name] = after
        if after.health is not before.health:
            fact = HealthReported(run.unit, run.container, after.health, check.name, run.number, outcome.output)
            self._inbox.put(fact)


def _same(run: _Run, unit: Unit) -> bool:
    return (run.container, run.number, run.checks) == (unit.container, unit.run, unit.spec.checks)


def shown(told: Iterable[CheckResult], to_wall: Callable[[Instant], float]) -> list[dict[str, Any]]:
    """As JSON values, for status and ``why``."""
    return [
        {
            "check": one.check,
            "outcome": one.outcome.kind,
            "output": one.outcome.output,
            "time": as_iso(to_wall(one.at)),
            "seconds": round(one.took, 6),
        }
        for one in told
    ]
