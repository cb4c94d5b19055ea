"""What libraries say through the standard library's ``logging``: into the pipeline, counted, and seldom.

Without a handler of ours ``logging`` writes to standard error at once, traceback and all, and waits for its reader: a
client's nonsense, which aiohttp reports, could stop the supervisor.
"""

import logging
import time
from collections.abc import Callable

import structlog

from units.bounded import shortened

PAUSE = 60.0
"""Seconds between two lines about one library's logger."""
MOST_LOGGERS = 64
LONGEST = 300


class LibraryLog(logging.Handler):
    """Of each logger one line a minute, with the number of those that were left out since the last one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._now = now
        self._told: dict[str, tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        name = record.name if record.name in self._told or len(self._told) < MOST_LOGGERS else "others"
        at, left_out = self._told.get(name, (self._now() - PAUSE, 0))
        if self._now() < at + PAUSE:
            self._told[name] = (at, left_out + 1)
            return
        self._told[name] = (self._now(), 0)
        log = structlog.get_logger()
        log.warning("library.said", logger=name, message=_sentence(record), left_out=left_out)


def _sentence(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):
        text = str(record.msg)
    error = record.exc_info[1] if record.exc_info else None
    said = f"{text}: {error.__class__.__name__}: {error}" if error is not None else text
    return shortened(" ".join(said[: 4 * LONGEST].split()), LONGEST)


def take_over() -> None:
    """From now on ``logging`` writes nothing by itself."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LibraryLog)]:
        root.removeHandler(handler)
    root.addHandler(LibraryLog())
    logging.raiseExceptions = False
