"""The only place that people and programs ask through: HTTP and JSON over a unix socket that is its owner's alone.

Whoever asks shares a thread with the supervision of the host, so nobody may hold it up: requests have no body worth
reading, answers are small, streams are bounded, and a client that neither asks nor reads is cut off.
"""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hooks.presence import HostHooks
from supervisor.api_asking import Asking
from supervisor.api_hooks import HookRoutes
from supervisor.api_reading import Reading
from supervisor.api_request import Refusal, refuse
from supervisor.api_switching import Switching
from supervisor.choices import Choices
from supervisor.engine import Engine
from supervisor.http_server import BaseRequest, HttpServer, NoRouteError, Route, StreamResponse, find
from supervisor.journal import Journal
from supervisor.loop import Entry, Inbox
from supervisor.user_docker import UserDocker
from units.kernel import Reaction, World
from units.machine import Moment
from units.unit import UnitName

SOCKET = "control.sock"

CLIENTS = 256
"""Requests at a time; the next one is told to come back."""
IDLE = 10.0
"""Seconds a connection may exist without a whole request on it."""


class ControlError(Exception):
    """The control socket cannot be opened; the text says why and what to do."""


class Control:
    """Serves ``run_dir/control.sock``. An observer, to see what became of what was asked."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        world: Callable[[], World],
        status: Callable[[], dict[str, Any]],
        journal: Journal,
        engine: Engine | None,
        run_dir: Path,
        choices: Choices | None = None,
        user_docker: UserDocker | None = None,
        checks: Callable[[UnitName], list[dict[str, Any]]] = lambda _: [],
        hooks: HostHooks | None = None,
    ) -> None:
        self.path = run_dir / SOCKET
        self._journal = journal
        self._hooks = hooks
        self._reading = Reading(
            world=world, status=status, journal=journal, engine=engine, user_docker=user_docker, checks=checks
        )
        self._asking = Asking(inbox=inbox, world=world, status=status)
        self._switching = Switching(
            asking=self._asking, world=world, status=status, choices=choices, user_docker=user_docker
        )
        self._routes = self._table()
        self._busy: set[asyncio.Transport] = set()
        self._closing = asyncio.Event()
        self._server: HttpServer | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._inode = 0

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        self._asking.observe(entry, moment, reaction)

    async def start(self) -> None:
        """Open the socket and serve it until ``close``. Raises ControlError."""
        try:
            listener = self._listen()
        except OSError as error:
            raise ControlError(_way_out(error, self.path)) from error
        self._server = HttpServer(
            self._guard,
            grace=1.0,
            handler_cancellation=True,
            keepalive_timeout=IDLE,
            lingering_time=0.5,
            max_line_size=4096,
            max_field_size=4096,
        )
        await self._server.listen_unix(listener)
        self._sweeper = asyncio.create_task(self._sweep(), name="control-sweeper")

    async def close(self) -> None:
        """End all streams and waits, and take the socket away. Idempotent."""
        self._closing.set()
        self._asking.close()
        self._journal.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._server is not None:
            # First the name: nobody new comes while the present ones are let go.
            with suppress(OSError):
                if self.path.lstat().st_ino == self._inode:
                    self.path.unlink()
            server, self._server = self._server, None
            await server.close()

    def _listen(self) -> socket.socket:
        _clear_away(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The umask, not a chmod afterwards: before it anybody could connect. A thread that makes a file just now gets
        # it as private as the socket, which harms nobody.
        before = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
        listener.setblocking(False)
        self._inode = self.path.lstat().st_ino
        return listener

    async def _sweep(self) -> None:
        """Cut off connections on which nothing is asked: half a request, or an answer that nobody reads."""
        known: set[object] = set()
        while True:
            await asyncio.sleep(IDLE)
            connections = () if self._server is None else self._server.connections
            idle = {one for one in connections if one.transport not in self._busy}
            for connection in idle & known:
                if (transport := getattr(connection, "transport", None)) is not None:
                    transport.abort()
            known = set(idle)

    # What every request goes through.

    async def _guard(self, request: BaseRequest) -> StreamResponse:
        """Turn every refusal into JSON, and no more than so many at a time."""
        transport = request.transport
        if transport is None or self._closing.is_set():
            return refuse(503, "the supervisor is ending", "see whether the host goes down")
        if len(self._busy) >= CLIENTS:
            return refuse(503, f"{CLIENTS} requests are being served already", "try again, with fewer at a time")
        self._busy.add(transport)
        try:
            handler, taken = find(self._routes, request.method, request.rel_url.raw_path)
            return await handler(request, taken)
        except Refusal as refusal:
            return refuse(refusal.code, str(refusal), refusal.hint)
        except NoRouteError as error:
            return refuse(error.code, str(error), "docs/reference/control.md lists the paths")
        finally:
            self._busy.discard(transport)

    def _table(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/status", self._reading.status),
            Route("GET", "/v1/units", self._reading.units),
            Route("GET", "/v1/units/{name}", self._reading.unit),
            Route("GET", "/v1/units/{name}/why", self._reading.why),
            Route("GET", "/v1/units/{name}/logs", self._reading.logs),
            Route("GET", "/v1/events", self._reading.events),
            Route("GET", "/v1/version", self._reading.version),
            Route("GET", "/v1/storage/{name}/check", self._switching.check),
            Route("GET", "/v1/engines", self._switching.engines),
            *HookRoutes(self._hooks).table(),
            Route("POST", "/v1/units/{name}/{verb}", self._asking.verb),
            Route("POST", "/v1/switch/{of}/{name}", self._switching.switch),
            Route("POST", "/v1/enable/{of}/{name}", self._switching.enable),
        )


def _clear_away(path: Path) -> None:
    """A dead supervisor's socket is in the way, and nobody answers on it."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path} is in the way and is no socket: remove it, or choose another --run-dir")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise ControlError(f"somebody answers on {path}: stop that supervisor, or choose another --run-dir")


def _way_out(error: OSError, path: Path) -> str:
    advice = "choose another --run-dir"
    if "too long" in str(error):
        return f"{path} is longer than a unix socket's name may be (107 bytes): choose a shorter --run-dir"
    if error.errno in {errno.EACCES, errno.EPERM}:
        advice = f"run as root or {advice}"
    if error.errno == errno.ENOENT:
        advice = f"make its directory or {advice}"
    return f"cannot open {path}: {error.strerror}; {advice}"
