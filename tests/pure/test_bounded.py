"""Foreign text: whatever it says, it is looked at in bounded time, and costs only itself."""

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.config.fields import duration
from supervisor.config.foreign_labels import MOST_COMPLAINTS, WatchPolicy, spec_of
from supervisor.config.health_labels import LONGEST_LABEL, PREFIX, read_health
from supervisor.engine.decode import ContainerSummary
from supervisor.http.client import target
from supervisor.journal.record_file import decode
from tests.pure.story import Story, spec
from units.bounded import LARGEST, LONGEST_NAME, escaped, from_json, quoted, short_name, whole
from units.memory import Clocks, recall, remember
from units.quantities import Instant, Seconds
from units.spec import ContainerId, OnUnhealthy, UnitSpec

DIGITS = "1" * 5000
HOSTILE = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(codec=None), max_size=40),
    st.sampled_from(
        [
            *(DIGITS, f"-{DIGITS}", f"{DIGITS}x", "1e999", "1E400", "NaN", "Infinity", "-Infinity", "-1", "0", "", " "),
            *("٣", "²", "1_000", "0x10", "+5", "\x00", "\x1b[2J", "\ud800", "a\nb", "[" * 100_000, "{" * 100_000),
            *("[" * 900, '{"a":' * 200_000, "1e-999", "9223372036854775808", "18446744073709551616", "x" * 100_000),
            *("http://[" + DIGITS, f"http://:{DIGITS}", f"1{'0' * 400}", f"{DIGITS}-{DIGITS}", "1d" * 5000, "." * 5000),
        ]
    ),
)
LABELS = [
    *(PREFIX + name for name in ("http", "tcp", "exec", "kind", "interval", "timeout", "retries", "start_period")),
    *(PREFIX + name for name in ("a.http", "a.interval", "status", "verify", "header.X", "action", "signal", "falls")),
    *(PREFIX + name for name in ("window", "calm", "engine", "", ".", "a.", ".a", "a.b.c", "header.", "x" * 5000)),
    *("dockwarden.relink", "dockwarden.enable", "autoheal", "dockwarden.stop.timeout", "autoheal.stop.timeout"),
    *("com.docker.compose.depends_on", "com.docker.compose.project", "com.docker.compose.service"),
]
HOSTILE_LABELS = st.dictionaries(st.one_of(st.sampled_from(LABELS), HOSTILE), HOSTILE, max_size=12)


def watched(labels: Mapping[str, str]) -> tuple[UnitSpec, list[str]]:
    said: list[str] = []
    wants = WatchPolicy(everything=True, complain=lambda _, key, what, hint: said.append(f"{key}: {what} {hint}"))
    return spec_of(ContainerSummary("app", ContainerId("c" * 64), "i", labels), {}, {}, wants), said


@given(HOSTILE_LABELS)
def test_no_label_ends_the_watch_or_floods_its_log(labels: Mapping[str, str]) -> None:
    """Whatever a container's labels say: a unit, and a few short complaints."""
    spec, said = watched(labels)
    assert spec.name == "app"
    assert len(said) <= MOST_COMPLAINTS + 1
    assert all(len(one) < 1000 for one in said)


@given(HOSTILE)
def test_a_number_is_plain_digits_in_range_or_none(text: str) -> None:
    """Nothing is raised."""
    found = whole(text, 0, LARGEST)
    assert found is None or (str(found).zfill(len(text)) == text and 0 <= found <= LARGEST)


@given(HOSTILE)
def test_json_is_a_value_or_a_value_error(text: str) -> None:
    """Deep nesting included."""
    try:
        from_json(text)
    except ValueError:
        return


@given(HOSTILE)
def test_a_quote_is_short_and_printable(text: str) -> None:
    """So that it can be written anywhere."""
    assert len(quoted(text)) < 1100
    assert quoted(text).isprintable()
    assert escaped(text).encode("utf-8") is not None


@given(st.text(st.characters(codec=None), max_size=300), st.text(st.characters(codec=None), max_size=300))
def test_a_short_name_is_short_and_different(one: str, other: str) -> None:
    """Long ones stay different by their hash."""
    longer = one * 10
    assert len(short_name(longer)) <= LONGEST_NAME
    assert (short_name(longer) == short_name(other)) == (longer == other)
    assert short_name("web") == "web"


