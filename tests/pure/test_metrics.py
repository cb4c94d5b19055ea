"""What a scrape says: of a world as it stands, of what has happened, and after a restart of the supervisor."""

import platform
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from metrics import Metrics, catalog, page
from supervisor.engine.access import BARRED
from supervisor.engine.decode import ACTIONS
from tests.counted import Counted
from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.events import Event
from units.health import Health
from units.kernel import react
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.spec import ContainerId, Kind, UnitName
from units.unit import UNIT_PHASES, Budget, Failure, Phase, Reason, StoppedBy
from units.world import Entry

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/metrics.md"
EPOCH = 1_700_000_000.0
"""The wall time of instant 0 in these tests."""


class Watched:
    """A story with metrics that look on. The story's clock is the only one."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.metrics = Metrics(
            wall=lambda: EPOCH + story.now,
            now=lambda: story.now,
            version="1.2.3",
            world=lambda: story.world,
            to_wall=lambda instant: EPOCH + instant,
            depth=lambda: 3,
        )

    def feed(self, event: Event, *, waited: float = 0.0, at: float | None = None) -> None:
        """``waited``: seconds in the inbox. ``at``: the engine's stamp, as an instant of the story's clock."""
        stamp = 0 if at is None else round(EPOCH) * 10**9 + round(at * 1e9)
        self.story.feed(event)
        assert self.story.last is not None
        moment = Moment(Instant(self.story.now), 0.5, "c", self.story.seq)
        self.metrics.observe(Entry(event, "c", Instant(self.story.now - waited), stamp), moment, self.story.last)

    def connect(self, *names: str) -> None:
        self.feed(fact.EngineBack("26.1"))
        self.feed(fact.SnapshotTaken(tuple(seen(name) for name in names), "connect", self.story.seq))

    def died(self, name: str, at: float | None = None) -> None:
        self.feed(fact.ContainerDied(UnitName(name), self.story.id(name), 1), at=at)

    def started(self, name: str, at: float | None = None) -> None:
        self.feed(fact.ContainerStarted(UnitName(name), self.story.id(name)), at=at)

    def scrape(self, *names: str) -> list[str]:
        """The samples of these metrics, as `name{labels} value` without the prefix."""
        return [line for line in samples(self.metrics) if line.partition("{")[0].partition(" ")[0] in names]


def samples(metrics: Metrics) -> list[str]:
    families = read_text(b"".join(metrics.render()[1]).decode())
    return [
        f"{one.name.removeprefix('dockwarden_')}{show(family.name, one.labels)} {one.value:.12g}"
        for family in families
        for one in family.samples
    ]


def show(family: str, labels: dict[str, str]) -> str:
    """In the catalogue's order: on the page they are sorted by name."""
    known = [one for one in catalog.CATALOG if one.name.removesuffix("_total") == family]
    order = [name for one in known for name in one.labels]
    shown = sorted(labels.items(), key=lambda item: order.index(item[0]) if item[0] in order else -1)
    return "{" + ",".join(f"{name}={value}" for name, value in shown) + "}" if labels else ""


def nonzero(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.endswith(" 0")]


def test_page_is_generated() -> None:
    """docs/reference/metrics.md is what the catalogue says."""
    assert PAGE.read_text() == page.page(), "python -m script.diagrams --write"


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"])
def test_all_of_the_catalogue_is_there_at_the_first_scrape(accept: str) -> None:
    """Each metric has its type and its words, and, where it is no unit's history, a sample, before any event."""
    watched = Watched(Story.of(spec("console")))
    kind, pieces = watched.metrics.render(accept)
    body = b"".join(pieces)
    read = read_openmetrics if accept else read_text
    found = {family.name: family for family in read(body.decode()) if family.name.startswith("dockwarden_")}
    assert {name: (family.type, family.documentation) for name, family in found.items()} == {
        one.name.removesuffix("_total"): (one.type.value, one.help) for one in catalog.CATALOG
    }
    empty = {name for name, family in found.items() if not family.samples}
    without_user_docker = {f"dockwarden_user_docker_{rest}" for rest in ("up", "info", "down_seconds")}
    without_console = {"dockwarden_console_info", "dockwarden_console_down_seconds"}
    without_context = {"dockwarden_storage_context_info", "dockwarden_storage_context_up"}
    assert empty - without_user_docker - without_console - without_context == {
        "dockwarden_unit_last_exit_code",
        "dockwarden_unit_health_checks",
        "dockwarden_engine_info",
        "dockwarden_hook_runs",
        "dockwarden_hook_seconds",
    }
    assert kind == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
        if accept
        else "text/plain; version=0.0.4; charset=utf-8"
    )


