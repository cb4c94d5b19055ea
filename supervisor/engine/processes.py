"""Whether the main process of a running container lives, as this machine's ``/proc`` shows it.

An engine learns of an end from its containerd. One that ends while containerd is away is never told of: dockerd 26.1
then says ``running`` for ever, with the pid of a process that is gone (20.10 finds it out after some 15 s). Only where
the engine's pids are this machine's can that be seen: once a process was found that is certainly a container's.
"""

import asyncio
import contextlib
import os
import select
import signal as signals
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from units.observed import Observed
from units.records import dataclass, replace
from units.spec import ContainerId

GRACE: Final = 20.0
"""Seconds that an engine has to find it out by itself."""
PROC: Final = Path("/proc")
OVER: Final = frozenset("ZXx")
"""States of a process that has ended."""


def lives(pid: int, proc: Path = PROC) -> bool:
    """Whether there is a process with this pid that has not ended."""
    try:
        os.getpriority(os.PRIO_PROCESS, pid)  # That takes no permission, and no look into /proc.
    except ProcessLookupError:
        return False
    try:
        state = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return True  # Hidden from us (``hidepid``), and there all the same.
    return not state or state[0] not in OVER


def is_of(pid: int, container: ContainerId, proc: Path = PROC) -> bool:
    """Whether the process is in the cgroup of this container; false where that cannot be read."""
    try:
        return container in (proc / str(pid) / "cgroup").read_text(errors="replace")
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Missing:
    """A process that is not there, and since when (monotonic seconds)."""

    pid: int
    since: float


class Processes:
    """Remembers the pids of what was inspected.

    Args:
        clock: Monotonic seconds.
        lives: Whether there is a process with this pid that has not ended.
        is_of: Whether it is certainly one of this container's.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        lives: Callable[[int], bool] = lives,
        is_of: Callable[[int, ContainerId], bool] = is_of,
    ) -> None:
        self._clock = clock
        self._lives = lives
        self._is_of = is_of
        self._pids: dict[ContainerId, int] = {}
        self._missing: dict[ContainerId, Missing] = {}
        self._shared: bool | None = None
        """Whether the engine's pids are this machine's; ``None``: no process of a container was looked at so far."""

    def forget(self) -> None:
        """Another engine may answer now."""
        self._pids, self._missing, self._shared = {}, {}, None

    def keep(self, present: Collection[ContainerId]) -> None:
        """Forget those that are gone."""
        self._pids = {container: pid for container, pid in self._pids.items() if container in present}
        self._missing = {container: one for container, one in self._missing.items() if container in present}

    def doubtful(self, listed: Iterable[Observed]) -> tuple[Observed, ...]:
        """The running ones whose process is not known to live: their inspect names it.

        One is enough as long as nobody knows whether pids mean something here.
        """
        found = tuple(one for one in listed if one.running and self._is_doubtful(one.container))
        return found[:1] if self._shared is None else found

    def _is_doubtful(self, container: ContainerId) -> bool:
        if self._shared is False:
            return False
        pid = self._pids.get(container)
        if self._shared is None:
            return pid is None
        return pid is None or not self._lives(pid)

    def checked(self, seen: Observed) -> Observed:
        """The same container; ``lifeless`` if its process has been gone for too long."""
        if seen.hint or not seen.running:
            return seen
        if not seen.pid:
            self._shared = self._shared or False  # This engine tells no pids.
            return seen
        self._pids[seen.container] = seen.pid
        alive = self._lives(seen.pid)
        if not self._shared:  # A process that is gone says nothing of the others.
            self._shared = self._is_of(seen.pid, seen.container) or (False if alive else self._shared)
        if not self._shared or alive:
            self._missing.pop(seen.container, None)
            return seen
        missing = self._missing.get(seen.container)
        if missing is None or missing.pid != seen.pid:
            missing = self._missing[seen.container] = Missing(seen.pid, self._clock())
        return replace(seen, lifeless=self._clock() - missing.since >= GRACE)


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
