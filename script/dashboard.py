"""The Grafana dashboard of packaging/grafana, as code: what it asks for is what the catalogue has, in its words."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from metrics.catalog import CATALOG, PREFIX
from units.unit import UNIT_PHASES, Phase

HOST = 'job=~"$job",instance=~"$instance"'
UNIT = f'{HOST},unit=~"$unit"'
RATE = "[$__rate_interval]"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4
COLUMNS = 24

COLOURS: Final[Mapping[Phase, str]] = {
    Phase.INACTIVE: "#7f8c8d",
    Phase.WAITING: "#b7950b",
    Phase.PULLING: "#5dade2",
    Phase.CREATING: "#5dade2",
    Phase.CLEARING: "#48c9b0",
    Phase.STARTING: "#2e86c1",
    Phase.RUNNING: "#82e0aa",
    Phase.READY: "#239b56",
    Phase.PAUSED: "#aab7b8",
    Phase.DRAINING: "#a569bd",
    Phase.STOPPING: "#a569bd",
    Phase.EXITED: "#e59866",
    Phase.BACKOFF: "#e67e22",
    Phase.CRASH_LOOP: "#c0392b",
    Phase.IMAGE_MISSING: "#d35400",
    Phase.COMPLETED: "#1abc9c",
    Phase.FAILED: "#7b241c",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``asks``: expressions, each with the legend of its series."""

    title: str
    kind: str
    width: int
    asks: tuple[tuple[str, str], ...]
    unit: str = "short"
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def _quantiles(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    wanted = ", ".join(filter(None, ["le", by]))
    legend = f"{{{{{by}}}}} " if by else ""
    return tuple(
        (
            f"histogram_quantile({part}, sum by ({wanted}) (rate({PREFIX}{metric}_bucket{{{HOST}}}{RATE})))",
            f"{legend}p{part * 100:g}",
        )
        for part in (0.5, 0.99)
    )


def _stat(title: str, expression: str, *, bad: bool = True, unit: str = "short") -> Panel:
    """A number; with ``bad``, red as soon as it is not 0."""
    steps = [{"color": "green", "value": None}, *([{"color": "red", "value": 1}] if bad else [])]
    defaults = {"thresholds": {"mode": "absolute", "steps": steps}, "noValue": "0"}
    options = {"colorMode": "background" if bad else "value", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return Panel(title, "stat", SMALL, ((expression, ""),), unit, options, defaults)


def _lines(title: str, *asks: tuple[str, str], unit: str = "short", width: int = HALF) -> Panel:
    custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    options = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}}
    return Panel(title, "timeseries", width, asks, unit, options, {"custom": custom})


def _table(title: str, expression: str, width: int = HALF) -> Panel:
    return Panel(title, "table", width, ((expression, ""),))


def _states() -> Panel:
    """Which phase each unit was in, as the phase's number; the mapping gives it its name and colour."""
    numbered = " or ".join(
        f'(dockwarden_unit_state{{{UNIT},state="{phase}"}} == 1) * {number}' for number, phase in enumerate(UNIT_PHASES)
    )
    words = {
        str(number): {"text": str(phase), "color": COLOURS[phase], "index": number}
        for number, phase in enumerate(UNIT_PHASES)
    }
    defaults = {"mappings": [{"type": "value", "options": words}], "custom": {"fillOpacity": 80, "lineWidth": 0}}
    options = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9, "legend": {"showLegend": False}}
    ask = (f"max by (instance, unit) ({numbered})", "{{unit}}")
    return Panel("Units by state", "state-timeline", WIDE, (ask,), "none", options, defaults)


