"""The one list of all metrics: names, types, labels with the values they can have, and what each one answers."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, get_args

from units.commands import Command
from units.health import Health
from units.records import dataclass
from units.relinking import Cure
from units.switching import Result, SwitchStep
from units.unit import Failure, Kind, Phase, Reason, Switchable, Via

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
EVENTS = ("create", "start", "kill", "die", "stop", "oom", "destroy", "health_status", OTHER)
OPERATIONS = (
    "info",
    "events",
    "list",
    "inspect",
    "image",
    "pull",
    "create",
    "start",
    "signal",
    "stop",
    "restart",
    "connect",
    "exec",
    "rename",
    "remove",
    "logs",
    "load",
    OTHER,
)
OUTCOMES = ("ok", *(failure.name.lower() for failure in Failure))
TRIGGERS = ("connect", "period", "doubt")
RESULTS = ("success", "refused")

FAILING = tuple(step for step in SwitchStep if step not in {SwitchStep.REVERTING, SwitchStep.RESTORING})

PROBE_KINDS = ("exec", "http", "tcp")
PROBE_OUTCOMES = ("passed", "failed", "timeout", "error")
RECEIVERS = ("webhook", "command")
HOOK_OUTCOMES = ("done", "failed", "dropped", "vetoed")
NOTICE_OUTCOMES = ("sent", "failed", "dropped", "limited")
TIES = tuple(via for via in (Via.LINK, Via.VOLUMES, Via.NET, Via.PID, Via.IPC, Via.DEPENDS_ON))

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


UNIT_STATE = _gauge("unit_state", "1 for the phase the unit is in, 0 for all others.", unit=OPEN, state=tuple(Phase))
UNIT_DESIRED = _gauge("unit_desired", "1 when the unit is wanted, 0 when it is meant to be down.", unit=OPEN)
UNIT_HEALTH = _gauge(
    "unit_health", "1 for what the engine's health check says; none: it has no check.", unit=OPEN, status=tuple(Health)
)
UNIT_INFO = _gauge(
    "unit_info",
    "What the unit is; always 1. The container's id is cut to 12 characters, empty without a container.",
    unit=OPEN,
    kind=tuple(Kind),
    image=OPEN,
    container_id=OPEN,
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
UNIT_TRANSITIONS = _counter(
    "unit_transitions_total", "Changes of phase, by the phase entered.", unit=OPEN, to=tuple(Phase)
)
UNIT_RESTARTS = _counter(
    "unit_restarts_total",
    "Restarts, by reason. Goes on counting after a restart of the supervisor.",
    unit=OPEN,
    reason=tuple(Reason),
)
RESTART_LATENCY = _histogram(
    "restart_latency_seconds",
    "From a death to the next start, both as the engine stamped them, where no delay was due.",
    LATENCY,
)
EVENTS_TOTAL = _counter("events_total", "Messages of the engine's event stream, replayed ones included.", type=EVENTS)
DUPLICATES = _counter("events_duplicate_total", "Messages dropped because a reconnect replayed them.")
EVENT_LAG = _histogram("event_lag_seconds", "From the engine's stamp on an event to our reaction to it.", LAG)
INBOX_DEPTH = _gauge("inbox_depth", "Events that wait for their turn.")
DECISION = _histogram("decision_seconds", "From an event's arrival in the inbox to the reaction.", QUICK)
STREAM_CONNECTED = _gauge("event_stream_connected", "1 while the engine's event stream is open.")
RECONNECTS = _counter("event_stream_reconnects_total", "Times the event stream was opened again.")
SNAPSHOTS = _counter("snapshots_total", "Looks at all containers, by what gave cause for them.", trigger=TRIGGERS)
CORRECTIONS = _counter("snapshot_corrections_total", "Transitions that a snapshot led to and the event stream had not.")
ENGINE_UP = _gauge("engine_up", "1 while the engine serves: its stream is open and a snapshot has been taken since.")
ENGINE_INFO = _gauge(
    "engine_info", "The engine's version; always 1; no series before the engine has told it.", version=OPEN
)
ENGINE_CALLS = _counter("engine_calls_total", "Calls to the engine.", operation=OPERATIONS, outcome=OUTCOMES)
ENGINE_SECONDS = _histogram("engine_call_seconds", "How long calls to the engine took.", CALL, operation=OPERATIONS)
ORDERS_TOTAL = _counter("orders_total", "What the core asked for.", order=tuple(ORDERS.values()))
RELOADS = _counter("config_reloads_total", "Times the configuration was read again.", result=RESULTS)
RELOADED = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the present configuration was read, since 1970."
)
STATE_ERRORS = _counter("state_file_errors_total", "Writes of the state file that failed.")
BOOT_SECONDS = _gauge(
    "boot_seconds", "From our start to the first moment at which nothing was on its way any more; 0 until then."
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
    "Health checks of our own that were asked; error: it could not be asked, which says nothing of the unit.",
    probe=PROBE_KINDS,
    outcome=PROBE_OUTCOMES,
)
PROBE_SECONDS = _histogram("probe_seconds", "How long health checks of our own took.", CALL, probe=PROBE_KINDS)
PROBE_LATENESS = _histogram("probe_lateness_seconds", "How late health checks of our own were asked.", QUICK)
UNIT_FLAPPING = _gauge("unit_flapping", "1 while the unit was helped too often, and is left alone.", unit=OPEN)
RELINKS = _counter(
    "relinks_total",
    "Times a unit was brought back in step with what it holds on to, by the kind of tie and by what it took.",
    via=TIES,
    cure=tuple(Cure),
)
STALE_EDGES = _gauge("stale_edges", "Ties to what is over, of units that run, also of those left alone.", via=TIES)
WAVES = _counter("relink_waves_total", "Causes for which units were brought back in step.")
NOTIFICATIONS = _counter(
    "notifications_total",
    "Notices, by what became of them; limited: told as one with others.",
    receiver=RECEIVERS,
    outcome=NOTICE_OUTCOMES,
)
HOOK_RUNS = _counter(
    "hook_runs_total",
    "Events for hooks, and questions to gates, by what became of them.",
    hook=OPEN,
    outcome=HOOK_OUTCOMES,
)
HOOK_SECONDS = _counter("hook_seconds_total", "How long the runs of hooks took in all.", hook=OPEN)
SWITCHES = _counter("switches_total", "Switches that ended, by how.", of=tuple(Switchable), result=tuple(Result))
ROLLBACKS = _counter(
    "switch_rollbacks_total", "Switches that were undone, by the step that failed.", of=tuple(Switchable), step=FAILING
)
SWITCH_SECONDS = _histogram("switch_step_seconds", "How long the steps of switches took.", CALL, step=tuple(SwitchStep))
SWITCH_ACTIVE = _gauge("switch_active", "1 while such a switch is under way.", of=tuple(Switchable))
SHUTTING_DOWN = _gauge("shutting_down", "1 while the host goes down.")
BUILD_INFO = _gauge("build_info", "What runs here; always 1.", version=OPEN, python=OPEN)
LOOP_LAG = _histogram("loop_lag_seconds", "How late the event loop woke.", QUICK)

CATALOG: tuple[Metric, ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))

PER_UNIT = len(Phase) * 2 + len(Health) + len(Reason) + 7
"""Series of one unit: its state set and transitions, health, restarts, and one each of the rest."""

_HEAD = """\
# Metrics

