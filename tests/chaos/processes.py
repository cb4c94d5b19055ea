"""Processes of a bed as the machine sees them: who they are is read from their command lines."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

GONE_WITHIN = 30.0
LOOK_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.command[0]).name

    def program(self) -> str:
        """Where its program lies, in its own file system."""
        return str(Path(f"/proc/{self.pid}/exe").readlink())

    def is_first(self) -> bool:
        """Whether it is the first one in a pid namespace: the main process of a container."""
        return self.inner() == 1

    def inner(self) -> int:
        """Its number in the innermost pid namespace that it is in; 0 when it has gone."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("NSpid:"):
                    return int(line.split()[-1])
        return 0


def all_processes() -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{entry.name}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                if command and command[0]:
                    yield Process(int(entry.name), tuple(command))


def those(holds: Callable[[Process], bool]) -> list[Process]:
    return [process for process in all_processes() if holds(process)]


def children(process: Process) -> list[int]:
    """The pids of those that it started or took over."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def takes(process: Process, sign: signal.Signals) -> bool:
    """Whether it survives this signal: it has a handler, holds it back, or ignores it. False for one that is gone."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk:", "SigIgn:", "SigCgt:"))]
    return any(mask >> (sign - 1) & 1 for mask in masks)


def send(process: Process, sign: signal.Signals) -> bool:
    """Whether it was there to be signalled: the same one, not another with its number."""
    try:
        held = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        told = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        if tuple(told) != process.command:
            return False
        signal.pidfd_send_signal(held, sign)
    except (ProcessLookupError, FileNotFoundError):
        return False
    finally:
        os.close(held)
    return True


def killed(process: Process) -> bool:
    """Kill it, and wait until it is gone."""
    if not send(process, signal.SIGKILL):
        return False
    until = time.monotonic() + GONE_WITHIN
    while time.monotonic() < until and _lives(process):
        time.sleep(LOOK_PAUSE)
    return True


def _lives(process: Process) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process.pid}/cmdline").read_bytes() != b""
    return False


def in_namespace(member: int, holds: Callable[[Process], bool]) -> list[Process]:
    """Those of the pid namespace that this process is in."""
    wanted = _namespace(member)
    return [one for one in those(holds) if _namespace(one.pid) == wanted]


def _namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""
