"""Runs one health probe of a container: TCP, HTTP, or a command in it. Never raises; always bounded in time."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from functools import cache
from typing import assert_never, cast

from supervisor.engine.http1 import Response, WireError
from supervisor.engine.port import ContainerAddress, ContainerCommands, EngineError, ExecId
from supervisor.os_errors import reason
from supervisor.runtime.netns import socket_of
from supervisor.runtime.turns import Turns
from units.health import Check, Exec, Http, Tcp
from units.records import dataclass, replace
from units.spec import ContainerId
from units.unit import Failure

KEPT = 4096
"""Bytes of an answer that are kept."""
REMEMBERED = 1000
"""Commands that hang."""
NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM, errno.EACCES})
"""Answers of our own host's network, not of the container."""
CONNECTED = frozenset({0, errno.EISCONN})
UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN})
NOT_IN_A_DRY_RUN = "not run: a command may change something in its container (dry run)"
EXECS = 2
"""Commands begun at once: each costs the engine about 70 ms of CPU, and more of them only wait for each other."""
LONGEST_WAIT = 60.0
"""Seconds that a check waits for its turn; then it cannot be asked, which is told."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of a probe."""

    passed: bool
    output: str
    kind: str
    """``passed``, ``failed``, ``timeout``, or ``error``: not run, which says nothing about the container."""
    reached: bool = True
    """Whether the container was reached; otherwise its address may have changed."""
    no_way: bool = False
    """There is no way from here to where it was looked for: if it was never reached, that says nothing about it."""


def passed(output: str) -> ProbeResult:
    return ProbeResult(passed=True, output=output, kind="passed")


def failed(output: str, kind: str = "failed") -> ProbeResult:
    return ProbeResult(passed=False, output=output[:KEPT], kind=kind)


class Probes:
    """Carries out checks. ``commands``: runs them in containers; ``None``: none is run (dry run)."""

    def __init__(self, commands: ContainerCommands | None) -> None:
        self._commands = commands
        self._loop = asyncio.get_running_loop()
        self._turns = Turns(EXECS)
        self._hanging: dict[tuple[ContainerId, str], ExecId] = {}

    async def ask(self, check: Check, container: ContainerId, where: ContainerAddress) -> ProbeResult:
        try:
            match check.probe:
                case Exec() as probe:
                    return await self._run(check, probe, container)
                case Tcp() | Http() as probe:
                    return await self._connect(check, probe, container, where)
                case _:
                    assert_never(check.probe)
        except Exception as error:  # noqa: BLE001 - a question that cannot be put is no answer, and no end of ours
            return failed(f"{type(error).__name__}: {error}", "error")

    async def _connect(
        self, check: Check, probe: Tcp | Http, container: ContainerId, where: ContainerAddress
    ) -> ProbeResult:
        host = f"{probe.host or 'its'} port {probe.port}"
        asking = _HttpExchange(_request(probe), probe) if isinstance(probe, Http) else None
        reached: socket.socket | None = None
        try:
            async with asyncio.timeout(check.timeout):
                reached = await self._reach(probe, container, where)
                return passed(f"{host} accepts") if asking is None else await self._get(asking, reached)
        except TimeoutError:
            if asking is not None and asking.status:  # Timed out within the body; the status is known.
                return asking.told()
            told = failed(f"{host}: no answer within {check.timeout:g} s", "timeout")
        except NoWayError as error:
            told = failed(f"{host}: {error}", "error")
        except (OSError, ssl.SSLError, WireError) as error:
            told = replace(failed(f"{host}: {reason(error)}"), no_way=getattr(error, "errno", None) in NO_WAY)
        finally:
            if asking is not None:
                asking.close()
            if reached is not None:
                reached.close()
        return replace(told, reached=reached is not None)

    async def _reach(self, probe: Tcp | Http, container: ContainerId, where: ContainerAddress) -> socket.socket:
        """Connect from within the container's network if permitted, else to its address; to a named host from here.

        Raises OSError when it refuses, NoWayError when it cannot be reached.
        """
        if probe.host:
            return await self._dial(probe.host, probe.port)
        if where.host_network and not where.elsewhere:
            return await self._dial("127.0.0.1", probe.port)
        try:
            made = socket_of(where, container)
        except OSError as error:
            if where.elsewhere or not where.address:
                lacks = "its engine is rootless" if where.elsewhere else "it has no address"
                raise NoWayError(f"{lacks}, and its network namespace cannot be entered ({reason(error)})") from error
            return await self._dial(where.address, probe.port)
        return await self._connected(made, ("127.0.0.1", probe.port))

    async def _dial(self, host: str, port: int) -> socket.socket:
        if (family := _numeric(host)) is not None:  # Only a name is looked up: that takes a thread.
            return await self._connected(_socket(family), (host, port))
        refusal: OSError | None = None
        for found in await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                return await self._connected(_socket(found[0]), (str(found[4][0]), port))
            except OSError as error:
                refusal = refusal or error
        raise refusal or OSError(f"{host} has no address")

    async def _connected(self, made: socket.socket, address: tuple[str, int]) -> socket.socket:
        try:
            if _answered(made, address):  # A local connect is done by the second call; only others are waited for.
                return made
            await self._loop.sock_connect(made, address)
        except BaseException:
            made.close()
            raise
        return made

    async def _get(self, asking: "_HttpExchange", reached: socket.socket) -> ProbeResult:
        probe = asking.probe
        context = _context(verify=probe.verify) if probe.tls else None
        name = (probe.host or "localhost") if probe.tls else None
        await self._loop.create_connection(lambda: asking, sock=reached, ssl=context, server_hostname=name)
        return await asking.outcome

    async def _run(self, check: Check, probe: Exec, container: ContainerId) -> ProbeResult:
        """The limit applies to waiting for a turn: a command has a deadline of its own."""
        if self._commands is None:
            return failed(NOT_IN_A_DRY_RUN, "error")
        try:
            async with asyncio.timeout(min(check.interval + check.timeout, LONGEST_WAIT)):
                turn = await self._turns.take(container)
        except TimeoutError:
            return failed("not run: too many checks run commands at the same time", "error")
        try:
            return await self._execute(self._commands, check, probe, container)
        except EngineError as error:
            return failed(str(error), "error")
        finally:
            turn.give_back()

    async def _execute(
        self, commands: ContainerCommands, check: Check, probe: Exec, container: ContainerId
    ) -> ProbeResult:
        """An engine cannot kill a command: one that hangs is left alone, and not started a second time."""
        key = (container, check.name)
        if (before := self._hanging.get(key)) is not None and await self._still_runs(commands, before):
            return failed("the previous command is still running", "timeout")
        self._hanging.pop(key, None)
        begun = await commands.exec_create(container, probe.command)
        try:
            async with asyncio.timeout(check.timeout):
                output = await commands.exec_run(begun, KEPT)
        except TimeoutError:
            self._hanging[key] = begun
            if len(self._hanging) > REMEMBERED:  # For example, of removed containers.
                del self._hanging[next(iter(self._hanging))]
            return failed(f"did not end within {check.timeout:g} s", "timeout")
        code = await commands.exec_exit(begun)
        return passed(output) if code == 0 else failed(f"exit code {code}: {output}".rstrip(": "))

    async def _still_runs(self, commands: ContainerCommands, exec_id: ExecId) -> bool:
        """Whether the command still runs; a restarted engine has forgotten it, which counts as ended."""
        try:
            return await commands.exec_exit(exec_id) is None
        except EngineError as error:
            if error.failure is Failure.NOT_FOUND:
                return False
            raise


