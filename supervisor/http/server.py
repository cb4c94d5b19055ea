"""HTTP for the control socket and the pages: aiohttp's low-level server, and a table of routes.

``aiohttp.web``, the framework above it, would cost 1.4 MiB of a small host for a dozen paths.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from supervisor.http.door import Door
from units.records import dataclass

__all__ = [
    "BaseRequest",
    "Handler",
    "HttpServer",
    "NoRouteError",
    "Response",
    "Route",
    "StreamResponse",
    "find",
    "match",
]

Handler = Callable[[BaseRequest, Mapping[str, str]], Awaitable[StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` may have parts in braces, as in ``/v1/units/{name}``: each takes one part of a request's path."""

    method: str
    """``GET`` answers HEAD as well."""
    path: str
    handler: Handler
    query: frozenset[str] = frozenset()
    """Parameters that it reads; with any other one a request is refused."""


class NoRouteError(Exception):
    """No such path (404), not with this method (405), or not with this parameter (400)."""

    def __init__(self, code: int, reason: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.code = code
        self.allowed = tuple(allowed)


def find(routes: Sequence[Route], request: BaseRequest) -> tuple[Route, dict[str, str]]:
    """The route, and the decoded values of the parts in braces. Raises NoRouteError."""
    route, taken = match(routes, request.method, request.rel_url.raw_path)
    asked = [name for name, _ in request.rel_url.query.items()]
    for name in asked:
        if name not in route.query:
            known = f"it takes {', '.join(sorted(route.query))}" if route.query else "it takes none"
            raise NoRouteError(400, f"unknown parameter {name[:80]!r}: {known}")
        if asked.count(name) > 1:
            raise NoRouteError(400, f"parameter {name!r} is given more than once")
    return route, taken


def match(routes: Sequence[Route], method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
    """As ``find``, by the path alone."""
    parts = raw_path.split("/")
    allowed: list[str] = []
    for route in routes:
        taken = _taken(route.path.split("/"), parts)
        if taken is None:
            continue
        if method == route.method or (method == "HEAD" and route.method == "GET"):
            return route, taken
        allowed.append(route.method)
    if allowed:
        raise NoRouteError(405, "method not allowed", allowed)
    raise NoRouteError(404, "not found")


def _taken(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    taken = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{") and part:
            taken[wanted[1:-1]] = unquote(part)
        elif wanted != part:
            return None
    return taken


def _literal(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host or "")
    except ValueError:
        return None


class HttpServer:
    """One server on one socket. Options are those of aiohttp's RequestHandler."""

    def __init__(
        self,
        answer: Callable[[BaseRequest], Awaitable[StreamResponse]],
        *,
        grace: float,
        handler_cancellation: bool = False,
        **options: Any,
    ) -> None:
        self._server = Door(answer, handler_cancellation=handler_cancellation, access_log=None, **options)
        self._grace = grace
        self._listening: asyncio.Server | None = None

    @property
    def connections(self) -> list[Any]:
        return list(self._server.connections)

    @property
    def port(self) -> int:
        """The one in use, also when port 0 was asked for."""
        assert self._listening is not None
        return int(self._listening.sockets[0].getsockname()[1])

    async def listen_unix(self, listener: socket.socket) -> None:
        self._listening = await asyncio.get_running_loop().create_unix_server(self._server, sock=listener, backlog=64)

    async def listen_tcp(self, host: str | None, port: int) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        if (address := _literal(host)) is None:
            self._listening = await loop.create_server(self._server, host, port, backlog=64)
        else:  # To look it up, uvloop would start four threads that stay, and load the tables of IDNA.
            family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
            listener = socket.create_server((str(address), port), family=family, backlog=64)
            self._listening = await loop.create_server(self._server, sock=listener, backlog=64)

    async def close(self) -> None:
        """Stop accepting; idle connections end at once, the others within the grace."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        await asyncio.sleep(0)
        self._server.pre_shutdown()
        await self._server.shutdown(self._grace)


STUCK = 10.0
"""Seconds within which a client must read what is written."""


@asynccontextmanager
async def read_in_time(request: BaseRequest, within: float | None = None) -> AsyncIterator[None]:
    """A context manager around writes: disconnects a client that does not read, so that it sees a cut answer.

    Args:
        request: its connection.
        within: seconds for all that is written in here; STUCK if none are given.

    Raises:
        ConnectionResetError: it was cut off.
    """
    try:
        async with asyncio.timeout(STUCK if within is None else within):
            yield
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read the answer") from None


class PagesError(Exception):
    """The pages cannot be served; the text names ``--listen`` and its value."""


def address(listen: str, option: str = "--listen") -> tuple[str | None, int]:
    """``127.0.0.1:9779``, ``[::1]:9779``; without a host, ``:9779``, all addresses. Raises PagesError."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535 or (":" in host and bare == host):
        raise PagesError(f"{option} {listen!r}: expected HOST:PORT, as in 127.0.0.1:9779 or [::1]:9779")
    return bare or None, int(port)


def on_loopback(host: str | None) -> bool:
    """Whether the address is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_name(header: str) -> bool:
    """Whether a ``Host`` header names this machine's loopback: protects against DNS rebinding."""
    name = header.rpartition(":")[0] if header.rpartition("]")[2].startswith(":") or header.count(":") == 1 else header
    name = name.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    return on_loopback(name) or name.endswith(".localhost")
