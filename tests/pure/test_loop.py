"""Who turns the crank, and when: orders within the event's own ``put``, the telling of them a turn later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from supervisor.runtime.loop import AT_ONCE, BACKLOG, Inbox, Loop
from units.events import EngineLost, Event
from units.links import check
from units.machine import Moment
from units.step import DivergedError
from units.world import Entry, Reaction, new_world


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
    world = new_world([], check([]).links)
    loop = Loop(world, inbox, lambda: 0.5, first, then)
    task = asyncio.create_task(loop.run(asyncio.get_running_loop().time))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def settle() -> None:
    """Far more turns of the loop than anything here takes."""
    for _ in range(100):
        await asyncio.sleep(0)


def an_inbox() -> Inbox:
    return Inbox(asyncio.get_running_loop().time)


def test_an_order_is_given_within_the_put_and_told_later() -> None:
    """What comes before that is reacted to as well, and told in the order of the facts."""

    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        async with turning(inbox, Seen("act", notes), Seen("tell", notes), Seen("keep", notes)):
            await settle()
            inbox.put(EngineLost("a"))
            inbox.put(EngineLost("b"))
            assert (notes, inbox.taken, inbox.depth) == (["act a", "act b"], 2, 0)
            await settle()
            assert notes[2:] == ["tell a", "keep a", "tell b", "keep b"]
            inbox.put(EngineLost("c"))
            assert notes[-1] == "act c"

    asyncio.run(main())


def test_what_comes_before_the_loop_turns_is_not_lost() -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        inbox.put(EngineLost("early"))
        async with turning(inbox, Seen("act", notes)):
            await settle()
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
            await settle()
            inbox.put(EngineLost("a"))
            await settle()
        assert (
            notes
            == {
                "act": ["act a", "put", "act b", "tell a", "tell b"],
                "tell": ["act a", "tell a", "act b", "put", "tell b"],
            }[where]
        )

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
            await settle()
            inbox.put(EngineLost("bad"))
            inbox.put(EngineLost("next"))
            with pytest.raises(DivergedError, match="still moving"):
                await task
            inbox.put(EngineLost("last"))
        assert [note for note in notes if not note.endswith("bad")] == ([] if where == "act" else ["act next"])

    asyncio.run(main())


def test_nothing_is_done_any_more_once_the_end_is_asked() -> None:
    """Not even before the loop's task has noticed: the orders' task group takes none."""

    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        async with turning(inbox, Seen("act", notes), Seen("tell", notes)) as task:
            await settle()
            task.cancel()
            inbox.put(EngineLost("late"))
            await settle()
        assert (notes, inbox.depth) == ([], 1)

    asyncio.run(main())


def test_the_world_is_the_new_one_when_put_returns() -> None:
    async def main() -> None:
        inbox = an_inbox()
        loop = Loop(new_world([], check([]).links), inbox, lambda: 0.5, Seen("act", []), ())
        task = asyncio.create_task(loop.run(asyncio.get_running_loop().time))
        await settle()
        inbox.put(EngineLost("gone"))
        assert loop.world.engine_reason == "gone"
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())


def test_an_event_that_comes_between_two_reports_is_reacted_to_before_the_next() -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        soon = asyncio.get_running_loop().call_soon
        tell = Seen("tell", notes, lambda event: event == EngineLost("0") and soon(inbox.put, EngineLost("late")))
        async with turning(inbox, Seen("act", notes), tell):
            await settle()
            for number in range(2 * AT_ONCE):
                inbox.put(EngineLost(str(number)))
            await settle()
        assert notes.index("act late") == notes.index(f"tell {AT_ONCE - 1}") + 1
        assert notes[-1] == "tell late"

    asyncio.run(main())


def test_a_storm_waits_in_the_inbox_once_there_is_much_to_tell() -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        async with turning(inbox, Seen("act", notes), Seen("tell", notes)):
            await settle()
            for number in range(2 * BACKLOG):
                inbox.put(EngineLost(str(number)))
            assert inbox.depth == 2 * BACKLOG - len(notes) > BACKLOG // 2
            while len(notes) < 4 * BACKLOG:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)
        for what in ("act", "tell"):
            assert [note for note in notes if note.startswith(what)] == [f"{what} {n}" for n in range(2 * BACKLOG)]
        acted = 0
        for note in notes:
            acted += 1 if note.startswith("act") else -1
            assert acted <= BACKLOG + 1

    asyncio.run(main())


def test_what_was_done_is_told_also_when_the_loop_is_ended() -> None:
    async def main() -> None:
        notes: list[str] = []
        inbox = an_inbox()
        async with turning(inbox, Seen("act", notes), Seen("tell", notes), Seen("keep", notes)) as task:
            await settle()
            inbox.put(EngineLost("a"))
            inbox.put(EngineLost("b"))
            while "tell a" not in notes:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)
            task.cancel()
        assert notes == ["act a", "act b", "tell a", "keep a", "tell b", "keep b"]

    asyncio.run(main())
