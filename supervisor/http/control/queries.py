"""Read-only handlers: status, units, why, records, output, versions."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from supervisor.engine.port import EngineError, EngineView, UserEngine
from supervisor.http.control.request import (
    Refusal,
    Taken,
    end,
    flag,
    in_json,
    named,
    number,
    open_lines,
    shown,
    write_line,
)
from supervisor.http.server import BaseRequest, Response, StreamResponse
from supervisor.journal.journal import Journal
from supervisor.journal.store import KEPT
from supervisor.version import VERSION
from units.health import ENGINE
from units.spec import USER_DOCKER, UnitName
from units.unit import Unit
from units.world import World

PATIENCE = 10.0
"""Seconds for the engine's answer."""
MOST_LINES = 10_000


class Queries:
    """Handlers that change nothing."""

    def __init__(
        self,
        *,
        world: Callable[[], World],
        status: Callable[[], dict[str, Any]],
        journal: Journal,
        engine: EngineView | None,
        user_docker: UserEngine | None,
        checks: Callable[[UnitName], list[dict[str, Any]]],
    ) -> None:
        self._world = world
        self._status = status
        self._journal = journal
        self._engine = engine
        self._user_docker = user_docker
        self._checks = checks

    async def status(self, _request: BaseRequest, _taken: Taken) -> Response:
        return in_json(self._status())

    async def units(self, _request: BaseRequest, _taken: Taken) -> Response:
        return in_json(self._status()["units"])

    async def unit(self, _request: BaseRequest, taken: Taken) -> Response:
        return in_json(row(self._status(), shown(self._world(), taken["name"]).name))

    async def why(self, request: BaseRequest, taken: Taken) -> Response:
        from supervisor.http.control import explain  # noqa: PLC0415 - asked by people, not all the time

        unit = shown(self._world(), taken["name"])
        checks = [*self._checks(unit.name), *await self._engine_checks(unit)]
        told = explain.story(request, self._journal, self._world(), unit.name)
        return in_json({**told, "checks": checks, "output": await explain.last_words(self._engine, unit)})

    async def _engine_checks(self, unit: Unit) -> list[dict[str, Any]]:
        """The results of the container's own HEALTHCHECK; empty when the engine does not answer."""
        if self._engine is None or unit.container is None or ENGINE not in unit.reports:
            return []
        try:
            async with asyncio.timeout(PATIENCE):
                said = await self._engine.health_log(unit.container)
        except (EngineError, TimeoutError):
            return []
        return [
            {
                "check": "HEALTHCHECK",
                "outcome": "failed" if one.exit_code else "passed",
                "output": one.output,
                "time": one.at,
            }
            for one in said
        ]

    async def graph(self, _request: BaseRequest, _taken: Taken) -> Response:
        """Dependencies between units, with their state."""
        from supervisor.views.graph import plain  # noqa: PLC0415 - asked for by a person, now and then

        return in_json(plain(self._world().links, self._status()["units"]))

    async def version(self, _request: BaseRequest, _taken: Taken) -> Response:
        return in_json({"version": VERSION, "api": "v1", "pid": os.getpid()})

    async def events(self, request: BaseRequest, _taken: Taken) -> StreamResponse:
        """The kept records and, with ``follow``, new ones."""
        follow, after, tail = flag(request, "follow"), number(request, "after", 0), number(request, "tail", KEPT)
        unit = shown(self._world(), name).name if (name := request.query.get("unit")) else None
        if "text/event-stream" in request.headers.get("Accept", ""):
            from supervisor.http import sse  # noqa: PLC0415 - many a supervisor is never followed so

            seen = sse.last_seen(request) or (str(after) if "after" in request.query else "")
            return await sse.stream(request, sse.records(self._journal, seen, unit=unit, tail=tail))
        with self._journal.subscribe() as coming:
            kept = self._journal.records(unit, after)
            stream = await open_lines(request)
            for record in kept[max(len(kept) - tail, 0) :]:
                await write_line(request, stream, record.as_dict())
            if follow:
                async for item in coming:
                    if unit is None or getattr(item, "unit", unit) == unit:
                        await write_line(request, stream, item.as_dict())
            return stream

    async def logs(self, request: BaseRequest, taken: Taken) -> StreamResponse:
        """The output of the unit's container, line by line."""
        unit = named(self._world(), taken["name"])
        tail, follow = min(number(request, "tail", 100), MOST_LINES), flag(request, "follow")
        if self._engine is None:
            raise Refusal(503, "no engine is connected", "wait until the engine is up")
        if unit.name == USER_DOCKER and self._user_docker is not None:
            stream = await open_lines(request)
            for text in self._user_docker.tail(tail):
                await write_line(request, stream, {"stream": "stderr", "text": text})
            return stream
        if unit.container is None:
            raise Refusal(409, f"{unit.name} has no container: {unit.reason}", f"see 'dockwarden why {unit.name}'")
        lines = self._engine.logs(unit.container, tail=tail, follow=follow)
        opened: StreamResponse | None = None
        try:
            async for line in lines:
                opened = opened or await open_lines(request)
                await write_line(request, opened, {"stream": line.stream, "text": line.text})
        except EngineError as error:
            if opened is None:
                raise Refusal(503, f"the engine cannot read the output of {unit.name}: {error}", "try again") from error
            await write_line(request, opened, {"error": str(error)})
        finally:
            await end(lines)
        return opened or await open_lines(request)


def row(status: dict[str, Any], name: str) -> dict[str, Any]:
    """A unit's, or the engine's, row of the status."""
    everything = (*status["units"], status["engine"]["unit"])
    found: dict[str, Any] = next(one for one in everything if one["name"] == name)
    return found
