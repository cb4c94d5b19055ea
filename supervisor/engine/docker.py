"""Docker behind the engine port.

Each call has a deadline and ends in a result or an EngineError that names the call. Two roads lead to the engine:
``calls`` (aiodocker) for what takes its time anyway, and ``fast_client`` for the event stream and the start order.
aiodocker's own event reader stays unused: it ends for good at a line over 512 KiB, never resumes, and reports each end
in the same way.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from supervisor.engine import decode, decode_checks, decode_networks, errors, podman
from supervisor.engine.access import is_barred, pinged
from supervisor.engine.address import Address, AddressError, parse
from supervisor.engine.api_version import Speech, speech
from supervisor.engine.calls import ACT, CUT, FAILURES, LOOK, PROGRESS, Calls, OnCall, parsed
from supervisor.engine.connect import Road
from supervisor.engine.discovery import OwnContainers, Selector
from supervisor.engine.drafts import Drafts
from supervisor.engine.fast_client import EventStream, FastClient, PendingCall, Reply
from supervisor.engine.http1 import WireError
from supervisor.engine.log_stream import LogStream
from supervisor.engine.lost_run import end_of
from supervisor.engine.members import PATIENCE, Members
from supervisor.engine.port import (
    BarredError,
    Blueprint,
    CheckLine,
    ContainerAddress,
    Doubtful,
    EngineError,
    EngineInfo,
    EngineMessage,
    ExecId,
    HandOver,
    OutputLine,
    Replica,
    nothing,
)
from supervisor.engine.processes import Processes
from supervisor.logs.timestamps import as_digits
from supervisor.os_errors import why
from units.events import Observed
from units.quantities import Seconds
from units.records import replace
from units.spec import ContainerId, UnitName
from units.tables.storage import ContextFacts
from units.unit import Failure

LOST = 30.0
"""Longest that a lost run has from its stop signal to SIGKILL, in seconds: who makes it anew waits 45 for an answer."""
OWN_TIMEOUT = 600.0
"""Longest stop timeout of a container's own that is waited for, in seconds."""


