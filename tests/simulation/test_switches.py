"""A fault at each step of each switch, and in the end one whole host.

A failing history prints its seed: ``pytest tests/simulation --seed N`` plays it again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from tests.simulation.seeds import play_all, seeds_of
from tests.simulation.switches import SETTINGS, STEPS, SwitchingHost, spec_of
from tests.simulation.virtual_loop import run
from units.records import replace
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName
from units.switch.record import SwitchResult, SwitchStep
from units.troubles import Reload
from units.world import World

TARGETS = {
    Switchable.CONSOLE: ("other", "broken", "sick", "anew"),
    Switchable.STORAGE: ("gluster",),
    Switchable.ENGINE: ("new", "bad"),
}
WORKING = tuple(step for step in STEPS if step not in {SwitchStep.REVERTING, SwitchStep.RESTORING})


async def kill9(host: SwitchingHost) -> None:
    await host.kill9()
    await asyncio.sleep(host.chance.choice((0.0, 0.05, 2.0, 40.0)))
    host.boot()


async def outage(host: SwitchingHost) -> None:
    host.engine.engine_down()
    await asyncio.sleep(host.chance.choice((0.2, 8.0, 90.0)))
    host.engine.engine_up()


async def full_disk(host: SwitchingHost) -> None:
    host.disk.full = True
    await asyncio.sleep(host.chance.choice((0.5, 100.0)))
    host.disk.full = False


async def console_crash(host: SwitchingHost) -> None:
    for one in host.engine.live(CONSOLE):
        host.engine.crash(one.name, 139)


async def context_crash(host: SwitchingHost) -> None:
    host.engine.crash("gluster", 139)


async def engine_crash(host: SwitchingHost) -> None:
    if (process := host.machine.alive) is not None and host.user is not None:
        host.user.die(process, 2)


async def hang(host: SwitchingHost) -> None:
    """User Docker stops as slowly as it may."""
    if (process := host.machine.alive) is not None:
        process.stops_after = 1000.0


async def barren(host: SwitchingHost) -> None:
    host.machine.barren |= {"console:", "gluster:", "console:new"} - {"console:"}


async def nothing_happens(_host: SwitchingHost) -> None:
    return


FAULTS: tuple[Callable[[SwitchingHost], Awaitable[None]], ...] = (
    *(nothing_happens, kill9, outage, full_disk, console_crash, context_crash, engine_crash, hang, barren),
)


async def history(seed: int) -> list[str]:
    """One switch with one fault at one step; then another switch, to see that nothing is stuck."""
    chance = random.Random(seed)
    host = SwitchingHost(chance)
    host.boot()
    assert await host.until(host.whole, 60), host.faults()
    kept = await persistent_console(host) if chance.random() < 0.5 else None
    of = chance.choice(tuple(Switchable))
    target = chance.choice(TARGETS[of])
    step, fault = chance.choice(WORKING), chance.choice(FAULTS)
    told = [f"seed {seed}: {of} to {target}, {fault.__name__} at {step}"]
    ask(host, of, target)
    await host.until(lambda: reached(host, step), 5, pause=0.001)
    await fault(host)
    await asyncio.sleep(5)
    await host.until(host.whole, 900)
    host.machine.barren.clear()
    await host.until(host.whole, 900)
    told += host.faults()
    if kept is not None and kept not in host.engine.containers:
        told.append("the persistent console's container was removed")
    if fault is nothing_happens:
        told += judged(host.world, target)
    await again(host, told)
    told += host.engine.emptied
    await host.kill9()
    return told


def ask(host: SwitchingHost, of: Switchable, target: str) -> None:
    if target == "anew":
        host.ask(of, host.world.units[CONSOLE].spec.variant, anew=True)
    else:
        host.ask(of, target)


def reached(host: SwitchingHost, step: SwitchStep) -> bool:
    switch = host.world.switch
    return switch is not None and switch.step is step


def judged(world: World, target: str) -> list[str]:
    """Without a fault the outcome follows from the target alone."""
    outcome = world.switched
    wanted = {"broken": SwitchResult.ROLLED_BACK, "sick": SwitchResult.ROLLED_BACK, "bad": SwitchResult.REFUSED}.get(
        target, SwitchResult.DONE
    )
    if outcome is None or outcome.result is not wanted:
        return [f"{outcome and (outcome.result, outcome.why)} instead of {wanted}"]
    return []


async def persistent_console(host: SwitchingHost) -> str:
    """Use it once and leave it, so that there is something to lose."""
    host.ask(Switchable.CONSOLE, "other")
    assert await host.until(lambda: host.whole() and host.world.switched is not None, 60)
    kept = host.world.units[CONSOLE].container
    host.ask(Switchable.CONSOLE, "default")
    assert await host.until(lambda: host.whole() and host.world.units[CONSOLE].spec.variant == "default", 60)
    assert kept is not None
    return kept


async def again(host: SwitchingHost, told: list[str]) -> None:
    target = "default" if host.world.units[CONSOLE].spec.variant == "other" else "other"
    host.ask(Switchable.CONSOLE, target)
    if not await host.until(lambda: host.whole() and host.world.units[CONSOLE].spec.variant == target, 120):
        told.append(f"a later switch does not work: {host.world.switch}, {host.world.switched}")
    told += host.faults()


def play(seed: int) -> list[str]:
    try:
        told: list[str] = run(history(seed))
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed must be told
        return [f"seed {seed}", f"{type(error).__name__}: {error}"]
    return told


def test_in_the_end_there_is_one_whole_host(pytestconfig: pytest.Config) -> None:
    """Whatever fails, at whichever step, of whichever switch."""
    failed = [told for told in play_all(play, seeds_of(pytestconfig, share=4)) if len(told) > 1]
    assert not failed, "\n".join("\n  ".join(told) for told in failed[:5]) + f"\n{len(failed)} histories failed"


@pytest.mark.parametrize(
    ("target", "step"),
    [
        ("other", SwitchStep.CHECKING),
        ("other", SwitchStep.STARTING),
        ("sick", SwitchStep.STARTING),
        ("gluster", SwitchStep.DRAINING),
        ("gluster", SwitchStep.PROVING),
        ("new", SwitchStep.PROVING),
        ("bad", SwitchStep.CHECKING),
    ],
)
def test_a_configuration_that_is_read_during_a_switch_comes_into_force_at_its_end(
    target: str, step: SwitchStep
) -> None:
    """Also of one that is undone, and with what was chosen meanwhile; until then it is said to wait."""

    async def story() -> None:
        host = SwitchingHost(random.Random(1))
        host.boot()
        assert await host.until(host.whole, 60), host.faults()
        of = next(of for of, targets in TARGETS.items() if target in targets)
        host.ask(of, target)
        assert await host.until(lambda: reached(host, step), 60, pause=0.002)
        host.settings = replace(SETTINGS, units=(*SETTINGS.units, spec_of("extra")))
        assert host.life is not None
        await host.life.host.reload()
        await asyncio.sleep(0)
        assert host.world.reload is Reload.WAITING or host.world.switch is None
        assert await host.until(lambda: host.whole() and host.world.reload is Reload.IN_FORCE, 300)
        assert host.world.units[UnitName("extra")].wanted
        assert host.world.switched is not None
        done = host.world.switched.result is SwitchResult.DONE
        console, docker = host.world.units[CONSOLE].spec, host.world.units[USER_DOCKER].spec
        present = {
            Switchable.CONSOLE: console.variant,
            Switchable.STORAGE: docker.context,
            Switchable.ENGINE: docker.engine,
        }
        assert (present[of] == target) is done
        await host.kill9()

    run(story())
