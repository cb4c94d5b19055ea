"""The timers that the core arms: one a unit. Each becomes an event when it elapses."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from units.commands import ArmTimer, Timer
from units.events import DeadlineDue, Event, KillDue, LookDue, RetryDue, VerdictDue
from units.quantities import Seconds
from units.records import replace
from units.spec import UnitName

ELAPSED: dict[Timer, Callable[[UnitName, int], Event]] = {
    Timer.RETRY: RetryDue,
    Timer.KILL: KillDue,
    Timer.VERDICT: VerdictDue,
    Timer.DEADLINE: DeadlineDue,
    Timer.LOOK: LookDue,
}


class Tell(Protocol):
    """Puts a fact into the inbox."""

    def __call__(self, event: Event, *, cause: str) -> object: ...


class Timers:
    """``busy``: whether an order of the unit waits, or is under way."""

    def __init__(self, tell: Tell, *, busy: Callable[[UnitName], bool]) -> None:
        self._tell = tell
        self._busy = busy
        self._armed: dict[UnitName, tuple[asyncio.TimerHandle, ArmTimer, str]] = {}
        self._loop = asyncio.get_running_loop()

    def arm(self, order: ArmTimer, cause: str) -> None:
        """Arming replaces the unit's timer before."""
        if (old := self._armed.get(order.unit)) is not None:
            old[0].cancel()
        fact = ELAPSED[order.timer](order.unit, order.token)
        handle = self._loop.call_later(order.delay, self._elapse, order.unit, fact, cause)
        self._armed[order.unit] = handle, order, cause

    def _elapse(self, unit: UnitName, fact: Event, cause: str) -> None:
        _, order, _ = self._armed.pop(unit)
        if order.timer is Timer.DEADLINE and self._busy(unit):
            self.arm(order, cause)  # The answer is not overdue: its order has a limit of its own.
            return
        self._tell(fact, cause=cause)

    def hold(self, unit: UnitName) -> tuple[ArmTimer, str] | None:
        """Pause the unit's timer, to be resumed."""
        if (timer := self._armed.pop(unit, None)) is None:
            return None
        handle, order, cause = timer
        handle.cancel()
        return replace(order, delay=Seconds(max(0.0, handle.when() - self._loop.time()))), cause

    def go_on(self, held: tuple[ArmTimer, str] | None) -> None:
        if held is not None and held[0].unit not in self._armed:  # Else it has moved on meanwhile.
            self.arm(*held)

    def close(self) -> None:
        """Cancel all."""
        for handle, _, _ in self._armed.values():
            handle.cancel()
        self._armed.clear()
