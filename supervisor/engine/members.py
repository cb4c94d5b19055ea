"""Inspects the containers of a snapshot, so that the trouble of one costs only that one.

An engine that lists its containers serves; a container whose inspect hangs or fails has a trouble of its own (a stuck
mount or shim, a broken layer). It is reported as it was listed, with the reason, and tried again ever more rarely. Only
when the engine answers nothing else either does the snapshot fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from supervisor.engine.port import EngineError
from supervisor.engine.processes import Processes
from units.events import Observed
from units.records import dataclass, replace
from units.spec import ContainerId
from units.unit import Failure

LOOKS = 8
"""Inspects at once."""
PATIENCE = 3.0
"""Seconds for the inspect of one container."""
FIRST_PAUSE, LAST_PAUSE = 30.0, 300.0
"""Seconds until a container that was not answered for is tried again: doubling."""
UNREADABLE: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What decoding can raise: a container that cannot be read is one that does not tell."""


@dataclass(frozen=True, slots=True)
class Stuck:
    why: str
    until: float
    pause: float


class Members:
    """Create and use it on a running event loop.

    Args:
        inspect: One container, or ``None`` where it is none of ours. Raises EngineError, and what decoding raises.
        serves: Returns if the engine answers at all. Raises EngineError.
        processes: Says whether what the engine calls running lives.
    """

    def __init__(
        self,
        inspect: Callable[[ContainerId], Awaitable[Observed | None]],
        serves: Callable[[], Awaitable[object]],
        processes: Processes,
    ) -> None:
        self._inspect = inspect
        self._serves = serves
        self.processes = processes
        self._loop = asyncio.get_running_loop()
        self._stuck: dict[ContainerId, Stuck] = {}

    def due(self, listed: Iterable[Observed]) -> tuple[Observed, ...]:
        """The stuck ones among these, whose time has come to be tried again."""
        now = self._loop.time()
        return tuple(one for one in listed if (stuck := self._stuck.get(one.container)) and stuck.until <= now)

    async def complete(self, listed: Sequence[Observed], asked: Iterable[Observed]) -> tuple[Observed, ...]:
        """The containers of a list, and those that it lacks: as an inspect shows them where one is asked for.

        Raises EngineError when the engine itself does not answer.
        """
        told = [one for one in listed if one.container not in self._stuck]  # The others are asked when they are due.
        found = await self.look((*asked, *self.processes.doubtful(told)))
        rows: dict[ContainerId, Observed | None] = {one.container: self._told(one) for one in listed}
        seen = [one for one in (rows | found).values() if one is not None]
        present = {one.container for one in seen}
        self._stuck = {container: stuck for container, stuck in self._stuck.items() if container in present}
        self.processes.keep(present)
        return tuple(map(self.processes.checked, seen))

    def _told(self, row: Observed) -> Observed:
        """The row of a container that is not inspected now: with the reason, if that is because it is stuck."""
        stuck = self._stuck.get(row.container)
        return row if stuck is None else replace(row, unread=stuck.why)

    async def look(self, rows: Iterable[Observed]) -> dict[ContainerId, Observed | None]:
        """Each as its inspect shows it, or as it was listed; ``None`` for one that is gone.

        Raises EngineError when the engine itself does not answer.
        """
        slots, asked = asyncio.Semaphore(LOOKS), {row.container: row for row in rows}
        try:
            async with asyncio.TaskGroup() as tasks:
                looks = {key: tasks.create_task(self._look(row, slots)) for key, row in asked.items()}
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        return {container: look.result() for container, look in looks.items()}

    async def _look(self, row: Observed, slots: asyncio.Semaphore) -> Observed | None:
        stuck = self._stuck.get(row.container)
        if stuck is not None and self._loop.time() < stuck.until:
            return self._told(row)
        async with slots:
            try:
                async with asyncio.timeout(PATIENCE):
                    seen = await self._inspect(row.container)
            except TimeoutError:
                why = f"its inspect is not answered within {PATIENCE:g} s"
            except EngineError as error:
                if error.failure is Failure.NOT_FOUND:
                    seen, why = None, ""
                elif error.failure is Failure.UNREACHABLE:
                    raise
                else:
                    why = str(error)
            except UNREADABLE as error:
                why = f"its inspect cannot be read: {error!r}"[:300]
            else:
                why = ""
            if why:
                await self._serves()
                return self._stick(row, why, stuck)
        self._stuck.pop(row.container, None)
        return seen

    def _stick(self, row: Observed, why: str, before: Stuck | None) -> Observed:
        pause = FIRST_PAUSE if before is None else min(LAST_PAUSE, before.pause * 2)
        self._stuck[row.container] = Stuck(why, self._loop.time() + pause, pause)
        return self._told(row)
