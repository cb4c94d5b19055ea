"""Selects which containers of an engine are units, and which of their events matter. Pure.

``OwnContainers`` selects containers with our label, which we created. ``AllContainers`` selects all containers.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from supervisor.engine import decode
from supervisor.engine.names import lasting, replaced
from supervisor.engine.port import EngineMessage
from units.events import Observed
from units.labels import LABEL_UNIT
from units.records import replace
from units.spec import ContainerId, UnitName, UnitSpec


class Selector(Protocol):
    """A selector of containers, and decoder of the engine's answers about them."""

    events: Mapping[str, list[str]]
    """Filters of the event stream."""
    containers: str
    """Filters of the list of containers, as JSON."""

    @property
    def names(self) -> Mapping[ContainerId, str]:
        """Names of containers that may be gone."""
        ...

    def heard(self, raw: Any) -> EngineMessage: ...

    def prepare(self, rows: list[Any]) -> bool:
        """Called with the list first. True: something in it must be inspected even in a quick snapshot."""
        ...

    def listed(self, row: Any) -> Observed | None:
        """A hint."""
        ...

    def inspected(self, found: Any, now: float) -> Observed | None: ...

    def relinked(self, found: Any) -> Any:
        """An inspect whose legacy links have the names that they were made with."""
        ...


class OwnContainers:
    """Containers that carry LABEL_UNIT."""

    events: Mapping[str, list[str]] = {"type": ["container"], "label": [LABEL_UNIT], "event": list(decode.ACTIONS)}
    containers = json.dumps({"label": [LABEL_UNIT]})
    names: Mapping[ContainerId, str] = MappingProxyType({})

    def heard(self, raw: Any) -> EngineMessage:
        return decode.event(raw)

    def prepare(self, rows: list[Any]) -> bool:  # noqa: ARG002 - nothing has to be known beforehand
        return False

    def listed(self, row: Any) -> Observed | None:
        seen = decode.observed(row)
        return None if seen is None else replace(seen, hint=True)

    def inspected(self, found: Any, now: float) -> Observed | None:
        return decode.inspected(found, now)

    def relinked(self, found: Any) -> Any:
        return found  # Ours are made from their definitions.


def _links(found: Any) -> dict[str, str]:
    """Of an inspected container: each alias, and who it means."""
    links = decode.as_map(decode.as_map(found).get("HostConfig")).get("Links")
    pairs = (decode.as_text(link).partition(":") for link in (links if isinstance(links, list) else ()))
    return {alias: target.lstrip("/") for target, _, alias in pairs if alias}


PROJECT, SERVICE, DEPENDS_ON = (f"com.docker.compose.{name}" for name in ("project", "service", "depends_on"))


def compose_service(labels: Mapping[str, str]) -> tuple[str, str] | None:
    project, service = labels.get(PROJECT, ""), labels.get(SERVICE, "")
    return (project, service) if project and service else None


SpecOf = Callable[
    [decode.ContainerSummary, Mapping[ContainerId, str], Mapping[tuple[str, str], tuple[UnitName, ...]]], UnitSpec
]
"""Makes a unit of a container, the names of all containers ever seen, and the containers of Compose's services."""


