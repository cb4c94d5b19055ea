"""Each alert that is shipped: what happens on a host drives the real core into it, and out of it again.

The host is simulated, so that hours are free. Its page is scraped as Prometheus would, and Prometheus's own tool
decides by the shipped rules, from those very scrapes, which alerts fire.
"""

import asyncio
import json
import random
import re
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from supervisor.engine.port import EngineError
from supervisor.state.file import StateError
from tests.pure.test_rules import ALERTS, EXPRESSIONS, RULES, selectors
from tests.simulation.engine_model import Faults, Program
from tests.simulation.running import NIGHT, Memory
from tests.simulation.switches import SETTINGS, SwitchingHost, spec_of
from tests.simulation.virtual_loop import VirtualLoop, run
from units.events import ConfigRead, ConfigRefused, RestartAsked
from units.health import Health
from units.spec import Dependency, HealPolicy, OnUnhealthy, Rebuild, Switchable, UnitName, UnitSpec, Via
from units.switch.record import SwitchStep
from units.unit import Failure

STEP: Final = 30.0
"""Seconds from one scrape to the next: twice as many as in the shipped configuration, to take half the time."""
MINUTE, HOUR = 60.0, 3600.0
NAMES: Final = frozenset(asked.name for expression in EXPRESSIONS.values() for asked in selectors(expression))
TARGET: Final = 'job="dockwarden",instance="h:9779"'
SERIES: Final = re.compile(r"([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)")
WEB, ILL, FRIEND = UnitName("web"), UnitName("ill"), UnitName("friend")


def unit(name: str, **changes: Any) -> UnitSpec:
    return replace(spec_of(name), **changes)


UNITS: Final = (
    *SETTINGS.units,
    unit("web"),
    unit("ill", heal=HealPolicy(OnUnhealthy.NONE)),
    unit("healed"),
    unit("friend", dependencies=(Dependency(WEB, Via.VOLUMES),), rebuild=Rebuild.NEVER, relink=False),
)


@dataclass
class Scraped:
    """What Prometheus has seen of a host: the values of each series, by the number of the scrape."""

    count: int = 0
    values: dict[str, dict[int, str]] = field(default_factory=dict)

    def take(self, page: str, *, up: bool) -> None:
        self._put(f"up{{{TARGET}}}", "1" if up else "0")
        for line in page.splitlines():
            if (found := SERIES.fullmatch(line)) is not None and found[1] in NAMES:
                # promtool's clock starts at 0.
                value = f"{max(0.0, float(found[3]) - NIGHT)}" if found[1].endswith("_timestamp_seconds") else found[3]
                self._put(f"{found[1]}{{{TARGET}{',' if found[2] else ''}{found[2] or ''}}}", value)
        self.count += 1

    def _put(self, series: str, value: str) -> None:
        self.values.setdefault(series, {})[self.count] = value

    def as_input(self) -> list[dict[str, str]]:
        return [
            {"series": series, "values": " ".join(seen.get(number, "_") for number in range(self.count))}
            for series, seen in self.values.items()
        ]


class Scene:
    """One host with a scraper beside it."""

    def __init__(self, step: float) -> None:
        self.host = SwitchingHost(random.Random(3))
        self.host.engine.images |= {f"{spec.name}-image" for spec in UNITS}
        for name in ("ill", "healed"):
            self.host.engine.behave(name, Program(healthy_after=1.0))
        self.host.settings = replace(SETTINGS, units=UNITS)
        self.seen = Scraped()
        self.step = step
        self.fires = self.over = 0.0

    async def play(self, story: "Story") -> None:
        """Then ``fires`` and ``over`` are the times at which the alert must fire, and must be over."""
        self.host.boot()
        scraper = asyncio.create_task(self._scrape())
        assert await self.host.until(self.host.whole, 120), self.host.faults()
        await asyncio.sleep(2 * MINUTE)
        driving = asyncio.create_task(story.begins(self.host))
        await asyncio.sleep(story.fires)
        self.fires = self._now()
        await driving
        await story.ends(self.host)
        await asyncio.sleep(story.over)
        self.over = self._now()
        await asyncio.sleep(2 * self.step)
        scraper.cancel()
        if self.host.life is not None:
            await self.host.kill9()

    def _now(self) -> float:
        """At a scrape."""
        return (self.seen.count - 1) * self.step

    async def _scrape(self) -> None:
        while True:
            life = self.host.life
            page = b"".join(life.host.metrics.render()[1]).decode() if life is not None else ""
            self.seen.take(page, up=life is not None)
            await asyncio.sleep(self.step)


