"""The pages for monitoring, asked over a real socket of this machine."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest

from supervisor.http.pages.endpoints import portions, serve_pages
from supervisor.http.server import PagesError, address
from tests.pure.story import Story, seen, spec
from units import events as fact
from units.quantities import Seconds
from units.world import World


class Numbers:
    """Renders what it was asked for."""

    prepared = False

    def prepare(self) -> None:
        self.prepared = True

    def render(self, accept: str) -> tuple[str, Iterator[bytes]]:
        assert self.prepared
        return "text/plain; version=0.0.4; charset=utf-8", iter([b"# ", accept.encode(), b"\n"])


def serve(story: Story, ask: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def run() -> None:
        pages = await serve_pages("127.0.0.1:0", Numbers(), lambda: story.world)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{pages.port}") as session:
                await ask(session)
        finally:
            await pages.close()

    asyncio.run(run())


async def get(session: aiohttp.ClientSession, path: str, method: str = "GET") -> tuple[int, str]:
    async with session.request(method, path) as response:
        return response.status, await response.text()


def test_metrics_are_rendered_for_who_asks() -> None:
    """The Accept header decides, and the content type is the renderer's."""

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as response:
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert (response.status, await response.text()) == (200, "# application/openmetrics-text\n")

    serve(Story.of(), ask)


def test_ready_is_a_snapshot_taken_and_no_shutdown() -> None:
    """While not ready the page says why in one line; alive it is all the time."""
    story = Story.of(spec("console"))

    async def ask(session: aiohttp.ClientSession) -> None:
        assert await get(session, "/readyz") == (503, "the engine does not serve: not asked yet\n")
        story.feed(fact.EngineBack("26.1"))
        assert await get(session, "/readyz") == (
            503,
            "the engine does not serve: connected; first snapshot pending\n",
        )
        story.connect(seen("console"))
        assert await get(session, "/readyz") == (200, "ready\n")
        story.feed(fact.EngineLost("connection refused"))
        assert await get(session, "/readyz") == (503, "the engine does not serve: connection refused\n")
        story.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))
        assert await get(session, "/readyz") == (503, "the host goes down\n")
        assert await get(session, "/healthz") == (200, "ok\n")

    serve(story, ask)


def test_index_names_the_pages() -> None:
    """Whoever finds the port finds the rest."""

    async def ask(session: aiohttp.ClientSession) -> None:
        status, text = await get(session, "/")
        assert (status, [line.split()[0] for line in text.splitlines()]) == (
            200,
            ["dockwarden", "/", "/metrics", "/healthz", "/readyz"],
        )

    serve(Story.of(), ask)


def test_only_reading_is_allowed() -> None:
    """HEAD is GET without a body; every other method is refused on every page, and unknown pages are not there."""

    async def ask(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/metrics", "/healthz"):
            assert await get(session, path, "HEAD") == (200, "")
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                assert (await get(session, path, method))[0] == 405
        assert (await get(session, "/secret"))[0] == 404

    serve(Story.of(), ask)


def test_an_address_in_use_is_named() -> None:
    """The operator learns which address, and which option changes it."""

    def world() -> World:
        return Story.of().world

    async def run() -> str:
        first = await serve_pages("127.0.0.1:0", Numbers(), world)
        try:
            with pytest.raises(PagesError) as caught:
                await serve_pages(f"127.0.0.1:{first.port}", Numbers(), world)
            return str(caught.value).replace(str(first.port), "PORT")
        finally:
            await first.close()

    said = asyncio.run(run())
    assert said == (
        "cannot serve metrics at 127.0.0.1:PORT: address already in use; "
        "choose another address with --listen, or '' for none"
    )


def test_a_closed_page_frees_its_port() -> None:
    """Also when a client keeps its connection open."""

    async def run() -> None:
        story = Story.of()
        pages = await serve_pages("127.0.0.1:0", Numbers(), lambda: story.world)
        port = pages.port
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            assert await get(session, "/healthz") == (200, "ok\n")
            async with asyncio.timeout(5):
                await pages.close()
            again = await serve_pages(f"127.0.0.1:{port}", Numbers(), lambda: story.world)
            await again.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("listen", "meant"),
    [
        ("127.0.0.1:9779", ("127.0.0.1", 9779)),
        ("[::1]:1", ("::1", 1)),
        (":9779", (None, 9779)),
        ("host:0", ("host", 0)),
    ],
)
def test_addresses(listen: str, meant: tuple[str | None, int]) -> None:
    """HOST:PORT, IPv6 in brackets, no host for all addresses."""
    assert address(listen) == meant


@pytest.mark.parametrize("listen", ["9779", "localhost", "localhost:", "localhost:http", "::1:9779", "a:65536", "a:-1"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    """And the text shows what one looks like."""
    with pytest.raises(PagesError, match="expected HOST:PORT, as in 127"):
        address(listen)


def test_others_get_their_turn_while_a_page_is_made() -> None:
    """Not between all pieces, but whenever they have taken half a millisecond; nothing of the page is lost."""
    turns: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(5):
            begun = time.perf_counter()
            while time.perf_counter() - begun < 0.0015:
                pass
            turns.append(number)
            yield f"{number},".encode()

    async def run() -> list[bytes]:
        async def other() -> None:
            while True:
                turns.append(-1)
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        page = [portion async for portion in portions(pieces())]
        task.cancel()
        return page

    assert asyncio.run(run()) == [b"0,", b"1,", b"2,", b"3,", b"4,", b""]
    assert turns == [-1, 0, -1, 1, -1, 2, -1, 3, -1, 4, -1]


def test_quick_pieces_go_together() -> None:
    """A small page is one portion, and a long one has portions of 64 KiB and a little, however quickly it is made."""

    async def run(pieces: list[bytes]) -> list[int]:
        return [len(portion) async for portion in portions(pieces)]

    assert sum(asyncio.run(run([b"x" * 1000] * 3))) == 3000
    long = asyncio.run(run([b"x" * 1000] * 300))
    assert sum(long) == 300_000
    assert max(long) <= 66_000


def test_head_of_metrics_has_no_body() -> None:
    """And its connection can be used again."""

    async def ask(session: aiohttp.ClientSession) -> None:
        assert await get(session, "/metrics", "HEAD") == (200, "")
        assert (await get(session, "/metrics"))[0] == 200

    serve(Story.of(), ask)


class Endless(Numbers):
    """A page that no socket buffer takes."""

    def render(self, accept: str) -> tuple[str, Iterator[bytes]]:  # noqa: ARG002
        return "text/plain", (b"x" * 65536 for _ in range(1000))


def test_a_reader_that_stops_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its page nor the world that it is of are kept for ever; half a page does not look whole."""
    monkeypatch.setattr("supervisor.http.pages.endpoints.WHOLE", 0.2)

    async def run() -> bytes:
        server = await serve_pages("127.0.0.1:0", Endless(), lambda: Story.of().world)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(10):
            while server.connections:  # noqa: ASYNC110 - aiohttp tells nobody
                await asyncio.sleep(0.01)
        said = b""
        with contextlib.suppress(ConnectionError):
            said = await reader.read()
        writer.close()
        await server.close()
        return said

    assert not asyncio.run(run()).endswith(b"0\r\n\r\n")
