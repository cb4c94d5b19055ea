"""The only place that people and programs ask through: HTTP and JSON over a unix socket that is its owner's alone.

Whoever asks shares a thread with the supervision of the host, so nobody may hold it up: requests have no body worth
reading, answers are small, streams are bounded, and a client that neither asks nor reads is cut off.
"""

import asyncio
import errno
import json
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hooks.happenings import ALL as EVENTS
from hooks.runner import Hooks
from supervisor import sse
from supervisor.choices import Choices, StateError
from supervisor.engine import Engine, EngineError
from supervisor.http_server import BaseRequest, HttpServer, NoRouteError, Response, Route, StreamResponse, find
from supervisor.journal import KEPT, Journal
from supervisor.loop import Entry, Inbox
from supervisor.user_docker import UserDocker
from supervisor.version import VERSION
from units.events import ResetAsked, RestartAsked, StartAsked, StopAsked, SwitchAsked
from units.health import ENGINE, Health
from units.kernel import Answer, Reaction, World
from units.machine import Moment
from units.switching import contexts
from units.unit import CONSOLE, LASTING, USER_DOCKER, Phase, Switchable, Unit, UnitName

SOCKET = "control.sock"

CLIENTS = 256
"""Requests at a time; the next one is told to come back."""
IDLE = 10.0
"""Seconds a connection may exist without a whole request on it."""
STUCK = 10.0
"""Seconds a client may leave what we write unread."""
ANSWER = 10.0
"""Seconds within which the one loop takes a fact; more means that it is stuck."""
LONGEST_WAIT = 3600.0
MOST_LINES = 10_000

ASKS = {"start": StartAsked, "stop": StopAsked, "restart": RestartAsked, "reset-failed": ResetAsked}
BAD = frozenset({Phase.FAILED, Phase.CRASH_LOOP, Phase.IMAGE_MISSING})
DOWN = frozenset({Phase.INACTIVE, Phase.COMPLETED})


Taken = Mapping[str, str]
"""What the parts in braces of a route's path stand for."""