def test_the_process_is_told_of_too() -> None:
    """The client's own collectors are in the same registry."""
    names = {line.partition("{")[0].partition(" ")[0] for line in samples(Watched(Story.of()).metrics)}
    assert {"process_resident_memory_bytes", "python_info", "python_gc_collections_total"} <= names


def test_series_of_a_unit_are_as_many_as_the_page_says() -> None:
    """47 or so series a unit: the formula in the documentation holds."""
    story = Story.of(spec("console"))
    story.change("console", exit_code=0)
    assert len([line for line in samples(Watched(story).metrics) if "{unit=console" in line]) == page.PER_UNIT


def test_gauges_are_the_world() -> None:
    """A unit's gauges say what the world says of it at the moment of the scrape."""
    story = Story.of(spec("console"))
    watched = Watched(story)
    story.change(
        "console",
        phase=Phase.CRASH_LOOP,
        since=Instant(90.25),
        started_at=Instant(80.5),
        container=ContainerId("0123456789abcdef"),
        health=Health.UNHEALTHY,
        exit_code=137,
        budget=Budget(looping=True),
    )
    assert nonzero([line for line in samples(watched.metrics) if "unit=console" in line]) == [
        "unit_state{unit=console,state=crash-loop} 1",
        "unit_desired{unit=console} 1",
        "unit_health{unit=console,status=unhealthy} 1",
        "unit_info{unit=console,kind=service,image=image,container_id=0123456789ab,config_hash=} 1",
        "unit_start_timestamp_seconds{unit=console} 1700000080.5",
        "unit_last_transition_timestamp_seconds{unit=console} 1700000090.25",
        "unit_last_exit_code{unit=console} 137",
        "unit_crash_loop{unit=console} 1",
    ]


def test_states_are_one_hot() -> None:
    """One series for each phase there is, and 1 for one of them."""
    watched = Watched(Story.of(spec("console")))
    assert watched.scrape("unit_state") == [
        f"unit_state{{unit=console,state={phase}}} {1 if phase is Phase.WAITING else 0}" for phase in UNIT_PHASES
    ]


def test_engine_and_shutdown() -> None:
    """The engine's gauges follow the world, the stream's what the watch says."""
    watched = Watched(Story.of())
    names = ("engine_up", "engine_info", "shutting_down", "inbox_depth", "event_stream_connected", "build_info")
    python = platform.python_version()
    assert watched.scrape(*names) == [
        "engine_up 0",
        "shutting_down 0",
        "event_stream_connected 0",
        "inbox_depth 3",
        f"build_info{{version=1.2.3,python={python}}} 1",
    ]
    watched.metrics.stream_connected(connected=True)
    watched.connect()
    watched.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert watched.scrape(*names) == [
        "engine_up 1",
        "engine_info{version=26.1} 1",
        "shutting_down 1",
        "event_stream_connected 1",
        "inbox_depth 3",
        f"build_info{{version=1.2.3,python={python}}} 1",
    ]


def test_restarts_and_transitions_are_counted() -> None:
    """A death that is answered by a restart counts once, with its reason, and each phase entered counts."""
    watched = Watched(Story.of(spec("console")))
    watched.connect("console")
    watched.died("console")
    watched.started("console")
    assert watched.scrape("unit_restarts_total") == [
        f"unit_restarts_total{{unit=console,reason={reason}}} {1 if reason is Reason.EXIT else 0}" for reason in Reason
    ]
    assert nonzero(watched.scrape("unit_transitions_total", "orders_total")) == [
        "unit_transitions_total{unit=console,to=starting} 1",
        "unit_transitions_total{unit=console,to=ready} 2",
        "orders_total{order=start_container} 1",
        "orders_total{order=arm_timer} 1",
    ]


