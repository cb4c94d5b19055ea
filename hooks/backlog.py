"""A bounded queue between what happens and one reader of it: the oldest goes when it is full, and is counted."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """What happens puts in, without waiting; one reader waits and takes. ``most``: items that wait at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[T] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """Items that had to go. The reader may set it back."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """False: it was full, and the oldest has gone."""
        room = len(self._items) < self._most
        if not room:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._wake.set()
        return room

    async def wait(self) -> bool:
        """Until there is something to take; False: it is closed, and all was taken."""
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
        """Nothing comes any more; what waits can still be taken."""
        self._closed = True
        self._wake.set()
