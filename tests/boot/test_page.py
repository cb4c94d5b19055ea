"""The status page in a real browser, of a real host: what a person sees, clicks, and is never shown."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from script.demohost.host import demo_host
from supervisor.http.pages.endpoints import serve_pages
from tests.bed import engines
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.browser import Browser, Door
from tests.boot.host import Host
from tests.pure.story import Story, after, spec
from tests.pure.test_pages import Numbers
from tests.pure.test_status_page import HOSTILE, Place
from units import events as fact

MORE = """
    vpn:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: none
      restart: always
      labels: {io.rancher.os.scope: system, io.rancher.os.after: network}
    torrent:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: container:vpn
      restart: always
      labels: {io.rancher.os.scope: system}
    web:
      image: busybox:demo
      command: sh -c 'exit 3'
      net: host
      restart: always
      labels: {io.rancher.os.scope: system, io.rancher.os.after: console, dockwarden.restart.burst: "2"}
"""
LIVE = "return document.querySelector('#live').dataset.live === 'yes'"
CELL = "return document.querySelector(`tr[data-unit='${arguments[0]}'] .${arguments[1]}`)?.innerText.trim()"
WIDE = "return document.documentElement.scrollWidth - window.innerWidth"
LUMINANCE = """
  const light = (css) => {
    const [r, g, b] = css.match(/[\\d.]+/g).map((one) => one / 255)
      .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = (css) => getComputedStyle(document.querySelector(css));
  const back = light(style('section').backgroundColor);
  return ['h2', 'td.reason', 'tbody th', '.state .mark', 'small', 'time', 'dt', 'footer'].map((css) => {
    const ink = light(style(css).color);
    return [css, (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05)];
  });
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """One for all: each test leaves it as well as it found it."""
    with Bed() as bed:
        one = demo_host(bed, engines.system_version(), extra=MORE)
        one.boot()
        one.wait("web is in a crash loop", lambda units: units["web"]["state"] == "crash-loop")
        one.wait_up("console", "torrent", "vpn", "ntp")
        yield one
        assert one.end() == 0
    assert traces(bed.ident) == []


@pytest.fixture(scope="module")
def door(host: Host) -> Iterator[Door]:
    one = Door(host.bed.init_pid, 9779)
    yield one
    one.shut()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """As it is at first, with nothing to complain of."""
    chromium.screen(1280, 900)
    chromium.scheme("light")
    chromium.load("about:blank")
    chromium.console()
    chromium.asked_for()
    return chromium


def visit(browser: Browser, door: Door, path: str = "/") -> None:
    browser.load(f"http://127.0.0.1:{door.port}{path}")
    browser.wait("that it is live", LIVE)


def test_a_unit_is_killed_and_its_row_changes(host: Host, door: Door, browser: Browser) -> None:
    """Without loading anew; and friends of it that are restarted for it change in turn, with their cause."""
    visit(browser, door)
    browser.script("window.mark = 'same page'")
    before = [int(browser.script(CELL, name, "restarts")) for name in ("vpn", "torrent")]
    host.docker.post("/containers/vpn/kill")
    for name, count in zip(("vpn", "torrent"), before, strict=True):
        browser.wait(f"a restart of {name}", f"{CELL} === arguments[2]", name, "restarts", str(count + 1))
        browser.wait(f"{name} ready", f"{CELL}.endsWith('ready')", name, "state")
    lately = browser.script("return document.querySelector('#lately ol li').innerText")
    assert "vpn" in lately
    assert "torrent" in lately
    assert browser.script("return window.mark") == "same page"


def test_what_needs_you_is_said_and_stands_first(door: Door, browser: Browser) -> None:
    """The sentence at the top and in the window's title; the first row; a word and a shape, not only a colour."""
    visit(browser, door)
    assert browser.script("return document.querySelector('h1 .text').textContent").startswith(
        "1 unit needs attention: web is in a crash loop"
    )
    assert browser.script("return document.title").startswith("1 unit needs attention")
    browser.wait("web first", "return document.querySelector('tr.unit').dataset.unit === 'web'")
    assert browser.script(CELL, "web", "state").split() == ["▲", "crash-loop"]


def test_a_click_tells_why(door: Door, browser: Browser) -> None:
    """Below the unit: what it means, what comes next, and how it came to this. A second click closes it."""
    visit(browser, door)
    browser.click("tr[data-unit=web] a")
    browser.wait("the details", "return document.querySelector('.more .details ol')")
    text = browser.script("return document.querySelector('.more').innerText")
    for part in (
        "crash loop; retried",
        "dockwarden reset-failed web",
        "What happened",
        "died (exit code 3)",
    ):
        assert part in text
    assert browser.script("return [location.search, document.querySelector('tr[data-unit=web] a').ariaExpanded]") == [
        "?unit=web",
        "true",
    ]
    visit(browser, door, "/?unit=web")
    assert browser.script("return document.querySelectorAll('.more').length") == 1
    browser.click("tr[data-unit=web] a")
    assert browser.script("return [document.querySelectorAll('.more').length, location.search]") == [0, ""]


def test_the_keyboard_is_enough(door: Door, browser: Browser) -> None:
    """Tab to the units, arrows between them, Enter opens; what has the focus keeps it while the page changes."""
    visit(browser, door)
    browser.wait("web first", "return document.querySelector('tr.unit').dataset.unit === 'web'")
    browser.keys("\ue004\ue015\ue007")  # Tab, down, Enter
    name = browser.script("return document.activeElement.closest('tr').dataset.unit")
    assert name == browser.script("return document.querySelectorAll('tr.unit')[1].dataset.unit")
    browser.wait("the details", "return document.querySelector('.more .details')")
    outline = browser.script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_graph_follows(host: Host, door: Door, browser: Browser) -> None:
    """A box for each unit, in its state; a click on it opens the unit."""
    visit(browser, door)
    drawn = "return document.querySelectorAll('#graph .node').length"
    browser.wait("all boxes", f"{drawn} === arguments[0]", len(host.units()))
    node = "return document.querySelector(`#graph [data-unit='${arguments[0]}']`).getAttribute('class')"
    assert [browser.script(node, name) for name in ("web", "vpn")] == ["node needs-you", "node up"]
    browser.script("document.querySelector('#graph [data-unit=torrent]').scrollIntoView({block: 'center'})")
    browser.click("#graph [data-unit=torrent]")
    browser.wait("the details", "return document.querySelector('.more .details')")
    assert "vpn (net)" in browser.script("return document.querySelector('.more').innerText")


def test_it_complains_of_nothing_and_asks_nobody_else(door: Door, browser: Browser) -> None:
    """No error in the console, no request but to its own port, and each only once."""
    visit(browser, door)
    browser.click("tr[data-unit=web] a")
    browser.wait("the details", "return document.querySelector('.more .details')")
    assert browser.console() == []
    mine = f"http://127.0.0.1:{door.port}/"
    asked = [url.removeprefix(mine) for url in browser.asked_for() if not url.startswith(("data:", "about:"))]
    assert {"", "live", "page.js"} <= set(asked)
    assert set(asked) <= {"", "graph.svg?page", "icon.svg", "live", "page.css", "page.js", "units/web"}
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_any_light(door: Door, browser: Browser, scheme: str, tmp_path: Path) -> None:
    """Text keeps a contrast of 4.5 to 1 (WCAG AA), and dark is dark."""
    browser.scheme(scheme)
    visit(browser, door, "/?unit=web")
    contrast = dict(browser.script(LUMINANCE))
    assert min(contrast.values()) >= 4.5, contrast
    back = browser.script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(back) < 64) is (scheme == "dark")
    browser.picture(tmp_path / f"page-{scheme}.png")
    assert (tmp_path / f"page-{scheme}.png").stat().st_size > 10_000


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_the_window(door: Door, browser: Browser, width: int, tmp_path: Path) -> None:
    """Also a phone's, and with the details open: nothing makes the page wider than its window."""
    browser.screen(width, 740, phone=width < 700)
    visit(browser, door, "/?unit=web")
    assert browser.script(WIDE) == 0
    browser.picture(tmp_path / f"page-{width}.png")


