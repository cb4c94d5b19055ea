"""The table of the control API's routes and their handlers.

Loaded with the first request, to save memory.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from hooks.presence import HostHooks
from supervisor.engine.port import EngineView, UserEngine
from supervisor.http.control.commands import Commands
from supervisor.http.control.explain import Explanations
from supervisor.http.control.hooks import HookRoutes
from supervisor.http.control.queries import Queries
from supervisor.http.control.request import Taken, in_json
from supervisor.http.control.switches import SwitchCommands
from supervisor.http.control.waits import Waits
from supervisor.http.server import BaseRequest, Response, Route, StreamResponse
from supervisor.journal.journal import Journal
from supervisor.runtime.loop import Inbox
from supervisor.state.choices import Choices
from units.commands import CheckSwitch
from units.machine import Moment
from units.spec import UnitName
from units.world import Entry, Reaction, World

SWITCHED = frozenset({"wait", "force", "anew", "empty"})
"""Parameters of a switch."""


class Api:
    """An observer, to see the outcome of requests."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        world: Callable[[], World],
        status: Callable[[], dict[str, Any]],
        journal: Journal,
        engine: EngineView | None,
        boot: Callable[[], dict[str, Any]],
        choices: Choices | None = None,
        user_docker: UserEngine | None = None,
        fits: Callable[[CheckSwitch], Awaitable[tuple[str, ...]]] | None = None,
        checks: Callable[[UnitName], list[dict[str, Any]]] = lambda _: [],
        hooks: HostHooks | None = None,
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._world = world
        self._engine_log: Callable[[int], tuple[str, ...]] = (lambda _: ()) if user_docker is None else user_docker.tail
        self._hooks = hooks
        self._reading = Queries(
            world=world, status=status, journal=journal, engine=engine, user_docker=user_docker, checks=checks
        )
        self._explaining = Explanations(world, journal, boot)
        self._asking = Commands(inbox=inbox, world=world, status=status)
        self._waiting = Waits(taken=lambda: inbox.taken, world=world, status=status)
        self._switching = SwitchCommands(
            asking=self._asking, world=world, status=status, choices=choices, user_docker=user_docker, fits=fits
        )
        self.routes = self._table()

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        self._asking.observe(entry, moment, reaction)
        self._waiting.observe(moment, reaction.world)

    def asker(self, request: int) -> int | None:
        """The uid of the client that waits for this request."""
        return self._asking.asker(request)

    def close(self) -> None:
        """End all waits."""
        self._asking.close()
        self._waiting.close()

    def _table(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/status", self._reading.status),
            Route("GET", "/v1/units", self._reading.units),
            Route("GET", "/v1/units/{name}", self._reading.unit),
            Route("GET", "/v1/units/{name}/why", self._reading.why, frozenset({"since"})),
            Route("GET", "/v1/units/{name}/timeline.svg", self._explaining.timeline, frozenset({"since"})),
            Route("GET", "/v1/units/{name}/logs", self._reading.logs, frozenset({"tail", "follow"})),
            Route("GET", "/v1/units/{name}/wait", self._waiting.wait, frozenset({"for", "timeout"})),
            Route("GET", "/v1/events", self._reading.events, frozenset({"follow", "unit", "after", "tail"})),
            Route(
                "GET",
                "/v1/logs",
                self._logs,
                frozenset({"follow", "unit", "since", "until", "tail", "level", "output"}),
            ),
            Route("GET", "/v1/boot", self._explaining.boot),
            Route("GET", "/v1/boot.svg", self._explaining.boot_picture),
            Route("GET", "/v1/graph", self._reading.graph),
            Route("GET", "/v1/version", self._reading.version),
            Route("GET", "/v1/openapi.json", self._describe),
            Route("GET", "/v1/storage/{name}/check", self._switching.check),
            Route("GET", "/v1/engines", self._switching.engines),
            *HookRoutes(lambda: self._hooks).table(),
            Route("POST", "/v1/units/{name}/{verb}", self._asking.verb, frozenset({"wait"})),
            Route("POST", "/v1/switch/{of}/{name}", self._switching.switch, SWITCHED),
            Route("POST", "/v1/enable/{of}/{name}", self._switching.enable),
        )

    async def _logs(self, request: BaseRequest, taken: Taken) -> StreamResponse:
        from supervisor.http.control.logs import Logs  # noqa: PLC0415 - it reads what a host may never be asked for

        return await Logs(self._journal, self._engine, self._world, self._engine_log).get(request, taken)

    async def _describe(self, _request: BaseRequest, _taken: Taken) -> Response:
        # Rarely requested: loaded on demand.
        from supervisor.http.control.openapi import describe  # noqa: PLC0415 - as the comment says
        from supervisor.http.control.operations import OPERATIONS  # noqa: PLC0415 - as above

        return in_json(describe(self.routes, OPERATIONS))
