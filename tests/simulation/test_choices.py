"""What is chosen for the next boot is checked as a switch to it would be; what is gone at a boot is said."""

import asyncio
import random
from typing import Any, cast

import pytest

from supervisor.http.control.request import Refusal
from supervisor.http.control.switches import SwitchCommands
from tests.simulation.switches import SETTINGS, SwitchingHost
from tests.simulation.virtual_loop import run
from units.spec import Switchable
from units.troubles import Concern

NOTHING = cast("Any", None)


async def booted() -> SwitchingHost:
    host = SwitchingHost(random.Random(1))
    host.boot()
    assert await host.until(host.whole, 60), host.faults()
    return host


@pytest.mark.parametrize(
    ("of", "good", "bad", "why"),
    [
        ("engine", "new", "bad", "there is no engine 'bad'"),
        ("storage", "gluster", "gluster", "it does not run"),
        ("console", "other", "broken", "its image broken-console-image is missing"),
    ],
)
def test_enable_makes_the_checks_of_its_switch(of: str, good: str, bad: str, why: str) -> None:
    """What would not come up is refused, and nothing is chosen."""

    async def story() -> None:
        host = await booted()
        assert host.life is not None
        assert host.choices is not None
        commands = SwitchCommands(
            asking=NOTHING,
            world=lambda: host.world,
            status=dict,
            choices=host.choices,
            user_docker=host.user,
            fits=host.life.host._switches.check if host.life.host._switches else None,
        )
        await commands.enable(NOTHING, {"of": of, "name": good})
        assert host.choices.chosen(Switchable(of)) == good
        if of == "storage":
            host.engine.person_stop("gluster")
            await asyncio.sleep(5)
        host.engine.images.discard("broken-console-image")
        with pytest.raises(Refusal, match=why):
            await commands.enable(NOTHING, {"of": of, "name": bad})
        assert host.choices.chosen(Switchable(of)) == good
        await host.kill9()

    run(story())


def test_a_chosen_place_that_is_gone_is_said_at_boot() -> None:
    """The configured one is in its place."""
    assert SETTINGS.unmet("other", "gluster") == ""
    assert "the chosen console gone is not defined any more" in SETTINGS.unmet("gone", "gluster")

    async def story() -> None:
        host = await booted()
        assert host.choices is not None
        await host.choices.choose(Switchable.STORAGE, "gone")
        await host.kill9()
        host.boot()
        await asyncio.sleep(1)
        assert "the chosen storage context gone" in host.world.troubles[Concern.CHOICE]
        assert await host.until(host.whole, 60), host.faults()
        await host.kill9()

    run(story())
