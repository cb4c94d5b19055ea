"""The port to a container engine: what we ask of it, and how it may fail. Knows no engine by name."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NewType, NoReturn, Protocol

from units.events import EngineFact, Observed
from units.quantities import Seconds
from units.records import dataclass
from units.spec import ContainerId, Place, UnitName
from units.tables.storage import ContextFacts
from units.unit import Failure


class EngineError(Exception):
    """An order failed. ``failure`` says what that means, the text what the engine said."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of the event stream, decoded."""

    fact: EngineFact | None
    """``None``: it says nothing about a unit of ours."""
    kind: str
    """A closed set for the metrics: the fact's action, or ``other``."""
    at: int
    """The engine's own stamp, nanoseconds since 1970."""
    key: str
    """Tells it apart from another message of the same nanosecond."""
    doubt: str = ""
    """Why a snapshot should say more; empty: it need not."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str
    api: str
    """Highest API version it serves."""
    api_min: str


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line that a container wrote."""

    stream: str
    """``stdout`` or ``stderr``."""
    text: str
    at: int = 0
    """The engine's own stamp, nanoseconds since 1970; 0: it was not asked for."""


@dataclass(frozen=True, slots=True)
class Replica:
    """All that is needed to make a container of somebody else's anew."""

    name: str
    body: str
    """Of the create call, as JSON text."""
    networks: tuple[tuple[str, str], ...]
    """Further networks, and each one's endpoint as JSON text: an older engine takes only one at the create."""
    running: bool
    fleeting: bool = False
    """It removes itself when it ends."""
    dialect: str = ""
    """Which version of the engine's language the body is in; empty: the one that we always speak."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One answer of a HEALTHCHECK."""

    at: str
    """When it ended, as the engine writes times."""
    exit_code: int
    output: str


ExecId = NewType("ExecId", str)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a container can be reached."""

    pid: int
    """Of its first process, as the engine counts; 0 when it does not run."""
    address: str
    """Empty: it has none of its own."""
    host_network: bool


HandOver = Callable[[Callable[[Heard], None]], Awaitable[NoReturn]]
"""Tells a stream's messages, one by one, until it is cut: an EngineError."""


