"""Ready-made hooks: assign one to a name in a file of ``hooks.d`` to enable it.

``/etc/dockwarden/hooks.d/site.py``::

    from hooks.ready_made import disk_space, network_ready, webhook

    chat = webhook("https://chat.example/hook", on="unit.failed")
    room = disk_space("/var/lib/docker", free="500M")
    net = network_ready("10.0.0.1:53", unit="vpn")

What the names on the left are is up to you: they are those of ``hooks list``.
"""

import asyncio
import json
import os
import re
import shlex
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from hooks.command import run_command
from hooks.happenings import Happened, UnitMoved
from hooks.marks import gate
from hooks.marks import on as told_of
from hooks.points import Asked, Veto

SIZES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CONNECT = 3.0
"""Seconds for a connection that shows that the network is there."""


def webhook(
    url: str, *, on: str = "unit.failed", unit: str = "*", text_key: str = "text"
) -> Callable[[Happened], Awaitable[None]]:
    """Send events as a POST of JSON, with a sentence for people in ``text_key``.

    Raises ValueError for what is no http address.
    """
    # Its client is large, and only who tells by HTTP needs it.
    from hooks.webhook import check_address, post  # noqa: PLC0415 - brings aiohttp

    check_address(url)

    @told_of(on, unit=unit)
    async def tell(event: Happened) -> None:
        await post(url, json.dumps({**event.as_dict(), text_key: in_words(event)}))

    return tell


def command(line: str, *, on: str = "unit.failed", unit: str = "*") -> Callable[[Happened], Awaitable[None]]:
    """Run a command: the event as JSON on its standard input, and in its environment.

    Raises ValueError for a command with an open quote, or none at all.
    """
    words = shlex.split(line)
    if not words:
        raise ValueError("expected a command")

    @told_of(on, unit=unit)
    async def tell(event: Happened) -> None:
        print(await run_command(words, event.environment(), event.as_json()))  # noqa: T201 - kept as what it printed

    return tell


def disk_space(path: str, *, free: str, unit: str = "*") -> Callable[[Asked], Veto | None]:
    """No start while fewer than ``free`` bytes (``500M``, ``2G``) are left on the file system of ``path``.

    Raises ValueError for what is no size.
    """
    wanted = size(free)

    @gate("before_start", unit=unit, timeout=5)
    def room(_asked: Asked) -> Veto | None:
        found = os.statvfs(path)
        left = found.f_bavail * found.f_frsize
        return None if left >= wanted else Veto(f"only {left >> 20} MiB are free on {path}, {free} are wanted")

    return room


def network_ready(address: str = "", *, unit: str = "*") -> Callable[[Asked], Awaitable[Veto | None]]:
    """No start before there is a default route; with an address ``HOST:PORT``, before it takes a connection.

    Raises ValueError for what is no address.
    """
    host, _, port = address.rpartition(":")
    if address and not (host and port.isdecimal()):
        raise ValueError(f"expected HOST:PORT, not '{address}'")

    @gate("before_start", unit=unit, timeout=5)
    async def reachable(_asked: Asked) -> Veto | None:
        if not address:
            return None if has_default_route() else Veto("there is no default route yet")
        try:
            async with asyncio.timeout(CONNECT):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError) as error:
            number = getattr(error, "errno", None)
            return Veto(f"{address} cannot be reached: {os.strerror(number) if number else str(error) or 'no answer'}")
        writer.close()
        return None

    return reachable


def size(text: str) -> int:
    """Bytes. Raises ValueError."""
    found = re.fullmatch(r"(\d+) ?([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"expected a size such as 500M or 2G, not '{text}'")
    return int(found[1]) * SIZES[found[2].upper()]


def has_default_route(net: Path = Path("/proc/net")) -> bool:
    """``route`` has a line with destination and mask 0; ``ipv6_route`` one with the prefix length 0, not to ``lo``."""
    for line in _lines(net / "route")[1:]:
        if line[1] == line[7] == "00000000":
            return True
    return any(line[0] == "0" * 32 and line[1] == "00" and line[-1] != "lo" for line in _lines(net / "ipv6_route"))


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []


def in_words(event: Happened) -> str:
    """One sentence for people."""
    where = socket.gethostname()
    if isinstance(event, UnitMoved):
        return f"{event.unit} on {where} is {event.state}: {event.reason}"
    return f"{event.name} on {where}: {event.reason}"
