"""A configuration as a tree of values with their places in the files, and the problems found in it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TypeAlias

from supervisor.logs.known_secrets import conceal
from units.records import dataclass
from units.words import did_you_mean


@dataclass(frozen=True, slots=True)
class Location:
    """Where something was written; line and column count from 1, 0 where there is no such thing."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place. ``text``: how a scalar was spelled (``1.24`` stays ``1.24``)."""

    value: "dict[str, Node] | list[Node] | str | int | float | bool | None"
    place: Location
    text: str = ""
    keys: Mapping[str, Location] = field(default_factory=dict)
    """Of a mapping: where each key was written."""

    @property
    def kind(self) -> str:
        """The kind of value, for messages."""
        match self.value:
            case dict():
                return "a mapping"
            case list():
                return "a list"
            case bool():
                return f"the boolean {self.text}"
            case int() | float():
                return f"the number {self.text}"
            case None:
                return "nothing"
            case _:
                return f"the text '{self.text}'"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: the place, the key, the message, and a hint."""

    place: Location
    path: str
    """Dotted key; empty for the file as a whole."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        what = f"{self.path}: {self.message}" if self.path else self.message
        return f"{self.place}: {what}" + (f"; {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, str | int]:
        return {
            "source": self.place.source,
            "line": self.place.line,
            "column": self.place.column,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


class ConfigError(Exception):
    """The configuration is invalid; ``problems`` lists all problems."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.place.source, one.place.line, one.place.column)))
        super().__init__("\n".join(map(str, self.problems)))


Path: TypeAlias = str


class ProblemReport:
    """Collects problems and warnings while a configuration is read, which goes on after errors."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def problem(self, place: Location, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(Problem(place, path, conceal(message), hint))

    def warning(self, place: Location, path: Path, message: str, hint: str = "") -> None:
        self.warnings.append(Problem(place, path, conceal(message), hint))

    def unknown_key(self, place: Location, path: Path, key: str, known: Iterable[str]) -> None:
        self.problem(place, path, "unknown key", nearest(key, known))


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean 'image'?``, or empty when no known word is similar."""
    return did_you_mean(word.replace("-", "_"), sorted(known))


def merged(low: Node, high: Node) -> Node:
    """Maps merge, key by key; lists and scalars of the higher layer replace. Places follow the values.

    An empty value does not replace a map: a ``services:`` with all entries commented out must not stop every unit.
    """
    if isinstance(low.value, dict) and high.value is None:
        return low
    if not isinstance(low.value, dict) or not isinstance(high.value, dict):
        return high
    value = dict(low.value)
    for key, node in high.value.items():
        value[key] = merged(value[key], node) if key in value else node
    return Node(value, high.place, keys={**low.keys, **high.keys})


def lookup(root: Node, path: Path) -> Node | None:
    """The node at a dotted key."""
    node: Node | None = root
    for key in path.split("."):
        if node is None or not isinstance(node.value, dict):
            return None
        node = node.value.get(key)
    return node
