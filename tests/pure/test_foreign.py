"""What a foreign container's labels and configuration make of it."""

from dataclasses import replace
from typing import Any

import pytest

from supervisor.config.foreign_labels import MASTERS, WatchPolicy, spec_of
from supervisor.engine.decode import ContainerSummary
from supervisor.views.status import shown_reason
from units.quantities import Seconds
from units.spec import ContainerId, Kind, OnUnhealthy, UnitName, UnitSpec, Via
from units.unit import Unit

OLD, NEW = ContainerId("a" * 64), ContainerId("b" * 64)
NAMES = {OLD: "vpn", NEW: "vpn"}
SERVICES = {("p", "vpn"): (UnitName("p-vpn-1"),), ("p", "db"): (UnitName("p-db-1"), UnitName("p-db-2"))}


def portrait(**fields: Any) -> ContainerSummary:
    return replace(ContainerSummary("app", ContainerId("c" * 64), "i", {"dockwarden.enable": "true"}), **fields)


def made(one: ContainerSummary, wants: WatchPolicy | None = None) -> UnitSpec:
    return spec_of(one, NAMES, SERVICES, wants or WatchPolicy())


def edges(one: ContainerSummary) -> list[tuple[str, str, bool]]:
    return [(edge.target, edge.via.value, edge.restart) for edge in made(one).dependencies]


def test_an_id_is_whose_it_was_when_it_was_last_seen() -> None:
    assert edges(portrait(joins=((Via.NET, OLD), (Via.PID, NEW)))) == [("vpn", "net", False), ("vpn", "pid", False)]


def test_an_id_that_nobody_saw_is_the_one_that_compose_says_it_is_restarted_with() -> None:
    labels = {"com.docker.compose.project": "p", "com.docker.compose.depends_on": "vpn:service_started:true"}
    unknown = portrait(joins=((Via.NET, "f" * 64),), labels=labels)
    assert edges(unknown) == [("p-vpn-1", "net", False)]
    both = labels | {"com.docker.compose.depends_on": "vpn:service_started:true,db:service_healthy:true"}
    assert all(via != "net" for _, via, _ in edges(replace(unknown, labels=both)))


def test_compose_s_own_dependencies() -> None:
    labels = {
        "com.docker.compose.project": "p",
        "com.docker.compose.depends_on": "vpn:service_started:false,db:service_healthy:true,gone:service_started:true",
    }
    assert edges(portrait(labels=labels)) == [
        ("p-vpn-1", "depends_on", False),
        ("p-db-1", "depends_on", True),
        ("p-db-2", "depends_on", True),
    ]


def test_links_and_volumes() -> None:
    assert edges(portrait(links=("db",), volumes_from=("vpn", OLD))) == [
        ("db", "links", False),
        ("vpn", "volumes_from", False),
    ]


@pytest.mark.parametrize(
    ("labels", "wants", "touched"),
    [
        ({}, WatchPolicy(), False),
        ({"dockwarden.enable": "true"}, WatchPolicy(), True),
        ({"autoheal": "true"}, WatchPolicy(), True),
        ({"heal": "true"}, WatchPolicy(autoheal_label="heal"), True),
        ({"autoheal.monitor.enable": "true"}, WatchPolicy(), True),
        ({"autoheal.monitor.enable": "FALSE"}, WatchPolicy(everything=True), False),
        ({}, WatchPolicy(everything=True), True),
        ({"dockwarden.enable": "false"}, WatchPolicy(everything=True), False),
        ({"dockwarden.enable": "false", "autoheal": "true"}, WatchPolicy(), False),
        ({"dockwarden.enable": "perhaps"}, WatchPolicy(), False),
        ({"dockwarden.enable": "true", "com.docker.swarm.task.id": "x"}, WatchPolicy(), True),
        ({"autoheal": "true", "supervisor_managed": ""}, WatchPolicy(), True),
        ({"dockwarden.enable": "true", "dockwarden.unit": "x"}, WatchPolicy(), False),
        ({"dockwarden.enable": "true"}, WatchPolicy(own=frozenset({"c" * 12})), False),
    ],
)
def test_who_is_touched(labels: dict[str, str], wants: WatchPolicy, touched: bool) -> None:
    one = made(portrait(labels=labels), wants)
    assert one.relink == touched
    assert (one.heal.action is OnUnhealthy.RESTART) == touched
    assert one.kind is Kind.FOREIGN


