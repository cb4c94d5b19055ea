"""System Docker, the engine that every unit runs in: its command line and its process.

The process is not ours alone: it outlives the supervisor (a new one adopts it), and its containers outlive it
(``--live-restore``). Whether it answers is for the event watch to find out; here it only runs or does not.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from units.unit import Seconds

SOCKET = "unix:///var/run/system-docker.sock"
DATA_ROOT = "/var/lib/system-docker"
EXEC_ROOT = "/var/run/system-docker"
PIDFILE = "/var/run/system-docker.pid"
NAMESPACE = "system-docker"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_ARGS: Final = (
    *("--log-opt", "max-size=25m", "--log-opt", "max-file=2", "--group", "root"),
    *("--userland-proxy=false", "--bridge", "none", "--iptables=false"),
)
MACHINE_CONTAINERD = Path("/run/containerd/containerd.sock")
"""A dockerd that is not told ``--containerd`` uses this one if the file exists, even a stale one."""

GOOD_RUN = Seconds(10)
FIRST_PAUSE = Seconds(0.2)
LONGEST_PAUSE = Seconds(60)
KILL_PATIENCE = Seconds(10)
"""From SIGKILL until we no longer wait: such a process hangs in the kernel."""
LOG_LIMIT = 10 * 1024 * 1024
LAST_LINES = 20

_LONG: Mapping[str, str] = {"-H": "--host", "-g": "--data-root", "--graph": "--data-root", "-p": "--pidfile"}
_VALUED = frozenset({"--host", "--data-root", "--exec-root", "--pidfile", "--config-file", "--containerd"}) | {
    "--containerd-namespace",
    "--containerd-plugins-namespace",
}
_GONE = frozenset({"--restart", "-r"})
_NOT_FOR_DOCKERD = frozenset({"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "WATCHDOG_USEC"})
"""A dockerd would speak to systemd in the supervisor's name."""


class SystemDockerError(Exception):
    """System Docker cannot run as configured; the text says what to do."""


@dataclass(frozen=True, slots=True)
class DaemonPlan:
    """How the daemon is started, and where it is then found."""

    argv: tuple[str, ...]
    """The first is a name to be looked up on the environment's PATH, or an absolute path."""
    environment: Mapping[str, str]
    socket: Path
    data_root: Path
    exec_root: Path
    pidfile: Path
    config_file: Path | None
    """An empty configuration that is written before each start; ``None``: the operator named a file."""
    own_containerd: bool
    """It should start a containerd of its own, below ``exec_root`` and ``data_root``."""
    warnings: tuple[str, ...] = ()


def plan(args: Sequence[str], extra_args: Sequence[str], environment: Mapping[str, str]) -> DaemonPlan:
    """Complete ``rancher.system_docker.args`` to a command line; old spellings are understood.

    Args:
        args: may begin with the absolute path of a dockerd and with ``daemon``; empty means DEFAULT_ARGS.
        extra_args: appended.
        environment: all that the daemon gets; a missing PATH is added.

    Raises:
        SystemDockerError: an option has no value.
    """
    binary, rest = _command(args)
    line = _CommandLine.read([*(rest or DEFAULT_ARGS), *extra_args])
    socket = line.socket
    if socket is None:
        socket = Path(SOCKET.removeprefix("unix://"))
        line.add("--host", SOCKET)
    data_root = Path(line.default("--data-root", DATA_ROOT))
    exec_root = Path(line.default("--exec-root", EXEC_ROOT))
    pidfile = Path(line.default("--pidfile", PIDFILE))
    own_containerd = "--containerd" not in line.values
    # A containerd of the machine may be used after all (MACHINE_CONTAINERD), and serve another dockerd too.
    line.default("--containerd-namespace", NAMESPACE)
    line.default("--containerd-plugins-namespace", f"plugins.{NAMESPACE}")
    # /etc/docker/daemon.json is user Docker's: an option both in it and on our command line would be fatal.
    config_file = None if "--config-file" in line.values else exec_root / "daemon.json"
    if config_file is not None:
        line.add("--config-file", str(config_file))
    if not any(word.partition("=")[0] == "--live-restore" for word in line.words):
        line.words.append("--live-restore")
    return DaemonPlan(
        argv=(binary, *line.words),
        environment={"PATH": PATH} | {k: v for k, v in environment.items() if k not in _NOT_FOR_DOCKERD},
        socket=socket,
        data_root=data_root,
        exec_root=exec_root,
        pidfile=pidfile,
        config_file=config_file,
        own_containerd=own_containerd,
        warnings=tuple(line.warnings),
    )


def _command(args: Sequence[str]) -> tuple[str, list[str]]:
    rest = list(args)
    binary = rest.pop(0) if rest and rest[0].startswith("/") else "dockerd"
    if rest and rest[0] in {"daemon", "dockerd"}:
        del rest[0]
    return binary, rest


