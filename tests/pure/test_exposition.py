"""The text of a scrape: as prometheus_client writes it, in the format that was asked for, with exemplars that parse."""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric as Family
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.utils import floatToGoString

from metrics import Metrics, exposition, page
from metrics.exposition import OPENMETRICS, TEXT, content_type
from tests.pure.story import Story, spec
from tests.pure.test_metrics import Watched
from units import events as fact
from units.quantities import Seconds
from units.spec import ContainerId, UnitName

OM = "application/openmetrics-text"
PROMETHEUS_2 = f"{OM};version=1.0.0,{OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_3 = (
    f"{OM};version=1.0.0;escaping=allow-utf-8;q=0.6,{OM};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        (BROWSER, TEXT),
        (PROMETHEUS_2, OPENMETRICS.format("1.0.0")),
        (PROMETHEUS_3, OPENMETRICS.format("1.0.0")),
        (OM, OPENMETRICS.format("1.0.0")),
        (f"{OM}; version=0.0.1", OPENMETRICS.format("0.0.1")),
        (f"{OM}; version=2.0.0, text/plain;q=0.1", TEXT),
        (f"{OM};q=0.2, text/plain;q=0.7", TEXT),
        (f"{OM};q=0", TEXT),
        (f"{OM};q=much", TEXT),
        (f"text/html, {OM.upper()} ; Q=0.9", OPENMETRICS.format("1.0.0")),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", TEXT),
    ],
)
def test_the_best_liked_format_is_written(accept: str, wanted: str) -> None:
    """By weight; what nobody here writes counts for nothing, and text is for everybody."""
    assert content_type(accept) == wanted


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**18))
def test_numbers_are_written_as_the_client_does(value: float) -> None:
    """As Go does, also beyond a million."""
    assert exposition.number(value) == floatToGoString(value)  # type: ignore[no-untyped-call]


