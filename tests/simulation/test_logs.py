"""Who follows the logs of a host reads each line once, whatever becomes of containers and engine."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from supervisor.http.control.logs import LogFilter, Logs
from supervisor.journal.journal import Journal
from supervisor.logs.merge import HOLD, Item
from tests.simulation.engine_model import EPOCH_NS, FakeEngine, Faults, Program
from tests.simulation.host import SimulatedHost, body
from tests.simulation.running import SILENT
from tests.simulation.virtual_loop import run
from units.quantities import Seconds
from units.spec import Kind, Policy, RestartPolicy, UnitName, UnitSpec
from units.unit import Phase
from units.world import World

ALL = LogFilter(unit=None, since=0, until=None, tail=None, level=20, output_only=False)
WEB, OTHER = UnitName("web"), UnitName("other")


def spec(name: UnitName) -> UnitSpec:
    policy = RestartPolicy(Policy.ALWAYS, delay=Seconds(0.2))
    return UnitSpec(name, Kind.SERVICE, "image", body(name, "image", "h1"), "h1", (), policy)


class Scene:
    """A host, its journal, and somebody who reads."""

    def __init__(self, seed: int, faults: Faults) -> None:
        chance = random.Random(seed)
        loop = asyncio.get_running_loop()
        specs = (spec(WEB), spec(OTHER))
        self.engine = FakeEngine(
            chance, order="26.1", faults=faults, programs={name: Program() for name in (WEB, OTHER)}, images={"image"}
        )
        self.host = SimulatedHost(chance, specs, self.engine)
        self.journal = Journal(SILENT, lambda instant: EPOCH_NS / 1e9 + instant)
        self.host.onlookers = (self.journal,)
        self.host.boot()
        self.now = loop.time
        self.read: list[Item] = []
        self.written: dict[str, list[str]] = {WEB: [], OTHER: []}
        self.count = 0

    async def put(self, item: Item) -> None:
        self.read.append(item)

    def write(self, name: UnitName) -> None:
        """Its container, if one runs, writes the next number; sometimes twice the same line."""
        for box in self.engine.live(name):
            self.count += 1
            lines = [f"line {self.count // 2}"] * self.host.chance.choice((1, 1, 2))
            self.engine.write(box.name, *lines)
            self.written[name] += lines

    async def up(self) -> None:
        assert await self.host.until(all_ready, 120)

    def follow(self, wanted: LogFilter) -> "asyncio.Task[None]":
        logs = Logs(self.journal, self.engine, lambda: self.host.world, lambda _: ())

        async def read() -> None:
            reading = logs.reading(wanted)
            await reading.past(self.put)
            await reading.follow(self.put)

        return asyncio.ensure_future(read())

    def outputs(self, name: UnitName) -> list[str]:
        return [item.shown["text"] for item in self.read if item.source and item.shown["unit"] == name]


def all_ready(world: World) -> bool:
    return all(unit.phase is Phase.READY for unit in world.units.values())


async def crash(scene: Scene) -> None:
    for box in scene.engine.live(WEB):
        scene.engine.crash(box.name, 1)


async def replace_container(scene: Scene) -> None:
    """A new definition: the container is made anew."""
    web, other = scene.host.specs
    number = scene.count
    changed = replace(web, body=body(WEB, "image", f"h{number}"), config_hash=f"h{number}")
    scene.host.specs = (changed, other)
    scene.host.reread()


async def restart_engine(scene: Scene) -> None:
    scene.engine.engine_down()
    await asyncio.sleep(scene.host.chance.choice((0.3, 4)))
    scene.engine.engine_up()


@pytest.mark.parametrize("seed", range(12))
def test_each_line_is_read_once(seed: int) -> None:
    """Over crashes, new containers and an engine that goes and comes; and our own records are all among them."""

    async def main() -> None:
        scene = Scene(seed, Faults())
        await scene.up()
        scene.write(WEB)
        reader = scene.follow(ALL)
        await asyncio.sleep(1)
        for trouble in scene.host.chance.sample([crash, replace_container, restart_engine, crash], 4):
            for name in (WEB, OTHER, WEB):
                scene.write(name)
                await asyncio.sleep(scene.host.chance.choice((0.0, 0.01, 0.4)))
            await trouble(scene)
            await asyncio.sleep(scene.host.chance.choice((0.05, 1, 10)))
            await scene.up()
            await asyncio.sleep(1)  # Whoever follows has found the new run.
        scene.write(WEB)
        await asyncio.sleep(2)
        assert {name: scene.outputs(name) for name in (WEB, OTHER)} == scene.written
        told = [item.shown["seq"] for item in scene.read if not item.source]
        assert told == [one.seq for one in scene.journal.records() if one.level != "debug"]
        scene.journal.close()
        await reader

    run(main())


def test_what_happens_while_the_past_is_read_is_not_lost() -> None:
    """Here somebody reads so slowly that a container crashes and writes meanwhile."""

    async def main() -> None:
        scene = Scene(3, Faults())
        await scene.up()
        scene.write(WEB)

        async def slowly(item: Item) -> None:
            scene.read.append(item)
            await asyncio.sleep(0.1)

        scene.put = slowly  # type: ignore[method-assign]
        reader = scene.follow(ALL)
        await asyncio.sleep(0.25)
        await crash(scene)
        await scene.up()
        scene.write(WEB)
        await asyncio.sleep(60)
        assert scene.outputs(WEB) == scene.written[WEB]
        told = [item.shown["seq"] for item in scene.read if not item.source]
        assert told == [one.seq for one in scene.journal.records() if one.level != "debug"]
        scene.journal.close()
        await reader

    run(main())


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_together_is_in_order(seed: int) -> None:
    """A line is told after all that are older than it, of whatever source, unless those come later than the hold."""

    async def main() -> None:
        scene = Scene(seed, Faults())
        await scene.up()
        reader = scene.follow(ALL)
        await asyncio.sleep(1)
        for _ in range(40):
            scene.write(scene.host.chance.choice((WEB, OTHER)))
            await asyncio.sleep(scene.host.chance.uniform(0, HOLD))
        await asyncio.sleep(1)
        stamps = [item.at for item in scene.read]
        assert stamps == sorted(stamps)
        scene.journal.close()
        await reader

    run(main())


def read_past(wanted: Callable[[Scene], LogFilter]) -> list[str]:
    """Texts and states, of a host on which six lines were written, one each second, by turns."""

    async def main() -> list[str]:
        scene = Scene(1, Faults())
        await scene.up()
        await asyncio.sleep(1)
        scene.count = 1
        for number in range(6):
            box = scene.engine.live((WEB, OTHER)[number % 2])[0]
            scene.engine.write(box.name, str(number))
            await asyncio.sleep(1)
        await crash(scene)
        await asyncio.sleep(1)
        logs = Logs(scene.journal, scene.engine, lambda: scene.host.world, lambda _: ())
        await logs.reading(wanted(scene)).past(scene.put)
        return [item.shown.get("text") or item.shown.get("after") or item.shown["event"] for item in scene.read]

    told: list[str] = run(main())
    return told


def seconds_ago(scene: Scene, seconds: float) -> int:
    return EPOCH_NS + int((scene.now() - seconds) * 1e9)


def test_the_past_is_merged_and_cut() -> None:
    """By unit, by time, by number, by level; the number counts what is left of the others."""
    assert read_past(lambda _: replace(ALL, tail=5)) == ["4", "5", "starting", "incident.opened", "ready"]
    assert read_past(lambda _: replace(ALL, output_only=True, tail=3)) == ["3", "4", "5"]
    assert read_past(lambda _: replace(ALL, output_only=True, unit=WEB)) == ["0", "2", "4"]
    assert read_past(lambda _: replace(ALL, level=30))[-4:] == ["4", "5", "starting", "incident.opened"]  # A crash.
    assert read_past(lambda _: replace(ALL, tail=0)) == []
    assert read_past(lambda s: replace(ALL, since=seconds_ago(s, 3.5), output_only=True)) == ["4", "5"]
    assert read_past(lambda s: replace(ALL, until=seconds_ago(s, 3.5), output_only=True, tail=2)) == ["2", "3"]


def test_without_an_engine_our_own_records_are_told() -> None:
    """And that the rest cannot be had."""

    async def main() -> list[str]:
        scene = Scene(1, Faults())
        await scene.up()
        scene.engine.engine_down()
        await asyncio.sleep(1)
        logs = Logs(scene.journal, scene.engine, lambda: scene.host.world, lambda _: ())
        await logs.reading(ALL).past(scene.put)
        return [item.shown.get("event") or item.shown.get("error", "") for item in scene.read]

    told = run(main())
    assert "engine.lost" in told
    assert [text for text in told if "connect" in text or "engine" in text][-2:] == told[-2:]
