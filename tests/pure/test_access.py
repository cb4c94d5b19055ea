"""Behind a socket proxy: a refused call costs the one thing that needs it, and is told once."""

import asyncio
import contextlib
import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from supervisor.cli.doctor.engine_facts import engine_facts
from supervisor.cli.doctor.facts import EngineFacts
from supervisor.engine import access
from supervisor.engine.access import NEEDS, Barriers, is_barred, pinged, plain
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import BarredError, Blueprint, Engine, EngineError
from supervisor.http.reach import Reach
from supervisor.runtime import engine_watch
from tests.bed.engines import REPOSITORY
from tests.docker_29 import FakeDocker
from tests.pure.test_members import Watched, host
from tests.socket_proxy import SocketProxy
from units.events import ContainerDied, EngineBack, EngineLost, SnapshotTaken
from units.spec import ContainerId

PAGE = REPOSITORY / "docs/how-to/work-behind-a-socket-proxy.md"
ID = ContainerId("a" * 64)


@pytest.mark.parametrize(
    ("status", "said", "operation", "barred"),
    [
        (403, "403 Forbidden Request forbidden by administrative rules.", "restart", True),
        (403, "authorization denied by plugin x: no", "start", True),
        (403, "Forbidden", "events", True),
        (405, "Method Not Allowed", "start", True),
        (401, "", "list", True),
        (403, "container cannot be connected to host network", "connect", False),
        (403, "403 Forbidden Request forbidden by administrative rules.", "connect", True),
        (403, "endpoint with name web already exists in network host", "start", False),
        (403, "Address already in use", "restart", False),
        (403, "authorization denied by plugin x: no network for you", "start", True),
        (404, "page not found", "exec", False),
        (500, "403", "start", False),
        (900, "", "list", False),
    ],
)
def test_a_refusal_is_told_from_the_engines_own_words(status: int, said: str, operation: str, barred: bool) -> None:
    assert is_barred(status, said, operation) is barred


def test_a_page_of_html_is_one_line() -> None:
    assert plain("<html><body><h1>403</h1>\nNo.\n</body></html>\n") == "403 No."
    assert plain("a < b > c") == "a < b > c"
    assert len(plain("<" * 10**6)) < 10**4


def test_a_ping_tells_enough_to_speak() -> None:
    """The highest version is served in any case; the lowest is not known."""
    told = pinged({"Api-Version": "1.45", "Server": "Docker/26.1.5+dfsg1 (linux)"})
    assert (told.version, told.api, told.api_min) == ("26.1.5+dfsg1", "1.45", "1.45")
    assert pinged({}).api == pinged({"Api-Version": "x" * 99}).api == "1.41"


def test_each_refusal_is_told_once() -> None:
    """Also one that is let through for some containers and refused for others."""
    told: list[str] = []
    barriers = Barriers(told.append, lambda *_: None)
    for outcome in ("ok", "barred", "barred", "ok", "barred", "ok", "barred", "unreachable"):
        barriers.called("restart", outcome, 0)
    barriers.called("exec", "barred", 0)
    assert [bool(said) for said in told] == [True, False, True, True]
    assert "POST /containers/*/restart: unhealthy containers are not restarted" in told[0]
    assert "restart" in told[-1]
    assert "exec" in told[-1]
    assert len(access.sentence({need.operation for need in NEEDS})) < 1100


def proxied(
    path: Path, fake: FakeDocker, proxy: SocketProxy, main: Callable[[Watched], Coroutine[Any, Any, None]]
) -> tuple[Watched, list[tuple[str, str]]]:
    """A watch over the fake's engine, behind the proxy; and the calls with their ends."""
    found: list[Watched] = []
    calls: list[tuple[str, str]] = []

    async def run() -> None:
        engine_socket = path / "engine.sock"
        async with (
            asyncio.timeout(20),
            fake.serve(engine_socket),
            proxy.serve(path / "proxy.sock", engine_socket) as url,
        ):
            engine = DockerEngine(url, on_call=lambda call, outcome, _: calls.append((call, outcome)))
            found.append(one := Watched(fake, engine))
            running = asyncio.ensure_future(one.watch.run())
            try:
                await main(one)
            finally:
                running.cancel()
                await asyncio.wait({running})
                await engine.close()

    asyncio.run(run())
    return found[0], calls


def looked(one: Watched) -> bool:
    return any(isinstance(each, SnapshotTaken) for each in one.facts)


