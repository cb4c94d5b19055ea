"""The HTTP pages: metrics, health, readiness, and the status page. Read only; nothing here waits for the engine.

On loopback the status page is for who asks this host by a name of its own: another site's page, whose name was made to
lead here (DNS rebinding), is refused.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from supervisor.http.server import (
    BaseRequest,
    Handler,
    HttpServer,
    NoRouteError,
    PagesError,
    Response,
    Route,
    StreamResponse,
    address,
    find,
    on_loopback,
    own_name,
    read_in_time,
)
from supervisor.os_errors import reason
from units.world import World

if TYPE_CHECKING:
    from supervisor.http.pages.status_page import StatusPage

INDEX = """\
dockwarden
/         the status page, for a browser
/metrics  Prometheus text, or OpenMetrics
/healthz  200 while the supervisor runs
/readyz   200 when the engine serves and the units have been looked at
"""

SLICE = 0.0005
"""Seconds for which a page holds the event loop up: a death that comes meanwhile waits so long."""
PORTION = 65536
"""Bytes that are given to the kernel at a time, and kept at most for a reader that is slow."""
WHOLE = 30.0
"""Seconds within which a reader has to have read a page."""

LAST_GRACE = 1.0
"""Seconds that a page under way gets when we end."""


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


class LazyPage:
    """The status page, made when it is first asked for."""

    def __init__(self, make: "Callable[[], StatusPage]") -> None:
        self._make = make
        self._made: StatusPage | None = None
        self._making = asyncio.Lock()

    async def get(self) -> "StatusPage":
        async with self._making:
            if self._made is None:
                # In a thread: its modules take longer to load than anything here may take.
                self._made = await asyncio.to_thread(self._make)
        return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


class Pages(HttpServer):
    """The server of all pages. It ends the page's streams, which would not end by themselves."""

    def __init__(self, answer: Callable[[BaseRequest], Awaitable[StreamResponse]], page: LazyPage | None) -> None:
        # Cancelled when the reader leaves: a page that was closed makes room for another one at once.
        super().__init__(answer, grace=LAST_GRACE, handler_cancellation=True)
        self._page = page

    async def close(self) -> None:
        if self._page is not None:
            self._page.close()
        await super().close()


async def serve_pages(
    listen: str, metrics: Rendering, world: Callable[[], World], page: "Callable[[], StatusPage] | None" = None
) -> HttpServer:
    """Serve at ``HOST:PORT`` until it is closed. ``page`` makes the status page when first asked. Raises PagesError."""
    host, port = address(listen)
    once = None if page is None else LazyPage(page)
    table = (*(() if once is None else page_routes(once, loopback=on_loopback(host))), *routes(metrics, world))

    async def answer(request: BaseRequest) -> StreamResponse:
        try:
            route, taken = find(table, request)
        except NoRouteError as error:
            allowed = {"Allow": ", ".join(error.allowed)} if error.allowed else {}
            return Response(text=f"{error}\n", status=error.code, headers=allowed)
        return await route.handler(request, taken)

    server = Pages(answer, once)
    try:
        await server.listen_tcp(host, port)
    except OSError as error:
        await server.close()
        raise PagesError(_refusal(listen, error)) from error
    return server


def _refusal(listen: str, error: OSError) -> str:
    return f"cannot serve metrics at {listen}: {reason(error)}; choose another address with --listen, or '' for none"


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
    """Write it in parts: a megabyte takes the kernel a millisecond, and is not kept in memory."""
    async with read_in_time(request, WHOLE):
        async for portion in portions(pieces):
            await stream.write(portion)


async def portions(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """As much of a long page as is made in a moment; then other tasks get their turn."""
    made, turn = bytearray(), time.perf_counter()
    for piece in pieces:
        made += piece
        if len(made) > PORTION or time.perf_counter() - turn > SLICE:
            yield bytes(made)
            made.clear()
            await asyncio.sleep(0)
            turn = time.perf_counter()
    yield bytes(made)


def page_routes(page: LazyPage, *, loopback: bool) -> tuple[Route, ...]:
    """The status page. Who prefers no HTML at ``/`` gets the index."""

    def guarded(give: "Callable[[StatusPage, BaseRequest, Mapping[str, str]], Awaitable[StreamResponse]]") -> Handler:
        async def answer(request: BaseRequest, taken: Mapping[str, str]) -> StreamResponse:
            host = request.headers.get("Host", "")
            if loopback and not own_name(host):
                return Response(text=_foreign(host), status=421)
            if (
                request.headers.get("Sec-Fetch-Site") == "cross-site"
                and request.headers.get("Sec-Fetch-Dest") == "empty"
            ):
                # Another site's script may not read the answer, yet it could take all places of readers.
                return Response(text="this is for the status page only\n", status=403)
            return await give(await page.get(), request, taken)

        return answer

    async def root(request: BaseRequest, taken: Mapping[str, str]) -> StreamResponse:
        if "text/html" not in request.headers.get("Accept", ""):
            return Response(text=INDEX, headers={"Vary": "Accept"})
        return await guarded(_document)(request, taken)

    return (
        Route("GET", "/", root, frozenset({"unit"})),
        Route("GET", "/live", guarded(_follow)),
        Route("GET", "/units/{name}", guarded(_unit)),
        Route("GET", "/graph.svg", guarded(_graph), frozenset({"page"})),
        *(Route("GET", f"/{name}", guarded(_file)) for name in ("page.js", "page.css", "icon.svg")),
    )


async def _document(page: "StatusPage", request: BaseRequest, _taken: Mapping[str, str]) -> StreamResponse:
    return await page.document(request)


async def _follow(page: "StatusPage", request: BaseRequest, _taken: Mapping[str, str]) -> StreamResponse:
    return await page.follow(request)


async def _unit(page: "StatusPage", _request: BaseRequest, taken: Mapping[str, str]) -> StreamResponse:
    return page.unit(taken["name"])


async def _graph(page: "StatusPage", request: BaseRequest, _taken: Mapping[str, str]) -> StreamResponse:
    return page.graph(request)


async def _file(page: "StatusPage", request: BaseRequest, _taken: Mapping[str, str]) -> StreamResponse:
    return page.file(request, request.rel_url.raw_path.removeprefix("/"))


def _foreign(host: str) -> str:
    shown = host[:80] if host.isprintable() else "?"
    return (
        f"the status page is not served as {shown!r}: it listens on loopback only, so ask for localhost or 127.0.0.1 "
        "(a proxy: let it send 'Host: localhost'), or choose another address with --listen\n"
    )


def unready(world: World) -> str:
    """Why the units are not in our hands; empty when they are."""
    if world.draining:
        return "the host goes down"
    if not world.serving:
        return f"the engine does not serve: {world.engine_reason}"
    return ""


def _text(text: str) -> Handler:
    async def answer(_request: BaseRequest, _taken: Mapping[str, str]) -> Response:
        return Response(text=text)

    return answer
