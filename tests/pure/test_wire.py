"""HTTP over a unix socket: every way of cutting it, and every way in which a peer may misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.engine.address import Address
from supervisor.engine.connect import Road, unreachable
from supervisor.engine.fast_client import EventStream, FastClient, Reply, request
from supervisor.engine.http1 import LONGEST_HEAD, Lines, Response, WireError
from supervisor.engine.port import EngineError
from units.unit import Failure

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\ntoo old"
OPEN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def read(pieces: list[bytes], *, closed: bool = False) -> tuple[Response, bytes]:
    parts: list[bytes] = []
    response = Response(parts.append)
    for piece in pieces:
        response.feed(piece)
    if closed:
        response.end()
    return response, b"".join(parts)


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (OK, 200, b"ok"),
        (NO_CONTENT, 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (REFUSED, 400, b"too old"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (OPEN + chunk(b"one\n") + b"A;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, b"one\n0123456789"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200, b""),
    ],
)
@given(cuts=st.lists(st.integers(1, 40), max_size=8))
def test_an_answer_is_the_same_however_it_is_cut(data: bytes, status: int, body: bytes, cuts: list[int]) -> None:
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    response, read_body = read([*pieces, data])
    assert (response.status, response.done, response.keep_alive, read_body) == (status, True, True, body)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    response, body = read([b"HTTP/1.1 500 Oh\r\n\r\nsome", b" text"], closed=True)
    assert (response.done, response.keep_alive, body) == (True, False, b"some text")
    assert not read([b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"])[0].keep_alive
    assert not read([b"HTTP/1.0 204 No Content\r\n\r\n"])[0].keep_alive


@pytest.mark.parametrize(
    "data",
    [
        *(b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1\r\n\r\n"),
        b"x" * (LONGEST_HEAD + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        *(OPEN + size + b"\r\n" for size in (b"", b"-1", b"0x1", b"xyz", b"1" * 17)),
        OPEN + b"1" * (LONGEST_HEAD + 1),
        OPEN + b"2\r\nokay\r\n",
        OK + b"more",
    ],
)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        read([data])


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", OK[:-1], OPEN, OPEN + b"5\r\nab", OPEN + chunk(b"ab")])
def test_a_cut_answer_is_no_answer(data: bytes) -> None:
    with pytest.raises(WireError, match="cut"):
        read([data], closed=True)


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_a_wire_error(data: bytes) -> None:
    for head in (b"", OPEN):
        with suppress(WireError):
            read([head, data], closed=True)


@given(st.lists(st.text("ab\n", max_size=20), max_size=10))
def test_lines_are_the_same_however_they_are_cut(pieces: list[str]) -> None:
    lines = Lines()
    whole = "".join(pieces)
    read_lines = [line for piece in pieces for line in lines.feed(piece.encode())]
    assert read_lines == [line.encode() for line in whole.split("\n")[:-1] if line]


def test_a_line_that_is_too_long_is_skipped() -> None:
    lines = Lines(longest=5)
    assert lines.feed(b"12345\n12") == [b"12345"]
    assert [lines.feed(b"345"), lines.feed(b"678"), lines.feed(b"9\nab\nc")] == [[], [], [b"ab"]]
    assert lines.feed(b"d\n") == [b"cd"]


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ü", "/\x7f"])
def test_a_request_carries_no_second_one(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        request("GET", target)


def test_it_is_said_why_there_is_no_connection() -> None:
    for error, way_out in (
        (PermissionError(), "run as root or join its group"),
        (FileNotFoundError(), "not running, or listens on another socket"),
        (ConnectionRefusedError(), "is not running"),
        (OSError(28, "No space left on device"), "No space left"),
    ):
        told = unreachable("/x.sock", error)
        assert told.failure is Failure.UNREACHABLE
        assert "/x.sock" in str(told)
        assert way_out in str(told)


def road(path: str) -> Road:
    return Road(Address(path=path))


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(path: Path, serve: Serve) -> AsyncIterator[str]:
    """A peer that may misbehave; it closes each connection when ``serve`` returns."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_unix_server(closing, path / "x.sock")
    async with server:
        yield str(path / "x.sock")


