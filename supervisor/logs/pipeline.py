"""How a log line is made and where it goes: structlog on its own, no detour through the standard library's handlers."""

import os
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

from supervisor.logs.formats import ConsoleFormat, Line, as_json
from supervisor.logs.known_secrets import KnownSecrets
from supervisor.logs.libraries import take_over
from supervisor.logs.nonblocking import LineLogger
from supervisor.logs.target import Target
from supervisor.logs.timestamps import as_iso

if TYPE_CHECKING:
    from supervisor.logs.targets import TargetSpec

LAST_WORDS = 1.0
"""Seconds at the end of a run for a log reader that is behind."""
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

OURS = frozenset(
    {"timestamp", "level", "event", "unit", "before", "after", "state", "cause", "on", "incident", "container"}
    | {"restart", "order", "timer"}
)
"""Keys whose values are words and names of ours."""
PLAIN = frozenset({int, float, bool, type(None)})

Event = MutableMapping[str, Any]
About = Callable[[str], Mapping[str, object]]


class Stream:
    """Standard output, or what a test put in its place."""

    name = "stdout"
    trouble = ""

    def __init__(self, stream: TextIO, render: Callable[[Line], str]) -> None:
        self._lines = LineLogger(stream)
        self._render = render
        self.flush = self._lines.flush
        self.newly_lost = self._lines.newly_lost

    def tell(self, line: Line) -> None:
        self._lines.msg(self._render(line))

    @property
    def behind(self) -> int:
        return self._lines.behind

    def reopen(self) -> None:
        pass


class Pipeline:
    """Where each line is completed, and given to all targets: the logger behind structlog's."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.secrets = KnownSecrets()
        self._targets = tuple(targets)
        self._about: About = lambda _unit: {}
        self._troubles = {target.name: "" for target in targets}

    def msg(self, line: Line) -> None:
        for target in self._targets:
            target.tell(line)

    debug = info = warning = error = critical = exception = msg

    def know(self, about: About) -> None:
        """From now on ``about(unit)`` is asked for what goes with every line about a unit."""
        self._about = about

    def complete(self, _logger: WrappedLogger, _method: str, event: Event) -> Event:
        """A line about a unit says which run of it, of what cause, and after which record, whoever wrote the line."""
        if unit := event.get("unit"):
            for key, value in self._about(str(unit)).items():
                event.setdefault(key, value)
        return event

    def conceal(self, _logger: WrappedLogger, _method: str, event: Event) -> Event:
        """The last net: what somebody else said, an engine, a program, a file, may have a secret in it."""
        for key, value in event.items():
            if key not in OURS and value.__class__ not in PLAIN:
                event[key] = self.secrets.tree(value)
        return event

    @property
    def behind(self) -> int:
        """Lines that wait for a reader which may come back: those of a target in trouble are not counted."""
        return sum(target.behind for target in self._targets if not target.trouble)

    def flush(self, patience: float = 0.0) -> None:
        for target in self._targets:
            target.flush(0.0 if target.trouble else patience)

    def reopen(self) -> None:
        for target in self._targets:
            target.reopen()

    def tend(self, log: FilteringBoundLogger) -> None:
        """Once a second: try again where there was trouble, and say what became of it."""
        for target in self._targets:
            if target.trouble:
                target.flush()
            trouble, before = target.trouble, self._troubles[target.name]
            self._troubles[target.name] = trouble
            if trouble and not before:
                log.warning("log.target-failed", target=target.name, error=trouble)
            elif before and not trouble:
                log.info("log.target-back", target=target.name)
            if not trouble and (lost := target.newly_lost()):
                log.warning("log.lost", lines=lost, target=target.name)


FORMATS = ("auto", "json", "console")


def configure_logging(
    format: str,  # noqa: A002 - the option's name
    level: str,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
    targets: "Sequence[TargetSpec]" = (),
) -> Pipeline:
    """Make structlog write ``json`` or ``console`` lines of at least this level.

    Args:
        format: Of the lines for ``stream`` and for files; ``auto``: for people on a terminal, else JSON.
        level: The lowest that is told.
        stream: Instead of stdout. There it goes when there are no ``targets``.
        environ: Whether a person wants colour.
        targets: Where else, or where instead; ``stdout`` must be among them to be one.

    Raises:
        ValueError: no such format or level.
    """
    if format not in FORMATS or level not in LEVELS:
        raise ValueError(f"no such log format or level: {format}, {level}")
    out = sys.stdout if stream is None else stream
    for_people = format == "console" or (format == "auto" and out.isatty())
    plain = ConsoleFormat(colour=False) if format == "console" else as_json
    shown = ConsoleFormat(colour=coloured(out, environ)) if for_people else as_json
    pipeline = Pipeline(_opened(targets, plain, Stream(out, shown)))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            pipeline.complete,
            stamp,
            structlog.processors.format_exc_info,
            pipeline.conceal,
            as_one,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_args: pipeline,
        cache_logger_on_first_use=True,
    )
    take_over()
    return pipeline


def _opened(wanted: "Sequence[TargetSpec]", plain: Callable[[Line], str], stdout: Target) -> list[Target]:
    if not wanted:
        return [stdout]
    from supervisor.logs.targets import made  # noqa: PLC0415 - most hosts have stdout only

    return [stdout if one.kind == "stdout" else made(one, plain) for one in wanted]


def coloured(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Only a terminal, and only for who did not decline (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def stamp(_logger: WrappedLogger, _method: str, event: Event) -> Event:
    """First the moment, the level and the event's name: the eye finds them there."""
    first = {"timestamp": as_iso(time.time()), "level": event.pop("level", ""), "event": event.pop("event", "")}
    return first | dict(event)


def as_one(_logger: WrappedLogger, _method: str, event: Event) -> tuple[tuple[Line], dict[str, Any]]:
    """The last processor: what structlog calls its logger with."""
    return (event,), {}
