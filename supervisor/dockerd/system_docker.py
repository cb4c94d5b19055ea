"""System Docker, the engine of all system containers: keeps one dockerd running.

The process outlives the supervisor (the next one adopts it), and its containers outlive it (``--live-restore``).
Whether it answers is checked by the event watch; here it only runs or does not.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.command_line import CommandLine, DaemonPlan, SystemDockerError
from supervisor.dockerd.process import (
    Daemon,
    describe_exit,
    dockerd_command,
    last_lines,
    open_log,
    pid_in,
    spawn_detached,
    unmount_namespace,
)
from units.quantities import Seconds
from units.records import dataclass

MACHINE_CONTAINERD = Path("/run/containerd/containerd.sock")
"""A dockerd without ``--containerd`` uses this one if the file exists, even a stale one."""


GOOD_RUN = Seconds(10)


FIRST_PAUSE = Seconds(0.2)


LONGEST_PAUSE = Seconds(60)


KILL_PATIENCE = Seconds(10)
"""Seconds from SIGKILL until we stop waiting: such a process hangs in the kernel."""


class DaemonPhase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    """The process lives; the event watch checks whether it serves."""
    LOST = "lost"
    """It ended unexpectedly; it is started again after a pause."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """The operator must act."""


@dataclass(frozen=True, slots=True)
class DaemonState:
    phase: DaemonPhase
    since: float
    """Wall clock, seconds since 1970."""
    reason: str
    pid: int | None = None
    exit_code: int | None = None
    """Of the lost run; negative is a signal. ``None`` also for an adopted daemon: its parent learns the code."""
    output: tuple[str, ...] = ()
    """The last lines that the lost run logged."""


def next_pause(pause: Seconds, ran: Seconds) -> Seconds:
    """The pause after a run of ``ran`` seconds, if the pause before that run was ``pause``."""
    if ran >= GOOD_RUN:
        return Seconds(0)
    return Seconds(min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE))


class SystemDocker:
    """Keeps one dockerd running: ``check()``, then ``run()`` as a task, then ``stop()``.

    Cancelling ``run()`` leaves the daemon running, for the next supervisor or for ``stop()``.
    """

    def __init__(
        self,
        plan: DaemonPlan,
        log: FilteringBoundLogger,
        on_state: Callable[[DaemonState], None],
        log_file: Path,
    ) -> None:
        self.plan = plan
        self.state = DaemonState(DaemonPhase.STOPPED, time.time(), "not started yet")
        self._log = log.bind(socket=str(plan.socket))
        self._on_state = on_state
        self._log_file = log_file
        self._daemon: Daemon | None = None
        self._stop_asked = asyncio.Event()
        self._stop_lock = asyncio.Lock()

    def check(self) -> None:
        """Check that a daemon can be started, or is running already.

        Raises:
            SystemDockerError: it is not installed.
        """
        for warning in self.plan.warnings:
            self._log.warning("system_docker.args", problem=warning)
        if self.plan.own_containerd and MACHINE_CONTAINERD.exists():
            self._log.warning(
                "system_docker.containerd",
                problem=f"dockerd will use {MACHINE_CONTAINERD}, not a containerd of its own, and depend on it",
                advice="stop that containerd and remove its socket, or choose one: --containerd in system_docker.args",
            )
        if self._binary() is None and self._living() is None:
            message = self._no_binary()
            self._show(DaemonPhase.FAILED, message)
            raise SystemDockerError(message)

    def _binary(self) -> str | None:
        return shutil.which(self.plan.argv[0], path=self.plan.environment["PATH"])

    def _no_binary(self) -> str:
        name, advice = self.plan.argv[0], "install docker.io or set rancher.system_docker.args"
        if name.startswith("/"):
            return f"no executable {name}: {advice}"
        return f"no {name} found on PATH (looked in {self.plan.environment['PATH']}): {advice}"

    async def run(self) -> None:
        """Adopt or start the daemon, and start it again whenever it ends, until ``stop()``."""
        pause = Seconds(0)
        while not self._stop_asked.is_set():
            ran, lost = await self._one_run()
            if self._stop_asked.is_set():
                break
            pause = next_pause(pause, ran)
            self._show_lost(lost, pause)
            await self._back_off(pause)

    async def _one_run(self) -> tuple[Seconds, DaemonState]:
        """Return how long it ran, and the state that its end means."""
        began = time.monotonic()
        try:
            daemon = self._take()
        except OSError as error:
            reason = self._no_binary() if isinstance(error, FileNotFoundError) else f"cannot start: {error}"
            return Seconds(0), DaemonState(DaemonPhase.LOST, time.time(), reason)
        # Not awaited itself: a future that several wait for must not be cancelled with one of them.
        await asyncio.wait([daemon.exited])
        self._daemon = None
        code, output = daemon.exited.result(), last_lines(self._log_file, daemon.log_from)
        reason = f"dockerd (pid {daemon.pid}) {describe_exit(code)}" + (f": {output[-1]}" if output else "")
        state = DaemonState(DaemonPhase.LOST, time.time(), reason, None, code, output)
        # An adopted daemon ran before: its end is no failed start.
        ran = GOOD_RUN if daemon.adopted else time.monotonic() - began
        return Seconds(ran), state

    def _take(self) -> "Daemon":
        """Adopt the running daemon, or start one."""
        self._daemon = self._daemon or self._adopt()
        if self._daemon is None:
            self._show(DaemonPhase.STARTING, "starting dockerd")
            self._remove_stale_pidfile()
            self._daemon = self._spawn()
            self._show(DaemonPhase.RUNNING, "dockerd started", self._daemon.pid)
        return self._daemon

    def _adopt(self) -> "Daemon | None":
        pid = self._living()
        if pid is None:
            return None
        try:
            daemon = Daemon(pid, adopted=True)
        except ProcessLookupError:
            return None
        if self._living() != pid:  # the pid may have changed hands before we held it
            daemon.release()
            return None
        self._show(DaemonPhase.RUNNING, "adopted: started by a previous supervisor", pid)
        return daemon

    def _living(self) -> int | None:
        """The pid of a living dockerd that was started for our data root and socket."""
        pid = pid_in(self.plan.pidfile)
        command = dockerd_command(pid, self.plan.argv[0]) if pid else None
        if not command:
            return None
        try:
            line = CommandLine.read(command[1:])
        except SystemDockerError:
            return None
        ours = line.values.get("--data-root", [""])[-1] == str(self.plan.data_root)
        return pid if ours and line.socket == self.plan.socket else None

    def _remove_stale_pidfile(self) -> None:
        """Remove a pid file that names a process which is not a dockerd: otherwise dockerd refuses to start.

        After a power cut the small pid of a daemon that was started at boot soon belongs to another process.
        """
        pid = pid_in(self.plan.pidfile)
        if pid and not dockerd_command(pid, self.plan.argv[0]):
            self._log.info("system_docker.stale_pidfile", path=str(self.plan.pidfile), pid=pid)
            self.plan.pidfile.unlink(missing_ok=True)

    def _spawn(self) -> "Daemon":
        binary = self._binary()
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

    def _show_lost(self, lost: DaemonState, pause: Seconds) -> None:
        again = f"restarting in {pause:g} s" if pause else "restarting now"
        self._log.warning("system_docker.lost", reason=lost.reason, pause=pause, output=lost.output)
        self._set(DaemonState(lost.phase, lost.since, f"{lost.reason}; {again}", None, lost.exit_code, lost.output))

    async def _back_off(self, pause: Seconds) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stop_asked.wait()

    async def stop(self, grace: Seconds) -> None:
        """End the daemon: SIGTERM, and SIGKILL after ``grace``. With ``--live-restore`` its containers live on.

        May be called more than once and at any time; every call returns when the daemon has ended.
        """
        self._stop_asked.set()
        async with self._stop_lock:
            daemon = self._daemon or self._adopt()
            if daemon is not None and not await self._end(daemon, grace):
                self._show(
                    DaemonPhase.FAILED,
                    "dockerd is still running after SIGKILL; probably stuck in I/O (D state)",
                    daemon.pid,
                )
                return
            self._daemon = None
            if self.state.phase is not DaemonPhase.STOPPED:
                self._unmount_leftover()
                self._show(DaemonPhase.STOPPED, "stopped by request")

    async def _end(self, daemon: "Daemon", grace: Seconds) -> bool:
        self._show(DaemonPhase.STOPPING, f"stopped by request: ignored SIGTERM, killed after {grace:g} s", daemon.pid)
        daemon.send(signal.SIGTERM)
        await asyncio.wait([daemon.exited], timeout=grace)
        if not daemon.exited.done():
            self._log.warning("system_docker.killed", pid=daemon.pid, grace=grace)
            daemon.send(signal.SIGKILL)
            await asyncio.wait([daemon.exited], timeout=KILL_PATIENCE)
        return daemon.exited.done()

    def _unmount_leftover(self) -> None:
        """Undo the bind mount of the host's network namespace, which dockerd leaves behind and creates again."""
        path = self.plan.exec_root / "netns" / "default"
        try:
            unmount_namespace(path)
        except OSError as error:
            self._log.warning("system_docker.leftover", path=str(path), error=str(error))

    def _show(self, phase: DaemonPhase, reason: str, pid: int | None = None) -> None:
        self._log.info("system_docker.state", phase=phase.value, reason=reason, pid=pid)
        self._set(DaemonState(phase, time.time(), reason, pid))

    def _set(self, state: DaemonState) -> None:
        self.state = state
        self._on_state(state)
