"""The one inbox and the one consumer: take an event, let the core react, show everybody the reaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from units.events import Event
from units.kernel import Reaction, World, react
from units.machine import Moment
from units.unit import Instant


@dataclass(frozen=True, slots=True)
class Entry:
    """An event on its way."""

    event: Event
    cause: str
    """Id of what it belongs to."""
    arrived: Instant
    engine_ns: int = 0
    """The engine's own stamp, nanoseconds since 1970; 0 for what is not the engine's."""


class Observer(Protocol):
    """Looks on at each reaction, in the order that app.py writes down. Never waits, never raises."""

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None: ...


class Inbox:
    """Where everything that happens comes in: engine, timers, people, results of orders.

    Unbounded on purpose: an engine's fact must not be dropped. Its depth is a metric.
    """

    def __init__(self, now: Callable[[], float], boot: str = "0") -> None:
        self._now = now
        self._boot = boot
        self._entries: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._numbered = 0
        self.taken = 0
        """Events consumed so far: the number of the last one."""

    def put(self, event: Event, *, cause: str = "", engine_ns: int = 0) -> str:
        """Enqueue, and return the event's cause id: the given one, or a new one."""
        if not cause:
            self._numbered += 1
            cause = f"{self._boot}-{self._numbered}"
        self._entries.append(Entry(event, cause, Instant(self._now()), engine_ns))
        self._wake.set()
        return cause

    async def take(self) -> Entry:
        while not self._entries:
            self._wake.clear()
            await self._wake.wait()
        self.taken += 1
        return self._entries.popleft()

    @property
    def depth(self) -> int:
        return len(self._entries)


class Loop:
    """Turns the crank. ``first`` acts on the reaction; ``then`` tells of it, after the orders are on their way."""

    def __init__(
        self,
        world: World,
        inbox: Inbox,
        chance: Callable[[], float],
        first: Observer,
        then: Sequence[Observer],
    ) -> None:
        self.world = world
        self._inbox = inbox
        self._chance = chance
        self._first = first
        self._then = tuple(then)

    async def run(self, now: Callable[[], float]) -> None:
        while True:
            entry = await self._inbox.take()
            moment = Moment(Instant(now()), self._chance(), entry.cause, self._inbox.taken)
            reaction = react(self.world, entry.event, moment)
            self.world = reaction.world
            self._first.observe(entry, moment, reaction)
            if reaction.commands:
                # The orders leave before the first line about them is written. In the first turn of the event loop
                # they are handed to the sockets, and at its end uvloop writes them out.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            for observer in self._then:
                observer.observe(entry, moment, reaction)
