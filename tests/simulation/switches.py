"""A simulated host with two consoles, a storage container and user Docker, and what can go wrong in a switch."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supervisor.boot_app import boot_mode
from supervisor.config.parsing import user_docker_spec
from supervisor.config.settings import Settings, UserDockerSettings
from supervisor.engine.port import Engine, EngineError, UserDockerReport, UserEngine
from supervisor.logs.pipeline import Pipeline
from supervisor.runtime.loop import Inbox
from supervisor.state.choices import Choices
from supervisor.state.file import StateError
from tests.simulation.engine_model import FakeEngine, Program
from tests.simulation.host import Life, Recorder
from tests.simulation.running import SILENT, Machine, Memory, start
from units.events import ContainerDied, ContainerStarted, Event, HealthReported, Observed
from units.health import Health
from units.quantities import Seconds
from units.spec import (
    CONSOLE,
    PROCESS,
    USER_DOCKER,
    ContainerId,
    Kind,
    Place,
    Policy,
    Rebuild,
    RestartPolicy,
    StopPolicy,
    Switchable,
    UnitName,
    UnitSpec,
)
from units.switch.record import SwitchStep
from units.switch_events import SwitchAsked
from units.unit import Failure, Phase
from units.world import World

HASH = "h1"


class Disk(Memory):
    """A file of choices on a disk that may be full."""

    full = False

    def save(self, state: dict[str, Any]) -> None:
        if self.full:
            raise StateError("No space left on device")
        super().save(state)


@dataclass(eq=False)
class Process:
    """One dockerd of the user."""

    place: Place
    serving: bool = False
    alive: bool = True
    stops_after: float = 0.1
    containers: int = 2
    """Of the user; a clean end takes them along."""


class UserMachine:
    """What of user Docker outlives a supervisor: its process. ``barren``: places in which none ever serves."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.barren: set[str] = set()
        self.left = 0
        """Containers that run, and that no dockerd owns."""
        self.stuck = False
        """What is left cannot be ended."""
        self.clearings: list[tuple[Seconds, bool]] = []
        self.faults: list[str] = []
        self.watcher: FakeUserEngine | None = None
        """Who learns of its end: the supervisor that started or adopted it last."""

    @property
    def alive(self) -> Process | None:
        return self.process if self.process is not None and self.process.alive else None


