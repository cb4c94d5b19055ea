"""Whether the main process of a running container lives, as this machine's ``/proc`` shows it.

An engine learns of an end from its containerd. One that ends while containerd is away is never told of: dockerd 26.1
then says ``running`` for ever, with the pid of a process that is gone (20.10 finds it out after some 15 s). Only where
the engine's pids are this machine's can that be seen: once a process was found that is certainly a container's.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from units.observed import Observed
from units.records import dataclass, replace
from units.spec import ContainerId

GRACE: Final = 20.0
"""Seconds that an engine has to find it out by itself."""
OVER: Final = frozenset("ZXx")
"""States of a process that has ended."""


def _exists(pid: int) -> bool:
    try:
        os.getpriority(os.PRIO_PROCESS, pid)  # Nobody needs a permission for that, nor a look into /proc.
    except ProcessLookupError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Absence:
    """A process that is not there."""

    pid: int
    since: float


class Processes:
    """Remembers the pids of what was inspected.

    Args:
        clock: Monotonic seconds.
        exists: Whether there is a process with this pid.
    """

    def __init__(
        self, clock: Callable[[], float], proc: Path = Path("/proc"), exists: Callable[[int], bool] = _exists
    ) -> None:
        self._clock = clock
        self._exists = exists
        self._proc = proc
        self._pids: dict[ContainerId, int] = {}
        self._absent: dict[ContainerId, Absence] = {}
        self._shared = False
        """A process was found that is a container's: the engine's pids are this machine's."""

    def keep(self, present: Iterable[ContainerId]) -> None:
        """Forget those that are gone. Those that no list has are present as long as an inspect finds them."""
        kept = set(present)
        self._pids = {container: pid for container, pid in self._pids.items() if container in kept}
        self._absent = {container: absent for container, absent in self._absent.items() if container in kept}

    def doubtful(self, listed: Iterable[Observed]) -> tuple[Observed, ...]:
        """The running ones whose process is not known to live: their inspect names it."""
        return tuple(one for one in listed if one.running and self._is_doubtful(one.container))

    def _is_doubtful(self, container: ContainerId) -> bool:
        if not self._shared:
            return False
        pid = self._pids.get(container)
        return pid is None or not self._lives(pid)

    def checked(self, seen: Observed) -> Observed:
        """The same container; ``lifeless`` if its process has been gone for too long."""
        if seen.hint or not seen.running or not seen.pid:
            return seen
        self._pids[seen.container] = seen.pid
        self._shared = self._shared or self._is_of(seen.pid, seen.container)
        if not self._shared or self._lives(seen.pid):
            self._absent.pop(seen.container, None)
            return seen
        absent = self._absent.get(seen.container)
        if absent is None or absent.pid != seen.pid:
            absent = self._absent[seen.container] = Absence(seen.pid, self._clock())
        return replace(seen, lifeless=self._clock() - absent.since >= GRACE)

    def _lives(self, pid: int) -> bool:
        if not self._exists(pid):
            return False
        try:
            state = (self._proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return True  # Hidden from us (``hidepid``), and there all the same.
        return not state or state[0] not in OVER

    def _is_of(self, pid: int, container: ContainerId) -> bool:
        try:
            return container in (self._proc / str(pid) / "cgroup").read_text(errors="replace")
        except OSError:
            return False
