"""What the supervisor relies on in an engine: the same tests for the fake one and for real ones of two versions.

So a simulation proves something: whatever the fake does here, a real engine does too.
"""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
import uvloop

from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import Blueprint, Engine, EngineError, EngineMessage
from tests.bed import engines, images
from tests.bed.bed import Bed
from tests.bed.bed import Engine as BedEngine
from tests.bed.rootless import RootlessEngine
from tests.simulation.engine_model import FakeEngine, Order, Program
from tests.simulation.virtual_loop import run as run_virtually
from units.events import ContainerDied, ContainerKilled, HealthReported, Observed
from units.health import Health
from units.labels import LABEL_HASH, LABEL_UNIT
from units.quantities import Seconds
from units.spec import ContainerId, UnitName, Via
from units.unit import Beyond, Failure

T = TypeVar("T")
IMAGE = "busybox:contract"
PATIENCE = 90.0  # seconds until a test is taken for hung

UNTIL_FED, UNTIL_DONE = (f"until test -e /tmp/{file}; do sleep 0.05; done" for file in ("fed", "done"))


class Act(Enum):
    """What a container does: what the fake is told, and the command and more that make a real one do it."""

    OBEY = (
        Program(output=("up",)),
        {"Cmd": ["sh", "-c", "trap 'exit 0' TERM; echo up; sleep 1000 & wait"]},
    )
    IGNORE_TERM = (Program(term=None), {"Cmd": ["sleep", "1000"]})
    CRASH = (Program(lifetime=lambda _: 0.1, exit_codes=(3,)), {"Cmd": ["sh", "-c", "sleep 0.1; exit 3"]})
    TALK = (
        Program(lifetime=lambda _: 0.1, output=("one", "two", "three")),
        {"Cmd": ["sh", "-c", "echo one; echo two; echo three"]},
    )
    LACK = (Program(), {"Cmd": ["/no/such/command"]})
    EAT = (
        Program(lifetime=lambda _: 0.1, ooms=1),
        {
            "Cmd": ["sh", "-c", f"{UNTIL_FED}; exec tail /dev/zero"],
            "HostConfig": {"Memory": 16 << 20, "MemorySwap": 16 << 20},
        },
    )
    FEED_A_CHILD = (
        Program(),
        {
            "Cmd": ["sh", "-c", f"{UNTIL_FED}; (tail /dev/zero); {UNTIL_DONE}; exit 7"],
            "HostConfig": {"Memory": 16 << 20, "MemorySwap": 16 << 20},
        },
    )
    SICKEN = (
        Program(healthy_after=0.2, sick_after=1.0),
        {
            "Cmd": ["sh", "-c", "trap 'exit 0' TERM; (sleep 1.5; touch /tmp/sick; sleep 1000) & wait"],
            "Healthcheck": {"Test": ["CMD-SHELL", "! test -e /tmp/sick"], "Interval": 200_000_000, "Retries": 1},
        },
    )


class Rig(Protocol):
    """An engine under test, and what the world does to it behind its back."""

    order: Order
    version: str
    """Of the engine: its first two numbers."""

    def run(self, main: Callable[[Engine], Coroutine[Any, Any, T]], acts: dict[str, Act]) -> T:
        """Give an engine to ``main``, in which units behave as told."""
        ...

    async def stop(self, name: str) -> None: ...
    async def restart(self, name: str) -> None: ...
    async def pause(self, name: str) -> None: ...
    async def unpause(self, name: str) -> None: ...
    async def run_foreign(self, name: str) -> None: ...
    async def feed(self, name: str, *, child: bool = False) -> None:
        """It, or a child of it, takes more memory than it may."""
        ...

    async def release(self, name: str) -> None:
        """Its child is over: it ends by itself."""
        ...

    async def die_unseen(self, name: str) -> None:
        """The container's process ends while the engine is away, gracefully, for a moment."""
        ...

    async def kill_engine(self) -> None: ...
    async def revive_engine(self) -> None: ...
    def archive(self, tmp_path: Path, suffix: str, tag: str) -> str:
        """An image to be loaded."""
        ...


