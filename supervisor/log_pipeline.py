"""How a log line is made and where it goes: structlog on its own, no detour through the standard library's handlers."""

import json
import sys
import time
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import WrappedLogger

from supervisor.log_lines import LineLogger
from supervisor.status import as_iso

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(format: str, level: str, stream: TextIO | None = None) -> LineLogger:  # noqa: A002 - the option's name
    """Make structlog write ``json`` or ``console`` lines of at least this level to ``stream`` (stdout).

    Raises:
        ValueError: no such format or level.
    """
    if format not in {"json", "console"} or level not in LEVELS:
        raise ValueError(f"no such log format or level: {format}, {level}")
    target = sys.stdout if stream is None else stream
    line_logger = LineLogger(target)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            as_json if format == "json" else ForPeople(colour=target.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_args: line_logger,
        cache_logger_on_first_use=True,
    )
    return line_logger


def stamp(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """First the moment, the level and the event's name: the eye finds them there."""
    first = {"timestamp": as_iso(time.time()), "level": event.pop("level", ""), "event": event.pop("event", "")}
    return first | dict(event)


def as_json(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    # ASCII only: a unit's name may hold what no terminal and no log shipper should interpret.
    return json.dumps(event, default=str, separators=(",", ":"))


class ForPeople:
    """``12:00:01.123 warning unit.transition unit=console before=running ...``; values are escaped."""

    _COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}  # noqa: RUF012 - never changed

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
        rest = dict(event)
        at, level, name = str(rest.pop("timestamp"))[11:23], str(rest.pop("level")), str(rest.pop("event"))
        trace = str(rest.pop("exception", ""))
        shown = " ".join(f"{key}={_readable(value)}" for key, value in rest.items())
        head = f"{level:<7} {_readable(name, quote=False)}"
        if self._colour and level in self._COLOURS:
            head = f"\033[{self._COLOURS[level]}m{head}\033[0m"
        return f"{at} {head} {shown}".rstrip() + (f"\n{trace}" if trace else "")


def _readable(value: object, *, quote: bool = True) -> str:
    text = str(value)
    if text.isprintable() and text and not (quote and " " in text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
