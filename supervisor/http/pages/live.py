"""The readers of the status page: the only place that tells them what has changed.

While somebody reads, it looks at the world four times a second, and compares records by identity. Nobody tells it, so
it is on no way that an order takes; without readers it does nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from hooks.backlog import Backlog
from supervisor.http.pages.model import SHOWN, PageModel, change, look, whole
from supervisor.http.sse import Message
from supervisor.journal.journal import Journal
from supervisor.journal.record import Record
from supervisor.views.status import Context
from units.world import World

READERS = 16
"""Pages open at a time; the next one gets a snapshot and is asked to come back later."""
WAITING = 64
"""Changes that wait for one reader. More, and it is cut off: it comes back, and begins with the present state."""
PAUSE = 0.25
"""Seconds between two looks at the world: changes within it are sent together."""


class Live:
    """``read`` it, unless it is ``full``. ``now`` is the time as the page shows it."""

    def __init__(
        self, world: Callable[[], World], context: Callable[[], Context], journal: Journal, now: Callable[[], str]
    ) -> None:
        self._world = world
        self._context = context
        self._journal = journal
        self._now = now
        self._readers: set[Backlog[Message]] = set()
        self._sight: PageModel | None = None
        self._last = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        return len(self._readers) >= READERS

    @property
    def readers(self) -> int:
        return len(self._readers)

    async def read(self) -> AsyncGenerator[Message, None]:
        """First the whole state, then what changes, until the reader is cut off or we end."""
        # The others are brought to the same state now, because all continue from one snapshot.
        sight = self._tell()
        reader = Backlog[Message](WAITING)
        self._readers.add(reader)
        try:
            yield Message("state", whole(sight, self._journal.records()[-SHOWN:], self._now()))
            while await reader.wait():
                yield reader.take()
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        for reader in self._readers:
            _cut_off(reader)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if self._readers:
            self._tell()
        else:
            self._sight = None

    def _tell(self) -> PageModel:
        before, self._sight = self._sight, look(self._world(), self._context(), self._sight)
        news = self._news()
        if (
            before is not None
            and (before is not self._sight or news)
            and (said := change(before, self._sight, news, self._now()))
        ):
            message = Message("change", said)
            for reader in tuple(self._readers):
                offer(reader, message)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._tick)
        return self._sight

    def _news(self) -> list[Record]:
        news = self._journal.records(after_seq=self._last)
        if news:
            self._last = news[-1].seq
        return news


def offer(reader: Backlog[Message], message: Message) -> None:
    """One that has not taken so many is cut off."""
    if not reader.put(message):
        _cut_off(reader)


def _cut_off(reader: Backlog[Message]) -> None:
    """It comes back, and begins with the present state: what waited for it is void."""
    reader.take_all()
    reader.close()