ROWS: Final = (
    Row(
        "At a glance",
        (
            _stat("Engine away", f"sum(dockwarden_engine_up{{{HOST}}} == bool 0)"),
            _stat("Wanted, not up", f"sum(unit:dockwarden_unit_astray:bool{{{UNIT}}})"),
            _stat("In a crash loop", f"sum(dockwarden_unit_crash_loop{{{UNIT}}})"),
            _stat("Unhealthy", f'sum(dockwarden_unit_health{{{UNIT},status="unhealthy"}})'),
            _stat("Stale links", f"sum(dockwarden_unit_stale_edges{{{UNIT}}})"),
            _stat("Units", f"sum(dockwarden_units{{{HOST}}})", bad=False),
            _states(),
        ),
    ),
    Row(
        "Restarts",
        (
            _lines(
                "Restarts, by reason",
                (f"sum by (reason) (increase(dockwarden_unit_restarts_total{{{UNIT}}}{RATE})) > 0", "{{reason}}"),
            ),
            _lines(
                "Restarts, by unit",
                (f"sum by (unit) (increase(dockwarden_unit_restarts_total{{{UNIT}}}{RATE})) > 0", "{{unit}}"),
            ),
            _lines(
                "Not restarted, by why",
                (
                    f"sum by (reason) (increase(dockwarden_unit_restarts_withheld_total{{{UNIT}}}{RATE})) > 0",
                    "{{reason}}",
                ),
            ),
            _lines(
                "Ends of runs, by how",
                (f"sum by (how) (increase(dockwarden_unit_exits_total{{{UNIT}}}{RATE})) > 0", "{{how}}"),
                (
                    f"sum by (unit) (increase(dockwarden_unit_stop_timeouts_total{{{UNIT}}}{RATE})) > 0",
                    "{{unit}} did not heed its stop signal",
                ),
            ),
            _table("Tried again in", f"dockwarden_unit_next_try_timestamp_seconds{{{UNIT}}} - time() > 0", THIRD),
            _table("Slowest to be ready", f"topk(10, dockwarden_unit_ready_seconds{{{UNIT}}})", THIRD),
            _table("What runs", f"dockwarden_unit_info{{{UNIT}}}", THIRD),
        ),
    ),
    Row(
        "How soon",
        (
            _lines("Death to start", *_quantiles("restart_latency_seconds"), unit="s"),
            _lines("Event to reaction", *_quantiles("event_lag_seconds"), unit="s"),
            _lines("Inbox to reaction", *_quantiles("decision_seconds"), unit="s"),
            _lines(
                "Event loop",
                *_quantiles("loop_lag_seconds"),
                (f"max(dockwarden_inbox_depth{{{HOST}}})", "events that wait"),
                unit="s",
            ),
        ),
    ),
    Row(
        "Health and links",
        (
            _lines(
                "Health checks of our own",
                (f"sum by (outcome) (rate(dockwarden_unit_health_checks_total{{{UNIT}}}{RATE}))", "{{outcome}}"),
                unit="ops",
            ),
            _lines(
                "Failing checks, by unit",
                (
                    f'sum by (unit) (rate(dockwarden_unit_health_checks_total{{{UNIT},outcome!="passed"}}{RATE})) > 0',
                    "{{unit}}",
                ),
                unit="ops",
            ),
            _lines("Checks take", *_quantiles("probe_seconds", "probe"), unit="s"),
            _lines("Checks are late by", *_quantiles("probe_lateness_seconds"), unit="s"),
            _lines(
                "Brought back in step",
                (f"sum by (via, cure) (increase(dockwarden_relinks_total{{{HOST}}}{RATE})) > 0", "{{via}}: {{cure}}"),
                (f"increase(dockwarden_relink_waves_total{{{HOST}}}{RATE}) > 0", "waves"),
            ),
            _lines("Left alone", (f"dockwarden_unit_flapping{{{UNIT}}} == 1", "{{unit}}")),
        ),
    ),
    Row(
        "Engine",
        (
            _lines(
                "State of the engine",
                (f"dockwarden_engine_state{{{HOST}}} == 1", "{{instance}}: {{state}}"),
                (f"increase(dockwarden_engine_restarts_total{{{HOST}}}{RATE}) > 0", "{{instance}}: restarted"),
                width=WIDE,
            ),
            _lines(
                "Calls, by outcome",
                (f"sum by (outcome) (rate(dockwarden_engine_calls_total{{{HOST}}}{RATE})) > 0", "{{outcome}}"),
                unit="ops",
            ),
            _lines(
                "Calls take (p99)",
                _quantiles("engine_call_seconds", "operation")[1],
                unit="s",
            ),
            _lines(
                "Events",
                (f"sum by (type) (rate(dockwarden_events_total{{{HOST}}}{RATE})) > 0", "{{type}}"),
                (f"rate(dockwarden_events_duplicate_total{{{HOST}}}{RATE}) > 0", "heard twice"),
                unit="ops",
            ),
            _lines(
                "Snapshots",
                (f"sum by (trigger) (increase(dockwarden_snapshots_total{{{HOST}}}{RATE}))", "{{trigger}}"),
                (
                    f"sum by (unit) (increase(dockwarden_snapshot_corrections_total{{{UNIT}}}{RATE})) > 0",
                    "corrected: {{unit}}",
                ),
                (f"increase(dockwarden_event_stream_reconnects_total{{{HOST}}}{RATE}) > 0", "stream opened again"),
            ),
        ),
    ),
    Row(
        "Console and user Docker",
        (
            _stat("User Docker down", f"sum(dockwarden_user_docker_up{{{HOST}}} == bool 0)"),
            _stat("Context lost", f"sum(dockwarden_storage_context_up{{{HOST}}} == bool 0)"),
            _stat("Switch under way", f"sum(dockwarden_switch_active{{{HOST}}})", bad=False),
            _table("Console", f"dockwarden_console_info{{{HOST}}}", HALF),
            _lines(
                "Without a console, without user Docker",
                (f"increase(dockwarden_console_down_seconds_total{{{HOST}}}{RATE})", "console"),
                (f"increase(dockwarden_user_docker_down_seconds_total{{{HOST}}}{RATE})", "user Docker"),
                unit="s",
            ),
            _lines(
                "Switches",
                (
                    f"sum by (of, result) (increase(dockwarden_switches_total{{{HOST}}}{RATE})) > 0",
                    "{{of}}: {{result}}",
                ),
                (
                    f"sum by (of, step) (increase(dockwarden_switch_rollbacks_total{{{HOST}}}{RATE})) > 0",
                    "{{of}}: failed at {{step}}",
                ),
            ),
        ),
    ),
    Row(
        "Dockwarden itself",
        (
            _lines("Memory", (f"process_resident_memory_bytes{{{HOST}}}", "{{instance}}"), unit="bytes", width=THIRD),
            _lines("CPU", (f"rate(process_cpu_seconds_total{{{HOST}}}{RATE})", "{{instance}}"), width=THIRD),
            _lines("Open files", (f"process_open_fds{{{HOST}}}", "{{instance}}"), width=THIRD),
            _lines(
                "Hooks and notices",
                (
                    f"sum by (hook, outcome) (increase(dockwarden_hook_runs_total{{{HOST}}}{RATE})) > 0",
                    "{{hook}}: {{outcome}}",
                ),
                (
                    f"sum by (receiver, outcome) (increase(dockwarden_notifications_total{{{HOST}}}{RATE})) > 0",
                    "{{receiver}}: {{outcome}}",
                ),
                width=THIRD,
            ),
            _lines(
                "Configuration and state file",
                (f"sum by (result) (increase(dockwarden_config_reloads_total{{{HOST}}}{RATE})) > 0", "{{result}}"),
                (f"increase(dockwarden_state_file_errors_total{{{HOST}}}{RATE}) > 0", "state not written"),
                width=THIRD,
            ),
            _table("Versions", f"dockwarden_build_info{{{HOST}}}", THIRD),
        ),
    ),
)


