"""Watches the engine: connects, follows its events, takes a snapshot after every gap, reports when it is gone."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from supervisor.engine.api_version import API, too_new, too_old
from supervisor.engine.port import Engine, EngineError, EngineInfo, EngineMessage
from supervisor.runtime.loop import Inbox
from units.engine_events import EngineStalled
from units.events import EngineBack, EngineLost, Observed, SnapshotTaken
from units.quantities import Seconds
from units.unit import Failure

FIRST_WAIT, LAST_WAIT = 0.1, 2.0
"""Between two tries to reach an engine: doubling, without end (RancherOS's own curve, which ended after 300 s)."""

OVERLAP_NS = 2_000_000_000
"""Seconds of events that a reconnect asks for again; known ones are dropped."""

SEEN = 4096


class EngineTooOldError(Exception):
    """The engine does not serve the pinned API version: retrying does not help."""


class Gauges(Protocol):
    """Callbacks of the watch for metrics."""

    def stream_connected(self, *, connected: bool) -> None: ...

    def duplicate(self) -> None: ...

    def reconnected(self) -> None: ...

    def heard(self, kind: str) -> None: ...


def refuse_old(info: EngineInfo) -> None:
    if too_old(info.api):
        raise EngineTooOldError(
            f"the engine {info.version} serves API {info.api} at most, {API} is needed: install Docker 20.10+"
        )
    if too_new(info.api_min):
        raise EngineTooOldError(
            f"the engine {info.version} serves API {info.api_min} at least, {API} is spoken here: update dockwarden"
        )


class EngineWatch:
    """``prepare`` runs at each connection before the first snapshot (it loads images).

    ``besides``: adds to a snapshot what is not a container of the engine.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        gauges: Gauges,
        log: FilteringBoundLogger,
        *,
        period: Seconds,
        prepare: Callable[[], Awaitable[None]],
        chance: Callable[[], float] = random.random,
        besides: Callable[[], Awaitable[tuple[Observed, ...]]] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._gauges = gauges
        self._log = log
        self._period = period
        self._prepare = prepare
        self._chance = chance
        self._besides = besides
        self._wall = wall
        self._doubts = asyncio.Event()
        self._run: asyncio.Task[None] | None = None
        self._last_ns: int | None = None
        self._seen: set[tuple[int, str]] = set()
        self._order: deque[tuple[int, str]] = deque()

    def doubt(self, why: str) -> None:
        """Request a snapshot soon; several requests share one."""
        self._log.debug("snapshot.asked", reason=why)
        self._doubts.set()

    def leave(self) -> None:
        """Watch no more: the engine is about to end, and nothing that it says counts."""
        if self._run is not None:
            self._run.cancel()

    async def run(self) -> None:
        """Watch until cancelled. Raises EngineTooOldError."""
        self._run = asyncio.current_task()
        wait, said = FIRST_WAIT, ""
        while True:
            try:
                info = await self._engine.info()
                refuse_old(info)
                await self._prepare()
                wait, said = FIRST_WAIT, ""
                await self._listen(info)
            except EngineError as error:
                if str(error) != said:
                    said = str(error)
                    self._inbox.put(EngineLost(said))
            self._gauges.stream_connected(connected=False)
            await asyncio.sleep(wait * (0.75 + 0.5 * self._chance()))
            wait = min(LAST_WAIT, wait * 2)

    async def _listen(self, info: EngineInfo) -> None:
        """One connection, from its first byte to its end, which is always an EngineError."""
        since = None if self._last_ns is None else self._last_ns - OVERLAP_NS
        async with self._engine.events(since) as hand_over:
            self._gauges.stream_connected(connected=True)
            if since is not None:
                self._gauges.reconnected()
            self._inbox.put(EngineBack(info.version))
            both = {asyncio.ensure_future(self._look()), asyncio.ensure_future(hand_over(self._hear))}
            try:
                done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                for ended in done:
                    ended.result()
            finally:
                for each in both:
                    each.cancel()
                await asyncio.wait(both)

    def _hear(self, heard: EngineMessage) -> None:
        if (heard.at, heard.key) in self._seen:
            self._gauges.duplicate()
        else:
            if heard.fact is not None:
                self._inbox.put(heard.fact, engine_ns=heard.at)  # First, as it may be a death.
            if heard.doubt:
                self.doubt(heard.doubt)
            self._remember(heard)
        self._gauges.heard(heard.kind)

    def _remember(self, heard: EngineMessage) -> None:
        mark = (heard.at, heard.key)
        self._seen.add(mark)
        self._order.append(mark)
        if len(self._order) > SEEN:
            self._seen.discard(self._order.popleft())
        # A stamp of the future would have the next stream begin there, and what happens until then be missed.
        self._last_ns = max(min(heard.at, int(self._wall() * 1e9)), self._last_ns or 0)

    async def _look(self) -> None:
        """Take snapshots: one at once, then on each request and after each period."""
        trigger, stalled = "connect", False
        while True:
            self._doubts.clear()
            asked_after = self._inbox.taken
            try:
                seen = await self._engine.snapshot(thorough=trigger != "period")
                if self._besides is not None:
                    seen += await self._besides()
            except EngineError as error:
                self._log.warning("snapshot.failed", error=str(error))
                if error.failure is Failure.TIMEOUT and not stalled:
                    stalled = True
                    self._inbox.put(EngineStalled(str(error)))
                await asyncio.sleep(FIRST_WAIT if error.failure is not Failure.UNREACHABLE else LAST_WAIT / 2)
                continue
            stalled = False
            self._inbox.put(SnapshotTaken(seen, trigger, asked_after))
            trigger = await self._next_trigger()

    async def _next_trigger(self) -> str:
        try:
            async with asyncio.timeout(self._period):
                await self._doubts.wait()
        except TimeoutError:
            return "period"
        return "doubt"
