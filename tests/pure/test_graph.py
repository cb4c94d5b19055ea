"""Who needs whom: as plain values, as text, and in a picture that anybody can read."""

import itertools
import re
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from supervisor.views.graph import Graph, Marks, as_dot, as_mermaid, as_text, as_tree, plain, read
from supervisor.views.graph_layout import Sizes, layout
from supervisor.views.graph_svg import picture
from tests.pure.story import Story, after, needs, spec
from units.spec import Via

HOSTILE = '"]; click u0 "javascript:alert(1)" <script>&\\\u202e\n'


def unit(name: str, state: str = "ready", health: str = "none", kind: str = "service") -> dict[str, Any]:
    return {"name": name, "kind": kind, "state": state, "health": health, "flapping": False}


def edge(source: str, target: str, *kinds: str, hard: bool = True) -> dict[str, Any]:
    return {"source": source, "target": target, "kinds": list(kinds), "hard": hard}


def small() -> Graph:
    return read(
        {
            "units": [
                unit("web", "crash-loop"),
                unit("db", "running", "starting"),
                unit("vpn"),
                unit("log", "inactive"),
            ],
            "edges": [edge("web", "db", "links"), edge("web", "vpn", "net"), edge("db", "vpn", "after", hard=False)],
        }
    )


def test_a_world_becomes_plain_values() -> None:
    """Two keys that say the same are one edge; it is hard when one of them is."""
    story = Story.of(spec("web", needs("db"), after("db"), needs("db", Via.VOLUMES)), spec("db"))
    rows = [unit("web"), unit("db")]
    assert plain(story.world.links, rows) == {
        "units": rows,
        "edges": [{"source": "web", "target": "db", "kinds": ["links", "volumes_from", "after"], "hard": True}],
    }


def test_an_edge_to_nowhere_is_left_out() -> None:
    graph = read({"units": [unit("web")], "edges": [edge("web", "gone", "links")]})
    assert graph.edges == ()


def test_as_text_what_needs_you_is_first() -> None:
    assert as_text(small()) == (
        "▲ web  crash-loop         → db (links), vpn (net)\n"
        "◐ db   running, starting  → vpn (after)\n"
        "● vpn  ready\n"
        "○ log  inactive\n"
    )


def test_a_tree_unfolds_each_unit_once() -> None:
    assert as_tree(small()) == (
        "○ log  inactive\n"
        "▲ web  crash-loop\n"
        "├─ ◐ db  running, starting  [links]\n"
        "│  └─ ● vpn  ready  [after]\n"
        "└─ ● vpn  ready  [net]\n"
    )
    above = read(
        {
            "units": [unit(name) for name in "abcd"],
            "edges": [edge("a", "b", "after"), edge("a", "c", "after"), edge("b", "c", "net"), edge("c", "d", "net")],
        }
    )
    assert as_tree(above, "a", Marks(unicode=False)) == (
        "* a  ready\n"
        "|- * b  ready  [after]\n"
        "|  `- * c  ready  [net]\n"
        "|     `- * d  ready  [net]\n"
        "`- * c  ready  [after]  (see above)\n"
    )


def test_nothing_is_said_as_such() -> None:
    empty = read({"units": [], "edges": []})
    assert (as_text(empty), as_tree(empty)) == ("no units\n", "no units\n")
    assert ET.fromstring(picture(empty)).tag.endswith("svg")


