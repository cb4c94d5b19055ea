"""A configuration as a tree of values with their places in the files, and the problems found in it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TypeAlias

from supervisor.logs.known_secrets import conceal
from units.bounded import LONGEST_QUOTE, quoted, shortened
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
                return f"the number {self.text}" if len(self.text) <= LONGEST_QUOTE else "a number of many digits"
            case None:
                return "nothing"
            case _:
                return f"the text {quoted(self.text)}"


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


MOST = 1000
"""Problems, and warnings, that are told; of more their number."""
MOST_GUESSES = 50
"""Unknown words for which a known one is looked for: each costs a millisecond."""
GROWTH, EACH = 8 << 20, 128
"""Characters that variables and environment files may add to a configuration, and what each place counts besides."""


class ProblemReport:
    """Collects problems and warnings while a configuration is read, which goes on after errors.

    It is bounded, whatever the files say: in number, in length, and in what is spent on guesses and substitutions.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._further = {"problems": 1, "warnings": 1}
        self._guesses = MOST_GUESSES
        self._room = GROWTH

    def problem(self, place: Location, path: Path, message: str, hint: str = "") -> None:
        self._tell("problems", self.problems, Problem(place, shortened(path), conceal(shortened(message)), hint))

    def warning(self, place: Location, path: Path, message: str, hint: str = "") -> None:
        self._tell("warnings", self.warnings, Problem(place, shortened(path), conceal(shortened(message)), hint))

    def _tell(self, kind: str, told: list[Problem], one: Problem) -> None:
        if len(told) < MOST:
            told.append(one)
        else:  # The last one makes room for the number.
            self._further[kind] += 1
            told[-1] = Problem(Location(one.place.source), "", f"{self._further[kind]} further {kind} are not listed")

    def unknown_key(self, place: Location, path: Path, key: str, known: Iterable[str]) -> None:
        self.problem(place, path, "unknown key", self.guess(key, known))

    def guess(self, word: str, known: Iterable[str]) -> str:
        """As ``nearest``, for the first few words."""
        self._guesses -= 1
        return nearest(word, known) if self._guesses >= 0 else ""

    def grows(self, place: Location, path: Path, by: int) -> bool:
        """Whether substitution may add so many characters; the first refusal is a problem."""
        before, self._room = self._room, self._room - by
        if self.full and before >= 0:
            said = f"variables and environment files make the configuration larger than {GROWTH >> 20} MiB"
            self.problem(place, path, said, "give long values to the services that need them")
        return not self.full

    @property
    def full(self) -> bool:
        """Nothing more may be added."""
        return self._room < 0


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
