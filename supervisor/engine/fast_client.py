"""A fast HTTP/1.1 client, for the two latency-critical calls: the event stream and the start order.

Bytes are parsed as they arrive, with no task in between, and an order is written in the loop turn that gives it. All
connection errors are EngineErrors.
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import NoReturn, cast

from supervisor.engine.connect import Road
from supervisor.engine.http1 import Lines, Response, WireError
from supervisor.engine.port import EngineError
from units.records import dataclass
from units.unit import Failure

CONNECTIONS = 16
"""More starts at once than this only make each other wait: an engine's rate is flat from about two per core on."""

AT_ONCE = 16
"""Lines of a stream handled per turn of the event loop: as many starts as can be answered meanwhile."""
MOST = 1024
"""Lines that may wait before reading pauses."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


def request(method: str, target: str) -> bytes:
    """A request without a body. Raises ValueError for a target that could inject a second request."""
    if not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError(f"not a request target: {target!r}")
    return f"{method} {target} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode()


@dataclass(slots=True)
class PendingCall:
    """A request, and the connection on which it was sent, or its place in the queue for one."""

    message: bytes
    patience: float
    peer: "_CallConnection | None" = None
    answer: asyncio.Future[Reply] | None = None
    turn: asyncio.Future[None] | None = None
    """Done when it has been given a connection."""


class FastClient:
    """A pool of connections for short calls without a body."""

    def __init__(self, road: Road, connections: int = CONNECTIONS) -> None:
        self._road = road
        self._free = [_CallConnection() for _ in range(connections)]
        """The most recently used first: most likely still open."""
        self._waiting: deque[PendingCall] = deque()

    async def warm(self) -> None:
        """Have a connection ready. Raises EngineError."""
        if self._free:
            peer = self._free.pop()
            try:
                peer = peer if peer.alive else await self._road.open(_CallConnection)
            finally:
                self._release(peer)

    async def call(self, method: str, target: str, patience: float) -> Reply:
        """``ask`` and ``answer`` in one."""
        return await self.answer(self.ask(method, target, patience))

    def ask(self, method: str, target: str, patience: float) -> PendingCall:
        """Send the request before this returns where a connection is open; ``answer`` must be awaited in any case."""
        message = request(method, target)
        if not self._free:
            asked = PendingCall(message, patience, turn=asyncio.get_running_loop().create_future())
            self._waiting.append(asked)
            return asked
        peer = self._free.pop()
        return PendingCall(message, patience, peer, peer.ask(message, patience) if peer.alive else None)

    async def answer(self, asked: PendingCall) -> Reply:
        """Raises EngineError (UNREACHABLE), TimeoutError. A cancelled call closes its connection.

        A kept connection that is closed before it answered is not a failure: the engine closes idle ones. The request
        is sent again on a new one, so it must be idempotent.
        """
        if asked.turn is not None:
            await self._await_turn(asked, asked.turn)
        peer = asked.peer
        assert peer is not None
        try:
            if asked.answer is not None:
                with contextlib.suppress(_UnansweredError):
                    return await asked.answer
            async with asyncio.timeout(asked.patience):
                peer = await self._road.open(_CallConnection)
            return await peer.ask(asked.message, asked.patience)
        except WireError as error:
            raise EngineError(Failure.UNREACHABLE, f"{self._road.place}: {error}") from error
        finally:
            if not peer.reusable:
                peer.close()
            self._release(peer)

    async def _await_turn(self, asked: PendingCall, turn: asyncio.Future[None]) -> None:
        """However long that takes: those before it have limits, and its own begins when it leaves."""
        try:
            await turn
        except BaseException:
            if asked.peer is not None:  # It came in the moment in which the call was given up.
                if asked.answer is not None:
                    asked.answer.cancel()
                asked.peer.close()
                self._release(asked.peer)
            raise

    def _release(self, peer: "_CallConnection") -> None:
        """The next request that waits leaves on it at once."""
        while self._waiting:
            asked = self._waiting.popleft()
            if asked.turn is not None and not asked.turn.done():
                asked.peer = peer
                asked.answer = peer.ask(asked.message, asked.patience) if peer.alive else None
                asked.turn.set_result(None)
                return
        self._free.append(peer)

    def close(self) -> None:
        for peer in self._free:
            peer.close()


class _UnansweredError(WireError):
    """The connection was cut before the first byte of an answer."""


class _Connection(asyncio.Protocol):
    """The base of both connections: passes bytes to the response, and its end to ``_over``."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._fd = -1
        self._response: Response | None = None

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop has transports of its own
        self._transport = transport
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        if self._response is None:
            self.close()  # Nobody asked.
            return
        try:
            self._response.feed(data)
        except WireError as error:
            self._over(error)
        else:
            self._fed(self._response)

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            if self._response is not None:
                self._response.end()
        except WireError as error:
            self._over(WireError(f"{error}: {exc}") if exc else error)
        else:
            self._over(None)

    def _write(self, message: bytes, response: Response) -> None:
        """Directly: a transport of uvloop writes only when all that has come in this turn of the loop is dealt with.

        With TLS the transport must do it.
        """
        assert self._transport is not None
        self._response = response
        try:
            sent = os.write(self._fd, message) if self._fd >= 0 else 0
        except OSError:
            sent = 0  # Full, or broken: the transport waits, or finds out.
        if sent < len(message):
            self._transport.write(message[sent:])

    def _fed(self, response: Response) -> None:
        """Bytes have been taken."""
        raise NotImplementedError

    def _over(self, error: Exception | None) -> None:
        """Nothing more will come."""
        raise NotImplementedError


