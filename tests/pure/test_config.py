"""Layers, places and complaints of a cloud-config."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config import loader, yaml_source
from supervisor.config.fields import Validators, duration
from supervisor.config.settings import SystemDockerSettings
from supervisor.config.tree import MOST, MOST_GUESSES, ConfigError, Location, Node, ProblemReport, merged
from supervisor.config.validate import validate
from units.quantities import Seconds
from units.spec import Policy, Switchable

BASE = "#cloud-config\nrancher:\n  services:\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def plain(node: Node) -> object:
    match node.value:
        case dict():
            return {key: plain(child) for key, child in node.value.items()}
        case list():
            return [plain(child) for child in node.value]
        case _:
            return node.value


def test_layers_merge_in_the_documented_order(tmp_path: Path) -> None:
    """cloud-config.d by name, then cloud-config.yml, then the kernel's line; maps merge, lists replace."""
    write(tmp_path / "cloud-config.d/10-a.yml", "#cloud-config\nrancher: {environment: {A: 1, B: 1}}\n")
    write(
        tmp_path / "cloud-config.d/20-b.yml",
        "#cloud-config\nrancher: {environment: {B: 2}, system_docker: {args: [x, y]}}\n",
    )
    write(tmp_path / "cloud-config.d/.hidden.yml", "no: yaml: here")
    write(tmp_path / "cloud-config.yml", "#cloud-config\nrancher: {system_docker: {args: [z]}}\n")
    settings = loader.read(
        [tmp_path], "quiet rancher.environment.B=3 rancher.system_docker.extra_args=[p,q] root=/dev/sda"
    )
    assert settings.environment == {"A": "1", "B": "3"}
    assert settings.system_docker == SystemDockerSettings(("z",), ("p", "q"), {})


def test_every_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    """Explain gives the place of the layer that won."""
    low = write(tmp_path / "low.yml", "#cloud-config\nrancher:\n  environment:\n    A: 1\n    B: 1\n")
    high = write(tmp_path / "high.yml", "#cloud-config\nrancher:\n  environment:\n    B: 2\n")
    for key, place in (("A", Location(str(low), 4, 8)), ("B", Location(str(high), 4, 8))):
        node = loader.explain([low, high], f"rancher.environment.{key}")
        assert node is not None
        assert node.place == place


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """File, line, column, key path, what was expected, and the nearest known key."""
    one = write(
        tmp_path / "one.yml",
        "#cloud-config\nrancher:\n  services:\n    web:\n      imge: x\n      privileged: maybe\n  systm_docker: {}\n",
    )
    two = write(tmp_path / "two.yml", "#cloud-config\n- a\n")
    missing = tmp_path / "three.yml"
    with pytest.raises(ConfigError) as caught:
        loader.read([one, two, missing])
    assert str(caught.value).splitlines() == [
        f"{one}:5:7: rancher.services.web.imge: unknown key; did you mean 'image'?",
        f"{one}:5:7: rancher.services.web: has no image; every service needs one",
        f"{one}:6:19: rancher.services.web.privileged: expected true or false, found the text 'maybe'",
        f"{one}:7:3: rancher.systm_docker: unknown key; did you mean 'system_docker'?",
        f"{missing}: cannot be read: No such file or directory; name a cloud-config with --config",
        f"{two}:2:1: expected a mapping, found a list; begin with 'rancher:'",
    ]


def test_what_is_known_and_not_acted_on_is_a_warning(tmp_path: Path) -> None:
    """RancherOS's other keys are accepted by name, and one is told that nothing happens."""
    file = write(
        tmp_path / "c.yml", "#cloud-config\nhostname: x\nrancher: {network: {dns: {}}, docker: {group: docker}}\n"
    )
    warned = [warning.path for warning in loader.read([file]).warnings]
    assert warned == ["hostname", "rancher.network", "rancher.docker.group"]


def test_defaults_of_all_units_are_set_under_supervisor(tmp_path: Path) -> None:
    """A service's own labels win over rancher.supervisor."""
    text = """#cloud-config
rancher:
  supervisor:
    restart: {policy: always, delay: 50ms, burst: 9}
    stop: {timeout: 3s}
    shutdown: {total: 20s}
    pull: never
  services:
    web: {image: x, labels: {dockwarden.restart.delay: 1s, dockwarden.stop.timeout: "7"}}
    app: {image: x}
"""
    settings = loader.read([write(tmp_path / "c.yml", text)])
    web, app = settings.units
    assert (web.restart.policy, web.restart.delay, web.restart.burst, web.stop.timeout) == (
        Policy.ALWAYS,
        Seconds(1),
        9,
        Seconds(7),
    )
    assert (app.restart.delay, app.stop.timeout, app.pull) == (Seconds(0.05), Seconds(3), False)
    assert settings.supervisor.shutdown_total == Seconds(20)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"),
        ("no", "no"),
        ("true", True),
        ("010", 10),
        ("0o10", 8),
        ("1.24", 1.24),
        ("~", None),
        ("1_000", "1_000"),
        ("0x1f", 31),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    """No sexagesimal ports, no Norwegian booleans, no accidental octals."""
    assert yaml_source.scalar(text) == value


