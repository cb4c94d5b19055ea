"""Text for people from the supervisor's answers. It must load fast.

Names and reasons come from files, images and engines: characters that could control a terminal are replaced here.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TextIO

from supervisor.logs.timestamps import seconds
from units.words import duration, fact_in_words

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"
COLOURS = {
    "ready": GREEN,
    "completed": GREEN,
    "healthy": GREEN,
    "up": GREEN,
    "failed": RED,
    "crash-loop": RED,
    "image-missing": RED,
    "unhealthy": RED,
    "down": RED,
    "backoff": YELLOW,
    "exited": YELLOW,
    "draining": YELLOW,
    "stopping": YELLOW,
    "inactive": DIM,
    "serving": GREEN,
    "hung": RED,
    "lost": YELLOW,
}
NARROWEST = 20
"""Columns that the last column keeps, however narrow the terminal."""
_COLOUR_CODE = re.compile(r"(\x1b\[[0-9;]{0,32}m)")


class Screen:
    """Where text goes, and what it can show."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self.stream = stream
        self.terminal = stream.isatty()
        self.colour = self.terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.width = shutil.get_terminal_size().columns if self.terminal else 0
        """0: as wide as it needs."""

    @classmethod
    def of_stdout(cls) -> Self:
        return cls(sys.stdout)

    @classmethod
    def of_stderr(cls) -> Self:
        return cls(sys.stderr)

    def line(self, text: str = "") -> None:
        encoding = self.stream.encoding or "ascii"
        self.stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")

    def flush(self) -> None:
        self.stream.flush()

    def paint(self, text: str, colour: str | None) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colour and colour else text

    def fit(self, text: str, used: int = 0) -> str:
        """Cut to what is left of the line."""
        return cut(text, max(self.width - used, NARROWEST)) if self.width else text


