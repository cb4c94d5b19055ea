"""What systemd is told, and that nobody is told anything without it."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from supervisor.runtime.sd_notify import READY_ANYWAY, Systemd, in_short
from tests.pure.story import Story, seen, spec
from units import events as fact
from units.machine import Moment
from units.quantities import Instant
from units.unit import Phase
from units.world import Entry

PID = os.getpid()


class Manager:
    """Where systemd would listen."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        told = []
        while True:
            try:
                told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    found = Manager(str(tmp_path / "n") if request.param == "path" else f"@dockwarden-test-{PID}")
    yield found
    found.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def see(systemd: Systemd, story: Story) -> None:
    assert story.last is not None
    systemd.observe(Entry(fact.EngineLost(""), "c", Instant(0)), Moment(Instant(0), 0.0, "c"), story.last)


def test_ready_with_the_engine_and_then_a_line_of_status(manager: Manager) -> None:
    clock, story = Clock(), Story.of(spec("db"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.address}, clock, PID)
    story.feed(fact.EngineBack("26.1"))
    see(systemd, story)
    assert manager.heard() == []
    story.connect(seen("db"))
    see(systemd, story)
    see(systemd, story)
    systemd.beat(story.world)
    systemd.beat(story.world)
    assert manager.heard() == ["READY=1", "STATUS=1 of 1 units up"]


def test_ready_anyway_when_the_engine_does_not_come(manager: Manager) -> None:
    clock, story = Clock(), Story.of(spec("db"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.address}, clock, PID)
    clock.now = READY_ANYWAY
    systemd.beat(story.world)
    assert manager.heard() == ["READY=1", "STATUS=no engine: not asked yet"]


def test_the_watchdog_is_fed_three_times_as_often_as_it_wants(manager: Manager) -> None:
    clock, story = Clock(), Story.of(spec("db"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "9000000"}, clock, PID)
    for second in range(10):
        clock.now = float(second)
        systemd.beat(story.world)
    assert manager.heard().count("WATCHDOG=1") == 3
    other = Systemd({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}, clock, PID)
    clock.now = 15.0
    other.beat(story.world)
    assert "WATCHDOG=1" not in manager.heard()


def test_a_shutdown_is_told_and_asks_for_time(manager: Manager) -> None:
    story = Story.of(spec("db"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.address}, Clock(), PID)
    world = replace(story.world, draining=True)
    systemd.beat(world)
    systemd.beat(world)
    told = manager.heard()
    assert told[1:] == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000", "EXTEND_TIMEOUT_USEC=15000000"]


def test_nobody_there_is_no_trouble(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, Clock(), PID).beat(Story.of(spec("db")).world)
    Systemd({}, Clock(), PID).beat(Story.of(spec("db")).world)


def test_trouble_is_named() -> None:
    story = Story.of(spec("db"), spec("web"))
    story.connect(seen("db"))
    story.change("web", phase=Phase.FAILED)
    assert in_short(story.world) == "1 of 2 units up; needs attention: web"
