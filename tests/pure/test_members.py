"""One container's trouble is its own: snapshots, and the watch over the engine, against a fake of Docker."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from supervisor.engine import docker as adapter
from supervisor.engine import members
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError
from supervisor.engine.processes import GRACE, Processes
from supervisor.runtime import engine_watch
from supervisor.runtime.engine_watch import EngineWatch
from tests.docker_29 import FakeDocker
from tests.pure.story import Story, spec
from units import events as fact
from units.events import Event, Observed, SnapshotTaken
from units.quantities import Seconds
from units.reconcile import doubtful, leftovers, missed, reconcile
from units.spec import ContainerId, UnitName
from units.unit import Failure, Phase, Unit

WEB, DB = UnitName("web"), UnitName("db")
NIL = "RWLayer of container is unexpectedly nil"


def serve(path: Path, fake: FakeDocker, main: Callable[[DockerEngine], Coroutine[Any, Any, None]]) -> None:
    async def served() -> None:
        async with asyncio.timeout(20), fake.serve(path / "x.sock") as url:
            engine = DockerEngine(url)
            try:
                await engine.info()
                fake.requests.clear()
                await main(engine)
            finally:
                await engine.close()

    asyncio.run(served())


def host(*names: str) -> FakeDocker:
    fake = FakeDocker()
    for name in names:
        fake.add(name, **{"dockwarden.unit": name})
    return fake


@pytest.mark.parametrize("lie", ["hangs", "broken"])
def test_a_container_that_does_not_answer_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """It is as it was listed, with the reason; it is not asked again before its time, and then it is known again."""
    monkeypatch.setattr(members, "PATIENCE", 0.2)
    monkeypatch.setattr(members, "FIRST_PAUSE", 0.3)
    fake = host("web", "db")
    fake.hangs, fake.broken = ({"web"}, {}) if lie == "hangs" else (set(), {"web": NIL})

    async def main(engine: DockerEngine) -> None:
        web, db = await engine.snapshot(thorough=True)
        assert (web.unit, web.running, web.hint, web.look) == (WEB, True, True, None)
        assert ("not answered within 0.2 s" if lie == "hangs" else NIL) in web.unread
        assert (db.unit, db.hint, db.unread) == (DB, False, "")
        asked = len(fake.requests)
        again, _ = await engine.snapshot(thorough=True)
        assert again == web
        assert len(fake.requests) - asked == 2  # The list, and db.
        fake.hangs.clear()
        fake.broken.clear()
        await asyncio.sleep(0.4)
        well, _ = await engine.snapshot(thorough=False)
        assert (well.hint, well.unread) == (False, "")

    serve(tmp_path, fake, main)


def test_an_engine_that_answers_nothing_more_fails_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its containers are not blamed for it."""
    monkeypatch.setattr(members, "PATIENCE", 0.1)
    monkeypatch.setattr(adapter, "PATIENCE", 0.1)
    fake = host("web")
    fake.hangs = {"web"}
    fake.mute = True

    async def main(engine: DockerEngine) -> None:
        with pytest.raises(EngineError) as caught:
            await engine.snapshot(thorough=True)
        assert caught.value.failure is Failure.TIMEOUT
        fake.mute = False
        fake.hangs.clear()
        (seen,) = await engine.snapshot(thorough=True)
        assert not seen.unread

    serve(tmp_path, fake, main)


def test_three_hundred_unchanged_units_are_one_call(tmp_path: Path) -> None:
    fake = host(*(f"u{number}" for number in range(300)))

    async def main(engine: DockerEngine) -> None:
        units = {one.unit: unit(one.unit, one.container) for one in await engine.snapshot(thorough=False)}
        await engine.snapshot(thorough=False)
        fake.requests.clear()
        await engine.snapshot(thorough=False, doubtful=lambda listed: doubtful(units, listed))
        assert len(fake.requests) == 1
        fake.die("u7")
        seen = await engine.snapshot(thorough=False, doubtful=lambda listed: doubtful(units, listed))
        assert len(fake.requests) == 3
        told = reconcile(units, SnapshotTaken(seen, "period"))
        assert told == (fact.ContainerDied(UnitName("u7"), units[UnitName("u7")].container or ContainerId(""), 1),)

    serve(tmp_path, fake, main)