def test_restart_latency_is_what_the_engine_stamped() -> None:
    """From die to start; a restart that had to wait for its delay is no measure of ours."""
    watched = Watched(Story.of(spec("console")))
    watched.connect("console")
    watched.died("console", at=100.0)
    watched.started("console", at=100.25)
    assert watched.scrape("restart_latency_seconds_count", "restart_latency_seconds_sum") == [
        "restart_latency_seconds_count 1",
        "restart_latency_seconds_sum 0.25",
    ]
    bounds = [line for line in watched.scrape("restart_latency_seconds_bucket") if line.endswith(" 1")]
    assert bounds[0] == "restart_latency_seconds_bucket{le=0.3} 1"
    watched.died("console", at=100.5)
    assert watched.story.phases() == {"console": "backoff"}
    watched.feed(fact.RetryDue(UnitName("console"), watched.story.token("console")))
    watched.started("console", at=101.0)
    assert watched.scrape("restart_latency_seconds_count") == ["restart_latency_seconds_count 1"]


def test_a_death_that_moves_nobody_starts_no_clock() -> None:
    """Neither that of a container long gone nor what else the engine says makes a measure of a later start."""
    watched = Watched(Story.of(spec("console")))
    watched.connect("console")
    watched.feed(fact.ContainerDied(UnitName("console"), ContainerId("older"), 1), at=100.0)
    watched.feed(fact.ContainerOomed(UnitName("console"), watched.story.id("console")), at=100.1)
    watched.started("console", at=100.2)
    assert watched.scrape("restart_latency_seconds_count", "event_lag_seconds_count") == [
        "restart_latency_seconds_count 0",
        "event_lag_seconds_count 3",
    ]


def test_event_lag_and_decision_time() -> None:
    """Lag is from the engine's stamp, decision from the arrival; a clock that was set back counts as no time."""
    watched = Watched(Story.of(spec("console")))
    watched.feed(fact.ContainerStarted(UnitName("console"), ContainerId("x")), waited=0.002, at=99.97)
    watched.feed(fact.ContainerStarted(UnitName("console"), ContainerId("x")), waited=0.0, at=200.0)
    lines = watched.scrape(
        "event_lag_seconds_bucket", "event_lag_seconds_sum", "decision_seconds_bucket", "decision_seconds_count"
    )
    assert [line for line in lines if "le=0.0025" in line or "le=0.025" in line or "le=0.05}" in line] == [
        "event_lag_seconds_bucket{le=0.0025} 1",
        "event_lag_seconds_bucket{le=0.025} 1",
        "event_lag_seconds_bucket{le=0.05} 2",
        "decision_seconds_bucket{le=0.0025} 2",
        "decision_seconds_bucket{le=0.025} 2",
        "decision_seconds_bucket{le=0.05} 2",
    ]
    assert "decision_seconds_count 2" in lines
    (total,) = (float(line.split()[1]) for line in lines if line.startswith("event_lag_seconds_sum"))
    assert total == pytest.approx(0.03, abs=1e-6)


def test_snapshots_and_what_they_corrected() -> None:
    """A snapshot that finds a dead unit corrects; one that finds nothing new does not."""
    watched = Watched(Story.of(spec("console")))
    watched.connect("console")
    watched.feed(fact.SnapshotTaken((seen("console"),), "period", watched.story.seq))
    watched.feed(fact.SnapshotTaken((seen("console", running=False),), "doubt", watched.story.seq))
    assert watched.scrape("snapshots_total", "snapshot_corrections_total", "snapshot_last_timestamp_seconds") == [
        "snapshot_corrections_total{unit=console} 2",
        "snapshots_total{trigger=connect} 1",
        "snapshots_total{trigger=period} 1",
        "snapshots_total{trigger=doubt} 1",
        "snapshot_last_timestamp_seconds 1700000100",
    ]


