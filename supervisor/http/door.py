"""The connections of one listening socket: how many there may be, and how long each may be idle.

What listens for anybody must not take what the supervisor needs for its work: descriptors for the engine, state, hooks.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server

IDLE = 10.0
"""Seconds a connection may exist without a whole request on it, and an answer may be left unread."""
MOST, LEAST = 320, 8
"""Connections of one door."""
SHARE = 8
"""The part of all descriptors that one door may have: four doors leave half of them."""

LEFT = 499
"""The client has left; never sent."""


def places(descriptors: int) -> int:
    """How many connections a door has place for, with so many descriptors in all."""
    return max(LEAST, min(MOST, descriptors // SHARE))


def descriptors() -> int:
    """How many this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Door(Server):
    """A connection beyond ``most`` takes the place of the one that is idle for longest; while none is, it is closed."""

    def __init__(
        self, answer: Callable[[BaseRequest], Awaitable[StreamResponse]], *, most: int | None = None, **options: Any
    ) -> None:
        super().__init__(self._serve, **options)
        self._answer = answer
        self._most = places(descriptors()) if most is None else most
        self._idle: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        """Those without a request, the one that is idle for longest first, and when each is closed."""
        self._open: set[asyncio.Transport] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._open) >= self._most:
            if not self._idle:
                transport.abort()
                return
            self._close(next(iter(self._idle)))
        self._open.add(transport)
        self._wait_for_request(transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        if (transport := self._connections.get(handler)) is not None:
            self._forget(transport)
        super().connection_lost(handler, exc)

    async def _serve(self, request: BaseRequest) -> StreamResponse:
        transport = request.transport
        if transport is not None and (timer := self._idle.pop(transport, None)) is not None:
            timer.cancel()
        try:
            return await self._answer(request)
        except ConnectionError:
            if transport is not None and not transport.is_closing():
                raise
            return Response(status=LEFT)  # Nobody is there to read it: an answer that is cut off is an end, no error.
        finally:
            if transport in self._open:
                self._wait_for_request(transport)

    def _wait_for_request(self, transport: asyncio.Transport) -> None:
        self._idle[transport] = self._loop.call_later(IDLE, self._close, transport)

    def _close(self, transport: asyncio.Transport) -> None:
        self._forget(transport)
        transport.abort()

    def _forget(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)
        if (timer := self._idle.pop(transport, None)) is not None:
            timer.cancel()
