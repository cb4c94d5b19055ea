"""Who may do everything, who may look, and who did what: the file system and the kernel say it, not the client."""

import asyncio
import http.client
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from supervisor.http.access import EVERYBODY, Access
from supervisor.http.control import server
from supervisor.http.control.server import names_an_address
from tests.harness import Harness, in_thread, short_directory, until
from tests.pure.story import spec
from tests.pure.test_control import ask, refused

OURS = str(os.getgid())
PROGRAM = Path("/proc/self/comm").read_text().rstrip("\n")


def play(scene: Callable[[Harness, list[Any]], Awaitable[None]], access: Access) -> None:
    """The scene gets what is logged of what is asked."""
    told: list[Any] = []

    def keep(_logger: object, _method: str, event: Any) -> Any:
        if event["event"] == "control.asked":
            told.append(dict(event))
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(20))

    async def run() -> None:
        with short_directory() as run_dir:
            async with asyncio.timeout(20):
                async with Harness(run_dir, spec("web"), access=access, log=log) as harness:
                    await scene(harness, told)

    asyncio.run(run())


async def ask_at(path: Path, method: str, asked: str) -> tuple[int, Any]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(f"{method} {asked} HTTP/1.0\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)


def test_a_group_may_do_everything() -> None:
    """The socket is its group's, mode 0660; the files go with the supervisor."""

    async def scene(harness: Harness, _told: list[Any]) -> None:
        found = harness.control.path.lstat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getgid())
        assert not harness.control.path.with_name("control-ro.sock").exists()
        assert (await ask(harness, "POST", "/v1/units/web/stop?wait=5"))[0] == 200
        await harness.end()
        assert not harness.control.path.exists()

    play(scene, Access(group=OURS))


@pytest.mark.parametrize(("readers", "mode"), [(OURS, 0o660), (EVERYBODY, 0o666)])
def test_readers_have_a_socket_of_their_own(readers: str, mode: int) -> None:
    """They see everything, change nothing, and are told who may; the other socket stays its owner's."""

    async def scene(harness: Harness, told: list[Any]) -> None:
        reading = harness.control.path.with_name("control-ro.sock")
        assert stat.S_IMODE(reading.lstat().st_mode) == mode
        assert stat.S_IMODE(harness.control.path.lstat().st_mode) == 0o600
        assert (await ask_at(reading, "GET", "/v1/units/web"))[1]["state"] == "ready"
        for method, path in (("POST", "/v1/units/web/stop"), ("DELETE", "/v1/units"), ("POST", "/nothing")):
            code, said = await ask_at(reading, method, path)
            assert (code, said["error"]) == (403, "this socket is read-only")
            assert said["hint"] == f"root can change things on {harness.control.path}"
        assert harness.phase("web") == "ready"
        assert told == []
        await harness.end()
        assert not reading.exists()

    play(scene, Access(readers=readers))


def test_who_may_not_give_a_socket_away_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is named, and the way out; nobody could have come in meanwhile."""

    def refuse(*_args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)

    async def run() -> None:
        with short_directory() as run_dir:
            harness = Harness(run_dir, access=Access(group=OURS))
            await refused(harness, f"to {OURS}: run as root, or as a member of it")
            assert list(run_dir.iterdir()) == []

    asyncio.run(run())


def test_a_door_that_is_not_opened_is_not_left_to_a_dead_one() -> None:
    """A socket that a killed supervisor left goes; anything else stays."""

    async def run() -> None:
        with short_directory() as run_dir:
            reading = run_dir / "control-ro.sock"
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(reading))
            async with Harness(run_dir):
                assert not reading.exists()
            reading.write_text("precious")
            async with Harness(run_dir):
                assert reading.read_text() == "precious"

    asyncio.run(run())


def test_those_who_look_cannot_keep_out_those_who_act(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have places of their own, and no more than these."""
    monkeypatch.setattr(server, "CLIENTS", 2)
    monkeypatch.setattr(server, "GUESTS", 1)

    async def scene(harness: Harness, _told: list[Any]) -> None:
        reading = harness.control.path.with_name("control-ro.sock")
        _reader, writer = await asyncio.open_unix_connection(str(reading))
        writer.write(b"GET /v1/events?follow=1 HTTP/1.0\r\n\r\n")
        await until(lambda: harness.control._busy)
        code, said = await ask_at(reading, "GET", "/v1/version")
        assert (code, said["error"]) == (503, "1 read-only requests are already in progress")
        assert (await ask(harness, "POST", "/v1/units/web/stop?wait=5"))[0] == 200
        writer.close()
        await until(lambda: not harness.control._guests)
        assert (await ask_at(reading, "GET", "/v1/version"))[0] == 200

    play(scene, Access(readers=EVERYBODY))


