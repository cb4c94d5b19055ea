"""People are told of what was done, and nobody who is told can hold anything up."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from hooks import command, webhook
from hooks.circuit import FAILURES, REST
from hooks.command import CommandReceiver
from hooks.errors import NotToldError
from hooks.notices import UNTOLD, Notice, NoticeKind, Troubled, notices, recalled
from hooks.notifier import BURST, QUEUE, Notifier
from hooks.webhook import Apprise, Gotify, Webhook
from tests.pure.story import Story, needs, spec
from tests.pure.test_switching import booted
from tests.simulation import virtual_loop
from units import events as fact
from units.events import Event
from units.health import Health
from units.machine import Moment
from units.quantities import Instant
from units.spec import PROCESS, USER_DOCKER, HealPolicy, OnUnhealthy, Switchable, UnitName, Via
from units.switch_events import UnitsMoved
from units.unit import Phase
from units.world import Entry

NOTICE = Notice(
    NoticeKind.HEAL, "web", "restarted after: unhealthy: HEALTHCHECK failed", "ab-1", "ready", "0123456789ab", 1, 10.0
)
SILENT = structlog.wrap_logger(None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50))


class Told:
    """A story, and what would be told of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.troubled: Troubled = UNTOLD
        self.all: list[tuple[str, str]] = []

    def feed(self, event: Event) -> None:
        self.story.feed(event)
        assert self.story.last is not None
        told, self.troubled = notices(event, self.story.last, self.troubled)
        self.all += [(notice.event.value, notice.unit) for notice in told]

    def health(self, name: str, health: Health) -> None:
        self.feed(fact.HealthReported(UnitName(name), self.story.id(name), health))

    def dies(self, name: str, code: int = 1) -> None:
        self.feed(fact.ContainerDied(UnitName(name), self.story.id(name), code))

    def starts(self, name: str) -> None:
        self.feed(fact.ContainerStarted(UnitName(name), self.story.id(name)))


def of(*specs: Any) -> Told:
    story = Story.of(*specs)
    story.connect()
    story.up(*(one.name for one in specs))
    return Told(story)


def test_helped_and_well_again() -> None:
    told = of(spec("web"))
    told.health("web", Health.HEALTHY)
    told.health("web", Health.UNHEALTHY)
    told.dies("web", 0)
    told.starts("web")
    assert told.all == [("heal", "web")]
    told.health("web", Health.HEALTHY)
    assert told.all == [("heal", "web"), ("recovery", "web")]


def loops(told: Told, times: int = 5) -> None:
    """It falls again and again, until it has no start left."""
    for _ in range(times):
        told.story.later(11)
        told.dies("web")
        if told.story.unit("web").phase is Phase.BACKOFF:
            told.feed(fact.RetryDue(UnitName("web"), told.story.token("web")))
        told.starts("web")
    told.dies("web")
    assert told.story.unit("web").phase is Phase.CRASH_LOOP


def test_given_up_once_per_crash_loop() -> None:
    told = of(spec("web"))
    loops(told)
    assert told.all == [("give-up", "web")]


def test_a_help_that_does_not_help_is_told_as_well() -> None:
    told = of(spec("web"))
    told.health("web", Health.HEALTHY)
    told.health("web", Health.UNHEALTHY)
    told.dies("web", 0)
    told.starts("web")
    loops(told, 4)  # The help was a start, too.
    assert told.all == [("heal", "web"), ("give-up", "web")]


def test_what_was_told_is_not_told_again_by_the_next_supervisor() -> None:
    told = of(spec("web"))
    loops(told)
    assert told.all == [("give-up", "web")]
    assert told.story.last is not None
    kept = recalled({"web": "give-up", "old": "of another version"})
    event = fact.ContainerDied(UnitName("web"), told.story.id("web"), 1)
    assert notices(event, told.story.last, kept) == ((), kept)


def test_flapping_is_a_give_up() -> None:
    told = of(replace(spec("web"), heal=HealPolicy(falls=1)))
    told.health("web", Health.UNHEALTHY)
    assert told.all == [("give-up", "web")]


def test_re_linked() -> None:
    told = of(spec("vpn"), spec("app", needs("vpn", Via.NET)))
    told.story.later(60)
    told.dies("vpn")
    told.starts("vpn")
    told.dies("app", 0)
    told.starts("app")
    assert told.all == [("heal", "app")]
    told.story.later(60)
    told.dies("app")
    told.starts("app")
    assert told.all == [("heal", "app")]


def test_only_to_be_told_is_told_once() -> None:
    told = of(replace(spec("web"), heal=HealPolicy(OnUnhealthy.HOOK)))
    told.health("web", Health.UNHEALTHY)
    told.health("web", Health.UNHEALTHY)
    told.health("web", Health.HEALTHY)
    assert told.all == [("unhealthy", "web"), ("recovery", "web")]


def test_a_crash_that_policy_answers_is_told_nobody() -> None:
    told = of(spec("web"))
    told.story.later(60)
    told.dies("web")
    told.starts("web")
    assert told.all == []