def test_a_small_file_cannot_become_a_large_tree() -> None:
    """A billion laughs are a problem, not an end of memory."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    report = ProblemReport()
    assert yaml_source.parse(laughs, "bomb", report) is None
    assert "too large" in report.problems[0].message


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "a: &a [*a]"])
def test_a_deep_file_cannot_end_the_process(text: str) -> None:
    """Libyaml composes on the C stack: some 200 kB of brackets are a segmentation fault if nobody looks before."""
    report = ProblemReport()
    yaml_source.parse(text, "deep", report)
    assert report.problems


def test_a_chain_of_aliases_is_deep_too() -> None:
    """Each line is flat, and the tree is not."""
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    report = ProblemReport()
    assert yaml_source.parse(chain, "chain", report) is None
    assert "through its aliases" in report.problems[0].message


def test_a_number_of_thousands_of_digits_is_a_text() -> None:
    """Python refuses to read it as a number."""
    assert yaml_source.scalar("9" * 5000) == "9" * 5000


def test_a_merge_of_what_is_no_mapping_is_a_problem() -> None:
    """It would be left out without a word."""
    report = ProblemReport()
    yaml_source.parse("a: {<<: 5}\n", "f", report)
    assert str(report.problems[0]) == "f:1:9: a: << expects a mapping, found the number 5; name an &anchor"


def test_a_directory_stands_for_its_files(tmp_path: Path) -> None:
    """Its own files by name when it has neither of the known ones; one with nothing in it is a problem."""
    write(tmp_path / "own/b.yml", "#cloud-config\nrancher: {environment: {A: 2}}\n")
    write(tmp_path / "own/a.yaml", "#cloud-config\nrancher: {environment: {A: 1}}\n")
    write(tmp_path / "own/notes.txt", "none of ours")
    assert loader.read([tmp_path / "own"]).environment == {"A": "2"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="contains no configuration"):
        loader.read([tmp_path / "empty"])


def test_files_that_are_odd(tmp_path: Path) -> None:
    """A byte order mark is no fault; no header is a warning; a link to nowhere, a huge file, other bytes are told."""
    marked = tmp_path / "marked.yml"
    marked.write_bytes(b"\xef\xbb\xbf#cloud-config\r\nrancher: {}\r\n")
    assert loader.read([marked]).warnings == ()
    bare = write(tmp_path / "bare.yml", "rancher: {}\n")
    assert [str(warning) for warning in loader.read([bare]).warnings] == [
        f"{bare}:1:1: does not begin with #cloud-config"
    ]
    parts = tmp_path / "host" / "cloud-config.d"
    parts.mkdir(parents=True)
    (parts / "1-link.yml").symlink_to("/nowhere/at/all")
    (parts / "2-bytes.yml").write_bytes(b"\xff")
    (parts / "3-huge.yml").write_bytes(b"#" * (loader.LIMIT + 1))
    with pytest.raises(ConfigError) as caught:
        loader.read([tmp_path / "host"])
    assert str(caught.value).splitlines() == [
        f"{parts}/1-link.yml: cannot be read: No such file or directory; name a cloud-config with --config",
        f"{parts}/2-bytes.yml: not UTF-8 text: invalid start byte at byte 0",
        f"{parts}/3-huge.yml: larger than 4 MiB: not a configuration",
    ]


def test_a_key_written_twice_is_a_problem() -> None:
    """The second one would silently win; both places are named."""
    report = ProblemReport()
    yaml_source.parse("a: 1\nb: 2\na: 3\n", "f", report)
    assert str(report.problems[0]) == "f:3:1: a: written twice; first at f:1:1; remove one of them"


def test_merge_keys_and_anchors_work() -> None:
    """Own keys win over merged ones."""
    node = yaml_source.parse("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n", "f", ProblemReport())
    assert node is not None
    assert plain(node) == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}


def test_validate_reports_links_where_the_unit_is_defined(tmp_path: Path) -> None:
    """A cycle has a file and a line like any other problem."""
    file = write(tmp_path / "c.yml", BASE + "    aa: {image: x, links: [bb]}\n    bb: {image: x, links: [aa]}\n")
    verdict = validate([file])
    assert [str(problem) for problem in verdict.problems] == [
        f"{file}:4:5: rancher.services.aa: cycle: aa -> bb -> aa; break one of these edges"
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("200ms", 0.2), ("10s", 10), ("5m", 300), ("1h30m", 5400), ("2", 2), ("0", 0), ("1us", 1e-6)]
)
def test_durations(text: str, seconds: float) -> None:
    """With a unit, or in seconds."""
    assert duration(text) == Seconds(seconds)


@pytest.mark.parametrize("text", ["", "5 m", "-1", "soon", "inf", "nan", "1s5m"])
def test_what_is_no_duration(text: str) -> None:
    """Everything else is refused, not guessed."""
    assert duration(text) is None


TREES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)


def tree(value: object) -> Node:
    place = Location("t")
    if isinstance(value, dict):
        return Node({key: tree(child) for key, child in value.items()}, place)
    if isinstance(value, list):
        return Node([tree(child) for child in value], place)
    assert isinstance(value, int)
    return Node(value, place, str(value))


@given(TREES, TREES)
def test_the_higher_layer_is_always_in_the_result(low: object, high: object) -> None:
    """Merging high over a result that holds high already changes nothing."""
    once = merged(tree(low), tree(high))
    assert plain(merged(once, tree(high))) == plain(once)


def shaped(below: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {}, optional={"map": below, "other": below, "number": st.integers(0, 3), "list": st.lists(st.integers(0, 3))}
    )


SHAPED = shaped(shaped(shaped(st.just({}))))


@given(SHAPED, SHAPED, SHAPED)
def test_layers_merge_in_any_grouping(low: object, middle: object, high: object) -> None:
    """Where layers agree on what is a map, merging two of them first changes nothing."""
    left = merged(merged(tree(low), tree(middle)), tree(high))
    right = merged(tree(low), merged(tree(middle), tree(high)))
    assert plain(left) == plain(right)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a file holds, the answer is a tree or problems."""
    report = ProblemReport()
    node = yaml_source.parse(text, "f", report)
    assert node is not None or report.problems


