"""Lines get to files, to journald and to syslog; none of these can hold up the supervisor or forge a line."""

import array
import errno
import os
import re
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from supervisor.logs.formats import LONGEST_MESSAGE, as_json, for_journald, for_syslog
from supervisor.logs.pipeline import configure_logging
from supervisor.logs.targets import WAITING, Datagrams, FileTarget, LogFile, TargetSpec, parse

STAMP = "2026-01-02T03:04:05.678Z"


def line(event: str = "engine.back", level: str = "info", **said: Any) -> dict[str, Any]:
    return {"timestamp": STAMP, "level": level, "event": event, **said}


# What is asked for.


def test_targets_are_read() -> None:
    """In the order in which they are given; a comma in a path is none of ours."""
    assert parse(["stdout", "file:/a,b.log,size=10K,keep=2", "file:/c", "journald", "syslog:/run/s"]) == (
        TargetSpec("stdout"),
        TargetSpec("file", "/a,b.log", 10240, 2),
        TargetSpec("file", "/c", 10 << 20, 5),
        TargetSpec("journald"),
        TargetSpec("syslog", "/run/s"),
    )


@pytest.mark.parametrize(
    "text",
    ["", "stderr", "file", "file:", "file:,size=1M", "stdout:x", "journald:", "file:/a,size=1", "file:/a,keep=0"],
)
def test_a_target_that_makes_no_sense_is_refused(text: str) -> None:
    """Before anything starts, with what would make sense."""
    with pytest.raises(ValueError, match="--log-target"):
        parse([text])


def test_a_target_is_given_once() -> None:
    """Two that rotate one file would lose half of it."""
    with pytest.raises(ValueError, match="twice"):
        parse(["file:/a", "file:/a,keep=3"])


# Files.


