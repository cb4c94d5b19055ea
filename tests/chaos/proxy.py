"""A proxy on an engine's socket that can be made to lie."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path

PIECE = 65536
TRUNCATED_AFTER = 300
"""Bytes of an answer: mostly the head, and the beginning of what it says."""
GARBLED = 8
"""Bytes of an event, in its middle."""
HOLD = 0.7
"""Seconds that every piece of an answer is held back."""


class Lie(StrEnum):
    NONE = "none"
    CUT = "cut"
    DELAY = "delay"
    TRUNCATE = "truncate"
    DUPLICATE = "duplicate"
    SWALLOW = "swallow"
    GARBLE = "garble"


class Proxy:
    """Passes everything on, until it is told otherwise. Lives in a thread of its own."""

    def __init__(self, listening: Path, engine: Path) -> None:
        self.listening = listening
        self._engine = engine
        self._lie = Lie.NONE
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._serve, self.listening)

    def tell(self, lie: Lie) -> None:
        """Lie so from now on."""

        def change() -> None:
            self._lie = lie
            if lie is Lie.CUT:
                self._end_all()

        self._loop.call_soon_threadsafe(change)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            self._end_all()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _end_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._lie is Lie.CUT:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            there, onward = await asyncio.open_unix_connection(self._engine)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(onward)
        talk = _Talk()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(reader, onward, talk))
                both.create_task(self._answer(there, writer, talk))
        except* (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            for one in (writer, onward):
                one.transport.abort()
                self._writers.discard(one)

    async def _ask(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, talk: "_Talk") -> None:
        while piece := await reader.read(PIECE):
            if b"/events" in piece.split(b"\r\n", 1)[0]:
                talk.events = True
            onward.write(piece)
            await onward.drain()
        with contextlib.suppress(OSError, NotImplementedError):
            onward.write_eof()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: "_Talk") -> None:
        async for piece in self._pieces(there, talk):
            if self._lie is Lie.DELAY:
                await asyncio.sleep(HOLD)
            if self._lie is Lie.TRUNCATE:
                writer.write(piece[:TRUNCATED_AFTER])
                await writer.drain()
                break
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError  # ends the other direction

    async def _pieces(self, there: asyncio.StreamReader, talk: "_Talk") -> AsyncIterator[bytes]:
        """As they come; the chunks of an event stream one by one, as the lie has them."""
        while piece := await there.read(PIECE):
            if not talk.events:
                yield piece
                continue
            head, _, rest = piece.partition(b"\r\n\r\n")
            yield head + b"\r\n\r\n"
            async for chunk in _chunks(there, rest):
                match self._lie:
                    case Lie.SWALLOW:
                        continue
                    case Lie.DUPLICATE:
                        yield _framed(chunk) + _framed(chunk)
                    case Lie.GARBLE:
                        yield _framed(_garbled(chunk))
                    case _:
                        yield _framed(chunk)
            return


class _Talk:
    """What is known of one connection."""

    events = False


async def _chunks(there: asyncio.StreamReader, begun: bytes) -> AsyncIterator[bytes]:
    """The chunks of a chunked answer of which so much was read already."""
    buffer = begun
    while True:
        line, found, rest = buffer.partition(b"\r\n")
        size = int(line, 16) if found and line else -1
        if size == 0:
            return
        if size > 0 and len(rest) >= size + 2:
            yield rest[:size]
            buffer = rest[size + 2 :]
            continue
        piece = await there.read(PIECE)
        if not piece:
            return
        buffer += piece


def _framed(chunk: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


def _garbled(chunk: bytes) -> bytes:
    """Of the same length, and with its line's end."""
    first = max(0, len(chunk) // 2 - GARBLED)
    wrong = bytes(byte ^ 0x55 for byte in chunk[first : first + GARBLED])
    return chunk[:first] + wrong + chunk[first + GARBLED :]
