"""System Docker's process: found, started and signalled. What it does is reported as facts; nothing is decided here.

The process outlives the supervisor (the next one adopts it), and its containers outlive it (``--live-restore``).
Whether it answers is for the engine watch to find out.
"""

import asyncio
import os
import shutil
import signal
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.command_line import CommandLine, DaemonPlan, SystemDockerError
from supervisor.dockerd.process import (
    Daemon,
    age,
    dockerd_command,
    last_lines,
    open_log,
    pid_in,
    spawn_detached,
    unmount_namespace,
)
from supervisor.engine.port import EngineError
from supervisor.runtime.loop import Inbox
from units import engine_events
from units.commands import ArmTimer, SignalDaemon, Timer
from units.deaths import SIGNALLED
from units.machine import Moment
from units.quantities import Seconds
from units.spec import SYSTEM_DOCKER
from units.tables.system_docker import ENGINE_GRACE, KILL_PATIENCE
from units.unit import Failure, Phase
from units.world import Entry, Reaction, Transition

MACHINE_CONTAINERD = Path("/run/containerd/containerd.sock")
"""A dockerd without ``--containerd`` uses this one if the file exists, even a stale one."""


def check(plan: DaemonPlan, log: FilteringBoundLogger) -> None:
    """Look whether a daemon can be started, or lives already, and warn of what may surprise.

    Raises:
        SystemDockerError: it is not installed.
    """
    for warning in plan.warnings:
        log.warning("system_docker.args", problem=warning)
    if plan.own_containerd and MACHINE_CONTAINERD.exists():
        log.warning(
            "system_docker.containerd",
            problem=f"dockerd will use {MACHINE_CONTAINERD}, not a containerd of its own, and depend on it",
            advice="stop that containerd and remove its socket, or choose one: --containerd in system_docker.args",
        )
    if _binary(plan) is None and _living(plan) is None:
        raise SystemDockerError(_no_binary(plan))


class SystemDocker:
    """One dockerd, held by its pidfd. To be made on a running loop."""

    def __init__(self, plan: DaemonPlan, inbox: Inbox, log: FilteringBoundLogger, log_file: Path) -> None:
        self.plan = plan
        self.output: tuple[str, ...] = ()
        """The last lines of the run that ended last."""
        self._inbox = inbox
        self._log = log.bind(socket=str(plan.socket))
        self._log_file = log_file
        self._daemon: Daemon | None = None
        self._ending = False
        self._closed = False

    def look(self) -> None:
        """Adopt the one that lives; else report that there is none."""
        if not self._adopt():
            self._inbox.put(engine_events.DaemonAbsent(SYSTEM_DOCKER))

    async def start(self) -> None:
        """Adopt the one that lives, or start one. Raises EngineError."""
        if self._daemon is not None or self._adopt():
            return
        self._remove_stale_pidfile()
        try:
            daemon = self._spawn()
        except OSError as error:
            text = _no_binary(self.plan) if isinstance(error, FileNotFoundError) else f"cannot start dockerd: {error}"
            raise EngineError(Failure.OTHER, text) from error
        self._hold(daemon, engine_events.DaemonStarted(SYSTEM_DOCKER, daemon.pid))

    def signal(self, name: str) -> None:
        """Signal the one that is held, or lives, so that it ends. Raises EngineError (NOT_RUNNING)."""
        self._ending = True
        if self._daemon is None and not self._adopt():
            self._unmount_leftover()
            raise EngineError(Failure.NOT_RUNNING, "no process of System Docker lives")
        assert self._daemon is not None
        self._daemon.send(signal.Signals[name])

    def close(self) -> None:
        """Stop watching: the process is left to the next supervisor, or to ``stop``."""
        self._closed = True
        if self._daemon is not None:
            self._daemon.release()

    async def stop(self) -> None:
        """End it when no core runs that could order it: the boot failed. The grace is that of an ordered stop."""
        self._ending, self._closed = True, False
        self._daemon = None  # It is no longer watched.
        if not self._adopt():
            return
        daemon: Daemon | None = self._daemon
        assert daemon is not None
        for sign, patience in ((signal.SIGTERM, ENGINE_GRACE), (signal.SIGKILL, KILL_PATIENCE)):
            daemon.send(sign)
            await asyncio.wait([daemon.exited], timeout=patience)
            if daemon.exited.done():
                break

    def _adopt(self) -> bool:
        pid = _living(self.plan)
        if pid is None:
            return False
        try:
            daemon = Daemon(pid, adopted=True)
        except ProcessLookupError:
            return False
        if _living(self.plan) != pid:  # the pid may have changed hands before we held it
            daemon.release()
            return False
        self._hold(daemon, engine_events.DaemonStarted(SYSTEM_DOCKER, pid, adopted=True, ran_for=Seconds(age(pid))))
        return True

    def _hold(self, daemon: Daemon, started: engine_events.DaemonStarted) -> None:
        self._daemon = daemon
        daemon.exited.add_done_callback(lambda _: self._ended(daemon))
        self._inbox.put(started)

    def _ended(self, daemon: Daemon) -> None:
        if self._daemon is daemon:
            self._daemon = None
        if self._closed:
            return
        self.output = last_lines(self._log_file, daemon.log_from)
        if self._ending:
            self._unmount_leftover()
        code = daemon.exited.result()
        if code is not None and code < 0:
            code = SIGNALLED - code
        said = self.output[-1] if self.output and code != 0 else ""
        self._inbox.put(engine_events.DaemonEnded(SYSTEM_DOCKER, daemon.pid, code, said))

    def _remove_stale_pidfile(self) -> None:
        """Remove a pid file that names a process which is not a dockerd: otherwise dockerd refuses to start.

        After a power cut the small pid of a daemon that was started at boot soon belongs to another process.
        """
        pid = pid_in(self.plan.pidfile)
        if pid and not dockerd_command(pid, self.plan.argv[0]):
            self._log.info("system_docker.stale_pidfile", path=str(self.plan.pidfile), pid=pid)
            self.plan.pidfile.unlink(missing_ok=True)

    def _spawn(self) -> Daemon:
        binary = _binary(self.plan)
        if binary is None:
            raise FileNotFoundError(self.plan.argv[0])
        if self.plan.config_file is not None:
            self.plan.config_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.plan.config_file.write_text("{}\n")
        log = open_log(self._log_file, self._no_log)
        try:
            start = os.fstat(log).st_size
            pid = spawn_detached(binary, self.plan.argv, self.plan.environment, log)
        finally:
            os.close(log)
        return Daemon(pid, adopted=False, log_from=start)

    def _no_log(self, error: OSError) -> None:
        self._log.warning("system_docker.no_log", path=str(self._log_file), error=str(error))

    def _unmount_leftover(self) -> None:
        """Undo the bind mount of the host's network namespace, which dockerd leaves behind and creates again."""
        path = self.plan.exec_root / "netns" / "default"
        try:
            unmount_namespace(path)
        except OSError as error:
            self._log.warning("system_docker.leftover", path=str(path), error=str(error))


