"""A container engine in memory that obeys what real engines do, on whatever clock the running loop has.

It speaks the engine's own event messages, so ``decode`` is part of every simulation. What it obeys is checked by
``tests/engine/test_engine_contract.py``, which runs against real engines too:

- crash: ``die``. kill: ``kill``, ``die``. rm -f: ``kill``, ``die``, ``destroy``.
- OOM: ``oom``, without ``die``, before it or after it.
- stop: ``kill`` [``kill`` 9], then ``die``, ``stop`` (20.10) or ``stop``, ``die`` (26.1). restart: the same, ``start``.
- The last 256 events can be replayed; a restart of the engine loses them all.
- Containers outlive their engine. Who dies meanwhile dies in silence. Without live-restore the next engine ends those
  that are left before it serves: ``kill`` 15, and the events of a stop, to be replayed.
- A stop signal lets a paused container go on; it dies of it.
- A frozen engine answers nothing and tells nothing; what it was asked meanwhile it does as it goes on.
- The members of a pid namespace die before its owner, and a busy engine tells of the owner seconds later.

One seed, one history: chance comes from the one ``random.Random`` given, and everything runs on one loop.
"""

import asyncio
import contextlib
import itertools
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, TypeVar

from supervisor.engine import decode
from supervisor.engine.calls import OnCall
from supervisor.engine.members import Members
from supervisor.engine.port import (
    Blueprint,
    CheckLine,
    ContainerAddress,
    Doubtful,
    EngineError,
    EngineInfo,
    EngineMessage,
    ExecId,
    HandOver,
    OutputLine,
    Replica,
    StaleEndpointError,
    nothing,
)
from supervisor.engine.processes import Processes
from supervisor.engine.volumes import with_remembered, with_volumes, with_volumes_of_takers
from units.events import Observed
from units.health import Health
from units.labels import LABEL_CONSOLE, LABEL_HASH, LABEL_UNIT
from units.quantities import Seconds
from units.spec import ContainerId, UnitName, UnitSpec, Via
from units.tables.storage import ContextFacts
from units.unit import Beyond, Failure, Look

T = TypeVar("T")
Order = Literal["20.10", "26.1"]

RING = 256
EPOCH_NS = 1_700_000_000_000_000_000
PATIENCE: Mapping[str, float] = {"create": 30, "start": 30, "pull": 120, "load": 120}
"""The deadlines of the real adapter, in seconds; 10 for every other call."""
STOP_TIMEOUT = 10.0
FORCED = 5.0
"""Seconds after SIGKILL until an engine takes a process that is not there for dead (26.1)."""
TERMINAL = frozenset({1, 2, 3, 15})
"""Signals that a program which honours TERM dies of."""
VERSIONS: Mapping[Order, EngineInfo] = {
    "20.10": EngineInfo("20.10.24", "1.41", "1.12"),
    "26.1": EngineInfo("26.1.5", "1.45", "1.24"),
}


@dataclass(frozen=True, slots=True)
class Program:
    """How the containers of a unit behave. Durations are seconds."""

    lifetime: Callable[[random.Random], float] | None = None
    """Drawn at each start; ``None``: runs until it is ended."""
    exit_codes: tuple[int, ...] = (0,)
    """One is drawn when a lifetime ends."""
    ooms: float = 0.0
    """Chance that a lifetime ends in an OOM kill instead."""
    term: float | None = 0.05
    """From a TERM to its exit; ``None``: ignores it."""
    term_code: int = 0
    healthy_after: float | None = None
    """Declares a health check, which turns healthy after this; ``inf``: stays starting. ``None``: declares none."""
    sick_after: float | None = None
    """Turns unhealthy this long after it turned healthy."""
    start_failure: Failure | None = None
    """Each start fails like this."""
    output: tuple[str, ...] = ()


FULL = "no space left on device"
SAID = {Failure.HELD: "id already in use", Failure.EXHAUSTED: FULL}
"""Refusals in an engine's words."""
HEARD = 5.0
"""Seconds until everybody knows of a pause."""
UNUSUAL = 0.1
"""Of its stops 26.1 tells the death first, as it was seen to do under load."""
LEAVES_ENDPOINT = 0.3
NO_PROCESS = 2**22 + 1
"""A pid that no Linux gives."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances from 0 to 1 for each call or event, and how long things take."""

    before: float = 0.0
    """A call fails, and nothing was done."""
    after: float = 0.0
    """A call fails, though it was done."""
    late: float = 0.0
    """A call times out, and is done up to 20 s after that."""
    cut: float = 0.0
    """An event is not delivered, and its streams end."""
    owner_late: float = 0.0
    """The owner of a pid namespace is told to be dead up to 3 s after its members."""
    latency: tuple[float, float] = (0.001, 0.03)
    """Of each half of a call."""
    lag: tuple[float, float] = (0.0002, 0.005)
    """From an event to its reader."""


@dataclass(slots=True)
class Lies:
    """What engines were seen to say wrongly, or not at all, while they serve."""

    lag: float = 0.0
    """Seconds for which the list shows a container as it was before; ``inf``: for ever."""
    stuck: dict[str, str] = field(default_factory=dict)
    """Containers whose inspect is answered with this error; empty: it hangs."""
    deaf: bool = False
    """Streams stay open and tell nothing new; what is replayed at their beginning is told."""
    full: bool = False
    """There is no space left: nothing is created, and nothing starts."""
    refuses: frozenset[str] = frozenset()
    """Calls that a proxy before it does not let pass."""
    replay: float = 0.0
    """Seconds until a stream tells what is replayed at its beginning: the engine is busy."""


