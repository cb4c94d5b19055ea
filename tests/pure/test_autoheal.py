"""Who takes our image for docker-autoheal's keeps its environment: each variable means the same, or is told."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from supervisor.config import autoheal
from supervisor.config.autoheal import SCRIPTS, VARIABLES, Autoheal, Gotify, Said, Script, read
from supervisor.receivers import Receivers, receivers
from tests.bed.engines import REPOSITORY
from units.quantities import Seconds

ADDRESS = "http://chat.example/hook/TOKEN"


@pytest.mark.parametrize(
    ("environ", "means"),
    [
        ({}, {}),
        ({"AUTOHEAL_CONTAINER_LABEL": "all"}, {"everything": True}),
        ({"AUTOHEAL_CONTAINER_LABEL": "heal-me"}, {"label": "heal-me"}),
        ({"AUTOHEAL_MONITOR_ALL": "TRUE"}, {"everything": True}),
        ({"AUTOHEAL_DEFAULT_STOP_TIMEOUT": "20"}, {"stop_timeout": Seconds(20)}),
        ({"AUTOHEAL_STOP_TIMEOUT": "30s"}, {"stop_timeout": Seconds(30)}),
        ({"AUTOHEAL_START_PERIOD": "5"}, {"start_period": Seconds(5)}),
        ({"AUTOHEAL_START_DELAY": "6"}, {"start_period": Seconds(6)}),
        (
            {"WEBHOOK_URL": f'"{ADDRESS}"', "WEBHOOK_JSON_KEY": "content"},
            {"webhook": Said("WEBHOOK_URL", ADDRESS), "webhook_key": "content"},
        ),
        ({"AUTOHEAL_WEBHOOK_URL": ADDRESS}, {"webhook": Said("AUTOHEAL_WEBHOOK_URL", ADDRESS)}),
        ({"AUTOHEAL_WEBHOOK_KEY": "msg"}, {"webhook_key": "msg"}),
        ({"APPRISE_URL": f" '{ADDRESS}' "}, {"apprise": Said("APPRISE_URL", ADDRESS)}),
        ({"AUTOHEAL_APPRISE_URL": ADDRESS}, {"apprise": Said("AUTOHEAL_APPRISE_URL", ADDRESS)}),
        (
            {"AUTOHEAL_NOTIFICATION_GOTIFY_URL": ADDRESS, "AUTOHEAL_NOTIFICATION_GOTIFY_TOKEN": "T"},
            {"gotify": Gotify(Said("AUTOHEAL_NOTIFICATION_GOTIFY_URL", ADDRESS), "T", "dockwarden")},
        ),
        *(({name: "/tell"}, {"scripts": (Script(Said(name, "/tell"), given),)}) for name, given in SCRIPTS),
        ({"AUTOHEAL_CONNECTION_TYPE": "socket", "AUTOHEAL_LOG_ALL": "", "OTHER": "x"}, {}),
    ],
)
def test_a_variable_means_what_it_means_there(environ: Mapping[str, str], means: dict[str, Any]) -> None:
    assert read(environ) == Autoheal(**means)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AUTOHEAL_INTERVAL", "5", "nothing is polled: the engine's events tell"),
        ("AUTOHEAL_CONNECTION_TYPE", "http", autoheal.ENGINES),
        ("AUTOHEAL_NOBODY_KNOWS", "1", "nobody here knows it"),
        ("AUTOHEAL_START_PERIOD", "soon", "expected a number of seconds"),
        ("AUTOHEAL_DEFAULT_STOP_TIMEOUT", "1e9", "expected a number of seconds"),
        ("AUTOHEAL_MONITOR_ALL", "perhaps", "expected true or false"),
    ],
)
def test_what_means_nothing_is_told_and_costs_nothing_else(name: str, value: str, reason: str) -> None:
    found = read({name: value, "AUTOHEAL_CONTAINER_LABEL": "all"})
    assert found == Autoheal(everything=True, unused=((name, reason),))


def test_the_page_has_the_table() -> None:
    page = (REPOSITORY / "docs/reference/cli.md").read_text()
    for one in VARIABLES:
        names = ", ".join(f"`{name}`" for name in one.names)
        assert f"| {names} | {one.means or 'nothing: ' + one.because} |" in page


def kinds(found: Receivers) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in found.made]


def test_everybody_who_is_named_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "address"
    secret.write_text(f"{ADDRESS}\n")
    said = read(
        {
            "WEBHOOK_URL": ADDRESS,
            "APPRISE_URL": f"@{secret}",
            "AUTOHEAL_NOTIFICATION_GOTIFY_URL": ADDRESS,
            "AUTOHEAL_NOTIFICATION_GOTIFY_TOKEN": f"@{secret}",
            "POST_RESTART_SCRIPT": "/tell",
            "AUTOHEAL_POST_ACTION": "/act",
        }
    )
    found = receivers([f"@{secret}"], [ADDRESS], ["/run 'a b'"], said)
    assert found.wrong == ()
    host = "http://chat.example"
    assert kinds(found) == [
        *(("webhook", host), ("apprise", host), ("command", "/run")),
        *(("webhook", host), ("apprise", host), ("gotify", host), ("command", "/tell"), ("command", "/act")),
    ]


def test_a_wrong_address_costs_only_itself_and_is_not_quoted(tmp_path: Path) -> None:
    said = read({"AUTOHEAL_WEBHOOK_URL": "chat.example/TOKEN", "AUTOHEAL_NOTIFICATION_GOTIFY_URL": ADDRESS})
    found = receivers(["ftp://TOKEN", f"@{tmp_path}/none"], [ADDRESS], ["'TOKEN"], said)
    assert kinds(found) == [("apprise", "http://chat.example")]
    assert [source for source, _ in found.wrong] == [
        *("--notify-webhook", "--notify-webhook", "--notify-command"),
        *("AUTOHEAL_WEBHOOK_URL", "AUTOHEAL_NOTIFICATION_GOTIFY_URL"),
    ]
    assert "No such file" in found.trouble
    assert "TOKEN" not in found.trouble
    assert re.search("AUTOHEAL_NOTIFICATION_GOTIFY_URL: expected the token", found.trouble)