@dataclass(slots=True)
class _CommandLine:
    """A dockerd's words, and the values of the options that matter here: the last one counts, but all hosts do."""

    words: list[str]
    values: dict[str, list[str]]
    warnings: list[str]

    @classmethod
    def read(cls, words: Sequence[str]) -> "_CommandLine":
        line = cls([], {}, [])
        rest = iter(words)
        for word in rest:
            name, value = _split(word)
            name = _LONG.get(name, name)
            if name in _GONE:
                line.warnings.append(f"rancher.system_docker.args: dockerd no longer knows {word}: dropped")
            elif name not in _VALUED:
                line.words.append(word)
            elif (value := next(rest, None) if value is None else value) is None:
                raise SystemDockerError(f"rancher.system_docker.args: {word} needs a value")
            else:
                line.add(name, value)
        return line

    def add(self, name: str, value: str) -> None:
        self.words += [name, value]
        self.values.setdefault(name, []).append(value)

    def default(self, name: str, value: str) -> str:
        """Return an option's value, which is ``value`` if it is not given."""
        if name not in self.values:
            self.add(name, value)
        return self.values[name][-1]

    @property
    def socket(self) -> Path | None:
        """The first unix socket that is named."""
        for host in self.values.get("--host", []):
            if host.startswith("unix:///"):
                return Path(host.removeprefix("unix://"))
        return None


def _split(word: str) -> tuple[str, str | None]:
    """Take ``--name=value``, ``-n=value``, ``-nvalue`` apart; without a value in it, that may be the next word."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    name, value = word[:2], word[2:]
    if name in _LONG or name in _GONE:
        return name, value.removeprefix("=") if value else None
    return word, None


class DaemonPhase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    """The process lives; whether it serves is the event watch's to say."""
    LOST = "lost"
    """It ended though nobody asked; it is started again after a pause."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """A person must act."""


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
    """How long to wait after a run of ``ran``, if the pause before that run was ``pause``."""
    if ran >= GOOD_RUN:
        return Seconds(0)
    return Seconds(min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE))


class SystemDocker:
    """Keeps one dockerd running: ``check()``, then ``run()`` as a task, then ``stop()``.

    Cancelling ``run()`` only ends our watching: the daemon is left to the next supervisor, or to ``stop()``.
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
        self._daemon: _Daemon | None = None
        self._stop_asked = asyncio.Event()
        self._stop_lock = asyncio.Lock()

    def check(self) -> None:
        """Look whether a daemon can be started, or lives already.

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
        code, output = daemon.exited.result(), _last_lines(self._log_file, daemon.log_from)
        reason = f"dockerd (pid {daemon.pid}) {describe_exit(code)}" + (f": {output[-1]}" if output else "")
        state = DaemonState(DaemonPhase.LOST, time.time(), reason, None, code, output)
        # An adopted daemon ran before: its end is no failed start.
        ran = GOOD_RUN if daemon.adopted else time.monotonic() - began
        return Seconds(ran), state

    def _take(self) -> "_Daemon":
        """Hold the daemon that lives, else a new one."""
        self._daemon = self._daemon or self._adopt()
        if self._daemon is None:
            self._show(DaemonPhase.STARTING, "starting dockerd")
            self._remove_stale_pidfile()
            self._daemon = self._spawn()
            self._show(DaemonPhase.RUNNING, "dockerd started", self._daemon.pid)
        return self._daemon

    def _adopt(self) -> "_Daemon | None":
        pid = self._living()
        if pid is None:
            return None
        try:
            daemon = _Daemon(pid, adopted=True)
        except ProcessLookupError:
            return None
        if self._living() != pid:  # the pid may have changed hands before we held it
            daemon.release()
            return None
        self._show(DaemonPhase.RUNNING, "adopted: a supervisor before us started it", pid)
        return daemon

    def _living(self) -> int | None:
        """The pid of a living dockerd that was started for our data root and socket."""
        pid = _pid_in(self.plan.pidfile)
        command = _dockerd_command(pid, self.plan.argv[0]) if pid else None
        if not command:
            return None
        try:
            line = _CommandLine.read(command[1:])
        except SystemDockerError:
            return None
        ours = line.values.get("--data-root", [""])[-1] == str(self.plan.data_root)
        return pid if ours and line.socket == self.plan.socket else None

    def _remove_stale_pidfile(self) -> None:
        """Remove a pid file that names a living process which is no dockerd: no dockerd would start over it.

        After a power cut the small number of a daemon that was started at boot soon names another process.
        """
        pid = _pid_in(self.plan.pidfile)
        if pid and not _dockerd_command(pid, self.plan.argv[0]):
            self._log.info("system_docker.stale_pidfile", path=str(self.plan.pidfile), pid=pid)
            self.plan.pidfile.unlink(missing_ok=True)

    def _spawn(self) -> "_Daemon":
        binary = self._binary()
        if binary is None:
            raise FileNotFoundError(self.plan.argv[0])
        if self.plan.config_file is not None:
            self.plan.config_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.plan.config_file.write_text("{}\n")
        log = self._open_log()
        try:
            start = os.fstat(log).st_size
            pid = _spawn_detached(binary, self.plan.argv, self.plan.environment, log)
        finally:
            os.close(log)
        return _Daemon(pid, adopted=False, log_from=start)

    def _open_log(self) -> int:
        """Open the log for the next run. A full disk must not keep the daemon down: then it runs without."""
        try:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            if self._log_file.exists() and self._log_file.stat().st_size > LOG_LIMIT:
                self._log_file.replace(self._log_file.with_name(f"{self._log_file.name}.1"))
            return os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            self._log.warning("system_docker.no_log", path=str(self._log_file), error=str(error))
            return os.open(os.devnull, os.O_WRONLY)

    def _show_lost(self, lost: DaemonState, pause: Seconds) -> None:
        again = f"again in {pause:g} s" if pause else "again at once"
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
                self._show(DaemonPhase.FAILED, "dockerd survived SIGKILL: it hangs in the kernel", daemon.pid)
                return
            self._daemon = None
            if self.state.phase is not DaemonPhase.STOPPED:
                self._unmount_leftover()
                self._show(DaemonPhase.STOPPED, "asked to stop")

    async def _end(self, daemon: "_Daemon", grace: Seconds) -> bool:
        self._show(DaemonPhase.STOPPING, f"asked to stop, killed after {grace:g} s", daemon.pid)
        daemon.send(signal.SIGTERM)
        await asyncio.wait([daemon.exited], timeout=grace)
        if not daemon.exited.done():
            self._log.warning("system_docker.killed", pid=daemon.pid, grace=grace)
            daemon.send(signal.SIGKILL)
            await asyncio.wait([daemon.exited], timeout=KILL_PATIENCE)
        return daemon.exited.done()

    def _unmount_leftover(self) -> None:
        """Undo the bind mount of the host's network namespace, which dockerd leaves behind and makes anew."""
        path = self.plan.exec_root / "netns" / "default"
        try:
            _unmount_namespace(path)
        except OSError as error:
            self._log.warning("system_docker.leftover", path=str(path), error=str(error))

    def _show(self, phase: DaemonPhase, reason: str, pid: int | None = None) -> None:
        self._log.info("system_docker.state", phase=phase.value, reason=reason, pid=pid)
        self._set(DaemonState(phase, time.time(), reason, pid))

    def _set(self, state: DaemonState) -> None:
        self.state = state
        self._on_state(state)