@pytest.mark.parametrize("engine", ["docker", "system_docker"])
@pytest.mark.parametrize("key", ["graph", "data_root", "storage_driver", "bip", "config_file", "bridge"])
def test_a_key_without_which_an_engine_would_lose_sight_of_its_data_is_refused(
    tmp_path: Path, engine: str, key: str
) -> None:
    """With what would be lost, and the option that is acted on; a value that changes nothing is none of these."""
    with pytest.raises(
        ConfigError, match=rf"rancher.{engine}.{key}: not acted on .* lose sight of .*; say it as extra"
    ):
        loader.read([write(tmp_path / "c.yml", f"#cloud-config\nrancher: {{{engine}: {{{key}: /mine}}}}\n")])
    usual = "/var/lib/docker" if engine == "docker" else "/var/lib/system-docker"
    text = f"#cloud-config\nrancher: {{{engine}: {{graph: {usual}, data_root: {usual}/}}}}\n"
    assert loader.read([write(tmp_path / "c.yml", text)]).warnings == ()


def test_a_console_that_no_service_defines_is_a_warning_and_default_is_used(tmp_path: Path) -> None:
    """The usual line of a RancherOS host; once a service defines it, it is that."""
    text = "#cloud-config\nrancher:\n  console: debian\n  services:\n    console: {image: i}\n"
    file = write(tmp_path / "c.yml", text)
    found = validate([file])
    assert found.valid
    there = f"{file}:3:12: rancher.console: no service defines the console 'debian' (available: default)"
    assert [str(warning) for warning in found.warnings] == [f"{there}; default is used until one does"]
    assert loader.read([file]).configured[Switchable.CONSOLE] == "default"
    write(file, text + "    deb: {image: d, labels: {io.rancher.os.console: debian}}\n")
    assert loader.read([file]).configured[Switchable.CONSOLE] == "debian"


HUGE = "1" * 60_000
FILE_OF_DIGITS = f"""\
#cloud-config
rancher:
  supervisor: {{restart: {{jitter: {HUGE}x, delay: {HUGE}, burst: {HUGE}}}, stop: {{signal: {HUGE}, timeout: {HUGE}x}}}}
  services:
    web:
      image: x
      mem_limit: {HUGE}g
      restart: on-failure:{HUGE}
      ports: ["{HUGE}"]
      healthcheck: {{retries: {HUGE}, interval: {HUGE}s}}
      labels: {{dockwarden.health.retries: {HUGE}, dockwarden.stop.timeout: {HUGE}, dockwarden.restart.jitter: {HUGE}}}
"""


