"""Ends what lives of a run that its engine has lost, as this machine's ``/proc`` shows it.

An engine that was killed together with its containerd may say that a container ended, and refuse to start it, while its
processes live (20.10: ``id already in use``).
"""

import asyncio
import contextlib
import os
import select
import signal as signals
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from supervisor.engine.processes import PROC, is_of
from units.records import dataclass
from units.spec import ContainerId


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the processes of a container."""

    ended: int
    stayed: int


TICK: Final = 0.1
"""Seconds between two looks at what is to end."""
LAST: Final = 5.0
"""Seconds that the kernel has for a SIGKILL."""


async def end_of(container: ContainerId, sign: int, patience: float, proc: Path = PROC) -> Ended:
    """End all processes of a container. Its first one gets ``sign``, all get SIGKILL ``patience`` seconds later.

    Only where it is certainly one of this container's (by its cgroup), and never through a number that was reused.
    """
    found = await asyncio.to_thread(_held, container, proc)
    try:
        if first := _first_of(found, proc):
            _send(found[first], sign)
        await _wait_for(found, patience)
        for held in _living(found):
            _send(held, signals.SIGKILL)
        await _wait_for(found, LAST)
        stayed = len(_living(found))
        return Ended(len(found) - stayed, stayed)
    finally:
        for held in found.values():
            os.close(held)


async def _wait_for(found: dict[int, int], patience: float) -> None:
    """Until all have ended, or for that long."""
    for _ in range(round(patience / TICK)):
        if not _living(found):
            return
        await asyncio.sleep(TICK)


def _held(container: ContainerId, proc: Path) -> dict[int, int]:
    """The processes of a container, each by a descriptor that means it and no successor of its number."""
    found: dict[int, int] = {}
    for entry in proc.iterdir():
        if not entry.name.isdecimal() or not is_of(pid := int(entry.name), container, proc):
            continue
        try:
            found[pid] = os.pidfd_open(pid)
        except OSError:
            continue
        if not is_of(pid, container, proc):
            os.close(found.pop(pid))
    return found


def _first_of(found: Iterable[int], proc: Path) -> int:
    """The one that is the first in its own pid namespace, else the oldest; 0 if there is none."""
    return min(found, key=lambda pid: (_number_within(pid, proc), pid), default=0)


def _number_within(pid: int, proc: Path) -> int:
    try:
        lines = (proc / str(pid) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return pid
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), pid)


def _living(found: dict[int, int]) -> list[int]:
    """Descriptors of those that have not ended: one that has can be read."""
    poll = select.poll()
    for held in found.values():
        poll.register(held, select.POLLIN)
    over = {held for held, _ in poll.poll(0)}
    return [held for held in found.values() if held not in over]


def _send(held: int, sign: int) -> None:
    with contextlib.suppress(OSError):  # It has ended, or is not ours to end.
        signals.pidfd_send_signal(held, sign)
