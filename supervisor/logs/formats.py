"""What a log line looks like: for a program, for a person, for journald, for syslog. Pure.

A name comes from a file or an engine: in none of them can it forge a line, a field, or steer a terminal.
"""

import json
from collections.abc import Mapping
from typing import Any

Line = Mapping[str, Any]
"""``timestamp`` (ISO, UTC), ``level``, ``event``, and what else there is to say; ``exception`` is a trace."""
IN_HEAD = frozenset({"timestamp", "level", "event", "exception"})
PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of syslog and of journald."""
DAEMON = 3
"""Syslog's facility for system daemons."""
LONGEST_MESSAGE = 8 * 1024
"""Bytes of a syslog message. A receiver need not take more than 2048 (RFC 5424, 6.1); those in use take this."""
_ELEMENT = "dockwarden@32473"
"""The private enterprise number is the one for documentation (RFC 5612): we have none of our own."""
_FIELD = 64
"""Characters of a field's name that journald takes."""


_ENCODER = json.JSONEncoder(default=str, separators=(",", ":"))
"""ASCII only: a unit's name may hold what no terminal and no log shipper should interpret."""


def as_json(event: Line) -> str:
    return _ENCODER.encode(event)


class ConsoleFormat:
    """``12:00:01.123 warning unit.transition unit=console before=running ...``; values are escaped."""

    _COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}  # noqa: RUF012 - never changed

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, event: Line) -> str:
        level = str(event["level"])
        head = f"{level:<7} {_readable(event['event'], quote=False)}"
        if self._colour and level in self._COLOURS:
            head = f"\033[{self._COLOURS[level]}m{head}\033[0m"
        trace = str(event.get("exception", ""))
        return f"{str(event['timestamp'])[11:23]} {head} {in_pairs(event)}".rstrip() + (f"\n{trace}" if trace else "")


def in_pairs(event: Line) -> str:
    """``key=value ...`` of all that is not in the head of a line, without an exception's trace."""
    return " ".join(f"{key}={_readable(value)}" for key, value in event.items() if key not in IN_HEAD)


def _readable(value: object, *, quote: bool = True) -> str:
    text = str(value)
    if text.isprintable() and text and not (quote and " " in text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def for_journald(event: Line) -> bytes:
    """A datagram of journald's native protocol: ``NAME=value`` lines, and for text of several lines its length.

    Fields: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, UNIT, and DOCKWARDEN_ with the name of each key.
    """
    trace = f"\n{event['exception']}" if event.get("exception") else ""
    said = {
        "MESSAGE": f"{_readable(event['event'], quote=False)} {in_pairs(event)}".rstrip() + trace,
        "PRIORITY": str(PRIORITY.get(str(event["level"]), 6)),
        "SYSLOG_IDENTIFIER": "dockwarden",
        "DOCKWARDEN_EVENT": event["event"],
    }
    if event.get("unit"):
        said["UNIT"] = event["unit"]
    said |= {_field(key): value for key, value in event.items() if key not in IN_HEAD}
    return b"".join(_sent(name, str(value)) for name, value in said.items())


def _field(key: str) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in key.upper())
    return f"DOCKWARDEN_{name}"[:_FIELD]


def _sent(name: str, value: str) -> bytes:
    text = value.encode(errors="backslashreplace")
    if b"\n" in text:
        return name.encode() + b"\n" + len(text).to_bytes(8, "little") + text + b"\n"
    return name.encode() + b"=" + text + b"\n"


def for_syslog(event: Line, host: str, pid: int) -> bytes:
    """One message of RFC 5424; the event is its MSGID, the keys are one structured element."""
    priority = 8 * DAEMON + PRIORITY.get(str(event["level"]), 6)
    kind = "".join(letter if "!" <= letter <= "~" else "_" for letter in str(event["event"]))[:32] or "-"
    pairs = "".join(f' {key}="{_parameter(value)}"' for key, value in event.items() if key not in IN_HEAD)
    trace = f" {_readable(event['exception'])}" if event.get("exception") else ""
    # The element first: one that is cut in its middle would spoil the whole message, so it is left out instead.
    head = f"<{priority}>1 {event['timestamp']} {host or '-'} dockwarden {pid} {kind} "
    element, text = f"[{_ELEMENT}{pairs}]" if pairs else "-", f"{kind} {in_pairs(event)}".rstrip() + trace
    if len(head) + len(element) > LONGEST_MESSAGE // 2:
        element = "-"
    return f"{head}{element} {text}".encode("ascii", errors="backslashreplace")[:LONGEST_MESSAGE]


def _parameter(value: object) -> str:
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = json.dumps(text)[1:-1].replace('\\"', '"')
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
