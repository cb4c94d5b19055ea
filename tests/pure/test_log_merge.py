"""Lines of many sources come out in the order of their times, none lost and none twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator

from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs.merge import BYTES, HOLD, Bookmark, HeldBack, Item, Last, merged

TEXTS = st.sampled_from("ab")
SOURCE = st.lists(st.tuples(st.integers(0, 4), TEXTS), max_size=12).map(
    lambda drawn: [
        Item(at, "box", text, {"n": n}) for n, (at, text) in enumerate(sorted(drawn, key=lambda one: one[0]))
    ]
)
"""In order, with many ties, and with lines that nothing tells apart."""


@given(SOURCE, st.lists(st.integers(0, 12), max_size=5))
def test_a_source_that_is_cut_and_read_again_loses_nothing_and_repeats_nothing(
    written: list[Item], cuts: list[int]
) -> None:
    """Wherever it is cut, and however often: each time it is read on from the last stamp, with all lines of that."""
    mark, got = Bookmark(), list[Item]()
    for cut in [*cuts, len(written)]:
        mark.rewind()
        again = [item for item in written if item.at >= mark.at]
        got += [item for item in again[: cut or None] if mark.is_new(item)]
    mark.rewind()
    got += [item for item in written if item.at >= mark.at and mark.is_new(item)]
    assert Counter((one.at, one.text) for one in got) == Counter((one.at, one.text) for one in written)
    assert [one.at for one in got] == [one.at for one in written]


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    """Within one reading, what comes is new."""
    mark = Bookmark()
    assert all(mark.is_new(Item(at, "box", "a", {})) for at in (5, 6, 2, 3))
    assert mark.at == 3


@given(st.lists(SOURCE, max_size=4))
def test_history_is_merged_in_order(sources: list[list[Item]]) -> None:
    """All lines, by their times, and of one source in the order in which they were written."""

    async def main() -> list[tuple[int, Item]]:
        made = [
            stream([Item(one.at, str(n), one.text, one.shown) for one in source]) for n, source in enumerate(sources)
        ]
        return [(int(item.source), item) async for item in merged(made)]

    got = asyncio.run(main())
    assert [item.at for _, item in got] == sorted(one.at for source in sources for one in source)
    for number, source in enumerate(sources):
        assert [item.shown for n, item in got if n == number] == [one.shown for one in source]


async def stream(items: list[Item]) -> AsyncGenerator[Item, None]:
    for item in items:
        yield item


ARRIVALS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=30)
"""When a line was written, and how much later it came."""


@given(ARRIVALS, st.integers(1, 40))
def test_what_is_held_comes_out_once_and_in_order_if_nothing_is_later_than_the_hold(
    arrivals: list[tuple[int, int]], most: int
) -> None:
    """Whatever the bound, nothing is lost; with room enough and no line too late, all are in order."""
    late_by = HOLD * 1000
    for bound in (most, 1000):
        held, out = HeldBack(most=bound), list[Item]()
        coming = sorted((at + delay, n, at) for n, (at, delay) in enumerate(arrivals))
        for now, n, at in coming:
            out += held.take(now / 1000)
            held.put(Item(at, "box", str(n), {}), now / 1000)
            assert len(held._heap) <= bound + 1
        out += held.rest()
        assert Counter(one.text for one in out) == Counter(str(n) for n in range(len(arrivals)))
        if bound == 1000:
            assert all(delay <= late_by for _, delay in arrivals)
            assert [one.at for one in out] == sorted(at for at, _ in arrivals)


def test_a_held_line_says_when_it_is_due() -> None:
    """Whoever writes sleeps until then, and not longer."""
    held = HeldBack(hold=0.25)
    assert held.wait(7.0) is None
    held.put(Item(5, "box", "b", {}), 10.0)
    held.put(Item(4, "box", "a", {}), 10.2)
    assert abs((held.wait(10.1) or 0) - 0.15) < 1e-9
    assert held.take(10.2) == []
    assert [one.text for one in held.take(10.25)] == ["a", "b"]  # The older one goes before it, though it came later.


def test_long_lines_are_not_held_for_long() -> None:
    """A container that writes megabytes must not fill our memory: the oldest go out at once, and none is lost."""
    held, out = HeldBack(), list[Item]()
    for number in range(20):
        held.put(Item(number, "box", "x" * (BYTES // 8), {}), 0.0)
        out += held.take(0.0)
        assert len(held._heap) <= 9
    assert [one.at for one in out + held.rest()] == list(range(20))


def test_the_last_lines_are_bounded_by_number_and_by_size() -> None:
    """One at least is kept, however long it is."""
    last = Last(3, size=10)
    for number, text in enumerate(["a" * 9, "b", "c", "d", "e" * 9]):
        last.append(Item(number, "box", text, {}))
    assert [one.at for one in last] == [3, 4]
    last.append(Item(5, "box", "f" * 99, {}))
    assert [one.at for one in last] == [5]
    assert list(Last(0)) == []