class ControlError(Exception):
    """The control socket cannot be opened; the text says why and what to do."""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The request is answered with an error."""

    def __init__(self, code: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.code = code
        self.hint = hint


@dataclass(slots=True)
class _Ask:
    """One request that waits: first for its answer, then perhaps for its unit to settle."""

    verb: str
    unit: UnitName
    answer: Answer | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)


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
        hooks: Hooks | None = None,
    ) -> None:
        self._checks = checks
        self._hooks = hooks
        self.path = run_dir / SOCKET
        self._inbox = inbox
        self._world = world
        self._status = status
        self._journal = journal
        self._engine = engine
        self._choices = choices
        self._user_docker = user_docker
        self._asks: dict[int, _Ask] = {}
        self._numbered = 0
        self._routes = self._table()
        self._busy: set[asyncio.Transport] = set()
        self._closing = asyncio.Event()
        self._server: HttpServer | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._inode = 0

    def observe(self, _entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        for answer in reaction.answers:
            if (ask := self._asks.get(answer.request)) is not None:
                ask.answer = answer
                ask.answered.set()
        for ask in self._asks.values():
            unit = reaction.world.units.get(ask.unit)
            if ask.answer is not None and unit is not None and settled(ask.verb, unit):
                ask.settled.set()

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
        for ask in self._asks.values():
            ask.answered.set()
            ask.settled.set()
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
            return _error(503, "the supervisor is ending", "see whether the host goes down")
        if len(self._busy) >= CLIENTS:
            return _error(503, f"{CLIENTS} requests are being served already", "try again, with fewer at a time")
        self._busy.add(transport)
        try:
            handler, taken = find(self._routes, request.method, request.rel_url.raw_path)
            return await handler(request, taken)
        except Refusal as refusal:
            return _error(refusal.code, str(refusal), refusal.hint)
        except NoRouteError as error:
            return _error(error.code, str(error), "docs/reference/control.md lists the paths")
        finally:
            self._busy.discard(transport)

    def _table(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/status", self._get_status),
            Route("GET", "/v1/units", self._get_units),
            Route("GET", "/v1/units/{name}", self._get_unit),
            Route("GET", "/v1/units/{name}/why", self._get_why),
            Route("GET", "/v1/units/{name}/logs", self._get_logs),
            Route("GET", "/v1/events", self._get_events),
            Route("GET", "/v1/version", self._get_version),
            Route("GET", "/v1/storage/{name}/check", self._get_check),
            Route("GET", "/v1/engines", self._get_engines),
            Route("GET", "/v1/hooks", self._get_hooks),
            Route("POST", "/v1/hooks/test/{event}", self._test_hooks),
            Route("POST", "/v1/units/{name}/{verb}", self._post),
            Route("POST", "/v1/switch/{of}/{name}", self._switch),
            Route("POST", "/v1/enable/{of}/{name}", self._enable),
        )

    def _unit(self, taken: Taken) -> Unit:
        return self._named(taken["name"])

    def _named(self, name: str) -> Unit:
        unit = self._world().units.get(UnitName(name))
        if unit is None:
            raise Refusal(404, f"there is no unit '{name[:80]}'", "GET /v1/units lists them")
        return unit

    def _row(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = next(row for row in self._status()["units"] if row["name"] == name)
        return row

    # What can be read.

    async def _get_status(self, _request: BaseRequest, _taken: Taken) -> Response:
        return _json(self._status())

    async def _get_units(self, _request: BaseRequest, _taken: Taken) -> Response:
        return _json(self._status()["units"])

    async def _get_unit(self, _request: BaseRequest, taken: Taken) -> Response:
        return _json(self._row(self._unit(taken).name))

    async def _get_why(self, _request: BaseRequest, taken: Taken) -> Response:
        unit = self._unit(taken)
        checks = [*self._checks(unit.name), *await self._engine_checks(unit)]
        return _json({**self._journal.why(self._world(), unit.name), "checks": checks})

    async def _engine_checks(self, unit: Unit) -> list[dict[str, Any]]:
        """What the container's own HEALTHCHECK said; nothing when the engine does not answer."""
        if self._engine is None or unit.container is None or ENGINE not in unit.reports:
            return []
        try:
            async with asyncio.timeout(ANSWER):
                said = await self._engine.health_log(unit.container)
        except (EngineError, TimeoutError):
            return []
        return [
            {
                "check": "HEALTHCHECK",
                "outcome": "failed" if one.exit_code else "passed",
                "output": one.output,
                "time": one.at,
            }
            for one in said
        ]

    async def _get_version(self, _request: BaseRequest, _taken: Taken) -> Response:
        return _json({"version": VERSION, "api": "v1", "pid": os.getpid()})

    async def _get_events(self, request: BaseRequest, _taken: Taken) -> StreamResponse:
        """What is kept and, with ``follow``, what comes."""
        follow, after, tail = _flag(request, "follow"), _number(request, "after", 0), _number(request, "tail", KEPT)
        unit = self._named(name).name if (name := request.query.get("unit")) else None
        if sse.wanted(request):
            seen = sse.last_seen(request) or (str(after) if "after" in request.query else "")
            return await sse.stream(request, sse.records(self._journal, seen, unit=unit, tail=tail))
        with self._journal.subscribe() as coming:
            kept = self._journal.records(unit, after)
            stream = await _open(request)
            for record in kept[max(len(kept) - tail, 0) :]:
                await _write(request, stream, record.as_dict())
            if follow:
                async for item in coming:
                    if unit is None or getattr(item, "unit", unit) == unit:
                        await _write(request, stream, item.as_dict())
            return stream

    async def _get_logs(self, request: BaseRequest, taken: Taken) -> StreamResponse:
        """What the unit's container wrote, line by line."""
        unit = self._unit(taken)
        tail, follow = min(_number(request, "tail", 100), MOST_LINES), _flag(request, "follow")
        if self._engine is None:
            raise Refusal(503, "there is no engine to ask", "wait until the engine is up")
        if unit.name == USER_DOCKER and self._user_docker is not None:
            stream = await _open(request)
            for text in self._user_docker.tail(tail):
                await _write(request, stream, {"stream": "stderr", "text": text})
            return stream
        if unit.container is None:
            raise Refusal(409, f"{unit.name} has no container: {unit.reason}", f"see 'dockwarden why {unit.name}'")
        lines = self._engine.logs(unit.container, tail=tail, follow=follow)
        opened: StreamResponse | None = None
        try:
            async for line in lines:
                opened = opened or await _open(request)
                await _write(request, opened, {"stream": line.stream, "text": line.text})
        except EngineError as error:
            if opened is None:
                raise Refusal(503, f"the engine gives no output of {unit.name}: {error}", "try again") from error
            await _write(request, opened, {"error": str(error)})
        finally:
            await _end(lines)
        return opened or await _open(request)

    async def _get_hooks(self, _request: BaseRequest, _taken: Taken) -> Response:
        return _json([] if self._hooks is None else self._hooks.listed())

    async def _test_hooks(self, request: BaseRequest, taken: Taken) -> Response:
        """Answered when the last of them has ended, or was ended."""
        try:
            told = [] if self._hooks is None else await self._hooks.test(taken["event"], request.query.get("unit", ""))
        except KeyError:
            raise Refusal(
                404, f"there is no event '{taken['event'][:80]}'", f"there are: {', '.join(EVENTS)}"
            ) from None
        return _json(told)

    # What can be asked for.

    async def _post(self, request: BaseRequest, taken: Taken) -> Response:
        verb, wait = taken["verb"], _seconds(request, "wait")
        if verb not in ASKS:
            raise Refusal(404, f"units cannot be asked to '{verb[:80]}'", f"verbs: {', '.join(ASKS)}")
        unit = self._unit(taken)
        self._numbered += 1
        number, ask = self._numbered, _Ask(verb, unit.name)
        self._asks[number] = ask
        try:
            self._inbox.put(ASKS[verb](unit.name, number))
            answer = await self._answer(ask)
            world = self._world()
            unit = world.units[unit.name]
            if not answer.accepted and (world.draining or not fulfilled(verb, unit)):
                raise Refusal(409, answer.text, f"see 'dockwarden why {unit.name}'")
            if wait and not settled(verb, unit):
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await ask.settled.wait()
            return self._outcome(ask, answer, waited=bool(wait))
        finally:
            del self._asks[number]

    async def _switch(self, request: BaseRequest, taken: Taken) -> Response:
        """Answered at the end of the switch, or after ``wait`` seconds; it goes on then."""
        of, name = _switchable(taken)
        force, anew, wait = _flag(request, "force"), _flag(request, "anew"), _seconds(request, "wait")
        self._numbered += 1
        number, ask = self._numbered, _Ask("switch", CONSOLE)
        self._asks[number] = ask
        try:
            self._inbox.put(SwitchAsked(of, name, number, force, anew))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 1.0)):
                    await ask.answered.wait()
        finally:
            del self._asks[number]
        answer, status = ask.answer, self._status()["switch"]
        if answer is None:
            return _json({"done": False, "answer": "the switch is under way", "switch": status["now"]}, 202)
        if not answer.accepted:
            raise Refusal(409, answer.text, f"see 'dockwarden why {_about(of)}'")
        return _json({"done": True, "answer": answer.text, "switch": status["last"]})

    async def _enable(self, _request: BaseRequest, taken: Taken) -> Response:
        """What the next boot begins with; nothing is switched now."""
        of, name = _switchable(taken)
        known = self._known(of)
        if name not in known and known:
            raise Refusal(404, f"there is no {of} '{name[:80]}'", f"there are: {', '.join(known)}")
        if self._choices is None:
            raise Refusal(503, "choices cannot be kept", "see the log")
        try:
            await self._choices.choose(of, name)
        except StateError as error:
            raise Refusal(503, f"the choice was not written: {error}", "free the state directory") from error
        return _json({"answer": f"the {of} of the next boot is {name or 'own'}"})

    def _known(self, of: Switchable) -> list[str]:
        match of:
            case Switchable.CONSOLE:
                return sorted(self._world().consoles)
            case Switchable.STORAGE:
                return list(map(str, contexts(self._world().units)))
            case Switchable.ENGINE:
                return []  # Only a context that runs knows.

    async def _get_check(self, _request: BaseRequest, taken: Taken) -> Response:
        unit = self._unit(taken)
        if self._user_docker is None:
            raise Refusal(409, "there is no user Docker", "configure rancher.docker")
        if unit.container is None:
            return _json({"context": unit.name, "fits": False, "problems": [f"{unit.name} has no container"]})
        try:
            problems = await self._user_docker.check(unit.container)
        except EngineError as error:
            raise Refusal(503, str(error), "try again") from error
        return _json({"context": unit.name, "fits": not problems, "problems": list(problems)})

    async def _get_engines(self, _request: BaseRequest, _taken: Taken) -> Response:
        unit = self._world().units.get(USER_DOCKER)
        if self._user_docker is None or unit is None:
            raise Refusal(409, "there is no user Docker", "configure rancher.docker")
        context = self._world().units.get(unit.spec.context) if unit.spec.context else None
        found: list[dict[str, str]] = []
        if context is not None and context.container is not None:
            try:
                found = await self._user_docker.engines(context.container)
            except EngineError as error:
                raise Refusal(503, str(error), "try again") from error
        engines = [{**one, "name": one["name"] or OWN_ENGINE} for one in found]
        report = self._user_docker.report
        return _json(
            {
                "current": unit.spec.engine or OWN_ENGINE,
                "version": report.version or None,
                "binary": report.binary or None,
                "engines": engines,
            }
        )

    async def _answer(self, ask: _Ask) -> Answer:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER):
                await ask.answered.wait()
        if ask.answer is None:
            why = "ends" if self._closing.is_set() else f"did not take the request within {ANSWER:g} s"
            raise Refusal(503, f"the supervisor {why}", "see its log")
        return ask.answer

    def _outcome(self, ask: _Ask, answer: Answer, *, waited: bool) -> Response:
        unit = self._world().units[ask.unit]
        is_settled = settled(ask.verb, unit)
        good = succeeded(ask.verb, unit) if is_settled or waited else True
        return _json(
            {
                "unit": self._row(ask.unit),
                "verb": ask.verb,
                "accepted": answer.accepted,
                "settled": is_settled,
                "ok": good,
                "answer": answer.text,
            }
        )


