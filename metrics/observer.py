"""Counters and histograms, fed by the core's reactions and by the shell's callbacks."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from metrics import catalog, world
from metrics.exposition import TEXT, content_type, escaped, head, plain
from metrics.numbers import Counter, Downtime, HistogramBy
from metrics.runs import Runs
from metrics.world import shown
from units.events import ConfigRead, ConfigRefused, ContainerDied, ContainerStarted, Event, SnapshotTaken
from units.health import Health
from units.machine import Moment
from units.quantities import Instant
from units.relinking import Cure
from units.spec import CONSOLE, USER_DOCKER, UnitName
from units.switch.record import Switch, SwitchOutcome, SwitchResult, SwitchStep
from units.troubles import Reload
from units.unit import Phase, Unit
from units.world import Entry, Reaction, Transition, World

if TYPE_CHECKING:
    from metrics.process import OwnProcess

ON_THE_WAY_UP = frozenset({Phase.CREATING, Phase.CLEARING, Phase.STARTING})
COMING = frozenset({Phase.RUNNING, Phase.BACKOFF})
MOVING = frozenset(
    {Phase.PULLING, Phase.CREATING, Phase.CLEARING, Phase.STARTING, Phase.STOPPING, Phase.DRAINING, Phase.EXITED},
)
BLOCK = 50
"""Units whose series of one metric are written at a time."""
CLOCK_STEP = 0.05
"""Seconds by which the two clocks may seem to part before it counts as the wall clock being set."""


class Metrics:
    """All metrics of one supervisor.

    ``wall`` is seconds since 1970, ``now`` the monotonic clock of which entries carry instants. Each method but
    ``render`` costs a few microseconds, and none waits or raises. The first ``most_units`` units have series of their
    own. At a scrape ``world`` is what there is (None: a page without units), ``to_wall`` turns an instant into seconds
    since 1970, ``depth`` is that of the inbox, ``user_docker`` the version that serves.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
        version: str = "",
        most_units: int = 1000,
        snapshot_period: float = 30,
        world: Callable[[], World] | None = None,
        to_wall: Callable[[Instant], float] = Instant,
        depth: Callable[[], int] = lambda: 0,
        user_docker: Callable[[], str] = lambda: "",
    ) -> None:
        self._wall = wall
        self._now = now
        self._version = version
        self._process: OwnProcess | None = None
        self._started = now()
        self._config_read = wall()
        self._booted = 0.0
        self._coming: set[UnitName] | None = None
        """Units that are not yet where they stay; ``None`` before the first reaction."""
        self._connected = False
        self._world = world
        self._to_wall = to_wall
        self._depth = depth
        self._version_of_user_docker = user_docker
        self._epoch = to_wall(Instant(0))
        self._most_units = most_units
        self._snapshot_period = snapshot_period
        self._runs = Runs(self._started)
        self._last_event_ns = 0
        self._last_snapshot = 0.0
        self._boot_phases = dict.fromkeys(catalog.BOOT_PHASES, 0.0)
        self._died: dict[UnitName, int] = {}
        self._events = Counter(catalog.EVENTS_TOTAL)
        self._duplicates = Counter(catalog.DUPLICATES)
        self._reconnects, self._deaf = Counter(catalog.RECONNECTS), Counter(catalog.DEAF)
        self._engine_restarts = Counter(catalog.ENGINE_RESTARTS)
        self._snapshots = Counter(catalog.SNAPSHOTS)
        self._calls = Counter(catalog.ENGINE_CALLS)
        self._orders = Counter(catalog.ORDERS_TOTAL)
        self._reloads = Counter(catalog.RELOADS)
        self._state_errors = Counter(catalog.STATE_ERRORS)
        self._latency = HistogramBy(catalog.RESTART_LATENCY)
        self._lag = HistogramBy(catalog.EVENT_LAG)
        self._decision = HistogramBy(catalog.DECISION)
        self._loop_lag = HistogramBy(catalog.LOOP_LAG)
        self._call_seconds = HistogramBy(catalog.ENGINE_SECONDS)
        self._serving = HistogramBy(catalog.SERVING_SECONDS)
        self._probes = Counter(catalog.PROBES)
        self._probe_seconds = HistogramBy(catalog.PROBE_SECONDS)
        self._probe_lateness = HistogramBy(catalog.PROBE_LATENESS)
        self._relinks = Counter(catalog.RELINKS)
        self._notifications = Counter(catalog.NOTIFICATIONS)
        self._hook_runs = Counter(catalog.HOOK_RUNS)
        self._hook_seconds = Counter(catalog.HOOK_SECONDS)
        self._waves = Counter(catalog.WAVES)
        self._last_wave = ""
        self._switches = Counter(catalog.SWITCHES)
        self._rollbacks = Counter(catalog.ROLLBACKS)
        self._steps = HistogramBy(catalog.SWITCH_SECONDS)
        self._absences = {CONSOLE: Downtime(), USER_DOCKER: Downtime()}

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        event, now = entry.event, self._now()
        self._decision.add(now - entry.arrived)
        if entry.engine_ns:
            self._last_event_ns = max(self._last_event_ns, entry.engine_ns)
            self._lag.add(self._wall() - entry.engine_ns / 1e9)
            self._time_restart(event, entry.engine_ns, reaction)
        self._runs.observe(event, moment.now, self._wall(), reaction)
        for moved in reaction.transitions:
            self._count_transition(moved)
        if reaction.engine:
            self._count_engine(reaction.engine)
        for switch in reaction.switches:
            self._count_switch(switch)
        for command in reaction.commands:
            self._orders.add(catalog.ORDERS[type(command)])
        match event:
            case SnapshotTaken(trigger=trigger):
                self._last_snapshot = self._wall()
                self._snapshots.add(trigger)
                self._runs.keep(reaction.world)
            case ConfigRead() | ConfigRefused():
                self._reread(event, reaction.world.reload)
            case _:
                pass
        if not self._booted:
            self._note_boot(event, reaction, now - self._started)

    def _note_boot(self, event: Event, reaction: Reaction, took: float) -> None:
        world, phases = reaction.world, self._boot_phases
        if self._coming is None:
            self._coming = {name for name, unit in world.units.items() if not _at_rest(unit)}
        for name in reaction.changed:
            unit = world.units.get(name)
            (self._coming.discard if unit is None or _at_rest(unit) else self._coming.add)(name)
        if not world.engine_up or not (reaction.transitions or isinstance(event, SnapshotTaken)):
            return
        if not phases["engine"]:
            phases["engine"] = took
        if not self._coming:
            self._booted = took
            phases["units"] = took - phases["engine"]

    def _count_engine(self, moves: Iterable[Transition]) -> None:
        for reason in (moved.restart for moved in moves):
            if reason is not None:
                self._engine_restarts.add(reason)

    def _count_transition(self, moved: Transition) -> None:
        name, phase = moved.after.name, moved.after.phase
        if (absence := self._absences.get(name)) is not None:
            absence.note(here=phase is Phase.READY, now=self._now())
        if name == USER_DOCKER and moved.before.phase is Phase.RUNNING and phase is Phase.READY:
            self._serving.add(moved.after.since - moved.before.since)
        if moved.after.relinks != moved.before.relinks:
            self._count_relink(moved)
        if self._died and phase not in ON_THE_WAY_UP:
            self._died.pop(name, None)  # A delay, a stop or a failure came between: no measure of ours.

    def _count_relink(self, moved: Transition) -> None:
        unit = moved.after
        cure = Cure.RECREATE if unit.outdated or unit.phase is Phase.CREATING else Cure.RESTART
        for via in unit.relinked_via:
            self._relinks.add(via, cure)
        if unit.wave != self._last_wave:
            self._last_wave = unit.wave
            self._waves.add()

    def notified(self, receiver: str, outcome: str) -> None:
        self._notifications.add(receiver, outcome)

    def hook_ran(self, hook: str, outcome: str, seconds: float) -> None:
        self._hook_runs.add(hook, outcome)
        self._hook_seconds.add(hook, by=seconds)

    def probed(self, unit: str, probe: str, outcome: str, took: float, late: float) -> None:
        """A health check of ours was asked. Times in seconds."""
        self._probes.add(probe, outcome)
        self._runs.checks.add(unit, outcome)
        self._probe_seconds.add(took, probe)
        self._probe_lateness.add(late)

    def _count_switch(self, switch: Switch | SwitchOutcome) -> None:
        if not isinstance(switch, SwitchOutcome):
            return
        self._switches.add(switch.of, switch.result)
        for step, seconds in switch.spent:
            self._steps.add(seconds, step)
        if switch.result in {SwitchResult.ROLLED_BACK, SwitchResult.STUCK}:
            taken = [step for step, _ in switch.spent if step not in {SwitchStep.REVERTING, SwitchStep.RESTORING}]
            self._rollbacks.add(switch.of, taken[-1])

    def _time_restart(self, event: Event, engine_ns: int, reaction: Reaction) -> None:
        match event:
            case ContainerStarted(unit=name):
                died = self._died.pop(name, 0)
                if died:
                    cause = reaction.world.units[name].cause
                    self._latency.trace((engine_ns - died) / 1e9, cause, engine_ns / 1e9)
            case ContainerDied(unit=name):
                if any(moved.after.name == name for moved in reaction.transitions):
                    self._died[name] = engine_ns
            case _:
                pass

    def _reread(self, event: ConfigRead | ConfigRefused, became: Reload) -> None:
        if became is Reload.WAITING:
            return  # It is read again when the switch has ended.
        self._reloads.add("success" if became is Reload.IN_FORCE else "refused")
        if became is Reload.IN_FORCE and isinstance(event, ConfigRead):
            self._config_read = self._wall()
            self._snapshot_period = self._snapshot_period if event.timing is None else event.timing.period

    def engine_call(self, operation: str, outcome: str, seconds: float) -> None:
        """A call ended. ``outcome``: ``ok``, ``barred``, or the name of a Failure in small letters."""
        self._calls.add(operation, outcome)
        self._call_seconds.add(seconds, operation)

    def heard(self, kind: str) -> None:
        self._events.add(kind)

    def duplicate(self) -> None:
        self._duplicates.add()

    def reconnected(self) -> None:
        self._reconnects.add()

    def deaf(self) -> None:
        self._deaf.add()

    def stream_connected(self, *, connected: bool) -> None:
        self._connected = connected

    def state_failed(self) -> None:
        self._state_errors.add()

    def observe_loop_lag(self, seconds: float) -> None:
        self._loop_lag.add(seconds)

    def counted(self) -> dict[str, Any]:
        """What must go on counting after a restart of the supervisor, as plain data: units we still know."""
        known = self._runs.restarts.counts if self._world is None else self._world().units
        return {"restarts": {unit: counts for unit, counts in self._runs.counted().items() if unit in known}}

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Take up what ``counted`` gave. What makes no sense counts for nothing."""
        self._runs.restore(counters.get("restarts"))

    @property
    def prepared(self) -> bool:
        return self._process is not None

    def prepare(self) -> None:
        """Before the first page: takes 50 ms, and may be called in another thread."""
        if self._process is None:
            # More than a megabyte, which only who is scraped has to carry.
            from metrics.process import OwnProcess  # noqa: PLC0415 - brings prometheus_client

            self._process = OwnProcess()

    def render(self, accept: str = "") -> tuple[str, Iterator[bytes]]:
        """Content type and page, as the ``Accept`` header wants it.

        The page comes in pieces that take a millisecond or so each, for what has to be done between them. All are of
        the world as it is now; a counter may be ahead by what came meanwhile.
        """
        kind = content_type(accept)
        return kind, self._pieces(self._world() if self._world is not None else None, openmetrics=kind != TEXT)

    def _pieces(self, known: World | None, *, openmetrics: bool) -> Iterator[bytes]:
        if known is not None:
            yield from self._unit_pieces(known, openmetrics=openmetrics)
            rest = world.host(known, self._version_of_user_docker(), Instant(self._now()), openmetrics=openmetrics)
            yield "".join(rest).encode()
        for tally in self._tallies():
            yield tally.text(openmetrics=openmetrics).encode()
        yield "".join(self._own(openmetrics=openmetrics)).encode()
        self.prepare()
        assert self._process is not None
        yield self._process.text(openmetrics=openmetrics)

    def _unit_pieces(self, known: World, *, openmetrics: bool) -> Iterator[bytes]:
        everyone = shown(known)
        units = everyone[: self._most_units]
        blocks = [units[start : start + BLOCK] for start in range(0, len(units), BLOCK)]
        named = [(block, [escaped(unit.name) for unit in block]) for block in blocks]
        epoch = self._steady_epoch()
        now = Instant(self._now())
        for metric, write in (*world.columns(known, epoch, now), *self._runs.columns(epoch, now)):
            yield head(metric, openmetrics=openmetrics).encode()
            for block, names in named:
                yield write(block, names, openmetrics).encode()
        for metric, value in (
            (catalog.UNITS, len(everyone)),
            (catalog.UNITS_LEFT_OUT, len(everyone) - len(units)),
        ):
            yield plain(metric, [((), value)], openmetrics=openmetrics).encode()

    def _steady_epoch(self) -> float:
        """The wall time of instant 0, the same until the clock is set: PromQL's ``changes()`` must see no noise."""
        epoch = self._to_wall(Instant(0))
        if abs(epoch - self._epoch) > CLOCK_STEP:
            self._epoch = epoch
        return self._epoch

    def _tallies(self) -> tuple[Counter | HistogramBy, ...]:
        return (
            self._events,
            self._duplicates,
            self._reconnects,
            self._deaf,
            self._engine_restarts,
            self._snapshots,
            self._calls,
            self._orders,
            self._reloads,
            self._state_errors,
            self._switches,
            self._rollbacks,
            self._probes,
            self._relinks,
            self._notifications,
            self._hook_runs,
            self._hook_seconds,
            self._waves,
            self._steps,
            self._serving,
            self._latency,
            self._lag,
            self._decision,
            self._loop_lag,
            self._probe_seconds,
            self._probe_lateness,
            self._call_seconds,
        )

    def _own(self, *, openmetrics: bool) -> Iterator[str]:
        """Single numbers."""
        units = {} if self._world is None else self._world().units
        for name, metric in ((CONSOLE, catalog.WITHOUT_CONSOLE), (USER_DOCKER, catalog.WITHOUT_USER_DOCKER)):
            rows = [((), self._absences[name].seconds(self._now()))] if name in units else []
            yield plain(metric, rows, openmetrics=openmetrics)
        for metric, value in (
            (catalog.STREAM_CONNECTED, self._connected),
            (catalog.LAST_EVENT, round(self._last_event_ns / 1e9, 3)),
            (catalog.LAST_SNAPSHOT, self._last_snapshot),
            (catalog.SNAPSHOT_PERIOD, self._snapshot_period),
            (catalog.INBOX_DEPTH, self._depth()),
            (catalog.RELOADED, self._config_read),
            (catalog.BOOT_SECONDS, self._booted),
        ):
            yield plain(metric, [((), value)], openmetrics=openmetrics)
        phases = self._boot_phases.items()
        yield plain(catalog.BOOT_PHASE, [((phase,), took) for phase, took in phases], openmetrics=openmetrics)
        version = (self._version, sys.version.split()[0])
        yield plain(catalog.BUILD_INFO, [(version, 1)], openmetrics=openmetrics)


def _at_rest(unit: Unit) -> bool:
    """It is where it stays by itself. One that is unhealthy may be so for good."""
    if unit.phase in COMING:
        return not unit.wanted or unit.health is Health.UNHEALTHY
    return unit.phase not in MOVING