def test_an_idle_stream_that_a_proxy_cuts_is_no_loss_of_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened again with what was missed, and only counted."""
    monkeypatch.setattr(engine_watch, "PROMPT", 0.2)
    fake, proxy = host("web"), SocketProxy(idle=0.4)

    async def main(one: Watched) -> None:
        await one.until(lambda: one.gauges.said.count("reconnected") >= 2)
        fake.die("web")
        await one.until(lambda: "die" in one.gauges.said)

    one, _ = proxied(tmp_path, fake, proxy, main)
    assert proxy.cuts >= 2
    assert [each for each in one.facts if isinstance(each, EngineLost | EngineBack)] == [EngineBack("29.2.1")]
    assert [each for each in one.facts if isinstance(each, ContainerDied)]
    assert [line for line in one.logged.entries if line["log_level"] != "debug"] == []


def test_a_stream_that_ends_with_its_engine_is_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if another engine answers at once."""
    monkeypatch.setattr(engine_watch, "PROMPT", 0.2)
    fake = host("web")

    async def main(one: Watched) -> None:
        await one.until(lambda: looked(one))
        await asyncio.sleep(0.3)
        fake.become("29.3.0", "1.44", "1.54")
        await one.until(lambda: EngineBack("29.3.0") in one.facts)

    one, _ = proxied(tmp_path, fake, SocketProxy(), main)
    assert len([each for each in one.facts if isinstance(each, EngineLost)]) == 1


def test_a_stream_that_is_cut_at_once_is_no_endless_loop(tmp_path: Path) -> None:
    fake, proxy = host("web"), SocketProxy(idle=0.02)

    async def main(_: Watched) -> None:
        await asyncio.sleep(1.5)

    proxied(tmp_path, fake, proxy, main)
    assert len([line for line in fake.requests if "/events" in line]) < 20


def test_without_a_stream_changes_are_seen_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_watch, "POLL", 0.1)
    fake, proxy = host("web"), SocketProxy({"GET /events"})

    async def main(one: Watched) -> None:
        await one.until(lambda: looked(one))
        fake.die("web")
        await one.until(lambda: one.units and one.units["web"].phase.value == "backoff")  # type: ignore[index]
        await asyncio.sleep(0.5)

    one, calls = proxied(tmp_path, fake, proxy, main)
    assert not [each for each in one.facts if isinstance(each, EngineLost)]
    assert calls.count(("events", "barred")) == 1
    assert [line for line in one.logged.entries if line["log_level"] != "debug"] == []


def test_without_a_version_the_ping_tells_it(tmp_path: Path) -> None:
    fake, proxy = host("web"), SocketProxy({"GET /version"})

    async def main(one: Watched) -> None:
        await one.until(lambda: looked(one))

    one, _ = proxied(tmp_path, fake, proxy, main)
    assert not [each for each in one.facts if isinstance(each, EngineLost)]
    assert [line for line in fake.requests if line.startswith("GET /v1.53/containers/json")]


def test_without_a_list_nothing_is_asked_in_a_loop(tmp_path: Path) -> None:
    fake, proxy = host("web"), SocketProxy({"GET /containers/.*"})

    async def main(one: Watched) -> None:
        await one.until(lambda: proxy.refused)
        await asyncio.sleep(1)

    one, _ = proxied(tmp_path, fake, proxy, main)
    assert len(proxy.refused) < 10
    assert [line for line in one.logged.entries if line["log_level"] != "debug"] == []
    assert not [each for each in one.facts if isinstance(each, EngineLost)]


def test_without_inspect_and_ping_containers_are_known_from_the_list(tmp_path: Path) -> None:
    fake, proxy = host("web"), SocketProxy({"GET /containers/[0-9a-f]+/json", "GET /_ping"})

    async def main(one: Watched) -> None:
        await one.until(lambda: looked(one))

    one, _ = proxied(tmp_path, fake, proxy, main)
    (seen,) = next(each for each in one.facts if isinstance(each, SnapshotTaken)).containers
    assert (seen.unit, "administrative rules" in seen.unread) == ("web", True)


