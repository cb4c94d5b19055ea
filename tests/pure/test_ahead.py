"""The first look at what an engine says: whose death begins here, and is there an order that stands for it?"""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any, cast

import pytest

from supervisor.ahead import Ahead
from supervisor.wire import Asked, Caller
from units.spec import ContainerId

ONE, TWO = ContainerId("1a" * 32), ContainerId("2b" * 32)


class Calls:
    """Sends nothing, and remembers what."""

    def __init__(self, *, at_hand: bool = True) -> None:
        self.at_hand = at_hand
        self.sent: list[bytes] = []

    def send(self, message: bytes, patience: float) -> Asked | None:
        if not self.at_hand:
            return None
        self.sent.append(message)
        return Asked(message, patience, None, None)


def ahead(*standing: ContainerId, at_hand: bool = True) -> tuple[Ahead, Calls]:
    calls = Calls(at_hand=at_hand)
    made = Ahead(cast("Caller", calls), lambda container: f"/start/{container}")
    made.stand_by(frozenset(standing))
    return made, calls


def event(action: str, container: str = ONE, **labels: str) -> bytes:
    """As engines write it: the old fields first, labels sorted among the attributes."""
    attributes = dict(sorted({"exitCode": "137", "image": "web:1", "name": "web", **labels}.items()))
    told: dict[str, Any] = {"status": action, "id": container, "from": "web:1", "Type": "container", "Action": action}
    told |= {"Actor": {"ID": container, "Attributes": attributes}, "scope": "local", "time": 1, "timeNano": 10**9}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def chunk(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in events)


def test_a_death_is_answered_by_what_stands_for_it() -> None:
    made, calls = ahead(ONE, TWO)
    assert made.look(chunk(event("die"))) == ONE
    assert calls.sent == [f"POST /start/{ONE} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode()]


def test_the_call_that_left_is_claimed_once() -> None:
    made, _ = ahead(ONE)
    made.look(chunk(event("die")))
    claimed = made.claim(ONE)
    assert claimed is not None
    assert made.claim(ONE) is None
    assert made.claim(TWO) is None


def test_one_death_ends_it() -> None:
    """The core has to see it before anything stands again."""
    made, calls = ahead(ONE, TWO)
    made.look(chunk(event("die")))
    assert made.look(chunk(event("die", TWO))) is None
    assert len(calls.sent) == 1


@pytest.mark.parametrize(
    "data",
    [
        chunk(event("kill"), event("die")),
        event("kill")[-40:] + b"\r\n" + chunk(event("die")),
        b"\r\n" + chunk(event("die")),
        chunk(event("start")),
        chunk(event("die", "3c" * 32)),
        chunk(event("die"))[:60],
        chunk(event("create", "3c" * 32, note='\n{"status":"die","id":"' + ONE + '"')),
        chunk(event("create", "3c" * 32, **{"\n{": "", "status": "die", "id": ONE})),
        b"",
    ],
    ids=["after", "rest", "blank", "other", "stranger", "cut", "value", "labels", "nothing"],
)
def test_what_is_not_plainly_the_first_news_is_left_to_the_core(data: bytes) -> None:
    """An event before it may have changed everything; and what others wrote into their labels is no event."""
    made, calls = ahead(ONE)
    assert made.look(data) is None
    assert calls.sent == []


def test_what_was_taken_back_does_not_stand() -> None:
    made, calls = ahead(ONE)
    made.stand_by(frozenset())
    assert made.look(chunk(event("die"))) is None
    made.stand_by(frozenset({TWO}))
    assert made.look(chunk(event("die"))) is None
    assert made.look(chunk(event("die", TWO))) == TWO
    assert len(calls.sent) == 1


def test_without_a_connection_at_hand_nothing_is_done_ahead() -> None:
    made, calls = ahead(ONE, at_hand=False)
    assert made.look(chunk(event("die"))) is None
    calls.at_hand = True
    assert made.look(chunk(event("die"))) == ONE


def test_what_is_sent_at_once_has_left_when_the_call_returns(tmp_path: Path) -> None:
    """Before the event loop has had a turn."""
    path = str(tmp_path / "x.sock")

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            caller = Caller(path)
            assert caller.send(b"early", 1) is None
            await caller.warm()
            peer, _ = listener.accept()
            with peer:
                asked = caller.send(b"GET /x HTTP/1.1\r\n\r\n", 1)
                assert asked is not None
                peer.setblocking(False)
                assert peer.recv(100) == b"GET /x HTTP/1.1\r\n\r\n"
                peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert (await caller.answer(asked)).status == 204
            caller.close()

    asyncio.run(main())
