"""Requests that are answered with a boot chart or a picture; what draws them is loaded when somebody asks."""

import time
from collections.abc import Callable
from typing import Any

from supervisor.http.control.request import Taken, in_json, named
from supervisor.http.server import BaseRequest, Response
from supervisor.journal.journal import Journal
from units.world import World


class Explaining:
    """Handlers of the boot chart, and of pictures."""

    def __init__(self, world: Callable[[], World], journal: Journal, boot: Callable[[], dict[str, Any]]) -> None:
        self._world = world
        self._journal = journal
        self._boot = boot

    async def timeline(self, request: BaseRequest, taken: Taken) -> Response:
        from supervisor.http.control import explain as api_why  # noqa: PLC0415 - seldom asked for
        from supervisor.views import timeline  # noqa: PLC0415 - seldom asked for

        world = self._world()
        told = api_why.why(request, self._journal, world, named(world, taken["name"]).name)
        return api_why.picture(timeline.draw(told, time.time()))

    async def boot(self, _request: BaseRequest, _taken: Taken) -> Response:
        return in_json(self._boot())

    async def boot_picture(self, _request: BaseRequest, _taken: Taken) -> Response:
        from supervisor.http.control import explain as api_why  # noqa: PLC0415 - seldom asked for
        from supervisor.views import boot_plot as plot  # noqa: PLC0415 - seldom asked for

        return api_why.picture(plot.draw(self._boot()))
