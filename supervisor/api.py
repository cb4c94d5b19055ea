"""The library for programs: a typed client of a running supervisor.

>>> from supervisor.api import Dockwarden
>>> Dockwarden().unit("console").state
'ready'

Only the standard library. Fields that a newer supervisor adds are ignored.
"""

import asyncio
import json
import types
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from supervisor.engine.http1 import WireError
from supervisor.http.client import (
    Client,
    LineAnswer,
    RefusedError,
    UnreachableError,
    cut,
    no_answer,
    request,
    target,
)
from supervisor.http.control.story_types import (
    Check,
    Dropped,
    Event,
    OutputLine,
    Why,
)
from supervisor.http.control.types import (
    Asked,
    Console,
    ConsoleStatus,
    Enabled,
    EngineStatus,
    Status,
    StorageStatus,
    SupervisorStatus,
    Switched,
    SwitchLast,
    SwitchNow,
    SwitchStatus,
    Unit,
    UserDockerStatus,
    Version,
    Waited,
)
from supervisor.state import paths

__all__ = [
    "ApiAnswer",
    "Asked",
    "Check",
    "Console",
    "ConsoleStatus",
    "Dockwarden",
    "Dropped",
    "Enabled",
    "EngineStatus",
    "Event",
    "Gap",
    "NotReachedError",
    "OutputLine",
    "RefusedError",
    "Status",
    "StorageStatus",
    "SupervisorStatus",
    "SwitchLast",
    "SwitchNow",
    "SwitchStatus",
    "Switched",
    "Unit",
    "UnreachableError",
    "UserDockerStatus",
    "Version",
    "Waited",
    "Why",
]

Goal = Literal["ready", "running", "healthy", "completed", "stopped", "failed"]
T = TypeVar("T")


class NotReachedError(Exception):
    """A unit did not reach the awaited state; ``unit`` is its present state."""

    def __init__(self, waited: Waited, goal: str) -> None:
        super().__init__(f"{waited.unit.name} is not {goal}: it is {waited.unit.state}, {waited.unit.reason}")
        self.unit = waited.unit
        self.hopeless = waited.hopeless
        """It cannot reach it without intervention; else the wait timed out."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Records are missing here."""

    reason: str


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """One message of a stream of events."""

    id: str
    """Pass it to ``follow`` to continue after it."""
    what: Event | Dropped | Gap