@dataclass(slots=True, eq=False)
class Container:
    ident: ContainerId
    name: str
    labels: Mapping[str, str]
    image: str
    command: tuple[str, ...]
    program: Program
    state: Literal["created", "running", "exited"] = "created"
    exit_code: int = 0
    oom: bool = False
    health: Health = Health.NONE
    started_at: float = 0.0
    joins: tuple[tuple[Via, ContainerId], ...] = ()
    """Whose namespaces it is to live in."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Place and volume; those of others are copied when it is made."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """The ``HostConfig`` of its create."""
    address: str = ""
    created_at: float = 0.0
    runs: int = 0
    """Starts so far; what was planned for an earlier run is void."""
    stopping: Literal["", "stop", "restart"] = ""
    """A stop call is at work."""
    ending: bool = False
    """Its process is gone, and its ``die`` is on the way."""
    unheard: bool = False
    """It died while the engine was away."""
    error: str = ""
    """Why a start by the engine itself failed, after which it gave up."""
    held: bool = False
    """What a dead engine left of its last run makes each further start fail."""
    paused: bool = False
    paused_at: float = 0.0
    taken: bool = False
    """Its last run ended with the owner of the pid namespace that it lives in."""
    changed_at: float = 0.0
    """When it was last started, or died."""
    unlisted: bool = False
    """Its engine came up without space: no list has it until its state is written again, but it has its name."""
    pid: int = 0
    """Of its last run's main process; no two are the same."""
    lost_at: float | None = None
    """When it died while its containerd was away: its engine says for ever that it runs."""
    output: list[OutputLine] = field(default_factory=list)
    ended: list[asyncio.Future[None]] = field(default_factory=list)
    """Who follows its output, and waits for more of it, or for the end of its run."""

    @property
    def unit(self) -> UnitName | None:
        return UnitName(self.labels[LABEL_UNIT]) if LABEL_UNIT in self.labels else None

    @property
    def role(self) -> str:
        """Whose files it holds: a unit's, and of several consoles which one's."""
        return f"{self.unit or self.name} {self.labels.get(LABEL_CONSOLE, '')}".rstrip()

    @property
    def place(self) -> str:
        """Where its image declares a volume: by the name that it was made under."""
        return self.volumes[0][0] if self.volumes else f"/{self.unit or self.name}"

    @property
    def own(self) -> str:
        """The volume there."""
        return self.volumes[0][1]

    @property
    def running(self) -> bool:
        return self.state == "running"


class _Stream:
    """One reader of the events."""

    def __init__(self) -> None:
        self.pending: deque[EngineMessage] = deque()
        self.wake = asyncio.Event()
        self.end = ""

    def put(self, heard: EngineMessage) -> None:
        self.pending.append(heard)
        self.wake.set()

    def cut(self, why: str) -> None:
        self.end = why
        self.wake.set()


