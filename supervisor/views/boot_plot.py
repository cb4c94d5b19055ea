"""The boot chart as a picture and as text: what each unit waited for, and the critical path. Pure."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.views import svg
from supervisor.views.text import BOLD, DIM, GREEN, RED, YELLOW, Screen, clean, clock, table
from units.words import duration

WIDTH, LEFT, RIGHT = 960.0, 150.0, 70.0
TOP, ROW, BAR = 74.0, 22.0, 14.0
MARKS = {
    "waiting": ".",
    "pulling": "p",
    "creating": "c",
    "clearing": "l",
    "starting": "s",
    "running": "=",
    "backoff": "!",
}
OTHER, BAD = "~", frozenset({"failed", "crash-loop", "image-missing"})
STYLE = """
.on-path { stroke: var(--ink); stroke-width: 1.6; } .arrow { stroke: var(--ink); stroke-width: 1.2; fill: none; }
.soft { opacity: .55; } .made { fill: #8467d7; } .proved { fill: #1f9d94; } .engine { fill: var(--dim); }
"""
TONES = {"creating": "made", "running": "proved"}
"""Colours that differ from those of a timeline."""

Unit = Mapping[str, Any]


def seconds(value: object) -> str:
    """``0.42 s``, ``13.1 s``, ``2 min 5 s``."""
    if value is None:
        return "-"
    return duration(float(str(value)))


def end_of(chart: Mapping[str, Any]) -> float:
    """The last moment in the chart."""
    begins = [float(stage["begin"]) for unit in chart["units"] for stage in unit["stages"]]
    return max([*begins, float(chart["engine"] or 0.0), 0.001])


def headline(chart: Mapping[str, Any]) -> str:
    if not chart["units"]:
        return "there were no units to start"
    missing = [unit for unit in chart["units"] if unit["arrived"] is None]
    if chart["took"] is not None:
        return f"{len(chart['units'])} units were up after {seconds(chart['took'])}"
    up = len(chart["units"]) - len(missing)
    return (
        f"{up} of {len(chart['units'])} units are up; not yet: {', '.join(str(unit['unit']) for unit in missing[:5])}"
    )


def path_in_words(chart: Mapping[str, Any]) -> str:
    """``engine 0.7 s -> setup 1.9 s -> db 1.4 s``: each with the time that it added."""
    by_name = {str(unit["unit"]): unit for unit in chart["units"]}
    told, last = [], 0.0
    for name in chart["critical_path"]:
        until = float(by_name[name]["arrived"] if name in by_name else chart["engine"] or 0.0)
        told.append(f"{name} {seconds(until - last)}")
        last = until
    return " -> ".join(told)


# The picture.


def draw(chart: Mapping[str, Any]) -> str:
    units: Sequence[Unit] = chart["units"]
    end = end_of(chart)
    height = TOP + (len(units) + 1) * ROW + 46
    parts = [
        svg.rect(0, 0, WIDTH, height, "back", radius=0),
        svg.text(16, 26, headline(chart), "head", longest=100),
        svg.text(16, 46, f"critical path: {path_in_words(chart) or 'none yet'}", "dim", longest=140),
        *_axis(end, TOP, TOP + (len(units) + 1) * ROW),
        *_engine(chart, end),
    ]
    rows = {str(unit["unit"]): TOP + (i + 1) * ROW for i, unit in enumerate(units)}
    for unit in units:
        parts += _row(unit, rows[str(unit["unit"])], end)
    parts += _arrows(chart, {"engine": TOP, **rows}, end)
    parts += _key(units, TOP + (len(units) + 1) * ROW + 26)
    return svg.drawing(WIDTH, height, headline(chart), parts, STYLE)


def _tone(state: str) -> str:
    return TONES.get(state) or svg.tone(state)


def _x(at: float, end: float) -> float:
    return LEFT + at / end * (WIDTH - LEFT - RIGHT)


def _axis(end: float, top: float, bottom: float) -> Iterator[str]:
    step = next((one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600) if end / one <= 10), 1800)
    for i in range(int(end / step) + 1):
        x = _x(i * step, end)
        yield svg.line(x, top - 6, x, bottom)
        yield svg.text(x, bottom + 13, seconds(i * step) if i else "0", "dim small", anchor="middle")


def _engine(chart: Mapping[str, Any], end: float) -> Iterator[str]:
    until = float(chart["engine"]) if chart["engine"] is not None else end
    on_path = " on-path" if "engine" in chart["critical_path"] else ""
    yield svg.text(LEFT - 8, TOP + 11, "engine", "dim strong", anchor="end")
    yield svg.rect(
        LEFT, TOP, _x(until, end) - LEFT, BAR, f"engine{on_path}", title=f"until the engine answered: {seconds(until)}"
    )


def _row(unit: Unit, y: float, end: float) -> Iterator[str]:
    yield svg.text(LEFT - 8, y + 11, unit["unit"], "strong" if unit["critical"] else "", anchor="end", longest=20)
    stages = unit["stages"]
    for stage, after in zip(stages, [*stages[1:], None], strict=True):
        begin, until = float(stage["begin"]), float(after["begin"]) if after else end
        arrived = after is None and unit["arrived"] is not None
        if arrived:
            continue
        waits = stage["state"] == "waiting"
        class_ = _tone(stage["state"]) + (" soft" if waits else " on-path" if unit["critical"] else "")
        said = f"{stage['state']} {seconds(until - begin)}: {stage['reason']}"
        yield svg.rect(_x(begin, end), y, _x(until, end) - _x(begin, end), BAR, class_, title=said)
    x = _x(float(stages[-1]["begin"]), end)
    if unit["arrived"] is not None:
        yield svg.circle(x, y + BAR / 2, 4, "good", title=str(unit["state"]))
    took = "found running" if unit["found"] else seconds(unit["took"]) if unit["arrived"] is not None else unit["state"]
    yield svg.text(min(x + 8, WIDTH - 4 - 7 * len(took)), y + 11, took, "dim small")


def _arrows(chart: Mapping[str, Any], rows: Mapping[str, float], end: float) -> Iterator[str]:
    """Arrows along the critical path, from the unit that was waited for to the one that waited."""
    waited = {str(unit["unit"]): unit["waited"] for unit in chart["units"]}
    for one, other in itertools.pairwise(chart["critical_path"]):
        x, y1, y2 = _x(float(waited[other] or 0.0), end), rows[one] + BAR, rows[other]
        if y2 < y1:
            y1, y2 = rows[one], rows[other] + BAR
        tip = 4 if y2 > y1 else -4
        yield svg.path(f"M{x:.1f} {y1:.1f} L{x:.1f} {y2:.1f} m-3 {-tip} l3 {tip} l3 {-tip}", "arrow")


def _key(units: Sequence[Unit], y: float) -> Iterator[str]:
    states = {str(stage["state"]) for unit in units for stage in unit["stages"]}
    said = {"running": "until ready", "waiting": "waiting", "ready": "ready"}
    x = LEFT
    for state in (one for one in svg.TONES if one in states):
        word = said.get(state, state)
        yield svg.rect(x, y, 10, 10, _tone(state) + (" soft" if state == "waiting" else ""))
        yield svg.text(x + 15, y + 9, word, "dim small")
        x += 15 + 7 * len(word) + 14


# On a terminal.


def show(screen: Screen, chart: Mapping[str, Any]) -> None:
    """One row a unit, as wide as the terminal."""
    units: Sequence[Unit] = chart["units"]
    end, names = end_of(chart), max([len(clean(unit["unit"])) for unit in units] + [6])
    names = min(names, 24)
    room = max((screen.width or 80) - names - 14, 20)
    screen.line(screen.paint(headline(chart), BOLD) + f", counted from {clock(chart['began'])}")
    screen.line(f"critical path: {clean(path_in_words(chart)) or 'none yet'}")
    screen.line()
    engine = float(chart["engine"]) if chart["engine"] is not None else end
    screen.line(f"  {'engine':<{names}} {'.' * max(round(engine / end * room), 1)} {seconds(chart['engine'])}")
    for unit in units:
        mark = "*" if unit["critical"] else " "
        bar = _bar(unit, end, room)
        tail = (
            "found running" if unit["found"] else seconds(unit["arrived"]) if unit["arrived"] is not None else "not up"
        )
        colour = RED if unit["state"] in BAD else GREEN if unit["arrived"] is not None else YELLOW
        name = f"{screen.paint(mark, BOLD)} {clean(unit['unit'])[:names]:<{names}}"
        screen.line(f"{name} {screen.paint(bar, colour)} {tail}")
    screen.line()
    screen.line(
        screen.paint("* critical path  . waiting  p pulling  c creating  s starting  = until ready  ~ other", DIM)
    )


def _bar(unit: Unit, end: float, room: int) -> str:
    """Each stage has a column at least."""
    bar = ""
    stages = unit["stages"]
    for stage, after in zip(stages, [*stages[1:], None], strict=True):
        if after is None and unit["arrived"] is not None:
            break
        until = round((float(after["begin"]) if after else end) / end * room)
        bar += MARKS.get(str(stage["state"]), OTHER) * max(until - len(bar), 1)
    return bar + ("|" if unit["arrived"] is not None else ">")


def show_blame(screen: Screen, chart: Mapping[str, Any]) -> None:
    """The units by the time that they took, and what each waited for."""
    units = sorted(chart["units"], key=lambda unit: -(unit["took"] if unit["took"] is not None else 1e9))
    screen.line(screen.paint(headline(chart), BOLD) + f"; critical path: {clean(path_in_words(chart)) or 'none yet'}")
    screen.line()
    rows = [
        (
            seconds(unit["took"]) if unit["took"] is not None else "not up",
            ("* " if unit["critical"] else "") + str(unit["unit"]),
            unit["state"],
            *(seconds(spent(unit, state)) for state in ("pulling", "creating", "starting", "running")),
            _wait_of(unit),
        )
        for unit in units
    ]
    heads = ("TOOK", "UNIT", "STATE", "PULLING", "CREATING", "STARTING", "UNTIL READY", "WAITED BEFORE")
    table(screen, heads, rows)


def _wait_of(unit: Unit) -> str:
    if unit["found"]:
        return "found running"
    return (
        f"{seconds(unit['waited'])} for {unit['waited_for']}"
        if unit["waited_for"]
        else "still waiting: see `dockwarden why`"
    )


def spent(unit: Unit, state: str) -> float | None:
    """Seconds in one state in total; ``None``: it was never in it."""
    stages = unit["stages"]
    spans = [
        float(after["begin"]) - float(stage["begin"])
        for stage, after in itertools.pairwise(stages)
        if stage["state"] == state
    ]
    return sum(spans) if spans else None
