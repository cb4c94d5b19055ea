"""``aio_client SOCKET LABEL``: what one would write with aiodocker and uvloop on an afternoon; no policy, no memory."""

import asyncio
import json
import sys

import aiohttp
import uvloop
from aiodocker import Docker


async def main(socket: str, label: str) -> None:
    connector = aiohttp.UnixConnector(socket)
    docker = Docker("http://docker", connector=connector, api_version="v1.41")
    filters = {"type": ["container"], "event": ["die"], "label": [label]}
    try:
        events = docker.events.subscribe(filters=json.dumps(filters))  # type: ignore[no-untyped-call]
        while (event := await events.get()) is not None:
            await docker.containers.container(event["id"]).start()
    finally:
        await docker.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
