"""What a dead dockerd leaves has an owner: it is ended before the next start, and before the host goes down."""

import asyncio
import itertools
import json
import os
import signal as signals
from pathlib import Path
from typing import Any

import pytest

from supervisor.dockerd import clearing
from supervisor.dockerd.clearing import Clearing
from supervisor.dockerd.command_line import USER_DOCKER as DEFAULTS
from supervisor.dockerd.command_line import plan
from supervisor.dockerd.left_behind import Container, Left, Process, described, keeps_running, lair_of, serves
from supervisor.dockerd.obstacles import remove_pidfiles
from supervisor.dockerd.run_files import ProcessRecord, RunFiles
from tests.pure.story import Story
from tests.simulation.running import SILENT
from units import events as fact
from units.commands import ClearLeft
from units.health import Health
from units.quantities import Seconds
from units.spec import (
    CONSOLE,
    PROCESS,
    USER_DOCKER,
    ContainerId,
    Kind,
    Place,
    Policy,
    RestartPolicy,
    StopPolicy,
    UnitSpec,
)
from units.tables.storage import placed
from units.unit import Failure, StoppedBy

CONTEXT = UnitSpec(CONSOLE, Kind.CONSOLE, "image", "{}", "h1", (), RestartPolicy(Policy.ALWAYS), variant="default")
DOCKER = placed(
    UnitSpec(
        USER_DOCKER,
        Kind.USER_DOCKER,
        "",
        "{}",
        "h1",
        (),
        RestartPolicy(Policy.ALWAYS),
        pull=False,
        stop=StopPolicy(timeout=Seconds(30)),
        deadline=Seconds(60),
    ),
    CONSOLE,
)
PLACE = Place(CONSOLE, ContainerId("console-1"), "")


def serving() -> Story:
    story = Story.of(CONTEXT, DOCKER)
    story.connect()
    story.up("console")
    story.feed(fact.ContainerCreated(USER_DOCKER, PROCESS, "h1"))
    story.feed(fact.HealthReported(USER_DOCKER, PROCESS, Health.STARTING))
    cleared(story)
    serve(story)
    return story.later(60)


def serve(story: Story) -> None:
    story.feed(fact.ContainerStarted(USER_DOCKER, PROCESS))
    story.feed(fact.HealthReported(USER_DOCKER, PROCESS, Health.HEALTHY))


def cleared(story: Story) -> str:
    return story.feed(fact.LeftCleared(USER_DOCKER))


def killed(story: Story) -> str:
    return story.feed(fact.ContainerDied(USER_DOCKER, PROCESS, 137))


def ordered(story: Story) -> list[ClearLeft]:
    assert story.last is not None
    return [one for one in story.last.commands if isinstance(one, ClearLeft)]


def in_backoff() -> Story:
    story = serving()
    killed(story)
    cleared(story)
    story.feed(fact.ContainerStarted(USER_DOCKER, PROCESS))
    assert "user-docker: running -> backoff" in killed(story.later(1))
    return story


def test_no_dockerd_is_started_over_what_the_last_one_left() -> None:
    """First what is left is ended; the start follows from that."""
    story = serving()
    assert "user-docker: ready -> clearing" in killed(story)
    assert ordered(story) == [ClearLeft(USER_DOCKER, PLACE, Seconds(30), everything=False)]
    assert "user-docker: clearing -> starting\nstart user-docker" in cleared(story)


def test_a_host_that_goes_down_ends_what_a_dead_dockerd_left() -> None:
    """Also what a dockerd with live-restore would have taken up; the shutdown waits, and no start follows."""
    story = in_backoff()
    story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert story.phases()["user-docker"] == "clearing"
    assert [one.everything for one in ordered(story)] == [True]
    assert story.phases()["console"] == "draining"
    assert "user-docker: clearing -> inactive" in cleared(story)
    assert story.phases()["console"] == "stopping"