def test_numbers_of_any_length_are_short_problems(tmp_path: Path) -> None:
    """Each is told at its place, and quoted in part."""
    found = validate([write(tmp_path / "c.yml", FILE_OF_DIGITS)])
    assert len(found.problems) == 13
    assert max(len(str(problem)) for problem in found.problems) < 1500


def test_of_many_problems_a_thousand_are_told(tmp_path: Path) -> None:
    """And the number of the others; a known word is looked for only for the first few."""
    report = ProblemReport()
    for number in range(5000):
        report.unknown_key(Location("c.yml", number + 1), "rancher.imag", "imag", ["image"])
    assert len(report.problems) == MOST
    assert report.problems[-1].message == f"{5000 - MOST + 1} further problems are not listed"
    assert sum(bool(one.hint) for one in report.problems) == MOST_GUESSES
    entries = "".join(f"  k{number}: 1\n" for number in range(40_000))
    found = validate([write(tmp_path / "c.yml", f"#cloud-config\nrancher:\n{entries}")])
    assert [one.message for one in found.problems] == [
        "too large or too deeply nested for a configuration: more than 10000 entries in one mapping"
    ]


@pytest.mark.parametrize(
    "service",
    [
        f"{{image: x, command: [{', '.join(['$A'] * 2000)}]}}",
        f"{{image: x, environment: {{{', '.join(f'E{number}: $A' for number in range(2000))}}}}}",
        f"{{image: $A, container_name: {'$A' * 2000}}}",
        "{image: x}" + "".join(f"\n    w{number}: {{image: x, env_file: big}}" for number in range(200)),
        "{image: x, environment: ['A*']}" + "".join(f"\n    w{i}: {{image: x, environment: [A]}}" for i in range(99)),
    ],
)
def test_a_configuration_does_not_grow_beyond_bounds(tmp_path: Path, service: str) -> None:
    """However often a long value is put in: one problem says so."""
    write(tmp_path / "big", "B=" + "y" * 500_000)
    text = f"#cloud-config\nrancher:\n  environment: {{A: {'x' * 500_000}}}\n  services:\n    web: {service}\n"
    found = validate([write(tmp_path / "c.yml", text)])
    assert [one for one in found.problems if "larger than 8 MiB" in one.message]
    assert sum(len(str(one)) for one in found.problems) < 100_000


def test_aliases_do_not_make_a_file_large() -> None:
    """A long text named once, and meant a thousand times."""
    text = (
        f"x: &a {'x' * 500_000}\nrancher: {{services: {{web: {{image: x, command: [{', '.join(['*a'] * 1000)}]}}}}}}\n"
    )
    report = ProblemReport()
    assert yaml_source.parse(text, "c.yml", report) is None
    assert "more than 16 MiB of text" in report.problems[0].message


@pytest.mark.parametrize(
    ("text", "size"),
    [("1g", 1 << 30), ("1.5k", 1536), ("9007199254740993", 9007199254740993), ("8589934591g", 8589934591 << 30)],
)
def test_a_size_is_exact(text: str, size: int) -> None:
    """It never passes a float; beyond what an engine can count it is a problem."""
    report = ProblemReport()
    assert Validators(report).size(Node(text, Location("c"), text), "mem_limit") == size
    assert report.problems == []
    assert Validators(report).size(Node(text, Location("c"), "8589934592g"), "mem_limit") == 0
    assert len(report.problems) == 1


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    """Neither a FIFO as a configuration, nor one as an env_file."""
    os.mkfifo(tmp_path / "pipe")
    found = validate([tmp_path / "pipe"])
    assert [one.message for one in found.problems] == ["not a regular file"]
    file = write(tmp_path / "c.yml", BASE + "    web: {image: x, env_file: [pipe, /dev/zero]}\n")
    assert [one.message.rpartition(": ")[2] for one in validate([file]).problems] == ["not a regular file"] * 2


def test_problems_of_links_are_told_beside_those_of_shape(tmp_path: Path) -> None:
    """A typo in one service does not hide a cycle of two others."""
    services = "    aa: {image: x, links: [bb]}\n    bb: {image: x, links: [aa]}\n    cc: {image: x, imagee: y}\n"
    told = [str(problem) for problem in validate([write(tmp_path / "c.yml", BASE + services)]).problems]
    assert any("cycle: aa -> bb -> aa" in one for one in told)
    assert any("unknown key; did you mean 'image'?" in one for one in told)