@pytest.mark.parametrize("key", ["interval", "timeout", "retries", "falls", "tcp", "status", "start_period"])
def test_many_digits_are_an_invalid_value(key: str) -> None:
    """The default is used, and it is told once, shortly."""
    for value in ("1" * 20_000 + "x", DIGITS, "9" * 900):
        said: list[str] = []
        read_health({PREFIX + key: value}, lambda _, what, hint, said=said: said.append(what + hint))  # type: ignore[misc]
        assert len(said) == 1
        assert "expected" in said[0]
        assert len(said[0]) < 250


def test_a_label_that_is_too_long_is_ignored_and_not_cut() -> None:
    """Half a command is another command."""
    line = "true " * LONGEST_LABEL
    spec, said = watched({PREFIX + "exec": line, PREFIX + "tcp": "80"})
    assert [check.probe for check in spec.checks] == [type(spec.checks[0].probe)(80)]  # type: ignore[arg-type]
    assert said == [
        f"{PREFIX}exec: {quoted(line)}: expected at most {LONGEST_LABEL} characters ",
    ]


def test_of_many_labels_few_are_read_and_few_are_told() -> None:
    """20,000 unknown ones, or as many checks."""
    spec, said = watched({f"{PREFIX}unknown{number}": "x" for number in range(20_000)})
    assert len(said) == MOST_COMPLAINTS + 1
    assert said[-1] == f"{PREFIX}: 121 further labels make no sense "
    assert spec.heal.action is not OnUnhealthy.NONE
    spec, said = watched({f"{PREFIX}c{number}.tcp": "80" for number in range(20_000)})
    assert len(spec.checks) == 128
    assert len(said) == 1


def test_a_container_that_cannot_be_read_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any defect of a reader is that container's."""

    def broken(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("supervisor.config.foreign_labels.read_health", broken)
    spec, said = watched({"dockwarden.enable": "true"})
    assert spec.heal.action is OnUnhealthy.NONE
    assert not spec.relink
    assert said == ["dockwarden.enable: cannot be read (RecursionError: too deep); the container is left alone "]


def test_a_check_more_often_than_ten_times_a_second_is_a_slip() -> None:
    """It would keep the supervisor busy with one container."""
    spec, said = watched({PREFIX + "tcp": "80", PREFIX + "interval": "1us"})
    assert spec.checks[0].interval == Seconds(10)
    assert said == [f"{PREFIX}interval: '1us': expected 100ms or more "]


@given(HOSTILE)
def test_a_duration_is_bounded(text: str) -> None:
    """As is the time to find out that it is none."""
    found = duration(text)
    assert found is None or 0 <= found <= 1e9


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from([10**400, -(10**30), "x", "", "nan"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
CLOCKS = Clocks(Instant(200), 1e9)
KEPT = remember(Story.of(spec("web")).world, CLOCKS)["web"]


@given(st.dictionaries(st.sampled_from(sorted(KEPT)), ODD, max_size=3))
def test_an_odd_record_of_a_unit_is_left_out(odd: dict[str, Any]) -> None:
    """A state file whose checksum is right may say anything."""
    (unit,) = recall([spec("web")], {"web": {**KEPT, **odd}}, CLOCKS, same_boot=True, same_host_boot=True)
    assert math.isfinite(unit.budget.delay)
    assert all(math.isfinite(at) for at in (*unit.budget.restarts, *unit.falls))


@example(odd={"time": 10**400})
@given(st.dictionaries(st.sampled_from(["seq", "time", "event", "unit", "inputs", "uid"]), ODD, max_size=3))
def test_an_odd_line_of_the_record_file_is_left_out(odd: dict[str, Any]) -> None:
    """Or a record that can be sorted and shown."""
    text = json.dumps({"seq": 1, "time": 1.0, "event": "unit.transition", "unit": "web", **odd}).encode()
    record = decode(b"%08x %s" % (zlib.crc32(text), text))
    assert record is None or (type(record.seq) is int and math.isfinite(record.time) and isinstance(record.unit, str))


def test_a_name_that_is_no_text_is_asked_for_as_it_was_typed() -> None:
    """The supervisor answers that it knows no such unit."""
    assert target(("units", "\udcff", "stop"), {"unit": "\udcff"}) == "/v1/units/%FF/stop?unit=%FF"