class FakeRig:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.version = str(order)
        self._archives: dict[str, list[str]] = {}

    def run(self, main: Callable[[Engine], Coroutine[Any, Any, T]], acts: dict[str, Act]) -> T:
        async def with_engine() -> T:
            self._engine = FakeEngine(
                random.Random(1),
                order=self.order,
                programs={unit: act.value[0] for unit, act in acts.items()},
                images={IMAGE},
                archives=self._archives,
            )
            return await main(self._engine)

        result: T = run_virtually(with_engine())
        return result

    async def stop(self, name: str) -> None:
        self._engine.person_stop(name)

    async def restart(self, name: str) -> None:
        self._engine.person_restart(name)

    async def pause(self, name: str) -> None:
        self._engine.person_pause(name)

    async def unpause(self, name: str) -> None:
        self._engine.person_unpause(name)

    async def run_foreign(self, name: str) -> None:
        self._engine.person_run(name)

    async def feed(self, name: str, *, child: bool = False) -> None:
        if child:
            self._engine.oom(name, main=False)

    async def release(self, name: str) -> None:
        self._engine.crash(name, 7)

    async def die_unseen(self, name: str) -> None:
        self._engine.engine_down()
        self._engine.crash(name, 137)
        self._engine.engine_up()

    async def kill_engine(self) -> None:
        self._engine.engine_down()

    async def revive_engine(self) -> None:
        self._engine.engine_up()

    def archive(self, tmp_path: Path, suffix: str, tag: str) -> str:
        path = str(tmp_path / f"image.tar{suffix}")
        self._archives[path] = [tag]
        return path


