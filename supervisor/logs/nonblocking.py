"""Writes finished log lines, and never waits for their reader: a paused pager must not pause the host."""

import os
import select
from collections import deque
from typing import TextIO

WAITING = 4096
"""Lines that wait for a reader that has stopped; further ones are lost, and counted."""
PIECE = 4096
"""Bytes at a time: what a pipe that poll(2) calls writable takes without waiting (PIPE_BUF)."""


class LineLogger:
    """Where structlog's lines end. A reader that went away, or a full disk, costs the line and not the supervisor."""

    def __init__(self, stream: TextIO) -> None:
        self.lost = 0
        """Lines in all that nobody will read."""
        self._stream = stream
        self._waiting: deque[bytes] = deque()
        self._told = 0
        self._poll = select.poll()
        try:
            self._fd = stream.fileno()
        except (OSError, ValueError):
            self._fd = -1  # No file: what lives in memory never waits.
        else:
            self._poll.register(self._fd, select.POLLOUT)

    def msg(self, line: str) -> None:
        if self._fd < 0:
            self._write_to_memory(line)
        elif len(self._waiting) >= WAITING:
            self.lost += 1
        else:
            self._waiting.append(line.encode(errors="backslashreplace") + b"\n")
        if self._waiting:
            self.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg

    def flush(self, patience: float = 0.0) -> None:
        """Write what the reader takes. Waits for it at most ``patience`` seconds between two pieces."""
        while self._waiting and self._poll.poll(patience * 1000):
            line = self._waiting.popleft()
            try:
                rest = line[os.write(self._fd, line[:PIECE]) :]
            except OSError:
                self.lost += 1
            else:
                if rest:
                    self._waiting.appendleft(rest)

    @property
    def behind(self) -> int:
        """Lines that wait for the reader."""
        return len(self._waiting)

    def newly_lost(self) -> int:
        """How many lines were lost since this was last asked; 0 as long as the reader has not come back."""
        if self._waiting:
            return 0
        news, self._told = self.lost - self._told, self.lost
        return news

    def _write_to_memory(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
        except (OSError, ValueError):
            self.lost += 1
