"""Delivers notices: a queue, a rate limit and a circuit breaker for each receiver.

Nothing waits for delivery. Notices over the rate limit are merged into one, and those that the queue cannot hold are
dropped and counted.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hooks.backlog import Backlog
from hooks.circuit import Circuit
from hooks.errors import in_words
from hooks.notices import UNTOLD, Notice, NoticeKind, Troubled, notices, without
from units.records import replace
from units.unit import Phase
from units.world import Entry, Reaction, World

LASTS = 60.0
"""Seconds that it must be well before that is told."""
WELL = frozenset({Phase.READY, Phase.SERVING})
QUEUE = 256
BURST, REFILL = 10, 10.0
"""Notices that may be sent at once, and seconds for each further one."""


class Receiver(Protocol):
    """Where notices go. Called by one task, one notice after the other."""

    kind: str
    """``webhook``, ``apprise``, ``gotify`` or ``command``: a metric's label."""
    name: str
    """For the log: no secret of an address in it."""

    async def send(self, notice: Notice) -> None:
        """Raises NotToldError. Has a deadline of its own."""
        ...


class _Line:
    """One receiver's queue, and the task that works it off."""

    def __init__(self, receiver: Receiver, count: Callable[[str, str], None], log: Any) -> None:
        self._receiver = receiver
        self._count = count
        self._log = log
        self._queue = Backlog[Notice](QUEUE)
        self._tokens = float(BURST)
        self._filled = asyncio.get_running_loop().time()
        self._circuit = Circuit()

    def put(self, notice: Notice) -> None:
        if not self._queue.put(notice):
            self._count(self._receiver.kind, "dropped")

    async def run(self) -> None:
        while await self._queue.wait():
            await self._token()
            await self._tell(self._take())

    async def _token(self) -> None:
        """Wait until the rate limit allows another one."""
        now = asyncio.get_running_loop().time()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) / REFILL)
        self._filled = now
        if self._tokens < 1:
            missing = (1 - self._tokens) * REFILL
            await asyncio.sleep(missing)
            self._tokens, self._filled = 1.0, now + missing
        self._tokens -= 1

    def _take(self) -> Notice:
        """The oldest; or, where the limit has held some back, the last one for all of them."""
        if self._tokens >= 1 or len(self._queue) == 1:
            return self._queue.take()
        *held, last = self._queue.take_all()
        for _ in held:
            self._count(self._receiver.kind, "limited")
        others = tuple(dict.fromkeys(one.unit for one in held if one.unit != last.unit))
        return replace(last, more=len(held), others=others)

    async def _tell(self, notice: Notice) -> None:
        try:
            await self._receiver.send(notice)
        except Exception as error:  # noqa: BLE001 - a receiver's defect must not end its line for good
            self._count(self._receiver.kind, "failed")
            rest = self._circuit.failed()
            if self._circuit.failures == 1:
                self._log.warning("notification.failed", receiver=self._receiver.name, error=in_words(error))
            if rest:
                await asyncio.sleep(rest)
        else:
            self._count(self._receiver.kind, "sent")
            if failures := self._circuit.worked():
                self._log.info("notification.back", receiver=self._receiver.name, failures=failures)


class Notifier:
    """An observer.

    Args:
        receivers: Who is told.
        count: Called for each notice with receiver and outcome.
        log: For what could not be told.
        stamp: Says when and where a notice is from.
        told: What an earlier supervisor has told.
    """

    def __init__(
        self,
        receivers: Sequence[Receiver],
        count: Callable[[str, str], None],
        log: Any,
        stamp: Callable[[Notice], Notice],
        told: Troubled = UNTOLD,
    ) -> None:
        self._stamp = stamp
        self._world: World | None = None
        self._recovering: dict[str, asyncio.TimerHandle] = {}
        self._lines = [_Line(receiver, count, log) for receiver in receivers]
        self._troubled = told
        self._tasks = [asyncio.get_running_loop().create_task(line.run(), name="notifier") for line in self._lines]

    def observe(self, entry: Entry, _moment: Any, reaction: Reaction) -> None:
        told, self._troubled = notices(entry.event, reaction, self._troubled)
        self._world = reaction.world
        for notice in told:
            if notice.event is NoticeKind.RECOVERY:
                self._hold(notice)
            else:
                self._put(notice)

    def _put(self, notice: Notice) -> None:
        stamped = self._stamp(notice)
        for line in self._lines:
            line.put(stamped)

    def _hold(self, notice: Notice) -> None:
        """Who is tried every few minutes, and falls again each time, has one trouble, and has not recovered."""
        if earlier := self._recovering.pop(notice.unit, None):
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._recovering[notice.unit] = loop.call_later(LASTS, self._recovered, notice)

    def _recovered(self, notice: Notice) -> None:
        del self._recovering[notice.unit]
        unit = None if self._world is None else self._world.find(notice.unit)
        if unit is not None and unit.phase in WELL and not unit.flapping:
            self._troubled = without(self._troubled, unit.name)
            self._put(notice)

    @property
    def told(self) -> Mapping[str, str]:
        """Of which troubles it has told, for the next supervisor."""
        return {str(unit): kind.value for unit, kind in self._troubled.items()}

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for timer in self._recovering.values():
            timer.cancel()
