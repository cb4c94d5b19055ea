"""``raw_client SOCKET LABEL [LOOP]``: the least that Python can do: two protocols, no task, no policy, no memory.

``LOOP``: ``uvloop``, or ``asyncio`` for the standard library's.
"""

import asyncio
import json
import sys
from typing import cast
from urllib.parse import quote

import uvloop


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)


class Orders(Connection):
    def start(self, container: str) -> None:
        self.transport.write(
            f"POST /v1.41/containers/{container}/start HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode()
        )


class Events(Connection):
    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._begun = b""

    def ask(self, label: str) -> None:
        filters = quote(json.dumps({"type": ["container"], "event": ["die"], "label": [label]}))
        self.transport.write(f"GET /v1.41/events?filters={filters} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """The chunks' own lines are passed over: an event is a line that begins with a brace."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{") and (event := json.loads(line))["Action"] == "die":
                self._orders.start(event["id"])


async def main(socket: str, label: str) -> None:
    loop = asyncio.get_running_loop()
    _, orders = await loop.create_unix_connection(Orders, socket)
    _, events = await loop.create_unix_connection(lambda: Events(orders), socket)
    events.ask(label)
    await asyncio.Event().wait()


if __name__ == "__main__":
    factory = None if sys.argv[3:] == ["asyncio"] else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(*sys.argv[1:3]))