@pytest.mark.parametrize(
    ("labels", "action"),
    [
        ({"autoheal.restart.enable": "false"}, OnUnhealthy.HOOK),
        ({"autoheal.restart.enable": "true"}, OnUnhealthy.RESTART),
        ({"autoheal.restart.enable": "false", "dockwarden.health.action": "recreate"}, OnUnhealthy.RECREATE),
    ],
)
def test_autoheal_may_be_told_to_restart_nothing(labels: dict[str, str], action: OnUnhealthy) -> None:
    assert made(portrait(labels={"autoheal": "true", **labels})).heal.action is action


@pytest.mark.parametrize(
    ("address", "elsewhere", "asked"),
    [
        (":8080", False, [""]),
        ("127.0.0.1:8080", False, [""]),
        ("localhost:8080", False, [""]),
        ("10.0.0.1:8080", False, []),
        ("metadata.internal:80", False, []),
        ("10.0.0.1:8080", True, ["10.0.0.1"]),
    ],
)
def test_labels_make_nobody_ask_others(address: str, elsewhere: bool, asked: list[str]) -> None:
    """Who may label a container is not who may send requests from the supervisor's network."""
    told: list[str] = []
    wants = WatchPolicy(elsewhere=elsewhere, complain=lambda _container, label, *_: told.append(label))
    labels = {"autoheal": "true", "dockwarden.health.web.http": f"http://{address}/meta"}
    labels["dockwarden.health.db.tcp"] = address
    hosts = [getattr(check.probe, "host", None) for check in made(portrait(labels=labels), wants).checks]
    assert hosts == asked * 2
    assert sorted(told) == ([] if asked else ["dockwarden.health.db", "dockwarden.health.web"])


def test_the_stop_timeout_is_the_label_s_then_the_container_s_then_autoheal_s() -> None:
    wants = WatchPolicy(stop_timeout=Seconds(7))
    labels = {"dockwarden.enable": "true", "autoheal.stop.timeout": "3"}
    assert made(portrait(labels=labels, stop_timeout=5), wants).stop.timeout == pytest.approx(3)
    assert made(portrait(stop_timeout=5), wants).stop.timeout == pytest.approx(5)
    assert made(portrait(), wants).stop.timeout == pytest.approx(7)
    assert made(portrait()).stop.timeout == pytest.approx(10)


def test_its_engine_s_policy_says_whether_it_should_run() -> None:
    assert [made(portrait(policy=policy)).expected for policy in ("always", "unless-stopped", "on-failure", "no")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_stop_that_the_engine_undoes_is_told() -> None:
    """Two masters: it is done all the same, and said."""
    said: list[str] = []
    wants = WatchPolicy(complain=lambda _, label, what, hint: said.append(f"{label}: {what}{hint}"))
    labels = {"dockwarden.enable": "true", "dockwarden.health.action": "stop"}
    assert made(portrait(labels=labels, policy="always"), wants).heal.action is OnUnhealthy.STOP
    (told,) = said
    assert told.startswith("dockwarden.health.action: 'stop' does not last: its restart policy (always)")


@pytest.mark.parametrize("label", MASTERS)
def test_who_has_another_master_is_left_to_it_and_said_to_be(label: str) -> None:
    """Nothing is done for ``--all``, or for a stale reference; a label of its own overrules that."""
    one = made(portrait(labels={label: "x"}, joins=((Via.NET, NEW),)), WatchPolicy(everything=True))
    assert (one.relink, one.heal.action, one.checks) == (False, OnUnhealthy.NONE, ())
    assert one.master == MASTERS[label]
    unit = Unit(one, reason="found running")
    assert shown_reason(unit) == f"found running; left to {MASTERS[label]}"
    assert made(portrait(labels={"app": "x"}), WatchPolicy(everything=True)).master == ""


def test_who_asks_for_it_has_no_other_master() -> None:
    one = made(portrait(labels={"io.balena.supervised": "", "dockwarden.enable": "true"}))
    assert (one.master, one.relink) == ("", True)
