"""What is probed: a small server that answers at once, in a process of its own. ``python -m benchmarks.targets``."""

import asyncio
import sys
from collections.abc import Callable
from typing import cast

import uvloop

from units.health import Check, Http, Tcp
from units.quantities import Seconds

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
INTERVAL = Seconds(1)

CHECKS: dict[str, Callable[[int], Check]] = {
    "http": lambda port: Check("c", Http(port), interval=INTERVAL, start_interval=INTERVAL),
    "tcp": lambda port: Check("c", Tcp(port), interval=INTERVAL, start_interval=INTERVAL),
}


class Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has transports of its own

    def data_received(self, data: bytes) -> None:  # noqa: ARG002
        self._transport.write(ANSWER)
        self._transport.close()


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
