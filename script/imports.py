"""The imports of the product, read from its source: lazy ones and those for type checkers included."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TREES = ("units", "hooks", "metrics", "supervisor")
ROOT = Path(__file__).parent.parent

Imports = Mapping[str, frozenset[str]]
"""Of each module, by its dotted name, the modules of ours that it imports."""


def module_imports(root: Path = ROOT) -> Imports:
    """Read all modules below ``root``; packages count under their own name."""
    files = {_dotted(path.relative_to(root)): path for tree in TREES for path in (root / tree).rglob("*.py")}
    return {name: frozenset(_imported(path, name, files) - {name}) for name, path in sorted(files.items())}


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, name: str, known: Mapping[str, Path]) -> set[str]:
    return {found for said in _said(path, name) if (found := _nearest(said, known)) is not None}


def _said(path: Path, name: str) -> Iterator[str]:
    """Dotted names as they are written: of modules, or of what is in them."""
    for node in ast.walk(ast.parse(path.read_text(), name)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _nearest(said: str, known: Mapping[str, Path]) -> str | None:
    if said in known:
        return said
    above = said.rpartition(".")[0]
    return above if above in known else None


def room_of(module: str) -> str:
    """The room that a module belongs to: a folder of ``supervisor``, a module beside them, or another package."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "supervisor" and len(parts) > 1 else parts[0]


def by_room(imports: Imports) -> Imports:
    """The same between rooms."""
    found: dict[str, set[str]] = {}
    for module, others in imports.items():
        room = room_of(module)
        found.setdefault(room, set()).update(room_of(other) for other in others)
    return {room: frozenset(others - {room}) for room, others in found.items()}


def circles(imports: Imports) -> list[tuple[str, ...]]:
    """Groups of modules that import each other, whichever way round (strongly connected, by Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(imports[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(tuple(sorted(stack[at:])))
            del stack[at:]

    for name in imports:
        if name not in order:
            visit(name)
    return sorted(found)


def reduced(imports: Imports) -> Imports:
    """Without what follows from the rest: no ``a -> c`` where ``a`` imports a ``b`` that leads to ``c``."""
    below: dict[str, frozenset[str]] = {}

    def reach(name: str) -> frozenset[str]:
        if name not in below:
            below[name] = imports[name].union(*(reach(other) for other in imports[name]))
        return below[name]

    return {
        name: frozenset(one for one in others if not any(one in reach(other) for other in others - {one}))
        for name, others in imports.items()
    }


@dataclass(frozen=True)
class Layer:
    """Rooms beside each other; ``apart``: none of them may import another one."""

    rooms: frozenset[str]
    apart: bool


def layers(root: Path = ROOT) -> tuple[Layer, ...]:
    """Who is above whom, as pyproject.toml has it for import-linter: the one place where it is written. Top first."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    packages, rooms = (contract for contract in contracts if contract["type"] == "layers")
    prefix = rooms["containers"][0]
    inside = [_layer(said, f"{prefix}.") for said in rooms["layers"]]
    found: list[Layer] = []
    for said in packages["layers"]:
        found += inside if said == prefix else [_layer(said, "")]
    return tuple(found)


def _layer(said: str, prefix: str) -> Layer:
    return Layer(frozenset(prefix + name for name in re.findall(r"\w+", said)), "|" in said)


def upward(imports: Imports, order: tuple[Layer, ...]) -> list[tuple[str, str]]:
    """Imports of modules that lead up, or across between rooms that may not know each other."""
    depth = {room: number for number, layer in enumerate(order) for room in layer.rooms}
    wrong = []
    for module, others in imports.items():
        for other in others:
            here, there = room_of(module), room_of(other)
            if here == there or "supervisor" in {here, there}:
                continue  # The package itself holds a docstring only.
            step = depth[there] - depth[here]
            if step < 0 or (step == 0 and order[depth[here]].apart):
                wrong.append((module, other))
    return sorted(wrong)
