"""What explains, over the control socket: ``why`` and the timeline of a unit, and the boot chart of the host."""

import asyncio
import re
import time
from datetime import datetime
from typing import Any

from supervisor.engine.port import Engine, EngineError
from supervisor.http.control.request import Refusal, end
from supervisor.http.server import BaseRequest, Response
from supervisor.journal import why as explain
from supervisor.journal.journal import Journal
from units.spec import USER_DOCKER, UnitName
from units.unit import Phase, Unit
from units.world import World

SPAN = re.compile(r"([0-9]{1,9})(s|min|m|h|d|w)")
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def moment(text: str, now: float) -> float:
    """Seconds since 1970 of ``10m``, ``1h30m`` (ago), or a time as RFC 3339 writes it.

    Raises:
        ValueError: it is neither.
    """
    parts = SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now - sum(int(number) * SECONDS[unit] for number, unit in parts)
    if TIME.fullmatch(text) is None:
        raise ValueError(f"no span and no time: {text}")
    return datetime.fromisoformat(text.upper()).timestamp()


def since(request: BaseRequest) -> float | None:
    """The parameter of that name; ``None``: it is not given. Raises Refusal."""
    text = request.query.get("since")
    if text is None:
        return None
    try:
        return moment(text, time.time())
    except (ValueError, OverflowError):
        raise Refusal(
            400,
            "since: expected a span such as 10m or 2h, or a time with its zone",
            "such as since=2026-01-02T03:04:05Z",
        ) from None


LAST_WORDS = 3
"""Lines of its container's output that belong to a unit's story when it is not well."""
PATIENCE = 3.0
"""Seconds for the engine to hand them out."""
ILL = frozenset({Phase.BACKOFF, Phase.CRASH_LOOP, Phase.FAILED, Phase.EXITED})


async def last_words(engine: Engine | None, unit: Unit) -> list[str]:
    """What the container of a unit that is down wrote last; nothing when the engine does not say in time."""
    if engine is None or unit.container is None or unit.phase not in ILL or unit.name == USER_DOCKER:
        return []
    lines = engine.logs(unit.container, tail=LAST_WORDS, follow=False)
    try:
        async with asyncio.timeout(PATIENCE):
            return [line.text[:500] async for line in lines][-LAST_WORDS:]
    except (EngineError, TimeoutError):
        return []
    finally:
        await end(lines)


def picture(svg: str) -> Response:
    """An SVG that a browser shows and that may do nothing there."""
    guard = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(body=svg.encode(), content_type="image/svg+xml", headers=guard)


def why(request: BaseRequest, journal: Journal, world: World, name: UnitName) -> dict[str, Any]:
    return explain.why(journal, world, name, since(request))