def test_a_hostile_name_does_nothing_in_any_format() -> None:
    """No line of mermaid or dot but the expected ones, no element in the picture, nothing that a terminal obeys."""
    graph = read({"units": [unit(HOSTILE), unit("b")], "edges": [edge(HOSTILE, "b", "links")]})
    mermaid, dot = as_mermaid(graph).splitlines(), as_dot(graph).splitlines()
    assert len(mermaid) == 1 + 2 + 1 + 4
    assert all(re.fullmatch(r'    u\d\["[\w .,:/@+#;&-]*<br/>● ready"\]:::up', line) for line in mermaid[1:3]), mermaid
    assert len(dot) == 4 + 2 + 1 + 1
    bare = [re.sub(r'"(?:[^"\\]|\\.)*"', "_", line) for line in dot[4:7]]
    assert bare == ["  _ [label=_, fillcolor=_];", "  _ [label=_, fillcolor=_];", "  _ -> _ [label=_];"]
    for text in (as_text(graph), as_tree(graph), *mermaid, *dot):
        assert not set("\u202e\x1b") & set(text)
    drawn = ET.fromstring(picture(graph))
    assert {one.tag.rpartition("}")[2] for one in drawn.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "g",
        "path",
        "text",
    }


def test_a_picture_in_the_page_brings_no_style() -> None:
    """The page's policy would refuse it, and complain."""
    inside = picture(small(), alone=False)
    assert "style" not in inside
    assert "<style>" in picture(small())


# The layout.

graphs = st.integers(1, 14).flatmap(
    lambda count: st.tuples(
        st.just([f"u{number}" for number in range(count)]),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30),
    )
)


@given(graphs)
def test_boxes_never_overlap_and_lines_end_at_them(drawn: tuple[list[str], list[tuple[int, int]]]) -> None:
    """Any graph at all, with cycles and edges to oneself; and everything is within the picture."""
    names, pairs = drawn
    edges = {(names[a], names[b]) for a, b in pairs}
    placed = layout({name: 80.0 + 7 * number for number, name in enumerate(names)}, edges)
    assert set(placed.boxes) == set(names)
    for one, other in itertools.combinations(placed.boxes.values(), 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y + 0.01 or other.y + other.height <= one.y + 0.01
    for box in placed.boxes.values():
        assert 0 <= box.x <= box.x + box.width <= placed.width
        assert -0.01 <= box.y <= box.y + box.height <= placed.height + 0.01
    for (source, target), points in placed.lines.items():
        assert points[0] == (placed.boxes[source].x, placed.boxes[source].y + placed.boxes[source].height / 2)
        assert points[-1][0] == placed.boxes[target].x + placed.boxes[target].width


@given(graphs, st.randoms())
def test_the_same_graph_is_the_same_picture(drawn: tuple[list[str], list[tuple[int, int]]], random: Any) -> None:
    """In whatever order its parts are given."""
    names, pairs = drawn
    edges = [(names[a], names[b]) for a, b in pairs]
    first = layout(dict.fromkeys(names, 90.0), edges)
    random.shuffle(edges)
    shuffled = list(names)
    random.shuffle(shuffled)
    assert layout(dict.fromkeys(shuffled, 90.0), edges) == first


def test_who_is_needed_stands_left() -> None:
    """Without cycles, each line leads to the left; the longest way decides the layer."""
    edges = [("d", "c"), ("c", "b"), ("b", "a"), ("d", "a")]
    placed = layout(dict.fromkeys("abcd", 90.0), edges)
    xs = [placed.boxes[name].x for name in "abcd"]
    assert xs == sorted(set(xs))
    assert len(placed.lines["d", "a"]) == 6


def test_crossings_are_undone() -> None:
    """Two lines that need not cross do not."""
    placed = layout(dict.fromkeys("abxy", 90.0), [("x", "b"), ("y", "a")])
    assert (placed.boxes["a"].y < placed.boxes["b"].y) is (placed.boxes["y"].y < placed.boxes["x"].y)


def test_thirty_units_fit_a_screen() -> None:
    """In a tree of three branches: no wider than a window, and lower than a list of them."""
    names = [f"unit-{number}" for number in range(30)]
    edges = [(names[number], names[number // 3]) for number in range(1, 30)]
    placed = layout(dict.fromkeys(names, 110.0), edges)
    assert placed.width < 1200
    assert placed.height < 30 * (Sizes().box + Sizes().between)
