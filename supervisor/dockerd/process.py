"""One dockerd process: adopted or started, watched by its pidfd, reaped if it is a child. It may outlive us."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from supervisor.logs.known_secrets import conceal

LAST_LINES = 20


class Daemon:
    """A living dockerd, our child or not, held by a pidfd: no signal can reach a successor of its pid.

    Create it in a running event loop. Only this process is reaped, no other child.
    """

    def __init__(self, pid: int, *, adopted: bool, log_from: int = 0) -> None:
        self.pid = pid
        self.adopted = adopted
        self.log_from = log_from
        """Where its lines begin in the log; 0 when unknown."""
        self._fd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int | None] = self._loop.create_future()
        """Its exit code, negative for a signal; ``None`` when it is another's child."""
        self._loop.add_reader(self._fd, self._end)

    def _end(self) -> None:
        code = reap(self._fd)
        self.release()
        self.exited.set_result(code)

    def send(self, sign: signal.Signals) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, sign)

    def release(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


def describe_exit(code: int | None) -> str:
    if code is None:
        return "ended (exit code unknown: not a child of this supervisor)"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"


def reap(pidfd: int) -> int | None:
    try:
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def spawn_detached(binary: str, argv: Sequence[str], environment: Mapping[str, str], log: int) -> int:
    """Start a program in its own session, so that it survives the supervisor and its terminal."""
    return os.posix_spawn(
        binary,
        tuple(argv),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    )


def pid_in(pidfile: Path) -> int | None:
    try:
        text = pidfile.read_text(errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def dockerd_command(pid: int, binary: str) -> list[str]:
    """The words of a living dockerd's command line; empty for another program, a dead one, or a zombie."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    # The kernel keeps 15 characters of a program's name.
    known = {"dockerd", Path(binary).name[:15]}
    return [word.decode(errors="replace") for word in line.split(b"\0")[:-1]] if name in known else []


def started_at(pid: int) -> str:
    """A process's start time as the kernel counts it; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def age(pid: int) -> float:
    """Seconds that a process has been running; 0 for one that is gone."""
    ticks = started_at(pid)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return max(0.0, now - int(ticks) / os.sysconf("SC_CLK_TCK")) if ticks.isdecimal() else 0.0


def last_lines(path: Path, start: int) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(min(start, size), size - 16 * 1024))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(conceal(line) for line in text.splitlines()[-LAST_LINES:])  # It quotes its arguments.


def last_words(output: Sequence[str]) -> str:
    """What an engine said last, without the trimmings of its log: two lines, for the last one is often advice."""
    spoken = (re.search(r'msg="((?:[^"\\]|\\.)*)"', line) for line in output[-2:])
    texts = [found[1] if found else line for found, line in zip(spoken, output[-2:], strict=True)]
    return "; ".join(text.strip().rstrip(".")[:160] for text in texts if text.strip())


LOG_LIMIT = 10 * 1024 * 1024


def open_log(path: Path, complain: Callable[[OSError], None]) -> int:
    """Open a daemon's log for its next run. A full disk must not keep the daemon down: then it runs without."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        complain(error)
        return os.open(os.devnull, os.O_WRONLY)


def unmount_namespace(path: Path) -> None:
    """Detach all namespace files that are mounted at ``path``."""
    target = str(path.resolve()).replace(" ", r"\040")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, _, kind = line.partition(" - ")
        if place.split(" ")[4] == target and kind.startswith("nsfs "):
            import ctypes  # noqa: PLC0415 - the only use of half a megabyte

            libc = ctypes.CDLL(None, use_errno=True)
            detach = 2  # MNT_DETACH
            if libc.umount2(os.fsencode(path), detach):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