def unit(name: str, container: str, phase: Phase = Phase.READY) -> Unit:
    return Unit(spec(name), phase, container=ContainerId(container))


def row(name: str, container: str = "", **changed: Any) -> Observed:
    known = Observed(
        UnitName(name), ContainerId(container or f"{name}-1"), name, running=True, created=False, hint=True
    )
    return replace(known, **changed)


@pytest.mark.parametrize("said", ["running", "exited"])
def test_a_list_that_lags_or_stays_wrong_changes_nothing(tmp_path: Path, said: str) -> None:
    """What it says is looked at with an inspect, each time, and the inspect counts."""
    fake = host("web")
    ident = next(iter(fake.containers))
    fake.listed_as["web"] = said
    phase = Phase.READY if said == "exited" else Phase.BACKOFF
    if said == "running":
        fake.die("web")
    units = {WEB: unit("web", ident, phase)}

    async def main(engine: DockerEngine) -> None:
        for _ in range(3):
            seen = await engine.snapshot(thorough=False, doubtful=lambda listed: doubtful(units, listed))
            assert reconcile(units, SnapshotTaken(seen, "period")) == ()
        assert len(fake.requests) == 6

    serve(tmp_path, fake, main)


def test_a_known_container_that_is_not_listed_is_asked_for(tmp_path: Path) -> None:
    """Gone is what an inspect does not find."""
    fake = host()
    units = {WEB: unit("web", "f" * 64)}

    async def main(engine: DockerEngine) -> None:
        seen = await engine.snapshot(thorough=False, doubtful=lambda listed: doubtful(units, listed))
        assert seen == ()
        assert [line.partition("/containers/")[2][:3] for line in fake.requests] == ["jso", "fff"]
        assert reconcile(units, SnapshotTaken(seen, "period")) == (fact.ContainerDestroyed(WEB, ContainerId("f" * 64)),)

    serve(tmp_path, fake, main)


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("known", [True, False])
def test_who_is_in_no_list_is_asked_for_by_id_or_name(tmp_path: Path, thorough: bool, known: bool) -> None:
    """An engine that came up on a full disk lists nobody; a create says that the name is taken."""
    fake = host("web")
    fake.unlisted.add("web")
    ident = ContainerId(next(iter(fake.containers)))
    units = {WEB: unit("web", ident) if known else Unit(spec("web"), Phase.BACKOFF)}

    async def main(engine: DockerEngine) -> None:
        (seen,) = await engine.snapshot(thorough=thorough, doubtful=lambda listed: doubtful(units, listed))
        assert (seen.container, seen.running) == (ident, True)
        told = [type(one) for one in reconcile(units, SnapshotTaken((seen,), "connect"))]
        assert told == ([] if known else [fact.ContainerCreated, fact.ContainerStarted])

    serve(tmp_path, fake, main)


def test_of_hints_no_state_follows() -> None:
    """No death, no start, no order to remove a second one; only a container seen for the first time counts."""
    up, down = {WEB: unit("web", "web-1")}, {WEB: unit("web", "web-1", Phase.BACKOFF)}
    assert reconcile(up, SnapshotTaken((row("web", running=False, unread=NIL),), "connect")) == ()
    assert reconcile(down, SnapshotTaken((row("web", unread=NIL),), "connect")) == ()
    first = {WEB: replace(up[WEB], container=None, phase=Phase.WAITING)}
    told = reconcile(first, SnapshotTaken((row("web", unread=NIL),), "connect"))
    assert [type(one) for one in told] == [fact.ContainerCreated, fact.ContainerStarted]
    second = row("web", "web-2", running=False, unread=NIL)
    assert leftovers(up, SnapshotTaken((replace(row("web"), hint=False), second), "connect")) == ()
    assert missed(up, SnapshotTaken((row("web", running=False, hint=False),), "period"))


def test_a_unit_that_is_not_answered_for_is_unknown_until_it_is() -> None:
    """Its story says why; it is neither started nor stopped for it."""
    story = Story.of(spec("web"))
    story.connect()
    story.up("web")
    assert story.feed(SnapshotTaken((row("web", running=False, unread=NIL),), "period")) == ""
    assert (story.unit("web").phase, story.unit("web").unread) == (Phase.READY, NIL)
    story.feed(SnapshotTaken((replace(row("web"), hint=False),), "period"))
    assert story.unit("web").unread == ""