class Receiver:
    """Takes what it is told; ``fails``: for the first so many."""

    kind = "webhook"
    name = "here"

    def __init__(self, *, fails: int = 0, hangs: bool = False) -> None:
        self.got: list[Notice] = []
        self.asked = 0
        self._fails = fails
        self._hangs = hangs

    async def send(self, notice: Notice) -> None:
        self.asked += 1
        if self._hangs:
            await asyncio.get_running_loop().create_future()
        if self.asked <= self._fails:
            raise NotToldError("down")
        self.got.append(notice)


def flood(notifier: Notifier, number: int) -> None:
    """So many heals at once."""
    told = of(spec("web"))
    told.health("web", Health.UNHEALTHY)
    told.dies("web", 0)
    told.starts("web")
    assert told.story.last is not None
    event = fact.ContainerStarted(UnitName("web"), told.story.id("web"))
    entry = Entry(event, "c", Instant(0))
    for _ in range(number):
        notifier.observe(entry, Moment(Instant(0), 0.0, "c"), told.story.last)


def live(main: Callable[[Counter[str]], Awaitable[None]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    virtual_loop.run(main(counts))
    return counts


def notifier_of(receiver: Receiver, counts: Counter[str]) -> Notifier:
    return Notifier(
        [receiver], lambda _, outcome: counts.update([outcome]), SILENT, lambda notice: replace(notice, at=1e9)
    )


def test_a_burst_is_told_and_the_rest_as_one() -> None:
    receiver = Receiver()

    async def main(counts: Counter[str]) -> None:
        notifier = notifier_of(receiver, counts)
        flood(notifier, 30)
        await asyncio.sleep(60)
        notifier.close()

    counts = live(main)
    assert [notice.more for notice in receiver.got] == [0] * (BURST - 1) + [20]
    assert counts == {"sent": BURST, "limited": 20}
    assert receiver.got[-1].text.endswith("(and 20 more)")


def test_a_receiver_that_hangs_holds_up_nobody_and_the_queue_is_bounded() -> None:
    hanging = Receiver(hangs=True)

    async def main(counts: Counter[str]) -> None:
        notifier = notifier_of(hanging, counts)
        for _ in range(QUEUE + 50):
            flood(notifier, 1)
        await asyncio.sleep(1)
        flood(notifier, 1)
        notifier.close()

    counts = live(main)
    assert hanging.asked == 1
    assert counts["dropped"] >= 49


def test_a_receiver_that_fails_is_left_alone_for_a_while() -> None:
    receiver = Receiver(fails=FAILURES)
    times: list[int] = []

    async def main(counts: Counter[str]) -> None:
        notifier = notifier_of(receiver, counts)
        for _ in range(FAILURES + 1):
            flood(notifier, 1)
            await asyncio.sleep(1)
        times.append(receiver.asked)
        await asyncio.sleep(REST)
        times.append(receiver.asked)
        notifier.close()

    counts = live(main)
    assert times == [FAILURES, FAILURES + 1]
    assert counts == {"failed": FAILURES, "sent": 1}


def serve(answer: bytes | None, main: Callable[[int], Awaitable[None]]) -> list[bytes]:
    """A server on loopback. ``None``: it says nothing."""
    heard: list[bytes] = []
    talks: list[asyncio.Task[Any]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())  # type: ignore[arg-type]  # it is one
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        heard.append(head + await reader.readexactly(length))
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def live_with_it() -> None:
        async with await asyncio.start_server(one, "127.0.0.1", 0) as server:
            await main(server.sockets[0].getsockname()[1])
            await asyncio.gather(*talks)

    asyncio.run(live_with_it())
    return heard


def test_a_webhook_posts_json_with_a_sentence() -> None:
    async def main(port: int) -> None:
        await Webhook(f"http://127.0.0.1:{port}/hook/secret", "content").send(NOTICE)

    (heard,) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", main)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook/secret HTTP/1.1")
    said = json.loads(body)
    assert said["content"] == "web: restarted after: unhealthy: HEALTHCHECK failed"
    assert (said["event"], said["unit"], said["cause"]) == ("heal", "web", "ab-1")


def test_an_apprise_server_gets_title_and_body() -> None:
    async def main(port: int) -> None:
        await Apprise(f"http://127.0.0.1:{port}/notify/key").send(replace(NOTICE, host="nas"))

    (heard,) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", main)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /notify/key HTTP/1.1")
    assert json.loads(body) == {
        "title": "nas: web restarted",
        "body": "web: restarted after: unhealthy: HEALTHCHECK failed",
    }


def test_a_gotify_server_gets_a_message_and_the_token_in_a_header() -> None:
    async def main(port: int) -> None:
        await Gotify(f"http://127.0.0.1:{port}/", "T0", "heal").send(replace(NOTICE, host="nas"))

    (heard,) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", main)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /message HTTP/1.1")
    assert b"X-Gotify-Key: T0" in head
    message = "nas: web: restarted after: unhealthy: HEALTHCHECK failed"
    assert json.loads(body) == {"title": "heal", "message": message}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 302 there\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"\x00\x01garbage\r\n\r\n", "Error"),
        (None, "no answer within"),
    ],
)
def test_a_webhook_that_does_not_take_it_says_why(
    answer: bytes | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "PATIENCE", 0.3)

    async def main(port: int) -> None:
        with pytest.raises(NotToldError, match=why):
            await Webhook(f"http://127.0.0.1:{port}/secret").send(NOTICE)

    serve(answer, main)


