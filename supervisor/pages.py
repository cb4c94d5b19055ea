"""The HTTP pages for monitoring: metrics, health, readiness. Read only; nothing here waits for the engine."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

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


class Pages:
    """Pages that are being served."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner

    @property
    def port(self) -> int:
        """The one in use, also when port 0 was asked for."""
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()


async def serve_pages(listen: str, metrics: Rendering, world: Callable[[], World]) -> Pages:
    """Serve at ``HOST:PORT``. Raises PagesError."""
    host, port = address(listen)
    runner = web.AppRunner(application(metrics, world), access_log=None, shutdown_timeout=LAST_GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise PagesError(_refusal(listen, error)) from error
    return Pages(runner)


def address(listen: str) -> tuple[str | None, int]:
    """``127.0.0.1:9779``, ``[::1]:9779``; without a host, ``:9779``, all addresses. Raises PagesError."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535 or (":" in host and bare == host):
        raise PagesError(f"--listen {listen!r}: expected HOST:PORT, as in 127.0.0.1:9779 or [::1]:9779")
    return bare or None, int(port)


def _refusal(listen: str, error: OSError) -> str:
    said = (error.strerror or str(error)).rpartition(": ")[2]
    return f"cannot serve metrics at {listen}: {said}; choose another address with --listen, or '' for none"


def application(metrics: Rendering, world: Callable[[], World]) -> web.Application:
    """All pages. Another method than GET and HEAD is answered 405."""

    async def scrape(request: web.Request) -> web.Response:
        content_type, body = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def ready(_request: web.Request) -> web.Response:
        reason = unready(world())
        return web.Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200)

    app = web.Application()
    app.router.add_get("/", _text(INDEX))
    app.router.add_get("/healthz", _text("ok\n"))
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", scrape)
    return app


def unready(world: World) -> str:
    """Why the units are not in our hands; empty when they are."""
    if world.draining:
        return "the host goes down"
    if not world.engine_up:
        return f"the engine does not serve yet: {world.engine_reason}"
    return ""


def _text(text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    return answer
