"""A real Prometheus server scrapes a booted host: it finds all that the dashboard asks for, and wakes somebody."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from script import dashboard
from script.demohost.host import UNITS, demo_host
from script.demohost.story import kill_until_it_rests
from tests.bed.bed import Bed
from tests.boot.host import Host
from tests.boot.prometheus import Prometheus
from tests.pure.test_rules import ALERTS, RECORDED, filled_in, selectors

OTHERS = 'ALERTS{unit!="flaky"}'
NOT_HERE = {
    "dockwarden_hook_runs_total",
    "dockwarden_storage_context_up",
    "dockwarden_unit_health_checks_total",
    "dockwarden_user_docker_down_seconds_total",
    "dockwarden_user_docker_up",
}
"""What a host without user Docker, hooks, and checks of its own has no series of."""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Bed() as bed:
        one = demo_host(bed)
        one.boot()
        one.wait_up(*UNITS)
        yield one
        assert one.end() == 0


@pytest.fixture(scope="module")
def prometheus(host: Host) -> Iterator[Prometheus]:
    server = Prometheus(host.bed)
    server.wait_for("the host scraped", 'up{job="dockwarden"} == 1')
    yield server
    server.end()


def test_it_takes_every_series(prometheus: Prometheus) -> None:
    """The target is up without a complaint, and what Prometheus counts is what the page has."""
    (targets,) = prometheus.ask("targets")
    (target,) = targets["data"]["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    (kept,) = prometheus.query('count({job="dockwarden",__name__=~"dockwarden_.+"})')
    (units,) = prometheus.query("dockwarden_units")
    assert units[0]["value"][1] == str(len(UNITS))
    assert int(kept[0]["value"][1]) > len(UNITS) * 70


def test_it_answers_every_question_of_the_dashboard(prometheus: Prometheus) -> None:
    """Each expression is understood, and each metric in them has series, as far as this host can have any."""
    prometheus.wait_for("the rules evaluated", "unit:dockwarden_unit_astray:bool")
    asked = [filled_in(expression) for expression in dashboard.expressions()]
    prometheus.query(*asked)
    names = sorted({one.name for expression in asked for one in selectors(expression)})
    found = prometheus.query(*names)
    assert {name for name, series in zip(names, found, strict=True) if not series} == NOT_HERE


def test_its_rules_are_well(prometheus: Prometheus) -> None:
    """All of them are evaluated, without an error."""
    wanted = {*RECORDED, *ALERTS}
    data = prometheus.wait(
        "all rules evaluated",
        "rules",
        lambda data: all(rule["health"] != "unknown" for group in data["groups"] for rule in group["rules"]),
    )
    rules = [rule for group in data["groups"] for rule in group["rules"]]
    assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys(wanted, "ok")


@pytest.mark.long
def test_a_crash_loop_wakes_somebody(host: Host, prometheus: Prometheus) -> None:
    """Nothing is wrong; then the alert is pending, then it fires, with words and a way on; then it is over.

    Its restarts carry exemplars, and the host's own events know them by the same cause.
    """
    # Before its first scrape it missed the host. And flaky falls every twenty seconds: it is there for that.
    wrong = f"query?{urlencode({'query': OTHERS})}"
    prometheus.wait("nothing is wrong", wrong, lambda data: not data["result"])
    alerts = 'ALERTS{alertname="DockwardenUnitCrashLoop",unit="ntp",alertstate="%s"}'
    kill_until_it_rests(host)
    prometheus.wait_for("it is pending", alerts % "pending")
    prometheus.wait_for("it fires", alerts % "firing")
    (answer,) = prometheus.ask("alerts")
    (alert,) = [one for one in answer["data"]["alerts"] if one["labels"]["alertname"] == "DockwardenUnitCrashLoop"]
    assert alert["annotations"]["summary"] == "ntp on 127.0.0.1:9779 is in a crash loop"
    (due,) = prometheus.query('dockwarden_unit_next_try_timestamp_seconds{unit="ntp"} - time()')
    assert 0 < float(due[0]["value"][1]) <= 300

    traced = prometheus.wait(
        "exemplars",
        f"query_exemplars?{urlencode({'query': 'dockwarden_unit_restarts_total', 'start': 0, 'end': 9e9})}",
        bool,
    )
    causes = {one["labels"]["cause"] for series in traced for one in series["exemplars"]}
    events = [json.loads(line) for line in host.cli("events", "--unit", "ntp", "--json").stdout.splitlines()]
    assert causes & {line["cause"] for line in events}

    assert host.cli("reset-failed", "ntp").returncode == 0
    host.wait_up("ntp")
    path = f"query?{urlencode({'query': alerts % 'firing'})}"
    prometheus.wait("it is over", path, lambda data: not data["result"])
