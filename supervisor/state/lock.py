"""The locks of a supervisor: at most one uses a run directory, a state directory, and an engine."""

import contextlib
import fcntl
import os
import shlex
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.os_errors import cannot
from supervisor.state.paths import PID_FILE, STATE_LOCK

NOTIFY = "--notify-"
"""How options begin whose values are not written down."""
HIDDEN = "[redacted]"


class LockError(Exception):
    """The lock cannot be taken; the text says why and what to do."""


class LockHeld(LockError):  # noqa: N818 - says what is the case, as the operator reads it
    """Another supervisor has it. ``pid`` is 0 when it is not yet written, or not to be seen from here."""

    def __init__(self, pid: int, command: str, what: Path | str, elsewhere: str) -> None:
        who = (f"pid {pid}, {command!r}" if command else f"pid {pid}") if pid else "starting"
        super().__init__(f"another supervisor ({who}) uses {what}; stop it or choose another {elsewhere}")
        self.pid = pid
        self.command = command


class RunLock:
    """An exclusive ``flock`` on a file of a directory, which the kernel frees however its holder ends.

    ``option``: with which another directory is chosen. The file stays when the lock is released: if it were removed,
    two supervisors could hold "the" lock, one on the removed file and one on its successor.
    """

    def __init__(self, run_dir: Path, command: Sequence[str] | None = None, option: str = "--run-dir") -> None:
        self.run_dir = run_dir
        self.path = run_dir / (PID_FILE if option == "--run-dir" else STATE_LOCK)
        self._option = option
        self._command = shlex.join(_without_secrets(sys.orig_argv if command is None else command))
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock, creating the directory (0755) if need be.

        Raises:
            LockHeld: another supervisor has it.
            LockError: the directory cannot be created or written.
        """
        if self._fd >= 0:
            return
        try:
            self._fd = self._lock()
        except OSError as error:
            raise LockError(_way_out(error, self.run_dir, self._option)) from error
        with contextlib.suppress(OSError):  # On a full disk it is held all the same.
            self._tell()

    def _lock(self) -> int:
        self.run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        # os.open sets O_CLOEXEC: a dockerd that inherited the file would hold the lock after our death.
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, command = _holder(fd)
            os.close(fd)
            raise LockHeld(pid, command, self.run_dir, self._option) from None
        except OSError:
            os.close(fd)
            raise
        return fd

    def _tell(self) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n{self._command}\n".encode(errors="surrogateescape"), 0)

    def release(self) -> None:
        """Release it; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _without_secrets(command: Sequence[str]) -> list[str]:
    """Everybody may read these files, and the address of a notice is often a secret."""
    shown: list[str] = []
    hidden = False
    for word in command:
        option, equals, _ = word.partition("=")
        shown.append(HIDDEN if hidden else f"{option}={HIDDEN}" if equals and option.startswith(NOTIFY) else word)
        hidden = word.startswith(NOTIFY) and not equals
    return shown


def _holder(fd: int) -> tuple[int, str]:
    pid, _, command = os.pread(fd, 4096, 0).decode(errors="replace").partition("\n")
    return (int(pid), command.strip()) if pid.isdecimal() else (0, "")


def _way_out(error: OSError, directory: Path, option: str) -> str:
    what = option.removeprefix("--").removesuffix("-dir")
    return cannot(f"use {directory} as the {what} directory", error, f"choose another {option}")


@contextlib.contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """While it is open no other supervisor writes these files. A directory that takes no lock has nothing to guard.

    Raises:
        LockHeld: another supervisor has it.
    """
    lock = RunLock(state_dir, option="--state-dir")
    try:
        lock.acquire()
    except LockHeld:
        raise
    except LockError:
        pass  # It cannot be written: that is told by who tries to.
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def engine_lock(url: str) -> Iterator[None]:
    """While it is open no other supervisor manages the units of this engine, whatever its directories are.

    A name in the kernel, not a file: it needs no permission, is freed however its holder ends, and tells who that is.
    It is seen in our network namespace only.

    Raises:
        LockHeld: another supervisor has it.
    """
    name = f"\0dockwarden-engine:{_place(url)}".encode()[:LONGEST_NAME]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        try:
            lock.bind(name)
            lock.listen()
        except OSError:
            pid, uid = _listener(name)
            if uid in {0, os.geteuid()}:  # Else a stranger has taken the name, to keep us from our work.
                raise LockHeld(pid, _command(pid), f"the engine {url}", "--engine") from None
        yield


LONGEST_NAME = 108
"""Bytes of a socket's address."""
NOBODY = -1


def _place(url: str) -> str:
    path = url.removeprefix("unix://")
    return url if path == url else os.path.realpath(path)


def _listener(name: bytes) -> tuple[int, int]:
    """Process and user that listen there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return 0, NOBODY
    pid, uid, _ = struct.unpack("3i", told)
    return pid, uid


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    return shlex.join(_without_secrets([word for word in words if word]))