def test_without_its_script_it_is_a_snapshot(door: Door, browser: Browser) -> None:
    """All is there, and it says that it does not follow; a link opens the details."""
    browser.without_script(True)
    try:
        browser.load(f"http://127.0.0.1:{door.port}/")
        browser.click("tr[data-unit=web] a")
        browser.wait("the details", "return document.querySelector('.more .details')")
        assert "reload it" in browser.script("return document.querySelector('#live').innerText")
        assert "crash-loop" in browser.script(CELL, "web", "state")
    finally:
        browser.without_script(False)


def test_a_page_that_is_cut_off_says_so_and_comes_back(door: Door, browser: Browser) -> None:
    """What it shows is old then, and it must not look as if it were not."""
    visit(browser, door)
    door.shut()
    browser.wait("that it is lost", "return document.querySelector('#live').innerText.startsWith('Not live')")
    door.open()
    browser.wait("that it is live again", LIVE)


def test_hostile_names_stay_text_in_a_browser(browser: Browser) -> None:
    """Of units, of reasons, in the graph and in what is sent later: nothing runs, is loaded, or overflows."""
    place = Place(Story.of(*(spec(name, after("db")) for name in HOSTILE), spec("db")))
    ready, over = threading.Event(), threading.Event()
    port = 0

    async def serve() -> None:
        nonlocal port
        pages = await serve_pages("127.0.0.1:0", Numbers(), lambda: place.story.world, place.page)
        port = pages.port
        ready.set()
        await asyncio.to_thread(over.wait)
        await pages.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        browser.screen(360, 740, phone=True)
        browser.load(f"http://127.0.0.1:{port}/")
        browser.wait("that it is live", LIVE)
        for name in HOSTILE:
            place.feed(fact.EngineLost(name))
        browser.wait("the last reason", "return document.querySelector('#host').innerText.includes('etc/passwd')")
        count = "return ['script', 'img', 'tr.unit'].map((css) => document.querySelectorAll(css).length)"
        assert browser.script(count) == [1, 0, len(HOSTILE) + 1]
        assert browser.script(WIDE) == 0
        names = browser.script("return [...document.querySelectorAll('tr.unit')].map((row) => row.dataset.unit)")
        assert set(names) == {*HOSTILE, "db"}
        shown = browser.script("return document.body.innerText")
        assert "<script>alert(1)</script>" in shown
        assert not set("\u202e\u2066\u2028") & set(shown)
        assert browser.console() == []
    finally:
        over.set()
        thread.join(10)
