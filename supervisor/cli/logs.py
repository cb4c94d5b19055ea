"""The command ``logs``: the supervisor's records and the containers' output; ``-f`` survives supervisor restarts."""

import argparse
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from supervisor.logs import timestamps
from supervisor.logs.timestamps import as_digits, nanoseconds
from supervisor.views.text import DIM, YELLOW, Screen, clean, clean_output, clock, show_event

if TYPE_CHECKING:
    from supervisor.http.client import Client
    from supervisor.logs.merge import Bookmark

OK, FAILED = 0, 1
TAIL = 100
MARGIN = 10 * 10**9
"""Nanoseconds from before the last line that are read again after a cut: lines of others may have come late."""
AWAY = 60.0
"""Seconds that a supervisor may be away while it is followed."""
AGAIN = 0.5
"""Seconds between two tries to reach it."""
FOLLOWING = "following"
_NAMED = ("event", "before", "after", "fact", "happened", "reason", "cause", "incident", "restart")
"""Of our own records, what is searched besides the unit."""

Complain = Callable[[str, str, int], int]


def add_arguments(logs: argparse.ArgumentParser) -> None:
    logs.add_argument("unit", metavar="UNIT", nargs="?", help="only this unit (default: all units and the host)")
    logs.add_argument(
        "-f", "--follow", action="store_true", help="keep printing new lines, across restarts, re-creations and outages"
    )
    logs.add_argument("--since", type=moment, metavar="TIME", help="since when: 10m, 2h30m, 02:30, 2026-01-02T02:30")
    logs.add_argument("--until", type=moment, metavar="TIME", help="until when")
    logs.add_argument("--tail", type=_count, metavar="N", help="the last N lines (default: 100, or all that fit)")
    logs.add_argument(
        "--level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="lowest of the supervisor's own lines (default: %(default)s)",
    )
    logs.add_argument(
        "--grep",
        type=_pattern,
        metavar="REGEX",
        help="only lines that match this regular expression; (?i) ignores case",
    )
    logs.add_argument("--raw", action="store_true", help="only what containers wrote, unchanged")


def moment(text: str, now: Callable[[], float] = time.time) -> str:
    """Seconds since 1970 with all digits. Raises ArgumentTypeError."""
    try:
        return as_digits(timestamps.moment(text, now(), local=True))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a time: use 10m or 2h30m (ago), 02:30 (today), or 2026-01-02T02:30"
        ) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"expected a whole number, not '{text}'")
    return int(text)


def _pattern(text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from None


def run(client: "Client", args: argparse.Namespace, complain: Complain, away: type[Exception]) -> int:
    """``away``: what the client raises when there is no supervisor."""
    if args.until and args.follow:
        return complain("logs: --until and --follow exclude each other", "", 2)
    screen, code = Screen.of_stdout(), OK
    for line in _Reader(client, args, complain, away).lines():
        if "error" in line:
            unit = f"{line['unit']}: " if line.get("unit") else ""
            code = complain(f"{unit}{line['error']}", "", FAILED)
        elif args.json:
            screen.line(json.dumps(line))
        elif args.raw:
            screen.line(clean_output(str(line["text"]), screen))
        else:
            show(screen, line)
        if args.follow:
            screen.flush()
    return OK if args.follow else code


def show(screen: Screen, line: dict[str, Any]) -> None:
    """A line as text: time, unit, and after a bar the container's output; without a bar, a record of the supervisor."""
    if "text" not in line:
        show_event(screen, line)
        return
    bar = screen.paint("|", YELLOW if line.get("stream") == "stderr" else DIM)
    text = clean_output(str(line["text"]), screen)
    screen.line(f"{clock(line.get('time'))}  {clean(line.get('unit')):<16}  {bar} {text}")


def fits(line: dict[str, Any], wanted: "re.Pattern[str] | None") -> bool:
    if wanted is None or "error" in line:
        return True
    if "text" in line:
        return bool(wanted.search(str(line["text"])))
    return bool(wanted.search(" ".join(str(line[key]) for key in ("unit", *_NAMED) if line.get(key))))


class _Reader:
    """Requests the log, and again from the last line seen when the connection was cut."""

    def __init__(self, client: "Client", args: argparse.Namespace, complain: Complain, away: type[Exception]) -> None:
        self._client = client
        self._args = args
        self._complain = complain
        self._away = away
        self._marks: dict[str, Bookmark] = {}
        """How far each source was read: a container's id, or empty for the supervisor."""
        self._last = 0
        self._began = False

    def lines(self) -> Iterator[dict[str, Any]]:
        """Raises UnreachableError when there is no supervisor, or when it stays away for too long."""
        args = self._args
        tail = TAIL if args.tail is None and not (args.since or args.until or args.grep) else args.tail
        # Searched here, for a pattern may take for ever; so the last lines are counted here, too.
        first = self._read({}, since=args.since, until=args.until, tail=None if args.grep else tail)
        try:
            yield from _searched(first, args.grep, tail if args.grep else None)
        except self._away as error:
            if not (args.follow and self._began):
                raise
            self._complain(f"{error}", "waiting for it", FAILED)
        else:
            if args.follow:
                self._complain("the supervisor has ended", "waiting for the next one", FAILED)
        if args.follow:
            yield from _searched(self._go_on(), args.grep, None)

    def _go_on(self) -> Iterator[dict[str, Any]]:
        gone = time.monotonic()
        while True:
            time.sleep(AGAIN)
            known = {source: mark.at for source, mark in self._marks.items()}
            for mark in self._marks.values():
                mark.rewind()
            since = max(self._last - MARGIN, 0)
            try:
                for line in self._read(known, since=as_digits(since)):
                    yield line
                    gone = time.monotonic()
                gone = time.monotonic()
            except self._away:
                if time.monotonic() - gone > AWAY:
                    raise

    def _read(self, known: dict[str, int], **asked: object) -> Iterator[dict[str, Any]]:
        """``known``: how far each source had been read; what is older than that has been shown."""
        from supervisor.logs.merge import Bookmark, Item  # noqa: PLC0415 - not for every command

        args = self._args
        asked |= {"unit": args.unit, "level": args.level, "output": int(args.raw), "follow": int(args.follow)}
        for line in self._client.stream("logs", **asked):
            self._began = True
            at = nanoseconds(str(line.get("time")))
            if at is None or "error" in line or line.get("event") == FOLLOWING:
                yield line
                continue
            ours = "text" not in line
            source, text = (
                ("", str(line.get("seq"))) if ours else (line["container"], f"{line['stream']} {line['text']}")
            )
            mark = self._marks.setdefault(source, Bookmark())
            if at >= known.get(source, 0) and mark.is_new(Item(at, source, text, line)):
                self._last = max(self._last, at)
                yield line


def _searched(
    lines: Iterator[dict[str, Any]], wanted: "re.Pattern[str] | None", tail: int | None
) -> Iterator[dict[str, Any]]:
    """The lines that match the pattern; of those before the follow began, the last ``tail``."""
    past: deque[dict[str, Any]] | None = None if tail is None else deque(maxlen=tail)
    for line in lines:
        if line.get("event") == FOLLOWING:
            yield from past or ()
            past = None
        elif fits(line, wanted):
            if past is None:
                yield line
            else:
                past.append(line)
    yield from past or ()
