"""Standing orders: what is started before the core has seen the death, and that the core would order just that."""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.standing import AT_ONCE, NOBODY, StandingOrders
from tests.pure.story import Story, needs, seen, spec
from units.commands import StartContainer
from units.events import (
    ContainerDied,
    ContainerKilled,
    ContainerOomed,
    EngineBack,
    EngineLost,
    ShutdownAsked,
    SnapshotTaken,
    StopAsked,
)
from units.kernel import react
from units.links import check
from units.machine import Moment
from units.quantities import NEVER, Instant, Seconds
from units.restart import After, Death, decide, milder_at
from units.spec import ContainerId, Kind, Policy, RestartPolicy, UnitName, UnitSpec
from units.standing import exit_codes, look_again, standing_start
from units.unit import Budget

WEB = UnitName("web")


def up(*specs: UnitSpec) -> Story:
    """A host on which all runs."""
    story = Story.of(*specs)
    story.connect()
    return story.up(*(one.name for one in specs))


def standing(story: Story, name: str = "web") -> str | None:
    return standing_start(story.world, UnitName(name), Moment(Instant(story.now), 0.5, ""))


def test_a_unit_that_runs_well_has_a_standing_order() -> None:
    assert standing(up(spec("web"))) == "web-1"


def test_who_must_be_looked_at_first_has_none() -> None:
    """A person's signal, another policy, a peer that is away, an engine that is: the core has to see the death."""
    for policy in (Policy.NO, Policy.ON_FAILURE):
        assert standing(up(spec("web", policy=policy))) is None
    assert standing(up(spec("web", kind=Kind.ONESHOT))) is None
    for event in (
        ContainerKilled(WEB, ContainerId("web-1"), 15),
        StopAsked(WEB),
        EngineLost("away"),
        ShutdownAsked("the end", Seconds(60)),
    ):
        story = up(spec("web"))
        story.feed(event)
        assert standing(story) is None, event


def test_a_unit_that_needs_one_that_is_down_has_none() -> None:
    story = up(spec("db"), spec("web", needs("db")))
    assert standing(story) == "web-1"
    story.feed(StopAsked(UnitName("db")))
    assert standing(story) is None


def test_an_oom_kill_is_an_ordinary_death() -> None:
    story = up(spec("web"))
    story.feed(ContainerOomed(WEB, ContainerId("web-1")))
    assert standing(story) == "web-1"


def test_one_that_has_just_been_restarted_has_earned_none_yet() -> None:
    """Its second death in a row is answered after a delay; a good run later it has one again."""
    story = up(spec("web"))
    story.died("web")
    story.started("web")
    assert standing(story) is None
    due = look_again(story.world, WEB, Instant(story.now))
    assert due == pytest.approx(story.now + 10, abs=0.01)
    story.now = due
    assert standing(story) == "web-1"


POLICIES = st.builds(
    RestartPolicy,
    policy=st.sampled_from(Policy),
    max_retries=st.integers(0, 3),
    burst=st.integers(0, 4),
    interval=st.floats(0.1, 100).map(Seconds),
    reset=st.floats(0, 30).map(Seconds),
)
BUDGETS = st.builds(
    Budget,
    failures=st.integers(0, 5),
    restarts=st.lists(st.floats(0, 1000).map(Instant), max_size=4).map(lambda times: tuple(sorted(times))),
    delay=st.floats(0, 60).map(Seconds),
    looping=st.booleans(),
)


def at_once(policy: RestartPolicy, budget: Budget, started: float, now: float) -> bool:
    judged = decide(policy, budget, Death(Seconds(now - started), 1, "exit code 1"), Instant(now), 0.5)
    return isinstance(judged, After) and not judged.delay


@given(POLICIES, BUDGETS, st.floats(900, 1000), st.floats(0, 200), st.floats(0, 200))
def test_time_alone_never_takes_a_standing_order_back(
    policy: RestartPolicy, budget: Budget, started: float, first: float, later: float
) -> None:
    """A death that would be answered at once now would be answered at once at any later moment."""
    assert not at_once(policy, budget, started, 1000 + first) or at_once(policy, budget, started, 1000 + first + later)


@given(POLICIES, BUDGETS, st.floats(900, 1000))
def test_all_that_time_can_give_is_waited_for(policy: RestartPolicy, budget: Budget, started: float) -> None:
    """From one look to the next nothing changes, and after the last one nothing does any more."""
    now = Instant(1000)
    for _ in range(8):
        due = milder_at(policy, budget, Instant(started), now)
        if due == NEVER:
            break
        between = now + max(0, due - now - 0.002)
        assert at_once(policy, budget, started, now) == at_once(policy, budget, started, between)
        now = due
    assert milder_at(policy, budget, Instant(started), now) == NEVER
    assert at_once(policy, budget, started, now) == at_once(policy, budget, started, now + 1e6)