def run(main: Coroutine[Any, Any, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(10):
            await main

    asyncio.run(in_time())


class Script:
    """Answers each request with the next of these; ``None`` closes the connection instead."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[int, bytes]] = []
        """Number of the connection, and the first line."""
        self._connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = self._connections
        while head := await until_blank_line(reader):
            self.requests.append((connection, head.split(b"\r\n")[0]))
            answer = self._answers.pop(0)
            if answer is None:
                return
            writer.write(answer)


async def until_blank_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def test_calls_share_a_connection(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(NO_CONTENT, REFUSED, OK)
        async with peer(tmp_path, script) as path:
            caller = FastClient(road(path))
            await caller.warm()
            assert await caller.call("POST", "/a", 10) == Reply(204, b"")
            assert await caller.call("POST", "/b", 10) == Reply(400, b"too old")
            assert await caller.call("GET", "/c", 10) == Reply(200, b"ok")
            caller.close()
        assert script.requests == [
            (1, b"POST /a HTTP/1.1"),
            (1, b"POST /b HTTP/1.1"),
            (1, b"GET /c HTTP/1.1"),
        ]

    run(main())


def test_a_request_leaves_before_anybody_waits_for_its_answer(tmp_path: Path) -> None:
    async def main() -> None:
        came = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            came.set()
            writer.write(NO_CONTENT)

        async with peer(tmp_path, serve) as path:
            caller = FastClient(road(path))
            await caller.warm()
            asked = caller.ask("POST", "/a", 10)
            await came.wait()
            assert await caller.answer(asked) == Reply(204, b"")

    run(main())


def test_a_kept_connection_that_was_closed_is_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(OK, None, NO_CONTENT)
        async with peer(tmp_path, script) as path:
            caller = FastClient(road(path))
            await caller.call("POST", "/a", 10)
            assert await caller.call("POST", "/b", 10) == Reply(204, b"")
            caller.close()
        assert [connection for connection, _ in script.requests] == [1, 1, 2]

    run(main())


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 20", OK[:-1], b"nonsense\r\n\r\n", OK + b"more"])
def test_a_peer_that_breaks_off_is_unreachable(tmp_path: Path, answer: bytes | None) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            writer.write(answer or b"")

        async with peer(tmp_path, serve) as path:
            caller = FastClient(road(path))
            with pytest.raises(EngineError) as caught:
                await caller.call("POST", "/a", 10)
            assert caught.value.failure is Failure.UNREACHABLE

    run(main())


def test_a_call_that_is_given_up_closes_its_connection(tmp_path: Path) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            assert await reader.read() == b""
            closed.set()

        async with peer(tmp_path, serve) as path:
            caller = FastClient(road(path))
            with pytest.raises(TimeoutError):
                await caller.call("POST", "/a", 0.01)
            await closed.wait()

    run(main())


def test_more_calls_than_connections_wait_for_their_turn(tmp_path: Path) -> None:
    async def main() -> None:
        script = Script(*[NO_CONTENT] * 20)
        async with peer(tmp_path, script) as path:
            caller = FastClient(road(path), connections=2)
            answers = await asyncio.gather(*(caller.call("POST", f"/{number}", 10) for number in range(20)))
            assert answers == [Reply(204, b"")] * 20
            caller.close()
        assert {connection for connection, _ in script.requests} == {1, 2}

    run(main())


def test_the_time_of_a_call_begins_when_it_leaves(tmp_path: Path) -> None:
    """The one before it takes longer than this one may."""

    async def main() -> None:
        late, came = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            came.set()
            await late.wait()
            writer.write(NO_CONTENT)
            await until_blank_line(reader)
            writer.write(NO_CONTENT)

        async with peer(tmp_path, serve) as path:
            caller = FastClient(road(path), connections=1)
            first = asyncio.create_task(caller.call("POST", "/a", 30))
            await came.wait()
            second = asyncio.create_task(caller.call("POST", "/b", 0.2))
            asyncio.get_running_loop().call_later(0.3, late.set)
            assert {*await asyncio.gather(first, second)} == {Reply(204, b"")}
            caller.close()

    run(main())


def test_nobody_at_the_socket_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        missing = str(tmp_path / "none.sock")
        for attempt in (FastClient(road(missing)).call("GET", "/", 10), road(missing).open(EventStream)):
            with pytest.raises(EngineError, match="does not exist") as caught:
                await attempt
            assert caught.value.failure is Failure.UNREACHABLE

    run(main())


def test_a_stream_hands_over_what_has_come(tmp_path: Path) -> None:
    async def main() -> None:
        more = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            writer.write(OPEN)
            await more.wait()
            writer.write(chunk(b'{"a":1}\n') + chunk(b'{"b":') + chunk(b"2}\n\n") + chunk(b"{"))

        async with peer(tmp_path, serve) as path:
            listener = await road(path).open(EventStream)
            assert await listener.open("/events") == Reply(200, b"")
            more.set()
            lines: list[bytes] = []
            for _ in range(2):
                with pytest.raises(WireError, match="cut"):
                    await listener.hand_over(lines.append)
            assert lines == [b'{"a":1}', b'{"b":2}']

    run(main())


def test_a_long_line_arrives_whole(tmp_path: Path) -> None:
    line = b"x" * (2 * 1024 * 1024)

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            writer.write(OPEN + chunk(line[:100]) + chunk(line[100:] + b"\n") + b"0\r\n\r\n")
            await writer.drain()

        async with peer(tmp_path, serve) as path:
            listener = await road(path).open(EventStream)
            await listener.open("/events")
            lines: list[bytes] = []
            with pytest.raises(WireError, match="ended"):
                await listener.hand_over(lines.append)
            assert lines == [line]

    run(main())


def test_who_hears_is_told_within_the_tick_and_may_fail(tmp_path: Path) -> None:
    """Lines that came before anybody listened come first; a hearer's defect is not taken for a cut connection."""

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await until_blank_line(reader)
            writer.write(OPEN + chunk(b"early\n"))
            await more.wait()
            writer.write(chunk(b"late\n"))
            await reader.read()

        def hear(line: bytes) -> None:
            heard.append(line)
            if line == b"early":
                more.set()
            else:
                raise ZeroDivisionError

        more, heard = asyncio.Event(), list[bytes]()
        async with peer(tmp_path, serve) as path:
            listener = await road(path).open(EventStream)
            await listener.open("/events")
            with pytest.raises(ZeroDivisionError):
                await listener.hand_over(hear)
            assert heard == [b"early", b"late"]
            assert not listener.alive

    run(main())


def test_a_stream_may_be_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with peer(tmp_path, Script(REFUSED)) as path:
            listener = await road(path).open(EventStream)
            assert await listener.open("/events") == Reply(400, b"too old")
            listener.close()

    run(main())
