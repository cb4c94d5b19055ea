"""What waits for a slow reader is bounded, and what is lost is counted; who keeps failing rests."""

import asyncio

from hooks.backlog import Backlog
from hooks.circuit import FAILURES, REST, Circuit


def test_the_oldest_goes_and_is_counted() -> None:
    async def scene() -> None:
        backlog = Backlog[int](2)
        assert [backlog.put(number) for number in range(4)] == [True, True, False, False]
        assert (len(backlog), backlog.dropped) == (2, 2)
        assert await backlog.wait()
        assert (backlog.take(), backlog.take_all(), len(backlog)) == (2, [3], 0)

    asyncio.run(scene())


def test_a_reader_waits_until_something_comes_or_nothing_will() -> None:
    """What was there at the end can still be taken."""

    async def scene() -> None:
        backlog = Backlog[int](2)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(backlog.wait())
            await asyncio.sleep(0)
            backlog.put(1)
        assert waiting.result()
        backlog.close()
        assert await backlog.wait()
        assert backlog.take() == 1
        assert not await backlog.wait()
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            other = Backlog[int](1)
            waiting = tasks.create_task(other.wait())
            await asyncio.sleep(0)
            other.close()
        assert not waiting.result()

    asyncio.run(scene())


def test_only_failures_in_a_row_count() -> None:
    circuit = Circuit()
    assert [circuit.failed() for _ in range(FAILURES - 1)] == [0.0] * (FAILURES - 1)
    assert (circuit.worked(), circuit.worked()) == (FAILURES - 1, 0)
    assert [circuit.failed() for _ in range(FAILURES + 1)] == [0.0] * (FAILURES - 1) + [REST, REST]
