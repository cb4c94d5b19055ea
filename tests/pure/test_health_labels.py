"""Labels that say what is asked of a unit, and what is made of those that make no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config.health_labels import HealthLabels, engine_check, read_health
from units.health import Check, CheckKind, Exec, Http, Tcp
from units.quantities import Seconds
from units.spec import HealPolicy, OnUnhealthy

H = "dockwarden.health."


def read(**labels: str) -> tuple[HealthLabels, list[str]]:
    """``a__b`` stands for ``dockwarden.health.a.b``."""
    return of({H + key.replace("__", "."): value for key, value in labels.items()})


def of(labels: dict[str, str]) -> tuple[HealthLabels, list[str]]:
    said: list[str] = []
    wishes = read_health(labels, lambda key, what, hint: said.append(f"{key.removeprefix(H)}: {what} {hint}".strip()))
    return wishes, said


def test_nothing_said_is_the_default() -> None:
    assert of({"other": "x"}) == (HealthLabels(), [])


def test_one_check_without_a_name() -> None:
    wishes, said = read(http="http://:8080/health?a=b", interval="5s", retries="2", status="200,404-410", verify="no")
    assert said == []
    probe = Http(8080, "/health?a=b", verify=False, statuses=((200, 200), (404, 410)))
    assert wishes.checks == (Check("check", probe, interval=Seconds(5), retries=2),)


def test_several_with_names_and_what_holds_for_all() -> None:
    wishes, said = read(
        interval="3s", up__tcp="80", up__kind="startup", ready__exec='["/bin/ready", "-q"]', ready__interval="1m"
    )
    assert said == []
    assert {check.name: check for check in wishes.checks} == {
        "up": Check("up", Tcp(80), CheckKind.STARTUP, interval=Seconds(3)),
        "ready": Check("ready", Exec(("/bin/ready", "-q")), interval=Seconds(60)),
    }


def test_headers_and_a_host() -> None:
    wishes, said = of({H + "http": "https://db.example:8443", H + "header.X-Key": "k", H + "exec": "true"})
    assert said == []
    wishes, said = of({H + "a.http": "https://db.example:8443", H + "a.header.X-Key": "k"})
    assert wishes.checks == (Check("a", Http(8443, "/", "db.example", tls=True, headers=(("X-Key", "k"),))),)


def test_what_is_done() -> None:
    wishes, said = of(
        {H + "action": "signal", H + "signal": "hup", H + "falls": "3", H + "calm": "5m", "dockwarden.relink": "false"}
    )
    assert said == []
    assert wishes.heal == HealPolicy(OnUnhealthy.SIGNAL, "SIGHUP", 3, calm=Seconds(300))
    assert not wishes.relink


@pytest.mark.parametrize(
    ("label", "value", "told"),
    [
        ("action", "resart", "action: 'resart': expected restart, recreate, stop, signal, hook, none"),
        ("interval", "soon", "interval: 'soon': expected a duration, as in 10s"),
        ("interval", "0", "interval: '0': expected a duration, as in 10s"),
        ("retries", "0", "retries: '0': expected a number from 1 to 1000"),
        ("tcp", "99999", "tcp: '99999': expected a port, from 1 to 65535"),
        ("tcp", "a..b:80", "tcp: 'a..b:80': expected a port, or host:port"),
        ("http", "ftp://x", "http: 'ftp://x': expected an address, as in http://:8080/health"),
        ("http", "http://[::1", "http: 'http://[::1': expected an address, as in http://:8080/health"),
        ("http", "http://:80/a b", "http: 'http://:80/a b': expected an address, as in http://:8080/health"),
        ("exec", "[1]", 'exec: \'[1]\': expected a command, or a JSON list of words, as in ["/bin/check", "-q"]'),
        ("exec", " ", "exec: ' ': expected a command"),
        ("status", "2xx", "status: '2xx': expected status codes and ranges, as in 200-299,404"),
        ("kind", "live", "kind: 'live': expected liveness, readiness, startup"),
        ("signal", "SIGNO", "signal: 'SIGNO': expected a signal's name, as in SIGHUP"),
        ("engine", "maybe", "engine: 'maybe': expected true or false"),
        ("header.X Y", "z", "header.X Y: 'z': expected a header's name and its value, in one line"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_and_its_default_is_used(label: str, value: str, told: str) -> None:
    wishes, said = of({H + label: value})
    assert said == [told]
    assert wishes == HealthLabels()


def test_a_label_that_is_none_is_named_with_its_neighbour() -> None:
    _, said = read(intervall="3s")
    assert said[0].startswith("intervall: unknown label")
    assert "dockwarden.health.interval" in said[0]


def test_a_check_that_asks_nothing_is_told() -> None:
    wishes, said = read(web__kind="readiness")
    assert wishes.checks == ()
    assert said == ["web: checks nothing set dockwarden.health.web.http, .tcp or .exec"]


def test_the_action_signal_needs_one() -> None:
    wishes, said = read(action="signal")
    assert wishes.heal.action is OnUnhealthy.RESTART
    assert said == ["signal: is missing the action signal needs one, as in dockwarden.health.signal=SIGHUP"]


@given(
    st.dictionaries(
        st.sampled_from(["http", "tcp", "exec", "a.http", "a.header.X", "interval", "", ".", "a."]), st.text()
    )
)
def test_no_value_breaks_the_reader(labels: dict[str, str]) -> None:
    of({H + key: value for key, value in labels.items()})


def test_a_compose_check_as_one_of_ours() -> None:
    second = 10**9
    declared = {"Test": ["CMD-SHELL", "true"], "Interval": 5 * second, "Retries": 2, "StartPeriod": 9 * second}
    assert engine_check(declared) == Check(
        "healthcheck", Exec(("/bin/sh", "-c", "true")), interval=Seconds(5), retries=2, start_period=Seconds(9)
    )
    assert engine_check({"Test": ["NONE"]}) is None
    assert engine_check({}) is None