OWN_ENGINE = "own"
"""How the engine that the context brings is called; it has no name."""


def _switchable(taken: Taken) -> tuple[Switchable, str]:
    if taken["of"] not in set(Switchable):
        raise Refusal(404, f"'{taken['of'][:80]}' cannot be switched", f"what can: {', '.join(Switchable)}")
    of = Switchable(taken["of"])
    return of, "" if of is Switchable.ENGINE and taken["name"] == OWN_ENGINE else taken["name"]


def _about(of: Switchable) -> UnitName:
    return CONSOLE if of is Switchable.CONSOLE else USER_DOCKER


def up(unit: Unit) -> bool:
    """Its process runs, as well as it can be known."""
    if unit.phase is Phase.READY:
        return True
    return unit.phase is Phase.RUNNING and unit.spec.kind in LASTING and unit.health is Health.NONE


def settled(verb: str, unit: Unit) -> bool:
    """What was asked has come true, or will not by itself."""
    match verb:
        case "stop":
            return not unit.busy and unit.phase is not Phase.EXITED and not unit.wanted
        case _:
            return up(unit) or unit.phase in DOWN or unit.phase in BAD


def succeeded(verb: str, unit: Unit) -> bool:
    """A settled unit stands where the verb wanted it."""
    match verb:
        case "stop":
            return settled(verb, unit) and unit.phase is not Phase.FAILED
        case "reset-failed":
            return up(unit) or unit.phase in DOWN
        case _:
            return up(unit) or unit.phase is Phase.COMPLETED


