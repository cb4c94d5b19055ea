"""Whoever knocks at a door cannot take what the supervisor needs for its work."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop

from supervisor.http import door
from supervisor.http.control.operations import OPERATIONS
from supervisor.http.pages.endpoints import page_routes, routes
from supervisor.http.server import BaseRequest, HttpServer, NoRouteError, Response, Route, StreamResponse, find
from tests.bed.engines import REPOSITORY
from tests.harness import Harness, until
from tests.pure.test_control import ask, play

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(("all_", "one_door"), [(64, 8), (256, 32), (1024, 128), (65536, 320), (1048576, 320)])
def test_four_doors_leave_half_of_the_descriptors(all_: int, one_door: int) -> None:
    assert door.places(all_) == one_door
    assert 4 * one_door <= all_ / 2


class Visitors:
    def __init__(self, port: int) -> None:
        self._port = port
        self.open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def come(self, say: bytes = b"") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.open.append((reader, writer))
        writer.write(say)
        return reader

    def leave(self) -> None:
        for _, writer in self.open:
            writer.close()


@asynccontextmanager
async def served(most: int) -> AsyncIterator[tuple[HttpServer, Visitors, asyncio.Event]]:
    go_on = asyncio.Event()

    async def answer(request: BaseRequest) -> StreamResponse:
        if request.path == "/slow":
            await go_on.wait()
        return Response(text="ok")

    server = HttpServer(answer, grace=0.1, handler_cancellation=True, most=most)
    await server.listen_tcp("127.0.0.1", 0)
    visitors = Visitors(server.port)
    try:
        async with asyncio.timeout(10):
            yield server, visitors, go_on
    finally:
        visitors.leave()
        await server.close()


async def gone(server: HttpServer) -> None:
    await until(lambda: not server.connections)


def run(loop: Callable[[], Any], main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main)


async def ended(reader: asyncio.StreamReader) -> bytes:
    with suppress(ConnectionResetError):
        return await reader.read()
    return b""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("said", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"])
def test_a_connection_without_a_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, loop: Callable[[], Any], said: bytes
) -> None:
    """Also one that stays after its answer."""
    monkeypatch.setattr(door, "IDLE", 0.2)

    async def main() -> None:
        async with served(8) as (server, visitors, _):
            idle, served_ = await visitors.come(said), await visitors.come(GET)
            assert (await served_.readline()).startswith(b"HTTP/1.1 200")
            await ended(idle)
            assert (await ended(served_)).endswith(b"ok")
            await gone(server)

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_who_comes_takes_the_place_of_the_idle(loop: Callable[[], Any]) -> None:
    """The one that is idle for longest goes; who is being served stays."""

    async def main() -> None:
        async with served(3) as (server, visitors, go_on):
            slow = await visitors.come(b"GET /slow HTTP/1.0\r\n\r\n")
            first = await visitors.come()
            await asyncio.sleep(0.1)
            for _ in range(50):
                await visitors.come()
            last = await visitors.come(GET)
            assert (await last.readline()).startswith(b"HTTP/1.1 200")
            assert await ended(first) == b""
            assert len(server.connections) <= 3
            go_on.set()
            assert (await slow.readline()).startswith(b"HTTP/1.0 200")

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_while_all_are_served_nobody_else_comes_in(loop: Callable[[], Any]) -> None:
    async def main() -> None:
        async with served(2) as (server, visitors, go_on):
            served_ = [await visitors.come(b"GET /slow HTTP/1.0\r\n\r\n") for _ in range(2)]
            await asyncio.sleep(0.1)
            assert await ended(await visitors.come(GET)) == b""
            go_on.set()
            for one in served_:
                assert (await ended(one)).endswith(b"ok")
            await gone(server)
            assert (await (await visitors.come(GET)).readline()).startswith(b"HTTP/1.1 200")

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_who_leaves_in_the_middle_is_no_error(loop: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C of ``events -f`` as a record is written: neither a traceback nor a line."""
    ends: list[str] = []

    async def answer(request: BaseRequest) -> StreamResponse:
        stream = StreamResponse()
        await stream.prepare(request)
        try:
            while True:
                await stream.write(b"x" * 65536)
        except BaseException as error:
            ends.append(type(error).__name__)
            raise

    async def main() -> None:
        for cancelled in (True, False):
            server = HttpServer(answer, grace=0.1, handler_cancellation=cancelled)
            await server.listen_tcp("127.0.0.1", 0)
            for _ in range(5):
                visitors = Visitors(server.port)
                reader = await visitors.come(GET)
                await reader.readline()
                visitors.open[0][1].transport.abort()
            async with asyncio.timeout(10):
                await gone(server)
            await server.close()

    run(loop, main())
    assert len(ends) == 10
    assert set(ends) - {"CancelledError"}
    assert [record.getMessage() for record in caplog.records if record.levelno >= 30] == []


class Asked:
    """A request's line, as far as a table of routes looks at it."""

    def __init__(self, target: str) -> None:
        from yarl import URL  # noqa: PLC0415 - only this test knows what parses targets

        self.method = "GET"
        self.rel_url = URL(target, encoded=True)


async def nothing(*_: Any) -> StreamResponse:
    raise NotImplementedError


TABLE = (Route("GET", "/a", nothing), Route("GET", "/b", nothing, frozenset({"tail", "unit"})))


@pytest.mark.parametrize("target", ["/a", "/a?", "/b?tail=1&unit=", "/b?unit"])
def test_known_parameters_are_let_in(target: str) -> None:
    find(TABLE, Asked(target))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/a?x=1", "unknown parameter 'x': it takes none"),
        ("/a?x", "unknown parameter 'x'"),
        ("/a?=1", "unknown parameter ''"),
        ("/b?tial=1", "unknown parameter 'tial': it takes tail, unit"),
        ("/b?Tail=1", "unknown parameter 'Tail'"),
        ("/b?tail=1&tail=2", "parameter 'tail' is given more than once"),
        ("/b?%ff=1", "unknown parameter"),
        (f"/b?{'x' * 4000}=1", "unknown parameter"),
    ],
)
def test_any_other_parameter_is_refused(target: str, said: str) -> None:
    with pytest.raises(NoRouteError) as refused:
        find(TABLE, Asked(target))  # type: ignore[arg-type]
    assert refused.value.code == 400
    assert said in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_route_takes_the_parameters_that_are_described() -> None:
    async def scene(harness: Harness) -> None:
        taken = {f"{route.method} {route.path}": route.query for route in harness.control.api.routes}
        assert taken == {name: {one.name for one in said.query} for name, said in OPERATIONS.items()}
        code, answer = await ask(harness, "GET", "/v1/units?nope=1")
        assert (code, answer["error"]) == (400, "unknown parameter 'nope': it takes none")

    play(scene)


def test_every_parameter_that_is_read_is_let_in() -> None:
    """By the source of the pages, too."""
    pages = (*page_routes(None, loopback=True), *routes(None, None))  # type: ignore[arg-type]
    assert {route.path: route.query for route in pages if route.query} == {"/": {"unit"}, "/graph.svg": {"page"}}
    script = (REPOSITORY / "supervisor/http/pages/static/page.js").read_text()
    assert set(re.findall(r"[`\"']/[\w.]*\?(\w+)", script)) <= {"unit", "page"}
