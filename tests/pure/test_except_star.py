"""No ``except*`` raises: what it raises is bare in Python 3.11.7, and in a group in Debian 12's 3.11.2."""

import ast

from tests.bed.engines import REPOSITORY


def test_nothing_is_raised_in_an_except_star() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for room in ("supervisor", "units", "hooks", "metrics", "dockwarden")
        for path in (REPOSITORY / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.TryStar)
        and any(isinstance(inner, ast.Raise) for handler in node.handlers for inner in ast.walk(handler))
    ]
    assert found == []
