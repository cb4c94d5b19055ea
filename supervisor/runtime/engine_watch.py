"""Watches the engine: connects, follows its events, takes a snapshot after every gap, reports when it is gone."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, Protocol

from structlog.typing import FilteringBoundLogger

from supervisor.engine.api_version import API, TRIED, too_old, untried
from supervisor.engine.podman import UNSEEN
from supervisor.engine.port import BarredError, EngineError, EngineInfo, EngineMessage, EngineView, HandOver
from supervisor.runtime.loop import Inbox
from supervisor.runtime.replay import Replay
from units.engine_events import EngineStalled
from units.events import (
    ContainerDestroyed,
    ContainerDied,
    ContainerKilled,
    ContainerStarted,
    ContainerStopped,
    EngineBack,
    EngineFact,
    EngineLost,
    Observed,
    SnapshotTaken,
)
from units.quantities import Seconds
from units.reconcile import doubtful, missed
from units.records import replace
from units.spec import ContainerId, UnitName
from units.unit import Failure, Unit

FIRST_WAIT, LAST_WAIT = 0.1, 2.0
"""Between two tries to reach an engine: doubling, without end (RancherOS's own curve, which ended after 300 s)."""

OVERLAP_NS = 2_000_000_000
"""Seconds of events that a reconnect asks for again; known ones are dropped."""

SEEN = 4096

PROMPT = 1.0
"""Seconds. An engine that serves answers its first question within these; one that is just started lets it wait."""
POLL = Seconds(5)
"""Longest time between two snapshots where no event stream is to be had."""
GAP = 0.3
"""Seconds from one snapshot to the next, whatever asks for it."""
LAST_PAUSE = 5.0
"""Longest pause after a snapshot that failed; the first one is ``FIRST_WAIT``."""

LIFE = (ContainerStarted, ContainerDied, ContainerDestroyed)
"""What a snapshot may be first to tell, and a stream tells a moment later."""
HEARING = Seconds(2)
"""Within it the stream tells what a snapshot saw, unless it is deaf."""


class EngineTooOldError(Exception):
    """The engine's newest API is older than what is needed: retrying does not help."""


class DeafError(EngineError):
    """The engine serves, and its event stream is open and silent."""


class Gauges(Protocol):
    """Callbacks of the watch for metrics."""

    def stream_connected(self, *, connected: bool) -> None: ...

    def duplicate(self) -> None: ...

    def reconnected(self) -> None: ...

    def deaf(self) -> None: ...

    def heard(self, kind: str) -> None: ...


def only_too_old(group: BaseExceptionGroup) -> EngineTooOldError | None:
    """The reason why all that failed did; ``None`` if something else did, too.

    Not for ``except*``: what is raised there is bare in Python 3.11.7, and in a group in Debian 12's 3.11.2.
    """
    old, others = group.split(EngineTooOldError)
    if old is None or others is not None:
        return None
    found: BaseException = old
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, EngineTooOldError) else None


def refuse_old(info: EngineInfo) -> None:
    if too_old(info.api):
        raise EngineTooOldError(
            f"the engine {info.version} serves API {info.api} at most, {API} is needed: install Docker 20.10+"
        )