class Read:
    """Families as a registry, to be written again."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Family]:
        yield from self._families


def body(metrics: Metrics, accept: str = "") -> str:
    return b"".join(metrics.render(accept)[1]).decode()


def busy(*names: str) -> Watched:
    """Units of which one has died, was restarted, died again and waits."""
    watched = Watched(Story.of(*(replace(spec(name), image='a "b" \\c\n') for name in names)))
    watched.connect(*names)
    watched.died(names[0], at=100.0)
    watched.started(names[0], at=100.25)
    watched.died(names[0], at=100.5)
    return watched


@pytest.mark.parametrize(
    ("accept", "read", "write"),
    [("", read_text, generate_latest), (PROMETHEUS_2, read_openmetrics, generate_openmetrics)],
)
def test_the_page_is_what_the_client_would_have_written(
    accept: str, read: Callable[[str], Iterable[Family]], write: Callable[[Read], bytes]
) -> None:
    """Read by the client and written again by it, it is the same page, byte for byte."""
    said = body(busy("console", 'odd "name" \\ of\na unit', "ntp").metrics, accept)
    own = said[: said.index("# HELP process_")] + ("# EOF\n" if accept else "")
    again = re.sub(r"(\.\d{3})0{6}$", r"\1", write(Read(read(own))).decode(), flags=re.MULTILINE)  # nanoseconds
    assert again.splitlines() == own.splitlines()


def test_openmetrics_ends_with_its_mark_and_text_has_none() -> None:
    """`# EOF` once, as the last line."""
    metrics = busy("console").metrics
    assert body(metrics, OM).endswith("\n# EOF\n")
    assert body(metrics, OM).count("# EOF") == 1
    assert "# EOF" not in body(metrics)


def test_exemplars_carry_the_cause() -> None:
    """In OpenMetrics only: the id by which the log and the journal know the last case of each."""
    watched = busy("console")
    assert " # {" not in body(watched.metrics)
    found = {
        (sample.name.removeprefix("dockwarden_"), *sample.labels.values()): (
            sample.exemplar.labels["cause"],
            sample.exemplar.value,
        )
        for family in read_openmetrics(body(watched.metrics, OM))  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }
    assert found == {
        ("unit_transitions_total", "ready", "console"): ("c3", 1.0),
        ("unit_transitions_total", "starting", "console"): ("c3", 1.0),
        ("unit_transitions_total", "backoff", "console"): ("c5", 1.0),
        ("unit_restarts_total", "exit", "console"): ("c3", 1.0),
        ("unit_exits_total", "error", "console"): ("c5", 1.0),
        ("restart_latency_seconds_bucket", "0.3"): ("c3", 0.25),
    }
    assert {one.cause for one in watched.story.world.units.values()} == {"c5"}


def test_only_so_many_units_have_series() -> None:
    """The first ones of the configuration; the page says how many have none."""
    story = Story.of(*(spec(f"u{number}") for number in range(7)))
    metrics = Metrics(wall=lambda: 0.0, now=lambda: 0.0, most_units=5, world=lambda: story.world)
    lines = body(metrics).splitlines()
    assert {f"u{number}" for number in range(7) if any(f'"u{number}"' in line for line in lines)} == {
        "u0",
        "u1",
        "u2",
        "u3",
        "u4",
    }
    assert "dockwarden_units 7.0" in lines
    assert "dockwarden_units_left_out 2.0" in lines


def test_what_is_no_unit_s_is_bounded() -> None:
    """Strange values, and thousands of hooks, do not make the page grow without end."""
    story = Story.of(*(spec(f"u{number}") for number in range(200)))
    metrics = Metrics(wall=lambda: 0.0, now=lambda: 0.0, world=lambda: story.world)
    before = len(body(metrics).splitlines())
    assert before <= 200 * page.PER_UNIT + 1400
    chance = random.Random(1)
    for number in range(3000):
        metrics.hook_ran(f"hook-{number}", "done", 0.0)
        metrics.engine_call(f"call-{number}", f"outcome-{chance.random()}", 1.0)
        metrics.heard(f"type-{number}")
    assert len(body(metrics).splitlines()) <= before + 2002
    assert 'dockwarden_hook_runs_total{hook="hook-0",outcome="done"} 1.0' in body(metrics)
    assert 'dockwarden_hook_runs_total{hook="other",outcome="done"} 2000.0' in body(metrics)


def test_a_container_s_id_is_in_one_series_only() -> None:
    """A new container ends one series and begins one, not seventy."""
    watched = busy("console")
    watched.story.change("console", container=ContainerId("0123456789abcdef"))
    assert [line.partition("{")[0] for line in body(watched.metrics).splitlines() if "0123456789ab" in line] == [
        "dockwarden_unit_info"
    ]


def test_the_page_is_of_one_world() -> None:
    """What happens between two pieces is not half in it."""
    watched = busy("console")
    _, pieces = watched.metrics.render()
    begun = next(pieces)
    watched.story.change("console", wanted=False)
    watched.feed(fact.ContainerDestroyed(UnitName("console"), watched.story.id("console")))
    rest = (begun + b"".join(pieces)).decode()
    assert 'dockwarden_unit_desired{unit="console"} 1.0' in rest
    assert 'dockwarden_unit_state{state="backoff",unit="console"} 1.0' in rest


def test_a_page_can_be_asked_for_at_any_time() -> None:
    """Also before there is a world, and when it goes down."""
    metrics = Metrics(wall=lambda: 0.0, now=lambda: 0.0)
    assert 'dockwarden_build_info{python="' in body(metrics)
    watched = busy("console")
    watched.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert "dockwarden_shutting_down 1.0" in body(watched.metrics)


def five_milliseconds() -> float:
    """What takes so long on a good machine, in seconds of this one."""
    begun, total = time.perf_counter(), 0
    for number in range(80_000):
        total += number
    return time.perf_counter() - begun


def test_no_piece_holds_the_loop_up() -> None:
    """Of 300 units, each with a history, the longest takes less than a plain loop here that takes 5 ms elsewhere."""
    names = [f"unit-{number}" for number in range(300)]
    watched = busy(*names)
    for name in names[1:]:
        watched.died(name)
        watched.started(name)
    quickest: dict[int, float] = {}
    for _ in range(8):
        _, pieces = watched.metrics.render(OM)
        begun = time.perf_counter()
        for number, _piece in enumerate(pieces):
            now = time.perf_counter()
            quickest[number] = min(quickest.get(number, 1.0), now - begun)
            begun = now
    assert len(quickest) > 100
    assert max(quickest.values()) < min(five_milliseconds() for _ in range(8))
