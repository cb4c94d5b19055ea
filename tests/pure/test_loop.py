"""Who turns the crank, and when: orders within the event's own ``put``, the telling of them a turn later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from supervisor.loop import Entry, Inbox, Loop
from units.events import EngineLost, Event
from units.kernel import DivergedError, Reaction, new_world
from units.links import check
from units.machine import Moment


class Seen:
    """An observer that writes down what it saw, and may do something more about it."""

    def __init__(self, name: str, notes: list[str], also: Callable[[Event], object] = lambda _: None) -> None:
        self._name = name
        self._notes = notes
        self._also = also

    def observe(self, entry: Entry, _moment: Moment, _reaction: Reaction) -> None:
        assert isinstance(entry.event, EngineLost)
        self._notes.append(f"{self._name} {entry.event.reason}")
        self._also(entry.event)


@contextlib.asynccontextmanager
async def turning(inbox: Inbox, first: Seen, *then: Seen) -> AsyncIterator["asyncio.Task[None]"]:
    loop = Loop(new_world([], check([]).links), inbox, lambda: 0.5, first, then)
    task = asyncio.create_task(loop.run(asyncio.get_running_loop().time))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def an_inbox() -> Inbox:
    return Inbox(asyncio.get_running_loop().time)


def test_an_order_is_given_within_the_put_and_told_later() -> None:
    """What comes before that waits, so that orders and lines about them come in the order of the facts."""

    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        async with turning(inbox, Seen("act", notes), Seen("tell", notes), Seen("keep", notes)):
            await turns(2)
            inbox.put(EngineLost("a"))
            inbox.put(EngineLost("b"))
            assert (notes, inbox.taken, inbox.depth) == (["act a"], 1, 1)
            await turns(1)
            assert notes == ["act a", "tell a", "keep a"]
            await turns(2)
            assert notes == ["act a", "tell a", "keep a", "act b", "tell b", "keep b"]
            inbox.put(EngineLost("c"))
            assert notes[-1] == "act c"

    asyncio.run(main())


def test_what_comes_before_the_loop_turns_is_not_lost() -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        inbox.put(EngineLost("early"))
        async with turning(inbox, Seen("act", notes)):
            await turns(3)
        assert notes == ["act early"]

    asyncio.run(main())


@pytest.mark.parametrize("where", ["act", "tell"])
def test_a_fact_that_a_reaction_brings_waits_for_its_end(where: str) -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()

        def again(event: Event) -> None:
            if event == EngineLost("a"):
                inbox.put(EngineLost("b"))
                notes.append("put")

        act, tell = (Seen(name, notes, again if name == where else lambda _: None) for name in ("act", "tell"))
        async with turning(inbox, act, tell):
            await turns(2)
            inbox.put(EngineLost("a"))
            await turns(4)
        then = ["act a", "tell a", "act b", "tell b"]
        then.insert(then.index(f"{where} a") + 1, "put")
        assert notes == then

    asyncio.run(main())


@pytest.mark.parametrize("where", ["act", "tell"])
def test_a_defect_ends_the_loop_and_not_who_put_the_event_in(where: str) -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()

        def fail(event: Event) -> None:
            if event == EngineLost("bad"):
                raise DivergedError("still moving")

        act, tell = (Seen(name, notes, fail if name == where else lambda _: None) for name in ("act", "tell"))
        async with turning(inbox, act, tell) as task:
            await turns(2)
            inbox.put(EngineLost("bad"))
            inbox.put(EngineLost("next"))
            with pytest.raises(DivergedError, match="still moving"):
                await task
            inbox.put(EngineLost("last"))
        assert [note for note in notes if not note.endswith("bad")] == []

    asyncio.run(main())


def test_nothing_is_done_any_more_once_the_end_is_asked() -> None:
    """Not even before the loop's task has noticed: the orders' task group takes none."""

    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        async with turning(inbox, Seen("act", notes), Seen("tell", notes)) as task:
            await turns(2)
            task.cancel()
            inbox.put(EngineLost("late"))
            await turns(3)
        assert (notes, inbox.depth) == ([], 1)

    asyncio.run(main())


def test_the_world_is_the_new_one_when_put_returns() -> None:
    async def main() -> None:
        inbox = an_inbox()
        loop = Loop(new_world([], check([]).links), inbox, lambda: 0.5, Seen("act", []), ())
        task = asyncio.create_task(loop.run(asyncio.get_running_loop().time))
        await turns(2)
        inbox.put(EngineLost("gone"))
        assert loop.world.engine_reason == "gone"
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())
