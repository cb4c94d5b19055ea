"""One supervisor's prober, alone in a process: ``python -m benchmarks.probing KIND UNITS PORT SECONDS``.

Prints as JSON the CPU it took, how many questions it asked, and how late each was.
"""

import asyncio
import json
import random
import sys
import time

import uvloop

from benchmarks.targets import CHECKS
from supervisor.engine.port import ContainerAddress
from supervisor.runtime.health_scheduler import HealthScheduler
from supervisor.runtime.loop import Inbox
from supervisor.runtime.probes import Probes
from tests.simulation.engine_model import FakeEngine
from units import events as fact
from units.kernel import react
from units.links import check
from units.machine import Moment
from units.quantities import Instant
from units.spec import ContainerId, Kind, UnitName, UnitSpec
from units.world import Entry, fresh_unit, new_world


class Here(FakeEngine):
    """Every container shares our network."""

    async def whereabouts(self, container: ContainerId) -> ContainerAddress:  # noqa: ARG002
        return ContainerAddress(0, "", host_network=True)


class Gauges:
    def __init__(self) -> None:
        self.late: list[float] = []
        self.passed = 0

    def probed(self, unit: str, probe: str, outcome: str, took: float, late: float) -> None:  # noqa: ARG002
        self.late.append(late)
        self.passed += outcome == "passed"


async def measure(kind: str, units: int, port: int, seconds: float) -> dict[str, object]:
    specs = [
        UnitSpec(UnitName(f"u{number}"), Kind.SERVICE, "i", "{}", "h", checks=(CHECKS[kind](port),))
        for number in range(units)
    ]
    loop, gauges = asyncio.get_running_loop(), Gauges()
    engine = Here(random.Random(1))
    async with asyncio.TaskGroup() as tasks:
        prober = HealthScheduler(engine, Inbox(loop.time), tasks, gauges, chance=random.random, probes=Probes(engine))
        world = new_world([fresh_unit(one, Instant(loop.time()), "") for one in specs], check(specs).links)
        events: list[fact.Event] = [fact.EngineBack("x"), fact.SnapshotTaken((), "connect", 0)]
        for one in specs:
            box = ContainerId(one.name * 8)
            events += [fact.ContainerCreated(one.name, box), fact.ContainerStarted(one.name, box)]
        for number, event in enumerate(events, 1):
            moment = Moment(Instant(loop.time()), 0.5, "c", number)
            reaction = react(world, event, moment)
            world = reaction.world
            prober.observe(Entry(event, "c", moment.now), moment, reaction)
        await asyncio.sleep(2)
        gauges.late.clear()
        gauges.passed = 0
        cpu = time.process_time()
        await asyncio.sleep(seconds)
        spent = time.process_time() - cpu
        prober.close()
    return {"cpu": spent, "asked": len(gauges.late), "passed": gauges.passed, "late": gauges.late}


if __name__ == "__main__":
    kind_, units_, port_, seconds_ = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(kind_, int(units_), int(port_), float(seconds_)))))
