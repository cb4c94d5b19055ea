"""From a merged tree to typed settings: defaults, strictness, and nothing that makes the reader fall over."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config import loader, yaml_source
from supervisor.config.compose_keys import KEYS
from supervisor.config.labels import OWN
from supervisor.config.parsing import parse
from supervisor.config.settings import Settings, SupervisorSettings
from supervisor.config.tree import ConfigError, ProblemReport
from units.quantities import Seconds


def settings_of(text: str) -> Settings:
    report = ProblemReport()
    root = yaml_source.parse(text, "c.yml", report)
    assert root is not None
    return parse(root, report)


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_of(text)
    return str(caught.value).splitlines()


def test_shipped_defaults_are_those_of_the_types() -> None:
    """What is written out for people is what the program would do without it."""
    assert settings_of(loader.SHIPPED).supervisor == SupervisorSettings()
    assert loader.read([]) == Settings()


def test_explain_names_what_is_shipped() -> None:
    """A value that nobody set has a place too."""
    node = loader.explain([], "rancher.supervisor.stop.timeout")
    assert node is not None
    assert (node.text, node.place.source) == ("10s", "shipped defaults")


def test_no_unit_can_have_the_name_of_an_engine() -> None:
    """System Docker is no unit of the configuration, and user Docker is one of another section."""
    reserved = "the name is reserved for"
    assert complaints("rancher: {services: {system-docker: {image: a}, user-docker: {image: b}}}") == [
        f"c.yml:1:37: rancher.services.system-docker: {reserved} System Docker, in which units run; use another one",
        f"c.yml:1:62: rancher.services.user-docker: {reserved} user Docker; use another one",
    ]


MESSY = """\
rancher:
  supervisor:
    restart: {policy: somtimes, delay: soon, jitter: 2, burst: 1_000, max-delay: 1s}
    stop: {signal: SIGTREM, timeout: -1}
    snapshot_period: 10ms
    pull: maybe
  system_docker: {args: {a: 1}, extra_arg: []}
  environment: [A=1, =2]
  services: []
hostnam: x
"""


def test_every_wrong_value_is_told_with_what_was_expected() -> None:
    """A whole messy file is one list: place, key, what was expected, what was found, what is near."""
    assert complaints(MESSY) == [
        (
            "c.yml:3:23: rancher.supervisor.restart.policy: expected one of no, on-failure, always, unless-stopped, "
            "found the text 'somtimes'"
        ),
        (
            "c.yml:3:40: rancher.supervisor.restart.delay: expected a duration such as 200ms, 10s, 5m or 1h30m, "
            "found the text 'soon'"
        ),
        "c.yml:3:54: rancher.supervisor.restart.jitter: expected a fraction from 0 to 1, found the number 2",
        "c.yml:3:64: rancher.supervisor.restart.burst: expected a whole number, found the text '1_000'",
        "c.yml:3:71: rancher.supervisor.restart.max-delay: unknown key; did you mean 'max_delay'?",
        (
            "c.yml:4:20: rancher.supervisor.stop.signal: expected a signal such as SIGTERM, found the text 'SIGTREM'; "
            "did you mean 'SIGTERM'?"
        ),
        (
            "c.yml:4:38: rancher.supervisor.stop.timeout: expected a duration such as 200ms, 10s, 5m or 1h30m, "
            "found the number -1"
        ),
        "c.yml:5:22: rancher.supervisor.snapshot_period: expected at least 1s, found the text '10ms'",
        "c.yml:6:11: rancher.supervisor.pull: expected one of missing, never, found the text 'maybe'",
        "c.yml:7:25: rancher.system_docker.args: expected a list of texts, found a mapping",
        "c.yml:7:33: rancher.system_docker.extra_arg: unknown key; did you mean 'extra_args'?",
        "c.yml:8:22: rancher.environment[1]: missing name before '=': =2; as in NAME=value",
        "c.yml:9:13: rancher.services: expected a mapping, found a list",
        "c.yml:10:1: hostnam: unknown key; did you mean 'hostname'?",
    ]


def test_a_unit_knows_where_it_was_defined() -> None:
    """Its key's place, for those who complain of its links."""
    places = settings_of("rancher:\n  services:\n    web: {image: x}\n").places
    assert {name: str(place) for name, place in places.items()} == {"web": "c.yml:3:5"}


def test_two_units_cannot_share_a_container() -> None:
    """The second one is told of the first."""
    assert complaints("rancher: {services: {web: {image: x}, app: {image: x, container_name: web}}}") == [
        (
            "c.yml:1:44: rancher.services.app: its container would be called web, as that of web; "
            "set another container_name"
        )
    ]


def test_names_of_containers_may_hold_variables() -> None:
    """Whoever names the unit gets the name that its container will really have."""
    units = settings_of(
        "rancher:\n  environment: {S: 1}\n  services:\n"
        "    web: {image: x, volumes_from: [store]}\n    store: {image: x, container_name: 'store-${S}'}\n"
    ).units
    assert json.loads(units[0].body)["HostConfig"]["VolumesFrom"] == ["store-1"]