class Gauges:
    def __init__(self) -> None:
        self.said: list[str] = []

    def stream_connected(self, *, connected: bool) -> None:
        self.said.append("connected" if connected else "cut")

    def duplicate(self) -> None:
        self.said.append("duplicate")

    def reconnected(self) -> None:
        self.said.append("reconnected")

    def deaf(self) -> None:
        self.said.append("deaf")

    def heard(self, kind: str) -> None:
        self.said.append(kind)


class Watched:
    """A watch over the fake's engine; facts go into a world of plain units."""

    def __init__(self, fake: FakeDocker, engine: DockerEngine, period: float = 0.2) -> None:
        self.facts: list[Event] = []
        self.units = {
            UnitName(str(one["Name"])[1:]): unit(str(one["Name"])[1:], one["Id"]) for one in fake.containers.values()
        }
        self.gauges = Gauges()
        self.logged = structlog.testing.LogCapture()
        self.watch = EngineWatch(
            engine,
            self,  # type: ignore[arg-type]
            self.gauges,
            structlog.wrap_logger(None, processors=[self.logged], wrapper_class=structlog.BoundLogger),
            period=Seconds(period),
            prepare=self._nothing,
            units=lambda: self.units,
        )

    taken = 0

    async def _nothing(self) -> None:
        pass

    def put(self, event: Event, **_: Any) -> None:
        self.facts.append(event)
        told = reconcile(self.units, event) if isinstance(event, SnapshotTaken) else (event,)
        for one in told:
            if isinstance(one, fact.ContainerDied):
                self.units[one.unit] = replace(self.units[one.unit], phase=Phase.BACKOFF)
            elif isinstance(one, fact.ContainerStarted):
                self.units[one.unit] = replace(self.units[one.unit], phase=Phase.READY)

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


def watched(path: Path, fake: FakeDocker, main: Callable[[Watched], Coroutine[Any, Any, None]]) -> Watched:
    found: list[Watched] = []

    async def inner(engine: DockerEngine) -> None:
        found.append(one := Watched(fake, engine))
        running = asyncio.ensure_future(one.watch.run())
        try:
            await one.until(lambda: any(isinstance(each, SnapshotTaken) for each in one.facts))
            await main(one)
        finally:
            running.cancel()
            await asyncio.wait({running})

    serve(path, fake, inner)
    return found[0]


def test_a_silent_stream_is_opened_again_with_what_was_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A death that a snapshot had to tell: it is counted, no engine is lost, and the next death is heard at once."""
    monkeypatch.setattr(engine_watch, "HEARING", 0.1)
    monkeypatch.setattr(engine_watch, "GAP", 0.01)
    fake = host("web", "db")

    async def main(one: Watched) -> None:
        fake.deaf = True
        fake.die("web")
        await one.until(lambda: "deaf" in one.gauges.said)
        fake.deaf = False
        await one.until(lambda: "die" in one.gauges.said)
        fake.die("db")
        await one.until(lambda: one.gauges.said.count("die") == 2)

    one = watched(tmp_path, fake, main)
    assert one.gauges.said.count("deaf") == 1
    assert not [each for each in one.facts if isinstance(each, fact.EngineLost)]
    assert [line for line in fake.requests if "&since=" in line]
    assert [line["event"] for line in one.logged.entries if line["log_level"] == "warning"] == ["stream.deaf"]


def test_a_death_in_an_event_that_cannot_be_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time, though the list of an engine whose disk was full goes on to say that it runs."""
    monkeypatch.setattr(engine_watch, "GAP", 0.01)
    monkeypatch.setattr(engine_watch, "HEARING", 0.05)
    fake = host("web", "db")
    fake.listed_as = {"web": "running", "db": "running"}
    fake.garbled = True

    async def main(one: Watched) -> None:
        fake.die("web")
        await one.until(lambda: one.units[WEB].phase is Phase.BACKOFF)
        fake.die("db")
        await one.until(lambda: one.units[UnitName("db")].phase is Phase.BACKOFF)

    assert "deaf" in watched(tmp_path, fake, main).gauges.said


