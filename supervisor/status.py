"""The only place that says what ``dockwarden status`` says: the world as plain JSON values. Pure."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from supervisor.version import VERSION
from units.kernel import World
from units.unit import NEVER, Instant, Unit


@dataclass(frozen=True, slots=True)
class Context:
    """What the world does not know of itself."""

    mode: str
    """``embedded``: the engine is a child of ours; ``attached``: it is somebody else's."""
    url: str
    to_wall: Callable[[Instant], float]
    """Seconds since 1970 of a moment of the monotonic clock."""
    started: float
    """When this supervisor started, seconds since 1970."""
    daemon: str | None = None
    """How the embedded engine's process is, in words."""
    daemon_pid: int | None = None
    version: str = VERSION
    pid: int = field(default_factory=os.getpid)


def status(world: World, context: Context) -> dict[str, Any]:
    return {
        "engine": {
            "url": context.url,
            "mode": context.mode,
            "up": world.engine_up,
            "version": world.engine_version or None,
            "reason": world.engine_reason,
            "daemon": context.daemon,
            "daemon_pid": context.daemon_pid,
        },
        "units": [unit_row(world.units[name], context.to_wall) for name in sorted(world.units)],
        "supervisor": {
            "version": context.version,
            "pid": context.pid,
            "started": as_iso(context.started),
            "draining": world.draining,
        },
    }


def unit_row(unit: Unit, to_wall: Callable[[Instant], float]) -> dict[str, Any]:
    return {
        "name": unit.name,
        "kind": unit.spec.kind.value,
        "state": unit.phase.value,
        "health": unit.health.value,
        "container_id": unit.container,
        "restarts": unit.restarts,
        "since": None if unit.since == NEVER else as_iso(to_wall(unit.since)),
        "reason": unit.reason,
        "cause": unit.cause,
        "wanted": unit.wanted,
        "exit_code": unit.exit_code,
        "image": unit.spec.image,
    }


def as_iso(wall: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC with milliseconds, ``2026-01-02T03:04:05.678Z``."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
