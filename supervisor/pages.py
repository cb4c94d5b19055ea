"""The HTTP pages for monitoring: metrics, health, readiness. Read only; nothing here waits for the engine."""

import os
from collections.abc import Callable, Mapping
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

LAST_GRACE = 1.0
"""Seconds that a page under way gets when we end."""


class PagesError(Exception):
    """The pages cannot be served; the text names ``--listen`` and its value."""


class Rendering(Protocol):
    """What makes the page of metrics."""

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and content, for an ``Accept`` header."""
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


def address(listen: str) -> tuple[str | None, int]:
    """``127.0.0.1:9779``, ``[::1]:9779``; without a host, ``:9779``, all addresses. Raises PagesError."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535 or (":" in host and bare == host):
        raise PagesError(f"--listen {listen!r}: expected HOST:PORT, as in 127.0.0.1:9779 or [::1]:9779")
    return bare or None, int(port)


def _refusal(listen: str, error: OSError) -> str:
    plain = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror  # Others add to it.
    said = (plain or str(error)).rpartition(": ")[2]
    said = said[:1].lower() + said[1:]
    return f"cannot serve metrics at {listen}: {said}; choose another address with --listen, or '' for none"


def routes(metrics: Rendering, world: Callable[[], World]) -> tuple[Route, ...]:
    """All pages. Another method than GET and HEAD is answered 405."""

    async def scrape(request: BaseRequest, _taken: Mapping[str, str]) -> Response:
        content_type, body = metrics.render(request.headers.get("Accept", ""))
        return Response(body=body, headers={"Content-Type": content_type})

    async def ready(_request: BaseRequest, _taken: Mapping[str, str]) -> Response:
        reason = unready(world())
        return Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200)

    return (
        Route("GET", "/", _text(INDEX)),
        Route("GET", "/healthz", _text("ok\n")),
        Route("GET", "/readyz", ready),
        Route("GET", "/metrics", scrape),
    )


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