def test_reloads() -> None:
    """A configuration is taken or refused, by the reader or by the core; only a taken one moves the timestamp."""
    watched = Watched(Story.of(spec("console")))
    names = ("config_reloads_total", "config_last_reload_success_timestamp_seconds")
    watched.story.later(5)
    watched.feed(fact.ConfigRefused("no YAML"))
    watched.feed(fact.ConfigRead((spec("console", needs("nobody")),)))
    assert watched.scrape(*names) == [
        "config_reloads_total{result=success} 0",
        "config_reloads_total{result=refused} 2",
        "config_last_reload_success_timestamp_seconds 1700000100",
    ]
    watched.feed(fact.ConfigRead((spec("console"), spec("ntp"))))
    assert watched.scrape(*names) == [
        "config_reloads_total{result=success} 1",
        "config_reloads_total{result=refused} 2",
        "config_last_reload_success_timestamp_seconds 1700000105",
    ]


def test_a_unit_that_leaves_the_configuration_takes_its_series_along() -> None:
    """Not before it has ended; and when it comes back, its counters have not gone down."""
    watched = Watched(Story.of(spec("console"), spec("ntp")))
    watched.connect("console", "ntp")
    watched.died("ntp")
    watched.started("ntp")
    watched.feed(fact.ConfigRead((spec("console"),)))
    assert watched.story.phases()["ntp"] == "stopping"
    assert any("unit=ntp" in line for line in samples(watched.metrics))
    watched.died("ntp")
    assert watched.story.unit("ntp").stopped_by is StoppedBy.CONFIG
    assert not any("unit=ntp" in line for line in samples(watched.metrics))
    watched.feed(fact.ConfigRead((spec("console"), spec("ntp"))))
    assert "unit_restarts_total{unit=ntp,reason=exit} 1" in watched.scrape("unit_restarts_total")


def test_boot_seconds_is_the_first_rest() -> None:
    """Set once, when the engine is up and nothing is on its way; a oneshot at work is on its way."""
    watched = Watched(Story.of(spec("console"), spec("setup", kind=Kind.ONESHOT)))
    watched.story.later(1)
    watched.connect()
    watched.story.later(1)
    for name in ("console", "setup"):
        watched.feed(fact.ContainerCreated(UnitName(name), watched.story.id(name), "h1"))
        watched.started(name)
    assert watched.story.phases() == {"console": "ready", "setup": "running"}
    assert watched.scrape("boot_seconds") == ["boot_seconds 0"]
    watched.story.later(2.5)
    watched.feed(fact.ContainerDied(UnitName("setup"), watched.story.id("setup"), 0))
    assert watched.scrape("boot_seconds") == ["boot_seconds 4.5"]
    watched.story.later(100)
    watched.died("console")
    watched.started("console")
    assert watched.scrape("boot_seconds") == ["boot_seconds 4.5"]


def test_what_the_shell_tells() -> None:
    """Calls, the stream's messages, the loop's lag: each goes where its name says, and a strange value to `other`."""
    metrics = Watched(Story.of()).metrics
    metrics.engine_call("start", "ok", 0.2)
    metrics.engine_call("start", "not_found", 0.1)
    metrics.engine_call("teleport", "maybe", 40.0)
    metrics.heard("die")
    metrics.heard("exec_start")
    metrics.duplicate()
    metrics.reconnected()
    metrics.state_failed()
    metrics.observe_loop_lag(0.003)
    told = nonzero(
        [line for line in samples(metrics) if line.startswith(("engine_call", "event", "state", "loop_lag"))]
    )
    assert [line for line in told if "bucket" not in line] == [
        "events_total{type=die} 1",
        "events_total{type=other} 1",
        "events_duplicate_total 1",
        "event_stream_reconnects_total 1",
        "engine_calls_total{operation=start,outcome=ok} 1",
        "engine_calls_total{operation=start,outcome=not_found} 1",
        "engine_calls_total{operation=other,outcome=other} 1",
        "state_file_errors_total 1",
        "loop_lag_seconds_count 1",
        "loop_lag_seconds_sum 0.003",
        "engine_call_seconds_count{operation=start} 2",
        "engine_call_seconds_sum{operation=start} 0.3",
        "engine_call_seconds_count{operation=other} 1",
        "engine_call_seconds_sum{operation=other} 40",
    ]


