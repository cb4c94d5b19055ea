"""Draws the rooms of the house and what they import, as an SVG: docs/architecture/rooms.svg.

A room stands above all that it imports. A line is drawn only where no other way down leads there; each room names the
rest of its imports itself. The modules below all rooms (``version`` and its like) are left out.
"""

import ast
import itertools
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from script.imports import ROOT, by_room, layers, module_imports, reduced, room_of
from supervisor.views import svg
from supervisor.views.graph_layout import Box, Sizes, layout

WIDTH = 222.0
LETTERS = 33
"""Of the small font in one line of a box."""
HEAD, LINE, FOOT = 28.0, 15.0, 8.0
SIZES = Sizes(box=WIDTH, across=38, between=22, passage=10, margin=14)
"""Turned by a quarter: a box of the layout is as high as ours is wide."""
LEFT_OUT = {"supervisor", *next(layer.rooms for layer in layers() if "supervisor.version" in layer.rooms)}
"""The package itself, and the modules below all rooms."""
STYLE = """
.room rect { fill: var(--back); stroke: var(--off); stroke-width: 1.2; }
.room.core rect { stroke: var(--good); stroke-width: 2; } .room.looks rect { stroke: var(--note); }
.room.beside rect { stroke: var(--going); stroke-dasharray: 5 3; }
.room .name { font-size: 13px; font-weight: 600; } .room .count, .room .also { fill: var(--dim); font-size: 11px; }
.room .what { font-size: 11px; }
.way { fill: none; stroke: var(--dim); stroke-width: 1.3; } .tip { fill: var(--dim); }
"""


@dataclass(frozen=True)
class Room:
    """A box: its name, how many modules, what belongs there, and imports to which no line leads."""

    name: str
    modules: int
    what: tuple[str, ...]
    also: tuple[str, ...]

    @property
    def height(self) -> float:
        return HEAD + LINE * (len(self.what) + len(self.also)) + FOOT

    @property
    def kind(self) -> str:
        if self.name in {"hooks", "metrics"}:
            return "looks"
        if not (ROOT / self.name.replace(".", "/")).is_dir():
            return "beside"
        return "core" if self.name == "units" else "room"


def picture() -> str:
    """The whole SVG; the same for the same source."""
    imports = module_imports()
    between = {room: others - LEFT_OUT for room, others in by_room(imports).items() if room not in LEFT_OUT}
    direct = reduced(between)
    rooms = {
        name: Room(
            name,
            sum(room_of(module) == name for module in imports),
            tuple(textwrap.wrap(_sentence(name), LETTERS)),
            tuple(_wrapped(between[name] - direct[name])),
        )
        for name in between
    }
    placed = layout(
        {name: room.height for name, room in rooms.items()},
        ((name, other) for name, others in direct.items() for other in others),
        SIZES,
    )
    boxes = {name: _turned(box, placed.width, rooms[name]) for name, box in placed.boxes.items()}
    ways = (
        _way([(y, placed.width - x) for x, y in points], boxes[source], boxes[target].y)
        for (source, target), points in placed.lines.items()
    )
    back = svg.rect(0, 0, placed.height, placed.width, "back", radius=0)
    parts = [back, *ways, *(_box(rooms[name], box) for name, box in boxes.items())]
    return svg.drawing(placed.height, placed.width, "The rooms, each above what it imports", parts, STYLE)


def _sentence(name: str) -> str:
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    return " ".join(first.split()).split(". ")[0].rstrip(".").replace("``", "")


def _wrapped(names: Iterable[str]) -> list[str]:
    said = ", ".join(sorted(_short(name) for name in names))
    return textwrap.wrap(f"also: {said}", LETTERS) if said else []


def _short(name: str) -> str:
    return name.removeprefix("supervisor.")


def _turned(box: Box, height: float, room: Room) -> Box:
    """The layout has who is needed at the left, we have it at the bottom; boxes of a layer share their upper edge."""
    top = height - box.x - box.width
    return Box(box.y, top, box.height, room.height)


def _box(room: Room, box: Box) -> str:
    x, y = box.x + 10, box.y + 18
    lines = [("what", line) for line in room.what] + [("also", line) for line in room.also]
    parts = [
        svg.rect(box.x, box.y, box.width, box.height, "box", radius=7),
        svg.text(x, y, _short(room.name), "name"),
        svg.text(box.x + box.width - 10, y, room.modules if room.modules > 1 else "", "count", anchor="end"),
        *(svg.text(x, y + LINE * (number + 1) + 3, line, kind) for number, (kind, line) in enumerate(lines)),
    ]
    return svg.element("g", "".join(parts), class_=f"room {room.kind}")


def _way(points: list[tuple[float, float]], source: Box, target: float) -> str:
    """From a box to the upper edge of another one: straight down through layers, and curves between them."""
    (x, lower), (end, _) = points[0], points[-1]
    tip = 7.0
    stops = [(x, lower), *points[1:-1], (end, target - tip)]
    curve = [f"M{_at(x, source.y + source.height)} L{_at(x, lower)}"]
    for (x1, y1), (x2, y2) in itertools.pairwise(stops):
        half = (y2 - y1) / 2
        curve.append(f"C{_at(x1, y1 + half)} {_at(x2, y2 - half)} {_at(x2, y2)}")
    arrow = f"M{_at(end, target)} L{_at(end - 4, target - tip - 1)} L{_at(end + 4, target - tip - 1)} Z"
    return svg.element("g", svg.path(" ".join(curve), "way") + svg.path(arrow, "tip"))


def _at(x: float, y: float) -> str:
    return f"{svg.number(x)},{svg.number(y)}"
