"""User Docker's process: one dockerd in the mount namespace of its storage context, started, watched and ended.

``nsenter`` enters the context's mount namespace and then executes the engine, so that there is one process to watch and
to signal, which outlives the supervisor as System Docker does. Nothing is decided here: events are reported as facts of
the unit ``user-docker``.
"""

import asyncio
import json
import math
import os
import shutil
import signal as signals
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.clearing import Clears
from supervisor.dockerd.command_line import USER_DOCKER as DEFAULTS
from supervisor.dockerd.command_line import DaemonPlan, SystemDockerError, plan
from supervisor.dockerd.container_fs import (
    ANSWER,
    engines_in,
    filesystem_of,
    find_engine,
    inside,
    look_into,
    same_mounts,
    try_out,
)
from supervisor.dockerd.left_behind import lair_of
from supervisor.dockerd.needs import missing, places, without_tools
from supervisor.dockerd.process import (
    Daemon,
    describe_exit,
    last_words,
    spawn_detached,
    started_at,
)
from supervisor.dockerd.rooted_path import within
from supervisor.dockerd.run_files import ProcessRecord, RunFiles, lives
from supervisor.dockerd.tls.isolated import materialize_apart
from supervisor.dockerd.tls.settings import TlsError, TlsSettings, UnusableError
from supervisor.engine.address import Address
from supervisor.engine.connect import Road
from supervisor.engine.decode import UNKNOWN_EXIT
from supervisor.engine.fast_client import FastClient
from supervisor.engine.port import Engine, EngineError, UserDockerReport
from supervisor.os_errors import why
from supervisor.runtime.loop import Inbox
from units.events import ContainerDied, ContainerStarted, Event, HealthReported, Observed
from units.health import Check, Health, Http, Standing, doubted, judge, pause
from units.quantities import Seconds
from units.records import dataclass
from units.spec import PROCESS, USER_DOCKER, ContainerId, Place
from units.tables.storage import ContextFacts, lacks
from units.unit import Failure

FIRST_LOOK, LAST_LOOK = 0.05, 1.0
"""Seconds between two looks whether it serves, doubling, until it does."""
SERVES = Check("", Http(0, "/info"), interval=Seconds(5), retries=3, start_period=Seconds(math.inf))
"""How a row of looks is judged. Asked of its own socket; until it has served once, only the unit's deadline counts."""
AGAIN = 1.0
"""Seconds to the look after the first that was not answered; a third one, and it is restarted."""


@dataclass(slots=True)
class _Run:
    """One process, from its start or its adoption to its end."""

    daemon: Daemon
    record: ProcessRecord
    began: float
    cause: str
    standing: Standing = Standing()
    """What the looks come to so far."""
    looks: asyncio.Task[None] | None = None

    @property
    def serving(self) -> bool:
        return self.standing.health is Health.HEALTHY

    @property
    def ran_for(self) -> Seconds:
        return Seconds(time.monotonic() - self.began)


