"""The port to a container engine: its calls, and how they may fail. Independent of any engine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NewType, NoReturn, Protocol

from units.events import EngineFact, Observed
from units.quantities import Seconds
from units.records import dataclass
from units.spec import ContainerId, Place, UnitName
from units.tables.storage import ContextFacts
from units.unit import Failure


class EngineError(Exception):
    """A call failed. ``failure`` classifies it, the text is the engine's message."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class BarredError(EngineError):
    """Somebody between us and the engine refused the call: asking again does not help."""


class StaleEndpointError(EngineError):
    """A start failed: in a network the engine still has an endpoint of this container's name, of a run that is over."""

    def __init__(self, message: str, network: str, name: str) -> None:
        super().__init__(Failure.OTHER, message)
        self.network = network
        self.name = name


@dataclass(frozen=True, slots=True)
class EngineMessage:
    """One message of the event stream, decoded."""

    fact: EngineFact | None
    """``None``: it says nothing about a unit of ours."""
    kind: str
    """A closed set for the metrics: the fact's action, or ``other``."""
    at: int
    """The engine's own stamp, nanoseconds since 1970."""
    key: str
    """Distinguishes messages of the same nanosecond."""
    doubt: str = ""
    """Why a snapshot should say more; empty: it need not."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    version: str
    api: str
    """Highest API version it serves."""
    api_min: str
    podman: bool = False
    """It is Podman, which speaks Docker's API in its own way."""


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line that a container wrote."""

    stream: str
    """``stdout`` or ``stderr``."""
    text: str
    at: int = 0
    """The engine's own stamp, nanoseconds since 1970; 0: it was not asked for."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a container of ours is made of: its definition, and those whose volumes it goes on with."""

    name: str
    body: str
    """Of the create call, as JSON text."""
    predecessor: ContainerId | None = None
    takers: tuple[ContainerId, ...] = ()
    """Those who took volumes from the predecessor: asked where that is gone; whose volumes count comes first."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Anonymous volumes that the predecessor had, by place: for where that is gone."""


@dataclass(frozen=True, slots=True)
class Replica:
    """All that is needed to make a container, or to make one anew."""

    name: str
    body: str
    """Of the create call, as JSON text."""
    networks: tuple[tuple[str, str], ...] = ()
    """Further networks, and each one's endpoint as JSON text: an older engine takes only one at the create."""
    running: bool = False
    """Of the one that it is made from."""
    fleeting: bool = False
    """It removes itself when it ends."""
    dialect: str = ""
    """The API version of the body; empty: as low as serves what it asks for."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One answer of a HEALTHCHECK."""

    at: str
    """When it ended, as the engine writes times."""
    exit_code: int
    output: str


ExecId = NewType("ExecId", str)


@dataclass(frozen=True, slots=True)
class ContainerAddress:
    """Where a container can be reached."""

    pid: int
    """Of its first process, as the engine counts; 0 when it does not run."""
    address: str
    """Empty: it has none of its own."""
    host_network: bool
    started: float = 0.0
    """When that process was started, seconds since 1970; 0: unknown."""
    sandbox: str = ""
    """File that stands for its network namespace, as the engine names it."""
    elsewhere: bool = False
    """The engine's networks are not this host's: its addresses, and its host network, mean others here (rootless)."""


HandOver = Callable[[Callable[[EngineMessage], None]], Awaitable[NoReturn]]
"""Iterates over a stream's messages until it is cut, which is an EngineError."""


Doubtful = Callable[[tuple[Observed, ...]], tuple[Observed, ...]]
"""Which containers must be inspected, by all that were listed: also some that were not, as they are believed to be."""


def nothing(_listed: tuple[Observed, ...]) -> tuple[Observed, ...]:
    """The list is taken as it is, as hints."""
    return ()


