"""Writes finished log lines, and never waits for their reader: a paused pager must not pause the host."""

import asyncio
import os
import select
import stat
import threading
from collections import deque
from itertools import accumulate, takewhile
from typing import TextIO

WAITING = 4096
"""Lines that wait for a reader that has stopped; further ones are lost, and counted."""
PIECE = 4096
"""Bytes at a time: what a pipe that poll(2) calls writable takes without waiting (PIPE_BUF)."""
PIECE_OF_FILE = 1 << 16
"""Bytes at a time, for a file: it has no reader to be waited for."""


class LineLogger:
    """Where structlog's lines end. A reader that went away, or a full disk, costs the line and not the supervisor.

    Lines of one turn of the event loop are one write, at its end. Where no loop runs each line is written at once.
    """

    def __init__(self, stream: TextIO) -> None:
        self.lost = 0
        """Lines in all that nobody will read."""
        self._stream = stream
        self._waiting: deque[bytes] = deque()
        self._told = 0
        self._turn: asyncio.AbstractEventLoop | None = None
        """The loop at the end of whose turn the lines are written."""
        self._piece = PIECE
        self._poll = select.poll()
        self._writing = threading.RLock()
        """Threads log, too, and a poll object is one thread's at a time."""
        try:
            self._fd = stream.fileno()
        except (OSError, ValueError):
            self._fd = -1  # No file: what lives in memory never waits.
        else:
            self._poll.register(self._fd, select.POLLOUT)
            if stat.S_ISREG(os.fstat(self._fd).st_mode):
                self._piece = PIECE_OF_FILE

    def msg(self, line: str) -> None:
        if self._fd < 0:
            self._write_to_memory(line)
        elif len(self._waiting) >= WAITING:
            self.lost += 1
        else:
            self._waiting.append(line.encode(errors="backslashreplace") + b"\n")
        if self._waiting:
            self._flush_soon()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg

    def _flush_soon(self) -> None:
        loop = asyncio._get_running_loop()  # noqa: SLF001 - documented, and the only way to ask without an exception
        if loop is None:
            self.flush()
        elif loop is not self._turn:
            self._turn = loop
            loop.call_soon(self.flush)

    def flush(self, patience: float = 0.0) -> None:
        """Write what the reader takes. Waits for it at most ``patience`` seconds between two pieces."""
        self._turn = None
        with self._writing:
            self._write(patience)

    def _write(self, patience: float) -> None:
        waiting = self._waiting
        while waiting and self._poll.poll(patience * 1000):
            fit = sum(1 for _ in takewhile(self._piece.__ge__, accumulate(map(len, waiting))))
            lines = [waiting.popleft() for _ in range(max(1, fit))]
            whole = b"".join(lines)
            try:
                written = os.write(self._fd, whole[: self._piece])
            except OSError:
                self.lost += len(lines)
                continue
            *left, _ = whole[written:].split(b"\n")
            waiting.extendleft(line + b"\n" for line in reversed(left))

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