def test_a_webhook_s_name_holds_no_secret() -> None:
    assert Webhook("https://user:pass@chat.example/services/T0/B0?token=x").name == "https://chat.example"
    with pytest.raises(ValueError, match="expected an address"):
        Webhook("ftp://x")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_gets_the_notice(tmp_path: Path) -> None:
    program = script(
        tmp_path / "tell", f'cat >{tmp_path}/in; echo "$DOCKWARDEN_EVENT $DOCKWARDEN_UNIT $*" >{tmp_path}/out'
    )
    asyncio.run(
        CommandReceiver(f"{program} 'a b'", arguments=("unit", "container", "state", "stop_timeout")).send(NOTICE)
    )
    assert json.loads((tmp_path / "in").read_text())["unit"] == "web"
    assert (tmp_path / "out").read_text() == "heal web a b web 0123456789ab ready 10\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [("exit 3", "exit code 3"), ("echo no; exit 1", "exit code 1: no"), ("sleep 60", "did not end within")],
)
def test_a_command_that_fails_says_why(tmp_path: Path, text: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PATIENCE", 0.5)
    with pytest.raises(NotToldError, match=why):
        asyncio.run(CommandReceiver(script(tmp_path / "tell", text)).send(NOTICE))


def test_a_command_that_floods_is_heard_out_and_forgotten(tmp_path: Path) -> None:
    asyncio.run(CommandReceiver(script(tmp_path / "tell", "head -c 9000000 /dev/zero")).send(NOTICE))


def test_what_a_command_leaves_behind_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LAST_WORDS", 0.1)
    asyncio.run(CommandReceiver(script(tmp_path / "tell", "sleep 60 &")).send(NOTICE))


def test_odd_words_are_told_too(tmp_path: Path) -> None:
    """A zero byte or a novel of a health check's output."""
    odd = replace(NOTICE, reason="a\0b" + "c" * 200_000)
    asyncio.run(CommandReceiver(script(tmp_path / "tell", f'printf %s "$DOCKWARDEN_REASON" >{tmp_path}/out')).send(odd))
    assert (tmp_path / "out").read_text().startswith("abccc")


def test_a_receiver_s_defect_does_not_end_its_line() -> None:
    class Broken(Receiver):
        async def send(self, notice: Notice) -> None:
            await super().send(notice)
            raise RuntimeError("a defect")

    broken = Broken()

    async def main(counts: Counter[str]) -> None:
        notifier = notifier_of(broken, counts)
        flood(notifier, 2)
        await asyncio.sleep(1)
        notifier.close()

    assert live(main) == {"failed": 2}
    assert [notice.at for notice in broken.got] == [1e9, 1e9]


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(NotToldError, match="No such file"):
        asyncio.run(CommandReceiver("/no/such/program").send(NOTICE))
    with pytest.raises(ValueError, match="No closing quotation"):
        CommandReceiver("tell 'x")


def test_an_undone_switch_is_told() -> None:
    """Nobody may be at the terminal any more when it fails; one that was refused has touched nothing."""
    story = booted()
    told: list[Notice] = []
    story.asked(Switchable.CONSOLE, "debian")
    story.checked("no room")
    assert story.last is not None
    assert notices(UnitsMoved(), story.last, UNTOLD) == ((), UNTOLD)
    story.asked(Switchable.CONSOLE, "debian")
    story.checked()
    story.ends()
    story.died("console", 0)
    story.created("console")
    story.started("console")
    story.died("console", 1)
    story.ends()
    story.died("console", 0)
    story.created("console")
    story.started("console")
    for event in (
        fact.LeftCleared(USER_DOCKER),
        fact.ContainerStarted(USER_DOCKER, PROCESS),
        fact.HealthReported(USER_DOCKER, PROCESS, Health.HEALTHY),
    ):
        story.feed(event)
        told += notices(event, story.last, UNTOLD)[0]
    (one,) = [notice for notice in told if notice.event is NoticeKind.UNDONE]
    assert one.unit == "console"
    assert one.text.startswith("console: switch failed, the console default was restored: console: the new one died")


def test_a_lost_engine_is_told_once_and_when_it_is_back() -> None:
    """All units of the host depend on it; its end with the host is no news."""
    told = of(spec("web"))
    told.feed(fact.EngineLost("connection refused"))
    told.feed(fact.EngineLost("connection refused"))
    assert told.all == [("lost", "system-docker")]
    told.feed(fact.EngineBack("26.1"))
    told.feed(fact.SnapshotTaken((), "connect", 99))
    assert ("recovery", "system-docker") in told.all
