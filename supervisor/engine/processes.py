"""Whether the main process of a running container lives, as this machine's ``/proc`` shows it.

An engine learns of an end from its containerd. One that ends while containerd is away is never told of: dockerd 26.1
then says ``running`` for ever, with the pid of a process that is gone (20.10 finds it out after some 15 s). Only where
the engine's pids are this machine's can that be seen: once a process was found that is certainly a container's.
"""

import os
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
