"""Counters and histograms: fed by the reactions of the core, and by what the shell tells of its own doings."""

import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, product
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

from metrics import catalog
from metrics.world import WorldCollector, filled, shown, single
from units.events import ConfigRead, ConfigRefused, ContainerDied, ContainerStarted, Event, SnapshotTaken
from units.health import Health
from units.kernel import Reaction, Transition, World
from units.machine import Moment
from units.quantities import Instant
from units.relinking import Cure
from units.switching import Outcome, Result, Switch, SwitchStep
from units.unit import CONSOLE, USER_DOCKER, Phase, Reason, UnitName

TEXT = "text/plain; version=0.0.4; charset=utf-8"
ON_THE_WAY_UP = frozenset({Phase.CREATING, Phase.STARTING})
COMING = frozenset({Phase.RUNNING, Phase.BACKOFF})


class Entry(Protocol):
    """An event on its way, as the shell's loop passes it."""

    @property
    def event(self) -> Event: ...

    @property
    def arrived(self) -> Instant: ...

    @property
    def engine_ns(self) -> int: ...


class Tally:
    """A counter: one number for each combination of label values, all there from the start."""

    def __init__(self, metric: catalog.Metric) -> None:
        self.metric = metric
        self._counts: dict[tuple[str, ...], float] = dict.fromkeys(product(*metric.labels.values()), 0)

    def add(self, *labels: str, by: float = 1) -> None:
        if labels not in self._counts:
            labels = self._folded(labels)
        self._counts[labels] = self._counts.get(labels, 0) + by

    def _folded(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Label sets are closed, but for those that are not ours to list: what stands outside is one value."""
        known = zip(labels, self.metric.labels.values(), strict=True)
        return tuple(label if label in values or values is catalog.OPEN else catalog.OTHER for label, values in known)

    def family(self) -> Metric:
        return counted(self.metric, self._counts)


class Spread:
    """A histogram of seconds. A negative duration, from a clock that was set back, counts as 0."""

    def __init__(self, metric: catalog.Metric) -> None:
        self._bounds = metric.buckets
        self._counts = [0] * (len(metric.buckets) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        if seconds > 0:
            self._sum += seconds

    def put_into(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        bounds = (*map(str, self._bounds), "+Inf")
        family.add_metric(labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)


class Absence:
    """How long a unit that was there once has been away, all times together."""

    def __init__(self) -> None:
        self._gone: float | None = None
        self._seconds = 0.0
        self._seen = False

    def note(self, *, here: bool, now: float) -> None:
        if here:
            self._seconds, self._gone, self._seen = self.seconds(now), None, True
        elif self._seen and self._gone is None:
            self._gone = now

    def seconds(self, now: float) -> float:
        return self._seconds + (0.0 if self._gone is None else now - self._gone)


class Metrics:
    """All metrics of one supervisor, in a registry of its own unless it is given one.

    ``wall`` is seconds since 1970, ``now`` the monotonic clock of which entries carry instants. Each method but
    ``render`` costs a few microseconds, and none waits or raises.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
        version: str = "",
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._wall = wall
        self._now = now
        self._version = version
        self._registry = CollectorRegistry() if registry is None else registry
        self._started = now()
        self._config_read = wall()
        self._booted = 0.0
        self._connected = False
        self._world: Callable[[], World] | None = None
        self._restarts: dict[str, dict[Reason, int]] = {}
        self._transitions: dict[str, dict[Phase, int]] = {}
        self._died: dict[UnitName, int] = {}
        self._events = Tally(catalog.EVENTS_TOTAL)
        self._duplicates = Tally(catalog.DUPLICATES)
        self._reconnects = Tally(catalog.RECONNECTS)
        self._snapshots = Tally(catalog.SNAPSHOTS)
        self._corrections = Tally(catalog.CORRECTIONS)
        self._calls = Tally(catalog.ENGINE_CALLS)
        self._orders = Tally(catalog.ORDERS_TOTAL)
        self._reloads = Tally(catalog.RELOADS)
        self._state_errors = Tally(catalog.STATE_ERRORS)
        self._latency = Spread(catalog.RESTART_LATENCY)
        self._lag = Spread(catalog.EVENT_LAG)
        self._decision = Spread(catalog.DECISION)
        self._loop_lag = Spread(catalog.LOOP_LAG)
        self._call_seconds = {name: Spread(catalog.ENGINE_SECONDS) for name in catalog.OPERATIONS}
        self._serving = Spread(catalog.SERVING_SECONDS)
        self._probes = Tally(catalog.PROBES)
        self._probe_seconds = {kind: Spread(catalog.PROBE_SECONDS) for kind in catalog.PROBE_KINDS}
        self._probe_lateness = Spread(catalog.PROBE_LATENESS)
        self._relinks = Tally(catalog.RELINKS)
        self._notifications = Tally(catalog.NOTIFICATIONS)
        self._hook_runs = Tally(catalog.HOOK_RUNS)
        self._hook_seconds = Tally(catalog.HOOK_SECONDS)
        self._waves = Tally(catalog.WAVES)
        self._last_wave = ""
        self._switches = Tally(catalog.SWITCHES)
        self._rollbacks = Tally(catalog.ROLLBACKS)
        self._steps = {step.value: Spread(catalog.SWITCH_SECONDS) for step in SwitchStep}
        self._absences = {CONSOLE: Absence(), USER_DOCKER: Absence()}
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def watch_world(
        self,
        world: Callable[[], World],
        to_wall: Callable[[Instant], float],
        depth: Callable[[], int],
        user_docker: Callable[[], str] = lambda: "",
    ) -> None:
        """From now on a scrape shows the units. ``user_docker``: the version that serves. Call it once."""
        self._world = world
        self._registry.register(WorldCollector(world, to_wall, depth, user_docker))

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        self._decision.add(self._now() - entry.arrived)
        if entry.engine_ns:
            self._lag.add(self._wall() - entry.engine_ns / 1e9)
            self._time_restart(entry.event, entry.engine_ns, reaction)
        if reaction.transitions:
            self._count_transitions(reaction)
        for switch in reaction.switches:
            self._count_switch(switch)
        for command in reaction.commands:
            self._orders.add(catalog.ORDERS[type(command)])
        match entry.event:
            case SnapshotTaken(trigger=trigger):
                self._snapshots.add(trigger)
                self._corrections.add(by=sum(moved.on != "PeerChanged" for moved in reaction.transitions))
            case ConfigRead():
                self._reread(taken=_took(entry.event, reaction.world))
            case ConfigRefused():
                self._reread(taken=False)
            case _:
                pass
        if not self._booted and (reaction.transitions or isinstance(entry.event, SnapshotTaken)):
            self._booted = self._now() - self._started if _at_rest(reaction.world) else 0.0

    def _count_transitions(self, reaction: Reaction) -> None:
        for moved in reaction.transitions:
            name, phase = moved.after.name, moved.after.phase
            if (absence := self._absences.get(name)) is not None:
                absence.note(here=phase is Phase.READY, now=self._now())
            if name == USER_DOCKER and moved.before.phase is Phase.RUNNING and phase is Phase.READY:
                self._serving.add(moved.after.since - moved.before.since)
            if phase is not moved.before.phase:
                counts = self._transitions.setdefault(name, {})
                counts[phase] = counts.get(phase, 0) + 1
            if (reason := moved.restart) is not None:
                by_reason = self._restarts.setdefault(name, {})
                by_reason[reason] = by_reason.get(reason, 0) + 1
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

    def probed(self, probe: str, outcome: str, took: float, late: float) -> None:
        """A health check of ours was asked. Times in seconds."""
        self._probes.add(probe, outcome)
        self._probe_seconds[probe].add(took)
        self._probe_lateness.add(late)

    def _count_switch(self, switch: Switch | Outcome) -> None:
        if not isinstance(switch, Outcome):
            return
        self._switches.add(switch.of, switch.result)
        for step, seconds in switch.spent:
            self._steps[step].add(seconds)
        if switch.result in {Result.ROLLED_BACK, Result.STUCK}:
            taken = [step for step, _ in switch.spent if step not in {SwitchStep.REVERTING, SwitchStep.RESTORING}]
            self._rollbacks.add(switch.of, taken[-1])

    def _time_restart(self, event: Event, engine_ns: int, reaction: Reaction) -> None:
        match event:
            case ContainerStarted(unit=name):
                died = self._died.pop(name, 0)
                if died:
                    self._latency.add((engine_ns - died) / 1e9)
            case ContainerDied(unit=name):
                if any(moved.after.name == name for moved in reaction.transitions):
                    self._died[name] = engine_ns
            case _:
                pass

    def _reread(self, *, taken: bool) -> None:
        self._reloads.add("success" if taken else "refused")
        if taken:
            self._config_read = self._wall()

    def engine_call(self, operation: str, outcome: str, seconds: float) -> None:
        """A call ended. ``outcome``: ``ok``, or the name of a Failure in small letters."""
        self._calls.add(operation, outcome)
        self._call_seconds.get(operation, self._call_seconds[catalog.OTHER]).add(seconds)

    def heard(self, kind: str) -> None:
        self._events.add(kind)

    def duplicate(self) -> None:
        self._duplicates.add()

    def reconnected(self) -> None:
        self._reconnects.add()

    def stream_connected(self, *, connected: bool) -> None:
        self._connected = connected

    def state_failed(self) -> None:
        self._state_errors.add()

    def observe_loop_lag(self, seconds: float) -> None:
        self._loop_lag.add(seconds)

    def counted(self) -> dict[str, Any]:
        """What must go on counting after a restart of the supervisor, as plain data: units we still know."""
        known = self._restarts if self._world is None else self._world().units
        return {
            "restarts": {
                name: {reason.value: count for reason, count in counts.items()}
                for name, counts in self._restarts.items()
                if name in known
            }
        }

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Take up what ``counted`` gave. What makes no sense counts for nothing."""
        restarts = counters.get("restarts")
        for name, kept in restarts.items() if isinstance(restarts, dict) else ():
            if isinstance(kept, dict):
                counts = {reason: kept.get(reason.value) for reason in Reason}
                self._restarts[name] = {
                    reason: count for reason, count in counts.items() if type(count) is int and count > 0
                }

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and page, as the ``Accept`` header wants it."""
        if "application/openmetrics-text" in accept:
            page: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return openmetrics.CONTENT_TYPE_LATEST, page
        return TEXT, generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        yield from self._unit_counters()
        yield from (
            tally.family()
            for tally in (
                self._events,
                self._duplicates,
                self._reconnects,
                self._snapshots,
                self._corrections,
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
            )
        )
        yield _histogram(catalog.SWITCH_SECONDS, {(step,): spread for step, spread in self._steps.items()})
        yield _histogram(catalog.SERVING_SECONDS, {(): self._serving})
        yield from self._without()
        yield _histogram(catalog.RESTART_LATENCY, {(): self._latency})
        yield _histogram(catalog.EVENT_LAG, {(): self._lag})
        yield _histogram(catalog.DECISION, {(): self._decision})
        yield _histogram(catalog.LOOP_LAG, {(): self._loop_lag})
        yield _histogram(catalog.PROBE_SECONDS, {(kind,): spread for kind, spread in self._probe_seconds.items()})
        yield _histogram(catalog.PROBE_LATENESS, {(): self._probe_lateness})
        yield _histogram(catalog.ENGINE_SECONDS, {(name,): spread for name, spread in self._call_seconds.items()})
        yield single(catalog.STREAM_CONNECTED, self._connected)
        yield single(catalog.RELOADED, self._config_read)
        yield single(catalog.BOOT_SECONDS, self._booted)
        yield filled(catalog.BUILD_INFO, [((self._version, sys.version.split()[0]), 1)])

    def _without(self) -> Iterator[Metric]:
        units = {} if self._world is None else self._world().units
        for name, metric in ((CONSOLE, catalog.WITHOUT_CONSOLE), (USER_DOCKER, catalog.WITHOUT_USER_DOCKER)):
            family = CounterMetricFamily(metric.name, metric.help)
            if name in units:
                family.add_metric((), self._absences[name].seconds(self._now()))
            yield family

    def _unit_counters(self) -> Iterator[Metric]:
        names = [] if self._world is None else [unit.name for unit in shown(self._world())]
        moves, starts = self._transitions, self._restarts
        yield counted(
            catalog.UNIT_TRANSITIONS, {(name, to): moves.get(name, {}).get(to, 0) for name in names for to in Phase}
        )
        yield counted(
            catalog.UNIT_RESTARTS, {(name, why): starts.get(name, {}).get(why, 0) for name in names for why in Reason}
        )


def _took(event: ConfigRead, world: World) -> bool:
    """A configuration whose dependencies do not hold is refused as a whole, by the core."""
    units = world.units
    return all(spec.name in units and units[spec.name].spec == spec for spec in event.specs)


def _at_rest(world: World) -> bool:
    """Every unit is where it stays by itself. One that is unhealthy may be so for good."""
    coming = (unit for unit in world.units.values() if unit.phase in COMING)
    return world.settled and all(unit.health is Health.UNHEALTHY for unit in coming if unit.wanted)


def counted(metric: catalog.Metric, counts: Mapping[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _histogram(metric: catalog.Metric, spreads: Mapping[tuple[str, ...], Spread]) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
    for labels, spread in spreads.items():
        spread.put_into(family, labels)
    return family
