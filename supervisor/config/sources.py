"""Finds, reads and merges the layers of a configuration, lowest first; the only reader of its files."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import reduce
from pathlib import Path
from typing import Any

from supervisor.config import yaml_source
from supervisor.config.parsing import env_files, parse
from supervisor.config.service_draft import env_file_path
from supervisor.config.settings import Settings
from supervisor.config.tree import ConfigError, Location, Node, ProblemReport, lookup, merged
from supervisor.os_errors import why
from units.records import dataclass, replace

LIMIT = 4 << 20
"""Bytes of one file: more is no configuration."""

HEADER = "#cloud-config"
DEEPEST = 32
"""Parts of a key on the kernel's command line."""

SHIPPED = """\
rancher:
  supervisor:
    restart:
      policy: no
      delay: 200ms
      max_delay: 60s
      jitter: 0.25
      reset: 10s
      burst: 5
      interval: 60s
      probe: 5m
    stop:
      timeout: 10s
      signal: SIGTERM
    shutdown:
      total: 60s
    snapshot_period: 30s
    pull: missing
"""
"""The lowest layer: the defaults of the settings' types, written out so that ``explain`` can name them."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The texts that a configuration is made of, as they were read."""

    layers: tuple[tuple[str, str], ...]
    """Name and text of each file, lowest first."""
    tokens: tuple[str, ...] = ()
    """Of the kernel's command line, above all files."""
    env_files: Mapping[str, str] = field(default_factory=dict)
    """Text of each ``env_file`` that a service names."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why others cannot be read."""

    def nodes(self, report: ProblemReport) -> list[Node]:
        """The layers, lowest first: shipped defaults, files, the kernel's command line."""
        files = (("shipped defaults", SHIPPED), *self.layers)
        layers = [_layer(source, text, report) for source, text in files]
        return [node for node in (*layers, *(_token(token, report) for token in self.tokens)) if node is not None]

    def settings(self, report: ProblemReport) -> Settings:
        """Raises ConfigError with all problems, those already in the report too."""
        return self.parsed(merge(self.nodes(report)), report)

    def parsed(self, root: Node, report: ProblemReport) -> Settings:
        """As ``settings``, of a tree that was merged. A missing ``env_file`` is reported where it is named."""
        for node, path in env_files(root):
            if (why_not := self.unread.get(env_file_path(node))) is not None:
                report.problem(node.place, path, why_not)
        return parse(root, report, {**dict.fromkeys(self.unread, ""), **self.env_files})

    def as_plain(self) -> dict[str, Any]:
        return {
            "layers": [list(layer) for layer in self.layers],
            "tokens": list(self.tokens),
            "env_files": dict(self.env_files),
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "Sources":
        """Raises KeyError, TypeError and ValueError for what ``as_plain`` has not made."""
        layers = tuple((str(source), str(text)) for source, text in plain["layers"])
        return cls(layers, tuple(map(str, plain["tokens"])), dict(plain["env_files"]))


def gather(paths: Sequence[Path], kernel: str, report: ProblemReport) -> Sources:
    """Read all files; those that cannot be read are reported."""
    files = [file for path in paths for file in _files(path, report)]
    layers = tuple((str(file), text) for file in files if (text := _readable(file, report)) is not None)
    sources = Sources(layers, tuple(token for token in kernel.split() if token.startswith("rancher.")))
    texts: dict[str, str] = {}
    unread: dict[str, str] = {}
    for node, _ in env_files(merge(sources.nodes(ProblemReport()))):
        file = env_file_path(node)
        try:
            texts[file] = _text(Path(file))
        except (OSError, ValueError) as error:
            unread[file] = f"cannot be read: {file}: {_why(error)}"
    return replace(sources, env_files=texts, unread=unread)


def read(paths: Sequence[Path], kernel: str = "") -> Settings:
    """Settings from these files and the kernel's command line. Raises ConfigError with all problems."""
    report = ProblemReport()
    return gather(paths, kernel, report).settings(report)


def explain(paths: Sequence[Path], key: str, kernel: str = "") -> Node | None:
    """The node at a dotted key, with the place that set it. Raises ConfigError."""
    report = ProblemReport()
    root = merge(gather(paths, kernel, report).nodes(report))
    if report.problems:
        raise ConfigError(report.problems)
    return lookup(root, key)


def merge(layers: Iterable[Node]) -> Node:
    return reduce(merged, layers, Node({}, Location("nothing")))


def _files(path: Path, report: ProblemReport) -> list[Path]:
    try:
        return list(_found(path, report))
    except OSError as error:
        report.problem(Location(str(path)), "", f"cannot be read: {_why(error)}")
        return []


def _found(path: Path, report: ProblemReport) -> Iterator[Path]:
    """``cloud-config.d/*.yml`` by name, then ``cloud-config.yml``; a directory with neither: its own ``*.yml``."""
    if not path.is_dir():
        yield path
        return
    parts, last = path / "cloud-config.d", path / "cloud-config.yml"
    if parts.is_dir() or _is_there(last):
        yield from _named(parts)
        if _is_there(last):
            yield last
        return
    found = _named(path)
    if not found:
        report.problem(
            Location(str(path)), "", "contains no configuration", "cloud-config.d/*.yml and cloud-config.yml"
        )
    yield from found


def _is_there(file: Path) -> bool:
    """Whether the path exists. A dangling link counts, so that it is reported instead of silently skipping a layer."""
    return file.exists() or file.is_symlink()


def _named(directory: Path) -> list[Path]:
    return sorted(
        file
        for file in (directory.iterdir() if directory.is_dir() else ())
        if file.suffix in {".yml", ".yaml"} and not file.name.startswith(".") and not file.is_dir()
    )


def _readable(file: Path, report: ProblemReport) -> str | None:
    place = Location(str(file))
    try:
        return _text(file)
    except OSError as error:
        report.problem(place, "", f"cannot be read: {_why(error)}", "name a cloud-config with --config")
    except ValueError as error:
        report.problem(place, "", _why(error))
    return None


def _layer(source: str, text: str, report: ProblemReport) -> Node | None:
    node = yaml_source.parse(text, source, report)
    if node is None:
        return None
    if not isinstance(node.value, dict):
        report.problem(node.place, "", f"expected a mapping, found {node.kind}", "begin with 'rancher:'")
        return None
    if text is not SHIPPED and text.partition("\n")[0].rstrip() != HEADER:
        report.warning(Location(source, 1, 1), "", f"does not begin with {HEADER}")
    return node


def _token(token: str, report: ProblemReport) -> Node | None:
    """``rancher.a.b=value``; without ``=`` it is true."""
    key, equals, text = token.partition("=")
    place = Location(f"kernel command line ({key})")
    parts = key.split(".")
    if not all(parts) or len(parts) > DEEPEST:
        report.problem(place, key[:80], "not a configuration key", "as in rancher.a.b=value")
        return None
    node = _kernel_value(text, place) if equals else Node(True, place, "true")
    for part in reversed(parts):
        node = Node({part: node}, node.place, keys={part: node.place})
    return node


def _kernel_value(text: str, place: Location) -> Node:
    """The value as YAML, with ``[x,y]`` as a list; what is not valid YAML is text, as in RancherOS."""
    scratch = ProblemReport()
    node = yaml_source.parse(text, place.source, scratch) if text else Node(None, place)
    if node is None or scratch.problems or (node.value == {} and not text.startswith("{")):
        return Node(text, place, text)
    if isinstance(node.value, str) and re.fullmatch(r"\[.*\]", node.value):
        return Node([Node(part, node.place, part) for part in node.value[1:-1].split(",")], node.place)
    return node


def _text(file: Path) -> str:
    """Never more than the limit, whatever the file says its size is. Raises OSError and ValueError.

    A FIFO or a device could take for ever; without O_NONBLOCK already the open waits for a FIFO's writer.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # A directory says so when it is read.
            raise ValueError("not a regular file")
        with open(descriptor, "rb", closefd=False) as stream:
            read = stream.read(LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(read) > LIMIT:
        raise ValueError(f"larger than {LIMIT >> 20} MiB: not a configuration")
    return read.decode("utf-8-sig")


def _why(error: OSError | ValueError) -> str:
    match error:
        case UnicodeDecodeError():
            return f"not UTF-8 text: {error.reason} at byte {error.start}"
        case OSError():
            return why(error)
        case _:
            return str(error)
