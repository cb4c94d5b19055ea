"""``docs/reference/metrics.md``, written from the catalogue, with the question that each metric answers."""

from collections.abc import Mapping
from typing import Final

from metrics import catalog
from metrics.catalog import CATALOG, ENDINGS, PROBE_OUTCOMES, WITHHELD
from units.health import Health
from units.unit import UNIT_PHASES, Reason

PER_UNIT = len(UNIT_PHASES) * 2 + len(Health) + len(Reason) + len(WITHHELD) + len(ENDINGS) + 13
"""Series of one unit: its state set and transitions, health, restarts and those withheld, ends; one each of more."""
PER_CHECKED = len(PROBE_OUTCOMES)
"""What a unit with health checks of our own has besides."""

QUESTIONS: Final[Mapping[str, str]] = {
    catalog.UNIT_STATE.name: "is it up?",
    catalog.UNIT_DESIRED.name: "should it be?",
    catalog.UNIT_HEALTH.name: "is it well?",
    catalog.UNIT_INFO.name: "what runs?",
    catalog.UNIT_START.name: "how long has it run?",
    catalog.UNIT_MOVED.name: "since when is it so?",
    catalog.UNIT_EXIT_CODE.name: "how did it end last?",
    catalog.UNIT_CRASH_LOOP.name: "is it in a crash loop?",
    catalog.UNIT_BACKOFF.name: "how long is the backoff?",
    catalog.UNIT_NEXT_TRY.name: "when is the next try?",
    catalog.UNIT_READY_SECONDS.name: "how slow is its start?",
    catalog.UNIT_STALE.name: "are its links fresh?",
    catalog.UNIT_TRANSITIONS.name: "does it come and go?",
    catalog.UNIT_RESTARTS.name: "why does it restart?",
    catalog.UNIT_WITHHELD.name: "why does it not?",
    catalog.UNIT_EXITS.name: "how does it end?",
    catalog.UNIT_KILLS.name: "does it heed its stop signal?",
    catalog.UNIT_CHECKS.name: "does probing work?",
    catalog.UNIT_FLAPPING.name: "is it flapping?",
    catalog.RESTART_LATENCY.name: "how soon is a dead unit back?",
    catalog.EVENTS_TOTAL.name: "what does the engine report?",
    catalog.DUPLICATES.name: "is the stream trusted with reason?",
    catalog.EVENT_LAG.name: "how far behind are we?",
    catalog.LAST_EVENT.name: "does the engine still talk?",
    catalog.INBOX_DEPTH.name: "do we keep up?",
    catalog.DECISION.name: "how long do decisions take?",
    catalog.STREAM_CONNECTED.name: "can the engine be heard?",
    catalog.RECONNECTS.name: "how often could it not?",
    catalog.DEAF.name: "does something between swallow events?",
    catalog.SNAPSHOTS.name: "how often do we look?",
    catalog.LAST_SNAPSHOT.name: "when did we look last?",
    catalog.SNAPSHOT_PERIOD.name: "how often should we?",
    catalog.CORRECTIONS.name: "what did the stream miss?",
    catalog.ENGINE_UP.name: "is the engine well?",
    catalog.ENGINE_STATE.name: "is it starting, hung, lost?",
    catalog.ENGINE_CRASH_LOOP.name: "did restarts not help?",
    catalog.ENGINE_RESTARTS.name: "does it come and go?",
    catalog.ENGINE_INFO.name: "which engine is it?",
    catalog.ENGINE_CALLS.name: "which calls fail?",
    catalog.ENGINE_SECONDS.name: "which calls are slow?",
    catalog.ORDERS_TOTAL.name: "what do we do all day?",
    catalog.RELOADS.name: "was the configuration taken?",
    catalog.RELOADED.name: "how old is it?",
    catalog.STATE_ERRORS.name: "would a restart of ours forget?",
    catalog.BOOT_SECONDS.name: "how long did the boot take?",
    catalog.BOOT_PHASE.name: "what of it was the engine?",
    catalog.CONSOLE_INFO.name: "which console runs?",
    catalog.CONTEXT_INFO.name: "where does user Docker live?",
    catalog.CONTEXT_UP.name: "is that where it should?",
    catalog.USER_DOCKER_UP.name: "does user Docker serve?",
    catalog.USER_DOCKER_INFO.name: "which one is it?",
    catalog.WITHOUT_CONSOLE.name: "how long was there none?",
    catalog.WITHOUT_USER_DOCKER.name: "how long was there none?",
    catalog.SERVING_SECONDS.name: "how slow is its start?",
    catalog.PROBES.name: "do our checks work?",
    catalog.PROBE_SECONDS.name: "are they slow?",
    catalog.PROBE_LATENESS.name: "are they on time?",
    catalog.RELINKS.name: "what has to follow what?",
    catalog.STALE_EDGES.name: "are links fresh?",
    catalog.WAVES.name: "how often?",
    catalog.NOTIFICATIONS.name: "are notices delivered?",
    catalog.HOOK_RUNS.name: "do hooks behave?",
    catalog.HOOK_SECONDS.name: "are they slow?",
    catalog.SWITCHES.name: "how do switches end?",
    catalog.ROLLBACKS.name: "where do they fail?",
    catalog.SWITCH_SECONDS.name: "where do they take their time?",
    catalog.SWITCH_ACTIVE.name: "is one under way?",
    catalog.SHUTTING_DOWN.name: "does the host go down?",
    catalog.BUILD_INFO.name: "which Dockwarden is it?",
    catalog.LOOP_LAG.name: "is the supervisor alive?",
    catalog.UNITS.name: "how many are there?",
    catalog.UNITS_LEFT_OUT.name: "do I see all?",
}