class FakeUserEngine:
    """Implements ``supervisor.engine.port.UserEngine`` for one supervisor."""

    def __init__(self, machine: UserMachine, engine: FakeEngine, inbox: Inbox) -> None:
        self._machine = machine
        self._engine = engine
        self._inbox = inbox
        self._hash = HASH
        self._closed = False

    report = UserDockerReport()

    async def engines(self, _container: ContainerId) -> list[dict[str, str]]:
        return []

    def tail(self, _lines: int) -> tuple[str, ...]:
        return ()

    def prepare(self, _body: str, config_hash: str) -> None:
        self._hash = config_hash

    async def start(self, place: Place, cause: str) -> None:
        facts = await self._engine.context(place.container)
        if not facts.running:
            raise EngineError(Failure.OTHER, "the context does not run")
        if self._machine.alive is not None:
            await self._end(self._machine.alive, 0)
        if self._machine.left:
            self._machine.faults.append("a dockerd was started over containers that an earlier one left")
        await asyncio.sleep(0.01)
        if place.engine == "bad":
            raise EngineError(Failure.UNRECOVERABLE, "there is no engine 'bad'")
        process = self._machine.process = Process(place)
        self._machine.watcher = self
        self._tell(ContainerStarted(USER_DOCKER, PROCESS), cause)
        if f"{place.context}:{place.engine}" not in self._machine.barren:
            asyncio.get_running_loop().call_later(0.4, self._serve, process)

    def _serve(self, process: Process) -> None:
        if process.alive:
            process.serving = True
            if self._machine.watcher is not None:
                self._machine.watcher._tell(HealthReported(USER_DOCKER, PROCESS, Health.HEALTHY))

    async def clear(self, _place: Place | None, grace: Seconds, *, everything: bool) -> None:
        machine = self._machine
        machine.clearings.append((grace, everything))
        if machine.alive is not None:
            await self._end(machine.alive, 0)
        await asyncio.sleep(0.01 if not machine.left else min(grace, 1.0))
        if machine.stuck:
            raise EngineError(Failure.OTHER, "1 containers (db) of an ended dockerd are still running after SIGKILL")
        machine.left = 0

    def signal(self, name: str) -> None:
        process = self._machine.alive
        if process is None:
            raise EngineError(Failure.NOT_RUNNING, "user Docker is not running")
        later = asyncio.get_running_loop().call_later
        later(0.01 if name == "SIGKILL" else process.stops_after, self.die, process, 137 if name == "SIGKILL" else 0)

    def die(self, process: Process, code: int) -> None:
        if process.alive and self._machine.watcher is not None:
            process.alive = False
            self._machine.left += process.containers if code == 137 else 0
            self._machine.watcher._tell(ContainerDied(USER_DOCKER, PROCESS, code))

    async def _end(self, process: Process, code: int) -> None:
        await asyncio.sleep(process.stops_after)
        self.die(process, code)

    async def observed(self) -> tuple[Observed, ...]:
        process = self._machine.alive
        self._machine.watcher = self
        health = Health.HEALTHY if process is not None and process.serving else Health.STARTING
        displaced = ""
        if process is not None:
            container = self._engine.containers.get(process.place.container)
            displaced = "" if container is not None and container.running else "its context is gone"
        return (
            Observed(
                USER_DOCKER,
                PROCESS,
                USER_DOCKER,
                running=process is not None,
                created=False,
                health=health,
                config_hash=self._hash,
                displaced=displaced,
            ),
        )

    async def check_console(self, _body: str, parked: ContainerId | None, engine: str, name: str) -> tuple[str, ...]:
        found = await self._engine.files("{}", parked, ("/usr/sbin/iptables",))
        return () if found and engine != "bad" else (f"user Docker cannot start in {name}",)

    async def check(self, container: ContainerId, _engine: str) -> tuple[str, ...]:
        facts = await self._engine.context(container)
        return () if facts.running else ("it does not run",)

    async def check_engine(self, _container: ContainerId, name: str) -> tuple[str, ...]:
        return ("there is no engine 'bad'",) if name == "bad" else ()

    def close(self) -> None:
        self._closed = True

    def _tell(self, event: Event, cause: str = "") -> None:
        if not self._closed:
            self._inbox.put(event, cause=cause)


def spec_of(name: str, variant: str = "", rebuild: Rebuild = Rebuild.NEVER) -> UnitSpec:
    unit = CONSOLE if variant else UnitName(name)
    labels = f'{{"dockwarden.unit": "{unit}", "dockwarden.config-hash": "{HASH}", "dockwarden.console": "{variant}"}}'
    return UnitSpec(
        unit,
        Kind.CONSOLE if variant else Kind.SERVICE,
        f"{name}-image",
        f'{{"Image": "{name}-image", "Labels": {labels}}}',
        HASH,
        restart=RestartPolicy(Policy.ALWAYS, probe=Seconds(70)),
        stop=StopPolicy(timeout=Seconds(3)),
        rebuild=rebuild,
        container_name=name,
        variant=variant,
    )


CONSOLES = (
    spec_of("console", "default", Rebuild.ALWAYS),
    spec_of("other-console", "other"),
    spec_of("broken-console", "broken"),
    spec_of("sick-console", "sick"),
)
DOCKER = UserDockerSettings()
SETTINGS = Settings(
    units=(CONSOLES[0], spec_of("gluster"), user_docker_spec(DOCKER, RestartPolicy(probe=Seconds(70)))),
    consoles=CONSOLES,
    user_docker=DOCKER,
)
PROGRAMS = {
    "broken-console-image": Program(lambda _: 0.05, (1,)),
    "sick-console-image": Program(healthy_after=float("inf")),
}
IMAGES = {f"{name}-image" for name in ("console", "other-console", "broken-console", "sick-console", "gluster")}


