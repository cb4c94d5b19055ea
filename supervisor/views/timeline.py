"""The timeline of one unit as a picture: its states, those of its peers, and the decisions. Pure.

Time goes to the right, and long quiet stretches are drawn shorter than they were. Numbers lead from the picture to the
list below it, which has each decision and its inputs.
"""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from supervisor.logs.timestamps import seconds
from supervisor.views import svg
from supervisor.views.text import clock, lasted
from supervisor.views.why_blocks import Event, blocks, headline, inputs_in_words
from units.records import dataclass

WIDTH, LEFT, RIGHT = 960.0, 120.0, 24.0
LANE, BAR = 46.0, 16.0
TOP = 66.0
ROW = 17.0
MOST = 24
"""Moments in the list below the picture; earlier ones are counted."""
WIDE = 118
"""Characters in a row of the list."""
SHORTENED = 0.4
"""A stretch of so many seconds gets a width of seconds to this power."""
LEAST = 0.05
"""Seconds that any stretch counts for at least: simultaneous events stand side by side."""
HOST = "host"

STYLE = """
.faint { opacity: .35; } .tick { stroke: var(--dim); stroke-width: 1; stroke-dasharray: 2 3; }
.badge { fill: var(--note); } .badge-text { fill: #ffffff; font-size: 10px; font-weight: 600; }
.in-bar { fill: #ffffff; font-size: 10px; }
"""


@dataclass(frozen=True, slots=True)
class Span:
    """One state of one unit. ``sure``: it is known to have lasted until ``end``."""

    state: str
    begin: float
    end: float
    reason: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Scale:
    """Where each moment is drawn."""

    moments: tuple[float, ...]
    places: tuple[float, ...]

    def x(self, at: float) -> float:
        """Between two known moments in proportion."""
        moments, places = self.moments, self.places
        if at <= moments[0]:
            return places[0]
        for i in range(1, len(moments)):
            if at <= moments[i]:
                part = (at - moments[i - 1]) / (moments[i] - moments[i - 1])
                return places[i - 1] + part * (places[i] - places[i - 1])
        return places[-1]


def scale(moments: Sequence[float], left: float, right: float) -> Scale:
    """``moments``: at least one."""
    known = sorted(set(moments))
    if len(known) == 1:
        known.append(known[0] + 1.0)
    widths = [max(b - a, LEAST) ** SHORTENED for a, b in itertools.pairwise(known)]
    total, places = sum(widths), [left]
    for width in widths:
        places.append(places[-1] + width * (right - left) / total)
    return Scale(tuple(known), tuple(places))


def spans(chain: Sequence[Event], unit: str, begin: float, now: float, *, whole: bool) -> list[Span]:
    """Its states. ``whole``: all of its transitions are in the chain, so the last state holds until now."""
    moves = [event for event in chain if event.get("event") == "unit.transition" and event.get("unit") == unit]
    found: list[Span] = []
    state, since, reason = "", begin, ""
    for event in moves:
        at, before = seconds(event.get("time")) or begin, str(event.get("before", ""))
        sure = whole or state == before
        found.append(Span(state or before, since, at, reason, sure=sure))
        state, since, reason = str(event.get("after", "")), at, str(event.get("reason", ""))
    if moves:
        found.append(Span(state, since, max(now, since), reason, sure=whole))
    return [span for span in found if span.end > span.begin]


def draw(answer: Mapping[str, Any], now: float) -> str:
    """``answer``: what ``why`` says. ``now``: seconds since 1970."""
    unit, chain = answer["unit"], answer["chain"]
    name = str(unit["name"])
    told = list(blocks(chain))
    marked = [block for block in told if _matters(block, name)]
    shown = marked[-MOST:]
    stamps = [seconds(event.get("time")) or now for event in chain] or [now - 1]
    begin, now = min(stamps), max(now, *stamps)
    times = scale([*stamps, now], LEFT, WIDTH - RIGHT)
    peers = list(dict.fromkeys(str(event["unit"]) for event in chain if event.get("unit") not in {name, None, ""}))
    lanes = [name, *peers[:8], *([HOST] if any(not event.get("unit") for event in chain) else [])]
    parts = [svg.rect(0, 0, WIDTH, _height(lanes, shown, marked), "back", radius=0), *_title(answer)]
    parts += _axis(times, TOP + len(lanes) * LANE)
    for i, lane in enumerate(lanes):
        states = spans(chain, lane, begin, now, whole=lane == name)
        parts += _lane(lane, states, times, TOP + i * LANE)
    for number, block in enumerate(shown, 1):
        parts += _badges(block, number, lanes, times)
    bottom = TOP + len(lanes) * LANE + 24
    parts += _key(chain, bottom)
    parts += _listing(shown, len(marked) - len(shown), name, bottom + 34)
    return svg.drawing(WIDTH, _height(lanes, shown, marked), f"{name} is {unit['state']}", parts, STYLE)


def _height(lanes: Sequence[str], shown: Sequence[Any], marked: Sequence[Any]) -> float:
    rows = sum(1 + len(_told(block, "")) for block in shown) + (1 if len(marked) > len(shown) else 0)
    return TOP + len(lanes) * LANE + 24 + 34 + rows * ROW + 14


