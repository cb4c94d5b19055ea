"""The storage context: what a container must be so that user Docker can run in its file system."""

from collections.abc import Mapping

from units.records import dataclass, replace
from units.spec import LASTING, USER_DOCKER, Dependency, UnitName, UnitSpec, Via
from units.unit import Unit

REQUIRES = "dockwarden.storage.requires"
"""Label of a storage container: binaries it must have on its PATH, and (absolute paths) what must be mounted in it."""

NEEDED = ("SYS_ADMIN", "NET_ADMIN", "SYS_CHROOT", "MKNOD", "SYS_PTRACE")
"""Capabilities beyond the engine's defaults without which a dockerd cannot make containers."""

ON_MEMORY = frozenset({"overlay", "aufs", "rootfs", ""})
"""File systems of a container's own root: an engine on top of one cannot use overlay2, and falls back to copying."""


@dataclass(frozen=True, slots=True)
class ContextFacts:
    """What was found out about a container that is to be a storage context."""

    name: str
    container: str
    running: bool
    pid: int = 0
    started: str = ""
    """The engine's own words; with the id and the pid they name one incarnation."""
    privileged: bool = False
    capabilities: frozenset[str] = frozenset()
    """Those added, without ``CAP_``; ``ALL`` for all."""
    namespaces: tuple[tuple[str, str], ...] = ()
    """Which namespace, and its mode: ``host`` is what we need."""
    requires: str = ""
    """The value of its label."""
    absent: tuple[str, ...] = ()
    """Of what it requires, what was not found in it."""
    data_root: str = ""
    """Where user Docker's data would be, in its file system."""
    data_root_on: str = "?"
    """The type of the file system there; ``?`` when it was not checked."""


def lacks(facts: ContextFacts) -> tuple[str, ...]:
    """What keeps the container from being a storage context, each with its fix; empty when it is one."""
    if not facts.running:
        return (f"{facts.name} is not running: start it first (dockwarden start {facts.name})",)
    said: list[str] = []
    capable = facts.privileged or "ALL" in facts.capabilities
    if not capable and (short := [name for name in NEEDED if name not in facts.capabilities]):
        said.append(f"{facts.name} lacks capabilities: set privileged: true (or cap_add: {', '.join(short)})")
    said.extend(
        f"{facts.name} has a {name} namespace of its own: set {key}: host"
        for name, mode in facts.namespaces
        if mode != "host"
        for key in ({"network": "net"}.get(name, name),)
    )
    if facts.data_root_on in ON_MEMORY:
        said.append(
            f"{facts.data_root} in {facts.name} is on the container's own {facts.data_root_on or 'root'} file system:"
            f" add the volume {facts.data_root}:{facts.data_root}:rshared"
        )
    said.extend(
        f"{facts.name} requires {what}, which is not {'mounted' if what.startswith('/') else 'installed'} in it"
        for what in facts.absent
    )
    return tuple(said)


def wanted(requires: str) -> tuple[str, ...]:
    """The label's value taken apart: commas and blanks separate."""
    return tuple(requires.replace(",", " ").split())


def contexts(units: Mapping[UnitName, Unit]) -> list[UnitName]:
    """The units whose file system user Docker could run in, as far as their kind says."""
    return sorted(name for name, unit in units.items() if unit.spec.kind in LASTING and name != USER_DOCKER)


def placed(spec: UnitSpec, context: UnitName) -> UnitSpec:
    """User Docker's definition with another storage context."""
    others = tuple(edge for edge in spec.dependencies if edge.via is not Via.CONTEXT)
    return replace(spec, context=context, dependencies=(*others, Dependency(context, Via.CONTEXT)))
