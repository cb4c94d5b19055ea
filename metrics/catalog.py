"""The list of all metrics: names, types, labels with their values, and help texts."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, get_args

from units.commands import Command
from units.health import Health
from units.records import dataclass
from units.relinking import Cure
from units.spec import Kind, Switchable, Via
from units.switch.record import SwitchResult, SwitchStep
from units.troubles import Concern
from units.unit import UNIT_PHASES, Failure, Phase, Reason

PREFIX = "dockwarden_"
OPEN: tuple[str, ...] = ()
"""The values of a label that are not ours to list."""


class Type(StrEnum):
    """What Prometheus does with a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. ``buckets`` are upper bounds, in seconds."""

    name: str
    type: Type
    help: str
    labels: Mapping[str, tuple[str, ...]]
    buckets: tuple[float, ...] = ()


def snake(name: str) -> str:
    """``PullImage`` -> ``pull_image``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


OTHER = "other"
"""What a value outside of its closed set is counted as."""
ORDERS: Final = {order: snake(order.__name__) for order in get_args(Command)}
EVENTS = ("create", "start", "kill", "die", "stop", "pause", "unpause", "oom", "destroy", "health_status", OTHER)
OPERATIONS = (
    "info",
    "rootless",
    "events",
    "list",
    "ping",
    "inspect",
    "image",
    "files",
    "pull",
    "create",
    "start",
    "signal",
    "stop",
    "restart",
    "connect",
    "disconnect",
    "exec",
    "rename",
    "remove",
    "logs",
    "load",
    OTHER,
)
OUTCOMES = ("ok", "barred", *(failure.name.lower() for failure in Failure))
TRIGGERS = ("connect", "period", "doubt")
RESULTS = ("success", "refused")

FAILING = tuple(step for step in SwitchStep if step not in {SwitchStep.REVERTING, SwitchStep.RESTORING})

PROBE_KINDS = ("exec", "http", "tcp")
PROBE_OUTCOMES = ("passed", "failed", "timeout", "error")
RECEIVERS = ("webhook", "apprise", "gotify", "command")
HOOK_OUTCOMES = ("done", "failed", "dropped", "vetoed")
NOTICE_OUTCOMES = ("sent", "failed", "dropped", "limited")
TIES = tuple(via for via in (Via.LINK, Via.VOLUMES, Via.NET, Via.PID, Via.IPC, Via.DEPENDS_ON))
ENDINGS = ("success", "error", "sigterm", "sigkill", "sigsegv", "sigabrt", "signal", "oom")
"""Exit code 0, 1-128, 143, 137, 139, 134, any other above 128; oom: killed by the kernel for lack of memory."""
WITHHELD = ("start-limit", "policy", "person", "shutdown", "flapping", "engine", "peer", "paused", "refused", "dry-run")
"""Over its start limit; its definition does not want it; stopped by a person; the host shuts down; restarted too
often; the engine is away; a dependency is down; paused; the engine refused it; dry run."""
BOOT_PHASES = ("engine", "units")
"""From our start until the engine serves; from there until nothing is on its way any more."""

ENGINE_STATES = (
    *(Phase.ABSENT, Phase.CONNECTING, Phase.STARTING, Phase.SERVING, Phase.HUNG, Phase.LOST, Phase.CRASH_LOOP),
    *(Phase.STOPPING, Phase.STOPPED, Phase.FAILED),
)
BROKEN = (Reason.EXIT, Reason.START_FAILED)

QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
CALL = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
LATENCY = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


