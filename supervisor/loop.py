"""The one inbox and the one consumer: take an event, let the core react, show everybody the reaction."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol

from units.events import Event
from units.kernel import react
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.records import dataclass
from units.world import Reaction, World


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


UNTOLD = 256
"""Reactions that wait to be told. At more, events wait in the inbox: memory has an end, in whatever storm."""
SLICE = Seconds(0.0001)
"""How long telling goes on before the engine's stream is looked at again. No observer is interrupted: the journal's
word on a restart takes 0.3 ms on a small host."""


class Loop:
    """Turns the crank. ``first`` acts on the reaction; ``then`` tells of it, after the orders are on their way.

    An event is reacted to within its ``put``: a task that had to be woken first would take longer to wake than to
    decide. Telling comes when there is nothing to react to, in the order of the reactions, and in slices: a death in
    the middle of it is answered before the last word is said.

    Args:
        slice_: Seconds of telling at a time; 0: one observer at a time.
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
        slice_: Seconds = SLICE,
    ) -> None:
        self.world = world
        self._inbox = inbox
        self._chance = chance
        self._first = first
        self._then = tuple(then)
        self._standing = standing
        self._slice = slice_
        self._untold: deque[tuple[Observer, tuple[Entry, Moment, Reaction]]] = deque()
        self._most = UNTOLD * len(self._then)
        self._task: asyncio.Task[None] | None = None
        self._woken: asyncio.Future[None] | None = None
        """What ``run`` waits for while there is nothing to tell."""
        self._stale = standing is not None
        """The standing orders are those of another world."""
        self._reacting = False
        self._defect: Exception | None = None

    async def run(self, now: Callable[[], float]) -> None:
        """Until it is cancelled; what was done by then is told. Raises what an observer or the core raises."""
        self._task = asyncio.current_task()
        self._inbox.feed(lambda: self._turn(now))
        self._turn(now)  # For what came before.
        try:
            while True:
                await self._something()
                # A turn of the event loop, in which the orders' tasks begin: they leave before the first line about
                # them is written, and before anything is thought through for the next time. Whoever was woken by an
                # order runs before we go on: it may be waiting for this very processor.
                await asyncio.sleep(0)
                os.sched_yield()
                await self._tell(now)
        except asyncio.CancelledError:
            for observer, told in self._untold:
                observer.observe(*told)
            raise
        except Exception:
            if self._standing is not None:
                self._standing.revoke()  # Nobody would give the order that has to follow.
            raise

    async def _something(self) -> None:
        """Until there is something to tell, or to do beforehand. Raises what ended it all."""
        if not self._untold and not self._stale and self._defect is None:
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        if self._defect is not None:
            raise self._defect

    async def _tell(self, now: Callable[[], float]) -> None:
        self._freshen(now)
        until = perf_counter() + self._slice  # uvloop's clock stands still within one of its turns.
        while self._untold:
            if perf_counter() >= until:
                await asyncio.sleep(0)
                self._freshen(now)
                until = perf_counter() + self._slice
            observer, told = self._untold.popleft()
            observer.observe(*told)
            if self._inbox.depth:
                self._turn(now)  # There is room again.

    def _freshen(self, now: Callable[[], float]) -> None:
        if self._stale:
            self.renew_standing(Instant(now()))

    def renew_standing(self, now: Instant) -> None:
        """Unless something is under way: then it is done at its end."""
        if self._standing is not None and self._alive and not self._reacting and not self._inbox.depth:
            self._stale = False
            self._standing.renew(self.world, now)

    @property
    def _alive(self) -> bool:
        return self._task is not None and not self._task.done() and not self._task.cancelling() and not self._defect

    def _turn(self, now: Callable[[], float]) -> None:
        """React to all that waits, unless that is being done, or too much is to be told first."""
        if self._reacting or not self._alive:
            return
        if self._standing is not None:
            self._stale = True
            self._standing.revoke()
        self._reacting = True
        try:
            while self._inbox.depth and len(self._untold) <= self._most:
                entry = self._inbox.take()
                moment = Moment(Instant(now()), self._chance(), entry.cause, self._inbox.taken)
                reaction = react(self.world, entry.event, moment)
                self.world = reaction.world
                self._first.observe(entry, moment, reaction)
                self._untold.extend((observer, (entry, moment, reaction)) for observer in self._then)
        except Exception as error:  # noqa: BLE001 - ends ``run``, and is no business of whoever put the event in
            self._defect = error
        finally:
            self._reacting = False
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