class EngineView(Protocol):
    """What can be asked of an engine without changing anything.

    All calls have a deadline of their own and raise EngineError; only a stream's next item may take for ever.
    """

    @property
    def url(self) -> str: ...

    async def info(self) -> EngineInfo:
        """Asked at the beginning of each connection: later calls speak what this engine serves."""
        ...

    def events(self, since_ns: int | None) -> AbstractAsyncContextManager[HandOver]:
        """The messages from the stream's opening on, or replayed from ``since_ns`` (inclusive): open when entered.

        A message is handed over as soon as its bytes arrive, and the consumer must not block: a slow reader would slow
        the whole engine.
        """
        ...

    async def snapshot(self, *, thorough: bool, doubtful: Doubtful = nothing) -> tuple[Observed, ...]:
        """Every container with LABEL_UNIT: as it was listed, or inspected (run time, OOM, declared health check).

        ``thorough`` inspects each, else those that are ``doubtful`` as listed. One that does not answer for itself is
        reported as it was listed, with the reason; only the engine's own trouble is an EngineError.
        """
        ...

    async def has_image(self, image: str) -> bool: ...

    async def context(self, container: ContainerId) -> ContextFacts:
        """The facts of a container as a storage context, without those of its file system. Raises NOT_FOUND."""
        ...

    async def look(self, container: ContainerId) -> Observed:
        """One container as a thorough snapshot shows it. Raises NOT_FOUND, also for a foreign one."""
        ...

    async def owner(self, name: str) -> UnitName | None:
        """The unit whose label the container of this name carries; ``None`` when it is foreign. Raises NOT_FOUND."""
        ...

    async def health_log(self, container: ContainerId) -> tuple[CheckLine, ...]:
        """The last results of the container's own HEALTHCHECK, oldest first: engines keep five. Raises NOT_FOUND."""
        ...

    async def whereabouts(self, container: ContainerId) -> ContainerAddress:
        """Where a running container can be reached. Raises NOT_FOUND."""
        ...

    async def holder(self, name: str) -> ContainerId | None:
        """The container of this name, or ``None``."""
        ...

    def logs(
        self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
    ) -> AsyncIterator[OutputLine]:
        """Its output: the last ``tail`` lines, or all. With ``follow`` until its run ends.

        ``since``: only lines of this moment and after it, nanoseconds since 1970, and each with its stamp.
        """
        ...

    async def close(self) -> None: ...


class ContainerCommands(Protocol):
    """Commands that are run in a container: what they change there nobody knows."""

    async def exec_create(self, container: ContainerId, command: tuple[str, ...]) -> ExecId:
        """Prepare a command in a running container. Raises NOT_FOUND, NOT_RUNNING."""
        ...

    async def exec_run(self, exec_id: ExecId, limit: int) -> str:
        """Run it and wait for its end; returns the first ``limit`` bytes of output. Cancelled, the command runs on."""
        ...

    async def exec_exit(self, exec_id: ExecId) -> int | None:
        """Its exit code; ``None`` while it runs."""
        ...


class Engine(EngineView, ContainerCommands, Protocol):
    """All calls, also those that change something."""

    async def files(self, body: str, container: ContainerId | None, paths: Sequence[str]) -> frozenset[str]:
        """Which of these files are in this container, else would be in one of this definition; nothing is started."""
        ...

    async def pull(self, image: str) -> None: ...

    async def create(self, name: str, body: str, dialect: str = "") -> ContainerId:
        """``dialect``: of a Replica. Raises IMAGE_MISSING, NAME_TAKEN, UNRECOVERABLE."""
        ...

    def start(self, container: ContainerId) -> Coroutine[Any, Any, None]:
        """Sends the order within this call if possible; await the result to learn the outcome.

        Raises CONFLICT when it runs already, NOT_FOUND, UNRECOVERABLE (no such command, bad mount), and
        StaleEndpointError.
        """
        ...

    async def signal(self, container: ContainerId, signal: str) -> None:
        """Raises NOT_RUNNING, NOT_FOUND."""
        ...

    async def restart(self, container: ContainerId, grace: Seconds | None) -> None:
        """Its stop signal, SIGKILL after ``grace``, and a start: one call, which the engine completes also without us.

        ``None``: the container's own stop timeout. Starts one that does not run. Raises as ``start`` does.
        """
        ...

    async def stop(self, container: ContainerId, grace: Seconds | None) -> None:
        """Its stop signal, SIGKILL after ``grace``, and wait for the end. Also when it does not run.

        ``None``: the container's own stop timeout.
        """
        ...

    async def replica(self, container: ContainerId, joins: Mapping[ContainerId, ContainerId]) -> Replica:
        """A replica of the container's configuration, with ``joins`` replacing the containers it refers to.

        Raises NOT_FOUND.
        """
        ...

    async def successor(self, plan: Blueprint) -> Replica:
        """The definition with the volumes of its predecessor, or of those who took from it. Who is gone has none."""
        ...

    async def connect(self, network: str, container: ContainerId, endpoint: str) -> None:
        """``endpoint``: its settings in that network, as JSON text."""
        ...

    async def disconnect(self, network: str, name: str) -> None:
        """End an endpoint that is left in a network under a name that no container has.

        Raises CONFLICT when it is that of a container that runs, NOT_FOUND.
        """
        ...

    async def end_lost(self, container: ContainerId, signal: str, patience: Seconds) -> int:
        """End what lives on this machine of a container that has ended for its engine; returns how many processes.

        They get ``signal``, and SIGKILL after ``patience`` (30 s at most). Raises CONFLICT if something stays.
        """
        ...

    async def rename(self, container: ContainerId, name: str) -> None: ...

    async def remove(self, container: ContainerId) -> None:
        """Also a running one; its volumes stay."""
        ...

    async def load(self, path: str) -> list[str]:
        """Load an image archive (``docker save`` format, any compression); the names it brought."""
        ...


