"""How a log line is made and where it goes: structlog on its own, no detour through the standard library's handlers."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import WrappedLogger

from supervisor.log_lines import LineLogger
from supervisor.status import as_iso

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

About = Callable[[str], Mapping[str, object]]


def nothing(_unit: str) -> Mapping[str, object]:
    return {}


class Pipeline(LineLogger):
    """Where each line is completed, and where it ends."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._about: About = nothing

    def know(self, about: About) -> None:
        """From now on ``about(unit)`` is asked for what goes with every line about a unit."""
        self._about = about

    def complete(
        self, _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """A line about a unit says which run of it, of what cause, and after which record, whoever wrote the line."""
        if unit := event.get("unit"):
            for key, value in self._about(str(unit)).items():
                event.setdefault(key, value)
        return event


def configure_logging(
    format: str,  # noqa: A002 - the option's name
    level: str,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Pipeline:
    """Make structlog write ``json`` or ``console`` lines of at least this level to ``stream`` (stdout).

    Raises:
        ValueError: no such format or level.
    """
    if format not in {"json", "console"} or level not in LEVELS:
        raise ValueError(f"no such log format or level: {format}, {level}")
    target = sys.stdout if stream is None else stream
    pipeline = Pipeline(target)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            pipeline.complete,
            stamp,
            structlog.processors.format_exc_info,
            as_json if format == "json" else ForPeople(colour=coloured(target, environ)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_args: pipeline,
        cache_logger_on_first_use=True,
    )
    return pipeline


def coloured(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Only a terminal, and only for who did not decline (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


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
