"""The status page, asked over a real socket: what it says, whom it answers, and what it must never do."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from hooks.backlog import Backlog
from supervisor.http.pages.endpoints import serve_pages
from supervisor.http.pages.live import READERS, WAITING, Live, offer
from supervisor.http.pages.status_page import StatusPage
from supervisor.http.server import HttpServer, on_loopback, own_name
from supervisor.http.sse import Message
from supervisor.journal.journal import Journal
from supervisor.views.status import Context
from tests.pure.story import Story, after, seen, spec
from tests.pure.test_pages import Numbers
from tests.simulation.running import SILENT
from units import events as fact
from units.events import Event
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.spec import UnitName
from units.world import Entry

HTML = {"Accept": "text/html"}
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "right\u202eotni\u2066left",
    "two\nlines\u2028three",
    "x" * 10_000,
    "&amp;</td></tr><tr>",
    "../../etc/passwd?a=b#c%2f",
)


@dataclass
class Place:
    """A story that is told to a journal, and a page that shows it."""

    story: Story
    asked: int = 0
    journal: Journal = field(default_factory=lambda: Journal(SILENT, lambda instant: 1_800_000_000 + instant))

    def feed(self, event: Event) -> None:
        self.story.feed(event)
        assert self.story.last is not None
        moment = Moment(Instant(self.story.now), 0.5, f"c{self.story.seq}", self.story.seq)
        self.journal.observe(Entry(event, moment.cause, moment.now), moment, self.story.last)

    def page(self) -> StatusPage:
        self.asked += 1
        context = Context("attached", "unix:///fake", lambda instant: 1_800_000_000 + instant, started=1_800_000_000)
        said = [{"check": "live", "outcome": "failed", "output": "password=hunter22", "time": "2026-01-01T00:00:00Z"}]
        return StatusPage(
            world=lambda: self.story.world,
            context=lambda: context,
            journal=self.journal,
            checks=lambda _: said,
            now=lambda: "2026-01-01T00:00:00.000Z",
        )

    @contextlib.asynccontextmanager
    async def served(self, listen: str = "127.0.0.1:0") -> AsyncIterator[tuple[aiohttp.ClientSession, HttpServer]]:
        pages = await serve_pages(listen, Numbers(), lambda: self.story.world, self.page)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{pages.port}") as session:
                yield session, pages
        finally:
            await pages.close()


def up(*names: str) -> Place:
    place = Place(Story.of(*map(spec, names)))
    place.feed(fact.EngineBack("26.1"))
    place.feed(fact.SnapshotTaken(tuple(map(seen, names)), "connect", place.story.seq))
    return place


def serve(place: Place, ask: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), place.served() as (session, _):
            await ask(session)

    asyncio.run(run())


async def get(session: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, str]:
    async with session.get(path, headers=headers) as response:
        return response.status, await response.text()


class Elements(HTMLParser):
    """All elements with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def messages(response: aiohttp.ClientResponse, count: int) -> list[tuple[str, Any]]:
    """The next events of a stream."""
    found: list[tuple[str, Any]] = []
    event = ""
    while len(found) < count:
        line = (await response.content.readline()).decode().rstrip("\n")
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        if line.startswith("data: "):
            found.append((event, json.loads(line.removeprefix("data: "))))
    return found


def test_a_browser_gets_the_page_and_everybody_else_the_index() -> None:
    """Who does not ask for HTML (curl, promtool, a prober) gets the old plain text, and no page is made for it."""
    place = up("web")

    async def ask(session: aiohttp.ClientSession) -> None:
        for accept in ("*/*", "text/plain", "application/json"):
            status, text = await get(session, "/", Accept=accept)
            assert (status, text.splitlines()[0]) == (200, "dockwarden")
        assert place.asked == 0
        async with session.get("/", headers=HTML) as response:
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert response.headers["Vary"] == "Accept"
            assert "<h1" in await response.text()
        assert place.asked == 1

    serve(place, ask)


def test_the_page_says_what_is_the_matter_without_a_script() -> None:
    """The sentence, each unit, and with ``?unit=`` why it is so: all in the document."""
    place = up("web", "db")
    place.feed(fact.ContainerDied(UnitName("web"), place.story.id("web"), 3))

    async def ask(session: aiohttp.ClientSession) -> None:
        text = Elements((await get(session, "/", **HTML))[1]).text
        assert "1 of 2 units is up: web is starting" in text
        assert "exit code 3" in text
        assert "What happened" not in text
        opened = Elements((await get(session, "/?unit=web", **HTML))[1])
        assert "What happened" in opened.text
        assert "died (exit code 3)" in opened.text
        assert "decided: start it at once" in opened.text
        assert "policy=always" in opened.text
        links = {
            more["href"]: more["aria-expanded"] for tag, more in opened.found if tag == "a" and "aria-expanded" in more
        }
        assert links == {"/": "true", "/?unit=db": "false"}

    serve(place, ask)


