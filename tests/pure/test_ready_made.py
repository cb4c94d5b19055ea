"""Ready-made hooks do what they say, and refuse settings that make no sense when they are imported."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hooks.errors import NotToldError
from hooks.happenings import sample
from hooks.points import Veto
from hooks.points import sample as question
from hooks.ready_made import command, disk_space, has_default_route, network_ready, size, webhook

FAILED = sample("unit.failed", "web", 1.0)
ASKED = question("before_start", "web", 1.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: webhook("chat.example"), "expected an address"),
        (lambda: command("  "), "expected a command"),
        (lambda: disk_space("/", free="a lot"), "expected a size such as"),
        (lambda: network_ready("10.0.0.1"), "expected HOST:PORT"),
        (lambda: webhook("http://x", on="unit.faild"), "did you mean"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(("text", "bytes_"), [("500M", 500 * 2**20), ("2 GiB", 2**31), ("12", 12), ("1k", 1024)])
def test_sizes(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


def test_disk_space_vetoes_below_the_limit_only() -> None:
    assert disk_space("/", free="1")(ASKED) is None
    answer = disk_space("/", free="999999T")(ASKED)
    assert isinstance(answer, Veto)
    assert "999999T are wanted" in answer.reason


def test_network_ready_asks_for_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert asyncio.run(_now(network_ready(f"127.0.0.1:{port}"))) is None
    answer = asyncio.run(_now(network_ready(f"127.0.0.1:{port}")))
    assert isinstance(answer, Veto)
    assert answer.reason.startswith(f"127.0.0.1:{port} cannot be reached: ")


async def _now(ready: Callable[[Any], Awaitable[Veto | None]]) -> Veto | None:
    return await ready(ASKED)


@pytest.mark.parametrize(
    ("route", "route6", "there"),
    [
        ("", "", False),
        ("Iface\teth0\n", "", False),
        ("h\neth0 00000000 0102A8C0 0003 0 0 100 00000000 0 0 0\n", "", True),
        ("h\neth0 0002A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0\n", "", False),
        ("h\n", f"{'0' * 32} 00 {'0' * 32} 00 fe80 400 1 0 3 eth0\n", True),
        ("h\n", f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 200200 lo\n", False),
    ],
)
def test_a_default_route(tmp_path: Path, route: str, route6: str, there: bool) -> None:
    (tmp_path / "route").write_text(route)
    (tmp_path / "ipv6_route").write_text(route6)
    assert has_default_route(tmp_path) is there


def test_command_gives_the_event_and_tells_what_was_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_tell(command(f"sh -c 'cat > {tmp_path}/told; echo $DOCKWARDEN_UNIT'")))
    assert json.loads((tmp_path / "told").read_text())["event"] == "unit.failed"
    assert capsys.readouterr().out == "web\n"
    with pytest.raises(NotToldError, match="exit code 3"):
        asyncio.run(_tell(command("sh -c 'exit 3'")))


async def _tell(tell: Callable[[Any], Awaitable[None]]) -> None:
    await tell(FAILED)


def test_webhook_posts_the_event_with_a_sentence() -> None:
    async def main() -> bytes:
        got: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            got.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await webhook(f"http://127.0.0.1:{port}/t0ken", text_key="body")(FAILED)
        return got[0]

    told = json.loads(asyncio.run(main()))
    assert told["event"] == "unit.failed"
    assert told["body"].startswith("web on ")
