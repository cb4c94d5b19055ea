"""The inbox and its consumer: takes an event, lets the core react, and passes the reaction to all observers."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from units.events import Event
from units.kernel import react
from units.machine import Moment
from units.quantities import Instant
from units.world import Entry, Reaction, World


class Observer(Protocol):
    """Is called with each reaction, in the order set in app.py. Never waits, never raises."""

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None: ...


class Inbox:
    """The queue of all events: from the engine, timers, users, and results of orders.

    Unbounded on purpose: a fact must not be dropped. Its depth is a metric.
    """

    def __init__(self, now: Callable[[], float], boot: str = "0") -> None:
        self._now = now
        self._boot = boot
        self._entries: deque[Entry] = deque()
        self._wake: Callable[[], None] | None = None
        self._numbered = 0
        self.taken = 0
        """Number of events consumed so far."""

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


BACKLOG = 1024
"""Reactions not yet reported to the observers. At more, events wait in the inbox: memory is bounded in any storm."""
HELD = 768
"""Reactions that may wait to be reported while more events come in each turn: orders are worth more than reports."""
AT_ONCE = 8
"""Reactions reported before the event loop turns. Each costs about 0.3 ms; a new event waits for these at most."""


class Loop:
    """Takes events from the inbox, lets the core react, and reports each reaction.

    An event is reacted to within its ``put``: waking a task first would take longer than the decision. ``first`` gives
    the orders in the same call. The observers in ``then`` follow a turn of the event loop later, when the orders are
    on their way, in the order of the reactions. An event that comes meanwhile is reacted to before they go on, and
    while events keep coming, as in a storm, nothing is reported.
    """

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
        self._backlog: deque[tuple[Entry, Moment, Reaction]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._woken: asyncio.Future[None] | None = None
        """What ``run`` waits for while there is nothing to report."""
        self._reacting = False
        self._defect: Exception | None = None

    async def run(self, now: Callable[[], float]) -> None:
        """Until it is cancelled; what was done by then is reported. Raises what an observer or the core raises."""
        self._task = asyncio.current_task()
        self._inbox.feed(lambda: self._turn(now))
        self._turn(now)  # For earlier events.
        try:
            while True:
                await self._something()
                taken = self._inbox.taken
                # The orders' tasks begin in this turn, so they leave before the first line about them is written.
                # The engine that an order woke may wait for this processor: let it run.
                await asyncio.sleep(0)
                os.sched_yield()
                await self._report(now, taken)
        except asyncio.CancelledError:
            for reaction in self._backlog:
                self._show(*reaction)
            raise

    async def _something(self) -> None:
        """Wait until there is something to report. Raises the exception that ended the loop."""
        if not self._backlog and self._defect is None:
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        if self._defect is not None:
            raise self._defect

    async def _report(self, now: Callable[[], float], taken: int) -> None:
        """``taken``: how many events had come a turn ago."""
        while self._backlog:
            while self._inbox.taken != taken and len(self._backlog) < HELD:
                taken = self._inbox.taken
                await asyncio.sleep(0)
            for _ in range(min(AT_ONCE, len(self._backlog))):
                self._show(*self._backlog.popleft())
            if self._inbox.depth:
                self._turn(now)  # There is room again.
            await asyncio.sleep(0)

    def _show(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        for observer in self._then:
            observer.observe(entry, moment, reaction)

    @property
    def _alive(self) -> bool:
        return self._task is not None and not self._task.done() and not self._task.cancelling() and not self._defect

    def _turn(self, now: Callable[[], float]) -> None:
        """React to all waiting events, unless this is in progress, or too many reactions must be reported first."""
        if self._reacting or not self._alive:
            return
        self._reacting = True
        try:
            while self._inbox.depth and len(self._backlog) <= BACKLOG:
                entry = self._inbox.take()
                moment = Moment(Instant(now()), self._chance(), entry.cause, self._inbox.taken)
                reaction = react(self.world, entry.event, moment)
                self.world = reaction.world
                self._first.observe(entry, moment, reaction)
                self._backlog.append((entry, moment, reaction))
        except Exception as error:  # noqa: BLE001 - ends ``run``, and is no business of the event's producer
            self._defect = error
        finally:
            self._reacting = False
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