class RealRig:
    def __init__(self, engine: BedEngine) -> None:
        self.order: Order = "20.10" if engine.version.startswith("20.") else "26.1"
        self.version = engine.version
        self._engine = engine
        self._docker = engine.docker

    def run(self, main: Callable[[Engine], Coroutine[Any, Any, T]], acts: dict[str, Act]) -> T:
        del acts

        async def with_engine() -> T:
            engine = DockerEngine(f"unix://{self._engine.socket}")
            try:
                await engine.info()  # Each connection begins so: some engines serve no version that others do.
                return await main(engine)
            finally:
                await engine.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(with_engine())

    async def stop(self, name: str) -> None:
        await asyncio.to_thread(self._docker.post, f"/containers/{name}/stop?t=1")

    async def restart(self, name: str) -> None:
        await asyncio.to_thread(self._docker.post, f"/containers/{name}/restart?t=1")

    async def pause(self, name: str) -> None:
        await asyncio.to_thread(self._docker.post, f"/containers/{name}/pause")

    async def unpause(self, name: str) -> None:
        await asyncio.to_thread(self._docker.post, f"/containers/{name}/unpause")

    async def run_foreign(self, name: str) -> None:
        config = {"Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        await asyncio.to_thread(self._docker.run, name, IMAGE, config)

    async def feed(self, name: str, *, child: bool = False) -> None:
        del child
        await self._touch(name, "fed")

    async def release(self, name: str) -> None:
        await self._touch(name, "done")

    async def _touch(self, name: str, file: str) -> None:
        pid = self._docker.inspect(name)["State"]["Pid"]
        await asyncio.to_thread(self._engine.bed.run, ["touch", f"/proc/{pid}/root/tmp/{file}"])

    async def die_unseen(self, name: str) -> None:
        pid = self._docker.inspect(name)["State"]["Pid"]
        await asyncio.to_thread(self._engine.terminate)
        # Until its shim has reaped it: one that still ends as the engine comes up is reported by that engine.
        ended = f"kill -9 {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.05; done"
        await asyncio.to_thread(self._engine.bed.run, ["sh", "-c", ended])
        await asyncio.to_thread(self._engine.start)

    async def kill_engine(self) -> None:
        await asyncio.to_thread(self._engine.kill)

    async def revive_engine(self) -> None:
        await asyncio.to_thread(self._engine.start)

    def archive(self, tmp_path: Path, suffix: str, tag: str) -> str:
        return str(images.busybox_tar(tmp_path / f"image.tar{suffix}", tag))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        newer = engines.NEWER if metafunc.config.getoption("--every-engine") else ()
        versions = metafunc.config.getoption("--engine-version") or (*engines.default_versions(), *newer)
        kinds = ["fake-20.10", "fake-26.1", *(f"real-{version}" for version in versions)]
        if metafunc.config.getoption("--rootless"):
            kinds = [f"rootless-{engines.system_version()}"]
        metafunc.parametrize("kind", kinds, scope="module")


@pytest.fixture(scope="module")
def rig(kind: str) -> Iterator[Rig]:
    where, _, version = kind.partition("-")
    if where == "fake":
        yield FakeRig("20.10" if version == "20.10" else "26.1")
        return
    with Bed() as bed:
        engine = (RootlessEngine(bed) if where == "rootless" else bed.engine(version)).start()
        engine.docker.load(images.busybox_tar(bed.dir / "busybox.tar", IMAGE))
        yield RealRig(engine)


@pytest.fixture
def cgroups(kind: str) -> None:
    """What limits and pauses need."""
    if kind.startswith("rootless") and Path("/sys/fs/cgroup/memory").exists():
        pytest.skip("a rootless engine on cgroup v1 has no limits and cannot pause")


@pytest.fixture
def outlived(kind: str) -> None:
    """Containers that live on without their engine."""
    if kind.startswith("rootless"):
        pytest.skip("a rootless engine's containers end with the namespaces that it runs in")


pytestmark = pytest.mark.every_engine

NUMBERS = itertools.count()


def fresh(word: str) -> str:
    """A unit's name that no other test has."""
    return f"{word}-{next(NUMBERS)}"


def body(unit: str, act: Act, image: str = IMAGE) -> str:
    more: dict[str, Any] = act.value[1]
    host = {"NetworkMode": "none", **more.get("HostConfig", {})}
    labels = {LABEL_UNIT: unit, LABEL_HASH: f"hash-of-{unit}"}
    return json.dumps({"Image": image, "Labels": labels, **more, "HostConfig": host})


def in_words(heard: EngineMessage) -> str:
    match heard.fact:
        case ContainerKilled(signal=signal):
            return f"kill {signal}"
        case ContainerDied(exit_code=code):
            return f"die {code}"
        case HealthReported(health=health):
            return str(health)
        case _:
            return heard.kind


class Ear:
    """Listens for one unit."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._news = asyncio.Event()
        self.heard: list[EngineMessage] = []
        self.also: Callable[[EngineMessage], None] = lambda _: None

    async def until(self, last: str, *others: str) -> list[str]:
        """All it has heard, once it has heard each of these."""
        while not {last, *others} <= set(map(in_words, self.heard)):
            self._news.clear()
            await self._news.wait()
        return [in_words(heard) for heard in self.heard]

    def hear(self, heard: EngineMessage) -> None:
        assert heard.kind != "other", "the engine has sent what was not asked for"
        if heard.fact is not None and heard.fact.unit == self._unit:
            self.heard.append(heard)
            self.also(heard)
            self._news.set()


@contextlib.asynccontextmanager
async def ear(engine: Engine, unit: str, since_ns: int | None = None) -> AsyncIterator[Ear]:
    """From the moment it is entered, nothing is missed."""
    heard = Ear(unit)
    async with engine.events(since_ns) as hand_over, asyncio.timeout(PATIENCE):
        listening = asyncio.ensure_future(hand_over(heard.hear))
        try:
            yield heard
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


def lives(rig: Rig, act: Act, live: Callable[[Engine, Ear, str, ContainerId], Coroutine[Any, Any, T]]) -> T:
    """Create and start a container, listening, and see what it does with ``live``; its name is its unit's."""
    unit = fresh(act.name.lower().replace("_", "-"))

    async def main(engine: Engine) -> T:
        async with ear(engine, unit) as heard:
            container = await engine.create(unit, body(unit, act))
            await engine.start(container)
            if act is Act.OBEY:
                await until_up(engine, container)
            return await live(engine, heard, unit, container)

    return rig.run(main, {unit: act})


async def until_up(engine: Engine, container: ContainerId) -> None:
    """Until its program has set its trap: the first process of a container is deaf to all else."""
    lines = engine.logs(container, tail=10, follow=True)
    async for line in lines:
        if line.text == "up":
            break
    await lines.aclose()  # type: ignore[attr-defined]


async def failure(call: Coroutine[Any, Any, object]) -> Failure:
    with pytest.raises(EngineError) as caught:
        await call
    return caught.value.failure


def ended(words: list[str], *, die: str) -> list[str]:
    """The words with the end of a stop call in one order: 26.1 mostly tells ``stop`` first, and under load ``die``."""
    at = min(words.index("stop"), words.index(die))
    assert {*words[at : at + 2]} == {"stop", die}
    return [*words[:at], die, "stop", *words[at + 2 :]]


def test_a_container_tells_its_life(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await engine.signal(container, "KILL")
        await heard.until("die 137")
        await engine.remove(container)
        assert await heard.until("destroy") == ["create", "start", "kill 9", "die 137", "destroy"]
        facts = [each.fact for each in heard.heard]
        assert {(fact.unit, fact.container) for fact in facts if fact} == {(unit, container)}
        assert getattr(facts[0], "config_hash", "") == f"hash-of-{unit}"
        stamps = [each.at for each in heard.heard]
        assert stamps == sorted(stamps)
        assert len({(each.at, each.key) for each in heard.heard}) == 5

    lives(rig, Act.OBEY, live)


def test_a_crash_is_a_die_alone(rig: Rig) -> None:
    async def live(_engine: Engine, heard: Ear, _unit: str, _container: ContainerId) -> None:
        assert await heard.until("die 3") == ["create", "start", "die 3"]

    lives(rig, Act.CRASH, live)


def test_a_stop_tells_stop_and_die(rig: Rig) -> None:
    async def live(_engine: Engine, heard: Ear, unit: str, _container: ContainerId) -> None:
        await rig.stop(unit)
        words = ended(await heard.until("stop", "die 0"), die="die 0")
        assert words == ["create", "start", "kill 15", "die 0", "stop"]

    lives(rig, Act.OBEY, live)


def test_a_stop_that_is_ignored_ends_in_a_kill(rig: Rig) -> None:
    async def live(_engine: Engine, heard: Ear, unit: str, _container: ContainerId) -> None:
        await rig.stop(unit)
        words = await heard.until("stop", "die 137")
        assert ended(words, die="die 137") == ["create", "start", "kill 15", "kill 9", "die 137", "stop"]

    lives(rig, Act.IGNORE_TERM, live)


def test_a_restart_is_a_stop_and_a_start(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await heard.until("start")
        heard.heard.clear()
        await rig.restart(unit)
        assert ended(await heard.until("start"), die="die 0") == ["kill 15", "die 0", "stop", "start"]
        await engine.remove(container)

    lives(rig, Act.OBEY, live)


@pytest.mark.usefixtures("cgroups")
def test_a_pause_is_told_and_shown(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await rig.pause(unit)
        await heard.until("pause")
        for thorough in (False, True):
            (seen,) = await observed(engine, unit, thorough=thorough)
            assert (seen.running, seen.beyond) == (True, Beyond.PAUSED)
        assert await failure(engine.exec_create(container, ("true",))) is Failure.CONFLICT
        await rig.unpause(unit)
        assert await heard.until("unpause") == ["create", "start", "pause", "unpause"]
        (seen,) = await observed(engine, unit, thorough=True)
        assert (seen.running, seen.beyond) == (True, Beyond.NOTHING)
        await engine.remove(container)

    lives(rig, Act.OBEY, live)


@pytest.mark.usefixtures("cgroups")
def test_a_stop_signal_lets_a_paused_container_go_on(rig: Rig) -> None:
    """So that it is stopped like any other one: by its signal, and killed if it ignores it."""

    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await rig.pause(unit)
        await heard.until("pause")
        await engine.signal(container, "SIGTERM")
        assert sorted(await heard.until("die 0", "unpause")) == sorted(
            ["create", "start", "pause", "kill 15", "unpause", "die 0"]
        )
        await engine.start(container)
        await rig.pause(unit)
        await engine.signal(container, "SIGKILL")
        await heard.until("die 137")
        await engine.start(container)
        await rig.pause(unit)
        await engine.restart(container, Seconds(1))
        (seen,) = await observed(engine, unit, thorough=True)
        assert (seen.running, seen.beyond) == (True, Beyond.NOTHING)
        await engine.remove(container)

    lives(rig, Act.OBEY, live)


def test_a_running_container_can_be_removed(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, _unit: str, container: ContainerId) -> None:
        await engine.remove(container)
        assert await heard.until("destroy") == ["create", "start", "kill 9", "die 137", "destroy"]
        assert await failure(engine.remove(container)) is Failure.NOT_FOUND

    lives(rig, Act.IGNORE_TERM, live)


@pytest.mark.usefixtures("cgroups")
def test_the_kernel_kills_who_eats_too_much(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await rig.feed(unit)
        words = await heard.until("oom", "die 137")
        assert sorted(set(words)) == ["create", "die 137", "oom", "start"]
        (seen,) = await observed(engine, unit, thorough=True)
        assert plain(seen) == Observed(**whose(unit, container), running=False, created=False, exit_code=137, oom=True)

    lives(rig, Act.EAT, live)


@pytest.mark.usefixtures("cgroups")
def test_an_oom_need_not_be_the_end(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await rig.feed(unit, child=True)
        await heard.until("oom")
        await rig.release(unit)
        words = await heard.until("oom", "die 7")
        assert (words.index("oom"), words[-1]) == (2, "die 7")
        (seen,) = await observed(engine, unit, thorough=True)
        assert plain(seen) == Observed(**whose(unit, container), running=False, created=False, exit_code=7, oom=True)

    lives(rig, Act.FEED_A_CHILD, live)


def test_health_is_told_on_change(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        assert (await engine.look(container)).health is not Health.NONE
        words = await heard.until("unhealthy")
        assert words == ["create", "start", "healthy", "unhealthy"]
        for thorough in (True, False):
            (seen,) = await observed(engine, unit, thorough=thorough)
            assert seen.health is Health.UNHEALTHY
        await engine.remove(container)

    lives(rig, Act.SICKEN, live)


def test_a_declared_check_is_known_before_the_first_start(rig: Rig) -> None:
    unit, plain = fresh("checked"), fresh("plain")

    async def main(engine: Engine) -> None:
        container = await engine.create(unit, body(unit, Act.SICKEN))
        assert (await engine.look(container)).health is Health.STARTING
        assert [seen.health for seen in await observed(engine, unit, thorough=True)] == [Health.STARTING]
        container = await engine.create(plain, body(plain, Act.OBEY))
        assert (await engine.look(container)).health is Health.NONE
        assert [seen.health for seen in await observed(engine, plain, thorough=True)] == [Health.NONE]

    rig.run(main, {unit: Act.SICKEN, plain: Act.OBEY})


def whose(unit: str, container: ContainerId) -> dict[str, Any]:
    return {"unit": UnitName(unit), "container": container, "name": unit, "config_hash": f"hash-of-{unit}"}


def plain(seen: Observed) -> Observed:
    """Without what differs from run to run, and from engine to engine."""
    return replace(seen, ran_for=Seconds(0), started=0.0, pid=0, look=None, hint=False)


async def observed(engine: Engine, unit: str, *, thorough: bool) -> list[Observed]:
    return [seen for seen in await engine.snapshot(thorough=thorough) if seen.unit == unit]


def test_a_snapshot_tells_how_things_are(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        for thorough in (True, False):  # The other way round the first look would ask for its pid.
            (seen,) = await observed(engine, unit, thorough=thorough)
            assert (seen.ran_for > 0) == thorough
            assert seen.ran_for < PATIENCE
            expected = Observed(**whose(unit, container), running=True, created=False)
            assert (seen.started > 0, seen.look is not None) == (thorough, thorough)
            assert plain(seen) == expected
        await engine.signal(container, "SIGKILL")
        await heard.until("die 137")
        for thorough in (False, True):
            (seen,) = await observed(engine, unit, thorough=thorough)
            assert plain(seen) == Observed(**whose(unit, container), running=False, created=False, exit_code=137)
        other = await engine.create(f"{unit}_", body(unit, Act.OBEY))
        for thorough in (False, True):
            found = await observed(engine, unit, thorough=thorough)
            assert {(each.container, each.created) for each in found} == {(container, False), (other, True)}

    lives(rig, Act.OBEY, live)


def test_containers_of_others_are_none_of_our_business(rig: Rig) -> None:
    foreign, unit = fresh("foreign"), fresh("ours")

    async def main(engine: Engine) -> None:
        async with ear(engine, unit) as heard:
            await rig.run_foreign(foreign)
            container = await engine.create(unit, body(unit, Act.OBEY))
            assert await heard.until("create") == ["create"]
        assert foreign not in {seen.name for seen in await engine.snapshot(thorough=True)}
        assert await engine.owner(foreign) is None
        assert await engine.owner(unit) == unit
        assert await failure(engine.owner("nobody")) is Failure.NOT_FOUND
        assert await failure(engine.owner(container[:12])) is Failure.NOT_FOUND, "it is an id, not a name"

    rig.run(main, {})


def test_a_stream_replays_from_a_moment_on_inclusively(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await engine.remove(container)
        await heard.until("destroy")
        start, *later = heard.heard[1:]
        async with ear(engine, unit, start.at) as again:
            assert await again.until("destroy") == ["start", "kill 9", "die 137", "destroy"]
            assert again.heard == [start, *later]
        async with ear(engine, unit, start.at + 1) as again:
            assert await again.until("destroy") == ["kill 9", "die 137", "destroy"]

    lives(rig, Act.OBEY, live)


@pytest.mark.usefixtures("outlived")
def test_a_restart_of_the_engine_loses_what_was_told(rig: Rig) -> None:
    dying, staying = fresh("dying"), fresh("staying")

    async def main(engine: Engine) -> None:
        containers = [await engine.create(unit, body(unit, Act.IGNORE_TERM)) for unit in (dying, staying)]
        async with ear(engine, staying) as heard:
            for container in containers:
                await engine.start(container)
            await heard.until("start")
        await rig.die_unseen(dying)
        async with ear(engine, dying, heard.heard[0].at) as again:
            assert [seen.running for seen in await observed(engine, staying, thorough=True)] == [True]
            assert [seen.running for seen in await observed(engine, dying, thorough=True)] == [False]
            await engine.remove(containers[0])
            # Seldom an engine comes up before the end has reached it, and tells of it then.
            assert await again.until("destroy") in (["destroy"], ["die 137", "destroy"])

    rig.run(main, {dying: Act.IGNORE_TERM, staying: Act.IGNORE_TERM})


def test_a_cut_stream_and_a_missing_engine_are_told(rig: Rig) -> None:
    async def main(engine: Engine) -> None:
        async with engine.events(None) as hand_over:
            await rig.kill_engine()
            with pytest.raises(EngineError) as caught:
                await hand_over(lambda _: None)
        assert caught.value.failure is Failure.UNREACHABLE
        for call in (
            engine.info(),
            engine.snapshot(thorough=True),
            engine.create("nobody", body("nobody", Act.OBEY)),
            engine.start(ContainerId("nobody")),
            engine.signal(ContainerId("nobody"), "TERM"),
            engine.events(None).__aenter__(),
        ):
            assert await failure(as_coroutine(call)) is Failure.UNREACHABLE
        await rig.revive_engine()
        assert (await engine.info()).version.startswith(rig.version)
        assert await failure(engine.start(ContainerId("nobody"))) is Failure.NOT_FOUND

    rig.run(main, {})


async def as_coroutine(call: Any) -> object:
    return await call


def test_refusals_are_told_apart(rig: Rig) -> None:
    unit, lacking = fresh("refused"), fresh("lacking")

    async def main(engine: Engine) -> None:
        missing = body(unit, Act.OBEY, image="nowhere/no-such-image:1")
        assert await failure(engine.create(unit, missing)) is Failure.IMAGE_MISSING
        assert await failure(engine.create(unit, "no JSON")) in {Failure.UNRECOVERABLE, Failure.OTHER}
        container = await engine.create(unit, body(unit, Act.OBEY))
        assert await failure(engine.create(unit, body(unit, Act.OBEY))) is Failure.NAME_TAKEN
        assert await failure(engine.signal(container, "KILL")) is Failure.NOT_RUNNING
        await engine.start(container)
        assert await failure(engine.start(container)) is Failure.CONFLICT
        other = await engine.create(lacking, body(lacking, Act.LACK))
        assert await failure(engine.rename(other, unit)) is Failure.NAME_TAKEN
        nobody = ContainerId("0" * 64)
        assert await failure(engine.start(nobody)) is Failure.NOT_FOUND
        assert await failure(engine.signal(nobody, "KILL")) is Failure.NOT_FOUND
        assert await failure(engine.rename(nobody, "somebody")) is Failure.NOT_FOUND
        assert await failure(engine.remove(nobody)) is Failure.NOT_FOUND
        assert await failure(engine.look(nobody)) is Failure.NOT_FOUND

    rig.run(main, {unit: Act.OBEY, lacking: Act.LACK})


def test_a_start_that_is_refused_leaves_no_event_behind(rig: Rig) -> None:
    unit = fresh("lacking")

    async def main(engine: Engine) -> None:
        async with ear(engine, unit) as heard:
            container = await engine.create(unit, body(unit, Act.LACK))
            assert await failure(engine.start(container)) is Failure.UNRECOVERABLE
            assert [(seen.created, seen.running) for seen in await observed(engine, unit, thorough=True)] == [
                (True, False)
            ]
            await engine.remove(container)
            assert await heard.until("destroy") == ["create", "destroy"]

    rig.run(main, {unit: Act.LACK})


def test_a_signal_that_nobody_dies_of_is_told_too(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, _unit: str, container: ContainerId) -> None:
        await engine.signal(container, "WINCH")
        await heard.until("kill 28")
        await engine.signal(container, "SIGTERM")
        assert await heard.until("die 0") == ["create", "start", "kill 28", "kill 15", "die 0"]

    lives(rig, Act.OBEY, live)


def test_a_renamed_container_keeps_its_unit(rig: Rig) -> None:
    async def live(engine: Engine, _heard: Ear, unit: str, container: ContainerId) -> None:
        await engine.rename(container, f"{unit}_moved")
        assert [seen.name for seen in await observed(engine, unit, thorough=False)] == [f"{unit}_moved"]
        assert await engine.owner(f"{unit}_moved") == unit
        await engine.remove(container)

    lives(rig, Act.IGNORE_TERM, live)


def test_output_can_be_read_and_followed(rig: Rig) -> None:
    async def live(engine: Engine, heard: Ear, _unit: str, container: ContainerId) -> None:
        followed = [line.text async for line in engine.logs(container, tail=100, follow=True)]
        assert followed == ["one", "two", "three"]
        await heard.until("die 0")
        last = [(line.stream, line.text) async for line in engine.logs(container, tail=2, follow=False)]
        assert last == [("stdout", "two"), ("stdout", "three")]

    lives(rig, Act.TALK, live)


def test_output_has_stamps_and_can_be_read_on_from_one(rig: Rig) -> None:
    """Reading from a stamp brings the line of that stamp again, and all after it: none is skipped."""

    async def live(engine: Engine, heard: Ear, _unit: str, container: ContainerId) -> None:
        await heard.until("die 0")
        lines = [line async for line in engine.logs(container, tail=None, follow=False, since=0)]
        assert [(line.stream, line.text) for line in lines] == [("stdout", text) for text in ("one", "two", "three")]
        stamps = [line.at for line in lines]
        assert stamps == sorted(stamps)
        assert stamps[0] > 1_600_000_000_000_000_000
        for stamp in stamps:
            again = [line async for line in engine.logs(container, tail=None, follow=False, since=stamp)]
            assert again == [line for line in lines if line.at >= stamp]

    lives(rig, Act.TALK, live)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_an_image_archive_can_be_loaded(rig: Rig, tmp_path: Path, suffix: str) -> None:
    tag = f"loaded:{suffix.strip('.') or 'plain'}"
    path = rig.archive(tmp_path, suffix, tag)
    unit = fresh("loaded")

    async def main(engine: Engine) -> None:
        assert await engine.load(path) == [tag]
        await engine.create(unit, body(unit, Act.OBEY, image=tag))
        assert await failure(engine.load(str(tmp_path / "none.tar"))) is Failure.OTHER

    rig.run(main, {})


def test_an_image_that_no_registry_has_cannot_be_pulled(rig: Rig) -> None:
    async def main(engine: Engine) -> None:
        assert await failure(engine.pull("127.0.0.1:9/none:1")) in {Failure.IMAGE_MISSING, Failure.OTHER}

    rig.run(main, {})


def tied(unit: str, **host: Any) -> str:
    """A create body of a container that lives in another one's namespaces."""
    made = json.loads(body(unit, Act.OBEY))
    return json.dumps({**made, "HostConfig": {**made["HostConfig"], **host}})


def test_a_joined_container_is_known_by_its_id_and_must_run(rig: Rig) -> None:
    owner, member = fresh("owner"), fresh("member")

    async def main(engine: Engine) -> None:
        one = await engine.create(owner, body(owner, Act.OBEY))
        two = await engine.create(member, tied(member, NetworkMode=f"container:{owner}"))
        looked = (await engine.look(two)).look
        assert looked is not None
        assert looked.holds == ((Via.NET, one),)
        assert await failure(engine.start(two)) is Failure.CONFLICT
        await engine.start(one)
        await engine.start(two)
        await engine.signal(two, "KILL")
        await engine.stop(two, Seconds(1))
        await engine.remove(one)
        assert await failure(engine.start(two)) is Failure.STALE
        assert await failure(engine.restart(two, Seconds(1))) is Failure.STALE
        await engine.remove(two)

    rig.run(main, {owner: Act.OBEY, member: Act.OBEY})


def test_a_pid_namespace_ends_with_its_owner(rig: Rig) -> None:
    """Members first: the kernel lets an owner go when nobody is left in its namespace."""
    owner, member = fresh("owner"), fresh("member")

    async def main(engine: Engine) -> None:
        one = await engine.create(owner, body(owner, Act.OBEY))
        await engine.start(one)
        async with ear(engine, member) as heard:
            two = await engine.create(member, tied(member, PidMode=f"container:{owner}"))
            await engine.start(two)
            await engine.signal(one, "KILL")
            assert (await heard.until("die 137"))[-1] == "die 137"
        await engine.remove(two)
        await engine.remove(one)

    rig.run(main, {owner: Act.OBEY, member: Act.OBEY})


def test_a_restart_is_one_call(rig: Rig) -> None:
    """It comes back when the container runs again, also for one that did not run."""

    async def live(engine: Engine, heard: Ear, unit: str, container: ContainerId) -> None:
        await engine.restart(container, Seconds(3))
        words = await heard.until("die 0", "stop")
        while words.count("start") < 2:
            await asyncio.sleep(0.01)
            words = await heard.until("start")
        await engine.stop(container, Seconds(3))
        await engine.restart(container, None)
        (seen,) = await observed(engine, unit, thorough=False)
        assert seen.running
        assert await failure(engine.restart(ContainerId("0" * 64), None)) is Failure.NOT_FOUND
        await engine.remove(container)

    lives(rig, Act.OBEY, live)


def test_who_bears_a_name(rig: Rig) -> None:
    async def live(engine: Engine, _heard: Ear, unit: str, container: ContainerId) -> None:
        assert await engine.holder(unit) == container
        await engine.rename(container, f"{unit}-away")
        assert await engine.holder(unit) is None
        assert await engine.holder(container[:12]) is None  # The beginning of an id is no name.
        await engine.remove(container)

    lives(rig, Act.OBEY, live)


def test_files_are_found_without_a_start(rig: Rig) -> None:
    """In a container, and in one that would be made of a definition: none of it is left."""

    async def live(engine: Engine, _heard: Ear, unit: str, container: ContainerId) -> None:
        asked = ("/bin/busybox", "/no/such")
        assert await engine.files(body(unit, Act.OBEY), container, asked) == {"/bin/busybox"}
        before = await engine.snapshot(thorough=False)
        assert await engine.files(body(unit, Act.OBEY), None, asked) == {"/bin/busybox"}
        assert [one.container for one in await engine.snapshot(thorough=False)] == [one.container for one in before]
        await engine.remove(container)
        assert await failure(engine.files(body(unit, Act.OBEY), container, asked)) is Failure.NOT_FOUND

    lives(rig, Act.OBEY, live)


def test_a_command_is_run_in_a_container(rig: Rig) -> None:
    async def live(engine: Engine, _heard: Ear, _unit: str, container: ContainerId) -> None:
        where = await engine.whereabouts(container)
        assert where.pid > 0
        assert not where.host_network
        for words, code, said in ((("echo", "two", "words"), 0, "two words"), (("false",), 1, "")):
            begun = await engine.exec_create(container, words)
            assert await engine.exec_run(begun, 100) == said
            assert await engine.exec_exit(begun) == code
        hanging = await engine.exec_create(container, ("sleep", "1000"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await engine.exec_run(hanging, 100)
        assert await engine.exec_exit(hanging) is None
        await engine.remove(container)
        assert await failure(engine.exec_create(container, ("true",))) is Failure.NOT_FOUND

    lives(rig, Act.OBEY, live)


def test_a_replica_has_the_name_and_knows_whether_it_runs(rig: Rig) -> None:
    async def live(engine: Engine, _heard: Ear, unit: str, container: ContainerId) -> None:
        copied = await engine.replica(container, {})
        assert (copied.name, copied.running, copied.networks) == (unit, True, ())
        await engine.rename(container, f"{unit}-away")
        again = await engine.create(copied.name, copied.body)
        (first, second) = sorted([container, again])
        assert {seen.container for seen in await observed(engine, unit, thorough=True)} == {first, second}
        await engine.remove(container)
        await engine.remove(again)
        assert await failure(engine.replica(container, {})) is Failure.NOT_FOUND

    lives(rig, Act.OBEY, live)


def test_a_successor_goes_on_with_the_volumes_of_its_predecessor(rig: Rig) -> None:
    """And where that is gone, with those that others took from it."""

    async def live(engine: Engine, _heard: Ear, unit: str, container: ContainerId) -> None:
        place = f"/{unit}"
        plain = json.dumps({**json.loads(body(unit, Act.OBEY)), "Volumes": {place: {}}})
        await engine.remove(container)

        async def mounted(one: ContainerId) -> str:
            look = (await engine.look(one)).look
            assert look is not None
            return dict(look.mounts)[place]

        first = await engine.create(unit, plain)
        volume = await mounted(first)
        wanted = await engine.successor(Blueprint(unit, plain, first))
        await engine.rename(first, f"{unit}-away")
        second = await engine.create(unit, wanted.body)
        assert await mounted(second) == volume
        taker = await engine.create(f"{unit}-taker", tied(unit, VolumesFrom=[unit]))
        for one in (first, second):
            await engine.remove(one)
        wanted = await engine.successor(Blueprint(unit, plain, second, (taker,)))
        third = await engine.create(unit, wanted.body)
        assert await mounted(third) == volume
        for one in (third, taker):
            await engine.remove(one)
        assert volume not in (await engine.successor(Blueprint(unit, plain, third, (taker,)))).body
        wanted = await engine.successor(Blueprint(unit, plain, third, volumes=((place, volume),)))
        fourth = await engine.create(unit, wanted.body)
        assert await mounted(fourth) == volume
        await engine.remove(fourth)

    lives(rig, Act.OBEY, live)
