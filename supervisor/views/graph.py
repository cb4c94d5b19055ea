"""The dependency graph with the state of each unit: as plain values, text, mermaid and dot. Pure.

An edge goes from a unit to one that it depends on. It must load fast: commands use it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supervisor.views.severity import ASCII_MARKS, Level, level

if TYPE_CHECKING:
    from units.links import Links


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One unit."""

    name: str
    kind: str
    state: str
    health: str
    level: Level

    @property
    def said(self) -> str:
        """Its state, and its health unless that is good."""
        return self.state if self.health in {"none", "healthy"} else f"{self.state}, {self.health}"


@dataclass(frozen=True, slots=True)
class GraphLine:
    """``source`` depends on ``target``; ``kinds`` are the configuration keys that say so."""

    source: str
    target: str
    kinds: tuple[str, ...]
    hard: bool = True

    @property
    def label(self) -> str:
        return ", ".join(self.kinds)


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by name, edges by their ends."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphLine, ...]

    def node(self, name: str) -> GraphNode | None:
        return next((node for node in self.nodes if node.name == name), None)

    def needs(self, name: str) -> tuple[GraphLine, ...]:
        return tuple(edge for edge in self.edges if edge.source == name)


def plain(links: "Links", rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What ``GET /v1/graph`` answers."""
    known = ("name", "kind", "state", "health", "flapping")
    units = [{key: row[key] for key in known} for row in rows]
    edges: dict[tuple[str, str], dict[str, Any]] = {}
    for source in sorted(links.leaders):
        for edge in links.leaders[source]:
            one = edges.setdefault(
                (source, edge.target), {"source": source, "target": edge.target, "kinds": [], "hard": False}
            )
            if edge.via.value not in one["kinds"]:
                one["kinds"].append(edge.via.value)
            one["hard"] = one["hard"] or edge.hard
    return {"units": units, "edges": [edges[ends] for ends in sorted(edges)]}


def read(value: Mapping[str, Any]) -> Graph:
    """The other way round. Edges to units that are not there are left out."""
    nodes = tuple(
        GraphNode(unit["name"], unit["kind"], unit["state"], unit["health"], level(unit))
        for unit in sorted(value["units"], key=lambda unit: str(unit["name"]))
    )
    known = {node.name for node in nodes}
    edges = tuple(
        GraphLine(edge["source"], edge["target"], tuple(edge["kinds"]), bool(edge["hard"]))
        for edge in value["edges"]
        if edge["source"] in known and edge["target"] in known
    )
    return Graph(nodes, edges)


def as_mermaid(graph: Graph) -> str:
    """A flowchart. Names stand in quoted labels only, with what has a meaning to mermaid or HTML as entities."""
    ids = {node.name: f"u{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = f"{_entities(node.name)}<br/>{node.level.mark} {_entities(node.said)}"
        lines.append(f'    {ids[node.name]}["{label}"]:::{_css(node.level)}')
    for edge in graph.edges:
        arrow = "-->" if edge.hard else "-.->"
        lines.append(f'    {ids[edge.source]} {arrow}|"{_entities(edge.label)}"| {ids[edge.target]}')
    lines += [
        "    classDef needsyou fill:#fdecea,stroke:#b3261e,color:#3b0a08",
        "    classDef onitsway fill:#fff4dc,stroke:#8a6100,color:#3a2900",
        "    classDef up fill:#e6f4ea,stroke:#2e7d4f,color:#0d2b18",
        "    classDef aside fill:#f1f3f4,stroke:#80868b,color:#3c4043",
    ]
    return "\n".join(lines) + "\n"


def as_dot(graph: Graph) -> str:
    """For graphviz."""
    colours = {Level.NEEDS_YOU: "#fdecea", Level.ON_ITS_WAY: "#fff4dc", Level.UP: "#e6f4ea", Level.ASIDE: "#f1f3f4"}
    lines = [
        "digraph dockwarden {",
        "  rankdir=RL;",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=9];',
    ]
    lines += [
        f'  "{_in_dot(node.name)}" [label="{_in_dot(node.name)}\\n{node.level.mark} {_in_dot(node.said)}", '
        f'fillcolor="{colours[node.level]}"];'
        for node in graph.nodes
    ]
    lines += [
        f'  "{_in_dot(edge.source)}" -> "{_in_dot(edge.target)}" [label="{_in_dot(edge.label)}"'
        f"{'' if edge.hard else ', style=dashed'}];"
        for edge in graph.edges
    ]
    return "\n".join([*lines, "}"]) + "\n"


@dataclass(frozen=True, slots=True)
class Marks:
    """How text is drawn: with Unicode or ASCII marks, and how a level is coloured."""

    unicode: bool = True
    paint: Callable[[str, Level], str] = lambda text, _: text

    def of(self, node: GraphNode) -> str:
        return self.paint(node.level.mark if self.unicode else ASCII_MARKS[node.level], node.level)


PLAIN = Marks()


def as_text(graph: Graph, marks: Marks = PLAIN) -> str:
    """One line for each unit, those that need attention first, with its dependencies."""
    rank = {node.name: node for node in graph.nodes}
    ordered = sorted(rank.values(), key=lambda node: (node.level, node.name))
    wide = max((len(_clean(node.name)) for node in ordered), default=0)
    said = max((len(node.said) for node in ordered), default=0)
    lines = []
    for node in ordered:
        needs = ", ".join(f"{_clean(edge.target)} ({edge.label})" for edge in graph.needs(node.name))
        needs = f"{'→' if marks.unicode else '->'} {needs}" if needs else ""
        lines.append(f"{marks.of(node)} {_clean(node.name):<{wide}}  {node.said:<{said}}  {needs}".rstrip())
    return "\n".join(lines) + "\n" if lines else "no units\n"


def as_tree(graph: Graph, root: str | None = None, marks: Marks = PLAIN) -> str:
    """Each unit with its dependencies below it; a unit that was shown before is not unfolded again.

    Without a root it begins with the units that no other unit depends on.
    """
    needed = {edge.target for edge in graph.edges}
    tops = [root] if root is not None else [node.name for node in graph.nodes if node.name not in needed]
    shown: set[str] = set()
    lines: list[str] = []

    def line(name: str, head: str, via: str) -> None:
        node = graph.node(name)
        assert node is not None
        again = bool(graph.needs(name)) and name in shown
        more = f"  [{via}]" if via else ""
        more += ("  ↑ above" if marks.unicode else "  (see above)") if again else ""
        lines.append(f"{head}{marks.of(node)} {_clean(name)}  {node.said}{more}")

    def below(name: str, margin: str) -> None:
        if name in shown:
            return
        shown.add(name)
        needs = graph.needs(name)
        for number, edge in enumerate(needs):
            last = number == len(needs) - 1
            branch, trunk = _BRANCHES[marks.unicode][last]
            line(edge.target, margin + branch, edge.label)
            below(edge.target, margin + trunk)

    for top in tops:
        line(top, "", "")
        below(top, "")
    return "\n".join(lines) + "\n" if lines else "no units\n"


_BRANCHES = {
    True: {False: ("├─ ", "│  "), True: ("└─ ", "   ")},
    False: {False: ("|- ", "|  "), True: ("`- ", "   ")},
}


def _css(of: Level) -> str:
    return of.word.replace("-", "")


def _clean(text: str) -> str:
    """Text that is safe for a terminal."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _entities(text: str) -> str:
    """Letters, digits and a few signs stay; all else is written as a number, which mermaid shows and does not read."""
    return re.sub(r"[^\w .,:/@+-]", lambda found: f"#{ord(found[0])};", _clean(text))


def _in_dot(text: str) -> str:
    return _clean(text).replace("\\", "\\\\").replace('"', '\\"')
