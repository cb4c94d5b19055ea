"""Who runs the next command in a container: few at a time, each for seconds, and each container in its turn."""

import asyncio
from collections import deque

from units.spec import ContainerId

LENT = 5.0
"""Seconds after which a turn passes on. A command that takes longer costs its engine nothing while it only runs."""


class Turn:
    """One of the turns. It is over when it is given back, or after ``LENT`` seconds."""

    def __init__(self, turns: "Turns") -> None:
        self._turns: Turns | None = turns
        self._timer = asyncio.get_running_loop().call_later(LENT, self.give_back)

    def give_back(self) -> None:
        """Idempotent."""
        self._timer.cancel()
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.next()


class Turns:
    """So many at a time. The container that waits for longest without one comes first, whatever the others ask."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: dict[ContainerId, deque[asyncio.Future[Turn]]] = {}
        """In the order in which the containers get a turn."""

    async def take(self, container: ContainerId) -> Turn:
        """Wait for a turn."""
        if self._free:
            self._free -= 1
            return Turn(self)
        asked: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(container, deque()).append(asked)
        try:
            return await asked
        except BaseException:
            if asked.done() and not asked.cancelled():
                asked.result().give_back()  # It came in the moment in which the wait was given up.
            raise

    def next(self) -> None:
        """A turn has become free."""
        while self._waiting:
            container = next(iter(self._waiting))
            asking = self._waiting.pop(container)
            asked = asking.popleft()
            if asking:
                self._waiting[container] = asking  # Behind the others.
            if not asked.done():
                asked.set_result(Turn(self))
                return
        self._free += 1
