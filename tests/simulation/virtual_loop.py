"""An event loop on which time is a number: when everybody waits, it jumps to the next timer.

The shell under test is the real one; only its clock is another. A moment in which everybody waits and no timer is set
is a deadlock, and raises.
"""

import asyncio
import selectors
from typing import Any


class DeadlockError(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise DeadlockError("everybody waits and no timer is set")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at second 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers due within the clock's resolution run together: without a step of its own, time would stand still.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jumping.now


def run(main: Any) -> Any:
    """Like asyncio.run, on a loop of its own and in no time at all."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