def _gauge(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(PREFIX + name, Type.GAUGE, text, MappingProxyType(labels))


def _counter(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(PREFIX + name, Type.COUNTER, text, MappingProxyType(labels))


def _histogram(name: str, text: str, buckets: tuple[float, ...], **labels: tuple[str, ...]) -> Metric:
    return Metric(PREFIX + name, Type.HISTOGRAM, text, MappingProxyType(labels), buckets)


UNIT_STATE = _gauge("unit_state", "1 for the phase the unit is in, 0 for all others.", unit=OPEN, state=UNIT_PHASES)
UNIT_DESIRED = _gauge("unit_desired", "1 when the unit is wanted, 0 when it is meant to be down.", unit=OPEN)
UNIT_HEALTH = _gauge(
    "unit_health",
    "1 for what its health checks come to, the engine's and our own; none: it has no check.",
    unit=OPEN,
    status=tuple(Health),
)
UNIT_INFO = _gauge(
    "unit_info",
    "What the unit is; always 1. Id and hash are cut to 12 characters; they are empty without a container.",
    unit=OPEN,
    kind=tuple(Kind),
    image=OPEN,
    container_id=OPEN,
    config_hash=OPEN,
)
UNIT_START = _gauge(
    "unit_start_timestamp_seconds", "When the unit was last started, since 1970; 0: not yet.", unit=OPEN
)
UNIT_MOVED = _gauge(
    "unit_last_transition_timestamp_seconds", "When the unit entered its present phase, since 1970.", unit=OPEN
)
UNIT_EXIT_CODE = _gauge(
    "unit_last_exit_code", "Exit code of the unit's last run; no series before its first exit.", unit=OPEN
)
UNIT_CRASH_LOOP = _gauge(
    "unit_crash_loop", "1 while the unit is over its start limit, until a good run clears it.", unit=OPEN
)
UNIT_BACKOFF = _gauge(
    "unit_backoff_seconds", "The delay that the unit now waits before its next start; 0: it waits for none.", unit=OPEN
)
UNIT_NEXT_TRY = _gauge(
    "unit_next_try_timestamp_seconds",
    "When the unit is started again, since 1970; 0: it waits for no next try.",
    unit=OPEN,
)
UNIT_READY_SECONDS = _gauge(
    "unit_ready_seconds", "From the start of the unit's present or last run until it was ready; 0: not yet.", unit=OPEN
)
UNIT_STALE = _gauge(
    "unit_stale_edges",
    "Previous containers, volumes or addresses that the unit still uses; above 0 it has to be restarted.",
    unit=OPEN,
)
UNIT_TRANSITIONS = _counter(
    "unit_transitions_total", "Changes of phase, by the phase entered.", unit=OPEN, to=UNIT_PHASES
)
UNIT_RESTARTS = _counter(
    "unit_restarts_total",
    "Restarts, by reason. Goes on counting after a restart of the supervisor.",
    unit=OPEN,
    reason=tuple(Reason),
)
UNIT_WITHHELD = _counter(
    "unit_restarts_withheld_total",
    "Deaths and failed health checks that were not followed by a restart, by reason.",
    unit=OPEN,
    reason=WITHHELD,
)
UNIT_EXITS = _counter("unit_exits_total", "Observed ends of the unit's runs, by kind.", unit=OPEN, how=ENDINGS)
UNIT_KILLS = _counter("unit_stop_timeouts_total", "Stops that needed SIGKILL after the stop timeout.", unit=OPEN)
UNIT_CHECKS = _counter(
    "unit_health_checks_total",
    "Health checks of our own of the unit, by outcome; no series for a unit without one.",
    unit=OPEN,
    outcome=PROBE_OUTCOMES,
)
RESTART_LATENCY = _histogram(
    "restart_latency_seconds",
    "From a death to the next start, by the engine's time stamps, where no delay was due.",
    LATENCY,
)
EVENTS_TOTAL = _counter("events_total", "Messages of the engine's event stream, replayed ones included.", type=EVENTS)
DUPLICATES = _counter("events_duplicate_total", "Messages dropped because a reconnect replayed them.")
EVENT_LAG = _histogram("event_lag_seconds", "From the engine's stamp on an event to our reaction to it.", LAG)
INBOX_DEPTH = _gauge("inbox_depth", "Events waiting in the inbox.")
DECISION = _histogram("decision_seconds", "From the arrival of an event to the orders it leads to.", QUICK)
STREAM_CONNECTED = _gauge("event_stream_connected", "1 while the engine's event stream is open.")
RECONNECTS = _counter("event_stream_reconnects_total", "Times the engine's event stream was opened again.")
DEAF = _counter(
    "event_stream_deaf_total", "Times the event stream was open and silent: a snapshot had to tell a change."
)
SNAPSHOTS = _counter("snapshots_total", "Snapshots of all containers, by trigger.", trigger=TRIGGERS)
SNAPSHOT_PERIOD = _gauge(
    "snapshot_period_seconds", "How often all containers are looked at when nothing else gives cause for it."
)
CORRECTIONS = _counter(
    "snapshot_corrections_total",
    "Changes of phase that a look at all containers led to, and the event stream had not.",
    unit=OPEN,
)
LAST_EVENT = _gauge(
    "event_last_timestamp_seconds", "The engine's stamp on its last event about a unit, since 1970; 0: none yet."
)
LAST_SNAPSHOT = _gauge(
    "snapshot_last_timestamp_seconds", "When all containers were last looked at, since 1970; 0: not yet."
)
ENGINE_UP = _gauge("engine_up", "1 while the engine serves: its stream is open, and it answered the last look.")
ENGINE_STATE = _gauge(
    "engine_state",
    "1 for the phase that System Docker, or the engine that is not ours, is in, 0 for all others.",
    state=ENGINE_STATES,
)
ENGINE_CRASH_LOOP = _gauge("engine_crash_loop", "1 while System Docker is over its start limit.")
ENGINE_RESTARTS = _counter("engine_restarts_total", "Restarts of System Docker's process, by reason.", reason=BROKEN)
ENGINE_INFO = _gauge("engine_info", "The engine's version; always 1; no series before it is known.", version=OPEN)
ENGINE_CALLS = _counter("engine_calls_total", "Calls to the engine.", operation=OPERATIONS, outcome=OUTCOMES)
ENGINE_SECONDS = _histogram("engine_call_seconds", "How long calls to the engine took.", CALL, operation=OPERATIONS)
ORDERS_TOTAL = _counter(
    "orders_total", "Orders to the engine and to the supervisor, by order.", order=tuple(ORDERS.values())
)
RELOADS = _counter("config_reloads_total", "Times the configuration was read again.", result=RESULTS)
RELOADED = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the present configuration was read, since 1970."
)
STATE_ERRORS = _counter("state_file_errors_total", "Writes of the supervisor's state file that failed.")
BOOT_SECONDS = _gauge(
    "boot_seconds", "From our start to the first moment at which nothing was on its way any more; 0 until then."
)
BOOT_PHASE = _gauge(
    "boot_phase_seconds",
    "Parts of the boot: until the engine served, and from there until nothing was on its way; 0 until then.",
    phase=BOOT_PHASES,
)
CONSOLE_INFO = _gauge(
    "console_info",
    "The console that runs; always 1; no series without one.",
    console=OPEN,
    kind=("ephemeral", "persistent"),
    container_id=OPEN,
    definition=("clean", "dirty"),
)
CONTEXT_INFO = _gauge(
    "storage_context_info",
    "Whose file system user Docker runs in; always 1; no series while it runs in none.",
    context=OPEN,
    container_id=OPEN,
)
CONTEXT_UP = _gauge(
    "storage_context_up", "1 while user Docker runs in the storage context it should run in. No series without the two."
)
USER_DOCKER_UP = _gauge("user_docker_up", "1 while user Docker serves. No series on a host without one.")
USER_DOCKER_INFO = _gauge(
    "user_docker_info",
    "The engine that serves the user; always 1; no series while none does.",
    version=OPEN,
    engine=OPEN,
)
WITHOUT_CONSOLE = _counter("console_down_seconds_total", "Time without a console that is ready, after the first one.")
WITHOUT_USER_DOCKER = _counter(
    "user_docker_down_seconds_total", "Time without a user Docker that serves, after it first did."
)
SERVING_SECONDS = _histogram(
    "user_docker_serving_seconds", "From the start of user Docker's process until it serves.", LATENCY
)
PROBES = _counter(
    "probes_total",
    "Health checks of our own that were asked; error: it could not be run, which says nothing about the unit.",
    probe=PROBE_KINDS,
    outcome=PROBE_OUTCOMES,
)
PROBE_SECONDS = _histogram("probe_seconds", "How long health checks of our own took.", CALL, probe=PROBE_KINDS)
PROBE_LATENESS = _histogram("probe_lateness_seconds", "How late health checks of our own were asked.", QUICK)
UNIT_FLAPPING = _gauge(
    "unit_flapping", "1 while the unit is flapping: restarted too often, no restarts for a while.", unit=OPEN
)
RELINKS = _counter(
    "relinks_total",
    "Re-links: times a unit was restarted or re-created for a stale reference, by kind of reference and by action.",
    via=TIES,
    cure=tuple(Cure),
)
STALE_EDGES = _gauge(
    "stale_edges", "Stale references of running units: to previous containers, volumes or addresses.", via=TIES
)
WAVES = _counter("relink_waves_total", "Events after which units had stale references and were re-linked.")
NOTIFICATIONS = _counter(
    "notifications_total",
    "Notices, by outcome; limited: merged with others into one.",
    receiver=RECEIVERS,
    outcome=NOTICE_OUTCOMES,
)
HOOK_RUNS = _counter(
    "hook_runs_total",
    "Events for hooks, and questions to gates, by outcome.",
    hook=OPEN,
    outcome=HOOK_OUTCOMES,
)
HOOK_SECONDS = _counter("hook_seconds_total", "How long the runs of hooks took in all.", hook=OPEN)
SWITCHES = _counter(
    "switches_total",
    "Finished switches of the console, the storage context or the engine, by outcome.",
    of=tuple(Switchable),
    result=tuple(SwitchResult),
)
ROLLBACKS = _counter(
    "switch_rollbacks_total", "Switches that were undone, by the step that failed.", of=tuple(Switchable), step=FAILING
)
SWITCH_SECONDS = _histogram("switch_step_seconds", "How long the steps of switches took.", CALL, step=tuple(SwitchStep))
SWITCH_ACTIVE = _gauge(
    "switch_active",
    "1 while a switch of the console, the storage context or the engine is under way.",
    of=tuple(Switchable),
)
TROUBLE = _gauge(
    "host_trouble",
    "1 while the host has to do without something, though it runs; `dockwarden status` says why.",
    of=tuple(Concern),
)
ORPHANS = _gauge("orphans", "Running containers of units that the configuration no longer has.")
SHUTTING_DOWN = _gauge("shutting_down", "1 while the host shuts down.")
BUILD_INFO = _gauge("build_info", "What runs here; always 1.", version=OPEN, python=OPEN)
LOOP_LAG = _histogram("loop_lag_seconds", "Lag of the supervisor's event loop, measured once a second.", QUICK)
UNITS = _gauge("units", "Units that are supervised.")
UNITS_LEFT_OUT = _gauge("units_left_out", "Units that have no series here: there are more than --metrics-units.")

CATALOG: tuple[Metric, ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
