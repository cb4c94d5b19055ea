"""Starts a container in the moment the first bytes of its death arrive: before they are parsed, by a standing order.

What is looked for cannot stand anywhere but at the head of an event. Engines write ``status`` and ``id`` first (moby,
``api/types/events``: the order of the fields of ``Message``), inside a JSON string each quote is escaped, and no JSON
holds a bare newline.
"""

from collections.abc import Callable

from supervisor.wire import Asked, Caller, request
from units.spec import ContainerId

DIED = b'\n{"status":"die","id":"'
"""The end of the chunk's own line, and the head of the event."""
ID = 64
"""Digits of a container's id."""
PATIENCE = 30.0
"""Seconds for the answer."""


class Ahead:
    """``target``: where to POST a container's start."""

    def __init__(self, calls: Caller, target: Callable[[ContainerId], str]) -> None:
        self._calls = calls
        self._target = target
        self._wanted: frozenset[ContainerId] = frozenset()
        self._prepared: dict[bytes, tuple[ContainerId, bytes]] = {}
        """By the id as it stands in the event: whom it is about, and the whole request."""
        self._standing = False
        self._left: dict[ContainerId, Asked] = {}

    def stand_by(self, containers: frozenset[ContainerId]) -> None:
        self._standing = bool(containers)
        if containers and containers is not self._wanted:
            known = self._prepared
            keys = {container.encode(): container for container in containers}
            self._prepared = {key: known.get(key) or self._prepare(name) for key, name in keys.items()}
            self._wanted = containers

    def _prepare(self, container: ContainerId) -> tuple[ContainerId, bytes]:
        return container, request("POST", self._target(container))

    def look(self, data: bytes) -> ContainerId | None:
        """Send what stands for the death that these bytes begin with, if they do; whose it was."""
        if not self._standing:
            return None
        at = data.find(DIED)
        # The first newline: a whole event before it may have changed everything, and the rest of one, too.
        if at < 0 or data.find(b"\n", 0, at) >= 0:
            return None
        found = self._prepared.get(data[at + len(DIED) : at + len(DIED) + ID])
        if found is None:
            return None
        container, message = found
        asked = self._calls.send(message, PATIENCE)
        if asked is None:
            return None
        self._standing = False
        self._left[container] = asked
        return container

    def claim(self, container: ContainerId) -> Asked | None:
        """The call that has left already."""
        return self._left.pop(container, None)