class _Daemon:
    """A living dockerd, our child or not, held by a pidfd: no signal can reach a successor of its pid.

    Must be made in a running event loop. Only this very process is reaped: other children are others' business.
    """

    def __init__(self, pid: int, *, adopted: bool, log_from: int = 0) -> None:
        self.pid = pid
        self.adopted = adopted
        self.log_from = log_from
        """Where its lines begin in the log; 0 when unknown."""
        self._fd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int | None] = self._loop.create_future()
        """Its exit code, negative for a signal; ``None`` when it is another's child."""
        self._loop.add_reader(self._fd, self._end)

    def _end(self) -> None:
        code = _reap(self._fd)
        self.release()
        self.exited.set_result(code)

    def send(self, sign: signal.Signals) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, sign)

    def release(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


def describe_exit(code: int | None) -> str:
    if code is None:
        return "ended (exit code unknown: not our child)"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"


def _reap(pidfd: int) -> int | None:
    try:
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _spawn_detached(binary: str, argv: Sequence[str], environment: Mapping[str, str], log: int) -> int:
    """Start a program in a session of its own, so that neither our end nor our terminal's ends it."""
    return os.posix_spawn(
        binary,
        tuple(argv),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    )


def _pid_in(pidfile: Path) -> int | None:
    try:
        text = pidfile.read_text(errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _dockerd_command(pid: int, binary: str) -> list[str]:
    """The words of a living dockerd's command line; empty for another program, a dead one, or a zombie."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    # The kernel keeps 15 characters of a program's name.
    known = {"dockerd", Path(binary).name[:15]}
    return [word.decode(errors="replace") for word in line.split(b"\0")[:-1]] if name in known else []


def _last_lines(path: Path, start: int) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(min(start, size), size - 16 * 1024))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-LAST_LINES:])


def _unmount_namespace(path: Path) -> None:
    """Detach all namespace files that are mounted at ``path``."""
    target = str(path.resolve()).replace(" ", r"\040")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, _, kind = line.partition(" - ")
        if place.split(" ")[4] == target and kind.startswith("nsfs "):
            libc = ctypes.CDLL(None, use_errno=True)
            detach = 2  # MNT_DETACH
            if libc.umount2(os.fsencode(path), detach):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
