"""When a host acts, and when it reports: orders within the event's own ``put``, the reports of them later."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from supervisor.runtime.loop import AT_ONCE, BACKLOG
from tests.harness import Harness, ObedientEngine, short_directory, until
from tests.pure.story import spec
from units.events import StartAsked, StopAsked
from units.machine import Moment
from units.spec import ContainerId, UnitName
from units.world import Entry, Reaction

WEB, DB = UnitName("web"), UnitName("db")
HARMLESS = 1_000
"""Requests from this number on ask for what is so already."""


class NotingEngine(ObedientEngine):
    """Writes down each signal in the moment in which it is asked to send it, and may do something more then."""

    def __init__(self, notes: list[str], also: Callable[[str], object]) -> None:
        super().__init__()
        self._notes = notes
        self._also = also

    def signal(self, container: ContainerId, signal: str) -> Coroutine[Any, Any, None]:
        unit = self.containers[container].unit or ""
        self._notes.append(f"stop {unit}")
        self._also(unit)
        return super().signal(container, signal)


class Observed:
    """A host of two units, and in which order it acted and reported. What ``also`` does, it does at each report.

    A harmless request is only reported: ``report 0``, ``report 1`` ...
    """

    def __init__(
        self, also: Callable[["Observed", Entry], object], at_order: Callable[["Observed", str], object]
    ) -> None:
        self.notes: list[str] = []
        self.most_behind = 0
        """The largest number of reactions that were not reported."""
        self._also = also
        self._directory = short_directory()
        engine = NotingEngine(self.notes, lambda unit: at_order(self, unit))
        self.harness = Harness(self._directory.__enter__(), spec(WEB), spec(DB), engine=engine, observers=(self,))

    def observe(self, entry: Entry, moment: Moment, _reaction: Reaction) -> None:
        self.most_behind = max(self.most_behind, self.harness.inbox.taken - moment.seq)
        match entry.event:
            case StopAsked(unit=unit):
                self.notes.append(f"report {unit}")
            case StartAsked(request=number) if number >= HARMLESS:
                self.notes.append(f"report {number - HARMLESS}")
            case _:
                return
        self._also(self, entry)

    def stop(self, unit: UnitName) -> None:
        self.harness.inbox.put(StopAsked(unit, 0))

    def ask_harmlessly(self, count: int) -> None:
        for number in range(count):
            self.harness.inbox.put(StartAsked(WEB, HARMLESS + number))

    async def __aenter__(self) -> Self:
        await self.harness.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.harness.end()
        self._directory.__exit__(None, None, None)


def observed(
    check: Callable[[Observed], Coroutine[Any, Any, None]],
    *,
    also: Callable[[Observed, Entry], object] = lambda *_: None,
    at_order: Callable[[Observed, str], object] = lambda *_: None,
) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Observed(also, at_order) as host:
            await check(host)

    asyncio.run(run())


def test_orders_leave_within_the_put_and_before_anything_is_reported() -> None:
    """The world is the new one when ``put`` returns; reports come in the order of the facts."""

    async def check(host: Observed) -> None:
        host.stop(WEB)
        assert (host.notes, host.harness.phase("web")) == (["stop web"], "stopping")
        host.stop(DB)
        assert (host.notes, host.harness.inbox.depth) == (["stop web", "stop db"], 0)
        await host.harness.quiet()
        assert host.notes == ["stop web", "stop db", "report web", "report db"]

    observed(check)


def test_what_comes_before_the_host_runs_is_not_lost() -> None:
    """It is the first event that is reacted to."""

    async def run() -> None:
        with short_directory() as run_dir:
            harness = Harness(run_dir, spec(WEB), spec(DB))
            harness.inbox.put(StopAsked(WEB, 0))
            async with asyncio.timeout(20), harness:
                assert (harness.phase("web"), harness.phase("db")) == ("inactive", "ready")

    asyncio.run(run())


def test_a_fact_that_an_order_brings_waits_for_the_end_of_the_reaction() -> None:
    """A reaction is never begun within another one."""

    def put(host: Observed, unit: str) -> None:
        if unit == WEB:
            host.stop(DB)
            host.notes.append("put")

    async def check(host: Observed) -> None:
        host.stop(WEB)
        await host.harness.quiet()
        assert host.notes == ["stop web", "put", "stop db", "report web", "report db"]

    observed(check, at_order=put)


def test_a_fact_that_a_report_brings_is_acted_on_at_once() -> None:
    """It is reported after what was reported then."""

    def put(host: Observed, entry: Entry) -> None:
        if entry.event == StopAsked(WEB, 0):
            host.stop(DB)
            host.notes.append("put")

    async def check(host: Observed) -> None:
        host.stop(WEB)
        await host.harness.quiet()
        assert host.notes == ["stop web", "report web", "stop db", "put", "report db"]

    observed(check, also=put)


def fail(*_: object) -> None:
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize("where", ["order", "report"])
def test_a_defect_ends_the_host_and_not_who_put_the_event_in(where: str) -> None:
    """Nothing is done after it, whatever comes; units are left as they are."""

    async def check(host: Observed) -> None:
        host.stop(WEB)
        with pytest.raises(ExceptionGroup) as ended:
            await host.harness.ended()
        assert ended.group_contains(ZeroDivisionError, match="a defect")
        notes, taken = list(host.notes), host.harness.inbox.taken
        host.stop(DB)
        assert (host.notes, host.harness.inbox.taken) == (notes, taken)
        assert len(host.harness.engine.live(DB)) == 1

    if where == "order":
        observed(check, at_order=fail)
    else:
        observed(check, also=fail)


def test_what_was_done_is_reported_also_when_the_host_is_ended() -> None:
    """And what comes later is neither done nor reported."""

    async def check(host: Observed) -> None:
        host.ask_harmlessly(3 * AT_ONCE)
        host.stop(WEB)
        await until(lambda: "report 0" in host.notes)
        await host.harness.end()
        host.stop(DB)
        assert host.notes == ["stop web", *(f"report {number}" for number in range(3 * AT_ONCE)), "report web"]

    def leave(host: Observed, entry: Entry) -> None:
        if entry.event == StartAsked(WEB, HARMLESS):
            host.harness.leave()

    observed(check, also=leave)


def test_an_event_that_comes_between_two_reports_is_acted_on_before_the_next() -> None:
    """Others have their turn after so many reports, in any storm."""

    def later(host: Observed, entry: Entry) -> None:
        if entry.event == StartAsked(WEB, HARMLESS):
            asyncio.get_running_loop().call_soon(host.stop, DB)

    async def check(host: Observed) -> None:
        host.ask_harmlessly(2 * AT_ONCE)
        await host.harness.quiet()
        assert host.notes.index("stop db") == host.notes.index(f"report {AT_ONCE - 1}") + 1
        assert host.notes[-1] == "report db"

    observed(check, also=later)


def test_a_storm_waits_in_the_inbox_once_there_is_much_to_report() -> None:
    """Memory is bounded; nothing is lost, and all of it is reported in its order."""

    async def check(host: Observed) -> None:
        before = host.harness.inbox.taken
        host.ask_harmlessly(2 * BACKLOG)
        assert host.harness.inbox.depth == 2 * BACKLOG - (host.harness.inbox.taken - before) > BACKLOG // 2
        await host.harness.quiet()
        assert host.notes == [f"report {number}" for number in range(2 * BACKLOG)]
        assert BACKLOG // 2 < host.most_behind <= BACKLOG + 1

    observed(check)