def test_an_address_is_for_looking() -> None:
    """Whoever comes may look; a page that a browser was led to by a name of its own may not."""

    async def scene(harness: Harness, _told: list[Any]) -> None:
        port = harness.control._servers[-1].port

        def go(method: str, path: str, host: str) -> tuple[int, Any]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            told = json.load(answer)
            connection.close()
            return answer.status, told

        assert (await in_thread(lambda: go("GET", "/v1/units/web", f"127.0.0.1:{port}")))[1]["state"] == "ready"
        assert (await in_thread(lambda: go("POST", "/v1/units/web/stop", "localhost")))[0] == 403
        code, said = await in_thread(lambda: go("GET", "/v1/units", "evil.example:80"))
        assert (code, said["error"]) == (403, "no such host")

    play(scene, Access(listen="127.0.0.1:0"))


def test_which_hosts_are_addresses() -> None:
    """With and without a port, in both families."""
    for host in ("127.0.0.1", "10.1.2.3:80", "[::1]:9", "[fe80::1]", "localhost", "localhost:9", ""):
        assert names_an_address(host)
    for host in ("evil.example", "evil.example:80", "127.0.0.1.nip.io", "localhost.evil.example:1"):
        assert not names_an_address(host)


def test_who_asked_for_a_change_is_in_the_log() -> None:
    """Uid, pid and program as the kernel knows them, the verb, the unit and what became of it; looking is not told."""

    async def scene(harness: Harness, told: list[Any]) -> None:
        who = {"event": "control.asked", "uid": os.getuid(), "pid": os.getpid(), "program": PROGRAM}
        await ask(harness, "GET", "/v1/units")
        assert told == []
        await ask(harness, "POST", "/v1/units/web/restart?wait=5")
        await ask(harness, "POST", "/v1/units/nope/stop")
        _, refused = await ask(harness, "POST", "/v1/switch/console/debian?wait=5")
        await ask(harness, "POST", "/v1/hooks/test/unit.restarted")
        assert told == [
            who | {"verb": "restart", "unit": "web", "outcome": "done"},
            who | {"verb": "stop", "unit": "nope", "outcome": "refused: there is no unit 'nope'"},
            who | {"verb": "switch console", "unit": "debian", "outcome": f"refused: {refused['error']}"},
            who | {"verb": "hooks test", "unit": "", "outcome": "done"},
        ]
        mine = [record.uid for record in harness.journal.records("web") if "Restart" in record.fact]
        assert set(mine) == {os.getuid()}
        assert {record.uid for record in harness.journal.records()} == {os.getuid(), None}
        harness.engine.ignore_term("web")
        _reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
        writer.write(b"POST /v1/units/web/stop?wait=600 HTTP/1.0\r\n\r\n")
        await until(lambda: harness.control.api._asking.waiting)
        writer.close()
        await until(lambda: len(told) == 5)
        assert told[-1] == who | {"verb": "stop", "unit": "web", "outcome": "left"}

    play(scene, Access())


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (Access(group="no-such-group"), "there is no group 'no-such-group'"),
        (Access(readers="no-such-group"), "there is no group 'no-such-group'"),
        (Access(listen="nonsense"), "--control-listen 'nonsense': expected HOST:PORT"),
        (Access(listen="192.0.2.1:1"), "cannot listen at 192.0.2.1:1"),
    ],
)
def test_a_door_that_cannot_be_opened_opens_none(access: Access, said: str) -> None:
    """The text names the option's value; nothing is left behind."""

    async def run() -> None:
        with short_directory() as run_dir:
            await refused(Harness(run_dir, access=access), said)
            assert list(run_dir.iterdir()) == []

    asyncio.run(run())
