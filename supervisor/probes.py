"""Asks one question of one container: TCP, HTTP, or a command run in it. Never raises, and never takes for ever."""

import asyncio
import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from functools import cache
from typing import assert_never, cast

from supervisor.engine import Engine, EngineError, ExecId, Whereabouts
from supervisor.http1 import Response, WireError
from supervisor.netns import socket_of
from units.health import Check, Exec, Http, Tcp
from units.unit import ContainerId

KEPT = 4096
"""Bytes of an answer that are kept to be shown."""
EXECS = 2
"""Commands in flight at once: each costs the engine about 70 ms of CPU, and more of them only wait for each other."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found out."""

    passed: bool
    output: str
    kind: str
    """``passed``, ``failed``, ``timeout``, or ``error``: it could not be asked, which says nothing of the container."""


def passed(output: str) -> Outcome:
    return Outcome(passed=True, output=output, kind="passed")


def failed(output: str, kind: str = "failed") -> Outcome:
    return Outcome(passed=False, output=output[:KEPT], kind=kind)


class Probes:
    """Carries out checks of containers of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._execs = asyncio.Semaphore(EXECS)
        self._hanging: dict[tuple[ContainerId, str], ExecId] = {}

    async def ask(self, check: Check, container: ContainerId, where: Whereabouts) -> Outcome:
        match check.probe:
            case Exec() as probe:
                return await self._run(check, probe, container)
            case Tcp() | Http() as probe:
                return await self._connect(check, probe, container, where)
            case _:
                assert_never(check.probe)

    async def _connect(self, check: Check, probe: Tcp | Http, container: ContainerId, where: Whereabouts) -> Outcome:
        host = f"{probe.host or 'its'} port {probe.port}"
        try:
            async with asyncio.timeout(check.timeout):
                reached = await self._reach(probe, container, where)
                if isinstance(probe, Tcp):
                    reached.close()
                    return passed(f"{host} accepts")
                return await self._get(probe, reached)
        except TimeoutError:
            return failed(f"{host}: no answer within {check.timeout:g} s", "timeout")
        except (OSError, ssl.SSLError, WireError) as error:
            return failed(f"{host}: {_why(error)}")

    async def _reach(self, probe: Tcp | Http, container: ContainerId, where: Whereabouts) -> socket.socket:
        """From within the container's own network where we may, else at its address; a named host from here."""
        if probe.host:
            return await self._dial(probe.host, probe.port)
        if where.host_network:
            return await self._dial("127.0.0.1", probe.port)
        try:
            made = socket_of(where.pid, container)
        except OSError:
            if not where.address:
                raise
            return await self._dial(where.address, probe.port)
        return await self._connected(made, ("127.0.0.1", probe.port))

    async def _dial(self, host: str, port: int) -> socket.socket:
        if (family := _numeric(host)) is None:  # Only a name is looked up: that takes a thread.
            (family, _, _, _, address), *_ = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            host = str(address[0])
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        return await self._connected(made, (host, port))

    async def _connected(self, made: socket.socket, address: object) -> socket.socket:
        try:
            await self._loop.sock_connect(made, address)  # type: ignore[arg-type]  # of whatever family it is
        except BaseException:
            made.close()
            raise
        return made

    async def _get(self, probe: Http, reached: socket.socket) -> Outcome:
        name = probe.host or "localhost"
        context = _context(verify=probe.verify) if probe.tls else None
        asking = _Asking(_request(probe, name), probe)
        try:
            await self._loop.create_connection(
                lambda: asking, sock=reached, ssl=context, server_hostname=name if probe.tls else None
            )
            return await asking.outcome
        except asyncio.CancelledError:
            if asking.status:  # The deadline came in the middle of a body; the status has said enough.
                return asking.told()
            raise
        finally:
            asking.close()
            reached.close()

    async def _run(self, check: Check, probe: Exec, container: ContainerId) -> Outcome:
        try:
            async with asyncio.timeout(check.interval + check.timeout), self._execs:
                return await self._execute(check, probe, container)
        except TimeoutError:
            return failed("its turn did not come: too many commands", "error")
        except EngineError as error:
            return failed(str(error), "error")

    async def _execute(self, check: Check, probe: Exec, container: ContainerId) -> Outcome:
        """An engine cannot end a command it has begun: one that hangs is left, and not asked for a second time."""
        key = (container, check.name)
        if (before := self._hanging.get(key)) is not None:
            if await self._engine.exec_exit(before) is None:
                return failed("the command of before still runs", "timeout")
            del self._hanging[key]
        begun = await self._engine.exec_create(container, probe.command)
        try:
            async with asyncio.timeout(check.timeout):
                output = await self._engine.exec_run(begun, KEPT)
        except TimeoutError:
            self._hanging[key] = begun
            return failed(f"did not end within {check.timeout:g} s", "timeout")
        code = await self._engine.exec_exit(begun)
        return passed(output) if code == 0 else failed(f"exit code {code}: {output}".rstrip(": "))


class _Asking(asyncio.Protocol):
    """One GET; its outcome is known when the head is, if that is good, and else when there is a body to show."""

    def __init__(self, request: bytes, probe: Http) -> None:
        self._request = request
        self._probe = probe
        self._transport: asyncio.Transport | None = None
        self._body = bytearray()
        self._response = Response(self._keep)
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def status(self) -> int:
        return self._response.status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._response.feed(data)
        except WireError as error:
            self._end(failed(f"not an answer: {error}"))
            return
        good = self.status and self._good()
        if good or self._response.done or len(self._body) >= KEPT:
            self._end(self.told())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.status:
            self._end(self.told())
        else:
            self._end(failed(f"the connection was cut: {exc}" if exc else "closed without an answer"))

    def told(self) -> Outcome:
        text = self._body.decode(errors="replace").strip()
        said = f"status {self.status}" + (f": {text}" if text else "")
        return passed(said) if self._good() else failed(said)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _good(self) -> bool:
        return any(low <= self.status <= high for low, high in self._probe.statuses)

    def _keep(self, part: bytes) -> None:
        self._body += part[: KEPT - len(self._body)]

    def _end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
        self.close()


def _numeric(host: str) -> socket.AddressFamily | None:
    """The family of an address; ``None`` for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family
    return None


def _why(error: Exception) -> str:
    """Event loops word the same refusal in their own ways; the system has one."""
    code = getattr(error, "errno", None)
    return os.strerror(code).lower() if isinstance(code, int) and not isinstance(error, ssl.SSLError) else str(error)


def _request(probe: Http, name: str) -> bytes:
    """Values were checked when they were read: one line each."""
    fields = {"Host": f"{name}:{probe.port}", "User-Agent": "dockwarden", "Accept": "*/*", "Connection": "close"}
    fields |= dict(probe.headers)
    head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    return f"GET {probe.path} HTTP/1.1\r\n{head}\r\n".encode()


@cache
def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
