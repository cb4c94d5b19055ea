"""The HTTP pages for monitoring: metrics, health, readiness. Read only; nothing here waits for the engine."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Protocol

from supervisor.http_server import (
    BaseRequest,
    Handler,
    HttpServer,
    NoRouteError,
    Response,
    Route,
    StreamResponse,
    find,
)
from units.kernel import World

INDEX = """\
dockwarden
/metrics  Prometheus text, or OpenMetrics
/healthz  200 while the supervisor runs
/readyz   200 when the engine serves and the units have been looked at
"""

SLICE = 0.0005
"""Seconds for which a page holds the event loop up: a death that comes meanwhile waits so long."""
PORTION = 65536
"""Bytes that are given to the kernel at a time, and kept at most for a reader that is slow."""
STUCK = 30.0
"""Seconds within which a reader has to have read a page."""

LAST_GRACE = 1.0
"""Seconds that a page under way gets when we end."""


class PagesError(Exception):
    """The pages cannot be served; the text names ``--listen`` and its value."""


class Rendering(Protocol):
    """What makes the page of metrics."""

    @property
    def prepared(self) -> bool: ...

    def prepare(self) -> None:
        """Before the first page: takes its time, and may be called in another thread."""
        ...

    def render(self, accept: str) -> tuple[str, Iterator[bytes]]:
        """Content type and content in pieces, for an ``Accept`` header."""
        ...


async def serve_pages(listen: str, metrics: Rendering, world: Callable[[], World]) -> HttpServer:
    """Serve at ``HOST:PORT`` until it is closed. Raises PagesError."""
    host, port = address(listen)
    table = routes(metrics, world)

    async def answer(request: BaseRequest) -> StreamResponse:
        try:
            handler, taken = find(table, request.method, request.rel_url.raw_path)
        except NoRouteError as error:
            allowed = {"Allow": ", ".join(error.allowed)} if error.allowed else {}
            return Response(text=f"{error}\n", status=error.code, headers=allowed)
        return await handler(request, taken)

    server = HttpServer(answer, grace=LAST_GRACE)
    try:
        await server.listen_tcp(host, port)
    except OSError as error:
        await server.close()
        raise PagesError(_refusal(listen, error)) from error
    return server


def address(listen: str, option: str = "--listen") -> tuple[str | None, int]:
    """``127.0.0.1:9779``, ``[::1]:9779``; without a host, ``:9779``, all addresses. Raises PagesError."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535 or (":" in host and bare == host):
        raise PagesError(f"{option} {listen!r}: expected HOST:PORT, as in 127.0.0.1:9779 or [::1]:9779")
    return bare or None, int(port)


def _refusal(listen: str, error: OSError) -> str:
    return f"cannot serve metrics at {listen}: {plain(error)}; choose another address with --listen, or '' for none"


def plain(error: OSError) -> str:
    """Why an address cannot be had, in the system's words; others add to them."""
    said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    said = (said or str(error)).rpartition(": ")[2]
    return said[:1].lower() + said[1:]


def routes(metrics: Rendering, world: Callable[[], World]) -> tuple[Route, ...]:
    """All pages. Another method than GET and HEAD is answered 405."""

    async def scrape(request: BaseRequest, _taken: Mapping[str, str]) -> StreamResponse:
        if not metrics.prepared:
            await asyncio.to_thread(metrics.prepare)
        content_type, pieces = metrics.render(request.headers.get("Accept", ""))
        stream = StreamResponse(headers={"Content-Type": content_type})
        await stream.prepare(request)
        if request.method != "HEAD":
            await _send(request, stream, pieces)
        return stream

    async def ready(_request: BaseRequest, _taken: Mapping[str, str]) -> Response:
        reason = unready(world())
        return Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200)

    return (
        Route("GET", "/", _text(INDEX)),
        Route("GET", "/healthz", _text("ok\n")),
        Route("GET", "/readyz", ready),
        Route("GET", "/metrics", scrape),
    )


async def _send(request: BaseRequest, stream: StreamResponse, pieces: Iterable[bytes]) -> None:
    """Bit by bit: the kernel takes a millisecond for a megabyte, too, and nobody has to keep it."""
    try:
        async with asyncio.timeout(STUCK):
            async for portion in portions(pieces):
                await stream.write(portion)
    except TimeoutError:  # Its reader has stopped. Half a page must not be taken for a whole one.
        if request.transport is not None:
            request.transport.abort()


async def portions(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """As much of a long page as is made in a moment; then whoever else has to do something here gets its turn."""
    made, turn = bytearray(), time.perf_counter()
    for piece in pieces:
        made += piece
        if len(made) > PORTION or time.perf_counter() - turn > SLICE:
            yield bytes(made)
            made.clear()
            await asyncio.sleep(0)
            turn = time.perf_counter()
    yield bytes(made)


def unready(world: World) -> str:
    """Why the units are not in our hands; empty when they are."""
    if world.draining:
        return "the host goes down"
    if not world.engine_up:
        return f"the engine does not serve yet: {world.engine_reason}"
    return ""


def _text(text: str) -> Handler:
    async def answer(_request: BaseRequest, _taken: Mapping[str, str]) -> Response:
        return Response(text=text)

    return answer