def _matters(block: Sequence[Event], name: str) -> bool:
    """Whether a moment gets a number: something was decided, or it was about the host."""
    return (
        bool(_decisions(block))
        or not block[0].get("unit")
        or any(event.get("restart") and event.get("unit") == name for event in block)
    )


def _decisions(block: Sequence[Event]) -> list[Event]:
    return [event for event in block if event.get("event") == "unit.decision" or event.get("rule")]


def _title(answer: Mapping[str, Any]) -> list[str]:
    unit = answer["unit"]
    since = seconds(unit.get("since"))
    when = "" if since is None else f" since {clock(unit['since'])}"
    count = unit["restarts"]
    restarts = f"{count} restart{'' if count == 1 else 's'}"
    return [
        svg.text(16, 26, f"{unit['name']} is {unit['state']}{when}", "head", longest=80),
        svg.text(WIDTH - RIGHT, 26, restarts, "dim", anchor="end"),
        svg.text(16, 45, f"because {unit['reason']}", "dim", longest=130),
    ]


def _axis(times: Scale, bottom: float) -> list[str]:
    """A tick where there is room for its time."""
    parts = [svg.line(LEFT, bottom, WIDTH - RIGHT, bottom)]
    last = -1e9
    for at, x in zip(times.moments, times.places, strict=True):
        if x - last >= 78 or (at == times.moments[-1] and x - last >= 60):
            parts.append(svg.line(x, TOP - 4, x, bottom + 4, "tick"))
            anchor = "end" if x > WIDTH - RIGHT - 40 else "middle"
            parts.append(
                svg.text(x, bottom + 16, clock(datetime.fromtimestamp(at, UTC).isoformat()), "dim small", anchor=anchor)
            )
            last = x
    return parts


def _lane(name: str, states: Sequence[Span], times: Scale, top: float) -> list[str]:
    middle = top + LANE - 14
    parts = [
        svg.text(LEFT - 10, middle + 4, name, "strong", anchor="end", longest=15),
        svg.line(LEFT, middle, WIDTH - RIGHT, middle),
    ]
    for span in states:
        begin, end = times.x(span.begin), times.x(span.end)
        width = max(end - begin, 1.5)
        class_ = svg.tone(span.state) + ("" if span.sure else " faint")
        said = f"{span.state} for {lasted(span.end - span.begin)}: {span.reason}".removesuffix(": ")
        parts.append(svg.rect(begin, middle - BAR / 2, width, BAR, class_, title=said))
        if span.sure and width > 7 * len(span.state):
            parts.append(svg.text(begin + 4, middle + 3.5, span.state, "in-bar"))
    return parts


def _badges(block: Sequence[Event], number: int, lanes: Sequence[str], times: Scale) -> list[str]:
    """The moment's number above the lane of each unit about which something was decided."""
    at = times.x(seconds(block[0].get("time")) or 0.0)
    owners = {str(event.get("unit") or HOST) for event in _decisions(block)} or {str(block[0].get("unit") or HOST)}
    parts: list[str] = []
    for owner in owners & set(lanes):
        y = TOP + lanes.index(owner) * LANE + LANE - 14 - BAR / 2 - 9
        parts.append(svg.circle(at, y, 7.5, "badge"))
        parts.append(svg.text(at, y + 3.5, number, "badge-text", anchor="middle"))
        parts.append(svg.line(at, y + 7.5, at, y + 9 + BAR, "marked"))
    return sorted(parts)


def _key(chain: Sequence[Event], top: float) -> list[str]:
    """The colours that occur."""
    states = {str(event[key]) for event in chain for key in ("before", "after") if event.get(key)}
    parts, x = [], LEFT
    for state in (one for one in svg.TONES if one in states):
        parts.append(svg.rect(x, top, 10, 10, svg.tone(state)))
        parts.append(svg.text(x + 15, top + 9, state, "dim small"))
        x += 15 + 7 * len(state) + 14
    return parts


def _listing(shown: Sequence[Sequence[Event]], left_out: int, name: str, top: float) -> list[str]:
    parts, y = [], top + 6
    if left_out:
        parts.append(svg.text(LEFT, y, f"{left_out} earlier moments are not listed", "dim small"))
        y += ROW
    for number, block in enumerate(shown, 1):
        parts.append(svg.circle(24, y - 4, 7.5, "badge"))
        parts.append(svg.text(24, y - 0.5, number, "badge-text", anchor="middle"))
        parts.append(svg.text(40, y, clock(block[0].get("time")), "dim small"))
        parts.append(svg.text(LEFT + 12, y, headline(block, name), longest=WIDE))
        y += ROW
        for said in _told(block, name):
            parts.append(svg.text(LEFT + 12, y, said, "dim", longest=WIDE + 4))
            y += ROW
    return parts


def _told(block: Sequence[Event], name: str) -> list[str]:
    """The decisions of this moment, their inputs, and whether it was a restart."""
    told = []
    for event in block:
        owner = f"{event['unit']}: " if event.get("unit") not in {name, None} else ""
        if event.get("rule"):
            told.append(f"→ {owner}{event['rule']}: {event.get('outcome') or event.get('reason', '')}")
            if event.get("event") == "unit.decision" and (said := inputs_in_words(event.get("inputs", {}))):
                told.append(f"    from {said}")
        elif event.get("restart"):
            told.append(f"→ {owner}restart {event.get('restarts')}: {event['restart']}")
    return told
