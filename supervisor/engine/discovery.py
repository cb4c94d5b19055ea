"""Which containers of an engine are units, and what of them is told: ways of looking at the same engine. Pure.

``Ours`` sees what carries our label: the containers that we made. ``foreign_lens`` sees all there are.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from supervisor.engine import decode
from supervisor.engine.port import Heard
from units.events import Observed
from units.labels import LABEL_UNIT
from units.spec import ContainerId


class Lens(Protocol):
    """What an engine's answers are read through."""

    events: Mapping[str, list[str]]
    """Filters of the event stream."""
    containers: str
    """Filters of the list of containers, as JSON."""

    @property
    def names(self) -> Mapping[ContainerId, str]:
        """Names of containers that may be gone."""
        ...

    def heard(self, raw: Any) -> Heard: ...

    def prepare(self, rows: list[Any]) -> bool:
        """Look at the list first. True: something in it has to be inspected, however thorough the look was meant."""
        ...

    def listed(self, row: Any) -> Observed | None: ...

    def inspected(self, found: Any, now: float) -> Observed | None: ...


class Ours:
    """Containers that carry LABEL_UNIT."""

    events: Mapping[str, list[str]] = {"type": ["container"], "label": [LABEL_UNIT], "event": list(decode.ACTIONS)}
    containers = json.dumps({"label": [LABEL_UNIT]})
    names: Mapping[ContainerId, str] = MappingProxyType({})

    def heard(self, raw: Any) -> Heard:
        return decode.event(raw)

    def prepare(self, rows: list[Any]) -> bool:  # noqa: ARG002 - nothing has to be known beforehand
        return False

    def listed(self, row: Any) -> Observed | None:
        return decode.observed(row)

    def inspected(self, found: Any, now: float) -> Observed | None:
        return decode.inspected(found, now)