def fulfilled(verb: str, unit: Unit) -> bool:
    """Nothing was done, and nothing needs to be: it is so already, or on its way."""
    match verb:
        case "start":
            return unit.phase in {Phase.STARTING, Phase.RUNNING, Phase.READY, Phase.COMPLETED}
        case "restart":
            return unit.phase is Phase.STARTING
        case "stop":
            return unit.phase is Phase.INACTIVE
        case _:
            return True


def _json(value: Any, code: int = 200) -> Response:
    return Response(
        body=json.dumps(value, separators=(",", ":")).encode() + b"\n", status=code, content_type="application/json"
    )


def _error(code: int, error: str, hint: str) -> Response:
    return _json({"error": error, "hint": hint}, code)


def _flag(request: BaseRequest, key: str) -> bool:
    value = request.query.get(key, "0")
    if value not in {"", "0", "1", "true", "false"}:
        raise Refusal(400, f"{key}: expected 0 or 1", f"{key}=1 turns it on")
    return value in {"", "1", "true"}


def _number(request: BaseRequest, key: str, default: int) -> int:
    value = request.query.get(key, str(default))
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise Refusal(400, f"{key}: expected a whole number", f"such as {key}={default or 10}")
    return int(value)


def _seconds(request: BaseRequest, key: str) -> float:
    try:
        value = float(request.query.get(key, "0"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_WAIT:
        raise Refusal(400, f"{key}: expected 0 to {LONGEST_WAIT:g} seconds", f"such as {key}=30")
    return value


async def _open(request: BaseRequest) -> StreamResponse:
    """A stream of JSON lines. It ends its connection, so that a cut one cannot be taken for a whole one."""
    stream = StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await stream.prepare(request)
    return stream


async def _write(request: BaseRequest, stream: StreamResponse, value: dict[str, Any]) -> None:
    """Waits for a slow reader a while, then cuts it off."""
    try:
        async with asyncio.timeout(STUCK):
            await stream.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read") from None


async def _end(lines: AsyncIterator[Any]) -> None:
    if isinstance(lines, AsyncGenerator):
        await lines.aclose()


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
