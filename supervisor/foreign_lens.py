"""The lens of a host that is only watched: all containers there are, each a unit of its container's name. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.config.foreign_labels import Wants, compose_service, replaced, spec_of
from supervisor.engine import decode
from supervisor.engine.port import Heard
from units.events import Observed
from units.records import replace
from units.spec import ContainerId, UnitName


class Foreign:
    """All containers, by name. It remembers whose name an id was, for references outlive what they refer to."""

    events: Mapping[str, list[str]] = {"type": ["container"], "event": [*decode.ACTIONS, "rename"]}
    containers = json.dumps({})

    def __init__(self, wants: Wants, names: Mapping[str, str] | None = None) -> None:
        self._wants = wants
        self._names = {ContainerId(key): UnitName(name) for key, name in (names or {}).items()}
        self._services: dict[tuple[str, str], tuple[UnitName, ...]] = {}
        self._inspected: set[ContainerId] = set()

    @property
    def names(self) -> Mapping[ContainerId, str]:
        """Names of all containers that were seen, also of those that are gone."""
        return self._names

    def heard(self, raw: Any) -> Heard:
        heard = decode.event(raw, by_name=True)
        if heard.fact is not None and replaced(heard.fact.unit):
            return replace(heard, fact=None)
        return heard

    def prepare(self, rows: list[Any]) -> bool:
        found = [decode.label_row(row) for row in rows]
        kept = [one for one in found if one.container and one.name and not replaced(one.name)]
        self._names |= {one.container: UnitName(one.name) for one in kept}
        services: dict[tuple[str, str], list[UnitName]] = {}
        for one in kept:
            if (service := compose_service(one.labels)) is not None:
                services.setdefault(service, []).append(UnitName(one.name))
        self._services = {service: tuple(names) for service, names in services.items()}
        present = {one.container for one in found}
        self._inspected &= present
        return not present <= self._inspected

    def listed(self, row: Any) -> Observed | None:
        return self._unless_replaced(decode.observed(row, by_name=True))

    def inspected(self, found: Any, now: float) -> Observed | None:
        seen = self._unless_replaced(decode.inspected(found, now, by_name=True))
        self._inspected.add(decode.id_of(found))
        if seen is None:
            return None
        return replace(seen, spec=spec_of(decode.portrait(found), self._names, self._services, self._wants))

    def forget(self, keep: Iterable[ContainerId]) -> None:
        """Names that nobody refers to any more."""
        kept = set(keep) | self._inspected
        self._names = {container: name for container, name in self._names.items() if container in kept}

    @staticmethod
    def _unless_replaced(seen: Observed | None) -> Observed | None:
        return None if seen is None or replaced(seen.unit) else seen
