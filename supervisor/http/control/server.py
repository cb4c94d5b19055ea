"""The control API's server: HTTP and JSON over unix sockets, and read-only over TCP.

It shares a thread with the supervision of the host, so no client may hold it up: requests have no body, answers are
small, streams are bounded, and a client that neither sends nor reads is disconnected.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.typing import FilteringBoundLogger

from supervisor.http.access import Access, ControlError, open_door, peer_of, shut
from supervisor.http.control.request import Refusal, Taken, refuse
from supervisor.http.server import (
    BaseRequest,
    HttpServer,
    NoRouteError,
    PagesError,
    Route,
    StreamResponse,
    address,
    find,
)
from supervisor.journal.journal import Journal
from supervisor.os_errors import reason
from supervisor.state.paths import READING_SOCKET, SOCKET
from units.machine import Moment
from units.world import Entry, Reaction

if TYPE_CHECKING:
    from supervisor.http.control.routes import Api

CLIENTS = 256
"""Concurrent requests; further ones are refused with 503."""
GUESTS = 128
"""Of these, read-only ones, so that they cannot block clients with full access."""
API = "supervisor.http.control.routes"
"""Loading it takes 20 ms, in a thread of its own, so that restarts do not wait for it."""


Guard = Callable[[BaseRequest], Awaitable[StreamResponse]]


class ControlServer:
    """Serves ``run_dir/control.sock`` and what ``access`` says. An observer, to see the outcome of requests.

    ``make_api`` is called with the first request, once ``API`` is loaded.
    """

    def __init__(
        self,
        *,
        run_dir: Path,
        journal: Journal,
        make_api: "Callable[[], Api]",
        log: FilteringBoundLogger | None = None,
        access: Access = Access(),
    ) -> None:
        self.path = run_dir / SOCKET
        self._log = log
        self._access = access
        self._journal = journal
        self._make_api = make_api
        self._api: Api | None = None
        self._busy: set[asyncio.Transport] = set()
        self._guests = 0
        self._closing = asyncio.Event()
        self._servers: list[HttpServer] = []
        self._files: dict[Path, int] = {}

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        if self._api is not None:
            self._api.observe(entry, moment, reaction)

    @property
    def api(self) -> "Api":
        """Created on first use."""
        if self._api is None:
            self._api = self._make_api()
        return self._api

    def asker(self, request: int) -> int | None:
        """The uid of the client that waits for this request."""
        return None if self._api is None else self._api.asker(request)

    async def start(self) -> None:
        """Open the sockets and serve until ``close``. Raises ControlError."""
        try:
            await self._open(self.path, self._access.group, self._guard)
            reading = self.path.with_name(READING_SOCKET)
            if self._access.readers:
                await self._open(reading, self._access.readers, self._guard_reading)
            else:
                shut(reading)
            if self._access.listen:
                await self._listen(self._access.listen)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all streams and waits, and remove the sockets. Idempotent."""
        self._closing.set()
        if self._api is not None:
            self._api.close()
        self._journal.close()
        # First the names, so that no client connects while the present ones are disconnected.
        for path, inode in self._files.items():
            with suppress(OSError):
                if path.lstat().st_ino == inode:
                    path.unlink()
        servers, self._servers = self._servers, []
        await asyncio.gather(*(server.close() for server in servers))

    async def _open(self, path: Path, group: str, guard: Guard) -> None:
        listener, self._files[path] = open_door(path, group)
        await self._server(guard).listen_unix(listener)

    async def _listen(self, where: str) -> None:
        try:
            await self._server(self._guard_address).listen_tcp(*address(where, "--control-listen"))
        except PagesError as error:
            raise ControlError(str(error)) from error
        except OSError as error:
            raise ControlError(f"cannot listen at {where}: {reason(error)}; choose another --control-listen") from error

    def _server(self, guard: Guard) -> HttpServer:
        server = HttpServer(
            guard,
            grace=1.0,
            handler_cancellation=True,
            lingering_time=0.5,
            max_line_size=4096,
            max_field_size=4096,
        )
        self._servers.append(server)
        return server

    # What every request goes through.

    async def _guard(self, request: BaseRequest) -> StreamResponse:
        """Turn every refusal into JSON, and limit concurrent requests."""
        transport = request.transport
        if transport is None or self._closing.is_set():
            return refuse(503, "the supervisor is ending", "check whether the host is shutting down")
        if len(self._busy) >= CLIENTS:
            return refuse(503, f"{CLIENTS} requests are already in progress", "try again, with fewer at a time")
        self._busy.add(transport)
        try:
            if self._api is None:
                await asyncio.to_thread(import_module, API)
                if self._closing.is_set():
                    return refuse(503, "the supervisor is ending", "check whether the host is shutting down")
            route, taken = find(self.api.routes, request)
            if route.method == "GET":
                return await route.handler(request, taken)
            return await self._audited(request, route, taken)
        except Refusal as refusal:
            return refuse(refusal.code, str(refusal), refusal.hint)
        except NoRouteError as error:
            allowed = {"Allow": ", ".join(error.allowed)} if error.allowed else None
            return refuse(error.code, str(error), "docs/reference/control.md lists paths and parameters", allowed)
        finally:
            self._busy.discard(transport)

    async def _guard_reading(self, request: BaseRequest) -> StreamResponse:
        """Refuse anything but reading on the read-only sockets."""
        if request.method not in {"GET", "HEAD"}:
            hint = f"{self._access.writers} can change things on {self.path}"
            return refuse(403, "this socket is read-only", hint)
        if self._guests >= GUESTS:
            return refuse(
                503, f"{GUESTS} read-only requests are already in progress", "try again, with fewer at a time"
            )
        self._guests += 1
        try:
            return await self._guard(request)
        finally:
            self._guests -= 1

    async def _guard_address(self, request: BaseRequest) -> StreamResponse:
        """Refuse requests with a foreign ``Host`` name (DNS rebinding)."""
        if not names_an_address(request.headers.get("Host", "")):
            return refuse(403, "no such host", "use the address itself, or localhost")
        return await self._guard_reading(request)

    async def _audited(self, request: BaseRequest, route: Route, taken: Taken) -> StreamResponse:
        """Log each change: the client, the request, and the outcome."""
        peer = peer_of(request.transport)
        outcome = "left"  # Unless told otherwise, the client did not wait for the end.
        try:
            response = await route.handler(request, taken)
            outcome = "done" if response.status == 200 else "under way"
        except Refusal as refusal:
            outcome = f"refused: {refusal}"
            raise
        else:
            return response
        finally:
            if self._log is not None:
                self._log.info(
                    "control.asked",
                    uid=peer.uid,
                    pid=peer.pid,
                    program=peer.program,
                    verb=verb_of(route, taken),
                    unit=taken.get("name", ""),
                    outcome=outcome,
                )


def verb_of(route: Route, taken: Taken) -> str:
    """The request in a word or two: ``restart``, ``switch console``, ``hooks test``."""
    if "verb" in taken:
        return taken["verb"]
    words = route.path.split("/")[2:]
    return " ".join(taken["of"] if word == "{of}" else word for word in words if word == "{of}" or word[0] != "{")


def names_an_address(host: str) -> bool:
    """Whether the ``Host`` of a request is an address or the local host's name."""
    bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    bare = bare.removeprefix("[").removesuffix("]")
    if bare in {"", "localhost"}:
        return True
    try:
        ip_address(bare)
    except ValueError:
        return False
    return True
