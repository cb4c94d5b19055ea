"""A fake of Docker 29 on a socket: its rule of versions and its answers, and the lies of engines on demand.

What it answers was written down from runs of 29.2 and 29.7, and from moby's source: nothing below ``lowest`` is served,
and refused in plain text; a create forgets the container's MAC address from 1.52 on, refuses sysctls of a network's
device from 1.48 on, and reads one endpoint only below 1.44, as a connect reads no MAC address below 1.54; events below
1.52 have sorted keys and a stamp that went through a float; from 1.52 on they have six fields, and an inspect has no
``Config.MacAddress`` and few of the ``NetworkSettings``.
"""

import asyncio
import contextlib
import itertools
import json
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from supervisor.engine.api_version import as_numbers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PLAIN = as_numbers("1.52")


@dataclass
class FakeDocker:
    """``become`` makes another engine of it, which ends all streams."""

    version: str = "29.2.1"
    lowest: str = "1.44"
    highest: str = "1.53"
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    """Names of containers whose inspect is never answered."""
    broken: dict[str, str] = field(default_factory=dict)
    """Names of containers whose inspect is answered with 500, and what it says."""
    listed_as: dict[str, str] = field(default_factory=dict)
    """Names of containers whose state in the list is not the one that inspect tells."""
    unlisted: set[str] = field(default_factory=set)
    """Names of containers that the list lacks."""
    mute: bool = False
    """It does not answer a ping."""
    listless: bool = False
    """The list is answered with 500."""
    deaf: bool = False
    """Events are kept, and none is sent: somebody in between swallows them."""
    more_of_version: dict[str, Any] = field(default_factory=dict)
    garbled: bool = False
    """Events are sent with bytes in them that make no sense."""
    requests: list[str] = field(default_factory=list)
    """Method and target, as they came."""
    bodies: list[Any] = field(default_factory=list)
    _ring: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=256))
    _readers: list["asyncio.Queue[dict[str, Any] | None]"] = field(default_factory=list)
    _idents: Any = field(default_factory=lambda: itertools.count(0xD0C))

    def add(self, name: str, *, state: str = "running", **labels: str) -> str:
        ident = f"{next(self._idents):064x}"
        self.containers[ident] = {
            "Id": ident,
            "Name": f"/{name}",
            "Created": "2026-01-01T00:00:00Z",
            "Image": "sha256:" + "1" * 64,
            "State": {"Status": state, "Running": state in {"running", "paused"}, "ExitCode": 0, "StartedAt": _now()},
            "Config": {"Image": "image", "Labels": labels, "MacAddress": "02:42:ac:11:00:66"},
            "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {"IPAddress": "172.17.0.2", "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
        }
        return ident

    def named(self, name: str) -> dict[str, Any]:
        return next(each for each in self.containers.values() if each["Name"] == f"/{name}")

    def become(self, version: str, lowest: str, highest: str) -> None:
        self.version, self.lowest, self.highest = version, lowest, highest
        self.cut()

    def cut(self) -> None:
        for reader in self._readers:
            reader.put_nowait(None)

    def start(self, name: str) -> None:
        self.named(name)["State"] |= {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": _now()}
        self.tell("start", name)

    def die(self, name: str, code: int = 1) -> None:
        self.named(name)["State"] |= {"Status": "exited", "Running": False, "ExitCode": code}
        self.tell("die", name, exitCode=str(code))

    def tell(self, action: str, name: str, **more: str) -> None:
        found, at = self.named(name), time.time_ns()
        event = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": found["Id"], "Attributes": {**found["Config"]["Labels"], "name": name, **more}},
            "scope": "local",
            "time": at // 10**9,
            "timeNano": at,
        }
        self._ring.append(event)
        for reader in self._readers if not self.deaf else ():
            reader.put_nowait(event)

    @contextlib.asynccontextmanager
    async def serve(self, path: Path | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """On a socket; without a path on a port of this host."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/_ping", self._ping),
                web.get("/version", self._version),
                web.get("/{api}/_ping", self._ping),
                web.get("/{api}/info", self._info),
                web.get("/{api}/volumes", self._volumes),
                web.get("/{api}/events", self._events),
                web.get("/{api}/containers/json", self._list),
                web.post("/{api}/containers/create", self._create),
                web.get("/{api}/containers/{id}/json", self._inspect),
                web.post("/{api}/containers/{id}/start", self._start),
                web.post("/{api}/containers/{id}/stop", self._stop),
                web.post("/{api}/containers/{id}/rename", self._rename),
                web.delete("/{api}/containers/{id}", self._delete),
                web.post("/{api}/networks/{name}/connect", self._connect),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.UnixSite(runner, str(path)) if path else web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        try:
            yield f"unix://{path}" if path else f"tcp://localhost:{runner.addresses[0][1]}"
        finally:
            self.cut()
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        spoken = request.match_info.get("api", f"v{self.highest}")
        if as_numbers(spoken) < as_numbers(self.lowest):
            said = f"client version {spoken[1:]} is too old. Minimum supported API version is {self.lowest}\n"
            return web.Response(status=400, text=said)
        if as_numbers(spoken) > as_numbers(self.highest):
            said = f"client version {spoken[1:]} is too new. Maximum supported API version is {self.highest}"
            return web.json_response({"message": said}, status=400)
        return await handler(request)

    async def _ping(self, _request: web.Request) -> web.StreamResponse:
        if self.mute:
            await asyncio.sleep(3600)
        return web.Response(
            text="OK", headers={"Api-Version": self.highest, "Server": f"Docker/{self.version} (linux)"}
        )

    async def _version(self, _request: web.Request) -> web.StreamResponse:
        told = {"Version": self.version, "ApiVersion": self.highest, "MinAPIVersion": self.lowest}
        return web.json_response(told | self.more_of_version)

    async def _info(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"SystemTime": _now()})

    async def _volumes(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"Volumes": []})

    async def _list(self, _request: web.Request) -> web.StreamResponse:
        if self.listless:
            return web.json_response({"message": "no list"}, status=500)
        return web.json_response(
            [self._row(each) for each in self.containers.values() if each["Name"][1:] not in self.unlisted]
        )

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body, spoken, name = await request.json(), _spoken(request), request.query["name"]
        self.bodies.append(body)
        host, config = body.pop("HostConfig", None) or {}, {"Image": "image", "Labels": {}, **body}
        endpoints = (config.pop("NetworkingConfig", None) or {}).get("EndpointsConfig") or {}
        if spoken >= (1, 48) and any(re.search(r"\.eth[0-9]+\.", key) for key in host.get("Sysctls") or ()):
            said = "must be supplied using driver option 'com.docker.network.endpoint.sysctls'"
            return web.json_response({"message": said}, status=500)
        if any(each["Name"] == f"/{name}" for each in self.containers.values()):
            return web.json_response({"message": f"The name {name} is already in use by container"}, status=409)
        if spoken >= PLAIN:
            config.pop("MacAddress", None)
        if spoken < (1, 44):
            endpoints = dict(itertools.islice(endpoints.items(), 1))
        ident = self.add(name, state="created")
        if asked := (endpoints.get(host.get("NetworkMode")) or {}).get("MacAddress"):
            config["MacAddress"] = asked
        told = {"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": endpoints}} if body else {}
        self.containers[ident] |= told
        return web.json_response({"Id": ident}, status=201)

    async def _start(self, request: web.Request) -> web.StreamResponse:
        self.start(self.containers[request.match_info["id"]]["Name"][1:])
        return web.Response(status=204)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        self.die(self.containers[request.match_info["id"]]["Name"][1:], 0)
        return web.Response(status=204)

    async def _rename(self, request: web.Request) -> web.StreamResponse:
        self.containers[request.match_info["id"]]["Name"] = f"/{request.query['name']}"
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        del self.containers[request.match_info["id"]]
        return web.Response(status=204)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        endpoint = {k: v for k, v in body["EndpointConfig"].items() if k != "MacAddress" or _spoken(request) >= (1, 54)}
        self.containers[body["Container"]]["NetworkSettings"]["Networks"][request.match_info["name"]] = endpoint
        return web.Response(status=200)

    def _row(self, found: dict[str, Any]) -> dict[str, Any]:
        name = found["Name"][1:]
        state = self.listed_as.get(name, found["State"]["Status"])
        status = {"running": "Up 2 minutes", "exited": f"Exited ({found['State']['ExitCode']}) 1 second ago"}
        return {
            "Id": found["Id"],
            "Names": [found["Name"]],
            "Image": found["Config"]["Image"],
            "Labels": found["Config"]["Labels"],
            "State": state,
            "Status": status.get(state, state),
        }

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        asked = request.match_info["id"]
        by_name = (each for each in self.containers.values() if each["Name"] == f"/{asked}")
        found = self.containers.get(asked) or next(by_name, None)
        if found is None:
            return web.json_response({"message": f"No such container: {asked}"}, status=404)
        name = found["Name"][1:]
        if name in self.hangs:
            await asyncio.sleep(3600)
        if name in self.broken:
            return web.json_response({"message": self.broken[name]}, status=500)
        if _plain(request):
            config = {key: value for key, value in found["Config"].items() if key != "MacAddress"}
            found = {**found, "Config": config, "NetworkSettings": {"Networks": found["NetworkSettings"]["Networks"]}}
        return web.json_response(found)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        if "since" in request.query:
            whole, _, rest = request.query["since"].partition(".")
            since = int(whole) * 10**9 + int(rest.ljust(9, "0"))
            for event in self._ring:
                if event["timeNano"] >= since:
                    queue.put_nowait(event)
        self._readers.append(queue)
        try:
            while (heard := await queue.get()) is not None:
                told = heard if _plain(request) else _rounded(heard)
                line = json.dumps(told).encode()
                await answer.write((line[:9] + b"\x55\x01" + line[11:] if self.garbled else line) + b"\n")
        finally:
            self._readers.remove(queue)
        return answer


def _spoken(request: web.Request) -> tuple[int, ...]:
    return as_numbers(request.match_info["api"])


def _plain(request: web.Request) -> bool:
    return _spoken(request) >= PLAIN


def _rounded(event: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted({**event, "timeNano": int(float(event["timeNano"]))}.items()))


def _now() -> str:
    at = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 10**9)) + f".{at % 10**9:09d}Z"