def expressions() -> Iterator[str]:
    """All that the dashboard asks for, variables and all."""
    for row in ROWS:
        for panel in row.panels:
            yield from (expression for expression, _ in panel.asks)


def render() -> str:
    """``packaging/grafana/dashboard.json``."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        title = {"type": "row", "title": row.title, "collapsed": False}
        panels.append(_placed(title, len(panels), x=0, y=top, w=COLUMNS, h=1))
        left, top = 0, top + 1
        height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + height
                height = 0
            tall = 4 if panel.kind == "stat" else 10 if panel.kind == "state-timeline" else 7
            panels.append(_placed(_panel(panel), len(panels), x=left, y=top, w=panel.width, h=tall))
            left, height = left + panel.width, max(height, tall)
        top += height
    board = {
        "title": "Dockwarden",
        "uid": "dockwarden",
        "tags": ["dockwarden"],
        "description": "Written by script/dashboard.py: change it there.",
        "schemaVersion": 38,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": [_alerts()]},
        "panels": panels,
    }
    return json.dumps(board, indent=1) + "\n"


def _placed(panel: dict[str, Any], number: int, **where: int) -> dict[str, Any]:
    return {"id": number + 1, "gridPos": where, **panel}


def _panel(panel: Panel) -> dict[str, Any]:
    instant = panel.kind in {"stat", "table"}
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expression,
            "legendFormat": legend,
            **({"instant": True, "range": False} if instant else {}),
            **({"format": "table"} if panel.kind == "table" else {}),
        }
        for number, (expression, legend) in enumerate(panel.asks)
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": _told(panel),
        "datasource": SOURCE,
        "targets": targets,
        "options": dict(panel.options),
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": []},
    }


def _told(panel: Panel) -> str:
    """What the catalogue says of the metrics that are asked for."""
    asked = {name for expression, _ in panel.asks for name in re.findall(rf"{PREFIX}\w+", expression)}
    return "\n\n".join(
        f"`{one.name}`: {one.help}"
        for one in CATALOG
        if asked & {one.name, *(f"{one.name}_{suffix}" for suffix in ("bucket", "count", "sum"))}
    )


def _variables() -> list[dict[str, Any]]:
    def labels(name: str, query: str) -> dict[str, Any]:
        return {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "refresh": 2,
            "sort": 1,
            "current": {"text": ["All"], "value": ["$__all"]},
        }

    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        labels("job", "label_values(dockwarden_build_info, job)"),
        labels("instance", 'label_values(dockwarden_build_info{job=~"$job"}, instance)'),
        labels("unit", f"label_values(dockwarden_unit_desired{{{HOST}}}, unit)"),
    ]


def _alerts() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "expr": 'ALERTS{alertname=~"Dockwarden.*",alertstate="firing",instance=~"$instance"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{unit}}",
        "iconColor": "red",
    }