class DockerEngine:
    """Create and use it on a running event loop.

    Args:
        where: Its address, or that as a URL.
        on_call: Called at the end of each call.
        lens: Which containers are units; without it, those that carry our label.

    Raises:
        EngineError: it is no address, or its certificates cannot be used.
    """

    def __init__(
        self,
        where: Address | str,
        *,
        on_call: OnCall = lambda *_: None,
        lens: Selector | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        """``hide`` removes secrets from the engine's error messages."""
        try:
            address = parse(where) if isinstance(where, str) else where
            road = Road(address)
        except AddressError as error:
            raise EngineError(Failure.UNRECOVERABLE, str(error)) from error
        self.url = address.url
        self._lens = lens or OwnContainers()
        self._road, self._base = road, address.base
        self._speech = Speech()
        self._podman = False
        self._on_call = on_call
        self._loop = asyncio.get_running_loop()
        self._starts = FastClient(road)
        self._listeners: set[EventStream] = set()
        self._now = 0.0
        self._rootless: bool | None = None
        """Asked for once a connection, when a container's address is first needed."""
        self._members = Members(self._look, self._serves, Processes(self._loop.time))
        self._calls = Calls(road, on_call, hide)
        self._drafts = Drafts(self._calls, self._inspect, self._lens)

    async def info(self) -> EngineInfo:
        """From here on all calls speak a version that this engine serves."""
        try:
            async with self._calls.order("info", "", LOOK):
                version = await self._calls.ask("version", versioned_api=False)
                told = replace(decode.info(version), podman=podman.is_podman(version))
        except BarredError:
            told = await self._ping()
        self._podman = told.podman
        self._speech = speech(told.api_min, told.api)
        self._calls.speak(self._speech.calls)
        self._members.processes.forget()
        self._rootless = None
        return told

    @contextlib.asynccontextmanager
    async def events(self, since_ns: int | None) -> AsyncIterator[HandOver]:
        with contextlib.ExitStack() as stack:
            async with self._calls.order("events", "", LOOK):
                await self._starts.warm()
                listener = await self._road.open(EventStream)
                stack.callback(self._forget, listener)
                self._listeners.add(listener)
                answer = await listener.open(self._events_target(since_ns))
                if answer.status != 200:
                    raise _refusal("events", answer)

            async def hand_over(hear: Callable[[EngineMessage], None]) -> NoReturn:
                try:
                    await listener.hand_over(lambda line: hear(self._heard(parsed(line))))
                except WireError as error:
                    raise EngineError(Failure.UNREACHABLE, f"events: {error}") from error

            yield hand_over

    def _heard(self, message: Any) -> EngineMessage:
        if not self._podman:
            return self._lens.heard(message)
        told = podman.translated(message)
        return podman.doubted(self._lens.heard(told), told)

    def _forget(self, listener: EventStream) -> None:
        self._listeners.discard(listener)
        listener.close()

    async def snapshot(self, *, thorough: bool, doubtful: Doubtful = nothing) -> tuple[Observed, ...]:
        async with self._calls.order("list", "", LOOK):
            told = await self._calls.ask("containers/json", params={"all": "1", "filters": self._lens.containers})
            news = self._lens.prepare(told)
            listed = tuple(seen for row in told if (seen := self._lens.listed(row)) is not None)
            del told
        self._now = time.time()  # One time for all, so that the order of starts is kept.
        if thorough or news or self._podman:  # Podman's list tells no health.
            asked = listed
        else:
            unmet = (one for one in listed if one.spec is not None)
            asked = (*self._members.due(listed), *unmet)
        return await self._members.complete(listed, (*asked, *doubtful(listed)))

    async def _serves(self) -> None:
        await self._ping()

    async def _ping(self) -> EngineInfo:
        """What its answer says of the engine; nothing where a proxy answers instead, which shows life as well."""
        told: Mapping[str, str] = {}
        asked = self._calls.stream("_ping", "GET", versioned_api=False)
        with contextlib.suppress(BarredError):
            async with self._calls.order("ping", "", PATIENCE), asked as answer:
                told = answer.headers
        return pinged(told)

    async def pull(self, image: str) -> None:
        """Without a tag it is ``latest``: this API call would otherwise pull all tags."""
        tagged = "@" in image or ":" in image.rpartition("/")[2]
        asked = {"fromImage": image if tagged else f"{image}:latest"}
        async with self._calls.order("pull", image, PROGRESS) as deadline:
            async for _ in self._calls.progress(deadline, "images/create", params=asked):
                pass

    async def create(self, name: str, body: str, dialect: str = "") -> ContainerId:
        async with self._calls.act("create", name, ACT):
            path = f"v{dialect or self._speech.create(body)}/containers/create"
            made = await self._calls.ask(path, "POST", params={"name": name}, data=body, versioned_api=False)
            return ContainerId(made["Id"])

    async def has_image(self, image: str) -> bool:
        try:
            async with self._calls.order("image", image, LOOK):
                await self._calls.ask(f"images/{quote(image, safe='/:@')}/json")
        except EngineError as error:
            if error.failure is Failure.IMAGE_MISSING:
                return False
            raise
        return True

    async def context(self, container: ContainerId) -> ContextFacts:
        return decode.context(await self._inspect(container))

    async def files(self, body: str, container: ContainerId | None, paths: Sequence[str]) -> frozenset[str]:
        async with self._calls.order("files", (container or "a trial")[:12], ACT):
            trial = container
            if trial is None:  # Without its name and its labels it is nobody's, also when we die just now.
                bare = json.dumps({**json.loads(body), "Labels": {}})
                path = f"v{self._speech.create(bare)}/containers/create"
                trial = (await self._calls.ask(path, "POST", data=bare, versioned_api=False))["Id"]
            try:
                there = [path for path in paths if await self._calls.has_file(trial, path)]
                return frozenset(there)
            finally:
                if container is None:
                    await self._calls.ask(f"containers/{trial}", "DELETE", params={"force": "1", "v": "1"})

    async def look(self, container: ContainerId) -> Observed:
        seen = self._lens.inspected(await self._inspect(container), time.time())
        if seen is None:
            raise EngineError(Failure.NOT_FOUND, f"inspect {container[:12]}: not managed by dockwarden")
        return seen

    async def owner(self, name: str) -> UnitName | None:
        found = await self._inspect(name)
        if decode.name_of(found) != name:  # A name that no container has may be the beginning of an id.
            raise EngineError(Failure.NOT_FOUND, f"inspect of {name}: no such container")
        return decode.owner(found)

    def start(self, container: ContainerId) -> Coroutine[Any, Any, None]:
        name = container if container.isalnum() else quote(container, safe="")
        asked = self._starts.ask("POST", f"{self._base}/v{self._speech.calls}/containers/{name}/start", ACT)
        return self._started(container, asked, self._loop.time())

    async def _started(self, container: ContainerId, asked: PendingCall, began: float) -> None:
        """Without ``_order``: its context manager and timer would double the cost of a start."""
        try:
            answer = await self._starts.answer(asked)
            if answer.status not in {200, 204}:
                raise _refusal("start", answer, container)
        except FAILURES as error:
            raise self._calls.failed(error, "start", container[:12], ACT, began) from error
        self._on_call("start", "ok", self._loop.time() - began)

    async def signal(self, container: ContainerId, signal: str) -> None:
        async with self._calls.act("signal", container[:12], LOOK):
            await self._calls.signal(container, signal)

    async def restart(self, container: ContainerId, grace: Seconds | None) -> None:
        await self._end("restart", container, grace)

    async def stop(self, container: ContainerId, grace: Seconds | None) -> None:
        await self._end("stop", container, grace)

    async def _end(self, operation: str, container: ContainerId, grace: Seconds | None) -> None:
        """A call that waits for the end of a container."""
        asked = {} if grace is None else {"t": str(int(grace))}
        patience = ACT + (OWN_TIMEOUT if grace is None else grace)
        async with self._calls.order(operation, container[:12], patience):
            await self._calls.post(f"containers/{container}/{operation}", patience=patience, params=asked)

    async def replica(self, container: ContainerId, joins: Mapping[ContainerId, ContainerId]) -> Replica:
        return await self._drafts.replica(container, joins, (await self.info()).api)

    async def successor(self, plan: Blueprint) -> Replica:
        return await self._drafts.successor(plan)

    async def connect(self, network: str, container: ContainerId, endpoint: str) -> None:
        async with self._calls.act("connect", f"{container[:12]} to {network}", LOOK):
            asked = json.dumps({"Container": container, "EndpointConfig": json.loads(endpoint)})
            await self._calls.post(f"networks/{quote(network, safe='')}/connect", data=asked)

    async def disconnect(self, network: str, name: str) -> None:
        where = quote(network, safe="")
        async with self._calls.act("disconnect", f"{name} from {network}", LOOK):
            for ident in decode_networks.endpoints(await self._calls.ask(f"networks/{where}"), name):
                if decode_networks.runs(await self._calls.found(f"containers/{ident}/json")):
                    raise EngineError(Failure.CONFLICT, f"{ident[:12]} runs, and has this endpoint")
            asked = json.dumps({"Container": name, "Force": True})
            await self._calls.post(f"networks/{where}/disconnect", data=asked)

    async def health_log(self, container: ContainerId) -> tuple[CheckLine, ...]:
        return decode_checks.health_log(await self._inspect(container))

    async def whereabouts(self, container: ContainerId) -> ContainerAddress:
        found = decode_checks.whereabouts(await self._inspect(container))
        if self._rootless is None:  # A proxy may keep it to itself: then it is taken for an ordinary one.
            self._rootless = False
            with contextlib.suppress(EngineError):
                async with self._calls.order("rootless", "", LOOK):
                    self._rootless = decode_checks.rootless(await self._calls.ask("info"))
        return replace(found, elsewhere=self._rootless)

    async def exec_create(self, container: ContainerId, command: tuple[str, ...]) -> ExecId:
        asked = json.dumps({"Cmd": command, "AttachStdout": True, "AttachStderr": True})
        async with self._calls.order("exec", container[:12], LOOK):
            return ExecId((await self._calls.ask(f"containers/{container}/exec", "POST", data=asked))["Id"])

    async def exec_run(self, exec_id: ExecId, limit: int) -> str:
        """Without a deadline of its own: the caller has one."""
        output, said = LogStream(terminal=False), ""
        try:
            async with self._calls.stream(
                f"exec/{exec_id}/start", "POST", data='{"Detach": false, "Tty": false}'
            ) as response:
                async for data in response.content.iter_any():
                    said += "".join(f"{line.text}\n" for line in output.feed(data)) if len(said) < limit else ""
        except CUT as error:
            raise self._calls.failed(error, "exec", exec_id[:12], LOOK, self._loop.time()) from error
        return (said + "".join(f"{line.text}\n" for line in output.end()))[:limit].strip()

    async def exec_exit(self, exec_id: ExecId) -> int | None:
        async with self._calls.order("exec", exec_id[:12], LOOK):
            return decode_checks.exec_exit(await self._calls.ask(f"exec/{exec_id}/json"))

    async def holder(self, name: str) -> ContainerId | None:
        found = await self._drafts.unless_gone(name)
        return decode.id_of(found) if decode.name_of(found) == name else None

    async def end_lost(self, container: ContainerId, signal: str, patience: Seconds) -> int:
        left = await end_of(container, decode.signal_number(signal), min(patience, LOST))
        if left.stayed:
            raise EngineError(Failure.CONFLICT, f"{left.stayed} processes of its lost run cannot be ended")
        return left.ended

    async def rename(self, container: ContainerId, name: str) -> None:
        async with self._calls.act("rename", container[:12], LOOK):
            await self._calls.rename(container, name)

    async def remove(self, container: ContainerId) -> None:
        async with self._calls.act("remove", container[:12], ACT):
            await self._calls.remove(container)

    async def logs(
        self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
    ) -> AsyncIterator[OutputLine]:
        output = LogStream(terminal=decode.has_terminal(await self._inspect(container)), stamped=since is not None)
        asked = {"stdout": "1", "stderr": "1", "follow": str(int(follow))}
        asked["tail"] = "all" if tail is None else str(tail)
        if since is not None:
            # Inclusive: the engine leaves out what is before it (20.10 to 28).
            asked |= {"timestamps": "1", "since": as_digits(since)}
        async with contextlib.AsyncExitStack() as stack:
            async with self._calls.order("logs", container[:12], LOOK):
                query = self._calls.stream(f"containers/{container}/logs", "GET", params=asked)
                response = await stack.enter_async_context(query)
            try:
                async for data in response.content.iter_any():
                    for line in output.feed(data):
                        yield line
            except CUT as error:
                raise EngineError(Failure.UNREACHABLE, f"logs {container[:12]}: the connection was cut") from error
            for line in output.end():
                yield line

    async def load(self, path: str) -> list[str]:
        try:
            archive = await asyncio.to_thread(Path(path).open, "rb")
        except OSError as error:
            raise EngineError(Failure.OTHER, f"load {path}: {why(error)}") from error
        names: list[str] = []
        with archive:
            async with self._calls.order("load", path, PROGRESS) as deadline:
                pieces, kind = self._calls.pieces(archive, deadline), {"Content-Type": "application/x-tar"}
                async for told in self._calls.progress(deadline, "images/load", data=pieces, headers=kind):
                    names += decode.loaded(told)
                if not names:
                    raise EngineError(Failure.OTHER, "the engine named no image")
        return names

    async def close(self) -> None:
        for listener in tuple(self._listeners):
            listener.close()
        self._starts.close()
        await self._calls.close()

    async def _look(self, container: ContainerId) -> Observed | None:
        return self._lens.inspected(await self._inspect(container), self._now)

    async def _inspect(self, container: str, dialect: str = "") -> Any:
        path = f"containers/{quote(container, safe='')}/json"
        async with self._calls.order("inspect", container[:64], LOOK):
            return await self._calls.ask(f"v{dialect}/{path}" if dialect else path, versioned_api=not dialect)

    def _events_target(self, since_ns: int | None) -> str:
        wanted = podman.filters(self._lens.events) if self._podman else dict(self._lens.events)
        asked = {"filters": json.dumps(wanted)}
        if since_ns is not None:
            asked["since"] = f"{since_ns // 1_000_000_000}.{since_ns % 1_000_000_000:09d}"
        return f"{self._base}/v{self._speech.events}/events?{urlencode(asked)}"


def _refusal(operation: str, answer: Reply, subject: str = "") -> EngineError:
    text = errors.sentence(answer.body.decode(errors="replace"))
    if is_barred(answer.status, text, operation):
        return BarredError(Failure.OTHER, text or f"status {answer.status}")
    if answer.status == 304:
        text = "already in that state"
    return EngineError(errors.failure(answer.status, text, operation, subject), text or f"status {answer.status}")