class SwitchingHost:
    """An engine, user Docker's process, a state file and a file of choices that survive; supervisors come and go."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.engine = FakeEngine(chance, order=chance.choice(("20.10", "26.1")), programs=PROGRAMS, images=set(IMAGES))
        self.disk, self.machine = Disk(), UserMachine()
        self.host_files = Machine(chance, self.engine, choices=self.disk)
        self.life: Life | None = None
        self.lives: list[Life] = []
        self.choices: Choices | None = None
        self.user: FakeUserEngine | None = None
        self.settings = SETTINGS
        """What the files say."""

    def boot(self) -> None:
        options = self.host_files.options()
        outside = self.host_files.outside(lambda _: self.settings, self._make_user_docker)
        mode = boot_mode(options, self.settings, outside, SILENT, Pipeline(()))
        recorder = Recorder()
        running = start(options, mode, outside, recorder)
        recorder.first = running.world
        self.choices = running.host.choices
        self.life = Life(running.host, running.task, recorder)
        self.lives.append(self.life)

    def _make_user_docker(self, _engine: Engine, inbox: Inbox) -> UserEngine:
        self.user = FakeUserEngine(self.machine, self.engine, inbox)
        return self.user

    @property
    def world(self) -> World:
        assert self.life is not None
        return self.life.world

    def ask(self, of: Switchable, target: str, *, anew: bool = False, empty: bool = False) -> None:
        assert self.life is not None
        self.life.host.inbox.put(SwitchAsked(of, target, anew=anew, empty=empty))

    async def kill9(self) -> None:
        assert self.life is not None
        life, self.life = self.life, None
        await life.kill9()

    async def until(self, holds: Callable[[], bool], seconds: float, pause: float = 0.25) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            if self.life is not None and self.life.task.done():
                self.life.task.result()
            if holds():
                return True
            await asyncio.sleep(pause)
        return holds()

    def whole(self) -> bool:
        """No switch is under way, the console is ready and user Docker serves."""
        units = self.world.units
        ready = all(units[name].phase is Phase.READY for name in (CONSOLE, USER_DOCKER))
        return self.world.engine_up and self.world.switch is None and ready

    def faults(self) -> list[str]:
        """What is wrong with a host that should be whole."""
        assert self.choices is not None
        told = [*self.machine.faults]
        world = self.world
        if not self.whole():
            told.append(f"not whole: {[(unit.name, unit.phase, unit.reason) for unit in world.units.values()]}")
        running = [one.labels["dockwarden.console"] for one in self.engine.live(CONSOLE)]
        chosen = self.choices.chosen(Switchable.CONSOLE)
        if running != [chosen]:
            told.append(f"the consoles {running} run, {chosen} is chosen")
        process = self.machine.alive
        docker = world.units[USER_DOCKER]
        context = world.units[docker.spec.context] if docker.spec.context else None
        if process is None or context is None or process.place.container != context.container:
            told.append(
                f"user Docker runs in {process and process.place}, its context is {context and context.container}"
            )
        if docker.spec.context != self.choices.chosen(Switchable.STORAGE):
            told.append(f"the context is {docker.spec.context}, another one is chosen")
        if process is not None and process.place.engine != self.choices.chosen(Switchable.ENGINE):
            told.append(f"the engine is {process.place.engine!r}, another one is chosen")
        if self.life is not None and self.life.recorder.replay() != world:
            told.append("a replay gives another world")
        if self.life is not None:
            told += self.life.recorder.undecided()
        return told


STEPS = tuple(SwitchStep)