def test_a_hurried_shutdown_gives_what_is_left_no_more_time() -> None:
    """The order is given again, with a grace of nothing."""
    story = in_backoff()
    story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    story.feed(fact.ShutdownHurried("SIGTERM"))
    assert [one.grace for one in ordered(story)] == [Seconds(0)]
    assert story.phases()["user-docker"] == "clearing"


def test_a_person_s_stop_in_backoff_leaves_nothing_unowned() -> None:
    """It is cleared, and then inactive for a person's sake."""
    story = in_backoff()
    assert "user-docker: backoff -> clearing" in story.feed(fact.StopAsked(USER_DOCKER, 1))
    assert "user-docker: clearing -> inactive" in cleared(story)
    assert story.unit("user-docker").stopped_by is StoppedBy.PERSON


def test_a_dockerd_that_had_to_be_killed_is_cleared_after_too() -> None:
    """Its stop is over when what it left has ended."""
    story = serving()
    story.feed(fact.StopAsked(USER_DOCKER, 1))
    assert "user-docker: stopping -> clearing" in killed(story)
    assert "user-docker: clearing -> inactive" in cleared(story)


def test_what_cannot_be_ended_is_told_and_tried_again() -> None:
    """Before a start it is a failed try; at the end it is what the unit says."""
    story = serving()
    killed(story)
    told = fact.ClearFailed(USER_DOCKER, Failure.OTHER, "1 containers (db) are still running")
    assert "user-docker: clearing -> backoff" in story.feed(told)
    assert "1 containers (db) are still running" in story.unit("user-docker").reason
    story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert "user-docker: clearing -> failed" in story.feed(told)
    assert story.unit("user-docker").reason == "1 containers (db) are still running"
    assert story.phases()["console"] == "stopping"


def test_a_start_that_is_asked_while_clearing_follows_it() -> None:
    """And a stop that is asked meanwhile ends there."""
    story = in_backoff()
    story.feed(fact.StopAsked(USER_DOCKER, 1))
    story.feed(fact.StartAsked(USER_DOCKER, 2))
    assert "user-docker: clearing -> starting" in cleared(story)


def test_a_run_that_was_never_ready_is_no_good_run() -> None:
    """Fifteen seconds each, as a dockerd waits for a containerd that is none: each delay is longer than the last."""
    story = serving()
    killed(story)
    for _ in range(10):
        cleared(story)
        story.feed(fact.ContainerStarted(USER_DOCKER, PROCESS))
        assert "user-docker: running -> backoff" in killed(story.later(15))
        story.feed(fact.RetryDue(USER_DOCKER, story.unit("user-docker").token))
    assert story.unit("user-docker").budget.delay == Seconds(60)
    cleared(story)
    serve(story)
    assert "user-docker: ready -> clearing" in killed(story.later(130)), "and a good one ends that"


def test_one_that_does_not_answer_is_not_ready_and_says_why() -> None:
    """Before it is restarted for that, and it may yet answer."""
    story = serving()
    doubt = fact.HealthReported(USER_DOCKER, PROCESS, Health.STARTING, output="its socket /s does not answer")
    assert story.feed(doubt) == "user-docker: ready -> running"
    assert story.unit("user-docker").reason == "not ready: its socket /s does not answer"
    assert story.feed(fact.HealthReported(USER_DOCKER, PROCESS, Health.HEALTHY)) == "user-docker: running -> ready"


# What is ours, and how it ends.

HOW = plan((), (), {}, DEFAULTS)
LAIR = lair_of(HOW)
SHIM = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "user-docker", "-id", "a" * 64, "-address")
OWN = "/var/run/docker/containerd/containerd.sock"
TOML = "/var/run/docker/containerd/containerd.toml"


