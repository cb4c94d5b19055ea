"""``dockwarden top``, ``graph`` and ``tree`` as programs, on a terminal and without one."""

import asyncio
import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli.top import ENTER, LEAVE, event_line, frame
from supervisor.views.text import Screen
from tests.bed.engines import REPOSITORY
from tests.harness import Harness, in_thread, short_directory
from tests.pure.story import after, spec

PATIENCE = 90.0
NOW = 1_800_000_000.0


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with short_directory() as path:
        yield path


def row(name: str, state: str = "ready", reason: str = "started") -> dict[str, Any]:
    said = {"kind": "service", "health": "none", "flapping": False, "restarts": 0, "since": None}
    return {"name": name, "state": state, "reason": reason, **said}


def answer(*units: dict[str, Any]) -> dict[str, Any]:
    return {
        "engine": {"up": True, "version": "26.1", "reason": "serving"},
        "supervisor": {"version": "1", "draining": False},
        "console": None,
        "user_docker": None,
        "switch": {"now": None, "last": None},
        "units": list(units),
    }


def plain_screen() -> Screen:
    return Screen(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {})


def test_a_frame_ranks_and_fits() -> None:
    """What needs you is first, no line is wider than the screen, and there are no more lines than it has."""
    units = [row(f"unit-{number:02}", reason="x" * 300) for number in range(40)] + [row("zz", "failed")]
    lines = frame(plain_screen(), answer(*units), ("last words",), (60, 20), NOW)
    assert lines[0] == "▲ 1 unit needs attention: zz has failed"
    assert lines[5].startswith("▲ zz")
    assert len(lines) == 20
    assert max(map(len, lines)) <= 60
    assert lines[-1] == "  and 27 more"


def test_where_there_is_room_the_last_events_stand_at_the_foot() -> None:
    lines = frame(plain_screen(), answer(row("web")), ("one", "two"), (80, 12), NOW)
    assert len(lines) == 12
    assert lines[-2:] == ["one", "two"]


def test_names_cannot_steer_the_terminal() -> None:
    lines = frame(plain_screen(), answer(row("\x1b[2Jweb\u202e", reason="\x07\r\n")), (), (80, 12), NOW)
    assert all(line.isprintable() for line in lines)
    said = event_line({"event": "unit.transition", "unit": "\x1b]0;x\x07", "before": "a", "after": "b", "time": "x"})
    assert said.isprintable()


class Terminal:
    """A program on a pseudo-terminal, and what it has written."""

    def __init__(self, run_dir: Path, *arguments: str, columns: int = 100, rows: int = 30) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.resize(columns, rows)
        command = [sys.executable, "-m", "supervisor", "--run-dir", str(run_dir), *arguments]
        env = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        env.pop("COLUMNS", None)
        env.pop("LINES", None)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=REPOSITORY, env=env, start_new_session=True
        )
        self.written = ""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, holds: Callable[[str], bool]) -> str:
        """Until it holds of what was written since the last time."""
        begun, end = len(self.written), time.monotonic() + PATIENCE
        while not holds(self.written[begun:]):
            assert time.monotonic() < end, self.written[begun:]
            if select.select([self.master], [], [], 0.2)[0]:
                self.written += os.read(self.master, 65536).decode(errors="replace")
        return self.written[begun:]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ended(self) -> int:
        code = self.process.wait(PATIENCE)
        while select.select([self.master], [], [], 0)[0]:
            self.written += os.read(self.master, 65536).decode(errors="replace")
        restored = termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        os.close(self.master)
        assert restored, "the terminal's settings are other ones than before"
        assert self.written.count(ENTER) == self.written.count(LEAVE)
        return code


def watched(run_dir: Path, watch: Callable[[Harness, asyncio.AbstractEventLoop], None]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), Harness(run_dir, spec("web", after("db")), spec("db")) as harness:
            loop = asyncio.get_running_loop()
            await in_thread(lambda: watch(harness, loop))

    asyncio.run(run())


