"""What of the core's orders a dry run carries out: timers and snapshots. Every other one is only logged.

It is given no engine, so it could not do more.
"""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from supervisor.runtime.loop import Inbox
from supervisor.runtime.timers import Timers
from units.commands import ArmTimer, Command, ReadConfig, SayOnly, TakeSnapshot, Timer
from units.events import Event
from units.machine import Moment
from units.world import Entry, Reaction


class DryEffects:
    """An observer in the place of ``Effects``."""

    def __init__(
        self,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        log: FilteringBoundLogger,
        *,
        read_config: Callable[[], Awaitable[Event]],
        snapshot: Callable[[str], None],
    ) -> None:
        self._tell = inbox.put
        self._tasks = tasks
        self._log = log
        self._read_config = read_config
        self._snapshot = snapshot
        self._timers = Timers(inbox.put, busy=lambda _: False)

    def observe(self, _entry: Entry, moment: Moment, reaction: Reaction) -> None:
        for command in reaction.commands:
            unit = reaction.world.find(getattr(command, "unit", ""))
            put_off = isinstance(command, ArmTimer) and command.timer is Timer.LOOK
            self._take(command, moment.cause if unit is None or put_off else unit.cause or moment.cause)

    def close(self) -> None:
        self._timers.close()

    def _take(self, command: Command, cause: str) -> None:
        match command:
            case ArmTimer():
                self._timers.arm(command, cause)
            case TakeSnapshot():
                self._snapshot(command.why)
            case ReadConfig():
                self._tasks.create_task(self._report_config(cause), name="config")
            case SayOnly():
                self._log.info("dry-run.would", unit=command.unit, what=command.what, reason=command.why, cause=cause)
            case _:  # The core has dropped it already; should it ever not, that is seen.
                unit, what = getattr(command, "unit", ""), f"would {type(command).__name__}"
                self._log.info("dry-run.would", unit=unit, what=what, reason="", cause=cause)

    async def _report_config(self, cause: str) -> None:
        self._tell(await self._read_config(), cause=cause)
