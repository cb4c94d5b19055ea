"""Parses YAML text into a tree with places: the only module that uses yaml.

Scalars follow YAML 1.2's core schema, not PyYAML's 1.1: ``22:22`` is a port mapping and not a sexagesimal number,
``no`` is a restart policy and not a boolean, ``1.24`` keeps its spelling beside its value.
"""

import re
from typing import Any

import yaml

from supervisor.config.tree import Location, Node, ProblemReport

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LIMIT = 100_000
"""Nodes of one file after its aliases are followed: a small file may say "a billion laughs"."""
LENGTH = 16 << 20
"""Characters of all values of one file after its aliases are followed."""
ENTRIES = 10_000
"""Of one mapping, or of one list."""
DEPTH = 64
"""Levels of nesting. libyaml's composer recurses on the C stack and takes the process with it, so we look before."""

DIGITS = 1000
"""Longer ones are texts: Python refuses to read numbers of several thousand digits."""
INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
NULL = {"", "~", "null", "Null", "NULL"}


def parse(text: str, source: str, report: ProblemReport) -> Node | None:
    """The tree of one document; ``None``, and a problem, when there is none. An empty file is an empty mapping."""
    try:
        _measure(text)
        root = yaml.compose(text, LOADER)
        if root is None:
            return Node({}, Location(source))
        return _Reader(source, report).read(root, "", ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(source, mark.line + 1, mark.column + 1) if mark else Location(source)
        said = " ".join(part for part in (error.context, error.problem) if part)
        report.problem(place, "", f"not YAML: {said}", "check quotes, indentation and tabs")
    except yaml.YAMLError as error:
        report.problem(Location(source), "", f"not YAML: {error}")
    except _TooLargeError as error:
        report.problem(Location(source), "", f"too large or too deeply nested for a configuration: {error}")
    return None


def scalar(text: str) -> str | int | float | bool | None:
    """A plain scalar's value in YAML 1.2's core schema."""
    if text in NULL:
        return None
    if text in BOOL:
        return BOOL[text]
    if len(text) > DIGITS:
        return text
    if INT.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    return text


class _TooLargeError(Exception):
    """More nodes, or deeper nesting, than is allowed."""


def _measure(text: str) -> None:
    """Events come without recursion, however deep the text."""
    counts = [0]
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            counts.pop()
        elif isinstance(event, yaml.NodeEvent):
            counts[-1] += 1
            if counts[-1] > 2 * ENTRIES:  # A mapping's keys are nodes, too.
                raise _TooLargeError(f"more than {ENTRIES} entries in one mapping")
            if isinstance(event, yaml.CollectionStartEvent):
                counts.append(0)
                if len(counts) > DEPTH + 1:
                    raise _TooLargeError(f"more than {DEPTH} levels of nesting")


class _Reader:
    def __init__(self, source: str, report: ProblemReport) -> None:
        self._source = source
        self._report = report
        self._count = self._length = 0

    def read(self, node: Any, path: str, parents: tuple[int, ...]) -> Node:
        self._count += 1
        if self._count > LIMIT:
            raise _TooLargeError(f"more than {LIMIT} values")
        place = self._place(node)
        if id(node) in parents:
            self._report.problem(place, path, "an alias that contains itself")
            return Node(None, place)
        if len(parents) > DEPTH:
            raise _TooLargeError(f"more than {DEPTH} levels of nesting through its aliases")
        parents = (*parents, id(node))
        if isinstance(node, yaml.ScalarNode):
            self._length += len(node.value)
            if self._length > LENGTH:
                raise _TooLargeError(f"more than {LENGTH >> 20} MiB of text")
            return Node(node.value if node.style else scalar(node.value), place, node.value)
        if isinstance(node, yaml.SequenceNode):
            items = [self.read(item, f"{path}[{index}]", parents) for index, item in enumerate(node.value)]
            return Node(items, place)
        return self._mapping(node, path, parents)

    def _mapping(self, node: Any, path: str, parents: tuple[int, ...]) -> Node:
        value: dict[str, Node] = {}
        keys: dict[str, Location] = {}
        inherited: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._report.problem(place, path, "a key must be a word")
                continue
            key = str(key_node.value)
            below = f"{path}.{key}" if path else key
            if key == "<<" and not key_node.style:
                self._inherit(self.read(value_node, path, parents), path, inherited)
                continue
            if key in value:
                self._report.problem(place, below, f"written twice; first at {keys[key]}", "remove one of them")
            value[key] = self.read(value_node, below, parents)
            keys[key] = place
        for key, inherited_node in inherited.items():
            if key not in value:
                value[key], keys[key] = inherited_node, inherited_node.place
        return Node(value, self._place(node), keys=keys)

    def _inherit(self, merged: Node, path: str, inherited: dict[str, Node]) -> None:
        for source in merged.value if isinstance(merged.value, list) else [merged]:
            if not isinstance(source.value, dict):
                self._report.problem(
                    source.place, path, f"<< expects a mapping, found {source.kind}", "name an &anchor"
                )
                continue
            for key, node in source.value.items():
                inherited.setdefault(key, node)

    def _place(self, node: Any) -> Location:
        return Location(self._source, node.start_mark.line + 1, node.start_mark.column + 1)
