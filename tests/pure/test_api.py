"""The client for programs reads every answer into its type, and the how-to's code runs as it stands."""

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from supervisor.api import (
    ApiAnswer,
    Dockwarden,
    Dropped,
    Event,
    Gap,
    NotReachedError,
    RefusedError,
    UnreachableError,
    read,
)
from supervisor.http.control.types import (
    Status,
    Switched,
    SwitchLast,
    SwitchNow,
)
from tests.bed.engines import REPOSITORY
from tests.harness import Harness, in_thread, short_directory, until
from tests.pure.story import needs, spec
from units.spec import Kind, Policy


def play(call: Callable[[Dockwarden, Harness], Any]) -> Any:
    """What a program gets that calls from a thread of its own."""

    async def run() -> Any:
        with short_directory() as run_dir:
            specs = (spec("web", needs("db")), spec("db"), spec("job", kind=Kind.ONESHOT, policy=Policy.NO))
            async with asyncio.timeout(20):
                async with Harness(run_dir, *specs) as harness:
                    return await in_thread(lambda: call(Dockwarden(run_dir), harness))

    return asyncio.run(run())


def test_what_can_be_looked_at() -> None:
    """Status, units, one unit, why, output and records, each in its type."""

    def call(host: Dockwarden, harness: Harness) -> None:
        status = host.status()
        assert isinstance(status, Status)
        assert status.units == host.units()
        assert status.engine.up
        web = host.unit("web")
        assert (web, web.state) == (status.units[2], "ready")
        assert web.container_id == harness.engine.live("web")[0].ident
        why = host.why("web")
        assert (why.unit, why.chain[-1].after) == (web, "ready")
        assert [line.text for line in host.logs("web", tail=2)] == ["two", "three"]
        events = list(host.events("web"))
        assert events[-1] == why.chain[-1]
        assert isinstance(events[-1], Event)
        assert host.version().api == "v1"

    play(call)


def test_what_can_be_asked() -> None:
    """The verbs, with what became of them; a refusal is an exception with the supervisor's words."""

    def call(host: Dockwarden, _harness: Harness) -> None:
        assert host.stop("web", wait=5).unit.state == "inactive"
        assert host.start("web", wait=5).ok
        assert host.restart("web", wait=5).unit.restarts == 1
        assert host.reset_failed("web").verb == "reset-failed"
        with pytest.raises(RefusedError, match="there is no unit 'wbe'") as refused:
            host.start("wbe")
        assert (refused.value.code, refused.value.hint) == (404, "GET /v1/units lists them")
        for ask in (lambda: host.switch("console", "debian", wait=1), lambda: host.enable("console", "debian")):
            with pytest.raises(RefusedError):
                ask()

    play(call)


def test_a_wait_ends_well_or_says_how_it_is() -> None:
    """There at once; not there in time; not there ever."""

    def call(host: Dockwarden, harness: Harness) -> None:
        assert host.wait("web").state == "ready"
        with pytest.raises(NotReachedError, match="web is not stopped: it is ready") as late:
            host.wait("web", "stopped", timeout=0.02)
        assert not late.value.hopeless
        host.stop("web", wait=5)
        with pytest.raises(NotReachedError) as never:
            host.wait("web", "healthy", timeout=60)
        assert never.value.hopeless
        assert never.value.unit.state == "inactive"
        assert harness.phase("web") == "inactive"

    play(call)