def test_a_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    """At a line's end, the youngest of the older ones is .1, and no more are kept than were asked for."""
    file = LogFile(tmp_path / "log", size=4096, keep=2)
    for number in range(400):
        file.write(b"%06d %s\n" % (number, b"x" * 92))
    file.close()
    found = {path.name: path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert sorted(found) == ["log", "log.1", "log.2"]
    numbers = [int(text[:6]) for name in ("log.2", "log.1", "log") for text in found[name]]
    assert numbers == list(range(numbers[0], 400))
    assert all(path.stat().st_size <= 4096 for path in tmp_path.iterdir())


def test_a_line_larger_than_the_bound_is_written_whole(tmp_path: Path) -> None:
    """In a file of its own."""
    file = LogFile(tmp_path / "log", size=4096, keep=1)
    file.write(b"y" * 9000)
    file.write(b"z" * 9000)
    assert (tmp_path / "log").read_bytes() == b"z" * 9000
    assert (tmp_path / "log.1").read_bytes() == b"y" * 9000
    file.close()


def test_a_file_that_cannot_be_put_aside_grows(tmp_path: Path) -> None:
    """A bound is worth less than a line."""
    (tmp_path / "log.1" / "in the way").mkdir(parents=True)
    file = LogFile(tmp_path / "log", size=4096, keep=1)
    for _ in range(3):
        file.write(b"x" * 4000)
    file.close()
    assert (tmp_path / "log").stat().st_size == 12_000


def test_a_full_disk_costs_whole_lines_only(tmp_path: Path) -> None:
    """Half a line, which fitted, is taken back; when there is room again, lines are written again."""
    file = LogFile(tmp_path / "log", size=1 << 20, keep=1)
    file.write(b"first\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            file.write(b"x" * 300 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    file.write(b"last\n")
    file.close()
    assert (tmp_path / "log").read_bytes() == b"first\nlast\n"


def test_a_file_target_writes_in_order_and_opens_anew_when_asked(tmp_path: Path) -> None:
    """After somebody else moved the file away (logrotate), the next line is in a new one."""
    target = FileTarget("file:log", LogFile(tmp_path / "log", size=1 << 20, keep=1), as_json)
    for number in range(50):
        target.tell(line(n=number))
    target.flush(10)
    (tmp_path / "log").rename(tmp_path / "log.old")
    target.reopen()
    target.tell(line(n=50))
    target.flush(10)
    numbers = re.findall('"n":(\\d+)', (tmp_path / "log.old").read_text())
    assert numbers == [str(number) for number in range(50)]
    assert (tmp_path / "log").read_text() == as_json(line(n=50)) + "\n"
    assert (target.newly_lost(), target.trouble) == (0, "")


def test_a_folder_that_is_not_there_is_trouble_until_it_is(tmp_path: Path) -> None:
    """Its lines are lost, and counted; nothing else happens."""
    target = FileTarget("file:log", LogFile(tmp_path / "none" / "log", size=1 << 20, keep=1), as_json)
    target.tell(line())
    target.flush(10)
    assert target.trouble == os.strerror(errno.ENOENT)
    (tmp_path / "none").mkdir()
    target.tell(line())
    target.flush(10)
    assert (target.newly_lost(), target.trouble) == (1, "")


def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    """Lines wait, up to a bound; the rest is counted. Here the disk is a pipe that nobody reads."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    target = FileTarget("file:log", LogFile(tmp_path / "log", size=1 << 20, keep=1), as_json)
    for _ in range(3 * WAITING):
        target.tell(line(reason="x" * 100))
    assert target.newly_lost() >= 0
    os.close(reader)


# Sockets.


class Daemon:
    """Who listens on a datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def read(self) -> list[bytes]:
        """All that has come."""
        got: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                data, passed, _flags, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
                got.append(_content(passed) if passed else data)
        return got

    def close(self) -> None:
        self.socket.close()
        self.path.unlink()


@pytest.fixture
def datagrams() -> Iterator[Callable[[Path, Callable[[Any], bytes]], Datagrams]]:
    """Makes targets, and closes them at the end."""
    made: list[Datagrams] = []

    def make(path: Path, encode: Callable[[Any], bytes]) -> Datagrams:
        made.append(Datagrams("daemon", str(path), encode))
        return made[-1]

    yield make
    for target in made:
        target.reopen()


Make = Callable[[Path, Callable[[Any], bytes]], Datagrams]


def _content(passed: list[tuple[int, int, bytes]]) -> bytes:
    (fd,) = array.array("i", passed[0][2])
    try:
        return os.pread(fd, 1 << 22, 0)
    finally:
        os.close(fd)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "s")
    yield daemon
    with suppress(OSError):
        daemon.close()


def test_journald_gets_fields(daemon: Daemon, datagrams: Make) -> None:
    """By which journalctl can search; several lines are sent with their length, so that none is taken for a field."""
    target = datagrams(daemon.path, for_journald)
    target.tell(line("unit.transition", "warning", unit="console", cause="b-1", reason="a\nUNIT=forged"))
    (got,) = daemon.read()
    forged = b"a\nUNIT=forged"
    assert got == (
        b'MESSAGE=unit.transition unit=console cause=b-1 reason="a\\nUNIT=forged"\n'
        b"PRIORITY=4\nSYSLOG_IDENTIFIER=dockwarden\nDOCKWARDEN_EVENT=unit.transition\nUNIT=console\n"
        b"DOCKWARDEN_UNIT=console\nDOCKWARDEN_CAUSE=b-1\n"
        b"DOCKWARDEN_REASON\n" + len(forged).to_bytes(8, "little") + forged + b"\n"
    )


def test_a_line_too_long_for_a_datagram_is_passed_as_a_file(daemon: Daemon, datagrams: Make) -> None:
    """As journald wants it."""
    target = datagrams(daemon.path, for_journald)
    target.tell(line(output="x" * 1_000_000))
    (got,) = daemon.read()
    assert got == for_journald(line(output="x" * 1_000_000))
    assert target.newly_lost() == 0


def test_a_daemon_that_does_not_read_holds_up_nobody(daemon: Daemon, datagrams: Make) -> None:
    """What does not fit waits, up to a bound; the rest is counted; what comes is whole and in order."""
    target = datagrams(daemon.path, lambda one: str(one["n"]).encode())
    for number in range(2 * WAITING):
        target.tell(line(n=number))
    assert target.behind == WAITING
    assert target.newly_lost() == 0
    got: list[int] = []
    while more := daemon.read():
        got += map(int, more)
        target.flush()
    assert got == list(range(len(got)))
    assert len(got) + target.newly_lost() == 2 * WAITING
    assert target.trouble == ""


def test_a_daemon_that_comes_later_gets_what_waited(tmp_path: Path, datagrams: Make) -> None:
    """On this kind of host syslog is a container, too."""
    target = datagrams(tmp_path / "s", as_bytes)
    target.tell(line(n=1))
    target.tell(line(n=2))
    assert "No such file" in target.trouble
    daemon = Daemon(tmp_path / "s")
    target.flush()
    assert (len(daemon.read()), target.trouble) == (2, "")
    daemon.close()


def test_a_daemon_that_is_started_anew_is_found_again(daemon: Daemon, datagrams: Make) -> None:
    """Its socket has the same name and is another one."""
    target = datagrams(daemon.path, as_bytes)
    target.tell(line(n=1))
    daemon.close()
    second = Daemon(daemon.path)
    target.tell(line(n=2))
    assert second.read() == [as_bytes(line(n=2))]
    second.close()


def as_bytes(one: Any) -> bytes:
    return as_json(one).encode()


def test_syslog_gets_rfc_5424() -> None:
    """Priority of the facility daemon, the event as MSGID, the keys as one element, escaped as it wants."""
    told = for_syslog(line("unit.transition", "warning", unit="console", reason='a "b" ]\\ \x1bc'), "host", 7)
    assert told == (
        rb"<28>1 2026-01-02T03:04:05.678Z host dockwarden 7 unit.transition "
        rb'[dockwarden@32473 unit="console" reason="a \"b\" \]\\\\ \\u001bc"] '
        rb'unit.transition unit=console reason="a \"b\" ]\\ \u001bc"'
    )


def test_a_long_syslog_message_stays_one() -> None:
    """It is cut; an element that would be cut in its middle is left out."""
    told = for_syslog(line(output="x" * 100_000), "host", 7)
    assert len(told) == LONGEST_MESSAGE
    assert told.startswith(b"<30>1 2026-01-02T03:04:05.678Z host dockwarden 7 engine.back - engine.back output=xxx")


# All together.


@pytest.fixture
def _plain_structlog() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_plain_structlog")
def test_each_target_gets_each_line_and_a_failed_one_is_told(
    tmp_path: Path, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever still gets lines reads that another one does not, and again when it does."""
    wanted = parse(["stdout", f"file:{tmp_path}/log", f"journald:{daemon.path}", f"syslog:{tmp_path}/later"])
    pipeline = configure_logging("json", "info", targets=wanted)
    log = structlog.get_logger()
    log.info("engine.back", version="28")
    pipeline.tend(log)
    later = Daemon(tmp_path / "later")
    pipeline.tend(log)
    pipeline.flush(10)
    out = capsys.readouterr().out
    assert re.findall('"event":"([^"]+)"', out) == ["engine.back", "log.target-failed", "log.target-back"]
    assert (tmp_path / "log").read_text() == out
    assert [len(daemon.read()), len(later.read())] == [3, 3]
    later.close()
    pipeline.reopen()