def test_nothing_runs_but_our_own_files() -> None:
    """The policy allows no inline script or style, the page has none, and all it names is on this server."""

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get("/?unit=web", headers=HTML) as response:
            policy = response.headers["Content-Security-Policy"]
            found = Elements(await response.text()).found
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert [more.get("src") for tag, more in found if tag == "script"] == ["/page.js"]
        assert not [
            tag for tag, more in found if tag == "style" or any(key == "style" or key[:2] == "on" for key in more)
        ]
        named = {str(more[key]) for _, more in found for key in ("src", "href") if more.get(key)}
        assert all(address.startswith("/") and not address.startswith("//") for address in named), named
        for address in named - {"/healthz", "/metrics", "/readyz"}:
            async with session.get(address, headers=HTML) as response:
                assert response.status == 200, address
                assert response.headers["X-Content-Type-Options"] == "nosniff"

    serve(up("web"), ask)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name: str) -> None:
    """In the page, in the picture and in the reasons: no element comes of it, and nothing turns text around."""
    place = Place(Story.of(spec(name, after("db")), spec("db")))
    place.feed(fact.EngineLost(name))

    async def ask(session: aiohttp.ClientSession) -> None:
        plain = Elements((await get(session, "/", **HTML))[1])
        asked = name if len(name) < 4000 else "db"  # A longer address is no request.
        async with session.get("/", params={"unit": asked}, headers=HTML) as response:
            page = await response.text()
        parsed = Elements(page)
        kinds = {"script": 1, "img": 0, "tr": 4}  # the head, two units, the details of one
        assert {kind: sum(tag == kind for tag, _ in parsed.found) for kind in kinds} == kinds
        assert sum(tag == "tr" for tag, _ in plain.found) == 3
        assert not any(key.startswith("on") for _, more in parsed.found for key in more)
        assert any(more.get("data-unit") == name for _, more in parsed.found)
        shown = page.replace(f'data-unit="{name}"', "")
        assert not set("\u202e\u2066\u2028") & set(shown)
        for path in ("/graph.svg", "/graph.svg?page"):
            drawn = ET.fromstring((await get(session, path))[1])
            assert not [one for one in drawn.iter() if one.tag.rpartition("}")[2] in {"script", "img", "foreignObject"}]
            assert not [key for one in drawn.iter() for key in one.attrib if key.startswith("on") or "href" in key]

    serve(place, ask)


def test_what_looks_like_a_secret_is_not_shown() -> None:
    """Neither in the details of a unit nor in the list; nor is its image, its command or its environment."""
    place = up("web")
    place.feed(fact.EngineLost("proxy http://me:hunter22@there refused token=abcdef123456"))

    async def ask(session: aiohttp.ClientSession) -> None:
        details = (await get(session, "/units/web"))[1]
        page = (await get(session, "/?unit=web", **HTML))[1]
        for text in (details, page):
            assert "hunter22" not in text
            assert "abcdef123456" not in text
            assert "[redacted]" in text
        assert "environment" not in json.loads(details)["unit"]

    serve(place, ask)


def test_what_has_not_changed_is_not_sent_again() -> None:
    """A tag comes with the page and its files; another state is another tag."""
    place = up("web")

    async def ask(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/page.js", "/page.css", "/graph.svg"):
            async with session.get(path, headers=HTML) as response:
                tag = response.headers["ETag"]
                assert response.headers["Cache-Control"] == "no-cache"
            assert await get(session, path, **HTML, **{"If-None-Match": tag}) == (304, "")
        async with session.get("/", headers=HTML) as response:
            tag = response.headers["ETag"]
        place.feed(fact.ContainerDied(UnitName("web"), place.story.id("web"), 3))
        assert (await get(session, "/", **HTML, **{"If-None-Match": tag}))[0] == 200

    serve(place, ask)


def test_a_reader_sees_the_state_and_then_what_changes() -> None:
    """Only the rows that changed, the records that came, and the sentence."""
    place = up("web", "db")

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get("/live") as response:
            ((event, state),) = await messages(response, 1)
            assert event == "state"
            assert state["headline"]["text"] == "all 2 units are up"
            assert [unit["name"] for unit in state["units"]] == ["db", "web"]
            place.feed(fact.ContainerDied(UnitName("web"), place.story.id("web"), 3))
            ((event, change),) = await messages(response, 1)
        assert event == "change"
        assert set(change) == {"now", "headline", "units", "records"}
        assert [(unit["name"], unit["state"]) for unit in change["units"]] == [("web", "starting")]
        told = [(record["event"], record.get("after", record.get("outcome"))) for record in change["records"]]
        assert ("unit.transition", "starting") in told
        assert ("unit.decision", "start it at once") in told

    serve(place, ask)


def test_while_nothing_changes_nothing_is_sent_or_made() -> None:
    """A look at an unchanged world makes no row anew, and a reader hears nothing."""
    place = up("web", "db")

    async def run() -> None:
        live = place.page().live
        reading = live.read()
        assert (await anext(reading)).event == "state"
        first = live._sight
        assert first is not None
        live._tick()
        second = live._sight
        assert second is not None
        assert all(second.rows[name] is row for name, row in first.rows.items())
        waiting = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0)
        assert not waiting.done()
        live.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        assert live.readers == 0

    asyncio.run(run())


