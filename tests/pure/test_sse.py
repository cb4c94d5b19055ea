"""A stream of events loses nothing that is kept, says what it lost, and lets no reader hold it up."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

import pytest

from supervisor.http import sse
from supervisor.journal import store
from tests.harness import Harness, short_directory, until
from tests.pure.story import spec
from units.spec import UnitSpec

Follow = Callable[..., Awaitable["Reader"]]
Scene = Callable[[Harness, Follow], Awaitable[None]]


def play(scene: Scene, *specs: UnitSpec) -> None:
    async def run() -> None:
        with short_directory() as run_dir:
            async with asyncio.timeout(20):
                async with Harness(run_dir, *specs) as harness, Readers(harness) as readers:
                    await scene(harness, readers.follow)

    asyncio.run(run())


class Reader:
    """An ``EventSource``, as far as it matters here."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.last = ""

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data; comments and ``retry`` are passed over."""
        said: dict[str, str] = {}
        while True:
            line = (await self._reader.readline()).decode()
            if not line:
                raise EOFError
            if line != "\n":
                key, _, value = line.rstrip("\n").partition(": ")
                said[key] = value
            elif "data" in said:
                self.last = said.get("id", self.last)
                return said["event"], json.loads(said["data"])
            else:
                said = {}

    async def line(self) -> bytes:
        return await self._reader.readline()

    def close(self) -> None:
        self._writer.close()


class Readers:
    """All those of a scene: closed at its end."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._writers: list[asyncio.StreamWriter] = []

    async def follow(self, query: str = "", *, seen: str = "", method: str = "GET") -> Reader:
        reader, writer = await asyncio.open_unix_connection(str(self._harness.control.path))
        self._writers.append(writer)
        back = f"Last-Event-ID: {seen}\r\n" if seen else ""
        writer.write(f"{method} /v1/events{query} HTTP/1.0\r\nAccept: text/event-stream\r\n{back}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        assert b"Content-Type: text/event-stream" in head
        return Reader(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def act(harness: Harness, verb: str, name: str = "web") -> None:
    reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
    writer.write(f"POST /v1/units/{name}/{verb}?wait=5 HTTP/1.0\r\n\r\n".encode())
    assert b"200 OK" in await reader.read()
    writer.close()


async def read(stream: Reader, count: int) -> list[int]:
    told = [await stream.next() for _ in range(count)]
    assert {event for event, _ in told} <= {"record"}
    return [data["seq"] for _, data in told]


def test_what_is_kept_comes_first_and_then_what_happens() -> None:
    """Records in order, each with an id; the stream ends with the supervisor."""

    async def scene(harness: Harness, follow: Follow) -> None:
        stream = await follow()
        known = harness.journal.last
        assert await read(stream, known) == list(range(1, known + 1))
        await act(harness, "stop")
        assert (await stream.next())[1]["rule"] == "ask.stop"
        event, data = await stream.next()
        assert (event, data["unit"], data["after"]) == ("record", "web", "stopping")
        assert stream.last == f"{harness.journal.run}-{known + 2}"
        await harness.end()
        last = harness.journal.last
        assert await read(stream, last - known - 2) == list(range(known + 3, last + 1))
        with pytest.raises(EOFError):
            await stream.next()

    play(scene, spec("web"))


def test_a_reader_that_comes_back_has_lost_nothing() -> None:
    """What came while it was away is sent first, and once."""

    async def scene(harness: Harness, follow: Follow) -> None:
        stream = await follow()
        known = harness.journal.last
        await read(stream, known)
        stream.close()
        await act(harness, "stop")
        await act(harness, "start")
        again = await follow(seen=stream.last)
        missed = harness.journal.last - known
        assert missed >= 4
        assert await read(again, missed) == list(range(known + 1, harness.journal.last + 1))
        await act(harness, "stop")
        assert (await again.next())[1]["seq"] == known + missed + 1

    play(scene, spec("web"))


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ("1", "the oldest events since are no longer kept"),
        ("0-1", "the supervisor was restarted since"),
        ("999999", "the supervisor was restarted since"),
        ("nonsense", "the last event id is unknown"),
    ],
)
def test_what_cannot_be_had_any_more_is_a_gap(seen: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is told first, then gets all that is kept."""
    monkeypatch.setattr(store, "KEPT", 4)

    async def scene(harness: Harness, follow: Follow) -> None:
        stream = await follow(seen=seen)
        assert await stream.next() == ("gap", {"event": "gap", "reason": why})
        assert await read(stream, 4) == list(range(harness.journal.last - 3, harness.journal.last + 1))

    play(scene, spec("web"), spec("db"))


def test_one_unit_s_records_are_kept_longer_than_all() -> None:
    """A reader of one unit has a gap only if records of that unit are gone."""

    async def scene(harness: Harness, follow: Follow) -> None:
        for _ in range(3):
            await act(harness, "stop")
            await act(harness, "start")
        stream = await follow("?unit=db", seen="1")
        assert {(await stream.next())[1]["unit"]} == {"db"}
        gone = await follow("?unit=web", seen="1")
        assert (await gone.next())[0] == "gap"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "KEPT", 4)
        patch.setattr(store, "KEPT_PER_UNIT", 8)
        play(scene, spec("web"), spec("db"))


def test_where_a_new_reader_begins() -> None:
    """``tail`` and ``after`` narrow what is kept; ``unit`` picks one's."""

    async def scene(harness: Harness, follow: Follow) -> None:
        last = harness.journal.last
        assert await read(await follow("?tail=2"), 2) == [last - 1, last]
        assert await read(await follow(f"?after={last - 3}"), 3) == [last - 2, last - 1, last]
        stream = await follow("?tail=0&unit=db")
        await act(harness, "stop")
        await act(harness, "stop", "db")
        assert (await stream.next())[1]["unit"] == "db"

    play(scene, spec("web"), spec("db"))


def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead peer is found out, and nothing of the stream is lost by it."""
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.01)

    async def scene(harness: Harness, follow: Follow) -> None:
        stream = await follow("?tail=0")
        assert await stream.line() == b"retry: 2000\n"
        assert [await stream.line() for _ in range(5)] == [b"\n", b":\n", b"\n", b":\n", b"\n"]
        await act(harness, "stop")
        assert (await stream.next())[1]["rule"] == "ask.stop"

    play(scene, spec("web"))


def test_a_reader_that_falls_behind_is_told_how_much_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is bounded: the oldest go, and their number is said in their place."""
    monkeypatch.setattr("supervisor.journal.record.QUEUE", 2)

    async def scene(harness: Harness, _follow: Follow) -> None:
        source = sse.records(harness.journal, tail=1)
        first = await anext(source)
        last = harness.journal.last
        await act(harness, "stop")
        await act(harness, "start")
        made = harness.journal.last - last
        told = [await anext(source) for _ in range(3)]
        assert (first.event, first.id) == ("record", f"{harness.journal.run}-{last}")
        assert told[0] == sse.Message("dropped", {"event": "dropped", "count": made - 2})
        assert [message.data["seq"] for message in told[1:]] == [last + made - 1, last + made]
        await source.aclose()
        assert not harness.journal._followers

    play(scene, spec("web"))


def test_a_reader_that_leaves_is_forgotten() -> None:
    """Its queue goes with it, though nothing happens that could be written to it; a HEAD has none."""

    async def scene(harness: Harness, follow: Follow) -> None:
        stream = await follow()
        await until(lambda: harness.journal._followers)
        stream.close()
        await until(lambda: not harness.journal._followers)
        with pytest.raises(EOFError):
            await (await follow(method="HEAD")).next()
        assert not harness.journal._followers

    play(scene, spec("web"))


def test_a_reader_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream ends and what it held is freed; others are served meanwhile."""
    monkeypatch.setattr("supervisor.http.server.STUCK", 0.1)

    async def scene(harness: Harness, _follow: Follow) -> None:
        ended = asyncio.Event()

        async def endless() -> AsyncIterator[sse.Message]:
            try:
                while True:
                    yield sse.Message("record", "x" * 10_000)
            finally:
                ended.set()

        monkeypatch.setattr(sse, "records", lambda *_args, **_options: endless())
        with socket.socket(socket.AF_UNIX) as sleeper:
            sleeper.connect(str(harness.control.path))
            sleeper.send(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
            await until(lambda: harness.control._busy)
            await act(harness, "stop")
            await ended.wait()
            await until(lambda: not harness.control._busy)

    play(scene, spec("web"))