class _CallConnection(_Connection):
    """One call at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[Reply] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._keep = True

    @property
    def reusable(self) -> bool:
        return self.alive and self._response is None and self._keep

    def ask(self, message: bytes, patience: float) -> asyncio.Future[Reply]:
        loop = asyncio.get_running_loop()
        self._parts = []
        response = Response(self._parts.append)
        self._write(message, response)
        self._answer = loop.create_future()
        self._deadline = loop.call_later(patience, self._expire)
        return self._answer

    def _expire(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())
            self._keep = False

    def _fed(self, response: Response) -> None:
        if response.done:
            self._over(None)

    def _over(self, error: Exception | None) -> None:
        response, self._response = self._response, None
        if self._deadline is not None:
            self._deadline.cancel()
        if response is None or self._answer is None or self._answer.done():
            return
        if error is None:
            self._keep = response.keep_alive
            self._answer.set_result(Reply(response.status, b"".join(self._parts)))
            return
        self._keep = False
        self._answer.set_exception(error if response.begun else _UnansweredError(str(error)))


class EventStream(_Connection):
    """A streamed answer, line by line. The callback must not block: a slow reader slows the engine.

    Of many lines that come at once, ``AT_ONCE`` are heard in each turn of the event loop, so that what they lead to is
    answered meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[bytes] = deque()
        self._hear: Callable[[bytes], None] | None = None
        self._going_on = False
        """Further lines are handled in the next turn."""
        self._paused = False
        self._cut = Lines()
        self._refusal: list[bytes] = []
        self._news = asyncio.Event()
        self._error: Exception | None = None

    async def open(self, target: str) -> Reply:
        """Send the request and wait for the head of the answer; other statuses than 200 come with their body.

        Raises WireError.
        """
        response = Response(self._take)
        self._write(request("GET", target), response)
        while not response.status or (response.status != 200 and not response.done):
            await self._wait()
        return Reply(response.status, b"".join(self._refusal))

    async def hand_over(self, hear: Callable[[bytes], None]) -> NoReturn:
        """Call ``hear`` with each line as it comes, first with those that came before this call.

        Raises WireError when the stream ends, and what ``hear`` raises.
        """
        self._hear = hear
        self._tell(AT_ONCE if self._error is None else len(self._lines))
        while True:
            await self._wait()

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._news.clear()
        await self._news.wait()

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
            if not self._going_on:
                self._tell()
        except Exception as error:  # noqa: BLE001 - a defect: not the connection's, which would only be made anew
            self._over(error)

    def _take(self, part: bytes) -> None:
        assert self._response is not None
        if self._response.status == 200:
            self._lines.extend(self._cut.feed(part))
        else:
            self._refusal.append(part)

    def _tell(self, most: int = AT_ONCE) -> None:
        """Handle some lines, and schedule the others."""
        hear, lines = self._hear, self._lines
        if hear is None:
            return
        for _ in range(min(most, len(lines))):
            hear(lines.popleft())
        self._going_on = bool(lines)
        if lines:
            asyncio.get_running_loop().call_soon(self._go_on)
        self._throttle()

    def _go_on(self) -> None:
        if self._error is None:
            try:
                self._tell()
            except Exception as error:  # noqa: BLE001 - as in data_received
                self._over(error)

    def _throttle(self) -> None:
        """Pause reading while many lines wait."""
        if (many := len(self._lines) > MOST) != self._paused and self._transport is not None and self.alive:
            (self._transport.pause_reading if many else self._transport.resume_reading)()
            self._paused = many

    def _fed(self, response: Response) -> None:
        if response.done and response.status == 200:
            self._over(None)
        elif self._hear is None:
            self._news.set()

    def _over(self, error: Exception | None) -> None:
        """Handle the lines that have come before the end is reported."""
        if self._error is None:
            self._error = error or WireError("the stream has ended")
            if isinstance(self._error, WireError):
                try:
                    self._tell(len(self._lines))
                except Exception as defect:  # noqa: BLE001 - as in data_received
                    self._error = defect
        self._news.set()
        self.close()
