"""Parses the parameters of control requests, and builds answers: JSON, lines of JSON, errors."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from supervisor.http.server import BaseRequest, Response, StreamResponse, read_in_time
from supervisor.logs import timestamps
from units.step import NOT_BY_HAND
from units.unit import Unit
from units.world import World

LONGEST_WAIT = 3600.0

Taken = Mapping[str, str]
"""What the parts in braces of a route's path stand for."""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The request is answered with an error."""

    def __init__(self, code: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.code = code
        self.hint = hint


def named(world: World, name: str) -> Unit:
    """A unit. Raises Refusal where there is no such unit, and for the engine, which is none."""
    unit = shown(world, name)
    if unit is world.engine:
        raise Refusal(409, NOT_BY_HAND, f"see 'dockwarden why {unit.name}'")
    return unit


def shown(world: World, name: str) -> Unit:
    """A unit, or the engine. Raises Refusal where there is no such unit."""
    unit = world.find(name)
    if unit is None:
        raise Refusal(404, f"there is no unit '{name[:80]}'", "GET /v1/units lists them")
    return unit


def in_json(value: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        body=json.dumps(value, separators=(",", ":")).encode() + b"\n",
        status=code,
        content_type="application/json",
        headers=headers,
    )


def refuse(code: int, error: str, hint: str, headers: Mapping[str, str] | None = None) -> Response:
    return in_json({"error": error, "hint": hint}, code, headers)


def flag(request: BaseRequest, key: str) -> bool:
    value = request.query.get(key, "0")
    if value not in {"", "0", "1", "true", "false"}:
        raise Refusal(400, f"{key}: expected 0 or 1", f"{key}=1 turns it on")
    return value in {"", "1", "true"}


def number(request: BaseRequest, key: str, default: int) -> int:
    value = request.query.get(key, str(default))
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise Refusal(400, f"{key}: expected a whole number", f"such as {key}={default or 10}")
    return int(value)


def seconds(request: BaseRequest, key: str) -> float:
    try:
        value = float(request.query.get(key, "0"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_WAIT:
        raise Refusal(400, f"{key}: expected 0 to {LONGEST_WAIT:g} seconds", f"such as {key}=30")
    return value


def moment(request: BaseRequest, key: str) -> int | None:
    """Nanoseconds since 1970; ``None``: it is not given. Raises Refusal."""
    text = request.query.get(key)
    if text is None:
        return None
    try:
        return timestamps.moment(text, time.time())
    except ValueError:
        hint = f"such as {key}=10m (ago), {key}=2026-01-02T03:04:05Z, or seconds since 1970"
        raise Refusal(400, f"{key}: '{text[:80]}' is not a time", hint) from None


async def reached(event: asyncio.Event, within: float) -> None:
    """Wait for it, at most so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()


async def open_lines(request: BaseRequest) -> StreamResponse:
    """A stream of JSON lines. It ends its connection, so that a cut one cannot be taken for a whole one."""
    stream = StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await stream.prepare(request)
    return stream


async def write_line(request: BaseRequest, stream: StreamResponse, value: dict[str, Any]) -> None:
    async with read_in_time(request):
        await stream.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")


async def end(lines: AsyncIterator[Any]) -> None:
    if isinstance(lines, AsyncGenerator):
        await lines.aclose()