@pytest.mark.parametrize(
    ("argv", "ours"),
    [
        ((*SHIM, OWN), True),
        ((*SHIM, "/run/containerd/containerd.sock"), True),
        ((*SHIM, "/var/run/system-docker/containerd/containerd.sock"), False),
        ((SHIM[0], "-namespace", "moby", *SHIM[3:], OWN), False),
        (("containerd", "--config", TOML, "--log-level", "info"), True),
        (("containerd", "--config", "/etc/containerd/config.toml"), False),
        (("/usr/bin/containerd",), False),
        (("sh", "-c", f"containerd --config {TOML}"), False),
    ],
)
def test_what_is_ours_is_told_by_words_that_only_our_dockerd_gave(argv: tuple[str, ...], *, ours: bool) -> None:
    """Its exec root and its containerd namespace; a name alone is anybody's."""
    assert serves(Process(os.getpid(), "", argv), LAIR) is ours


@pytest.mark.parametrize(
    ("config", "signal", "patience"),
    [
        ({}, signals.SIGTERM, 10),
        ({"StopSignal": "SIGQUIT", "StopTimeout": 3}, signals.SIGQUIT, 3),
        ({"StopSignal": "usr1", "StopTimeout": 0}, signals.SIGUSR1, 0),
        ({"StopSignal": "SIGRTMIN+3"}, 37, 10),
        ({"StopSignal": "9"}, signals.SIGKILL, 10),
        ({"StopSignal": "SIGWHAT", "StopTimeout": "x"}, signals.SIGTERM, 10),
        ({"StopSignal": ["TERM"], "StopTimeout": -1}, signals.SIGTERM, float("inf")),
    ],
)
def test_a_container_is_ended_as_its_engine_would(
    tmp_path: Path, config: dict[str, object], signal: int, patience: float
) -> None:
    """By its own stop signal, to its main process, in its own time; what cannot be read is as usual."""
    kept = {"Name": "/db", "Config": config, "State": {"Pid": 7}}
    (tmp_path / "config.v2.json").write_text(json.dumps(kept))
    found = (Process(5, "10"), Process(7, "20"))
    assert described("a" * 64, found, tmp_path) == Container("a" * 64, "db", found[1], found, signal, patience)
    (tmp_path / "config.v2.json").write_text("[" * 100_000)
    assert described("a" * 64, found, tmp_path) == Container("a" * 64, "a" * 12, found[0], found)
    assert described("a" * 64, found, None).main is found[0]


def test_live_restore_is_what_the_user_said(tmp_path: Path) -> None:
    """On the command line or in the file of options; else the containers are cleared."""
    assert keeps_running(plan(("--live-restore",), (), {}, DEFAULTS), None)
    assert not keeps_running(plan(("--live-restore=false",), (), {}, DEFAULTS), tmp_path)
    assert not keeps_running(HOW, tmp_path)
    options = tmp_path / "etc/docker/daemon.json"
    options.parent.mkdir(parents=True)
    options.write_text('{"live-restore": true}')
    assert keeps_running(HOW, tmp_path)
    options.write_text('{"live-restore": "yes"')
    assert not keeps_running(HOW, tmp_path)


def test_pid_files_go_when_they_name_somebody_else(tmp_path: Path) -> None:
    """Its own and its containerd's: both would be taken for a living engine's."""
    files = [tmp_path / "var/run/docker.pid", tmp_path / "var/run/docker/containerd/containerd.pid"]
    files[1].parent.mkdir(parents=True)
    for file in files:
        file.write_text("1\n")
    remove_pidfiles(HOW, tmp_path, SILENT)
    assert [file.exists() for file in files] == [False, False]
    remove_pidfiles(HOW, tmp_path, SILENT)


def test_where_it_was_outlives_its_run(tmp_path: Path) -> None:
    """So that a later supervisor, with another configuration, finds what it left."""
    files = RunFiles(tmp_path, SILENT)
    assert files.lair() is None
    record = ProcessRecord(1, "", "c", "console", "", "h1", "/s", LAIR.data_root, LAIR.exec_root, LAIR.namespace)
    files.keep(record)
    assert files.lair() == LAIR
    files.keep_end(record, 137, ())
    assert (files.recorded(), files.lair()) == (None, LAIR)