class NoWayError(Exception):
    """It cannot be reached from here, healthy or not."""


class _HttpExchange(asyncio.Protocol):
    """One GET. A good status ends it with the head; otherwise the body is read for the message."""

    def __init__(self, request: bytes, probe: Http) -> None:
        self._request = request
        self.probe = probe
        self._transport: asyncio.Transport | None = None
        self._body = bytearray()
        self._response = Response(self._keep)
        self.outcome: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()

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
            # The status is known, whatever follows.
            self._end(self.told() if self.status else failed(f"not valid HTTP: {error}"))
            return
        good = self.status and self._good()
        if good or self._response.done or len(self._body) >= KEPT:
            self._end(self.told())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.status:
            self._end(self.told())
        else:
            self._end(failed(f"the connection was cut: {exc}" if exc else "connection closed without an answer"))

    def told(self) -> ProbeResult:
        text = self._body.decode(errors="replace").strip()
        said = f"status {self.status}"
        if self._good():
            return passed(said)  # Without the body, which nobody needs and everybody could read.
        return failed(said + (f": {text}" if text else ""))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _good(self) -> bool:
        return any(low <= self.status <= high for low, high in self.probe.statuses)

    def _keep(self, part: bytes) -> None:
        self._body += part[: KEPT - len(self._body)]

    def _end(self, outcome: ProbeResult) -> None:
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


def _answered(made: socket.socket, address: tuple[str, int]) -> bool:
    """Start to connect; True if connected at once. Raises OSError for a refusal."""
    code = made.connect_ex(address) and made.connect_ex(address)
    if code in CONNECTED:
        return True
    if code not in UNDER_WAY:
        raise OSError(code, os.strerror(code))
    return False


def _socket(family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)


def _request(probe: Http) -> bytes:
    """Values were checked when they were read: one line each."""
    fields = {
        "Host": f"{probe.host or 'localhost'}:{probe.port}",
        "User-Agent": "dockwarden",
        "Accept": "*/*",
        "Connection": "close",
    }
    given = {key.title(): value for key, value in probe.headers}
    fields = {key: value for key, value in fields.items() if key.title() not in given} | given
    head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    return f"GET {probe.path} HTTP/1.1\r\n{head}\r\n".encode()


@cache
def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
