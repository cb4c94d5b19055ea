"""Ends what a dead dockerd left: each container by its own stop signal and in its own time, then firmly, then the rest.

The order is for the next dockerd. It must find no process and no shim: what it finds running it stops, and from then on
takes for stopped by a person; of one whose shim lives it learns an exit code, and a container that ended well at our
signal would not be restarted under ``on-failure``.
"""

import asyncio
import signal as signals
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.command_line import DaemonPlan
from supervisor.dockerd.left_behind import Container, Lair, Left, Process, find, keeps_running, lair_of, thaw
from supervisor.dockerd.obstacles import end_earlier, end_in_pidfile, remove_pidfiles
from supervisor.dockerd.run_files import RunFiles, lives
from supervisor.engine.port import EngineError, UserDockerReport
from units.tables.storage import ContextFacts
from units.unit import Failure

FIRST_LOOK, LAST_LOOK = 0.02, 0.5
"""Seconds between two looks at what is still there, doubling."""
SERVANTS = 2.0
"""Seconds that a containerd has to end by itself."""
FIRM = 15.0
"""Seconds after the last SIGKILL was due, until what still lives counts as unkillable."""


class Clearing:
    """One clearing. ``look`` finds what is there, in a thread. ``grace``: the most that a container is given."""

    def __init__(self, look: Callable[[], Left], grace: float) -> None:
        self._look = look
        self._until = time.monotonic() + grace
        """When no container gets any more time."""
        self._asked: dict[str, tuple[float, Process]] = {}
        """When, and which main process: what outlives that one is ended at once, as an engine does."""
        self._shown: dict[Process, float] = {}
        self.first = Left()
        """What was there at the beginning."""

    def hurry(self, grace: float) -> None:
        self._until = min(self._until, time.monotonic() + grace)

    async def run(self) -> Left:
        """Returns what could not be ended; mostly nothing."""
        pause = FIRST_LOOK
        self.first = left = await asyncio.to_thread(self._look)
        while left:
            now = time.monotonic()
            if now > self._until + SERVANTS + FIRM:
                return left
            for container in left.containers:
                self._end(container, now)
            if not left.containers:
                for servant in left.servants:
                    self._dismiss(servant, now)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_LOOK)
            left = await asyncio.to_thread(self._look)
        return left

    def _end(self, container: Container, now: float) -> None:
        asked, main = self._asked.setdefault(container.ident, (now, container.main))
        over = now >= min(asked + container.patience, self._until)
        if over or all(one.pid != main.pid for one in container.processes):
            for one in container.processes:
                one.send(signals.SIGKILL)
                thaw(one)
        elif asked == now:
            container.main.send(container.signal)
            thaw(container.main)

    def _dismiss(self, servant: Process, now: float) -> None:
        shown = self._shown.setdefault(servant, now)
        if "shim" in servant.name or now - shown >= SERVANTS:
            servant.send(signals.SIGKILL)
        elif shown == now:
            servant.send(signals.SIGTERM)


class Clears:
    """All clearings of one user Docker, one after another."""

    def __init__(self, files: RunFiles, report: UserDockerReport, log: FilteringBoundLogger) -> None:
        self._files = files
        self._report = report
        self._log = log
        self._turn = asyncio.Lock()
        self._present: Clearing | None = None

    def hurry(self, grace: float) -> None:
        """Let the one that is under way give no container more than this."""
        if self._present is not None:
            self._present.hurry(grace)

    async def clear(
        self, how: DaemonPlan | None, context: ContextFacts | None, grace: float, *, everything: bool
    ) -> None:
        """``how``: the next run, if there is to be one. Raises EngineError: something is still there."""
        async with self._turn:
            here = context if context is not None and context.running else None
            root = None if here is None else Path(f"/proc/{here.pid}/root")
            if (record := self._files.recorded()) is not None and lives(record):
                await end_earlier(record.pid, self._log)
            if how is not None and root is not None and here is not None:
                await end_in_pidfile(how, root, here.name, self._log)
            for lair in self._lairs(how, root, everything=everything):
                await self._clear_lair(lair, None if here is None else here.pid, grace)
            if how is not None and root is not None:
                await asyncio.to_thread(remove_pidfiles, how, root, self._log)

    def _lairs(self, how: DaemonPlan | None, root: Path | None, *, everything: bool) -> list[Lair]:
        """Where the last run was, and where the next one will be, unless that takes up what it finds there."""
        coming = None if how is None else lair_of(how)
        spared = not everything and how is not None and keeps_running(how, root)
        both = dict.fromkeys((self._files.lair(), coming))
        return [one for one in both if one is not None and not (spared and one == coming)]

    async def _clear_lair(self, lair: Lair, context: int | None, grace: float) -> None:
        self._present = clearing = Clearing(partial(find, lair, context), grace)
        try:
            left = await clearing.run()
        finally:
            self._present = None
        self._report.left = tuple(one.name for one in left.containers)
        if clearing.first:
            names = [one.name for one in clearing.first.containers]
            self._log.info("user_docker.cleared", containers=names, processes=len(clearing.first.servants))
        if left:
            raise EngineError(Failure.OTHER, f"{left} of an ended dockerd are still running after SIGKILL")
