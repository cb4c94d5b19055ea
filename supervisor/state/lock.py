"""The lock of a run directory: at most one supervisor manages the units of a host."""

import fcntl
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.os_errors import cannot
from supervisor.state.paths import PID_FILE


class LockError(Exception):
    """The lock cannot be taken; the text says why and what to do."""


class LockHeld(LockError):  # noqa: N818 - says what is the case, as the operator reads it
    """Another supervisor has it. ``pid`` is 0 when it is not yet written."""

    def __init__(self, pid: int, command: str, run_dir: Path) -> None:
        who = f"pid {pid}, {command!r}" if pid else "starting"
        super().__init__(f"another supervisor ({who}) uses {run_dir}; stop it or choose another --run-dir")
        self.pid = pid
        self.command = command


class RunLock:
    """An exclusive ``flock`` on the pid file of ``run_dir``, which the kernel frees however its holder ends.

    The file stays when the lock is released: if it were removed, two supervisors could hold "the" lock, one on
    the removed file and one on its successor.
    """

    def __init__(self, run_dir: Path, command: Sequence[str] | None = None) -> None:
        self.run_dir = run_dir
        self.path = run_dir / PID_FILE
        self._command = shlex.join(sys.orig_argv if command is None else command)
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
            self._tell()
        except OSError as error:
            self.release()
            raise LockError(_way_out(error, self.run_dir)) from error

    def _lock(self) -> int:
        self.run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        # os.open sets O_CLOEXEC: a dockerd that inherited the file would hold the lock after our death.
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, command = _holder(fd)
            os.close(fd)
            raise LockHeld(pid, command, self.run_dir) from None
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


def _holder(fd: int) -> tuple[int, str]:
    pid, _, command = os.pread(fd, 4096, 0).decode(errors="replace").partition("\n")
    return (int(pid), command.strip()) if pid.isdecimal() else (0, "")


def _way_out(error: OSError, run_dir: Path) -> str:
    return cannot(f"use {run_dir} as the run directory", error, "choose another --run-dir")