def test_top_follows_and_gives_the_terminal_back(run_dir: Path) -> None:
    """A unit that dies is seen without a key, another size is taken, and q restores the terminal."""

    def watch(harness: Harness, loop: asyncio.AbstractEventLoop) -> None:
        top = Terminal(run_dir, "top")
        first = top.until(lambda text: "q quits" in text)
        assert first.index(ENTER) < first.index("all 2 units are up")
        loop.call_soon_threadsafe(harness.engine.crash, "web", 3)
        top.until(lambda text: "exit code 3" in text)
        top.resize(40, 8)
        shown = top.until(lambda text: text.count("\033[H") >= 2).split("\033[H")[-2]
        assert shown.count("\r\n") == 7
        top.press("q")
        assert top.ended() == 0

    watched(run_dir, watch)


def test_top_says_when_what_it_shows_is_old(run_dir: Path) -> None:
    """The supervisor went: the last state stays, with the reason below it."""

    def watch(harness: Harness, loop: asyncio.AbstractEventLoop) -> None:
        top = Terminal(run_dir, "top")
        top.until(lambda text: "q quits" in text)
        asyncio.run_coroutine_threadsafe(harness.end(), loop).result(PATIENCE)
        shown = top.until(lambda text: "stale: no supervisor answers" in text)
        assert "all 2 units are up" in shown
        top.press("q")
        assert top.ended() == 0

    watched(run_dir, watch)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_top_gives_the_terminal_back_at_any_end(run_dir: Path, sign: signal.Signals) -> None:
    def watch(_harness: Harness, _loop: asyncio.AbstractEventLoop) -> None:
        top = Terminal(run_dir, "top")
        top.until(lambda text: "q quits" in text)
        top.process.send_signal(sign)
        assert top.ended() == 128 + sign

    watched(run_dir, watch)


def test_top_without_a_terminal_is_one_frame(run_dir: Path) -> None:
    """For a pipe and for cron: it prints and ends, with nothing that steers a terminal."""

    def watch(_harness: Harness, _loop: asyncio.AbstractEventLoop) -> None:
        command = [sys.executable, "-m", "supervisor", "--run-dir", str(run_dir)]
        told = subprocess.run(
            [*command, "top"], cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert told.stdout.splitlines()[0] == "● all 2 units are up"
        assert "\033" not in told.stdout

    watched(run_dir, watch)


def test_top_tells_of_no_supervisor_without_taking_the_screen(run_dir: Path) -> None:
    top = Terminal(run_dir, "top")
    assert top.ended() == 3
    assert "no supervisor answers" in top.written
    assert ENTER not in top.written


def test_graph_and_tree_as_commands(run_dir: Path, tmp_path: Path) -> None:
    """The file's name decides the format; a unit that does not exist is told with those that are meant."""

    def ask(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "supervisor", "--run-dir", run_dir, *arguments]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def watch(_harness: Harness, _loop: asyncio.AbstractEventLoop) -> None:
        assert ask("graph").stdout == "● db   ready\n● web  ready  → db (after)\n"
        assert ask("tree").stdout == "● web  ready\n└─ ● db  ready  [after]\n"
        assert ask("graph", "--output", tmp_path / "host.svg").returncode == 0
        assert (tmp_path / "host.svg").read_text().startswith("<svg ")
        assert ask("graph", "--format", "mermaid").stdout.startswith("flowchart LR\n")
        assert ask("graph", "--format", "dot").stdout.startswith("digraph dockwarden {\n")
        failed = ask("graph", "-o", tmp_path / "nowhere" / "host.svg")
        assert (failed.returncode, "choose another --output" in failed.stderr) == (1, True)
        missed = ask("tree", "wep")
        assert (missed.returncode, missed.stderr) == (4, "dockwarden: there is no unit 'wep'; did you mean 'web'?\n")

    watched(run_dir, watch)
