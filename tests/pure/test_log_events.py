"""The catalogue of the log says what the source says: no line is written that is not in it, and no other is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.logs.catalogue import CATALOGUE
from supervisor.logs.pipeline import LEVELS
from tests.bed.engines import REPOSITORY

CALLS = {"debug", "info", "warning", "error", "exception", "critical"}
Written = tuple[str, str]
"""An event and a level that it is written with."""


def written(source: str) -> set[Written]:
    """Every line that this source may write. Raises ValueError for a name that is not constant."""
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    tells = any(
        one.name == "_tell" and [arg.arg for arg in one.args.args][:2] == ["self", "event"] for one in functions
    )
    return {pair for function in functions for pair in _of(function, tells=tells)}


def _of(function: ast.FunctionDef | ast.AsyncFunctionDef, *, tells: bool) -> Iterator[Written]:
    chosen = {
        target.id: _constants(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and (levels := _levels(call, chosen, tells=tells)):
            name = call.args[0] if call.args else None
            if not isinstance(name, ast.Constant):
                raise ValueError(f"{function.name}: an event's name must be constant: {ast.unparse(call)}")
            yield from ((str(name.value), level) for level in levels)


def _levels(call: ast.Call, chosen: dict[str, set[str]], *, tells: bool) -> set[str]:
    """The levels with which this call may write a line; of most calls none."""
    match call.func:
        case ast.Attribute(value=logger, attr=level) if level in CALLS and _is_log(logger):
            return {level}
        case ast.Name(id="say"):
            return chosen["say"]
        case ast.Attribute(attr="_tell") if tells:
            given = next((keyword.value for keyword in call.keywords if keyword.arg == "level"), None)
            if isinstance(given, ast.Name):
                return chosen[given.id]
            return {"info"} if given is None else _constants(given)
        case _:
            return set()


def _is_log(logger: ast.expr) -> bool:
    name = logger.attr if isinstance(logger, ast.Attribute) else getattr(logger, "id", "")
    return name.lstrip("_") == "log"


def _constants(value: ast.expr) -> set[str]:
    """``"info" if good else "warning"``, ``log.info if good else log.warning``: both."""
    return {
        name
        for node in ast.walk(value)
        for name in (getattr(node, "attr", None), getattr(node, "value", None))
        if isinstance(name, str) and name in CALLS
    }


def sources() -> list[Path]:
    return sorted(
        path for package in ("supervisor", "hooks", "metrics") for path in (REPOSITORY / package).rglob("*.py")
    )


def test_the_catalogue_is_what_the_source_says() -> None:
    """Every name with every level that it may have, and nothing else. A new line needs a row in log_events.py."""
    found = {pair for path in sources() for pair in written(path.read_text())}
    told = {
        (line.event, level)
        for group in CATALOGUE
        for line in group.lines
        for level in LEVELS
        if level in line.level.replace(";", " ").replace(",", " ").split()
    }
    assert found == told


def test_a_name_stands_in_one_place() -> None:
    """Twice would be two truths."""
    names = [line.event for group in CATALOGUE for line in group.lines]
    assert len(names) == len(set(names))


def test_the_collector_sees_every_way_to_write_a_line() -> None:
    """Else it would pass by seeing nothing."""
    found = written(
        "def _tell(self, event): ...\n"
        "def one(self):\n"
        " self._log.info('a.one', x=1)\n"
        " say = log.warning if bad else log.debug\n"
        " say('a.two')\n"
        " self._tell('a.three', 'why')\n"
        " level = 'info' if good else 'error'\n"
        " self._tell('a.four', 'why', level=level)\n"
        " self._tell('a.five', 'why', level='warning')\n"
        " math.log.info\n"
    )
    assert found == {
        ("a.one", "info"),
        ("a.two", "warning"),
        ("a.two", "debug"),
        ("a.three", "info"),
        ("a.four", "info"),
        ("a.four", "error"),
        ("a.five", "warning"),
    }


def test_a_name_that_is_put_together_is_refused() -> None:
    """Nobody could look it up."""
    with pytest.raises(ValueError, match="must be constant"):
        written("def one(log):\n log.info(f'a.{b}')\n")
