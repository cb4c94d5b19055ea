"""``GET /v1/logs``: records and container output, in the order of their times, of one unit or of all.

A follow continues over a container's restart, a new container, and an engine that comes back. A slow client holds up
its own readers only, and neither the containers nor the supervisor.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from supervisor.engine.port import EngineError, EngineView
from supervisor.http.control.request import Refusal, Taken, flag, moment, number, open_lines, shown, write_line
from supervisor.http.server import BaseRequest, StreamResponse
from supervisor.journal.journal import Journal
from supervisor.journal.record import Dropped, Record, Subscription
from supervisor.logs.merge import Bookmark, HeldBack, Item, Last, merged
from supervisor.logs.timestamps import nanoseconds, stamp
from units.records import dataclass
from units.spec import USER_DOCKER, ContainerId, UnitName
from units.unit import Failure, Phase
from units.world import World

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MOST_LINES = 10_000
WAITING = 64
"""Lines (a megabyte each at most) that may wait for the client; then the readers pause."""
AGAIN = 0.5
"""Seconds until an output that has ended, or could not be read, is requested again, if nothing happens before."""
FOLLOWING = "following"
"""Separates kept lines from new ones."""
_UP = frozenset({Phase.STARTING, Phase.RUNNING, Phase.READY, Phase.PAUSED})

Put = Callable[[Item], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """The request."""

    unit: UnitName | None
    """``None``: all of them, and the host."""
    since: int
    """Nanoseconds since 1970; 0: from the first line that there is."""
    until: int | None
    tail: int | None
    """The last so many; ``None``: all."""
    level: int
    """The lowest of our own records."""
    output_only: bool
    """Without our own records."""

    def shows(self, record: Record) -> bool:
        at = nanoseconds_of(record)
        return (
            not self.output_only
            and LEVELS[record.level] >= self.level
            and self.unit in {None, record.unit}
            and self.since <= at
            and (self.until is None or at <= self.until)
        )


class Logs:
    """Reads the logs for requests. ``engine_log`` is the end of user Docker's own log."""

    def __init__(
        self,
        journal: Journal,
        engine: EngineView | None,
        world: Callable[[], World],
        engine_log: Callable[[int], tuple[str, ...]],
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._world = world
        self._engine_log = engine_log

    async def get(self, request: BaseRequest, _taken: Taken) -> StreamResponse:
        """The kept lines and, with ``follow``, new ones."""
        wanted = self._wanted(request)
        follow = flag(request, "follow") and wanted.until is None
        stream = await open_lines(request)
        reading = self.reading(wanted)

        async def put(item: Item) -> None:
            await write_line(request, stream, item.shown)

        await reading.past(put)
        if follow:
            await write_line(request, stream, {"time": stamp(time.time_ns()), "event": FOLLOWING})
            await reading.follow(put)
        return stream

    def reading(self, wanted: LogFilter) -> "LogReader":
        return LogReader(self._journal, self._engine, self._world, self._engine_log, wanted)

    def _wanted(self, request: BaseRequest) -> LogFilter:
        """Raises Refusal."""
        unit = shown(self._world(), name).name if (name := request.query.get("unit")) else None
        until = moment(request, "until")
        level = request.query.get("level", "info")
        if level not in LEVELS:
            raise Refusal(400, f"level: there is no '{level[:80]}'", f"there are: {', '.join(LEVELS)}")
        tail = number(request, "tail", 0) if "tail" in request.query else None
        return LogFilter(
            unit=unit,
            since=moment(request, "since") or 0,
            until=until,
            tail=None if tail is None else min(tail, MOST_LINES),
            level=LEVELS[level],
            output_only=flag(request, "output"),
        )


class LogReader:
    """One request in progress."""

    def __init__(
        self,
        journal: Journal,
        engine: EngineView | None,
        world: Callable[[], World],
        engine_log: Callable[[int], tuple[str, ...]],
        wanted: LogFilter,
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._world = world
        self._engine_log = engine_log
        self._wanted = wanted
        self._seq = 0
        """Of the last record that was read."""
        self._marks: dict[ContainerId, Bookmark] = {}
        self._moved: dict[UnitName, asyncio.Event] = {}
        """Set when something happened to this followed unit."""

    # What there is.

    async def past(self, put: Put) -> None:
        last = None if self._wanted.tail is None else Last(self._wanted.tail)
        async with aclosing(merged(self._sources())) as items:
            async for item in items:
                if last is None:
                    await put(item)
                else:
                    last.append(item)
        for item in last or ():
            await put(item)

    def _sources(self) -> list[AsyncGenerator[Item, None]]:
        sources = [self._records()]
        for name in self._names():
            container = self._world().units[name].container
            if name == USER_DOCKER:
                sources.append(self._of_user_docker())
            elif container is not None:
                sources.append(self._output(name, container))
        return sources

    def _names(self) -> list[UnitName]:
        return sorted(name for name in self._world().units if self._wanted.unit in {None, name})

    async def _records(self) -> AsyncGenerator[Item, None]:
        records = self._journal.records(self._wanted.unit)
        self._seq = self._journal.last
        for record in records:
            if self._wanted.shows(record):
                yield of_record(record)

    async def _output(self, name: UnitName, container: ContainerId) -> AsyncGenerator[Item, None]:
        wanted = self._wanted
        mark = self._marks[container] = Bookmark(wanted.since)
        # At least one, for the bookmark; no last lines where older ones are wanted.
        tail = None if wanted.tail is None or wanted.until is not None else max(wanted.tail, 1)
        try:
            async with aclosing(self._lines(name, container, mark.at, tail, follow=False)) as items:
                async for item in items:
                    if wanted.until is not None and item.at > wanted.until:
                        return
                    if mark.is_new(item):
                        yield item
        except EngineError as error:
            yield unreadable(name, container, error, time.time_ns())

    async def _of_user_docker(self) -> AsyncGenerator[Item, None]:
        """User Docker's log is a file; a line without a time has that of the previous line."""
        wanted, at = self._wanted, 0
        for text in await asyncio.to_thread(self._engine_log, min(wanted.tail or 1000, 1000)):
            at = nanoseconds(text.partition('time="')[2].partition('"')[0]) or at
            if wanted.since <= at and (wanted.until is None or at <= wanted.until):
                yield of_output(USER_DOCKER, ContainerId(""), "stderr", text, at)

    async def _lines(
        self, name: UnitName, container: ContainerId, since: int, tail: int | None, *, follow: bool
    ) -> AsyncGenerator[Item, None]:
        """Raises EngineError."""
        if self._engine is None:
            raise EngineError(Failure.UNREACHABLE, "there is no engine")
        lines = self._engine.logs(container, tail=tail, follow=follow, since=since)
        try:
            async for line in lines:
                yield of_output(name, container, line.stream, line.text, line.at)
        finally:
            if isinstance(lines, AsyncGenerator):
                await lines.aclose()

    # What comes.

    async def follow(self, put: Put) -> None:
        """Until the supervisor ends. Raises what ``put`` raises."""
        queue: asyncio.Queue[Item | None] = asyncio.Queue(WAITING)
        try:
            with self._journal.subscribe() as coming:
                async with asyncio.TaskGroup() as tasks:
                    records = tasks.create_task(self._follow_records(coming, queue, tasks), name="logs-records")
                    try:
                        await _in_order(queue, put)
                    finally:
                        records.cancel()
        except BaseExceptionGroup as group:
            if group.split(ConnectionError)[1] is not None:
                raise
            raise ConnectionResetError("the client does not read the answer") from group

    async def _follow_records(
        self, coming: Subscription, queue: "asyncio.Queue[Item | None]", tasks: asyncio.TaskGroup
    ) -> None:
        """Reads our records, and starts readers for the units' containers, which end with it."""
        readers: dict[UnitName, asyncio.Task[None]] = {}

        def spawn() -> None:
            for name in self._names():
                if name not in readers and name != USER_DOCKER:
                    self._moved[name] = asyncio.Event()
                    readers[name] = tasks.create_task(self._follow_output(name, queue.put), name=f"logs-{name}")

        try:
            spawn()
            await self._catch_up(queue.put)
            async for record in coming:
                if isinstance(record, Dropped):
                    await self._catch_up(queue.put)
                    for moved in self._moved.values():
                        moved.set()
                    continue
                await self._tell(record, queue.put)
                spawn()
                if (event := self._moved.get(UnitName(record.unit))) is not None:
                    event.set()
            await queue.put(None)
        finally:
            for reader in readers.values():
                reader.cancel()

    async def _catch_up(self, put: Put) -> None:
        """Records from before the subscription, or dropped from its queue."""
        records, whole = self._journal.since(self._seq)
        if not whole:
            await put(of_dropped(records[0].seq - self._seq - 1, records[0]))
        for record in records:
            await self._tell(record, put)

    async def _tell(self, record: Record, put: Put) -> None:
        if record.seq > self._seq:
            self._seq = record.seq
            if self._wanted.shows(record):
                await put(of_record(record))

    async def _follow_output(self, name: UnitName, put: Put) -> None:
        """Output of one container of the unit after the other, and of each of their runs."""
        moved = self._moved[name]
        refused: ContainerId | None = None
        while True:
            moved.clear()
            unit = self._world().units.get(name)
            container = None if unit is None else unit.container
            if container is not None and container != refused:
                # All output of a new container: it was created after the start of the follow.
                mark = self._marks.setdefault(container, Bookmark())
                mark.rewind()
                try:
                    async with aclosing(self._lines(name, container, mark.at, None, follow=True)) as items:
                        async for item in items:
                            if mark.is_new(item):
                                await put(item)
                except EngineError as error:
                    if error.failure not in {Failure.UNREACHABLE, Failure.NOT_FOUND}:
                        refused = container  # Its logging driver cannot be read: reported once.
                        await put(unreadable(name, container, error, time.time_ns()))
            await self._run_again(name, container if container != refused else None, moved)

    async def _run_again(self, name: UnitName, container: ContainerId | None, moved: asyncio.Event) -> None:
        """Wait until there may be more to read: it runs, or something has happened to it."""
        unit = self._world().units.get(name)
        goes_on = unit is not None and container is not None and unit.container == container and unit.phase in _UP
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN if goes_on else None):
                await moved.wait()


async def _in_order(queue: "asyncio.Queue[Item | None]", put: Put) -> None:
    """Send items, merged by time, until a None comes."""
    held, now, ended = HeldBack(), asyncio.get_running_loop().time, False
    while not ended:
        with suppress(TimeoutError):
            async with asyncio.timeout(held.wait(now())):
                item = await queue.get()
                while item is not None and not queue.empty():
                    held.put(item, now())
                    item = queue.get_nowait()
            if item is not None:
                held.put(item, now())
            ended = item is None
        for due in held.rest() if ended else held.take(now()):
            await put(due)


# The text of a line.


def nanoseconds_of(record: Record) -> int:
    return int(record.time * 1e6) * 1000


def of_record(record: Record) -> Item:
    at = nanoseconds_of(record)
    return Item(at, "", str(record.seq), {**record.as_dict(), "time": stamp(at)})


def of_output(unit: UnitName, container: ContainerId, stream: str, text: str, at: int) -> Item:
    shown = {"time": stamp(at), "unit": unit, "container": container[:12], "stream": stream, "text": text}
    return Item(at, container, f"{stream} {text}", shown)


def unreadable(unit: UnitName, container: ContainerId, error: EngineError, at: int) -> Item:
    shown = {"time": stamp(at), "unit": unit, "container": container[:12], "error": str(error)}
    return Item(at, container, "", shown)


def of_dropped(count: int, before: Record) -> Item:
    at = nanoseconds_of(before)
    return Item(at, "", "", {"time": stamp(at), **Dropped(count).as_dict()})