class EngineWatch:
    """``prepare`` runs at each connection before the first snapshot (it loads images).

    Args:
        besides: adds to a snapshot what is not a container of the engine.
        units: what is believed now; only what differs from it is inspected.
        wall: seconds since 1970.
        known_ns: the stamp of the last event that the supervisor before us took in. What the engine tells since then
            comes before the first snapshot: only so is a death known from a person's stop.
    """

    def __init__(
        self,
        engine: EngineView,
        inbox: Inbox,
        gauges: Gauges,
        log: FilteringBoundLogger,
        *,
        period: Seconds,
        prepare: Callable[[], Awaitable[None]],
        chance: Callable[[], float] = random.random,
        known_ns: int = 0,
        besides: Callable[[], Awaitable[tuple[Observed, ...]]] | None = None,
        units: Callable[[], Mapping[UnitName, Unit]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._gauges = gauges
        self._log = log
        self._period = period
        self._prepare = prepare
        self._chance = chance
        self._wall = wall
        self._tries = 0
        self._absence = (0, 0)
        """The engine was last away from its stamp of the last event before to our time of its first answer, in ns.

        Not before the first connection: what it told until then is judged by ``Replay``.
        """
        self._besides = besides
        self._units = units
        self._replay = Replay(known_ns) if known_ns else None
        self._doubts = asyncio.Event()
        self._run: asyncio.Task[None] | None = None
        self._hears = False
        """There is an event stream."""
        self._looked = False
        """A snapshot has been taken since the engine was connected."""
        self._last_ns: int | None = None
        self._seen: set[tuple[int, str]] = set()
        self._order: deque[tuple[int, str]] = deque()
        self._met: EngineInfo | None = None
        self._unread: Mapping[ContainerId, str] = {}
        self._heard: dict[ContainerId, type[EngineFact]] = {}
        """What the stream told last of each container's life."""
        self._meanwhile: set[ContainerId] = set()
        """Containers whose life the stream told of since the last snapshot was asked for."""
        self._sure_ns = 0
        """When the last snapshot was asked for that found nothing which the stream had not told."""

    def doubt(self, why: str) -> None:
        """Request a snapshot soon; several requests share one."""
        self._log.debug("snapshot.asked", reason=why)
        self._doubts.set()

    def look_every(self, period: Seconds) -> None:
        """From now on snapshots are this far apart."""
        if period != self._period:
            self._period = period
            self.doubt("another snapshot period")  # Else it would wait for the end of the old one.

    def leave(self) -> None:
        """Watch no more: the engine is about to end, and nothing that it says counts."""
        self._gauges.stream_connected(connected=False)
        if self._run is not None:
            self._run.cancel()

    async def run(self) -> None:
        """Watch until cancelled. Raises EngineTooOldError."""
        self._run = asyncio.current_task()
        wait, said = FIRST_WAIT, ""
        while True:
            try:
                info = await self._ask()
                refuse_old(info)
                self._meet(info)
                await self._prepare()
                wait, said = FIRST_WAIT, ""
                await self._stay(info)
            except DeafError as error:
                self._log.warning("stream.deaf", reason=str(error))
            except EngineError as error:
                if str(error) != said:
                    said = str(error)
                    self._inbox.put(EngineLost(said))
            self._gauges.stream_connected(connected=False)
            await asyncio.sleep(wait * (0.75 + 0.5 * self._chance()))
            wait = min(LAST_WAIT, wait * 2)

    async def _stay(self, info: EngineInfo) -> None:
        """Connections, until one ends with the engine: a proxy cuts idle streams, and that alone is no loss."""
        clock, cut = asyncio.get_running_loop().time, False
        self._looked = False
        while True:
            began = clock()
            try:
                await self._listen(info, cut=cut)
            except DeafError:
                raise
            except EngineError as error:
                if not self._looked or clock() - began < PROMPT or not await self._serves_on():
                    raise
                self._log.debug("stream.cut", reason=str(error))
            cut = True

    async def _serves_on(self) -> bool:
        """Whether the engine that we met answers at once."""
        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(PROMPT):
                return await self._engine.info() == self._met
        return False

    async def _ask(self) -> EngineInfo:
        """The engine's first answer of a connection. One that is late, or not the first try's, ends an absence."""
        self._tries += 1
        asked = self._wall()
        info = await self._engine.info()
        if self._last_ns is not None and (self._tries > 1 or self._wall() - asked > PROMPT):
            self._absence = self._last_ns, int(self._wall() * 1e9)
        self._tries = 0
        return info

    def _meet(self, info: EngineInfo) -> None:
        """Another engine may stamp the same event in another way: what was heard of the old one is forgotten."""
        if info == self._met:
            return
        self._met = info
        self._seen.clear()
        self._order.clear()
        if info.podman:
            self._log.warning("engine.podman", version=info.version, reason=UNSEEN)
        if untried(info.api):
            self._log.warning("engine.untried", version=info.version, api=info.api, tried=TRIED)

    async def _listen(self, info: EngineInfo, *, cut: bool = False) -> None:
        """One connection, from its first byte to its end, which is always an EngineError.

        ``cut``: the engine has served all the time, only the stream before this one has ended.
        """
        since, now = None, int(self._wall() * 1e9)
        if self._last_ns is not None:  # Never ahead of now: an engine may refuse that, and it would hide what comes.
            since = max(0, min(self._last_ns, now) - OVERLAP_NS)
        if self._replay is not None:
            since = min(self._replay.known_ns, now)
            self._replay.held.clear()
        async with contextlib.AsyncExitStack() as stack:
            hand_over = await self._stream(since, stack)
            self._gauges.stream_connected(connected=self._hears)
            if since is not None and self._replay is None:
                self._gauges.reconnected()
            self._last_ns = min(self._last_ns or now, now)
            if not cut:
                self._inbox.put(EngineBack(info.version))
            looking = self._look("period" if cut else "connect")
            both = {asyncio.ensure_future(looking), asyncio.ensure_future(hand_over(self._hear))}
            try:
                done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                for ended in done:
                    ended.result()
            finally:
                for each in both:
                    each.cancel()
                await asyncio.wait(both)

    async def _stream(self, since: int | None, stack: contextlib.AsyncExitStack) -> HandOver:
        """The event stream; where it is refused on the way to the engine, the engine is asked again and again."""
        try:
            hand_over = await stack.enter_async_context(self._engine.events(since))
        except BarredError:
            self._hears = False
            return self._ask_on
        self._hears = True
        return hand_over

    async def _ask_on(self, _hear: Callable[[EngineMessage], None]) -> NoReturn:
        """In place of a stream, whose end would tell that the engine is lost. Raises EngineError."""
        while True:
            await asyncio.sleep(POLL)
            await self._engine.info()

    def _hear(self, heard: EngineMessage) -> None:
        if self._replay is not None:
            self._replay.hold(heard)
            return
        if heard.at and (heard.at, heard.key) in self._seen:  # What has no stamp may tell something else each time.
            self._gauges.duplicate()
        else:
            if (told := heard.fact) is not None:
                left, back = self._absence
                if left < heard.at <= back and isinstance(told, ContainerKilled | ContainerStopped):
                    told = replace(told, unserved=True)
                self._inbox.put(told, engine_ns=heard.at)  # First, as it may be a death.
            if heard.doubt:
                self.doubt(heard.doubt)
            self._remember(heard)
        if isinstance(heard.fact, LIFE):
            if len(self._heard) > SEEN:
                self._heard.clear()
            self._heard[heard.fact.container] = type(heard.fact)
            self._meanwhile.add(heard.fact.container)
        self._gauges.heard(heard.kind)

    def _remember(self, heard: EngineMessage) -> None:
        mark = (heard.at, heard.key)
        self._seen.add(mark)
        self._order.append(mark)
        if len(self._order) > SEEN:
            self._seen.discard(self._order.popleft())
        # A stamp of the future would have the next stream begin there, and what happens until then be missed.
        self._last_ns = max(min(heard.at, int(self._wall() * 1e9)), self._last_ns or 0)

    async def _look(self, trigger: str) -> None:
        """Take snapshots: one at once, then on each request and after each period."""
        if self._replay is not None:
            await self._replay.heard_out()
            replayed, self._replay = self._replay.missed, None
            for heard in replayed:
                self._hear(heard)
        stalled, pause = False, FIRST_WAIT
        while True:
            self._doubts.clear()
            self._meanwhile.clear()
            asked_at = int(self._wall() * 1e9)
            asked_after = self._inbox.taken
            try:
                seen = await self._engine.snapshot(
                    thorough=trigger != "period", doubtful=lambda listed: doubtful(self._units(), listed)
                )
                if self._besides is not None:
                    seen += await self._besides()
            except BarredError:  # Told once, where all refusals are; the next try may be let through.
                await asyncio.sleep(self._period)
                continue
            except EngineError as error:
                self._log.warning("snapshot.failed", error=str(error))
                if error.failure is Failure.TIMEOUT and not stalled:
                    stalled = True
                    self._inbox.put(EngineStalled(str(error)))
                await asyncio.sleep(pause if error.failure is not Failure.UNREACHABLE else LAST_WAIT / 2)
                pause = min(LAST_PAUSE, pause * 2)
                continue
            stalled, pause = False, FIRST_WAIT
            self._tell_unread(seen)
            snapshot = SnapshotTaken(seen, trigger, asked_after)
            late = () if trigger == "connect" else missed(self._units(), snapshot)
            self._inbox.put(snapshot)
            self._looked = True
            if any(self._outdated(one) for one in seen):
                self.doubt("a container changed while all were looked at")
            if late and self._hears and not self._told(late):
                await self._listen_for(late)
            self._sure_ns = asked_at
            await asyncio.sleep(GAP)
            trigger = await self._next_trigger()

    def _outdated(self, row: Observed) -> bool:
        """Whether the stream told, after the snapshot was asked for, what this row does not say."""
        ran = self._heard.get(row.container) is ContainerStarted
        return row.container in self._meanwhile and row.running is not ran

    def _tell_unread(self, seen: tuple[Observed, ...]) -> None:
        """Name each container that does not answer for itself once, and once more when it does again."""
        before, self._unread = self._unread, {one.container: one.unread for one in seen if one.unread}
        for one in seen:
            if one.unread and one.container not in before:
                self._log.warning("container.unknown", unit=one.unit, container=one.name, reason=one.unread)
            elif one.container in before and not one.unread:
                self._log.info("container.known", unit=one.unit, container=one.name)

    def _told(self, late: tuple[EngineFact, ...]) -> bool:
        return all(self._heard.get(one.container) is type(one) for one in late)

    async def _listen_for(self, late: tuple[EngineFact, ...]) -> None:
        """A snapshot was first to tell what the stream tells, too. Raises DeafError if it does not."""
        await asyncio.sleep(HEARING)
        if not self._told(late):
            self._gauges.deaf()
            self._last_ns = min(self._last_ns or 0, self._sure_ns)
            raise DeafError(Failure.UNREACHABLE, f"the stream is open and did not tell that {late[0].unit} had changed")

    async def _next_trigger(self) -> str:
        try:
            async with asyncio.timeout(self._period if self._hears else min(POLL, self._period)):
                await self._doubts.wait()
        except TimeoutError:
            return "period"
        return "doubt"