def test_a_refused_start_says_who_refused_it(tmp_path: Path) -> None:
    async def main() -> None:
        fake, proxy, calls = host("web"), SocketProxy({"POST .*"}), list[tuple[str, str]]()
        socket = tmp_path / "engine.sock"
        async with fake.serve(socket), proxy.serve(tmp_path / "proxy.sock", socket) as url:
            engine = DockerEngine(url, on_call=lambda call, outcome, _: calls.append((call, outcome)))
            for order in (engine.start(ID), engine.restart(ID, None), engine.create("n", "{}")):
                with pytest.raises(BarredError, match="Request forbidden by administrative rules"):
                    await order
            await engine.close()
        assert calls == [("start", "barred"), ("restart", "barred"), ("create", "barred")]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("refused", "barred"),
    [
        ("_ping|info|volumes|containers/json", ("/_ping", "/info", "/containers/json", "/volumes")),
        ("containers/[0-9a-f]+/json", ("/containers/*/json",)),
    ],
)
def test_the_doctor_says_what_it_could_not_ask(tmp_path: Path, refused: str, barred: tuple[str, ...]) -> None:
    """Each call once, however many containers there are."""

    async def main() -> EngineFacts:
        fake, socket = host("web", "db"), tmp_path / "engine.sock"
        proxy = SocketProxy({f"GET /({refused})"})
        async with fake.serve(socket), proxy.serve(tmp_path / "proxy.sock", socket) as url:
            return await asyncio.to_thread(engine_facts, url, {})

    facts = asyncio.run(main())
    assert (facts.reach, facts.version["Version"], facts.mute) == (Reach.SERVES, "29.2.1", ())
    assert facts.barred == barred


@contextlib.asynccontextmanager
async def recorder(path: Path) -> AsyncIterator[tuple[str, list[str]]]:
    """An engine that has everything, and what it was asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        if request.path.endswith("containers/json"):
            return web.json_response([{"Id": ID, "Names": ["/n"], "State": "running", "Labels": {}}])
        told = {
            "Id": ID,
            "Name": "/n",
            "Config": {"Image": "image"},
            "HostConfig": {"VolumesFrom": ["n"]},
            "stream": "x",
        }
        return web.json_response({**told, "NetworkSettings": {"Networks": {}}, "State": {"Pid": 1}})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield f"unix://{path}", asked
    finally:
        await runner.cleanup()


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "info": (),
    "pull": ("image",),
    "create": ("n", "{}"),
    "connect": ("net", ID, "{}"),
    "disconnect": ("net", "n"),
    "signal": (ID, "TERM"),
    "restart": (ID, None),
    "stop": (ID, None),
    "replica": (ID, {}),
    "rename": (ID, "m"),
    "end_lost": (ID, "TERM", 0.0),
    "exec_create": (ID, ("true",)),
    "exec_run": ("e", 10),
    "exec_exit": ("e",),
    "has_image": ("image",),
    "owner": ("n",),
    "files": ("{}", None, ("/f",)),
    "successor": (Blueprint("n", "{}", ID),),
    "holder": ("n",),
}
"""What a call of the port is given; of the others a container."""


async def call(engine: Engine, name: str, archive: Path) -> None:
    if name == "events":
        async with engine.events(None):
            pass
    elif name == "snapshot":
        await engine.snapshot(thorough=True)
    elif name == "logs":
        async for _ in engine.logs(ID, tail=1, follow=False):
            pass
    elif name == "load":
        await engine.load(str(archive))
    else:
        await getattr(engine, name)(*ARGUMENTS.get(name, (ID,)))


def test_every_call_of_the_port_is_in_the_table(tmp_path: Path) -> None:
    """And in the page that says what a proxy must let through: nobody can allow what is written nowhere."""
    archive = tmp_path / "images.tar"
    archive.write_bytes(b"x")
    methods = {name for name, _ in inspect.getmembers(Engine, inspect.isfunction) if not name.startswith("_")}

    async def main() -> list[str]:
        async with asyncio.timeout(20), recorder(tmp_path / "x.sock") as (url, asked):
            engine = DockerEngine(url)
            for name in sorted(methods - {"close"}):
                with contextlib.suppress(EngineError):
                    await call(engine, name, archive)
            await engine._serves()
            await engine.close()
            return asked

    asked = {re.sub(r"^(\w+ )/v[0-9.]+/", r"\1/", one) for one in asyncio.run(main())}
    general = {re.sub(f"/({ID}|n|net|image|e)(?=/|$)", "/*", one) for one in asked}
    assert general == {one for need in NEEDS for one in need.calls}


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text()
    for need in NEEDS:
        calls = ", ".join(f"`{one}`" for one in need.calls)
        assert f"| {need.what} | {calls} | {need.settings} | {need.without} |" in page
    rows = [line for line in page.splitlines() if re.match(r"\|.*`(GET|POST|DELETE) /", line)]
    assert len(rows) == len(NEEDS)


def test_every_order_has_a_row() -> None:
    """By its name in the source."""
    source = "".join(
        (REPOSITORY / "supervisor/engine" / file).read_text() for file in ("docker.py", "calls.py", "drafts.py")
    )
    named = set(re.findall(r"\b(?:order|act)\(\"(\w+)\"", source)) | {"start", "restart", "stop"}
    assert named == {need.operation for need in NEEDS}
