"""Puts lines of many sources into the order of their times, none of them lost and none twice. Pure.

- A *source* is one container, or the supervisor itself. Its own lines come in order.
- Whoever reads a source again from the last stamp it saw gets the lines of that stamp again: a *bookmark* knows which.
- Live, lines of two sources come as they come. Each is held back for a moment, for an older one may be on its way.
"""

import heapq
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

HOLD = 0.25
"""Seconds that a live line waits for older ones of other sources."""
HELD = 4096
"""Lines held back at most; then the oldest goes out at once."""
BYTES = 8 << 20
"""Of all their texts, about: a container may write lines of a megabyte."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the merged log."""

    at: int
    """Nanoseconds since 1970."""
    source: str
    """A container's id; empty: the supervisor."""
    text: str
    """What tells it from another line of the same nanosecond."""
    shown: dict[str, Any] = field(compare=False)
    """As JSON."""


class Bookmark:
    """How far a source was read. ``rewind`` before reading on from ``at``."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self._seen: Counter[str] = Counter()
        """How many lines of each text had the last stamp."""
        self._again: Counter[str] = Counter()

    def rewind(self) -> None:
        self._again = self._seen.copy()

    def is_new(self, item: Item) -> bool:
        """Whether it was not read before; from now on it was.

        A stamp before the last one is new all the same: somebody has set the clock back.
        """
        if item.at == self.at and self._again[item.text] > 0:
            self._again[item.text] -= 1
            return False
        if item.at != self.at:
            self.at = item.at
            self._seen.clear()
            self._again.clear()
        self._seen[item.text] += 1
        return True


class HeldBack:
    """Holds live lines back for a moment, and lets them go in the order of their times."""

    def __init__(self, hold: float = HOLD, most: int = HELD) -> None:
        self._hold = hold
        self._most = most
        self._heap: list[tuple[int, int, float, Item]] = []
        self._count = 0
        self._size = 0

    def put(self, item: Item, now: float) -> None:
        self._count += 1
        self._size += len(item.text)
        heapq.heappush(self._heap, (item.at, self._count, now + self._hold, item))

    def take(self, now: float) -> list[Item]:
        """What has waited for long enough, and whatever is older than that."""
        due = max((entry[:2] for entry in self._heap if entry[2] <= now), default=None)
        out = []
        while self._heap and ((due is not None and self._heap[0][:2] <= due) or self._full):
            out.append(heapq.heappop(self._heap)[3])
            self._size -= len(out[-1].text)
        return out

    @property
    def _full(self) -> bool:
        return len(self._heap) > self._most or self._size > BYTES

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None: nothing is held."""
        return max(0.0, min(entry[2] for entry in self._heap) - now) if self._heap else None

    def rest(self) -> list[Item]:
        """All that is held, at the end."""
        out = [entry[3] for entry in sorted(self._heap, key=lambda entry: entry[:2])]
        self._heap.clear()
        self._size = 0
        return out


class Last:
    """The last lines: so many, and of so many bytes at most."""

    def __init__(self, most: int, size: int = BYTES) -> None:
        self._most = most
        self._bytes = size
        self._items: deque[Item] = deque()
        self._size = 0

    def append(self, item: Item) -> None:
        self._items.append(item)
        self._size += len(item.text)
        while len(self._items) > self._most or (self._size > self._bytes and len(self._items) > 1):
            self._size -= len(self._items.popleft().text)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)


async def merged(sources: Sequence[AsyncGenerator[Item, None]]) -> AsyncGenerator[Item, None]:
    """Of sources that are in order, one line of each in memory. Of equal times the first source's comes first."""
    heads: list[tuple[int, int, Item]] = []
    try:
        for number, source in enumerate(sources):
            if (first := await anext(source, None)) is not None:
                heads.append((first.at, number, first))
        heapq.heapify(heads)
        while heads:
            at, number, item = heads[0]
            yield item
            if (following := await anext(sources[number], None)) is None:
                heapq.heappop(heads)
            else:
                # A clock that was set back within one source must not hold up the others.
                heapq.heapreplace(heads, (max(following.at, at), number, following))
    finally:
        for source in sources:
            await source.aclose()