Act = Callable[[SwitchingHost], Coroutine[Any, Any, None]]


async def nothing(_host: SwitchingHost) -> None:
    """It is over by itself."""


@dataclass(frozen=True)
class Story:
    begins: Act
    ends: Act = nothing
    fires: float = 4 * MINUTE
    """Seconds from its beginning until the alert fires."""
    over: float = 3 * MINUTE
    """Seconds from its end until it does so no longer."""
    step: float = STEP


async def crashes(host: SwitchingHost) -> None:
    host.engine.behave("web", Program(lambda _: 0.05, (1,)))
    host.engine.crash("web")


async def crashes_no_more(host: SwitchingHost) -> None:
    host.engine.behave("web", Program())


async def dies_often(host: SwitchingHost) -> None:
    for _ in range(8):
        host.engine.crash("web")
        await asyncio.sleep(MINUTE)


async def loses_its_image(host: SwitchingHost) -> None:
    host.engine.images.discard("web-image")
    host.engine.person_remove("web")


async def gets_its_image(host: SwitchingHost) -> None:
    host.engine.images.add("web-image")
    await asyncio.sleep(5 * MINUTE)


async def falls_ill(host: SwitchingHost) -> None:
    host.engine.sicken("ill")


async def is_well_again(host: SwitchingHost) -> None:
    host.engine.sicken("ill", Health.HEALTHY)


async def falls_ill_often(host: SwitchingHost) -> None:
    for _ in range(7):
        host.engine.sicken("healed")
        await asyncio.sleep(30)


async def runs_out_of_memory(host: SwitchingHost) -> None:
    host.engine.oom("web")


async def runs_out_of_memory_told_late(host: SwitchingHost) -> None:
    """As engines do that tell the death first."""
    host.engine.crash("web", 137)
    container = host.engine.named("web")
    assert container is not None
    host.engine._emit("oom", container)


async def owner_is_made_anew(host: SwitchingHost) -> None:
    host.engine.person_remove("web")


async def friend_is_removed(host: SwitchingHost) -> None:
    host.engine.person_remove("friend")


async def heeds_no_stop(host: SwitchingHost) -> None:
    host.engine.behave("web", Program(term=None))
    host.engine.crash("web")
    for _ in range(4):
        await asyncio.sleep(20 * MINUTE)
        assert host.life is not None
        host.life.host.inbox.put(RestartAsked(WEB))


async def supervisor_dies(host: SwitchingHost) -> None:
    await host.kill9()


async def supervisor_is_back(host: SwitchingHost) -> None:
    host.boot()


async def engine_goes(host: SwitchingHost) -> None:
    host.engine.engine_down()


async def engine_comes(host: SwitchingHost) -> None:
    host.engine.engine_up()


async def engine_hangs(host: SwitchingHost) -> None:
    await host.engine.freeze(4 * MINUTE)


async def calls_fail(host: SwitchingHost) -> None:
    host.engine.faults = Faults(before=0.6)


async def calls_succeed(host: SwitchingHost) -> None:
    host.engine.faults = Faults()


async def list_is_refused(host: SwitchingHost) -> None:
    async def refuse(**_: Any) -> Any:
        raise EngineError(Failure.OTHER, "list: layer does not exist")

    host.engine.snapshot = refuse  # type: ignore[method-assign]


async def list_is_answered(host: SwitchingHost) -> None:
    del host.engine.snapshot


async def stream_is_deaf(host: SwitchingHost) -> None:
    for _ in range(5):
        host.engine.lies.deaf = True
        host.engine.crash("web")
        await asyncio.sleep(2 * MINUTE)