@pytest.mark.parametrize(
    ("services", "warned"),
    [
        (
            "{web: {image: x, labels: {io.rancher.os.scope: user}}}",
            "labels.io.rancher.os.scope: 'user' means user Docker",
        ),
        ("{web: {image: x, labels: {io.rancher.os.before: gone}}}", "labels: before: there is no unit 'gone'; ignored"),
        ("{web: {image: x, labels: {io.rancher.os.detach: no}}}", "'no' is ignored; only true and false count"),
        ("{web: {image: 'x:${GONE}'}}", "image: GONE is not set in rancher.environment; using an empty value"),
        (
            "{web: {image: x, depends_on: {db: {required: false}}}}",
            "depends_on.db.required: accepted, but ignored by this version",
        ),
    ],
)
def test_what_is_legal_and_surprising_is_a_warning(services: str, warned: str) -> None:
    """It runs, and somebody is told."""
    [warning] = settings_of(f"rancher: {{services: {services}}}").warnings
    assert warned in str(warning)


def test_an_empty_upper_layer_takes_nothing_away(tmp_path: Path) -> None:
    """A 'services:' whose entries are all commented out says nothing; a reload must not end every unit."""
    low, high = tmp_path / "low.yml", tmp_path / "high.yml"
    low.write_text("#cloud-config\nrancher: {services: {web: {image: x}}}\n")
    high.write_text("#cloud-config\nrancher:\n  services:\n")
    assert [unit.name for unit in loader.read([low, high]).units] == ["web"]


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("rancher.environment.A=", ""),
        ("rancher.environment.A=#x", "#x"),
        ("rancher.environment.A=%x", "%x"),
        ("rancher.environment.A=a=b", "a=b"),
        ("rancher.environment.A", "true"),
        ("rancher.environment.A=22:22", "22:22"),
    ],
)
def test_values_of_the_kernel_line(token: str, value: str) -> None:
    """YAML where it is YAML, else a text; nothing on it keeps a host from booting."""
    assert loader.read([], f"quiet {token} ro").environment == {"A": value}


@pytest.mark.parametrize("token", ["rancher.", "rancher..a=1", "rancher" + ".a" * 50])
def test_what_is_no_key_of_the_kernel_line(token: str) -> None:
    """It is a problem with a place, not an end of the stack."""
    with pytest.raises(ConfigError, match="not a configuration key"):
        loader.read([], token)


def test_env_files_belong_to_the_file_that_names_them(tmp_path: Path) -> None:
    """Two layers may each have an 'env' of their own; a later file wins, and environment over both."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "env").write_text(f"# who\nWHO={name}\nLATE=first\nLOOKED\nGONE\n")
        (tmp_path / name / "late.env").write_text("LATE=second\n")
        (tmp_path / name / "c.yml").write_text(
            "#cloud-config\nrancher:\n  environment: {X: late, LOOKED: up}\n  services:\n"
            f"    {name}: {{image: x, env_file: [env, '${{X}}.env'], environment: [OWN=1]}}\n"
        )
    units = loader.read([tmp_path / "one" / "c.yml", tmp_path / "two" / "c.yml"]).units
    assert [json.loads(unit.body)["Env"] for unit in units] == [
        [f"WHO={name}", "LATE=second", "LOOKED=up", "OWN=1"] for name in ("one", "two")
    ]


def test_an_env_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """Its own place, and the engine's operator learns which file was looked for."""
    file = tmp_path / "c.yml"
    file.write_text("#cloud-config\nrancher:\n  services:\n    web: {image: x, env_file: [gone.env]}\n")
    with pytest.raises(ConfigError) as caught:
        loader.read([file])
    assert str(caught.value) == (
        f"{file}:4:32: rancher.services.web.env_file[0]: cannot be read: {tmp_path}/gone.env: No such file or directory"
    )


SCALARS = st.sampled_from(
    ["", "x", "no", "true", "-1", "1e400", "9" * 5000, "9" * 30, "22:22", "a:b:c:d", "${", "$$", "${A:-b}", "\0", "*"]
).map(json.dumps) | st.sampled_from(["1", "1.5", "true", "~", "1e308", "no"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(["test", "interval", "soft", "a", "condition"]), inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), VALUES, max_size=6), st.sampled_from(sorted(OWN)), SCALARS)
def test_no_value_of_any_key_breaks_the_reader(service: dict[str, str], label: str, value: str) -> None:
    """Whatever stands under a key: settings whose bodies are JSON, or problems, each with a place."""
    entries = {"image": "x", **service, "labels": f"{{{label}: {value}}}"}
    text = ", ".join(f"{key}: {shape}" for key, shape in entries.items())
    report = ProblemReport()
    root = yaml_source.parse(f"rancher: {{services: {{web: {{{text}}}}}}}", "c.yml", report)
    assert root is not None
    with contextlib.suppress(ConfigError):
        [unit] = parse(root, report).units
        assert json.loads(unit.body)["HostConfig"]["RestartPolicy"] == {"Name": "no"}
        assert Seconds(0) <= unit.stop.timeout < Seconds(float("inf"))
    assert all(problem.place.line for problem in report.problems)