def test_following_goes_on_where_it_left_off() -> None:
    """From now on, or behind the last one seen; what is gone is a gap."""

    def call(host: Dockwarden, harness: Harness) -> None:
        stream = host.follow("web", seen=f"{harness.journal.run}-{harness.journal.last}")
        host.stop("web", wait=5)
        decided, first = next(stream), next(stream)
        assert isinstance(decided.what, Event)
        assert (decided.what.rule, decided.what.outcome) == ("ask.stop", "stop it")
        assert isinstance(first.what, Event)
        assert (first.what.unit, first.what.after) == ("web", "stopping")
        stream.close()
        host.start("web", wait=5)
        again = host.follow("web", seen=first.id)
        steps = (one.what for one in again if getattr(one.what, "event", "") != "unit.fact")
        told = [next(steps) for _ in range(4)]
        assert [getattr(one, "rule", "") or getattr(one, "after", "") for one in told] == [
            "inactive",
            "ask.start",
            "starting",
            "ready",
        ]
        again.close()
        lost = host.follow(seen="1-1")
        assert next(lost) == ApiAnswer("", Gap("the supervisor was restarted since"))
        lost.close()
        with pytest.raises(RefusedError):
            next(host.follow("nope"))

    play(call)


def test_a_loop_can_follow_too() -> None:
    """The same messages; a refusal and no supervisor are the same exceptions."""

    async def run() -> None:
        with short_directory() as run_dir:
            async with asyncio.timeout(20):
                async with Harness(run_dir, spec("web")) as harness:
                    host = Dockwarden(run_dir)
                    stream = host.afollow(seen=f"{harness.journal.run}-{harness.journal.last - 1}")
                    told = await anext(stream)
                    assert isinstance(told.what, Event)
                    assert told.what.after == "ready"
                    await stream.aclose()
                    await until(lambda: not harness.journal._followers)
                    with pytest.raises(RefusedError, match="there is no unit"):
                        await anext(host.afollow("nope"))
                with pytest.raises(UnreachableError, match="no supervisor answers"):
                    await anext(host.afollow())

    asyncio.run(run())


def test_a_later_supervisor_may_say_more_and_not_less() -> None:
    """Unknown fields are passed over; what is missing, or of another type, is no answer."""
    assert read(Dropped, {"event": "dropped", "count": 3, "new": []}) == Dropped("dropped", 3)
    wrong: Any
    for wrong in ({"event": "dropped"}, {"event": "dropped", "count": "3"}, [], None):
        with pytest.raises(ValueError, match=r"Dropped|int"):
            read(Dropped, wrong)
    now = {"of": "console", "origin": "a", "target": "b", "step": "checking", "since": "2026", "why": None}
    last: dict[str, Any] = {
        "of": "console",
        "origin": "a",
        "target": "b",
        "result": "done",
        "why": None,
        "ended": "2026",
        "steps": [],
    }
    assert isinstance(read(Switched, {"done": False, "answer": "", "switch": now}).switch, SwitchNow)
    assert isinstance(read(Switched, {"done": True, "answer": "", "switch": last}).switch, SwitchLast)
    assert read(Switched, {"done": True, "answer": "", "switch": None}).switch is None
    with pytest.raises(ValueError, match="expected one of"):
        read(Switched, {"done": True, "answer": "", "switch": 5})


def test_the_how_to_s_code_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Block by block, in order, as a reader types it; following ends with the supervisor."""
    page = (REPOSITORY / "docs/how-to/use-the-api.md").read_text()
    *blocks, following = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5
    seen: list[str] = []
    some = threading.Event()
    threads: list[threading.Thread] = []

    def call(_host: Dockwarden, harness: Harness) -> None:
        def save(last: str) -> None:
            seen.append(last)
            some.set()

        monkeypatch.setenv("DOCKWARDEN_RUN_DIR", str(harness.run_dir))
        names: dict[str, Any] = {"load_seen": lambda: "1-1", "save_seen": save}
        for block in blocks:
            exec(block, names)
        threads.append(threading.Thread(target=exec, args=(following, names)))
        threads[0].start()
        assert some.wait(10)

    play(call)
    threads[0].join(10)
    assert not threads[0].is_alive()
    said = capsys.readouterr().out
    assert "db ready" in said
    assert "web is ready, after 1 restarts" in said
    assert "there is no unit 'wbe' - GET /v1/units lists them" in said
    assert "missed something: the supervisor was restarted since" in said
    assert "web is starting" in said
    assert len(seen) > 4