async def stream_hears(host: SwitchingHost) -> None:
    host.engine.lies.deaf = False


async def events_are_late(host: SwitchingHost) -> None:
    host.engine.faults = Faults(lag=(2.0, 3.0))
    for _ in range(20):
        host.engine.crash("web")
        await asyncio.sleep(MINUTE)


async def loop_lags(_host: SwitchingHost) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    for _ in range(800):
        loop._jumping.now += 0.6  # What a callback that blocks does.
        await asyncio.sleep(0.9)


async def disk_is_full(host: SwitchingHost) -> None:
    def refuse(state: dict[str, Any]) -> None:  # noqa: ARG001 - named as in the store
        raise StateError("No space left on device")

    store = host.host_files.file("state")
    assert isinstance(store, Memory)
    store.save = refuse  # type: ignore[method-assign]
    host.engine.crash("web")


async def disk_has_room(host: SwitchingHost) -> None:
    del host.host_files.file("state").save
    host.engine.crash("web")


async def configuration_is_refused(host: SwitchingHost) -> None:
    assert host.life is not None
    host.life.host.inbox.put(ConfigRefused("no such key"))


async def configuration_is_taken(host: SwitchingHost) -> None:
    assert host.life is not None
    host.life.host.inbox.put(ConfigRead(UNITS, SETTINGS.consoles))


async def hook_fails(host: SwitchingHost) -> None:
    """The runner of hooks starts processes, which know no simulated time: told as it tells."""
    assert host.life is not None
    host.life.host.metrics.hook_ran("page", "failed", 0.1)


async def notice_fails(host: SwitchingHost) -> None:
    """As ``hook_fails``."""
    assert host.life is not None
    host.life.host.metrics.notified("chat", "failed")


async def console_is_gone(host: SwitchingHost) -> None:
    host.engine.images.discard("console-image")
    host.engine.person_remove("console")


async def console_is_back(host: SwitchingHost) -> None:
    host.engine.images.add("console-image")
    await asyncio.sleep(5 * MINUTE)


async def user_docker_serves_no_more(host: SwitchingHost) -> None:
    host.machine.barren |= {"console:", "gluster:"}
    assert host.user is not None
    assert host.machine.alive is not None
    host.user.die(host.machine.alive, 2)


async def user_docker_serves(host: SwitchingHost) -> None:
    host.machine.barren.clear()
    await asyncio.sleep(10 * MINUTE)


async def context_is_gone(host: SwitchingHost) -> None:
    host.ask(Switchable.STORAGE, "gluster")
    assert await host.until(host.whole, MINUTE)
    host.engine.behave("gluster", Program(lambda _: 0.05, (1,)))
    host.engine.crash("gluster")


async def context_is_back(host: SwitchingHost) -> None:
    host.engine.behave("gluster", Program())
    await asyncio.sleep(5 * MINUTE)


async def switch_is_undone(host: SwitchingHost) -> None:
    host.ask(Switchable.CONSOLE, "broken")


async def switch_hangs(host: SwitchingHost) -> None:
    """The engine goes as the new console is about to prove itself, and with it every way to go on or back."""
    host.ask(Switchable.CONSOLE, "other")
    assert await host.until(lambda: host.world.switch is not None and host.world.switch.step in AMID, 5, pause=0.001)
    host.engine.engine_down()


AMID: Final = {SwitchStep.STARTING, SwitchStep.PROVING}

