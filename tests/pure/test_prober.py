"""The schedule of checks, on virtual time: who is asked when, and what becomes of an answer that comes too late."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from supervisor.engine.port import ContainerAddress
from supervisor.runtime.health_scheduler import HealthScheduler
from supervisor.runtime.loop import Inbox
from supervisor.runtime.probes import ProbeResult, failed, passed
from tests.pure.story import Story, spec
from tests.simulation import virtual_loop
from tests.simulation.engine_model import FakeEngine
from units import events as fact
from units.events import Event, HealthReported
from units.health import Check, CheckKind, Health, Tcp
from units.quantities import Instant, Seconds
from units.spec import ContainerId, UnitName
from units.unit import Phase
from units.world import Entry

WEB = UnitName("web")


def check(name: str = "live", kind: CheckKind = CheckKind.LIVENESS, interval: float = 1.0, **more: object) -> Check:
    return Check(name, Tcp(80), kind, Seconds(interval), start_period=Seconds(0), **more)  # type: ignore[arg-type]


class Asker:
    """Answers as it is told, after as long as it is told."""

    def __init__(self) -> None:
        self.answers: dict[str, ProbeResult] = {}
        self.takes = 0.0
        self.stubborn = False
        """Answers though it was told to stop."""
        self.asked: list[tuple[float, str]] = []
        self.in_flight: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def ask(self, check: Check, container: ContainerId, where: ContainerAddress) -> ProbeResult:  # noqa: ARG002
        loop = asyncio.get_running_loop()
        key = f"{container[:6]} {check.name}"
        self.asked.append((loop.time(), check.name))
        self.in_flight[key] += 1
        self.most[key] = max(self.most[key], self.in_flight[key])
        try:
            await asyncio.sleep(self.takes)
        except asyncio.CancelledError:
            if not self.stubborn:
                raise
        finally:
            self.in_flight[key] -= 1
        return self.answers.get(check.name, passed("fine"))


class Gauges:
    def __init__(self) -> None:
        self.late: list[float] = []

    def probed(self, unit: str, probe: str, outcome: str, took: float, late: float) -> None:  # noqa: ARG002
        self.late.append(late)


class Bench:
    """A core, a prober that looks on, and what it puts into the inbox, which is fed to the core."""

    def __init__(self, tasks: asyncio.TaskGroup, checks: Mapping[str, tuple[Check, ...]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.asker, self.gauges = Asker(), Gauges()
        self.inbox = Inbox(self.loop.time)
        self.inbox.feed(self.turn)
        specs = [replace(spec(name), checks=own) for name, own in checks.items()]
        self.story = Story.of(*specs)
        self.told: list[HealthReported] = []
        chance = iter(lambda: 0.5, None)
        self.prober = HealthScheduler(
            Anywhere(), self.inbox, tasks, self.gauges, chance=lambda: next(chance), probes=self.asker
        )
        self.story.connect()
        for name in checks:
            self.feed(fact.ContainerCreated(UnitName(name), self.story.id(name), "h1"))
            self.started(name)

    def turn(self) -> None:
        while self.inbox.depth:
            event = self.inbox.take().event
            if isinstance(event, HealthReported):
                self.told.append(event)
            self.feed(event)

    def feed(self, event: Event) -> None:
        self.story.now = 100 + self.loop.time()
        self.story.feed(event)
        reaction = self.story.last
        assert reaction is not None
        self.prober.observe(Entry(event, "c", Instant(0)), None, reaction)  # type: ignore[arg-type]  # it looks at no moment

    def started(self, name: str) -> None:
        self.feed(fact.ContainerStarted(UnitName(name), self.story.id(name)))

    def died(self, name: str, code: int = 0) -> None:
        self.feed(fact.ContainerDied(UnitName(name), self.story.id(name), code))

    def verdicts(self) -> list[tuple[str, str]]:
        return [(event.check, event.health.value) for event in self.told]


class Anywhere(FakeEngine):
    """Every container is somewhere."""

    def __init__(self) -> None:
        super().__init__(random.Random(1))

    async def whereabouts(self, container: ContainerId) -> ContainerAddress:  # noqa: ARG002
        return ContainerAddress(1, "192.0.2.1", host_network=False)


def live(checks: Mapping[str, tuple[Check, ...]], main: Callable[[Bench], Awaitable[None]]) -> Bench:
    found: list[Bench] = []

    async def all_of_it() -> None:
        async with asyncio.TaskGroup() as tasks:
            bench = Bench(tasks, checks)
            found.append(bench)
            await main(bench)
            bench.prober.close()

    virtual_loop.run(all_of_it())
    return found[0]


def test_one_pass_makes_it_ready_and_it_is_asked_at_its_interval() -> None:
    async def main(bench: Bench) -> None:
        await asyncio.sleep(10.2)
        assert bench.story.unit("web").phase is Phase.READY

    bench = live({"web": (check(),)}, main)
    assert bench.verdicts() == [("live", "healthy")]
    gaps = [round(b[0] - a[0], 3) for a, b in zip(bench.asker.asked, bench.asker.asked[1:], strict=False)]
    assert set(gaps) == {1.0}
    assert max(bench.gauges.late) < 0.001


def test_failures_in_a_row_restart_it_once() -> None:
    async def main(bench: Bench) -> None:
        bench.asker.answers["live"] = failed("refused")
        await asyncio.sleep(4)
        assert bench.story.unit("web").phase is Phase.STOPPING
        bench.died("web")
        bench.asker.answers.clear()
        bench.started("web")
        await asyncio.sleep(4)
        assert bench.story.unit("web").phase is Phase.READY

    bench = live({"web": (check(),)}, main)
    assert bench.verdicts() == [("live", "unhealthy"), ("live", "healthy")]
    assert bench.told[0].output == "refused"


def test_nothing_is_asked_after_the_end_whatever_is_still_told() -> None:
    async def main(bench: Bench) -> None:
        await asyncio.sleep(2)
        bench.prober.close()
        bench.asker.asked.clear()
        bench.died("web")
        bench.started("web")
        await asyncio.sleep(10)
        assert bench.asker.asked == []

    live({"web": (check(),)}, main)


def test_a_question_that_hangs_is_not_asked_twice() -> None:
    async def main(bench: Bench) -> None:
        bench.asker.takes = 3.5
        await asyncio.sleep(20)

    bench = live({"web": (check(),)}, main)
    assert max(bench.asker.most.values()) == 1
    assert 4 <= len(bench.asker.asked) <= 7


def test_a_unit_that_goes_takes_its_questions_with_it() -> None:
    """Destroyed in mid-probe: the answer of that run never comes out, and nobody is asked any more."""

    async def main(bench: Bench) -> None:
        bench.asker.answers["live"] = failed("too late")
        bench.asker.takes = 0.4
        await asyncio.sleep(2.7)  # The third failure, which would make it unhealthy, is in flight.
        assert sum(bench.asker.in_flight.values()) == 1
        bench.feed(fact.ContainerDestroyed(WEB, bench.story.id("web")))
        await asyncio.sleep(0)
        assert sum(bench.asker.in_flight.values()) == 0
        asked = len(bench.asker.asked)
        await asyncio.sleep(10)
        assert len(bench.asker.asked) == asked

    assert live({"web": (check(),)}, main).told == []


def test_until_startup_has_passed_nobody_else_is_asked() -> None:
    async def main(bench: Bench) -> None:
        bench.asker.answers["up"] = failed("not yet")
        await asyncio.sleep(2.3)
        assert {name for _, name in bench.asker.asked} == {"up"}
        bench.asker.answers.clear()
        await asyncio.sleep(2.5)
        assert {name for _, name in bench.asker.asked[-2:]} == {"live"}
        assert bench.story.unit("web").phase is Phase.READY

    live({"web": (check("up", CheckKind.STARTUP, retries=9), check())}, main)


def test_what_could_not_be_asked_is_no_answer() -> None:
    async def main(bench: Bench) -> None:
        await asyncio.sleep(2)
        bench.asker.answers["live"] = failed("the engine is away", "error")
        await asyncio.sleep(30)
        assert bench.story.unit("web").phase is Phase.READY
        assert [told.outcome.kind for told in bench.prober.outcomes(WEB)] == ["error"] * 5

    assert live({"web": (check(),)}, main).verdicts() == [("live", "healthy")]


def test_a_hundred_that_fail_at_once_are_restarted_once_each() -> None:
    names = [f"u{number}" for number in range(100)]

    async def main(bench: Bench) -> None:
        await asyncio.sleep(2)
        bench.asker.answers["live"] = failed("all gone")
        await asyncio.sleep(5)
        assert {bench.story.unit(name).phase for name in names} == {Phase.STOPPING}
        bench.asker.answers.clear()
        for name in names:
            bench.died(name)
            bench.started(name)
        await asyncio.sleep(5)

    bench = live({name: (check(),) for name in names}, main)
    assert {bench.story.unit(name).restarts for name in names} == {1}
    assert {bench.story.unit(name).phase for name in names} == {Phase.READY}
    assert Counter(bench.verdicts()) == {("live", "healthy"): 200, ("live", "unhealthy"): 100}


def test_a_changed_definition_gives_a_running_unit_its_new_checks() -> None:
    async def main(bench: Bench) -> None:
        await asyncio.sleep(2)
        changed = replace(bench.story.unit("web").spec, checks=(check("other"),))
        bench.feed(fact.ConfigRead((changed,)))
        before = len(bench.asker.asked)
        await asyncio.sleep(3)
        assert {name for _, name in bench.asker.asked[before:]} == {"other"}

    live({"web": (check(),)}, main)


def test_the_answer_to_a_check_that_was_replaced_is_void() -> None:
    """The run is the same; the question is not asked any more."""

    async def main(bench: Bench) -> None:
        await asyncio.sleep(2.2)
        bench.asker.takes, bench.asker.answers["live"] = 0.5, failed("old")
        await asyncio.sleep(2.5)
        changed = replace(bench.story.unit("web").spec, checks=(check("other"),))
        bench.asker.stubborn = True
        bench.feed(fact.ConfigRead((changed,)))
        await asyncio.sleep(5)

    assert live({"web": (check(),)}, main).verdicts() == [("live", "healthy"), ("other", "healthy")]


def test_an_answer_of_an_earlier_run_is_void() -> None:
    story = Story.of(replace(spec("web"), checks=(check(),)))
    story.connect()
    story.up("web").later(60)
    run = story.unit("web").run
    story.died("web")
    story.started("web")
    story.feed(fact.HealthReported(WEB, story.id("web"), Health.UNHEALTHY, "live", run))
    assert story.unit("web").phase is Phase.RUNNING