@pytest.mark.parametrize("policy", [Policy.ALWAYS, Policy.UNLESS_STOPPED, Policy.ON_FAILURE])
def test_what_stands_is_what_the_core_orders_whatever_the_exit_code(policy: Policy) -> None:
    for exit_code in range(256):
        story = up(spec("db"), spec("web", needs("db"), policy=policy))
        moment = Moment(Instant(story.now), 0, "")
        told = react(story.world, ContainerDied(WEB, ContainerId("web-1"), exit_code), moment).commands
        started = [order.container for order in told if isinstance(order, StartContainer)]
        alike = policy is not Policy.ON_FAILURE or exit_code != 0
        assert started == (["web-1"] if alike else [])
        assert (standing_start(story.world, WEB, moment) == "web-1") is (policy is not Policy.ON_FAILURE)
        assert (len(exit_codes(story.unit("web").spec)) == 1) is (policy is not Policy.ON_FAILURE)


class Ready:
    def __init__(self) -> None:
        self.said: list[list[str]] = []

    def stand_by(self, containers: frozenset[ContainerId]) -> None:
        self.said.append(sorted(containers))


def on_a_loop(test: Callable[[], None]) -> Callable[[], None]:
    """Timers need one."""

    @functools.wraps(test)
    def run() -> None:
        async def main() -> None:
            test()

        asyncio.run(main())

    return run


def keeping(*busy: str) -> tuple[StandingOrders, Ready]:
    ready = Ready()
    return StandingOrders(ready, lambda: [UnitName(name) for name in busy], lambda: None), ready


@on_a_loop
def test_orders_are_taken_back_and_given_again() -> None:
    kept, ready = keeping()
    story = up(spec("db"), spec("web", needs("db")))
    kept.renew(story.world, Instant(story.now))
    kept.revoke()
    story.feed(StopAsked(UnitName("db")))
    kept.renew(story.world, Instant(story.now))
    assert ready.said == [["db-1", "web-1"], [], []]


@on_a_loop
def test_an_order_that_waits_its_turn_is_not_overtaken() -> None:
    kept, ready = keeping("web")
    story = up(spec("db"), spec("web"))
    kept.renew(story.world, Instant(story.now))
    assert ready.said == [["db-1"]]


@on_a_loop
def test_where_a_gate_is_asked_first_nothing_stands() -> None:
    ready, asked = Ready(), {"web"}
    story = up(spec("db"), spec("web"))
    kept = StandingOrders(
        ready, tuple, lambda: kept.renew(story.world, Instant(story.now)), asked_first=lambda name: name in asked
    )
    kept.renew(story.world, Instant(story.now))
    asked.clear()
    kept.think_again()
    asked.add("db")
    kept.think_again()
    assert ready.said == [["db-1"], [], ["db-1", "web-1"], [], ["web-1"]]


@on_a_loop
def test_a_unit_that_is_no_more_has_no_order() -> None:
    kept, ready = keeping()
    story = up(spec("db"), spec("web"))
    kept.renew(story.world, Instant(story.now))
    less = replace(story.world, units={WEB: story.world.units[WEB]}, links=check([spec("web")]).links)
    kept.renew(less, Instant(story.now))
    assert ready.said == [["db-1", "web-1"], ["web-1"]]


@on_a_loop
def test_an_engine_that_comes_back_is_looked_at_first() -> None:
    kept, ready = keeping()
    story = up(spec("web"))
    story.feed(EngineLost("away"))
    kept.renew(story.world, Instant(story.now))
    story.feed(EngineBack("26.1.5"))
    kept.renew(story.world, Instant(story.now))
    story.feed(SnapshotTaken((seen("web"),), "connect", story.seq))
    kept.renew(story.world, Instant(story.now))
    assert ready.said == [list(NOBODY), list(NOBODY), ["web-1"]]


def test_a_crowd_is_rehearsed_a_few_at_a_time() -> None:
    """Between them the event loop turns; who is not rehearsed yet has no order."""

    async def main() -> list[int]:
        ready = Ready()
        story = up(*(spec(f"u{number}") for number in range(2 * AT_ONCE + 1)))
        kept = StandingOrders(ready, tuple, lambda: kept.renew(story.world, Instant(story.now)))
        kept.renew(story.world, Instant(story.now))
        for _ in range(3):
            await asyncio.sleep(0)
        kept.close()
        return [len(said) for said in ready.said]

    assert asyncio.run(main()) == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1, 0]


def test_time_gives_an_order_to_whom_it_is_due() -> None:
    """A unit that was restarted has earned its order when it has run well for long enough, without any event."""

    async def main() -> list[list[str]]:
        loop = asyncio.get_running_loop()
        ready, told = Ready(), asyncio.Event()

        def renew() -> None:
            kept.renew(story.world, Instant(loop.time()))
            told.set()

        story = up(spec("db"), spec("web"))
        story.died("web")
        story.started("web")
        story.change("web", started_at=Instant(loop.time() - 9.95))
        kept = StandingOrders(ready, tuple, renew)
        renew()
        told.clear()
        await asyncio.wait_for(told.wait(), 5)
        kept.close()
        return ready.said

    assert asyncio.run(main()) == [["db-1"], ["db-1", "web-1"], []]
