"""A service while it is being read, and the readers of keys that map to one field of the engine. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import PurePath
from typing import Any

from supervisor.config.fields import Validators
from supervisor.config.tree import Node
from units.health import Check
from units.quantities import Seconds
from units.records import dataclass
from units.spec import Condition, Dependency, HealPolicy, OnFailure, Rebuild, RestartPolicy, StopPolicy, UnitName, Via


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The context in which a service is read."""

    environment: Mapping[str, str]
    """``rancher.environment``."""
    containers: Mapping[str, str]
    """Container name of each unit, for keys that name another container."""
    restart: RestartPolicy
    stop: StopPolicy
    pull: bool
    env_files: Mapping[str, str]
    """Text of each ``env_file``, by ``env_file_path``."""


@dataclass
class ServiceBuilder:
    """A service being read."""

    name: str
    around: BuildContext
    shapes: Validators
    config: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=lambda: {"RestartPolicy": {"Name": "no"}})
    labels: dict[str, str] = field(default_factory=dict)
    label_places: dict[str, Node] = field(default_factory=dict)
    edges: list[Dependency] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    image: str = ""
    container: str = ""
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    stop: StopPolicy = field(default_factory=StopPolicy)
    on_failure: OnFailure | None = None
    before: list[str] = field(default_factory=list)
    rebuild: Rebuild = Rebuild.CHANGED
    enabled: bool = True
    pull: bool = True
    deadline: Seconds = Seconds(0)
    heal: HealPolicy = HealPolicy()
    checks: tuple[Check, ...] = ()
    relink: bool = True

    def needs(self, target: str, via: Via, condition: Condition = Condition.STARTED, *, restart: bool = False) -> None:
        self.edges.append(Dependency(UnitName(target), via, condition, restart=restart))

    def container_of(self, unit: str) -> str:
        return self.around.containers.get(unit, unit)


Reader = Callable[[ServiceBuilder, Node, str], None]


def config_text(key: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        draft.config[key] = draft.shapes.text(node, path)

    return read


def host_text(key: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.text(node, path)

    return read


def host_texts(key: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.texts(node, path)

    return read


def host_size(key: str, *, least: int = 0) -> Reader:
    """``-1``, no limit, becomes ``least``: the engine says 0 for memory, and -1 for memory with swap."""

    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        draft.host[key] = max(least, draft.shapes.size(node, path))

    return read


def host_integer(key: str, *, least: int | None = 0) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.integer(node, path, least=least)

    return read


def flag(target: str, key: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        (draft.config if target == "config" else draft.host)[key] = draft.shapes.boolean(node, path)

    return read


def words(key: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        draft.config[key] = draft.shapes.words(node, path)

    return read


def env_file_path(node: Node) -> str:
    """Relative to the file that names it: two files may each have an ``env`` of their own."""
    return str(PurePath(node.place.source).parent / node.text)
