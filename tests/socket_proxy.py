"""A proxy before an engine's socket, as people put them there: it lets some calls through, and cuts what is idle.

It refuses as HAProxy does in Tecnativa's docker-socket-proxy: HTTP/1.0, a page of HTML, no length.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

REFUSAL = (
    b"HTTP/1.0 403 Forbidden\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n"
    b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
)


@dataclass
class SocketProxy:
    refuses: set[str] = field(default_factory=set)
    """Regular expressions of ``METHOD /path``, without version and query."""
    idle: float = 3600.0
    """Seconds without a byte until a connection is cut."""
    refused: list[str] = field(default_factory=list)
    cuts: int = 0

    @contextlib.asynccontextmanager
    async def serve(self, path: Path, engine: Path) -> AsyncIterator[str]:
        self._engine = engine
        async with await asyncio.start_unix_server(self._pass_on, str(path)):
            yield f"unix://{path}"

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode().split(" ", 2)
            asked = f"{method} {re.sub(r'^/v[0-9.]+', '', target).partition('?')[0]}"
            if any(re.fullmatch(one, asked) for one in self.refuses):
                self.refused.append(asked)
                writer.write(REFUSAL)
                await writer.drain()
                return
            back, forth = await asyncio.open_unix_connection(str(self._engine))
            with contextlib.closing(forth):
                forth.write(head[:-2] + b"Connection: close\r\n\r\n")
                there = asyncio.ensure_future(self._copy(reader, forth))
                await self._copy(back, writer)
                there.cancel()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self.idle) as limit:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                    limit.reschedule(asyncio.get_running_loop().time() + self.idle)
        except TimeoutError:
            self.cuts += 1
