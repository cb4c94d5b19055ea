"""The one inbox and the one consumer: take an event, let the core react, show everybody the reaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from units.events import Event
from units.kernel import Reaction, World, react
from units.machine import Moment
from units.quantities import Instant
from units.records import dataclass


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


class Beforehand(Protocol):
    """What may be done before an event is read: only in the world in which it was thought through."""

    def revoke(self) -> None: ...

    def renew(self, world: World, now: Instant) -> None: ...


class Inbox:
    """Where everything that happens comes in: engine, timers, people, results of orders.

    Unbounded on purpose: an engine's fact must not be dropped. Its depth is a metric.
    """

    def __init__(self, now: Callable[[], float], boot: str = "0") -> None:
        self._now = now
        self._boot = boot
        self._entries: deque[Entry] = deque()
        self._wake: Callable[[], None] | None = None
        self._numbered = 0
        self.taken = 0
        """Events consumed so far: the number of the last one."""

    def put(self, event: Event, *, cause: str = "", engine_ns: int = 0) -> str:
        """Enqueue, wake the consumer, and return the event's cause id: the given one, or a new one."""
        if not cause:
            self._numbered += 1
            cause = f"{self._boot}-{self._numbered}"
        self._entries.append(Entry(event, cause, Instant(self._now()), engine_ns))
        if self._wake is not None:
            self._wake()
        return cause

    def feed(self, wake: Callable[[], None]) -> None:
        """From now on ``wake`` is called after each ``put``, before that returns."""
        self._wake = wake

    def take(self) -> Entry:
        self.taken += 1
        return self._entries.popleft()

    @property
    def depth(self) -> int:
        return len(self._entries)


class Loop:
    """Turns the crank. ``first`` acts on the reaction; ``then`` tells of it, after the orders are on their way.

    When nothing else is under way, an event is reacted to within its ``put``: a task that had to be woken first would
    take longer to wake than to decide. What comes before that reaction has been told waits in the inbox.
    """

    def __init__(
        self,
        world: World,
        inbox: Inbox,
        chance: Callable[[], float],
        first: Observer,
        then: Sequence[Observer],
        *,
        standing: Beforehand | None = None,
    ) -> None:
        self.world = world
        self._inbox = inbox
        self._chance = chance
        self._first = first
        self._then = tuple(then)
        self._standing = standing
        self._idle: asyncio.Future[tuple[Entry, Moment, Reaction]] | None = None
        """What ``run`` waits for while nothing is under way: the next reaction, to tell of it."""

    async def run(self, now: Callable[[], float]) -> None:
        loop = asyncio.get_running_loop()
        self._inbox.feed(lambda: self._turn(now))
        while True:
            self._idle = loop.create_future()
            self.renew_standing(Instant(now()))
            loop.call_soon(self._turn, now)  # For what came meanwhile.
            # Takes a turn of the event loop, in which the orders' tasks begin: they leave before the first line about
            # them is written.
            entry, moment, reaction = await self._idle
            for observer in self._then:
                observer.observe(entry, moment, reaction)

    def renew_standing(self, now: Instant) -> None:
        """Unless something is under way: then it is done at its end."""
        if self._standing is not None and self._calm:
            self._standing.renew(self.world, now)

    @property
    def _calm(self) -> bool:
        return self._idle is not None and not self._idle.done() and not self._inbox.depth

    def _turn(self, now: Callable[[], float]) -> None:
        """React to the next event, if there is one and nothing is under way."""
        idle = self._idle
        if idle is None or idle.done() or not self._inbox.depth:
            return
        self._idle = None
        try:
            if self._standing is not None:
                self._standing.revoke()
            entry = self._inbox.take()
            moment = Moment(Instant(now()), self._chance(), entry.cause, self._inbox.taken)
            reaction = react(self.world, entry.event, moment)
            self.world = reaction.world
            self._first.observe(entry, moment, reaction)
        except Exception as error:  # noqa: BLE001 - ends ``run``, and is no business of whoever put the event in
            idle.set_exception(error)
        else:
            idle.set_result((entry, moment, reaction))