def test_a_snapshot_that_was_only_quicker_doubts_no_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_watch, "HEARING", 0.3)
    fake = host("web")

    async def main(one: Watched) -> None:
        fake.named("web")["State"] |= {"Status": "exited", "Running": False}
        await one.until(lambda: one.units[WEB].phase is Phase.BACKOFF)
        fake.tell("die", "web", exitCode="1")
        await asyncio.sleep(0.8)

    assert "deaf" not in watched(tmp_path, fake, main).gauges.said


@pytest.mark.parametrize("ahead", [10**9 * 10**9, 10**300])
def test_a_stamp_from_the_future_does_not_hide_what_comes(tmp_path: Path, ahead: int) -> None:
    """``since`` is never ahead of now."""
    fake = host("web")

    async def main(one: Watched) -> None:
        fake.tell("start", "web")
        fake._ring[-1]["timeNano"] = ahead
        await one.until(lambda: "start" in one.gauges.said)
        fake.cut()
        await one.until(lambda: "reconnected" in one.gauges.said)

    watched(tmp_path, fake, main)
    (asked,) = [line.partition("&since=")[2] for line in fake.requests if "&since=" in line]
    assert float(asked) <= time.time()


def test_snapshots_keep_their_distance(tmp_path: Path) -> None:
    """Whatever asks for them, and however often they fail."""
    fake = host("web")

    async def main(one: Watched) -> None:
        fake.requests.clear()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            one.watch.doubt("a test")
            await asyncio.sleep(0.005)
        assert len([line for line in fake.requests if "containers/json" in line]) <= 5
        fake.requests.clear()
        fake.listless = True
        await asyncio.sleep(2)
        assert len([line for line in fake.requests if "containers/json" in line]) <= 7

    watched(tmp_path, fake, main)


def test_a_container_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning when it stops to answer, one line when it does again."""
    monkeypatch.setattr(members, "FIRST_PAUSE", 0.2)
    monkeypatch.setattr(engine_watch, "GAP", 0.01)
    fake = host("web", "db")
    fake.broken["web"] = NIL

    async def main(one: Watched) -> None:
        await asyncio.sleep(0.5)
        fake.broken.clear()
        await one.until(lambda: any(line["event"] == "container.known" for line in one.logged.entries))

    told = watched(tmp_path, fake, main).logged.entries
    assert [(line["event"], line["unit"]) for line in told if line["log_level"] != "debug"] == [
        ("container.unknown", "web"),
        ("container.known", "web"),
    ]


def test_one_that_is_stuck_does_not_hide_whether_pids_mean_something() -> None:
    """The first of the list was asked for that, and never answered: the others were never asked."""
    stuck, well = row("stuck"), row("well")
    asked: list[str] = []

    async def inspect(container: ContainerId) -> Observed:
        asked.append(container)
        if container == stuck.container:
            raise EngineError(Failure.OTHER, "RWLayer is unexpectedly nil")
        return replace(well, hint=False, pid=7)

    async def serves() -> None:
        """It does."""

    async def main() -> None:
        processes = Processes(asyncio.get_running_loop().time, lambda _: True, lambda *_: True)
        ours = members.Members(inspect, serves, processes)
        for _ in range(3):
            await ours.complete((stuck, well), ())
        assert asked == [stuck.container, well.container]

    asyncio.run(main())


def test_who_is_in_no_list_is_remembered_as_well() -> None:
    """That its inspect is stuck, and that its process is gone: an engine may list nobody, for ever."""
    stuck, dead = row("stuck"), row("dead")
    asked: list[str] = []
    now = [0.0]

    async def inspect(container: ContainerId) -> Observed:
        asked.append(container)
        if container == stuck.container:
            raise EngineError(Failure.OTHER, "RWLayer is unexpectedly nil")
        return replace(dead, hint=False, pid=7)

    async def serves() -> None:
        """It does."""

    async def main() -> None:
        ours = members.Members(inspect, serves, Processes(lambda: now[0], lambda _: False, lambda *_: True))
        for _ in range(2):
            found = {one.unit: one for one in await ours.complete((), (stuck, dead))}
            assert found[stuck.unit].unread
            now[0] += GRACE
        assert asked.count(stuck.container) == 1
        assert found[dead.unit].lifeless

    asyncio.run(main())
