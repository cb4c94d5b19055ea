"""Typed readers of single values of a tree, with uniform error messages. Pure."""

import re
import shlex
import signal
from collections.abc import Iterable, Mapping

from supervisor.config.tree import Node, ProblemReport
from supervisor.logs.redaction import telling
from units.bounded import LARGEST
from units.quantities import Seconds

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(?:(\d+)us)?")
LONGEST_SCALAR = 64
"""Characters of a number, a duration, a size or a signal; more is none."""
LONGEST_COMMAND = 64 * 1024
"""Characters of a command that is split into words, which is slow."""
LONGEST = 1e9
"""Seconds, some thirty years: a longer duration is a slip, and overflows the engine's nanoseconds."""
INTEGER = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?\s*([a-zA-Z]{0,2})")
SIGNAL = re.compile(r"(?:SIG)?(?:RTMIN(?:\+[0-9]+)?|RTMAX(?:-[0-9]+)?)|[1-9]|[1-5][0-9]|6[0-4]")
SIGNALS = frozenset(one.name for one in signal.Signals)
SIZES = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


def _is_secret(path: str) -> bool:
    """Whether the value must not be quoted (a secret)."""
    return any(part.startswith("environment") or telling(part) for part in path.split(".")[-2:])


class Validators:
    """Each method returns the value, or reports an error and returns the default."""

    def __init__(self, report: ProblemReport) -> None:
        self.report = report

    def wrong(self, node: Node, path: str, wanted: str, hint: str = "") -> None:
        found = "a text" if isinstance(node.value, str) and _is_secret(path) else node.kind
        self.report.problem(node.place, path, f"expected {wanted}, found {found}", hint)

    def mapping(self, node: Node, path: str, known: Iterable[str] | None = None) -> dict[str, Node]:
        """Its entries; with ``known``, other keys are reported and left out."""
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
                place = node.keys.get(key, node.place)
                self.report.unknown_key(place, f"{path}.{key}" if path else key, key, names)
        return {key: child for key, child in node.value.items() if key in names}

    def text(self, node: Node, path: str, default: str = "") -> str:
        """A scalar as it was spelled."""
        return node.text if self._is_text(node, path) else default

    def texts(self, node: Node, path: str, *, single: bool = True) -> list[str]:
        """A list of scalars; with ``single``, one scalar stands for a list of one."""
        return [item.text for item, _ in self.items(node, path, single=single)]

    def items(self, node: Node, path: str, *, single: bool = True) -> list[tuple[Node, str]]:
        """As ``texts``, each with its own place and path for error messages."""
        if node.value is None:
            return []
        if isinstance(node.value, list):
            found = [(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
            return [(item, below) for item, below in found if self._is_text(item, below)]
        if single and not isinstance(node.value, dict):
            return [(node, path)]
        self.wrong(node, path, "a list of texts")
        return []

    def _is_text(self, node: Node, path: str) -> bool:
        if isinstance(node.value, dict | list) or node.value is None:
            self.wrong(node, path, "a text")
            return False
        return True

    def words(self, node: Node, path: str) -> list[str]:
        """A command: a list as it is, a text split as a shell would."""
        if isinstance(node.value, list | dict) or node.value is None:
            return self.texts(node, path, single=False)
        if len(node.text) > LONGEST_COMMAND:
            self.report.problem(node.place, path, f"has {len(node.text)} characters", "write it as a list")
            return []
        try:
            return shlex.split(node.text)
        except ValueError as error:
            self.report.problem(node.place, path, f"cannot be split into words: {error}", "write it as a list")
            return []

    def pairs(self, node: Node, path: str) -> list[tuple[str, Node]]:
        """``{k: v}`` or ``[k=v, k]``; without a value, a node that holds ``None``. Order as written."""
        if isinstance(node.value, dict):
            return list(node.value.items())
        found = []
        for item, below in self.items(node, path, single=False):
            key, equals, value = item.text.partition("=")
            if not key:
                self.report.problem(item.place, below, f"missing name before '=': {item.text}", "as in NAME=value")
                continue
            found.append((key, Node(value if equals else None, item.place, value)))
        return found

    def boolean(self, node: Node, path: str, default: bool = False) -> bool:
        if isinstance(node.value, bool):
            return node.value
        if isinstance(node.value, str) and node.value.lower() in {"true", "false"}:
            return node.value.lower() == "true"
        self.wrong(node, path, "true or false")
        return default

    def number(self, node: Node, path: str, default: float = 0.0, *, least: float = 0.0) -> float:
        known = len(node.text) <= LONGEST_SCALAR and NUMBER.fullmatch(node.text)
        value = float(node.text) if known else float("nan")
        if not least <= value < float("inf"):
            self.wrong(node, path, f"a number of at least {least:g}")
            return default
        return value

    def integer(self, node: Node, path: str, default: int = 0, *, least: int | None = 0) -> int:
        value = int(node.text) if INTEGER.fullmatch(node.text) and len(node.text) < 20 else None
        if value is None:
            self.wrong(node, path, "a whole number")
            return default
        if least is not None and value < least:
            self.wrong(node, path, f"a whole number of at least {least}")
            return default
        return value

    def seconds(self, node: Node, path: str, default: Seconds = Seconds(0)) -> Seconds:
        """``200ms``, ``10s``, ``5m``, ``1h30m``, or a number of seconds."""
        value = duration(node.text)
        if value is None:
            self.wrong(node, path, "a duration such as 200ms, 10s, 5m or 1h30m")
            return default
        return value

    def size(self, node: Node, path: str) -> int:
        """``512m``, ``1g``, or a number of bytes; ``-1`` for no limit."""
        if node.text == "-1":
            return -1
        found = SIZE.fullmatch(node.text[: LONGEST_SCALAR + 1])
        if not found or found[3].lower() not in SIZES:
            self.wrong(node, path, "a size such as 512m or 1g")
            return 0
        whole, fraction, unit = int(found[1]), found[2] or "", SIZES[found[3].lower()]
        bytes_: int = whole * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        if bytes_ > LARGEST:
            self.wrong(node, path, "a size that an engine can count")
            return 0
        return bytes_

    def signal(self, node: Node, path: str, default: str) -> str:
        """``SIGTERM``, ``TERM``, ``15`` or ``SIGRTMIN+3``, as written."""
        text = self.text(node, path, default)
        if text in SIGNALS or f"SIG{text}" in SIGNALS or SIGNAL.fullmatch(text[: LONGEST_SCALAR + 1]):
            return text
        said = f"expected a signal such as SIGTERM, found {node.kind}"
        self.report.problem(node.place, path, said, self.report.guess(text, SIGNALS))
        return default

    def choice(self, node: Node, path: str, allowed: Mapping[str, object] | Iterable[str], default: str) -> str:
        value = self.text(node, path)
        names = list(allowed)
        if value in names:
            return value
        self.report.problem(
            node.place,
            path,
            f"expected one of {', '.join(names)}, found {node.kind}",
            self.report.guess(value, names),
        )
        return default


def duration(text: str) -> Seconds | None:
    """Seconds of a duration; ``None`` when it is none."""
    if len(text) > LONGEST_SCALAR:
        return None
    if NUMBER.fullmatch(text):
        value = float(text)
    else:
        found = DURATION.fullmatch(text.strip())
        if not text.strip() or found is None:
            return None
        factors = (86400.0, 3600.0, 60.0, 1.0, 0.001, 0.000001)
        value = sum(float(part) * factor for part, factor in zip(found.groups(), factors, strict=True) if part)
    return Seconds(value) if 0 <= value <= LONGEST else None