_HEAD = """\
# Metrics

Served by `dockwarden boot` at `http://127.0.0.1:9779/metrics` (`--listen HOST:PORT`; `--listen ''` for none), as
Prometheus text, or as OpenMetrics where `Accept` prefers it. A scrape never waits for the engine, and is made in
pieces, between which supervision goes on.

| path | answer |
| --- | --- |
| `/metrics` | what this page lists |
| `/healthz` | 200 while the event loop turns |
| `/readyz` | 200 when the engine serves and the units have been looked at; else 503 and the reason |
| `/` | for a browser the [status page](page.md); else a list of these, as text |

Gauges are read from the supervisor's present knowledge at each scrape. While `dockwarden_engine_up` is 0, units are
shown as they were last known, as of `dockwarden_snapshot_last_timestamp_seconds`. Rules, a dashboard and a scrape
configuration to begin with: [how to be paged](../how-to/watch-with-prometheus.md).

## How many series

Every series of a unit is there from the first scrape, counters with 0, and goes when the unit leaves the
configuration. A unit has {per_unit} series, and {per_checked} more if it has health checks of our own; everything
else together has fewer than a thousand, whatever happens: what stands outside of a closed set of values is counted as
`other`. The first 1000 units of the configuration have series (`--metrics-units N`); how many have none says
`dockwarden_units_left_out`. No label is an id of its own, an address or a text; what changes with each container
stands in `dockwarden_unit_info` only.

## Counters

A counter starts from 0 with the supervisor; `dockwarden_unit_restarts_total` is kept in the state file.
There are no `_created` series: they would be twice as many. `process_start_time_seconds` says since when all but that
one count.

OpenMetrics carries *exemplars* on `dockwarden_restart_latency_seconds`, `dockwarden_unit_restarts_total`,
`dockwarden_unit_restarts_withheld_total`, `dockwarden_unit_exits_total` and `dockwarden_unit_transitions_total`: the
`cause` of the last case, by which its lines are found in the log and in `dockwarden events`. Prometheus keeps them with
`--enable-feature=exemplar-storage`.

## All of them
"""

_TAIL = """\
Besides these: `process_*`, `python_gc_*` and `python_info` of the Prometheus client.

## Questions

| question | query |
| --- | --- |
| what is wanted and fails | `dockwarden_unit_state{state=~"failed\\|backoff\\|crash-loop\\|image-missing"} == 1` |
| what keeps falling over | `increase(dockwarden_unit_restarts_total{reason=~"exit\\|oom\\|start-failed"}[15m]) > 5` |
| what was killed for its memory | `increase(dockwarden_unit_restarts_total{reason="oom"}[1h]) > 0` |
| why is it not up again | `increase(dockwarden_unit_restarts_withheld_total[1h]) > 0` |
| what gave up for now | `dockwarden_unit_crash_loop == 1` |
| when is it tried again | `dockwarden_unit_next_try_timestamp_seconds - time() > 0` |
| is the engine away | `dockwarden_engine_up == 0` |
| how soon is a dead unit back | `histogram_quantile(0.99, rate(dockwarden_restart_latency_seconds_bucket[1h]))` |
| how long was there no console | `increase(dockwarden_console_down_seconds_total[1d])` |
| what switches were undone | `increase(dockwarden_switch_rollbacks_total[1d]) > 0` |
| does user Docker serve | `dockwarden_user_docker_up == 0` |
| does the stream miss things | `increase(dockwarden_snapshot_corrections_total[1h]) > 0` |
"""


def page() -> str:
    """``docs/reference/metrics.md``, from the list above."""
    lines = [_HEAD.format(per_unit=PER_UNIT, per_checked=PER_CHECKED), "<!-- generated from metrics/catalog.py -->", ""]
    lines += ["| metric | type | labels | question | meaning |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{one.name}` | {one.type} | {', '.join(one.labels)} | {QUESTIONS.get(one.name, '')} | {one.help} |"
        for one in CATALOG
    ]
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
