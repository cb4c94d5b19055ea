"""Writes server-sent events, for a browser's ``EventSource`` and for our client.

A reader that reconnects names the last event it saw, and continues after it; one that does not read is disconnected.
The events come from any async iterator.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from supervisor.http.server import BaseRequest, StreamResponse, read_in_time
from supervisor.journal.journal import Journal
from supervisor.journal.record import Record
from units.records import dataclass

CONTENT_TYPE = "text/event-stream"
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent: keeps proxies open, and detects dead peers."""
RETRY = 2000
"""Milliseconds after which an ``EventSource`` reconnects."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream."""

    event: str
    """The event's type, for ``addEventListener``: ``record``, ``gap``, ``dropped``."""
    data: Any
    """What becomes JSON."""
    id: str = ""
    """Where a reader that reconnects continues; empty keeps the last one."""

    def encode(self) -> bytes:
        """Ready to be sent. JSON in ASCII has no line ends of its own, so one ``data`` line holds it."""
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.event}\ndata: {json.dumps(self.data, separators=(',', ':'))}\n\n".encode()


def last_seen(request: BaseRequest) -> str:
    """The last id seen by a reader that reconnects; empty for a new one."""
    return request.headers.get("Last-Event-ID", "")[:64]


async def stream(request: BaseRequest, messages: AsyncIterator[Message]) -> StreamResponse:
    """Send messages until they end, or the reader leaves or does not read. Closes ``messages`` if it is a generator.

    Raises:
        ConnectionResetError: the reader was cut off.
    """
    response = StreamResponse(headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
    await response.prepare(request)
    coming: asyncio.Future[Message] | None = None
    try:
        if request.method == "HEAD":
            return response
        await _write(request, response, f"retry: {RETRY}\n\n".encode())
        while True:
            coming = coming or asyncio.ensure_future(anext(messages))
            # Not wait_for: that would cancel the source at each silence.
            if not (await asyncio.wait({coming}, timeout=KEEP_ALIVE))[0]:
                await _write(request, response, b":\n\n")
                continue
            done, coming = coming, None
            try:
                message = done.result()
            except StopAsyncIteration:
                return response
            await _write(request, response, message.encode())
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming
        if isinstance(messages, AsyncGenerator):
            await messages.aclose()


async def _write(request: BaseRequest, response: StreamResponse, piece: bytes) -> None:
    async with read_in_time(request):
        await response.write(piece)


async def records(
    journal: Journal, seen: str = "", *, unit: str | None = None, tail: int | None = None
) -> AsyncGenerator[Message, None]:
    """The kept records and then new ones, of all units or of one, without end.

    ``seen`` is the id of the last message that the reader got: what came since is sent first, and where that is no
    longer kept a ``gap``. Without it the last ``tail`` of what is kept are.
    """
    # Subscribed before the kept ones are read: nothing in between is lost.
    with journal.subscribe() as coming:
        if seen:
            kept, gap = _since(journal, seen, unit)
            if gap is not None:
                yield gap
        else:
            kept = journal.records(unit)
            kept = kept if tail is None else kept[max(len(kept) - tail, 0) :]
        for record in kept:
            yield _message(journal, record)
        async for item in coming:
            if not isinstance(item, Record):
                yield Message("dropped", item.as_dict())
            elif unit is None or item.unit == unit:
                yield _message(journal, item)


def _message(journal: Journal, record: Record) -> Message:
    return Message("record", record.as_dict(), f"{journal.run}-{record.seq}")


def _since(journal: Journal, seen: str, unit: str | None) -> tuple[list[Record], Message | None]:
    run, _, number = seen.rpartition("-")
    if not (number.isascii() and number.isdecimal()):
        return journal.records(unit), _gap("the last event id is unknown")
    if run not in {"", journal.run} or int(number) > journal.last:
        return journal.records(unit), _gap("the supervisor was restarted since")
    kept, whole = journal.since(int(number), unit)
    return kept, None if whole else _gap("the oldest events since are no longer kept")


def _gap(reason: str) -> Message:
    return Message("gap", {"event": "gap", "reason": reason})