class Dockwarden:
    """One supervisor. Every call may raise UnreachableError, and RefusedError with the supervisor's words.

    Without a run directory it is the one that ``DOCKWARDEN_RUN_DIR`` names, or /run/dockwarden.
    """

    def __init__(self, run_dir: str | Path | None = None) -> None:
        self._client = Client(Path(run_dir or paths.run_dir()))

    def status(self) -> Status:
        return read(Status, self._client.get("status"))

    def version(self) -> Version:
        return read(Version, self._client.get("version"))

    def units(self) -> tuple[Unit, ...]:
        return tuple(read(Unit, row) for row in self._client.get("units"))

    def unit(self, name: str) -> Unit:
        return read(Unit, self._client.get("units", name))

    def why(self, name: str) -> Why:
        return read(Why, self._client.get("units", name, "why"))

    def start(self, name: str, wait: float = 0) -> Asked:
        """``wait``: seconds, up to 3600, for the unit to be ready; 0 only asks."""
        return self._verb(name, "start", wait)

    def stop(self, name: str, wait: float = 0) -> Asked:
        return self._verb(name, "stop", wait)

    def restart(self, name: str, wait: float = 0) -> Asked:
        return self._verb(name, "restart", wait)

    def reset_failed(self, name: str, wait: float = 0) -> Asked:
        return self._verb(name, "reset-failed", wait)

    def wait(self, name: str, goal: Goal = "ready", timeout: float = 90) -> Unit:
        """Wait until it is reached; returns the unit. Raises NotReachedError when it cannot be, or not in time."""
        told = self._client.get("units", name, "wait", wait=timeout, **{"for": goal, "timeout": timeout})
        waited = read(Waited, told)
        if not waited.reached:
            raise NotReachedError(waited, goal)
        return waited.unit

    def switch(self, of: Literal["console", "storage", "engine"], name: str, wait: float = 900) -> Switched:
        return read(Switched, self._client.post("switch", of, name, wait=wait))

    def enable(self, of: Literal["console", "storage", "engine"], name: str) -> Enabled:
        return read(Enabled, self._client.post("enable", of, name))

    def logs(self, name: str, tail: int = 100, *, follow: bool = False) -> Iterator[OutputLine]:
        for line in self._client.stream("units", name, "logs", tail=tail, follow=int(follow)):
            yield read(OutputLine, line)

    def events(self, unit: str | None = None, tail: int | None = None) -> Iterator[Event]:
        """The records that are kept, oldest first."""
        for line in self._client.stream("events", unit=unit, tail=tail):
            yield read(Event, line)

    def follow(self, unit: str | None = None, seen: str = "") -> Generator[ApiAnswer, None, None]:
        """New records, until the supervisor ends. ``seen``: continue after this id; else from now on."""
        lines = self._client.lines(*_following(unit, seen))
        message: dict[str, str] = {}
        for line in lines:
            if (told := _told(message, line)) is not None:
                yield told

    async def afollow(self, unit: str | None = None, seen: str = "") -> AsyncGenerator[ApiAnswer, None]:
        """As ``follow``, for asyncio."""
        path = self._client.path
        try:
            try:
                reader, writer = await asyncio.open_unix_connection(str(path))
            except PermissionError:
                reader, writer = await asyncio.open_unix_connection(str(path.with_name(paths.READING_SOCKET)))
        except OSError as error:
            raise UnreachableError(no_answer(path, error)) from error
        message: dict[str, str] = {}
        answer = LineAnswer()
        try:
            writer.write(request("GET", *_following(unit, seen)))
            while not answer.done:
                for line in answer.take(await reader.read(65536)):
                    if (told := _told(message, line)) is not None:
                        yield told
        except (OSError, ValueError, WireError) as error:
            raise cut(path, error) from error
        finally:
            writer.close()

    def _verb(self, name: str, verb: str, wait: float) -> Asked:
        return read(Asked, self._client.post("units", name, verb, wait=wait))


def _following(unit: str | None, seen: str) -> tuple[str, str]:
    back = f"Last-Event-ID: {seen}\r\n" if seen else ""
    return target(("events",), {"unit": unit, "tail": 0}), f"Accept: text/event-stream\r\n{back}"


def _told(message: dict[str, str], line: bytes) -> ApiAnswer | None:
    """Ours end with their one line of data."""
    key, _, value = line.decode().partition(": ")
    message[key] = value
    if key != "data":
        return None
    kind = {"gap": Gap, "dropped": Dropped}.get(message.get("event", ""), Event)
    return ApiAnswer(message.get("id", ""), read(kind, json.loads(value)))


def read(kind: type[T], value: Any) -> T:
    """A JSON value as this type. Raises ValueError when it is none."""
    found: T = _read(kind, value)
    return found


def _read(kind: Any, value: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _read(parts[0], value)
    if is_dataclass(kind):
        return _record(kind, value)
    if origin in {Union, types.UnionType}:
        return _one_of(parts, value)
    if origin is tuple:
        return tuple(_read(parts[0], one) for one in value)
    if origin is dict:
        return {key: _read(parts[1], one) for key, one in value.items()}
    if origin is Literal or kind is Any:
        return value
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, not {value!r}")  # noqa: TRY004 - a wrong answer, not a wrong call
    return value


def _record(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"expected {kind.__name__}, not {value!r}")  # noqa: TRY004 - as above
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind) if field.name in value]
    try:
        return kind(**{name: _read(hints[name], value[name]) for name in names})
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    """The first that it is."""
    if value is None and types.NoneType in kinds:
        return None
    for kind in kinds:
        try:
            return _read(kind, value)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"expected one of {kinds}, not {value!r}")