class Stub:
    """A process that ends when it gets one of these signals."""

    numbers = itertools.count(1)

    def __init__(self, name: str, *ends: int) -> None:
        self.name, self.ends = name, ends
        self.pid = next(self.numbers)
        self.got: list[int] = []
        self.cgroups = ""

    @property
    def alive(self) -> bool:
        return not set(self.ends) & set(self.got)

    def send(self, sign: int) -> None:
        self.got.append(int(sign))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "SERVANTS", 0.05)
    monkeypatch.setattr(clearing, "FIRM", 0.7)


def run(grace: float, containers: dict[str, Any], servants: tuple[Any, ...]) -> Left:
    def look() -> Left:
        living = [
            Container(name, name, one, (one,), signals.SIGTERM, patience)
            for name, (one, patience) in containers.items()
            if one.alive
        ]
        return Left(tuple(living), tuple(one for one in servants if one.alive))

    return asyncio.run(Clearing(look, grace).run())


TERM, KILL = int(signals.SIGTERM), int(signals.SIGKILL)


@pytest.mark.usefixtures("quick")
def test_containers_end_gracefully_then_firmly_and_shims_last() -> None:
    """A shim that lives tells the next engine an exit code; one that dies first takes the container's output away."""
    good, deaf = Stub("db", TERM, KILL), Stub("deaf", KILL)
    shim, containerd = Stub("containerd-shim-runc-v2", KILL), Stub("containerd", TERM, KILL)
    seen: list[bool] = []
    shim.send = lambda sign: (seen.append(good.alive or deaf.alive), shim.got.append(int(sign)))  # type: ignore[method-assign,func-returns-value,assignment]
    left = run(30, {"db": (good, 10), "deaf": (deaf, 0.05)}, (shim, containerd))
    assert not left
    assert (good.got, deaf.got[0], set(deaf.got[1:])) == ([TERM], TERM, {KILL})
    assert (shim.got, containerd.got, seen) == ([KILL], [TERM], [False])


@pytest.mark.usefixtures("quick")
def test_the_grace_bounds_every_container_s_own_time() -> None:
    """What has an hour by its own word has no more than the unit's time."""
    slow = Stub("slow", KILL)
    assert not run(0.05, {"slow": (slow, float("inf"))}, ())
    assert slow.got[0] == TERM
    assert KILL in slow.got


@pytest.mark.usefixtures("quick")
def test_one_that_is_hurried_ends_at_once_and_not_before() -> None:
    """The shutdown's patience is over in the middle of it: SIGKILL, and the time for that to work."""
    slow = Stub("slow", KILL)

    def look() -> Left:
        return Left((Container("c", "c", slow, (slow,), TERM, 60),) if slow.alive else ())  # type: ignore[arg-type]

    async def story() -> Left:
        clearing = Clearing(look, 60)
        run = asyncio.create_task(clearing.run())
        await asyncio.sleep(0.2)
        assert slow.got == [TERM]
        clearing.hurry(0)
        return await asyncio.wait_for(run, 5)

    assert not asyncio.run(story())
    assert slow.got == [TERM, KILL]


@pytest.mark.usefixtures("quick")
def test_what_outlives_its_main_process_gets_no_more_time() -> None:
    """Without a process namespace of its own a container's other processes do not end with the first."""
    main, other = Stub("main", TERM), Stub("other", KILL)

    def look() -> Left:
        living = tuple(one for one in (main, other) if one.alive)
        found: Any = Container("c", "c", living[0], living, TERM, 60) if living else None  # type: ignore[arg-type]
        return Left((found,)) if found else Left()

    assert not asyncio.run(Clearing(look, 60).run())
    assert (main.got, other.got) == ([TERM], [KILL])


@pytest.mark.usefixtures("quick")
def test_what_survives_is_returned_by_name() -> None:
    """Stuck in I/O: SIGKILL does not reach it."""
    left = run(0.0, {"stuck": (Stub("stuck"), 1)}, ())
    assert [one.name for one in left.containers] == ["stuck"]
    assert str(left) == "1 containers (stuck)"