class FakeEngine:
    """Implements ``supervisor.engine.port.Engine``; the other public methods are what the world does to it.

    Args:
        chance: All chance comes from here.
        order: Whose order of ``stop`` and ``die`` to keep.
        programs: Behaviour by unit name or image; what is not named runs until it is ended.
        images: Images that are there.
        registry: Images that a pull can bring.
        archives: What a load of each path brings.
        missing_commands: First words of commands that no image has.
        foreign: Every container is a unit of its own name, and this is what is made of it; ``None``: labels count.
        live_restore: Containers that outlived an engine live on with the next one.
    """

    url = "unix:///fake"

    def __init__(
        self,
        chance: random.Random,
        *,
        order: Order = "26.1",
        faults: Faults | None = None,
        programs: Mapping[str, Program] | None = None,
        images: set[str] | None = None,
        registry: set[str] | None = None,
        archives: Mapping[str, list[str]] | None = None,
        missing_commands: frozenset[str] = frozenset({"/no/such/command"}),
        foreign: Mapping[str, UnitSpec] | None = None,
        live_restore: bool = True,
    ) -> None:
        self.live_restore = live_restore
        self.foreign = foreign
        self.chance = chance
        self.order = order
        self.faults = faults or Faults()
        self.programs = dict(programs or {})
        self.images = set(images or ())
        self.lacking: set[str] = set()
        """Files that no container has."""
        self.registry = set(registry or ())
        self.archives = dict(archives or {})
        self.missing_commands = missing_commands
        self.lies = Lies()
        self._members = Members(
            self._inspected,
            self._ping,
            Processes(asyncio.get_running_loop().time, self._lives, lambda pid, _: self._lives(pid)),
        )
        self.up = True
        self.containers: dict[ContainerId, Container] = {}
        self.violations: list[str] = []
        """Two containers of one unit ran at once, and the second start was ours."""
        self.disturbed: list[str] = []
        """Calls that would have ended a paused container's pause."""
        self.emptied: list[str] = []
        """Starts of ours over another volume than the one in which the unit's files are."""
        self._full: dict[str, str] = {}
        """The volume in which a unit's files are, for each one that has run and has not been removed by a person."""
        self._removed: set[str] = set()
        """Units of which a person has removed a container."""
        self.orphans: dict[ContainerId, str] = {}
        """What lives although its engine says that it has ended: the container, and whose files it has open."""
        self.endpoints: set[str] = set()
        """Names under which a network still has an endpoint of a run that is over."""
        self.stopped: set[str] = set()
        """The names of those that a person has stopped or restarted through the engine."""
        self._thaw: asyncio.Future[None] | None = None
        """What everybody waits for while it is frozen."""
        self.on_call: OnCall = lambda *_: None
        """Told of each call, as the real port tells."""
        self.calls: list[tuple[float, str, str]] = []
        """Time, operation, and its object, of each call that reached the engine."""
        self.emitted: list[tuple[float, str, str]] = []
        """Time, action, and the container's name, of each event; also of those that nobody heard."""
        self._ring: deque[EngineMessage] = deque(maxlen=RING)
        self._streams: list[_Stream] = []
        self._generation = 0
        self._under_way = 0
        """Calls without an answer, and what is due at once."""
        self._last_ns = 0
        self._idents = itertools.count(1)
        self._pids = itertools.count(1)
        self._execs: dict[ExecId, tuple[str, ...]] = {}
        self._loop = asyncio.get_running_loop()

    # -- the port

    async def info(self) -> EngineInfo:
        told = await self._call("info", "", lambda: VERSIONS[self.order])
        self._members.processes.forget()
        return told

    @contextlib.asynccontextmanager
    async def events(self, since_ns: int | None) -> AsyncIterator[HandOver]:
        await self._call("events", "", lambda: None)
        stream = _Stream()
        if since_ns is not None:
            stream.pending.extend(heard for heard in self._ring if heard.at >= since_ns)
        self._streams.append(stream)
        try:
            yield lambda hear: self._hand_over(stream, hear)
        finally:
            self._streams.remove(stream)

    async def _hand_over(self, stream: _Stream, hear: Callable[[EngineMessage], None]) -> NoReturn:
        await asyncio.sleep(self.lies.replay if stream.pending else 0)
        while True:
            if not stream.pending and not stream.end:
                stream.wake.clear()
                await stream.wake.wait()
                await asyncio.sleep(self._draw(self.faults.lag))
            while stream.pending:
                await self._go_on()
                hear(stream.pending.popleft())
            if stream.end:
                raise EngineError(Failure.UNREACHABLE, f"events: {stream.end}")

    async def snapshot(self, *, thorough: bool, doubtful: Doubtful = nothing) -> tuple[Observed, ...]:
        listed = await self._call(
            "snapshot",
            "",
            lambda: tuple(
                self._listed(each) for each in self.containers.values() if self._is_unit(each) and not each.unlisted
            ),
        )
        asked = listed if thorough else self._members.due(listed)
        return await self._members.complete(listed, (*asked, *doubtful(listed)))

    def _lives(self, pid: int) -> bool:
        return any(one.pid == pid and one.running and one.lost_at is None for one in self.containers.values())

    async def _inspected(self, container: ContainerId) -> Observed:
        self._reach("inspect")
        found = self._get(container)
        match self.lies.stuck.get(found.name):
            case None:
                return self._observed(found, thorough=True)
            case "":
                await self._loop.create_future()
            case why:
                raise EngineError(Failure.OTHER, f"inspect {container}: {why}")
        raise AssertionError

    async def _ping(self) -> None:
        self._reach("ping")

    def _listed(self, container: Container) -> Observed:
        """As it is, or for a while as it was before its last start or death."""
        row = replace(self._observed(container, thorough=False), hint=True)
        if self._loop.time() - container.changed_at >= self.lies.lag or container.runs < 1:
            return row
        return replace(row, running=not row.running, created=False, health=Health.NONE)

    async def pull(self, image: str) -> None:
        def effect() -> None:
            if image not in self.registry:
                raise EngineError(Failure.IMAGE_MISSING, f"pull of {image}: manifest unknown")
            self.images.add(image)

        await self._call("pull", image, effect, takes=(0.1, 5.0))

    async def create(self, name: str, body: str, dialect: str = "") -> ContainerId:  # noqa: ARG002 - it knows one
        return await self._call("create", name, lambda: self._create(name, body).ident)

    async def look(self, container: ContainerId) -> Observed:
        return await self._call("inspect", container, lambda: self._observed(self._get(container), thorough=True))

    async def has_image(self, image: str) -> bool:
        return await self._call("image", image, lambda: image in self.images)

    async def context(self, container: ContainerId) -> ContextFacts:
        def effect() -> ContextFacts:
            found = self._get(container)
            return ContextFacts(found.name, found.ident, found.running, pid=NO_PROCESS, privileged=True)

        return await self._call("inspect", container, effect)

    async def restart(self, container: ContainerId, grace: Seconds | None) -> None:
        found = await self._call("restart", container, lambda: self._disturb(container))
        if found.running:
            await self.stop(container, grace)
        if not found.running and self.up and found.ident in self.containers:
            self._start(found)

    async def replica(self, container: ContainerId, joins: Mapping[ContainerId, ContainerId]) -> Replica:
        def effect() -> Replica:
            found = self._get(container)
            host = {
                key: f"container:{self._get(joins.get(held, held)).name}"
                for key, via in decode.JOINS
                for how, held in found.joins
                if how is via
            }
            body = {"Image": found.image, "Cmd": found.command, "Labels": dict(found.labels), "HostConfig": host}
            body = with_volumes(body, self._described(found))
            return Replica(found.name, json.dumps(body), (), found.running)

        return await self._call("inspect", container, effect)

    async def successor(self, plan: Blueprint) -> Replica:
        def effect() -> Replica:
            body = json.loads(plan.body)
            names = (body.get("HostConfig") or {}).get("VolumesFrom") or ()
            donors = [one for name in names if (one := self.named(name))]
            given = {place for donor in donors for place, _ in donor.volumes}
            takers = [self._described(self.containers[one]) for one in plan.takers if one in self.containers]
            if plan.predecessor in self.containers:
                body = with_volumes(body, self._described(self.containers[plan.predecessor]), given)
            else:
                image = {f"/{body['Labels'][LABEL_UNIT]}"}
                body = with_volumes_of_takers(body, plan.name, takers, image=image, given=given)
                body = with_remembered(body, plan.volumes, given)
            return Replica(plan.name, json.dumps(body))

        return await self._call("inspect", plan.name, effect)

    @staticmethod
    def _described(found: Container) -> dict[str, Any]:
        """As much of an inspect as the volumes of a successor follow from."""
        mounts = [{"Type": "volume", "Name": name, "Destination": place, "RW": True} for place, name in found.volumes]
        return {"Config": {"Volumes": {found.place: {}}}, "HostConfig": found.host, "Mounts": mounts}

    async def connect(self, network: str, container: ContainerId, endpoint: str) -> None:  # noqa: ARG002
        await self._call("connect", container, lambda: self._get(container))

    async def health_log(self, container: ContainerId) -> tuple[CheckLine, ...]:
        return await self._call("inspect", container, lambda: (self._get(container), ())[1])

    async def whereabouts(self, container: ContainerId) -> ContainerAddress:
        def effect() -> ContainerAddress:
            found = self._get(container)
            return ContainerAddress(1 if found.running else 0, found.address, host_network=False)

        return await self._call("inspect", container, effect)

    async def exec_create(self, container: ContainerId, command: tuple[str, ...]) -> ExecId:
        def effect() -> ExecId:
            if not self._get(container).running:
                raise EngineError(Failure.NOT_RUNNING, f"Container {container} is not running")
            if self._get(container).paused:
                raise EngineError(
                    Failure.CONFLICT, f"container {container} is paused, unpause the container before exec"
                )
            ident = ExecId(f"{next(self._idents):064x}")
            self._execs[ident] = command
            return ident

        return await self._call("exec", container, effect)

    async def exec_run(self, exec_id: ExecId, limit: int) -> str:
        """It knows ``echo WORDS``, ``false`` and ``sleep``, which never ends."""
        command = await self._call("exec", exec_id, lambda: self._execs[exec_id])
        if command[0] == "sleep":
            await self._loop.create_future()
        return " ".join(command[1:])[:limit] if command[0] == "echo" else ""

    async def exec_exit(self, exec_id: ExecId) -> int | None:
        def effect() -> int | None:
            if exec_id not in self._execs:
                raise EngineError(Failure.NOT_FOUND, f"No such exec instance: {exec_id}")
            return {"sleep": None, "echo": 0, "false": 1}.get(self._execs[exec_id][0], 127)

        return await self._call("exec", exec_id, effect)

    def forget_execs(self) -> None:
        """As an engine does that is restarted."""
        self._execs.clear()

    async def holder(self, name: str) -> ContainerId | None:
        def effect() -> ContainerId | None:
            found = self.named(name)
            return None if found is None else found.ident

        return await self._call("inspect", name, effect)

    async def stop(self, container: ContainerId, grace: Seconds | None) -> None:  # noqa: ARG002 - the model has its own
        found = await self._call("stop", container, lambda: self._disturb(container))
        self._stop(found.name, "stop")
        while found.running and self.up:  # noqa: ASYNC110 - a real one answers after the end, too
            await asyncio.sleep(0.01)

    async def files(self, _body: str, container: ContainerId | None, paths: Sequence[str]) -> frozenset[str]:
        def effect() -> frozenset[str]:
            if container is not None:
                self._get(container)
            return frozenset(path for path in paths if not path.startswith("/no/") and path not in self.lacking)

        return await self._call("files", container or "trial", effect)

    async def owner(self, name: str) -> UnitName | None:
        def effect() -> UnitName | None:
            found = self.named(name)
            if found is None:
                raise EngineError(Failure.NOT_FOUND, f"inspect of {name}: No such container: {name}")
            return found.unit

        return await self._call("inspect", name, effect)

    async def start(self, container: ContainerId) -> None:
        await self._call("start", container, lambda: self._start(self._get(container)))

    async def signal(self, container: ContainerId, signal: str) -> None:
        await self._call(
            "signal",
            f"{container} {signal}",
            lambda: self._signal(self._disturb(container), decode.signal_number(signal)),
        )

    async def rename(self, container: ContainerId, name: str) -> None:
        def effect() -> None:
            found = self._disturb(container)
            self._refuse_taken(name)
            found.name = name

        await self._call("rename", f"{container} {name}", effect)

    async def disconnect(self, network: str, name: str) -> None:
        def effect() -> None:
            if self.named(name) is not None:
                raise EngineError(Failure.CONFLICT, f"{name} is a container's name")
            if name not in self.endpoints:
                raise EngineError(Failure.NOT_FOUND, f"endpoint {name} not found")
            self.endpoints.discard(name)

        await self._call("disconnect", f"{network} {name}", effect)

    async def end_lost(self, container: ContainerId, signal: str, patience: Seconds) -> int:  # noqa: ARG002
        return 0 if self.orphans.pop(container, None) is None else 1

    async def remove(self, container: ContainerId) -> None:
        await self._call("remove", container, lambda: self._remove(self._get(container)))

    async def logs(
        self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
    ) -> AsyncIterator[OutputLine]:
        found = await self._call("logs", container, lambda: self._get(container))
        told = len(found.output) if tail is None else min(tail, len(found.output))
        told = len(found.output) - told
        run, generation = found.runs, self._generation
        while True:
            while told < len(found.output):
                line = found.output[told]
                told += 1
                if since is None:
                    yield replace(line, at=0)
                elif line.at >= since:
                    yield line
            if not follow or not found.running or found.runs != run:
                return
            if self._generation != generation:
                raise EngineError(Failure.UNREACHABLE, "logs: the connection was cut")
            more = self._loop.create_future()
            found.ended.append(more)
            await more

    def write(self, name: str, *lines: str) -> None:
        """The container of this name writes."""
        found = self.named(name)
        assert found is not None
        at = EPOCH_NS + int(self._loop.time() * 1e9)
        found.output += [OutputLine("stdout", line, at) for line in lines]
        self._tell_followers(found)

    @staticmethod
    def _tell_followers(container: Container) -> None:
        waiting, container.ended = container.ended, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def load(self, path: str) -> list[str]:
        def effect() -> list[str]:
            if path not in self.archives:
                raise EngineError(Failure.OTHER, f"load of {path}: no such file")
            self.images.update(self.archives[path])
            return list(self.archives[path])

        return await self._call("load", path, effect, takes=(0.1, 2.0))

    async def close(self) -> None:
        self.cut_streams("closed")

    # -- what tests ask

    def live(self, unit: str) -> list[Container]:
        """The running containers that carry this unit's label."""
        return [
            each for each in self.containers.values() if each.running and each.lost_at is None and each.unit == unit
        ]

    @property
    def idle(self) -> bool:
        """No call waits for its answer, no event for its reader, and nothing is due at once."""
        return not self._under_way and not any(stream.pending for stream in self._streams)

    def named(self, name: str) -> Container | None:
        return next((each for each in self.containers.values() if each.name == name), None)

    # -- what the world does; a name that there is not is no error, for histories are drawn by lot

    def crash(self, name: str, exit_code: int = 1) -> None:
        """The container's program ends by itself."""
        if (found := self.named(name)) is not None:
            self._end(found, exit_code)

    def behave(self, unit: str, program: Program) -> None:
        """From its next start on, a container of this unit behaves like this; its answer to a TERM changes at once."""
        self.programs[unit] = program
        for each in self.containers.values():
            if each.unit == unit:
                each.program = program

    def oom(self, name: str, *, main: bool = True) -> None:
        """The kernel kills the container's main process, or just a child of it."""
        found = self.named(name)
        if found is None or not found.running or found.ending:
            return
        found.oom = True
        self._emit("oom", found)
        if main:
            self._end(found, 137)

    def sicken(self, name: str, health: Health = Health.UNHEALTHY) -> None:
        """The health check of the container says something else from now on."""
        if (found := self.named(name)) is not None and found.health is not Health.NONE:
            self._turn(found, health)

    def person_start(self, name: str) -> None:
        if (found := self.named(name)) is not None and not found.running and self.up and not self._refusal(found):
            self._begin(found, ours=False)

    def person_stop(self, name: str) -> None:
        self.stopped.add(name)
        self._stop(name, "stop")

    def person_restart(self, name: str) -> None:
        """``docker restart``; it starts a container that does not run, too."""
        self.stopped.add(name)
        found = self.named(name)
        if found is not None and not found.running:
            self.person_start(name)
        else:
            self._stop(name, "restart")

    def person_pause(self, name: str) -> None:
        """A frozen program answers no check: engines were seen to count that."""
        if (found := self.named(name)) is not None and found.running and not found.paused and not found.ending:
            found.paused, found.paused_at = True, self._loop.time()
            self._emit("pause", found)
            if found.health is not Health.NONE and self.chance.random() < 0.5:
                self._later(self.chance.uniform(0.1, 5), found, self._time_out)

    def _time_out(self, container: Container) -> None:
        if container.paused:
            self._turn(container, Health.UNHEALTHY)

    def person_unpause(self, name: str) -> None:
        if (found := self.named(name)) is not None and found.paused:
            found.paused = False
            self._emit("unpause", found)
            self._plan_health(found)

    def person_kill(self, name: str, signal: int = 9) -> None:
        if (found := self.named(name)) is not None and found.running and self.up:
            self._signal(found, signal)

    def person_remove(self, name: str) -> None:
        """``docker rm -f``."""
        if (found := self.named(name)) is not None and self.up:
            self._removed.add(found.role)
            self._remove(found)

    def person_run(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """A foreign container, unless ``labels`` say otherwise; created and started."""
        if self.named(name) is None and self.up:
            self._begin(self._add(name, "foreign", (), labels or {}), ours=False)

    def cut_streams(self, why: str = "the connection was cut") -> None:
        for stream in self._streams:
            stream.cut(why)

    def engine_down(self) -> None:
        """The engine dies; its containers live on, and nobody hears of their deaths."""
        if self.up:
            self.up = False
            self._generation += 1
            self.cut_streams("the engine has gone")
            for each in self.containers.values():
                each.stopping = ""  # A stop call goes with its engine.
                self._tell_followers(each)

    def engine_up(self) -> None:
        """A new engine takes over: no memory of events, and every health check begins anew, in silence."""
        if self.up:
            return
        self.up = True
        self._ring.clear()
        self.endpoints.clear()
        for each in tuple(self.containers.values()):
            each.unlisted = each.unlisted or self.lies.full
            if each.lost_at is not None:  # A new engine looks for the processes itself.
                self._die(each, 137)
        if not self.live_restore:
            for each in tuple(self.containers.values()):
                self._clear(each)
        for each in self.containers.values():
            if each.running and each.health is not Health.NONE:
                each.health = Health.STARTING
                self._plan_health(each)
            if each.unheard and self.chance.random() < 0.2:  # Its shim had not yet reported it.
                self._later(self.chance.uniform(0, 0.5), each, self._tell_late)
            each.unheard = False

    def _tell_late(self, container: Container) -> None:
        if not container.running:
            self._emit("die", container, exitCode=str(container.exit_code))

    def _clear(self, container: Container) -> None:
        """A new engine ends what the last one left running, before it answers anybody.

        It does not see that it failed to end one whose task it cannot start again either (20.10, chaos seed 474).
        """
        if not container.running:
            return
        if container.held:
            self.orphans[container.ident] = container.role
        self._emit("kill", container, signal="15")
        if container.program.term is None:
            self._emit("kill", container, signal="9")
        code = 137 if container.program.term is None else container.program.term_code
        if self.order == "20.10":
            self._die(container, code)
        self._emit("stop", container)
        if self.order != "20.10":
            self._die(container, code)

    async def freeze(self, seconds: float) -> None:
        """``kill -STOP`` of the engine, and ``kill -CONT`` after so many seconds."""
        self._thaw = self._loop.create_future()
        await asyncio.sleep(seconds)
        self._thaw.set_result(None)
        self._thaw = None

    async def _go_on(self) -> None:
        if self._thaw is not None:
            await asyncio.shield(self._thaw)

    # -- calls

    async def _call(
        self, operation: str, subject: str, effect: Callable[[], T], takes: tuple[float, float] | None = None
    ) -> T:
        self._under_way += 1
        began, outcome = self._loop.time(), "ok"
        try:
            return await self._answer(operation, subject, effect, takes)
        except EngineError as error:
            outcome = error.failure.name.lower()
            raise
        finally:
            self._under_way -= 1
            self.on_call(operation, outcome, self._loop.time() - began)

    async def _answer(
        self, operation: str, subject: str, effect: Callable[[], T], takes: tuple[float, float] | None
    ) -> T:
        generation = self._reach(operation)
        await asyncio.sleep(self._draw(takes or self.faults.latency))
        self._reach(operation, generation)
        if self._thaw is not None:
            await self._unanswered(operation, effect)
            self._reach(operation, generation)
        self.calls.append((self._loop.time(), operation, subject))
        if operation in self.lies.refuses:
            raise EngineError(Failure.REFUSED, f"{operation}: 403 Forbidden by administrative rules")
        lot = self.chance.random() - self.faults.before
        if lot < 0:
            raise await self._fault(operation)
        if lot < self.faults.late:
            self._loop.call_later(self._patience(operation) + self.chance.uniform(0, 20), self._do_late, effect)
            raise await self._fault(operation, Failure.TIMEOUT)
        result = effect()
        if lot < self.faults.late + self.faults.after:
            raise await self._fault(operation)
        await asyncio.sleep(self._draw(self.faults.latency))
        self._reach(operation, generation)
        return result

    async def _unanswered(self, operation: str, effect: Callable[[], object]) -> None:
        """Wait for the frozen engine. One who gives up has asked all the same."""
        assert self._thaw is not None
        thaw = self._thaw
        try:
            async with asyncio.timeout(self._patience(operation)):
                await asyncio.shield(thaw)
        except TimeoutError:
            thaw.add_done_callback(lambda _: self._do_late(effect))
            raise EngineError(Failure.TIMEOUT, f"{operation}: no answer within {self._patience(operation)} s") from None

    def _reach(self, operation: str, generation: int | None = None) -> int:
        if not self.up or generation not in {None, self._generation}:
            raise EngineError(Failure.UNREACHABLE, f"{operation}: the engine does not answer")
        return self._generation

    async def _fault(self, operation: str, failure: Failure | None = None) -> EngineError:
        failure = failure or self.chance.choice((Failure.OTHER, Failure.TIMEOUT))
        if failure is Failure.TIMEOUT:
            await asyncio.sleep(self._patience(operation))
        return EngineError(failure, f"{operation}: drawn by lot")

    def _do_late(self, effect: Callable[[], object]) -> None:
        if self.up:
            with contextlib.suppress(EngineError):  # Nobody waits for the answer any more.
                effect()

    @staticmethod
    def _patience(operation: str) -> float:
        return PATIENCE.get(operation, 10)

    def _draw(self, span: tuple[float, float]) -> float:
        return self.chance.uniform(*span)

    # -- effects

    def _get(self, container: ContainerId) -> Container:
        found = self.containers.get(container) or self.named(container)
        if found is None:
            raise EngineError(Failure.NOT_FOUND, f"No such container: {container}")
        return found

    def _disturb(self, container: ContainerId) -> Container:
        found = self._get(container)
        if found.paused and self._loop.time() - found.paused_at > HEARD:
            self.disturbed.append(found.name)
        return found

    def _refuse_taken(self, name: str) -> None:
        if (holder := self.named(name)) is not None:
            raise EngineError(Failure.NAME_TAKEN, f'The name "/{name}" is already in use by container "{holder.ident}"')

    def _create(self, name: str, body: str) -> Container:
        try:
            wanted: dict[str, Any] = json.loads(body)
            image = str(wanted["Image"])
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(Failure.UNRECOVERABLE, f"create of {name}: bad body: {error}") from error
        self._refuse_taken(name)
        if image not in self.images:
            raise EngineError(Failure.IMAGE_MISSING, f"No such image: {image}")
        if self.lies.full:
            raise EngineError(Failure.EXHAUSTED, f"create of {name}: {FULL}")
        host = wanted.get("HostConfig") or {}
        modes = [(via, str(host.get(key, ""))) for key, via in decode.JOINS]
        joins = tuple(self._joined(via, mode) for via, mode in modes if mode.startswith("container:"))
        donors = [self.named(donor) for donor in host.get("VolumesFrom", ())]
        if None in donors:
            raise EngineError(Failure.OTHER, f"create of {name}: No such container: {host['VolumesFrom']}")
        made = self._add(name, image, tuple(wanted.get("Cmd") or ()), wanted.get("Labels") or {})
        made.joins = joins
        made.host = host
        taken = {place: volume for donor in donors if donor for place, volume in donor.volumes}
        bound = (bind.split(":")[:2] for bind in host.get("Binds") or ())
        made.volumes = tuple(({made.place: made.ident} | taken | {place: volume for volume, place in bound}).items())
        for volume in taken.values():  # What somebody takes is as good as full.
            owner = next((one for one in self.containers.values() if one.own == volume and one is not made), None)
            if owner is not None:
                self._full.setdefault(owner.role, volume)
        self._check_volume(made)
        return made

    def _check_volume(self, made: Container) -> None:
        full = self._full.get(made.role)
        if full is not None and made.own != full:
            self.emptied.append(f"{self._loop.time():.3f}: {made.name} is made over an empty volume")

    def _joined(self, via: Via, mode: str) -> tuple[Via, ContainerId]:
        """The engine writes down the id, whatever was said."""
        found = self.named(mode.removeprefix("container:"))
        if found is None:
            raise EngineError(Failure.OTHER, f"No such container: {mode}")
        return via, found.ident

    def _add(self, name: str, image: str, command: tuple[str, ...], labels: Mapping[str, str]) -> Container:
        ident = ContainerId(f"{next(self._idents):012x}{self.chance.getrandbits(208):052x}")
        program = self.programs.get(labels.get(LABEL_UNIT, ""), self.programs.get(image, Program()))
        made = Container(ident, name, dict(labels), image, command, program)
        if program.healthy_after is not None:
            made.health = Health.STARTING
        made.created_at = self._loop.time()
        made.volumes = ((made.place, ident),)
        self.containers[ident] = made
        self._emit("create", made)
        return made

    def _refusal(self, container: Container) -> Failure | None:
        if container.command and container.command[0] in self.missing_commands:
            return Failure.UNRECOVERABLE
        if container.held:
            return Failure.HELD
        if self.lies.full:
            return Failure.EXHAUSTED
        return container.program.start_failure

    def _start(self, container: Container) -> None:
        if container.running:
            raise EngineError(Failure.CONFLICT, f"container {container.ident} is already started")
        for _, joined in container.joins:
            if joined not in self.containers:
                raise EngineError(Failure.STALE, f"start of {container.name}: No such container: {joined}")
            if not self.containers[joined].running:
                raise EngineError(Failure.CONFLICT, f"start of {container.name}: {joined} is not running")
        if container.name in self.endpoints and Via.NET not in dict(container.joins):
            said = f"endpoint with name {container.name} already exists in network host"
            raise StaleEndpointError(f"start of {container.name}: {said}", "host", container.name)
        if (refusal := self._refusal(container)) is not None:
            if not container.runs:  # One that has run keeps the state of its last run.
                container.exit_code = 127
            raise EngineError(refusal, f"start of {container.name}: {SAID.get(refusal, 'refused')}")
        self._begin(container, ours=True)

    def _begin(self, container: Container, *, ours: bool) -> None:
        container.state, container.exit_code, container.oom, container.ending = "running", 0, False, False
        container.runs += 1
        container.pid = next(self._pids)
        container.error = ""
        self._full.setdefault(container.role, container.own)
        container.taken = False
        container.started_at = container.changed_at = self._loop.time()
        container.unlisted = container.unlisted and self.lies.full
        if not container.address or self.chance.random() < 0.3:
            container.address = f"10.0.{self.chance.randrange(256)}.{self.chance.randrange(256)}"
        at = EPOCH_NS + int(self._loop.time() * 1e9)
        container.output += [OutputLine("stdout", line, at) for line in container.program.output]
        self._emit("start", container)
        if ours and container.unit is not None and len(both := self.live(container.unit)) > 1:
            self.violations.append(
                f"{self._loop.time():.3f}: two of {container.unit} run: {[each.name for each in both]}"
            )
        if ours and container.role in self.orphans.values():
            self.violations.append(f"{self._loop.time():.3f}: {container.name} starts beside a lost run of its own")
        program = container.program
        if program.lifetime is not None:
            end = self._end_in_oom if self.chance.random() < program.ooms else self._end_by_itself
            self._later(program.lifetime(self.chance), container, end)
        if program.healthy_after is not None:
            container.health = Health.STARTING
            self._plan_health(container)

    def _plan_health(self, container: Container) -> None:
        program = container.program
        if program.healthy_after is None or program.healthy_after == float("inf"):
            return
        self._later(program.healthy_after, container, lambda one: self._turn(one, Health.HEALTHY))
        if program.sick_after is not None:
            self._later(
                program.healthy_after + program.sick_after, container, lambda one: self._turn(one, Health.UNHEALTHY)
            )

    def _turn(self, container: Container, health: Health) -> None:
        if container.running and container.lost_at is None and self.up and container.health is not health:
            container.health = health
            self._emit(f"health_status: {health}", container)

    def _end_by_itself(self, container: Container) -> None:
        self._end(container, self.chance.choice(container.program.exit_codes))

    def _end_in_oom(self, container: Container) -> None:
        if self.chance.random() < 0.7:
            self.oom(container.name)
        else:  # An engine hears of both from others, and tells them as it hears them.
            container.oom = True
            self._end(container, 137)
            self._emit("oom", container)

    def _signal(self, container: Container, number: int) -> None:
        if not container.running:
            raise EngineError(Failure.NOT_RUNNING, f"Container {container.ident} is not running")
        self._emit("kill", container, signal=str(number))
        if container.paused and (number == 9 or number in TERMINAL):  # Engines let it go on, to take the signal.
            container.paused = False
            self._emit("unpause", container)
        if container.lost_at is not None:
            if number == 9:
                self._later(FORCED, container, self._find)
        elif number == 9:
            self._later(self.chance.uniform(0.005, 0.05), container, lambda one: self._end(one, 137))
        elif number in TERMINAL and (delay := container.program.term) is not None:
            self._later(delay, container, lambda one: self._end(one, one.program.term_code))

    def lose(self, name: str) -> None:
        """Its process ends while its containerd is away."""
        found = self.named(name)
        if found is not None and found.running and not found.ending and not found.stopping and self.up:
            for one in (*self._tenants(found), found):
                one.lost_at = self._loop.time()

    def _find(self, container: Container) -> None:
        """The engine finds out that it has ended."""
        if container.lost_at is not None:
            self._leave_endpoint(container)
            container.lost_at = None
            self._tell_end(container, 137)

    def _leave_endpoint(self, container: Container) -> None:
        """26.1 does not always clear away what a run had of a network, once it has lost that run."""
        if container.lost_at is not None and self.chance.random() < LEAVES_ENDPOINT:
            self.endpoints.add(container.name)

    def _stop(self, name: str, how: Literal["stop", "restart"]) -> None:
        found = self.named(name)
        if found is None or not found.running or found.stopping or not self.up:
            return
        found.stopping = how
        self._signal(found, 15)
        self._later(STOP_TIMEOUT, found, self._lose_patience)

    def _lose_patience(self, container: Container) -> None:
        if container.stopping and container.running and not container.ending:
            self._signal(container, 9)

    def _end(self, container: Container, exit_code: int) -> None:
        """The process is gone. From a stop call 26.1 tells ``stop`` first, 20.10 ``die``; never at the same moment."""
        if not container.running or container.ending or container.lost_at is not None:
            return
        members = self._tenants(container)
        if members and self.chance.random() < self.faults.owner_late:
            container.ending = True
            self._take_along(members)
            self._later(self.chance.uniform(0.01, 3), container, lambda one: self._tell_end(one, exit_code))
        else:
            self._tell_end(container, exit_code)

    def _tenants(self, owner: Container) -> list[Container]:
        return [one for one in self.containers.values() if (Via.PID, owner.ident) in one.joins and one.running]

    def _take_along(self, members: list[Container]) -> None:
        """The kernel ends a pid namespace with its first process, which goes last."""
        for one in members:
            self._end(one, 137)
            one.taken = True

    def _tell_end(self, container: Container, exit_code: int) -> None:
        container.ending = False
        if not container.stopping or self.order == "20.10" or self.chance.random() < UNUSUAL:
            self._die(container, exit_code)
            if container.stopping:  # Even if it has been started again by then.
                self._loop.call_later(self.chance.uniform(0.001, 0.05), self._conclude_stop, container)
            return
        container.ending = True
        self._emit("stop", container)
        self._later(self.chance.uniform(0.001, 0.05), container, lambda one: self._die_and_conclude(one, exit_code))

    def _conclude_stop(self, container: Container) -> None:
        if not container.stopping or container.ident not in self.containers:
            return
        self._emit("stop", container)
        self._start_again(container)

    def _die_and_conclude(self, container: Container, exit_code: int) -> None:
        self._die(container, exit_code)
        self._start_again(container)

    def _start_again(self, container: Container) -> None:
        how, container.stopping = container.stopping, ""
        if how == "restart" and self.up and not container.running and container.ident in self.containers:
            self._later(self.chance.uniform(0.05, 0.3), container, self._begin_again)

    def _begin_again(self, container: Container) -> None:
        if not container.running and self.up:
            self._begin(container, ours=False)

    def _die(self, container: Container, exit_code: int) -> None:
        self._take_along(self._tenants(container))
        container.state, container.exit_code, container.ending = "exited", exit_code, False
        container.paused, container.lost_at = False, None
        container.changed_at = self._loop.time()
        container.unlisted = container.unlisted and self.lies.full
        container.unheard = not self.up
        if not self.up and self.chance.random() < 0.5:
            container.exit_code = decode.UNKNOWN_EXIT  # An engine that did not see it may not know better.
        self._tell_followers(container)
        self._emit("die", container, exitCode=str(exit_code))

    def _remove(self, container: Container) -> None:
        self._leave_endpoint(container)
        if container.running:
            self._emit("kill", container, signal="9")
            self._die(container, 137)
        del self.containers[container.ident]
        for unit in self._removed:  # Whose files are in no container any more has nothing to lose.
            if unit in self._full and all(
                self._full[unit] not in dict(one.volumes).values() for one in self.containers.values()
            ):
                del self._full[unit]
        container.runs += 1
        self._emit("destroy", container)

    def _later(self, delay: float, container: Container, act: Callable[[Container], None]) -> None:
        """Do something to this run of a container; void when another run has begun."""
        run = container.runs
        at_once = delay <= 0
        self._under_way += at_once

        def due() -> None:
            self._under_way -= at_once
            if container.runs == run:
                act(container)

        self._loop.call_later(delay, due)

    # -- events

    def _emit(self, action: str, container: Container, **attributes: str) -> None:
        self.emitted.append((self._loop.time(), action, container.name))
        self._last_ns = max(self._last_ns + 1, EPOCH_NS + int(self._loop.time() * 1e9))
        if not self.up or not self._is_unit(container):
            return
        raw = {
            "Type": "container",
            "Action": action,
            "Actor": {
                "ID": container.ident,
                "Attributes": {**container.labels, **attributes, "image": container.image, "name": container.name},
            },
            "scope": "local",
            "time": self._last_ns // 1_000_000_000,
            "timeNano": self._last_ns,
        }
        heard = decode.event(raw, by_name=self.foreign is not None)
        self._ring.append(heard)
        lost = self.chance.random() < self.faults.cut
        for stream in self._streams:
            if stream.end:
                continue
            if self.lies.deaf:
                continue
            if lost:
                stream.cut("the connection was cut")
            else:
                stream.put(heard)

    def _observed(self, container: Container, thorough: bool) -> Observed:
        health = Health.NONE
        if container.running:
            health = container.health
        elif thorough and container.program.healthy_after is not None:
            health = Health.STARTING  # Declared, and that is all that is known.
        return Observed(
            unit=UnitName(container.name if self.foreign is not None else container.labels[LABEL_UNIT]),
            spec=self.foreign.get(container.name) if self.foreign is not None and thorough else None,
            container=container.ident,
            name=container.name,
            running=container.running,
            created=container.state == "created",
            beyond=Beyond.PAUSED if container.paused else Beyond.NOTHING,
            exit_code=container.exit_code,
            oom=container.oom and thorough,
            health=health,
            config_hash=container.labels.get(LABEL_HASH, ""),
            variant=container.labels.get(LABEL_CONSOLE, ""),
            ran_for=Seconds(self._loop.time() - container.started_at if container.running and thorough else 0.0),
            started=EPOCH_NS / 1e9 + container.started_at if container.running and thorough else 0.0,
            look=self._ties(container) if thorough else None,
            pid=container.pid if container.running and thorough else 0,
        )

    def _is_unit(self, container: Container) -> bool:
        return container.unit is not None if self.foreign is None else container.name in self.foreign

    def _ties(self, container: Container) -> Look:
        return Look(
            holds=container.joins,
            mounts=tuple(sorted(container.volumes)),
            address=container.address if container.running else "",
            created=EPOCH_NS / 1e9 + container.created_at,
            failed=container.error,
        )