def clean(value: object) -> str:
    """Text that is safe for a terminal: control, format and private characters become ``?``."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char in "\n\t" else "?" for char in text)


def clean_output(text: str, screen: Screen) -> str:
    """A line of a container: as it is for a pipe; on a terminal colours stay, other control sequences are removed."""
    if not screen.terminal:
        return text
    parts = _COLOUR_CODE.split(text.replace("\t", "        ").rstrip("\r"))
    shown = "".join(part if i % 2 and screen.colour else "" if i % 2 else clean(part) for i, part in enumerate(parts))
    return shown + ("\033[0m" if len(parts) > 1 and screen.colour else "")


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."


def table(screen: Screen, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they need; the last one gets what is left of the line."""
    texts = [[clean(cell) or "-" for cell in row] for row in rows]
    longest = max(screen.width // 3, 8) if screen.width else 1000
    texts = [[*(cut(cell, longest) for cell in row[:-1]), row[-1]] for row in texts]
    widths = [max(len(line[i]) for line in [list(heads), *texts]) for i in range(len(heads) - 1)]
    used = sum(widths) + 2 * len(widths)
    head = "  ".join(f"{name:<{width}}" for name, width in zip(heads, widths, strict=False))
    screen.line(screen.paint(f"{head}  {heads[-1]}", BOLD))
    for row in texts:
        cells = [screen.paint(f"{c:<{w}}", COLOURS.get(c)) for c, w in zip(row, widths, strict=False)]
        screen.line("  ".join([*cells, screen.fit(row[-1], used)]).rstrip())


def lasted(seconds: float) -> str:
    """A span in whole seconds, in its two largest units: ``3 min 20 s``, ``2 d 4 h``."""
    return duration(int(seconds))


def since(stamp: object, now: float | None = None) -> str:
    """How long ago an ISO time was; ``-`` for none."""
    at = seconds(stamp)
    return "-" if at is None else lasted((time.time() if now is None else now) - at)


def clock(stamp: object) -> str:
    """An ISO time as the local clock shows it, with the date unless it is today's."""
    at = seconds(stamp)
    if at is None:
        return "-"
    local, today = datetime.fromtimestamp(at).astimezone(), datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M:%S") + local.strftime(".%f")[:4]


def show_status(screen: Screen, answer: Mapping[str, Any]) -> None:
    engine, boss, units = answer["engine"], answer["supervisor"], answer["units"]
    word = "up" if engine["up"] else "down"
    version = clean(engine["version"] or "")
    said = f"{engine['mode']}, {version + ', ' if version else ''}{engine['url']}: {engine['reason']}"
    screen.line(f"engine      {screen.paint(word, COLOURS[word])}, {screen.fit(clean(said), 18)}")
    unit = engine.get("unit")
    if unit is not None and (engine["daemon"] or unit["state"] != "serving"):
        restarts = f", {unit['restarts']} restarts" if unit["restarts"] else ""
        said = f" for {since(unit['since'])}{restarts}: {unit['reason']}"
        screen.line(f"{'':<12}{screen.paint(unit['state'], COLOURS.get(unit['state']))}{screen.fit(clean(said), 24)}")
    going = ", going down" if boss["draining"] else ""
    screen.line(f"supervisor  {boss['version']}, pid {boss['pid']}, for {since(boss['started'])}{going}")
    if (read := boss.get("configuration", "in-force")) != "in-force":
        screen.line(f"config      {read.replace('-', ' ')}")
    for trouble in boss.get("troubles", ()):
        screen.line(f"{screen.paint('trouble', RED)}     " + screen.fit(clean(trouble["reason"]), 12))
    _show_places(screen, answer)
    good = sum(unit["state"] in {"ready", "completed"} for unit in units)
    screen.line(f"units       {good} of {len(units)} ready or completed")
    screen.line()
    show_units(screen, units)


def _show_places(screen: Screen, answer: Mapping[str, Any]) -> None:
    """The console, user Docker, and the switch in progress or the last one."""

    def line(head: str, said: str, why: object) -> None:
        screen.line(f"{head:<12}" + screen.fit(clean(f"{said}: {why}" if why else said), 12))

    console, docker = answer.get("console"), answer.get("user_docker")
    switch = answer.get("switch") or {}
    if console is not None:
        enabled = "" if console["enabled"] == console["current"] else f", {console['enabled']} at the next boot"
        line("console", f"{console['current'] or 'none'}{enabled}", None)
    if docker is not None:
        what = docker["version"] or docker["binary"] or "unknown version"
        line("user-docker", f"{docker['state']}, {what}, in {docker['context']}", docker["trouble"])
    if (now := switch.get("now")) is not None:
        said = (
            f"{now['of']} {now['origin'] or 'own'} -> {now['target'] or 'own'}, {now['step']} for {since(now['since'])}"
        )
        line("switch", said, now["why"])
    elif (last := switch.get("last")) is not None:
        way = f"{last['of']} {last['origin'] or 'own'} -> {last['target'] or 'own'}"
        line("switch", f"{way}, {last['result']} {since(last['ended'])} ago", last["why"])


def show_units(screen: Screen, units: Sequence[Mapping[str, Any]]) -> None:
    table(
        screen,
        ("UNIT", "KIND", "STATE", "HEALTH", "RESTARTS", "SINCE", "REASON"),
        [
            (
                unit["name"],
                unit["kind"],
                unit["state"],
                "-" if unit["health"] == "none" else unit["health"],
                unit["restarts"],
                since(unit["since"]),
                unit["reason"] if unit.get("touched", True) else f"not managed (no label); {unit['reason']}",
            )
            for unit in units
        ],
    )


def show_event(screen: Screen, event: Mapping[str, Any]) -> None:
    if event.get("event") == "dropped":
        screen.line(
            screen.paint(f"... {event.get('count')} records were dropped: this client reads too slowly", YELLOW)
        )
        return
    at, unit = clock(event.get("time")), clean(event.get("unit") or "-")
    after = str(event.get("after", ""))
    if event.get("event") == "unit.transition":
        what = f"{clean(event.get('before'))} -> {screen.paint(clean(after), COLOURS.get(after))}"
        plain = len(clean(event.get("before"))) + 4 + len(clean(after))
    elif event.get("event") == "unit.fact":
        what = clean(event.get("happened") or fact_in_words(str(event.get("fact", ""))))
        plain = len(what)
    else:
        what = clean(event.get("event"))
        plain = len(what)
    asker = f" (uid {event['uid']})" if "uid" in event else ""
    reason = clean(f"{event.get('reason', '')}{asker}")
    used = len(at) + 2 + max(len(unit), 16) + 2 + plain + 2
    screen.line(f"{at}  {unit:<16}  {what}{': ' + screen.fit(reason, used) if reason else ''}")