Served by `dockwarden boot` at `http://127.0.0.1:9779/metrics` (`--listen HOST:PORT`; `--listen ''` for none), as
Prometheus text, or as OpenMetrics where `Accept` asks for it. A scrape never waits for the engine.

| path | answer |
| --- | --- |
| `/metrics` | what this page lists |
| `/healthz` | 200 while the event loop turns |
| `/readyz` | 200 when the engine serves and the units have been looked at; else 503 and the reason |
| `/` | a list of these |

Gauges are read from the supervisor's present knowledge at each scrape. Every series of a unit is there from the first
scrape, counters with 0, and goes when the unit leaves the configuration. A unit has {per_unit} series. While
`dockwarden_engine_up` is 0, units are shown as they were last known.

A counter starts from 0 with the supervisor; `dockwarden_unit_restarts_total` is kept in the state file.
"""

_TAIL = """\
Besides these: `process_*`, `python_gc_*` and `python_info` of the Prometheus client.

## Questions

| question | query |
| --- | --- |
| what is wanted and fails | `dockwarden_unit_state{state=~"failed\\|backoff\\|crash-loop\\|image-missing"} == 1` |
| what keeps falling over | `increase(dockwarden_unit_restarts_total{reason=~"exit\\|oom\\|start-failed"}[15m]) > 5` |
| what was killed for its memory | `increase(dockwarden_unit_restarts_total{reason="oom"}[1h]) > 0` |
| what gave up for now | `dockwarden_unit_crash_loop == 1` |
| is the engine away | `dockwarden_engine_up == 0` |
| how soon is a dead unit back | `histogram_quantile(0.99, rate(dockwarden_restart_latency_seconds_bucket[1h]))` |
| how long was there no console | `increase(dockwarden_console_down_seconds_total[1d])` |
| what switches were undone | `increase(dockwarden_switch_rollbacks_total[1d]) > 0` |
| does user Docker serve | `dockwarden_user_docker_up == 0` |
| does the stream miss things | `increase(dockwarden_snapshot_corrections_total[1h]) > 0` |
"""


def page() -> str:
    """``docs/reference/metrics.md``, from the list above."""
    lines = [_HEAD.format(per_unit=PER_UNIT), "<!-- generated from metrics/catalog.py -->", ""]
    lines += ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{one.name}` | {one.type} | {', '.join(one.labels)} | {one.help} |" for one in CATALOG]
    lines += ["", "## Values of labels", "", "| label | values |", "| --- | --- |"]
    closed = {f"{name} | {_listed(values)}": None for one in CATALOG for name, values in one.labels.items() if values}
    lines += [f"| {row} |" for row in closed]
    lines += ["", "## Buckets", "", "| histogram | upper bounds in seconds |", "| --- | --- |"]
    lines += [
        f"| `{one.name}` | {', '.join(f'{bound:g}' for bound in one.buckets)} |" for one in CATALOG if one.buckets
    ]
    return "\n".join([*lines, "", _TAIL])


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)