STORIES: Final[dict[str, Story]] = {
    "DockwardenUnitCrashLoop": Story(crashes, crashes_no_more, over=15 * MINUTE),
    "DockwardenUnitRestartsOften": Story(dies_often, fires=9 * MINUTE, over=16 * MINUTE),
    "DockwardenUnitDown": Story(loses_its_image, gets_its_image, fires=8 * MINUTE),
    "DockwardenUnitUnhealthy": Story(falls_ill, is_well_again, fires=7 * MINUTE),
    "DockwardenUnitFlapping": Story(falls_ill_often, fires=6 * MINUTE, over=30 * MINUTE),
    "DockwardenUnitOutOfMemory": Story(runs_out_of_memory, over=HOUR + 5 * MINUTE, step=MINUTE),
    "DockwardenUnitOutOfMemory, told late": Story(runs_out_of_memory_told_late, over=HOUR + 5 * MINUTE, step=MINUTE),
    "DockwardenUnitStale": Story(owner_is_made_anew, friend_is_removed, fires=8 * MINUTE),
    "DockwardenUnitIgnoresStop": Story(heeds_no_stop, fires=90 * MINUTE, over=25 * HOUR, step=4 * MINUTE),
    "DockwardenAbsent": Story(supervisor_dies, supervisor_is_back),
    "DockwardenEngineDown": Story(engine_goes, engine_comes),
    "DockwardenEngineHung": Story(engine_hangs, fires=3 * MINUTE),
    "DockwardenEngineCallsFail": Story(calls_fail, calls_succeed, fires=20 * MINUTE, over=10 * MINUTE),
    "DockwardenNoSnapshot": Story(list_is_refused, list_is_answered, fires=6 * MINUTE),
    "DockwardenEventsMissed": Story(
        stream_is_deaf, stream_hears, fires=11 * MINUTE, over=HOUR + 5 * MINUTE, step=MINUTE
    ),
    "DockwardenEventsLate": Story(events_are_late, calls_succeed, fires=18 * MINUTE, over=10 * MINUTE),
    "DockwardenLoopLags": Story(loop_lags, fires=18 * MINUTE, over=10 * MINUTE),
    "DockwardenStateNotWritten": Story(disk_is_full, disk_has_room),
    "DockwardenConfigRefused": Story(configuration_is_refused, configuration_is_taken),
    "DockwardenHookFails": Story(hook_fails, over=20 * MINUTE),
    "DockwardenNoticesFail": Story(notice_fails, over=20 * MINUTE),
    "DockwardenConsoleDown": Story(console_is_gone, console_is_back),
    "DockwardenUserDockerDown": Story(user_docker_serves_no_more, user_docker_serves),
    "DockwardenContextLost": Story(context_is_gone, context_is_back, fires=6 * MINUTE),
    "DockwardenSwitchRolledBack": Story(switch_is_undone, fires=5 * MINUTE, over=HOUR + 5 * MINUTE, step=MINUTE),
    "DockwardenSwitchHangs": Story(switch_hangs, engine_comes, fires=20 * MINUTE, over=10 * MINUTE),
}
NOT_HERE: Final = {"DockwardenUnitsLeftOut"}
"""Needs a host of more than a thousand units: its metric has a test of its own."""


def test_each_alert_has_a_story() -> None:
    assert {name.partition(",")[0] for name in STORIES} == ALERTS.keys() - NOT_HERE


@pytest.mark.parametrize("name", STORIES)
def test_an_alert_fires_and_is_over(name: str, tmp_path: Path) -> None:
    """By the shipped rules, from what the page of the host says."""
    story, alert = STORIES[name], name.partition(",")[0]

    async def play() -> Scene:
        scene = Scene(story.step)
        await scene.play(story)
        return scene

    scene = run(play())
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0'
    cases = [
        {
            "interval": f"{story.step:g}s",
            "input_series": scene.seen.as_input(),
            "promql_expr_test": [
                {"expr": firing, "eval_time": "1m", "exp_samples": []},
                {"expr": firing, "eval_time": f"{scene.fires:g}s", "exp_samples": [{"labels": "{}", "value": 1}]},
                {"expr": firing, "eval_time": f"{scene.over:g}s", "exp_samples": []},
            ],
        }
    ]
    page = {"rule_files": [str(RULES)], "evaluation_interval": f"{story.step:g}s", "tests": cases}
    (tmp_path / "test.json").write_text(json.dumps(page))
    ran = subprocess.run(
        ["promtool", "test", "rules", "test.json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "SUCCESS" in ran.stdout, ran.stdout + ran.stderr
