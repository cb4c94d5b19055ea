"""Calls to Docker through aiodocker, each with a deadline and a name: the only module that knows aiodocker.

What goes wrong in a call leaves here as an EngineError that names it. Connections of calls and of streams are two
pools, and a cut connection is an error: aiodocker itself takes it for the end of an answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO, Final

import aiohttp
from aiodocker import Docker, DockerError

from supervisor.engine import errors
from supervisor.engine.access import BARRED, is_barred
from supervisor.engine.api_version import API
from supervisor.engine.connect import Road, unreachable
from supervisor.engine.http1 import Lines, WireError
from supervisor.engine.port import BarredError, EngineError, StaleEndpointError
from units.bounded import UNREADABLE, from_json, shortened
from units.unit import Failure

LOOK, ACT, PROGRESS = 10.0, 30.0, 120.0
"""Deadlines in seconds: for what only looks or signals, for a create or a start, and between two signs of progress."""
PIECE = 256 * 1024
"""Bytes of an archive that are read at once."""
NOT_FOUND, NO_CONNECTION = 404, 900
"""HTTP's, and aiodocker's own."""
FAILURES: Final = (TimeoutError, DockerError, EngineError, WireError, aiohttp.ClientError, OSError, *UNREADABLE)
"""All that can go wrong in a call, an answer that cannot be read included."""
CUT: Final = (DockerError, aiohttp.ClientError, OSError)
"""What ends an answer that is being read."""

ACTS = 32
"""Calls at once that change a container: many more and each takes longer than its deadline."""

OnCall = Callable[[str, str, float], None]
"""Operation, outcome (``ok``, ``barred`` or a failure's name in lower case), seconds."""


class Calls:
    """Create and use it on a running event loop.

    Args:
        road: To the engine.
        on_call: Called after each call.
        hide: Takes secrets out of what the engine says of an order that failed.
    """

    def __init__(self, road: Road, on_call: OnCall, hide: Callable[[str], str]) -> None:
        self._place = road.place
        self._on_call = on_call
        self._hide = hide
        self._loop = asyncio.get_running_loop()
        self._turns = asyncio.Semaphore(ACTS)
        # Without limits: what waits for a connection would wait within its deadline.
        self._connectors = (_connector(road), _connector(road))
        self._calls, self._streams = (
            Docker(road.http, connector=connector, timeout=timeout, api_version=f"v{API}")
            for connector, timeout in zip(
                self._connectors,
                (aiohttp.ClientTimeout(total=ACT), aiohttp.ClientTimeout(total=None, sock_connect=LOOK)),
                strict=True,
            )
        )

    def speak(self, version: str) -> None:
        """Calls speak this version of the API from now on, unless they say otherwise."""
        self._calls.api_version = self._streams.api_version = f"v{version}"

    @contextlib.asynccontextmanager
    async def order(self, operation: str, subject: str, patience: float) -> AsyncIterator[asyncio.Timeout]:
        """One call: its deadline, its name in errors, and its metrics."""
        began = self._loop.time()
        try:
            async with asyncio.timeout(patience) as deadline:
                yield deadline
        except FAILURES as error:
            raise self.failed(error, operation, subject, patience, began) from error
        self._on_call(operation, "ok", self._loop.time() - began)

    @contextlib.asynccontextmanager
    async def act(self, operation: str, subject: str, patience: float) -> AsyncIterator[None]:
        """The same for what all units may be in need of at once: its deadline begins when it leaves."""
        async with self._turns, self.order(operation, subject, patience):
            yield

    async def ask(self, path: str, method: str = "GET", **query: Any) -> Any:
        """Bypasses aiodocker's objects, which keep whole answers in memory."""
        return await self._calls._query_json(path, method, **query)  # noqa: SLF001

    async def post(self, path: str, *, patience: float | None = None, **query: Any) -> None:
        """A call of which only the status counts, within ``patience`` seconds, else within those of its pool."""
        limit: dict[str, Any] = {} if patience is None else {"timeout": aiohttp.ClientTimeout(total=patience)}
        async with self._calls._query(path, "POST", **query, **limit):  # noqa: SLF001
            pass

    async def found(self, path: str) -> Any:
        """An answer, or ``None`` where the engine has no such thing."""
        try:
            return await self.ask(path)
        except DockerError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    async def has_file(self, container: str, path: str) -> bool:
        """Whether a container has it, also one that does not run. What is in it is not read."""
        try:
            async with self.stream(f"containers/{container}/archive", "GET", params={"path": path}):
                return True
        except DockerError as error:
            if error.status != NOT_FOUND or "no such container" in str(error.message).lower():
                raise
            return False

    async def signal(self, container: str, signal: str) -> None:
        await self._calls.containers.container(container).kill(signal=signal)

    async def rename(self, container: str, name: str) -> None:
        await self._calls.containers.container(container).rename(name)

    async def remove(self, container: str) -> None:
        await self._calls.containers.container(container).delete(force=True)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, method: str, **query: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A streamed answer, always closed: aiodocker leaves it open when its reader stops early."""
        async with self._streams._query(path, method, **query) as response:  # noqa: SLF001
            try:
                yield response
            finally:
                response.close()

    async def progress(self, deadline: asyncio.Timeout, path: str, **query: Any) -> AsyncIterator[Any]:
        """The JSON lines of a long call, which may report an error after its status 200. Each line counts as progress.

        aiodocker's own reader takes a cut connection for the end.
        """
        lines = Lines()
        async with self.stream(path, "POST", **query) as response:
            async for data in response.content.iter_any():
                self._extend(deadline)
                for line in lines.feed(data):
                    told = parsed(line)
                    if text := errors.trouble(told):
                        raise DockerError(0, text)
                    yield told

    async def pieces(self, archive: BinaryIO, deadline: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Reads an archive in pieces, so that the event loop is not blocked."""
        while piece := await asyncio.to_thread(archive.read, PIECE):
            self._extend(deadline)
            yield piece

    async def close(self) -> None:
        await self._calls.close()
        await self._streams.close()
        for connector in self._connectors:
            await connector.close()

    def failed(self, error: Exception, operation: str, subject: str, patience: float, began: float) -> EngineError:
        failure, text = self._meaning(error, operation, subject, patience)
        barred = isinstance(error, BarredError) or (
            isinstance(error, DockerError) and is_barred(error.status, text, operation)
        )
        self._on_call(operation, BARRED if barred else failure.name.lower(), self._loop.time() - began)
        # It quotes commands and variables of the container.
        told = self._hide(f"{operation} {subject}".rstrip() + f": {shortened(text)}")
        if barred:
            return BarredError(failure, told)
        stale = errors.stale_endpoint(text)
        return EngineError(failure, told) if stale is None else StaleEndpointError(told, *stale)

    def _meaning(self, error: Exception, operation: str, subject: str, patience: float) -> tuple[Failure, str]:
        match error:
            case EngineError():
                return error.failure, str(error)
            case TimeoutError():
                return Failure.TIMEOUT, f"no answer within {patience:g} s"
            case DockerError(status=status) if status == NO_CONNECTION:
                cause = error.__context__
                if isinstance(cause, aiohttp.ClientConnectorCertificateError):
                    cause = cause.certificate_error
                if isinstance(cause, aiohttp.ClientConnectorError):
                    cause = cause.os_error
                if isinstance(cause, OSError) and not isinstance(cause, aiohttp.ClientError):
                    return Failure.UNREACHABLE, str(unreachable(self._place, cause))
                return Failure.UNREACHABLE, f"{self._place}: the connection was cut"
            case DockerError(status=status, message=message):
                said = errors.sentence(message)
                return errors.failure(status, said, operation, subject), said
            case WireError() | aiohttp.ClientError() | OSError():
                return Failure.UNREACHABLE, f"{self._place}: {str(error) or 'the connection was cut'}"
            case _:
                return Failure.OTHER, f"unexpected answer: {error!r}"

    def _extend(self, deadline: asyncio.Timeout) -> None:
        """Extend the deadline by ``PROGRESS`` seconds."""
        with contextlib.suppress(RuntimeError):  # An upload may move once more after its call is over.
            deadline.reschedule(self._loop.time() + PROGRESS)


def _connector(road: Road) -> aiohttp.BaseConnector:
    if road.address.path:
        return aiohttp.UnixConnector(road.address.path, limit=0)
    return aiohttp.TCPConnector(ssl=road.tls or True, limit=0)


def parsed(line: bytes) -> Any:
    """What a line of JSON says; ``None`` for what is none, of which ``decode`` makes a message without meaning."""
    try:
        return from_json(line.decode())
    except ValueError:
        return None
