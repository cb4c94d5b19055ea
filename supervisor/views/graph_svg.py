"""The graph as an SVG picture: boxes with states, and lines by kind of dependency. Pure."""

import itertools
from collections.abc import Iterator, Mapping

from supervisor.views import svg
from supervisor.views.graph import Graph, GraphLine, GraphNode
from supervisor.views.graph_layout import Box, Layout, layout

LETTER = 8.0
"""Pixels of a letter of a name, as wide as any font makes it on the whole."""
LONGEST = 22
"""Letters of a name that are shown; the whole stands in the title."""
LABEL = 15
"""Letters between two layers; no picture's reader could tell to which line more belong."""
NARROWEST = 132.0
"""Holds the longest states."""
STYLE = """
.node rect { fill: var(--back); stroke: var(--off); }
.node.up rect { stroke: var(--good); } .node.up .mark { fill: var(--good); }
.node.on-its-way rect { stroke: var(--late); stroke-width: 1.5; } .node.on-its-way .mark { fill: var(--late); }
.node.needs-you rect { stroke: var(--bad); stroke-width: 2; } .node.needs-you .mark { fill: var(--bad); }
.node.aside rect { stroke-dasharray: 3 3; } .node .state { fill: var(--dim); font-size: 11px; }
.node .name { font-weight: 600; }
.tie { fill: none; stroke: var(--dim); stroke-width: 1.2; } .tie.shares { stroke: var(--note); stroke-width: 1.6; }
.tie.order { stroke-dasharray: 5 4; } .tie.soft { stroke-dasharray: 2 3; }
.tip { fill: var(--dim); } .tip.shares { fill: var(--note); }
.via { fill: var(--dim); font-size: 10px; paint-order: stroke; stroke: var(--back); stroke-width: 3px; }
"""
"""Names of colours are those of ``svg.STYLE``; the page has the same rules in its own style sheet."""

SHARES = frozenset({"net", "pid", "ipc", "volumes_from", "links", "storage_context"})
"""Ties to a run or a container; the others are an order of starting."""


def place(graph: Graph) -> Layout:
    """The layout. It depends on names and edges only, so that a change of state moves nothing."""
    widths = {node.name: max(min(len(node.name), LONGEST) * LETTER + 48, NARROWEST) for node in graph.nodes}
    return layout(widths, ((edge.source, edge.target) for edge in graph.edges))


def picture(graph: Graph, placed: Layout | None = None, *, alone: bool = True) -> str:
    """An SVG. ``alone``: with a style sheet of its own; else it takes the page's it stands in, and carries no style."""
    placed = placed or place(graph)
    parts = [_tie(edge, placed.lines[edge.source, edge.target]) for edge in graph.edges if edge.source != edge.target]
    parts += _labels(graph, placed.boxes)
    parts += [_box(node, placed.boxes[node.name]) for node in graph.nodes]
    said = f"{len(graph.nodes)} units and their dependencies"
    if alone:
        back = svg.rect(0, 0, placed.width, placed.height, "back", radius=0)
        return svg.drawing(placed.width, placed.height, said, [back, *parts], STYLE)
    return svg.element(
        "svg",
        svg.element("title", svg.escape(said)) + "".join(parts),
        viewBox=f"0 0 {svg.number(placed.width)} {svg.number(placed.height)}",
        width=float(placed.width),
        height=float(placed.height),
        role="img",
        xmlns="http://www.w3.org/2000/svg",
    )


def _box(node: GraphNode, box: Box) -> str:
    middle = box.x + 12
    parts = [
        svg.element("title", svg.escape(f"{node.name}: {node.said} ({node.kind})")),
        svg.rect(box.x, box.y, box.width, box.height, "box", radius=6),
        svg.text(middle, box.y + 15, node.name, "name", longest=LONGEST),
        svg.text(box.x + box.width - 10, box.y + 15, node.level.mark, "mark", anchor="end"),
        svg.text(middle, box.y + 28, node.said, "state"),
    ]
    return svg.element("g", "".join(parts), class_=f"node {node.level.word}", data_unit=node.name)


def _tie(edge: GraphLine, points: tuple[tuple[float, float], ...]) -> str:
    of = "shares" if SHARES & set(edge.kinds) else "order"
    of += "" if edge.hard else " soft"
    (x, y), tip = points[-1], 6.0
    curve = " ".join(_curve((*points[:-1], (x + tip, y))))
    arrow = f"M{_at(x, y)} L{_at(x + tip + 1, y - 3.5)} L{_at(x + tip + 1, y + 3.5)} Z"
    title = f"{edge.source} needs {edge.target}: {edge.label}"
    return svg.element("g", svg.path(curve, f"tie {of}", title) + svg.path(arrow, f"tip {of}"), class_="edge")


def _labels(graph: Graph, boxes: Mapping[str, Box]) -> Iterator[str]:
    """Where lines arrive, by what they come: once for all that come to a box, for there they have one end."""
    for name, box in boxes.items():
        kinds = dict.fromkeys(kind for edge in graph.edges if edge.target == name for kind in edge.kinds)
        if kinds:
            yield svg.text(box.x + box.width + 10, box.y + 12, ", ".join(sorted(kinds)), "via", longest=LABEL)


def _curve(points: tuple[tuple[float, float], ...]) -> Iterator[str]:
    """Level at each end: first a step to the left is a curve, through a layer it is a straight line."""
    yield f"M{_at(*points[0])}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        half = (x1 - x2) / 2 if x1 > x2 else -abs(x2 - x1) / 2
        yield f"C{_at(x1 - half, y1)} {_at(x2 + half, y2)} {_at(x2, y2)}"


def _at(x: float, y: float) -> str:
    return f"{svg.number(x)},{svg.number(y)}"
