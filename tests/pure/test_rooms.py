"""The house: each room says what belongs there and what it may import, and nothing imports upward or in circles.

All imports count, also those within functions and those for type checkers only, which import-linter may leave out.
"""

import ast
import re
from pathlib import Path

import pytest

from script.imports import ROOT, Imports, by_room, circles, layers, module_imports, reduced, room_of, upward

IMPORTS = module_imports()
ROOMS = [room for room in by_room(IMPORTS) if (ROOT / room.replace(".", "/")).is_dir() and room != "supervisor"]
BASE = next(layer.rooms for layer in layers() if "supervisor.version" in layer.rooms)
"""Modules below all rooms: every room may import them, and need not say so."""
LONGEST, LONGEST_DATA = 400, 450
DATA = {"units/events.py"}
"""Types and events: data, of which one reads an entry and not the whole."""


def said(room: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text())) or ""


def allowed(room: str) -> frozenset[str]:
    """Dotted names after ``May import:``, without what is in brackets or follows a semicolon."""
    found = re.search(r"^May import: ([^;]*?)(;.*)?\.$", said(room), re.MULTILINE)
    assert found, f"{room} does not say what it may import"
    names = re.findall(r"[\w.]+\w", re.sub(r"\(.*?\)", "", found[1]).replace(" and ", ", "))
    own = {"units", "hooks", "metrics"}
    return (
        frozenset()
        if found[1] == "none of the others"
        else frozenset(name if name.split(".")[0] in own else f"supervisor.{name}" for name in names)
    )


def outside(room: str) -> set[str]:
    """Modules of other rooms that are imported."""
    return {other for module, others in IMPORTS.items() if room_of(module) == room for other in others} - {
        module for module in IMPORTS if room_of(module) == room or module in BASE
    }


def within(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def test_nothing_imports_in_a_circle() -> None:
    assert circles(IMPORTS) == []
    assert circles(by_room(IMPORTS)) == []


def test_nothing_imports_upward() -> None:
    """Nor sideways between rooms of one layer; every room has a layer."""
    order = layers()
    known = {room for layer in order for room in layer.rooms}
    assert set(by_room(IMPORTS)) - {"supervisor"} == known
    assert upward(IMPORTS, order) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_belongs_there(room: str) -> None:
    """In its first line, as a sentence; and names what it imports, no more and no less."""
    assert re.fullmatch(r"[^\n]{20,}\.( [A-Z][^\n]*\.)?", said(room).split("\n")[0])
    may, does = allowed(room), outside(room)
    assert [module for module in sorted(does) if not any(within(module, name) for name in may)] == []
    assert [name for name in sorted(may) if not any(within(module, name) for module in does)] == []


@pytest.mark.parametrize(
    "path", sorted(path.relative_to(ROOT) for path in ROOT.glob("supervisor/*/*/__init__.py")), ids=str
)
def test_a_room_in_a_room_says_what_belongs_there(path: Path) -> None:
    """It may import what the room may."""
    text = ast.get_docstring(ast.parse((ROOT / path).read_text())) or ""
    assert f"May import: what {path.parts[1]} may." in text


def test_modules_are_short() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for tree in ("units", "hooks", "metrics", "supervisor")
        for path in (ROOT / tree).rglob("*.py")
    }
    assert {path: n for path, n in lines.items() if n > (LONGEST_DATA if path in DATA else LONGEST)} == {}


def test_circles_and_ways_up_are_found(tmp_path: Path) -> None:
    """Also where the import is lazy, or for a type checker only; the check would be worth nothing else."""
    (tmp_path / "units").mkdir()
    (tmp_path / "units/a.py").write_text("def late():\n    from units import b\n")
    (tmp_path / "units/b.py").write_text("if TYPE_CHECKING:\n    import units.a\n    from hooks.c import d\n")
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/c.py").write_text("d = 1\n")
    found = module_imports(tmp_path)
    assert circles(found) == [("units.a", "units.b")]
    assert upward(found, layers()) == [("units.b", "hooks.c")]


def test_what_follows_is_left_out() -> None:
    given: Imports = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert reduced(given) == {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset()}
