"""A host's troubles are counted as a person on call would count them."""

import asyncio
import random

from tests.simulation.engine_model import FakeEngine, Faults, Program
from tests.simulation.host import SimulatedHost, body
from tests.simulation.virtual_loop import run
from units.quantities import Seconds
from units.spec import Dependency, Kind, Policy, RestartPolicy, UnitName, UnitSpec, Via
from units.unit import Phase

FRIENDS = [UnitName(f"friend{number}") for number in range(3)]
VPN = UnitName("vpn")


def spec(name: UnitName, *edges: Dependency) -> UnitSpec:
    policy = RestartPolicy(Policy.ALWAYS, delay=Seconds(0.2))
    return UnitSpec(name, Kind.SERVICE, "image", body(name, "image", "h1", edges), "h1", edges, policy)


async def booted() -> SimulatedHost:
    """A VPN, three that live in its network, and one that has nothing to do with it."""
    chance = random.Random(5)
    specs = (spec(VPN), *(spec(name, Dependency(VPN, Via.NET)) for name in FRIENDS), spec(UnitName("other")))
    engine = FakeEngine(
        chance, order="26.1", faults=Faults(), programs={one.name: Program() for one in specs}, images={"image"}
    )
    host = SimulatedHost(chance, specs, engine)
    host.boot()
    assert await host.until(lambda world: all(unit.phase is Phase.READY for unit in world.units.values()), 60)
    await asyncio.sleep(60)
    return host


def counted(host: SimulatedHost) -> list[tuple[str, tuple[str, ...]]]:
    """Each incident that was over in the end: who fell first, and who fell in all."""
    assert host.life is not None
    looked = host.life.recorder.incidents()
    assert looked[-1].incidents.open == ()
    return [(one.root, tuple(sorted(one.units))) for step in looked for one in step.closed]


def test_a_lost_vpn_and_its_three_friends_are_one_incident() -> None:
    """However the friends come back: each of them is in it, the stranger is not, and it is over in the end."""

    async def scene() -> list[tuple[str, tuple[str, ...]]]:
        host = await booted()
        (vpn,) = host.engine.live(VPN)
        host.engine.crash(vpn.name, 137)
        await asyncio.sleep(120)
        return counted(host)

    assert run(scene()) == [("vpn", ("friend0", "friend1", "friend2", "vpn"))]


def test_two_troubles_at_once_are_two_incidents() -> None:
    """A stranger that crashes in the same second has its own."""

    async def scene() -> list[tuple[str, tuple[str, ...]]]:
        host = await booted()
        for name in (VPN, "other"):
            (one,) = host.engine.live(name)
            host.engine.crash(one.name, 1)
        await asyncio.sleep(120)
        return sorted(counted(host))

    assert run(scene()) == [("other", ("other",)), ("vpn", ("friend0", "friend1", "friend2", "vpn"))]


def test_a_lost_engine_is_one_incident_with_all_that_died_meanwhile() -> None:
    """The engine is gone for a while, and half of the host dies in that time."""

    async def scene() -> list[tuple[str, tuple[str, ...]]]:
        host = await booted()
        host.engine.engine_down()
        await asyncio.sleep(2)
        for name in (VPN, "other"):
            (one,) = host.engine.live(name)
            host.engine.crash(one.name, 1)
        await asyncio.sleep(5)
        host.engine.engine_up()
        await asyncio.sleep(150)
        return counted(host)

    assert run(scene()) == [("", ("friend0", "friend1", "friend2", "other", "vpn"))]
