"""A switch is refused before anything stops when user Docker certainly cannot start in the new place."""

import pytest

from supervisor.dockerd.command_line import USER_DOCKER as DEFAULTS
from supervisor.dockerd.command_line import plan
from supervisor.dockerd.needs import missing, places

HOW = plan((), (), {}, DEFAULTS)
DOCKERD, IPTABLES = "/usr/bin/dockerd", "/usr/sbin/iptables"
NONE = "there is no iptables on its PATH"


@pytest.mark.parametrize(
    ("engine", "found", "said"),
    [
        ("", {DOCKERD, IPTABLES}, ""),
        ("", {DOCKERD}, NONE),
        ("", {"/usr/local/bin/dockerd", "/usr/local/bin/iptables"}, ""),
        ("", set(), ""),
        ("", {DOCKERD, "/etc/docker/daemon.json"}, ""),
        ("new", {IPTABLES}, "there is no engine 'new' in the console x"),
        ("new", {"/opt/engines/new/bin/dockerd"}, NONE),
        ("new", {"/opt/engines/new/bin/dockerd", "/opt/engines/new/bin/iptables"}, ""),
        ("new", {"/opt/engines/new/bin/dockerd", IPTABLES}, ""),
    ],
)
def test_what_certainly_is_missing_is_said(engine: str, found: set[str], said: str) -> None:
    """What cannot be known from outside is no reason."""
    assert found <= set(places(HOW, engine))
    told = missing(HOW, engine, found, "the console x")
    assert said in "; ".join(told)
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    "words",
    [("--iptables=false",), ("--iptables=0",), ("--firewall-backend", "nftables"), ("--firewall-backend=nftables",)],
)
def test_who_is_told_to_do_without_needs_none(words: tuple[str, ...]) -> None:
    """By an option of the user's own."""
    assert missing(plan(words, (), {}, DEFAULTS), "", {DOCKERD}, "x") == ()


def test_a_file_of_options_of_another_name_may_say_it_too() -> None:
    how = plan(("--config-file=/etc/mine.json",), (), {}, DEFAULTS)
    assert "/etc/mine.json" in places(how, "")
    assert missing(how, "", {DOCKERD, "/etc/mine.json"}, "x") == ()
    assert missing(how, "", {DOCKERD}, "x")