@dataclass(slots=True)
class UserDockerReport:
    """Details of user Docker for ``status``."""

    version: str = ""
    binary: str = ""
    output: tuple[str, ...] = ()
    """The last lines of the run that ended last."""
    exit_code: int | None = None
    trouble: str = ""
    """Why it does not serve, as of the last check."""
    left: tuple[str, ...] = ()
    """Containers of an ended run that could not be ended."""


class SystemEngine(Protocol):
    """The port to System Docker's process. What it does is reported as facts of the engine itself."""

    def look(self) -> None:
        """Look for a process that lives already: ``DaemonStarted`` or ``DaemonAbsent`` is reported."""
        ...

    async def start(self) -> None:
        """Start it, or adopt the one that lives: ``DaemonStarted`` is reported. Raises EngineError."""
        ...

    def signal(self, name: str) -> None:
        """Raises EngineError (NOT_RUNNING) when no process of it lives."""
        ...

    def close(self) -> None:
        """Stop watching. The process goes on."""
        ...

    async def stop(self) -> None:
        """End the process when no core runs that could order it: the boot failed."""
        ...


class UserEngine(Protocol):
    """The port to user Docker's process. It reports facts of the unit ``user-docker``."""

    @property
    def report(self) -> UserDockerReport: ...

    async def engines(self, container: ContainerId) -> list[dict[str, str]]:
        """The engines in a context, by name. Raises EngineError."""
        ...

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of its log."""
        ...

    def prepare(self, body: str, config_hash: str) -> None:
        """Use this definition. Raises EngineError when it gives no valid command line."""
        ...

    async def start(self, place: Place, cause: str) -> None:
        """Raises EngineError; nothing runs then."""
        ...

    async def clear(self, place: Place | None, grace: Seconds, *, everything: bool) -> None:
        """End what an ended run left. Raises EngineError: something is still there. Asked again, it is hurried."""
        ...

    def signal(self, name: str) -> None:
        """Raises NOT_RUNNING."""
        ...

    async def observed(self) -> tuple[Observed, ...]:
        """The process as a snapshot shows it; one that an earlier supervisor started is found again."""
        ...

    async def check(self, container: ContainerId, engine: str) -> tuple[str, ...]:
        """Why a container cannot be the storage context of this engine, in words. Raises EngineError."""
        ...

    async def check_console(self, body: str, parked: ContainerId | None, engine: str, name: str) -> tuple[str, ...]:
        """Why this engine cannot run in a console that does not run, in words. Raises EngineError.

        ``body``: its definition, of which a container would be made; ``parked``: the one that there is.
        """
        ...

    async def check_engine(self, container: ContainerId, name: str) -> tuple[str, ...]:
        """Why a named engine cannot run in this context, in words. Raises EngineError."""
        ...

    def close(self) -> None:
        """Stop watching. The process goes on."""
        ...