class OldLines:
    """An observer that writes the log lines by which System Docker was known before it was a unit.

    They go with the next release: ``unit.transition`` with ``unit=system-docker`` says the same.
    """

    def __init__(self, docker: SystemDocker, log: FilteringBoundLogger) -> None:
        self._docker = docker
        self._log = log.bind(socket=str(docker.plan.socket))

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        if isinstance(entry.event, engine_events.DaemonStarted):
            reason = "adopted: a supervisor before us started it" if entry.event.adopted else "dockerd started"
            self._log.info("system_docker.state", phase="running", reason=reason, pid=entry.event.pid)
        for moved in reaction.engine:
            self._moved(moved, reaction)
        if any(isinstance(order, SignalDaemon) and order.signal == "SIGKILL" for order in reaction.commands):
            self._log.warning("system_docker.killed", pid=reaction.world.engine.pid, grace=ENGINE_GRACE)

    def _moved(self, moved: Transition, reaction: Reaction) -> None:
        after = moved.after
        match after.phase:
            case Phase.LOST | Phase.CRASH_LOOP:
                waits = (
                    one.delay for one in reaction.commands if isinstance(one, ArmTimer) and one.timer is Timer.RETRY
                )
                pause = next(waits, Seconds(0))
                self._log.warning("system_docker.lost", reason=after.reason, pause=pause, output=self._docker.output)
            case Phase.STARTING if moved.on in {"DaemonAbsent", "RetryDue"}:
                self._log.info("system_docker.state", phase="starting", reason="starting dockerd", pid=None)
            case Phase.STOPPING | Phase.STOPPED | Phase.FAILED:
                self._log.info("system_docker.state", phase=after.phase.value, reason=after.reason, pid=after.pid)
            case _:
                pass


def _binary(plan: DaemonPlan) -> str | None:
    return shutil.which(plan.argv[0], path=plan.environment["PATH"])


def _no_binary(plan: DaemonPlan) -> str:
    name, advice = plan.argv[0], "install docker.io or set rancher.system_docker.args"
    if name.startswith("/"):
        return f"no executable {name}: {advice}"
    return f"no {name} found on PATH (looked in {plan.environment['PATH']}): {advice}"


def _living(plan: DaemonPlan) -> int | None:
    """The pid of a living dockerd that was started for our data root and socket."""
    pid = pid_in(plan.pidfile)
    command = dockerd_command(pid, plan.argv[0]) if pid else None
    if not command:
        return None
    try:
        line = CommandLine.read(command[1:])
    except SystemDockerError:
        return None
    ours = line.values.get("--data-root", [""])[-1] == str(plan.data_root)
    return pid if ours and line.socket == plan.socket else None
