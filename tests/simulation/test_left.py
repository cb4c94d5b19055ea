"""What a killed user Docker leaves, and what a person removes behind a switch's back: on the real host, simulated."""

import asyncio
import random

from tests.simulation.switches import SwitchingHost
from tests.simulation.virtual_loop import run
from units.spec import CONSOLE, USER_DOCKER, Switchable
from units.switch.record import SwitchResult
from units.troubles import Concern
from units.unit import Phase


async def booted() -> SwitchingHost:
    host = SwitchingHost(random.Random(1))
    host.boot()
    assert await host.until(host.whole, 60), host.faults()
    return host


def kill(host: SwitchingHost) -> None:
    process = host.machine.alive
    assert host.user is not None
    assert process is not None
    host.user.die(process, 137)


def test_no_dockerd_is_started_over_what_an_earlier_one_left() -> None:
    """Killed again and again, also just as it starts; and by another supervisor than the one that saw it die."""

    async def story() -> None:
        host = await booted()
        for wait in (0.0, 0.3, 1.0, 30.0):
            kill(host)
            assert host.machine.left == 2
            assert await host.until(lambda: host.machine.alive is not None, 60)
            await asyncio.sleep(wait)
        assert await host.until(host.whole, 600), host.faults()
        process = host.machine.alive
        assert process is not None
        await host.kill9()
        process.alive, host.machine.left = False, 2
        host.boot()
        assert await host.until(host.whole, 60), host.faults()
        assert host.machine.left == 0
        assert host.faults() == []
        await host.kill9()

    run(story())


def test_a_host_that_goes_down_takes_along_what_a_dead_dockerd_left() -> None:
    """In backoff, in a crash loop, or failed; and no dockerd is started for it."""

    async def story(*, fails: bool) -> None:
        host = await booted()
        host.machine.barren.add("console:")
        kill(host)
        assert await host.until(lambda: host.machine.alive is not None, 60)
        kill(host)
        wanted = {Phase.BACKOFF, Phase.CRASH_LOOP, Phase.FAILED}
        assert await host.until(lambda: host.world.units[USER_DOCKER].phase in wanted, 10, 0.01)
        assert host.machine.left
        host.machine.stuck = fails
        assert host.life is not None
        host.life.host.shut_down("SIGTERM")
        assert await host.until(host.life.task.done, 100)
        assert bool(host.machine.left) is fails
        assert host.machine.alive is None
        assert host.machine.clearings[-1][1], "also what a dockerd with live-restore would have taken up"
        phase = host.world.units[USER_DOCKER].phase
        assert phase is (Phase.FAILED if fails else Phase.INACTIVE)

    run(story(fails=False))
    run(story(fails=True))


def test_a_switch_to_where_user_docker_cannot_start_stops_nothing() -> None:
    """Without iptables there: refused by the check, in words; user Docker serves on without a restart."""

    async def story() -> None:
        host = await booted()
        runs = host.world.units[USER_DOCKER].run
        host.engine.lacking.add("/usr/sbin/iptables")
        host.ask(Switchable.CONSOLE, "other")
        await asyncio.sleep(5)
        assert host.world.switched is not None
        assert host.world.switched.result is SwitchResult.REFUSED
        assert "user Docker cannot start in the console other" in host.world.switched.why
        assert host.world.units[USER_DOCKER].run == runs
        assert host.faults() == []
        await host.kill9()

    run(story())


def test_a_chosen_engine_that_cannot_serve_gives_way_to_what_served_last() -> None:
    """Its program is gone at the next boot: loud, and the choice stays; after a reboot that works it is used again."""

    async def story(of: Switchable, target: str, barren: str) -> None:
        host = await booted()
        assert host.choices is not None
        await asyncio.sleep(1)
        await host.choices.choose(of, target)
        host.machine.barren.add(barren)
        assert host.life is not None
        host.life.host.shut_down("SIGTERM")
        assert await host.until(host.life.task.done, 100)
        host.boot()
        await asyncio.sleep(5)
        assert await host.until(host.whole, 900), host.faults()
        docker = host.world.units[USER_DOCKER]
        assert (docker.spec.context, docker.spec.engine) == ("console", "")
        assert "falling back to what served last" in host.world.troubles[Concern.CHOICE]
        assert host.choices.chosen(of) == target
        await host.kill9()

    run(story(Switchable.ENGINE, "bad", ""))
    run(story(Switchable.ENGINE, "mute", "console:mute"))
    run(story(Switchable.STORAGE, "gluster", "gluster:"))


def test_a_removed_console_is_not_made_anew_without_a_word() -> None:
    """A person pruned the parked one: the switch is refused with the way out, also by a fresh look; then it is made."""

    async def story() -> None:
        host = await booted()
        for target in ("other", "default"):
            host.ask(Switchable.CONSOLE, target)
            assert await host.until(lambda: host.world.switch is not None, 5, 0.01)
            assert await host.until(host.whole, 100), host.faults()
        kept = host.world.parked["other"].container
        del host.engine.containers[kept]  # No event, and no snapshot since.
        host.ask(Switchable.CONSOLE, "other")
        await asyncio.sleep(5)
        assert host.world.switched is not None
        assert "--empty` makes a new, empty one" in host.world.switched.why
        await asyncio.sleep(60)
        assert host.world.pruned == frozenset({"other"})
        assert "other" not in host.world.parked
        ended = host.world.switched.ended
        host.ask(Switchable.CONSOLE, "other")
        await asyncio.sleep(5)
        assert host.world.switched.ended > ended
        assert "--empty` makes a new, empty one" in host.world.switched.why
        assert host.world.units[CONSOLE].spec.variant == "default"
        host.ask(Switchable.CONSOLE, "other", empty=True)
        await asyncio.sleep(5)
        assert await host.until(host.whole, 100), host.faults()
        assert host.world.units[CONSOLE].spec.variant == "other"
        await asyncio.sleep(60)
        assert host.world.pruned == frozenset()
        await host.kill9()

    run(story())
