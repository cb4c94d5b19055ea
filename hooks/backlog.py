"""A bounded queue for one reader: when it is full the oldest item is dropped and counted."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """``put`` never waits; one reader waits and takes. ``most``: the capacity."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[T] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """Number of dropped items. The reader may reset it."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """False: it was full, and the oldest was dropped."""
        room = len(self._items) < self._most
        if not room:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._wake.set()
        return room

    async def wait(self) -> bool:
        """Wait for an item; False: it is closed and empty."""
        while not self._items:
            if self._closed:
                return False
            self._wake.clear()
            await self._wake.wait()
        return True

    def take(self) -> T:
        return self._items.popleft()

    def take_all(self) -> list[T]:
        taken = list(self._items)
        self._items.clear()
        return taken

    def close(self) -> None:
        """Accept no more items; waiting ones can still be taken."""
        self._closed = True
        self._wake.set()