class Engine(Protocol):
    """All calls have a deadline of their own and raise EngineError; only a stream's next item may take for ever."""

    @property
    def url(self) -> str: ...

    async def info(self) -> EngineInfo: ...

    def events(self, since_ns: int | None) -> AbstractAsyncContextManager[HandOver]:
        """What the stream says from its opening on, or replayed from ``since_ns`` (inclusive): open when entered.

        A message is handed over in the moment its bytes arrive, and whoever takes it must not wait: a slow reader would
        slow the whole engine.
        """
        ...

    async def snapshot(self, *, thorough: bool) -> tuple[Observed, ...]:
        """Every container with LABEL_UNIT. ``thorough`` also inspects each (run time, OOM, declared health check)."""
        ...

    async def pull(self, image: str) -> None: ...

    async def create(self, name: str, body: str, dialect: str = "") -> ContainerId:
        """``dialect``: of a Replica. Raises IMAGE_MISSING, NAME_TAKEN, UNRECOVERABLE."""
        ...

    async def has_image(self, image: str) -> bool: ...

    async def context(self, container: ContainerId) -> ContextFacts:
        """What a container is like as a storage context; its file system is not looked at. Raises NOT_FOUND."""
        ...

    async def look(self, container: ContainerId) -> Observed:
        """One container as a thorough snapshot shows it. Raises NOT_FOUND, also for one that is not ours."""
        ...

    async def owner(self, name: str) -> UnitName | None:
        """The unit whose label the container of this name carries; ``None`` when it is foreign. Raises NOT_FOUND."""
        ...

    def start(self, container: ContainerId) -> Coroutine[Any, Any, None]:
        """The order leaves within this call, as far as it can; await what is returned to learn how it went.

        Raises CONFLICT when it runs already, NOT_FOUND, UNRECOVERABLE (no such command, bad mount).
        """
        ...

    async def signal(self, container: ContainerId, signal: str) -> None:
        """Raises NOT_RUNNING, NOT_FOUND."""
        ...

    async def restart(self, container: ContainerId, grace: Seconds | None) -> None:
        """Its stop signal, SIGKILL after ``grace``, and a start: one call, which the engine ends also without us.

        ``None``: the container's own stop timeout. Starts one that does not run. Raises as ``start`` does.
        """
        ...

    async def stop(self, container: ContainerId, grace: Seconds | None) -> None:
        """Its stop signal, SIGKILL after ``grace``, and wait for the end. Also when it does not run.

        ``None``: the container's own stop timeout.
        """
        ...

    async def replica(self, container: ContainerId, joins: Mapping[ContainerId, ContainerId]) -> Replica:
        """What makes it anew, with all of its configuration, and ``joins`` in place of what it refers to.

        Raises NOT_FOUND.
        """
        ...

    async def connect(self, network: str, container: ContainerId, endpoint: str) -> None:
        """``endpoint``: its settings in that network, as JSON text."""
        ...

    async def health_log(self, container: ContainerId) -> tuple[CheckLine, ...]:
        """What the container's own HEALTHCHECK said last, oldest first: engines keep five. Raises NOT_FOUND."""
        ...

    async def whereabouts(self, container: ContainerId) -> Whereabouts:
        """Where a running container can be reached. Raises NOT_FOUND."""
        ...

    async def exec_create(self, container: ContainerId, command: tuple[str, ...]) -> ExecId:
        """Prepare a command in a running container. Raises NOT_FOUND, NOT_RUNNING."""
        ...

    async def exec_run(self, exec_id: ExecId, limit: int) -> str:
        """Run it, and wait for its end: the first ``limit`` bytes of what it said. Given up, it goes on running."""
        ...

    async def exec_exit(self, exec_id: ExecId) -> int | None:
        """Its exit code; ``None`` while it runs."""
        ...

    async def holder(self, name: str) -> ContainerId | None:
        """The container that bears this name; ``None`` when none does."""
        ...

    async def rename(self, container: ContainerId, name: str) -> None: ...

    async def remove(self, container: ContainerId) -> None:
        """Also a running one; its volumes stay."""
        ...

    def logs(
        self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
    ) -> AsyncIterator[OutputLine]:
        """What it wrote: the last ``tail`` lines, or all. With ``follow`` until its run is over.

        ``since``: only lines of this moment and after it, nanoseconds since 1970, and each with its stamp.
        """
        ...

    async def load(self, path: str) -> list[str]:
        """Load an image archive (``docker save`` format, any compression); the names it brought."""
        ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class Report:
    """What ``status`` shows beside the unit."""

    version: str = ""
    binary: str = ""
    output: tuple[str, ...] = ()
    """The last lines of the run that ended last."""
    exit_code: int | None = None
    trouble: str = ""
    """Why it does not serve, as the last look found it."""


class UserEngine(Protocol):
    """The port to user Docker's process. What it does is told as facts of the unit ``user-docker``."""

    @property
    def report(self) -> Report: ...

    async def engines(self, container: ContainerId) -> list[dict[str, str]]:
        """The engines that there are in a context, by name. Raises EngineError."""
        ...

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines that it logged."""
        ...

    def prepare(self, body: str, config_hash: str) -> None:
        """Take over a definition. Raises EngineError when no command line can be made of it."""
        ...

    async def start(self, place: Place, cause: str) -> None:
        """Raises EngineError; nothing runs then."""
        ...

    def signal(self, name: str) -> None:
        """Raises NOT_RUNNING."""
        ...

    async def observed(self) -> tuple[Observed, ...]:
        """The process as a snapshot shows it; one that an earlier supervisor started is found again."""
        ...

    async def check(self, container: ContainerId) -> tuple[str, ...]:
        """What keeps a container from being the storage context, in words. Raises EngineError."""
        ...

    async def check_engine(self, container: ContainerId, name: str) -> tuple[str, ...]:
        """What keeps a named engine from being run in this context, in words. Raises EngineError."""
        ...

    def close(self) -> None:
        """Stop watching. The process goes on."""
        ...