def test_units_that_come_and_go_are_told() -> None:
    """A configuration that was read anew changes rows and the graph."""
    place = up("web", "db")

    async def ask(session: aiohttp.ClientSession) -> None:
        async with session.get("/live") as response:
            await messages(response, 1)
            place.feed(fact.ConfigRead((spec("web"), spec("new", after("web")))))
            ((_, change),) = await messages(response, 1)
        assert change["graph"] == "changed"
        assert {unit["name"] for unit in change["units"]} >= {"new"}

    serve(place, ask)


def test_a_reader_that_does_not_read_is_cut_off() -> None:
    """What waits for it is bounded; the others hear everything."""

    async def run() -> None:
        slow = Backlog[Message](WAITING)
        for number in range(WAITING):
            offer(slow, Message("change", number))
        assert await slow.wait()
        assert slow.take().data == 0
        offer(slow, Message("change", "fits"))
        offer(slow, Message("change", "one too many"))
        assert not await slow.wait()

    asyncio.run(run())


def test_so_many_readers_and_no_more() -> None:
    """The next one is told when to come back; a page that is closed makes room at once."""
    place = up("web")

    async def run() -> None:
        async with asyncio.timeout(20), place.served() as (session, _), contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(session.get("/live")) for _ in range(READERS)]
            for one in streams:
                await messages(one, 1)
            async with session.get("/live") as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
            streams[0].close()
            while await _try(session) != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(run())


async def _try(session: aiohttp.ClientSession) -> int:
    async with session.get("/live") as response:
        return response.status


def test_an_open_page_does_not_hold_up_the_end() -> None:
    """The stream ends before the server waits for it."""
    place = up("web")

    async def run() -> float:
        pages = await serve_pages("127.0.0.1:0", Numbers(), lambda: place.story.world, place.page)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{pages.port}") as session, session.get("/live") as response:
            await messages(response, 1)
            began = time.monotonic()
            await pages.close()
            took = time.monotonic() - began
            assert not (await response.content.read()).strip()
        return took

    assert asyncio.run(run()) < 0.9


def test_a_foreign_name_that_leads_here_is_refused() -> None:
    """DNS rebinding: another site's page may not read ours; what a scraper reads is served under any name."""

    async def ask(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/live", "/units/web", "/graph.svg", "/page.js"):
            status, text = await get(session, path, **HTML, Host="evil.example:9779")
            assert (status, "--listen" in text) == (421, True), path
        assert (await get(session, "/", **HTML, Host="localhost:8080"))[0] == 200
        for path in ("/metrics", "/healthz"):
            assert (await get(session, path, Host="prometheus.example"))[0] == 200
        other = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}
        assert (await get(session, "/live", **other))[0] == 403

    serve(up("web"), ask)


def test_on_an_address_that_others_reach_any_name_will_do() -> None:
    """Who listens there knows the names that lead there; we do not."""

    async def run() -> None:
        place = up("web")
        async with asyncio.timeout(20), place.served("0.0.0.0:0") as (session, _):
            assert (await get(session, "/", **HTML, Host="host.example:9779"))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("header", "own"),
    [
        ("localhost", True),
        ("LOCALHOST:9779", True),
        ("127.0.0.1:9779", True),
        ("127.8.9.1", True),
        ("[::1]:9779", True),
        ("[::1]", True),
        ("dw.localhost:9779", True),
        ("", False),
        ("localhost.evil.example", False),
        ("evil.example:9779", False),
        ("10.0.0.1:9779", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_own_names(header: str, own: bool) -> None:
    """Only what no name server can be made to lead here."""
    assert own_name(header) is own


@pytest.mark.parametrize(
    ("host", "only"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), (None, False), ("0.0.0.0", False), ("h", False)],
)
def test_loopback(host: str | None, only: bool) -> None:
    """Without a host it listens everywhere."""
    assert on_loopback(host) is only


def test_only_reading() -> None:
    """No method but GET and HEAD, on any path of the page."""

    async def ask(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/live", "/units/web", "/graph.svg", "/page.js", "/page.css", "/icon.svg"):
            async with session.head(path, headers=HTML) as response:
                assert (response.status, await response.read()) == (200, b""), path
            for method in ("POST", "PUT", "DELETE"):
                async with session.request(method, path) as response:
                    assert response.status == 405
        assert (await get(session, "/units/nobody"))[0] == 404

    serve(up("web"), ask)


def test_a_host_that_goes_down_says_so() -> None:
    """In the sentence, before the units are gone."""
    place = up("web")
    place.feed(fact.ShutdownAsked("SIGTERM", Seconds(60)))

    async def ask(session: aiohttp.ClientSession) -> None:
        assert "the host goes down; 1 unit left to stop" in (await get(session, "/", **HTML))[1]

    serve(place, ask)


def test_live_is_only_there_while_somebody_reads() -> None:
    """No timer without a reader."""

    async def run() -> None:
        live: Live = up("web").page().live
        reading = live.read()
        await anext(reading)
        assert live._timer is not None
        await reading.aclose()
        live._tick()
        assert [live._timer, live._sight] == [None, None]

    asyncio.run(run())
