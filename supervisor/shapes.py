"""Reads single values out of a tree: each shape once, each complaint in the same words. Pure."""

import re
import shlex
from collections.abc import Iterable, Mapping

from supervisor.tree import Node, Report, nearest
from units.unit import Seconds

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(?:(\d+)us)?")
SIZES = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


class Shapes:
    """Each method returns the value, or complains and returns the default."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def wrong(self, node: Node, path: str, wanted: str, hint: str = "") -> None:
        self.report.problem(node.place, path, f"expected {wanted}, found {node.kind}", hint)

    def mapping(self, node: Node, path: str, known: Iterable[str] | None = None) -> dict[str, Node]:
        """Its entries; with ``known``, other keys are complained of and left out."""
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.wrong(node, path, "a mapping")
            return {}
        if known is None:
            return node.value
        names = set(known)
        for key in node.value:
            if key not in names:
                self.report.unknown_key(node.keys.get(key, node.place), f"{path}.{key}" if path else key, names)
        return {key: child for key, child in node.value.items() if key in names}

    def text(self, node: Node, path: str, default: str = "") -> str:
        """A scalar as it was spelled."""
        if isinstance(node.value, dict | list) or node.value is None:
            self.wrong(node, path, "a text")
            return default
        return node.text

    def texts(self, node: Node, path: str, *, single: bool = True) -> list[str]:
        """A list of scalars; with ``single``, one scalar stands for a list of one."""
        if node.value is None:
            return []
        if isinstance(node.value, list):
            return [self.text(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        if single and not isinstance(node.value, dict):
            return [node.text]
        self.wrong(node, path, "a list of texts")
        return []

    def words(self, node: Node, path: str) -> list[str]:
        """A command: a list as it is, a text split as a shell would."""
        if isinstance(node.value, list | dict) or node.value is None:
            return self.texts(node, path, single=False)
        try:
            return shlex.split(node.text)
        except ValueError as error:
            self.report.problem(node.place, path, f"cannot be split into words: {error}", "write it as a list")
            return []

    def pairs(self, node: Node, path: str) -> list[tuple[str, Node | None]]:
        """``{k: v}`` or ``[k=v, k]``; without a value, ``None``."""
        if isinstance(node.value, dict):
            return [(key, child if child.value is not None else None) for key, child in node.value.items()]
        found: list[tuple[str, Node | None]] = []
        for item in self.texts(node, path, single=False):
            key, equals, value = item.partition("=")
            found.append((key, Node(value, node.place, value) if equals else None))
        return found

    def boolean(self, node: Node, path: str, default: bool = False) -> bool:
        if isinstance(node.value, bool):
            return node.value
        if isinstance(node.value, str) and node.value.lower() in {"true", "false"}:
            return node.value.lower() == "true"
        self.wrong(node, path, "true or false")
        return default

    def number(self, node: Node, path: str, default: float = 0.0, *, least: float = 0.0) -> float:
        try:
            value = float(node.text)
        except ValueError:
            value = float("nan")
        if isinstance(node.value, dict | list | bool) or not least <= value < float("inf"):
            self.wrong(node, path, f"a number of at least {least:g}")
            return default
        return value

    def integer(self, node: Node, path: str, default: int = 0, *, least: int | None = 0) -> int:
        try:
            value = int(node.text)
        except ValueError:
            self.wrong(node, path, "a whole number")
            return default
        if least is not None and value < least:
            self.wrong(node, path, f"a whole number of at least {least}")
            return default
        return value

    def seconds(self, node: Node, path: str, default: Seconds = Seconds(0)) -> Seconds:
        """``200ms``, ``10s``, ``5m``, ``1h30m``, or a number of seconds."""
        value = duration(node.text) if not isinstance(node.value, dict | list | bool) else None
        if value is None:
            self.wrong(node, path, "a duration such as 200ms, 10s, 5m or 1h30m")
            return default
        return value

    def size(self, node: Node, path: str) -> int:
        """``512m``, ``1g``, or a number of bytes; ``-1`` for no limit."""
        found = re.fullmatch(r"(-1|\d+(?:\.\d+)?)\s*([a-zA-Z]*)", node.text)
        if isinstance(node.value, dict | list | bool) or not found or found[2].lower() not in SIZES:
            self.wrong(node, path, "a size such as 512m or 1g")
            return 0
        return int(float(found[1]) * SIZES[found[2].lower()])

    def choice(self, node: Node, path: str, allowed: Mapping[str, object] | Iterable[str], default: str) -> str:
        value = self.text(node, path)
        names = list(allowed)
        if value in names:
            return value
        self.report.problem(
            node.place,
            path,
            f"expected one of {', '.join(names)}, found {node.kind}",
            nearest(value, names),
        )
        return default


def duration(text: str) -> Seconds | None:
    """Seconds of a duration; ``None`` when it is none."""
    try:
        value = float(text)
    except ValueError:
        pass
    else:
        return Seconds(value) if 0 <= value < float("inf") else None
    found = DURATION.fullmatch(text.strip())
    if not text.strip() or found is None:
        return None
    factors = (86400.0, 3600.0, 60.0, 1.0, 0.001, 0.000001)
    return Seconds(sum(float(part) * factor for part, factor in zip(found.groups(), factors, strict=True) if part))