class UserDocker:
    """Create it on a running event loop. ``environ``: inherited by the engine, with ``settings`` on top."""

    def __init__(
        self, engine: Engine, inbox: Inbox, log: FilteringBoundLogger, *, state_dir: Path, environ: Mapping[str, str]
    ) -> None:
        self.report = UserDockerReport()
        self._engine = engine
        self._inbox = inbox
        self._log = log
        self._files = RunFiles(state_dir, log)
        self._environ = environ
        self._plan: DaemonPlan | None = None
        self._config_hash = ""
        self._tls: dict[str, Any] | None = None
        self._tls_dir = state_dir / "tls"
        self._run: _Run | None = None
        self._callers: dict[str, FastClient] = {}
        self._clears = Clears(self._files, self.report, log)
        if (end := self._files.last_end()) is not None:
            self.report.exit_code, self.report.output = end

    # Orders.

    def prepare(self, body: str, config_hash: str) -> None:
        """Read the definition. Raises EngineError when it gives no valid command line."""
        self._plan, self._config_hash = self._read(body), config_hash

    def _read(self, body: str) -> DaemonPlan:
        try:
            settings = json.loads(body)
            self._tls = settings.get("tls")
            more = [*settings["extra_args"], *(self._tls["args"] if self._tls else ())]
            return plan(settings["args"], more, self._environ | settings["environment"], DEFAULTS)
        except SystemDockerError as error:
            raise EngineError(Failure.UNRECOVERABLE, str(error)) from error

    async def start(self, place: Place, cause: str) -> None:
        """Start a run in this context. Raises EngineError; then nothing was changed."""
        assert self._plan is not None
        facts = await self._look_into(place.container, self._plan)
        if short := lacks(facts):
            raise EngineError(Failure.ABSENT if facts.running else Failure.OTHER, "; ".join(short))
        binary = await asyncio.to_thread(find_engine, facts.pid, place.engine)
        if self._tls is not None:
            await self._give_certificates(facts, self._tls["pem"], cause)
        run = self._begin(place, facts, binary, self._plan, cause)
        self._log.info("user_docker.started", pid=run.daemon.pid, binary=binary, context=place.context, cause=cause)
        self._tell(run, ContainerStarted(USER_DOCKER, PROCESS))

    def signal(self, name: str) -> None:
        """Raises EngineError when it does not run."""
        if self._run is None:
            raise EngineError(Failure.NOT_RUNNING, "user Docker is not running")
        sign = signals.Signals[name] if name in signals.Signals.__members__ else signals.SIGTERM
        self._run.daemon.send(sign)

    # Observed state.

    async def observed(self) -> tuple[Observed, ...]:
        """The process as a snapshot shows it; found again first, if an earlier supervisor started it."""
        if self._run is None:
            self._adopt()
        run = self._run
        if run is None and self._plan is None:
            return ()  # The configuration wants none, and none was left.
        if run is None:
            code = self.report.exit_code
            return (
                Observed(
                    USER_DOCKER,
                    PROCESS,
                    USER_DOCKER,
                    running=False,
                    created=False,
                    exit_code=UNKNOWN_EXIT if code is None else code,
                    health=Health.STARTING,
                    config_hash=self._config_hash,
                ),
            )
        return (
            Observed(
                USER_DOCKER,
                PROCESS,
                USER_DOCKER,
                running=True,
                created=False,
                health=doubted(run.standing) if run.serving else Health.STARTING,
                config_hash=run.record.config_hash,
                ran_for=run.ran_for,
                displaced=await self._displaced(run),
            ),
        )

    async def _displaced(self, run: _Run) -> str:
        """Why it does not run in its present context; a re-created context gives no event for this."""
        try:
            facts = await self._engine.context(ContainerId(run.record.container))
        except EngineError as error:
            return "" if error.failure is not Failure.NOT_FOUND else "the container of its storage context was removed"
        if not facts.running or same_mounts(run.daemon.pid, facts.pid):
            return ""
        return f"it still runs in the file system of an earlier container of {run.record.context}"

    async def check(self, container: ContainerId, engine: str) -> tuple[str, ...]:
        """Why a container cannot be the storage context of this engine, in words. Raises EngineError."""
        how = self._plan or plan((), (), {}, DEFAULTS)
        facts = await self._look_into(container, how)
        return lacks(facts) or await self._try(facts, engine, how)

    async def _try(self, facts: ContextFacts, engine: str, how: DaemonPlan) -> tuple[str, ...]:
        binary = await asyncio.to_thread(find_engine, facts.pid, engine)
        if short := await try_out(facts.pid, binary):
            return short
        if within(Path(f"/proc/{facts.pid}/root"), how.options).exists():
            return ()  # It may say that none are needed.
        there = partial(inside, facts.pid)
        return without_tools(how, str(Path(binary).parent), lambda path: there(path) is not None, facts.name)

    async def check_console(self, body: str, parked: ContainerId | None, engine: str, name: str) -> tuple[str, ...]:
        """Why this engine cannot run in a console that does not run, in words. Raises EngineError."""
        how = self._plan or plan((), (), {}, DEFAULTS)
        return missing(how, engine, await self._engine.files(body, parked, places(how, engine)), name)

    async def check_engine(self, container: ContainerId, name: str) -> tuple[str, ...]:
        """Why a named engine cannot run in this context, in words. Raises EngineError."""
        facts = await self._engine.context(container)
        if not facts.running:
            return lacks(facts)
        return await self._try(facts, name, self._plan or plan((), (), {}, DEFAULTS))

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of the engine's own log."""
        return self._files.tail(lines)

    async def engines(self, container: ContainerId) -> list[dict[str, str]]:
        """The engines that can be switched to, by name. Raises EngineError."""
        facts = await self._engine.context(container)
        return await asyncio.to_thread(engines_in, facts.pid) if facts.running else []

    def close(self) -> None:
        """Stop watching. The process goes on."""
        if self._run is not None:
            if self._run.looks is not None:
                self._run.looks.cancel()
            self._run.daemon.release()
        for caller in self._callers.values():
            caller.close()

    # A run.

    def _begin(self, place: Place, facts: ContextFacts, binary: str, how: DaemonPlan, cause: str) -> _Run:
        entering = shutil.which("nsenter", path=self._environ.get("PATH", os.defpath)) or "/usr/bin/nsenter"
        argv = [entering, f"--mount=/proc/{facts.pid}/ns/mnt", "--", binary]
        if binary.endswith("/docker"):
            argv.append("daemon")  # Engines before 1.12 were one program with their client.
        path = f"{Path(binary).parent}:{how.environment['PATH']}"
        log = self._files.open_log()
        try:
            start = os.fstat(log).st_size
            pid = spawn_detached(entering, [*argv, *how.argv[1:]], {**how.environment, "PATH": path}, log)
        except OSError as error:
            raise EngineError(Failure.OTHER, f"cannot run {entering}: {why(error)}") from error
        finally:
            os.close(log)
        lair = lair_of(how)
        record = ProcessRecord(
            pid,
            started_at(pid),
            place.container,
            place.context,
            place.engine,
            self._config_hash,
            str(how.socket),
            str(how.data_root),
            lair.exec_root,
            lair.namespace,
            lair.address,
            binary,
        )
        self._files.keep(record)
        self.report.binary, self.report.version, self.report.trouble = binary, "", "just started"
        return self._hold(Daemon(pid, adopted=False, log_from=start), record, cause)

    def _hold(self, daemon: Daemon, record: ProcessRecord, cause: str) -> _Run:
        run = _Run(daemon, record, time.monotonic(), cause)
        self._run = run
        daemon.exited.add_done_callback(lambda _: self._ended(run))
        run.looks = asyncio.get_running_loop().create_task(self._watch(run), name="user-docker")
        return run

    def _adopt(self) -> None:
        record = self._files.recorded()
        if record is None or not lives(record):
            return
        try:
            daemon = Daemon(record.pid, adopted=True)
        except ProcessLookupError:
            return
        self._log.info("user_docker.adopted", pid=record.pid, context=record.context)
        self.report.binary = record.binary
        self._hold(daemon, record, "")

    def _ended(self, run: _Run) -> None:
        code = run.daemon.exited.result()
        if run.looks is not None:
            run.looks.cancel()
        if self._run is run:
            self._run = None
        self.report.exit_code, self.report.trouble = code, "not running"
        self.report.output = self._files.output_from(run.daemon.log_from)
        self._files.keep_end(run.record, code, self.report.output)
        clean = code in {0, None}
        output = {} if clean else {"output": self.report.output}
        self._log.info("user_docker.ended", pid=run.daemon.pid, how=describe_exit(code), **output)
        number = 0 if clean else (128 - code if code is not None and code < 0 else code or UNKNOWN_EXIT)
        self._inbox.put(
            ContainerDied(USER_DOCKER, PROCESS, number, said="" if clean else last_words(self.report.output))
        )

    def _tell(self, run: _Run, event: Event) -> None:
        self._inbox.put(event, cause=run.cause)

    # Whether it serves.

    async def _watch(self, run: _Run) -> None:
        look = FIRST_LOOK
        while True:
            asked = run.ran_for
            self._judge(run, await self._trouble(run), asked)
            steady = AGAIN if run.standing.misses else pause(SERVES, run.standing, run.ran_for, 0.5)
            await asyncio.sleep(look if not run.serving else steady)
            look = min(LAST_LOOK, look * 2)

    def _judge(self, run: _Run, trouble: str, ran_for: Seconds) -> None:
        """One look, judged as every check's answer is. ``ran_for``: the age of the run when it was asked."""
        self.report.trouble = trouble
        before, run.standing = run.standing, judge(SERVES, run.standing, passed=not trouble, ran_for=ran_for)
        said, was = doubted(run.standing), doubted(before)
        if said is was:
            return
        if said is Health.UNHEALTHY:
            self._log.warning("user_docker.silent", pid=run.daemon.pid, trouble=trouble)
        self._tell(run, HealthReported(USER_DOCKER, PROCESS, said, output=trouble))

    async def _trouble(self, run: _Run) -> str:
        """Why it does not serve; empty when it answers and its data is in the right place."""
        socket, root = run.record.socket, run.record.data_root
        caller = self._caller(str(within(Path(f"/proc/{run.daemon.pid}/root"), socket)))
        try:
            async with asyncio.timeout(ANSWER):
                ping = await caller.call("GET", "/_ping", ANSWER)
                told = await caller.call("GET", "/info", ANSWER)  # Without a version: any engine's own.
            if ping.status != 200 or told.status != 200:
                return f"its socket {socket} answers with HTTP {ping.status} and {told.status}"
            info = json.loads(told.body)
        except (EngineError, TimeoutError, ValueError) as error:
            return f"its socket {socket} does not answer: {str(error) or 'no answer in time'}"
        self.report.version = str(info.get("ServerVersion", ""))
        if info.get("DockerRootDir") != root:
            return f"another engine answers on {socket}: its data is in {info.get('DockerRootDir')}, not in {root}"
        on = filesystem_of(run.daemon.pid, root)
        return f"{root} is on the context's own {on} file system" if on in {"overlay", "aufs", ""} else ""

    def _caller(self, path: str) -> FastClient:
        if path not in self._callers:
            for caller in self._callers.values():
                caller.close()
            self._callers = {path: FastClient(Road(Address(path=path)), 2)}
        return self._callers[path]

    # The context, and obstacles in it.

    async def _look_into(self, container: ContainerId, how: DaemonPlan) -> ContextFacts:
        facts = await self._engine.context(container)
        return await asyncio.to_thread(look_into, facts, str(how.data_root)) if facts.running else facts

    async def clear(self, place: Place | None, grace: Seconds, *, everything: bool) -> None:
        """End what an ended run left, and remove its pid files. Raises EngineError: something is still there."""
        if self._run is not None:
            raise EngineError(Failure.OTHER, f"its dockerd (pid {self._run.daemon.pid}) is still running")
        try:
            facts = None if place is None else await self._engine.context(place.container)
        except EngineError:
            facts = None  # What is left is found without it.
        self._clears.hurry(grace)
        await self._clears.clear(self._plan, facts, grace, everything=everything)

    async def _give_certificates(self, facts: ContextFacts, configured: Mapping[str, str], cause: str) -> None:
        """Write the engine's TLS files into the context. Raises EngineError."""
        settings = TlsSettings(
            configured.get("ca_cert"),
            configured.get("ca_key"),
            configured.get("server_cert"),
            configured.get("server_key"),
            kept=self._tls_dir,
        )
        try:
            files = await materialize_apart(settings, Path(f"/proc/{facts.pid}/root"))
        except UnusableError as error:
            raise EngineError(Failure.OTHER, f"TLS: {'; '.join(error.problems)}") from error
        except TlsError as error:
            raise EngineError(Failure.UNRECOVERABLE, f"TLS: {'; '.join(error.problems)}") from error
        for what in files.done:
            self._log.info("user_docker.certificate", what=what, cause=cause)
