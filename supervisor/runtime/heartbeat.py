"""The second hand of a running host: how late the event loop is, and what has to be done now and then."""

import asyncio
from collections.abc import Callable


class Heartbeat:
    """Once a second: how late does the event loop come to what is due? And what has to be done now and then."""

    PERIOD = 1.0

    def __init__(self, late: Callable[[float], None], tend: Callable[[], None]) -> None:
        self._late = late
        self._tend = tend
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self.PERIOD
        self._handle = self._loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        self._late(max(0.0, now - self._due))
        self._tend()
        self._due = now + self.PERIOD
        self._handle = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        self._handle.cancel()
