"""``GET /v1/logs``: our own records and what the containers write, in the order of their times, of one unit or of all.

Followed, it outlives what it tells of: a container's restart, a new container, an engine that comes back. Whoever reads
slowly holds up the readers of the containers here, and neither the containers nor the supervisor.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from supervisor.engine.port import Engine, EngineError
from supervisor.http.control.request import Refusal, Taken, flag, moment, named, number, open_lines, write_line
from supervisor.http.server import BaseRequest, StreamResponse
from supervisor.journal.journal import Journal
from supervisor.journal.record import Dropped, Record, Subscription
from supervisor.logs.merge import Bookmark, Held, Item, Last, merged
from supervisor.logs.timestamps import nanoseconds, stamp
from units.records import dataclass
from units.spec import USER_DOCKER, ContainerId, UnitName
from units.unit import Failure, Phase
from units.world import World

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MOST_LINES = 10_000
WAITING = 64
"""Lines, of a megabyte each at most, that wait for whoever reads them; then those who bring more wait, too."""
AGAIN = 0.5
"""Seconds until an output that has ended, or could not be read, is asked for once more, if nothing happens before."""
FOLLOWING = "following"
"""Stands between what there was and what comes."""
_UP = frozenset({Phase.STARTING, Phase.RUNNING, Phase.READY})

Put = Callable[[Item], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

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
    """Reads them, for one request after another. ``engine_log`` is the end of user Docker's own log."""

    def __init__(
        self,
        journal: Journal,
        engine: Engine | None,
        world: Callable[[], World],
        engine_log: Callable[[int], tuple[str, ...]],
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._world = world
        self._engine_log = engine_log

    async def get(self, request: BaseRequest, _taken: Taken) -> StreamResponse:
        """What there is and, with ``follow``, what comes."""
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

    def reading(self, wanted: Wanted) -> "Reading":
        return Reading(self._journal, self._engine, self._world, self._engine_log, wanted)

    def _wanted(self, request: BaseRequest) -> Wanted:
        """Raises Refusal."""
        unit = named(self._world(), name).name if (name := request.query.get("unit")) else None
        until = moment(request, "until")
        level = request.query.get("level", "info")
        if level not in LEVELS:
            raise Refusal(400, f"level: there is no '{level[:80]}'", f"there are: {', '.join(LEVELS)}")
        tail = number(request, "tail", 0) if "tail" in request.query else None
        return Wanted(
            unit=unit,
            since=moment(request, "since") or 0,
            until=until,
            tail=None if tail is None else min(tail, MOST_LINES),
            level=LEVELS[level],
            output_only=flag(request, "output"),
        )


class Reading:
    """One request's way through the logs."""

    def __init__(
        self,
        journal: Journal,
        engine: Engine | None,
        world: Callable[[], World],
        engine_log: Callable[[int], tuple[str, ...]],
        wanted: Wanted,
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
        """Something happened to this unit, which is followed."""

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
        # One at least, for the bookmark; and no last lines where older ones are wanted.
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
        """Its log is a file of its own; a line without a time has that of the line before."""
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
        """Our own records; and readers for the units' containers, which end with this one."""
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
        """What was told while nobody listened, or more than the queue of one who listens holds."""
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
        """Of one container of the unit after the other, and of each of their runs."""
        moved = self._moved[name]
        refused: ContainerId | None = None
        while True:
            moved.clear()
            unit = self._world().units.get(name)
            container = None if unit is None else unit.container
            if container is not None and container != refused:
                # All of one that came meanwhile: it was made after we began.
                mark = self._marks.setdefault(container, Bookmark())
                mark.rewind()
                try:
                    async with aclosing(self._lines(name, container, mark.at, None, follow=True)) as items:
                        async for item in items:
                            if mark.is_new(item):
                                await put(item)
                except EngineError as error:
                    if error.failure not in {Failure.UNREACHABLE, Failure.NOT_FOUND}:
                        refused = container  # Its logging driver cannot be read: told once.
                        await put(unreadable(name, container, error, time.time_ns()))
            await self._run_again(name, container if container != refused else None, moved)

    async def _run_again(self, name: UnitName, container: ContainerId | None, moved: asyncio.Event) -> None:
        """Until there may be more to read: it runs, as far as we know, or something has happened to it."""
        unit = self._world().units.get(name)
        goes_on = unit is not None and container is not None and unit.container == container and unit.phase in _UP
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN if goes_on else None):
                await moved.wait()


async def _in_order(queue: "asyncio.Queue[Item | None]", put: Put) -> None:
    """Until a None comes: what is held back for a moment, as it is due."""
    held, now, ended = Held(), asyncio.get_running_loop().time, False
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


# How a line is shown.


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
