"""The once-a-second heartbeat: measures the lag of the event loop, and runs periodic work."""

import asyncio
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from supervisor.logs.pipeline import Pipeline

CATCH_UP = 0.05
"""Seconds between two writes to a log reader that is behind; a pipe takes 64 KiB each time."""


class Heartbeat:
    """Once a second, measure how late the event loop is, and run periodic work."""

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


class LogTender:
    """Flush buffered log lines: a reader that had stopped gets them, and the number of lost ones."""

    def __init__(self, lines: Pipeline, log: FilteringBoundLogger) -> None:
        self._lines = lines
        self._log = log
        self._catching_up: asyncio.TimerHandle | None = None

    def tend(self) -> None:
        if self._lines.behind and self._catching_up is None:
            self._catch_up()
        else:
            self._lines.tend(self._log)

    def _catch_up(self) -> None:
        """By a timer, not ``add_writer``, which would make the terminal non-blocking for its other users."""
        self._lines.flush()
        later = asyncio.get_running_loop().call_later
        self._catching_up = later(CATCH_UP, self._catch_up) if self._lines.behind else None