def test_closed_sets_are_those_of_the_shell() -> None:
    """The stream's kinds are the actions that we ask for, the operations those of the adapter, the outcomes ours."""
    assert (*ACTIONS, "other") == catalog.EVENTS
    adapter = (ROOT / "supervisor/engine/docker.py").read_text()
    called = re.findall(r'self\.(?:_calls\.order|_calls\.act|_on_call|_end)\("(\w+)"', adapter)
    assert {*called, "other"} == set(catalog.OPERATIONS)
    assert catalog.OUTCOMES[:2] == ("ok", BARRED)
    assert catalog.OUTCOMES[2:] == tuple(failure.name.lower() for failure in Failure)


def test_restarts_outlive_the_supervisor() -> None:
    """What `counted` gives, `restore` takes; the sum goes on from there."""
    watched = Watched(Story.of(spec("console")))
    watched.connect("console")
    watched.died("console")
    watched.started("console")
    kept = watched.metrics.counted()
    assert kept == {"restarts": {"console": {"exit": 1}}}
    later = Watched(Story.of(spec("console")))
    later.metrics.restore(kept)
    later.connect("console")
    later.died("console")
    later.started("console")
    assert nonzero(later.scrape("unit_restarts_total")) == ["unit_restarts_total{unit=console,reason=exit} 2"]
    assert later.metrics.counted() == {"restarts": {"console": {"exit": 2}}}


@pytest.mark.parametrize(
    "kept",
    [{}, {"restarts": []}, {"restarts": {"console": 3}}, {"restarts": {"console": {"exit": "2", "oom": -1, "x": 1}}}],
)
def test_nonsense_is_not_restored(kept: dict[str, object]) -> None:
    """A state file that somebody edited does not keep a host down."""
    watched = Watched(Story.of(spec("console")))
    watched.metrics.restore(kept)
    assert nonzero(watched.scrape("unit_restarts_total")) == []


def test_restarts_of_units_long_gone_are_forgotten() -> None:
    """The state file does not grow with each unit that ever was."""
    watched = Watched(Story.of(spec("console")))
    watched.metrics.restore({"restarts": {"console": {"oom": 1}, "gone": {"exit": 4}}})
    assert watched.metrics.counted() == {"restarts": {"console": {"oom": 1}}}


def test_timestamps_hold_still() -> None:
    """Two clocks read one after the other part by microseconds: no change. A clock that was set is one."""
    story = Story.of(spec("console"))
    drift = [0.0]
    metrics = Metrics(
        wall=lambda: EPOCH,
        now=lambda: 0.0,
        world=lambda: story.world,
        to_wall=lambda instant: EPOCH + drift[0] + instant,
    )

    def stamp() -> str:
        return next(line for line in samples(metrics) if line.startswith("unit_last_transition"))

    assert stamp().endswith(" 1700000100")
    drift[0] = 0.02
    assert stamp().endswith(" 1700000100")
    drift[0] = 3600
    assert stamp().endswith(" 1700003700")


def test_labels_are_escaped() -> None:
    """An image may be called anything; the page can still be read."""
    story = Story.of(replace(spec("console"), image='a"b\\c\nd'))
    (info,) = (line for line in samples(Watched(story).metrics) if line.startswith("unit_info"))
    assert 'image=a"b\\c\nd,' in info


def test_an_event_costs_little() -> None:
    """Some 36 calls for a death with its restart (5 µs on a good machine)."""
    story = Story.of(spec("console"))
    watched = Watched(story)
    watched.connect("console")
    event = fact.ContainerDied(UnitName("console"), story.id("console"), 1)
    moment = Moment(Instant(story.now), 0.5, "c", story.seq)
    reaction = react(story.world, event, moment)
    entry = Entry(event, "c", Instant(story.now), 1)
    assert reaction.transitions
    watched.metrics.observe(entry, moment, reaction)
    with Counted() as counted:
        watched.metrics.observe(entry, moment, reaction)
    assert 0 < counted.calls <= 45
