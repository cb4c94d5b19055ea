"""Finds and reads the layers of a configuration, lowest first, and merges them; the only reader of its files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path

from supervisor import yaml_source
from supervisor.settings import Settings, parse
from supervisor.tree import ConfigError, Node, Place, Report, lookup, merged

LIMIT = 4 << 20
"""Bytes of one file: more is no configuration."""

HEADER = "#cloud-config"


def read(paths: Sequence[Path], kernel: str = "") -> Settings:
    """The settings that these files and the kernel's command line make. Raises ConfigError with every problem."""
    report = Report()
    root = merge(load(paths, kernel, report))
    return parse(root, report, _env_files(root, report))


def explain(paths: Sequence[Path], key: str, kernel: str = "") -> Node | None:
    """The node at a dotted key, with the place that set it. Raises ConfigError."""
    report = Report()
    root = merge(load(paths, kernel, report))
    if report.problems:
        raise ConfigError(report.problems)
    return lookup(root, key)


def load(paths: Sequence[Path], kernel: str, report: Report) -> list[Node]:
    """The layers, lowest first: files in the order given, a directory as its files, then the kernel's command line."""
    layers = [layer for path in paths for file in _files(path, report) if (layer := _layer(file, report)) is not None]
    tokens = [token for token in kernel.split() if token.startswith("rancher.")]
    return [*layers, *(_token(token, report) for token in tokens)]


def merge(layers: Iterable[Node]) -> Node:
    return reduce(merged, layers, Node({}, Place("nothing")))


def _files(path: Path, report: Report) -> Iterator[Path]:
    """``cloud-config.d/*.yml`` by name, then ``cloud-config.yml``; a directory with neither: its own ``*.yml``."""
    if not path.is_dir():
        yield path
        return
    parts, last = path / "cloud-config.d", path / "cloud-config.yml"
    if parts.is_dir() or last.exists():
        yield from _named(parts)
        if last.exists():
            yield last
        return
    found = _named(path)
    if not found:
        report.problem(Place(str(path)), "", "holds no configuration", "cloud-config.d/*.yml and cloud-config.yml")
    yield from found


def _named(directory: Path) -> list[Path]:
    return sorted(
        file
        for file in (directory.iterdir() if directory.is_dir() else ())
        if file.suffix in {".yml", ".yaml"} and not file.name.startswith(".") and file.is_file()
    )


def _layer(file: Path, report: Report) -> Node | None:
    source = str(file)
    try:
        if file.stat().st_size > LIMIT:
            report.problem(Place(source), "", f"larger than {LIMIT >> 20} MiB: no configuration")
            return None
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        report.problem(Place(source), "", f"cannot be read: {error.strerror}", "name a cloud-config with --config")
        return None
    except UnicodeDecodeError as error:
        report.problem(Place(source), "", f"not UTF-8 text: {error.reason} at byte {error.start}")
        return None
    node = yaml_source.parse(text, source, report)
    if node is None:
        return None
    if not isinstance(node.value, dict):
        report.problem(node.place, "", f"expected a mapping, found {node.kind}", "begin with 'rancher:'")
        return None
    if not text.startswith(HEADER):
        report.warning(Place(source, 1, 1), "", f"does not begin with {HEADER}")
    return node


def _token(token: str, report: Report) -> Node:
    """``rancher.a.b=value``: the value is YAML, none is true, and ``[x,y]`` is a list."""
    key, equals, text = token.partition("=")
    source = f"kernel command line ({key})"
    node = yaml_source.parse(text, source, report) if equals else Node(True, Place(source), "true")
    node = node or Node(None, Place(source))
    if isinstance(node.value, str) and re.fullmatch(r"\[.*\]", node.value):
        node = Node([Node(part, node.place, part) for part in node.value[1:-1].split(",")], node.place)
    for part in reversed(key.split(".")):
        node = Node({part: node}, node.place, keys={part: node.place})
    return node


def _env_files(root: Node, report: Report) -> dict[str, str]:
    """Text of each ``env_file`` that a service names; one that cannot be read is reported where it is named."""
    texts: dict[str, str] = {}
    services = lookup(root, "rancher.services")
    nodes = services.value.values() if services is not None and isinstance(services.value, dict) else ()
    for service in nodes:
        named = lookup(service, "env_file")
        if named is None:
            continue
        for item in named.value if isinstance(named.value, list) else [named]:
            _read_env_file(item, texts, report)
    return texts


def _read_env_file(item: Node, texts: dict[str, str], report: Report) -> None:
    path = Path(item.place.source).parent / item.text
    try:
        texts[item.text] = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.warning(item.place, "env_file", f"{path}: {error}")
