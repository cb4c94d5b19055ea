"""Handlers of ``why`` and the timeline of a unit, and of the boot chart."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from supervisor.engine.port import EngineError, EngineView
from supervisor.http.control.request import Taken, end, in_json, moment, shown
from supervisor.http.server import BaseRequest, Response
from supervisor.journal import why
from supervisor.journal.journal import Journal
from units.spec import USER_DOCKER, UnitName
from units.unit import Phase, Unit
from units.world import World

LAST_WORDS = 3
"""Lines of its container's output that ``why`` shows for a unit that is not healthy."""
PATIENCE = 3.0
"""Seconds for the engine to hand them out."""
ILL = frozenset({Phase.BACKOFF, Phase.CRASH_LOOP, Phase.FAILED, Phase.EXITED})


async def last_words(engine: EngineView | None, unit: Unit) -> list[str]:
    """The last output of the container of a unit that is down; empty when the engine does not answer in time."""
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
    """An SVG answer, in which a browser runs no scripts."""
    guard = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(body=svg.encode(), content_type="image/svg+xml", headers=guard)


def story(request: BaseRequest, journal: Journal, world: World, name: UnitName) -> dict[str, Any]:
    since = moment(request, "since")
    return why.why(journal, world, name, None if since is None else since / 1e9)


class Explanations:
    """Handlers of the boot chart, and of pictures."""

    def __init__(self, world: Callable[[], World], journal: Journal, boot: Callable[[], dict[str, Any]]) -> None:
        self._world = world
        self._journal = journal
        self._boot = boot

    async def timeline(self, request: BaseRequest, taken: Taken) -> Response:
        from supervisor.views import timeline  # noqa: PLC0415 - seldom asked for

        world = self._world()
        told = story(request, self._journal, world, shown(world, taken["name"]).name)
        return picture(timeline.draw(told, time.time()))

    async def boot(self, _request: BaseRequest, _taken: Taken) -> Response:
        return in_json(self._boot())

    async def boot_picture(self, _request: BaseRequest, _taken: Taken) -> Response:
        from supervisor.views import boot_plot  # noqa: PLC0415 - seldom asked for

        return picture(boot_plot.draw(self._boot()))
