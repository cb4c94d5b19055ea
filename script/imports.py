"""The imports of the product, read from its source: lazy ones and those for type checkers included."""

import ast
from collections.abc import Iterator, Mapping
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