class AllContainers:
    """All containers, by name. It remembers the name of each id, as references outlive the container.

    A reference means whoever has the name that its container had when it was joined: tools that update containers
    rename the old one before they make the new one.
    """

    events: Mapping[str, list[str]] = {"type": ["container"], "event": [*decode.ACTIONS, "rename"]}
    containers = json.dumps({})

    def __init__(
        self, spec_of: SpecOf, names: Mapping[str, str] | None = None, joined: Mapping[str, str] | None = None
    ) -> None:
        self._spec_of = spec_of
        self._names = {ContainerId(key): UnitName(name) for key, name in (names or {}).items()}
        self._joined = {ContainerId(key): UnitName(name) for key, name in (joined or {}).items()}
        """Names that containers had when somebody was first seen to refer to them."""
        self._meant: Mapping[ContainerId, UnitName] = self._names
        """Whom a reference to an id means now."""
        self._links: dict[ContainerId, dict[str, str]] = {}
        """Of each container: its legacy links' aliases, and the names that they were first seen to mean."""
        self._holders: Mapping[str, ContainerId] = {}
        """Of the last list: by name."""
        self._services: dict[tuple[str, str], tuple[UnitName, ...]] = {}
        self._inspected: set[ContainerId] = set()
        self._known: set[ContainerId] = set()
        """Those of the last list."""

    @property
    def names(self) -> Mapping[ContainerId, str]:
        """Names of all containers ever seen, by id, including removed ones."""
        return self._names

    @property
    def joined(self) -> Mapping[ContainerId, str]:
        return self._joined

    def heard(self, raw: Any) -> EngineMessage:
        heard = decode.event(raw, by_name=True)
        if heard.fact is not None and replaced(heard.fact.unit):
            return replace(heard, fact=None)
        return heard

    def prepare(self, rows: list[Any]) -> bool:
        found = [decode.label_row(row) for row in rows]
        kept = [one for one in found if one.container and one.name and not replaced(one.name)]
        self._names |= {one.container: UnitName(one.name) for one in kept}
        self._holders = holders = {one.name: one.container for one in kept}
        renamed = {held: name for held, name in self._joined.items() if holders.get(name, held) != held}
        self._meant = self._names | renamed
        services: dict[tuple[str, str], list[UnitName]] = {}
        for one in kept:
            if (service := compose_service(one.labels)) is not None:
                services.setdefault(service, []).append(UnitName(one.name))
        self._services = {service: tuple(names) for service, names in services.items()}
        present = {one.container for one in found}
        self._inspected &= present
        self._links = {container: links for container, links in self._links.items() if container in present}
        news, self._known = not present <= self._known, present
        return news

    def listed(self, row: Any) -> Observed | None:
        """One that was never inspected is described by its labels alone: its inspect may not be answered at all."""
        seen = self._unless_replaced(decode.observed(row, by_name=True))
        if seen is None:
            return None
        met = seen.container in self._inspected
        spec = None if met else self._spec_of(decode.sketch(row), self._meant, self._services)
        return replace(seen, hint=True, spec=spec)

    def inspected(self, found: Any, now: float) -> Observed | None:
        seen = self._unless_replaced(decode.inspected(found, now, by_name=True))
        self._inspected.add(decode.id_of(found))
        if seen is None:
            return None
        portrait = decode.portrait(self.relinked(found))
        for held in (*(held for _, held in portrait.joins), *portrait.volumes_from):
            if (name := self._names.get(ContainerId(held))) is not None:
                self._joined.setdefault(ContainerId(held), name)
        return replace(seen, spec=self._spec_of(portrait, self._meant, self._services))

    def relinked(self, found: Any) -> Any:
        """Engines tell the present name of who is linked, and none once that one is gone."""
        told = _links(found)
        known = self._links.get(decode.id_of(found), {})
        known = {alias: lasting(name) for alias, name in told.items()} | known
        if not known:
            return found
        self._links[decode.id_of(found)] = known
        meant = {
            alias: told[alias] if alias in told and not replaced(told[alias]) and name not in self._holders else name
            for alias, name in known.items()
        }
        links = [f"/{name}:{alias}" for alias, name in meant.items()]
        host = {**decode.as_map(decode.as_map(found).get("HostConfig")), "Links": links}
        return {**decode.as_map(found), "HostConfig": host}

    def forget(self, keep: Iterable[ContainerId]) -> None:
        """Forget ids that nothing refers to any more."""
        kept = set(keep) | self._inspected
        self._names = {container: name for container, name in self._names.items() if container in kept}
        self._joined = {container: name for container, name in self._joined.items() if container in kept}

    @staticmethod
    def _unless_replaced(seen: Observed | None) -> Observed | None:
        return None if seen is None or replaced(seen.unit) else seen
