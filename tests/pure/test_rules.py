"""Rules, dashboard and runbook: they ask only for what there is, and each alert says where to look and what to do."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from metrics import catalog
from metrics.catalog import Type
from script import dashboard
from tests.bed.engines import REPOSITORY

PROMETHEUS = REPOSITORY / "packaging/prometheus"
RULES = PROMETHEUS / "dockwarden.rules.yml"
TESTS = PROMETHEUS / "dockwarden.rules.test.yml"
RUNBOOK = "docs/how-to/runbook.md"
METRICS = {one.name: one for one in catalog.CATALOG}
TARGET = {"job", "instance"}
"""Labels that Prometheus adds."""
NOT_OURS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
WORDS = {
    *("sum", "max", "topk", "rate", "increase", "histogram_quantile", "time", "absent"),
    *("bool", "and", "or", "on", "by", "without", "unless"),
}
GROUPING = re.compile(r"\b(by|without|on)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')

GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
RECORDED: dict[str, str] = {
    rule["record"]: rule["expr"] for group in GROUPS for rule in group["rules"] if "record" in rule
}
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
EXPRESSIONS = {
    **RECORDED,
    **{name: rule["expr"] for name, rule in ALERTS.items()},
    **{f"dashboard-{number}": expression for number, expression in enumerate(dashboard.expressions())},
}


@dataclass(frozen=True)
class Asked:
    """One selector of an expression."""

    name: str
    matchers: tuple[tuple[str, str], ...]


def selectors(expression: str) -> Iterator[Asked]:
    """What an expression asks for. Fails for a word that is neither a metric nor a known function."""
    bare = re.sub(r"\[[^\]]*\]|\boffset \d+\w", "", GROUPING.sub(" ", expression))
    for name, braces in SELECTOR.findall(bare):
        if name not in WORDS:
            yield Asked(name, tuple((label, value) for label, _, value in MATCHER.findall(braces)))


def labels_of(name: str) -> dict[str, tuple[str, ...]]:
    """Labels of a series, and their values, none where those are not ours to list. Fails where there is no such one."""
    if name in NOT_OURS:
        return {}
    if name in RECORDED:
        return {label: values for asked in selectors(RECORDED[name]) for label, values in labels_of(asked.name).items()}
    base = re.sub("_(bucket|count|sum)$", "", name)
    if base != name and base in METRICS:
        assert METRICS[base].type is Type.HISTOGRAM
        return {**METRICS[base].labels, **({"le": ()} if name.endswith("_bucket") else {})}
    assert METRICS[name].type is not Type.HISTOGRAM, f"{name} has no series of its own"
    return dict(METRICS[name].labels)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_an_expression_asks_only_for_what_there_is(expression: str) -> None:
    """Metrics, labels and values are those of the catalogue, or of a rule that is recorded."""
    known: set[str] = set(TARGET)
    for asked in selectors(expression):
        labels = labels_of(asked.name)
        known |= labels.keys()
        for label, value in asked.matchers:
            assert label in labels.keys() | TARGET, f"{asked.name} has no label {label}"
            if labels.get(label) and "$" not in value:
                assert set(value.split("|")) <= set(labels[label]), f"{asked.name}: {label} is never {value}"
    for _, names in GROUPING.findall(expression):
        assert {name.strip() for name in names.split(",")} <= known


def test_a_word_that_is_no_metric_is_found() -> None:
    """The test above can fail: a metric, a label, a value, and a function that nobody knows."""
    for wrong in (
        "dockwarden_unit_sate == 1",
        'dockwarden_unit_state{stat="ready"}',
        'dockwarden_unit_state{state=~"ready|redy"}',
        "dockwarden_event_lag_seconds > 1",
        "dockwarden_unit_state_bucket",
        "sum by (uint) (dockwarden_unit_desired)",
    ):
        with pytest.raises((AssertionError, KeyError)):
            test_an_expression_asks_only_for_what_there_is(wrong)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_needed(name: str) -> None:
    """How urgent it is, what happened, in words whose labels there are, and where to read on."""
    rule = ALERTS[name]
    notes = rule["annotations"]
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert notes["summary"]
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"{RUNBOOK}#{name.lower()}"
    labels = {label for asked in selectors(rule["expr"]) for label in labels_of(asked.name)} | TARGET
    gone = {one for kind, names in GROUPING.findall(rule["expr"]) if kind == "without" for one in names.split(", ")}
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(notes.values())))
    assert used <= labels - gone


def test_the_runbook_has_an_entry_for_each_alert() -> None:
    """And for nothing else; each tells what it means, where to look, what to do."""
    entries = re.split(r"^### ", (REPOSITORY / RUNBOOK).read_text(), flags=re.MULTILINE)[1:]
    assert {entry.partition("\n")[0] for entry in entries} == set(ALERTS)
    for entry in entries:
        assert re.findall(r"^\*(\w+)\*: ", entry, re.MULTILINE) == ["Means", "Look", "Do"], entry


def test_the_runbook_names_metrics_that_there_are() -> None:
    """And states of units, and reasons, by their own words."""
    names = set(re.findall(r"dockwarden_\w+", (REPOSITORY / RUNBOOK).read_text()))
    assert names <= METRICS.keys()


def test_each_alert_is_seen_firing() -> None:
    """By the rules' own tests."""
    cases = yaml.safe_load(TESTS.read_text())["tests"]
    fired = {
        found
        for case in cases
        for check in case.get("promql_expr_test", ())
        for sample in check["exp_samples"]
        for found in re.findall(r'alertname="(\w+)", alertstate="firing"', sample["labels"])
    }
    assert fired == set(ALERTS)


def filled_in(expression: str) -> str:
    """With everything chosen, as Grafana would ask."""
    return (
        expression.replace("$__rate_interval", "1m")
        .replace("$job", ".*")
        .replace("$instance", ".*")
        .replace("$unit", ".*")
    )


def test_the_dashboard_is_the_generated_one() -> None:
    """As script/dashboard.py has it; its panels do not lie on one another, and each says what it shows."""
    text = (REPOSITORY / "packaging/grafana/dashboard.json").read_text()
    assert text == dashboard.render(), "python -m script.diagrams --write"
    panels = json.loads(text)["panels"]
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == dashboard.COLUMNS - 1
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_alert_s_metric_is_on_the_dashboard_or_the_page() -> None:
    """What wakes somebody can be looked at over time."""
    shown = {asked.name for expression in dashboard.expressions() for asked in selectors(expression)}
    shown |= {asked.name for name in shown & RECORDED.keys() for asked in selectors(RECORDED[name])}
    woken = {
        asked.name
        for rule in ALERTS.values()
        for base in selectors(rule["expr"])
        for asked in (selectors(RECORDED[base.name]) if base.name in RECORDED else (base,))
    }
    plain = {
        "up",
        "dockwarden_shutting_down",
        "dockwarden_units_left_out",
        "dockwarden_host_trouble",
        "dockwarden_snapshot_last_timestamp_seconds",
        "dockwarden_snapshot_period_seconds",
    }
    assert woken - shown - plain == set()
