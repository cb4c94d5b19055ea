"""A bed: a private world in which tests run real engines.

It has its own pid, mount, network, UTS, and IPC namespaces, so "host" network and "host" pids of a system
container mean the bed's, nothing touches the machine, beds can run side by side, and killing one process (the
bed's init) removes every process, mount, and interface. Only cgroups and a directory remain to be removed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bed import capabilities, engines, leftovers
from tests.bed.http import Docker
from tests.bed.inside import Argument, BedError, InsideProcess, Stream, children
from tests.bed.leftovers import sweep

__all__ = ["Bed", "BedError", "Engine", "InsideProcess", "sweep"]

ENGINE_PATIENCE = 90.0  # seconds; a busy machine once took seven
END_PATIENCE = 90.0  # seconds
PING_PAUSE = 0.02  # seconds

POD = r"""
set -e
mount -t tmpfs tmpfs /run                      # else containerd's sockets stay on the machine
for tree in etc opt; do                        # else keys, daemon.json, and /opt/containerd are the machine's
  mkdir -p "$1/private/$tree" "$1/private/$tree.work"
  mount -t overlay overlay "/$tree" \
    -o "lowerdir=/$tree,upperdir=$1/private/$tree,workdir=$1/private/$tree.work"
done
mount --make-rshared /
ip link set lo up
hostname bed
echo ready
exec /bin/busybox sleep 2147483647 >/dev/null
"""


class Bed:
    """Make a bed with `with Bed() as bed`; it dies with this process, even of SIGKILL.

    The kernel ties its life to the *thread* that made it: make beds in a thread that stays.
    """

    def __init__(self) -> None:
        # Short, because a unix socket's path may have 107 bytes only.
        self.dir = Path(tempfile.mkdtemp(prefix=leftovers.PREFIX, dir=leftovers.BEDS))
        self.ident = self.dir.name
        self.dir.chmod(0o755)
        self._lock = leftovers.lock_bed(self.dir)
        self._processes: list[InsideProcess] = []
        self._pod: subprocess.Popen[str] | None = None
        self._init: int | None = None
        try:
            self._pod = self._start_pod()
            self.init_pid = children(self._pod.pid)[0]
            self._init = os.pidfd_open(self.init_pid)
        except BaseException:
            self.close()
            raise

    def _start_pod(self) -> subprocess.Popen[str]:
        namespaces = ("-m", "-p", "-n", "-u", "-i", "-f")
        unshare = ["unshare", *namespaces, "--kill-child=SIGKILL", "--propagation", "private", "--mount-proc"]
        init = ["/usr/bin/tini-static", "--", "/bin/busybox", "sh", "-c", POD, "sh", str(self.dir)]
        log = self.dir / "pod.log"
        with log.open("w") as errors:
            pod = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *unshare, *init],
                env={**os.environ, "PATH": engines.SYSTEM_PATH},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert pod.stdout is not None
        with pod.stdout:
            if pod.stdout.readline() != "ready\n":
                raise BedError(f"no bed (it takes root and CAP_SYS_ADMIN): {pod.wait()}: {log.read_text()}")
        return pod

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def cgroup(self) -> str:
        """The cgroup of all the bed's containers: give it to every engine in the bed as --cgroup-parent."""
        return f"/bed-{self.ident}"

    def popen(
        self,
        args: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> InsideProcess:
        """Start a program in the bed; `env` is added to our environment, and `/` is where it starts."""
        process = InsideProcess(self.init_pid, args, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
        self._processes.append(process)
        return process

    def run(
        self,
        args: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the bed to its end and return what it said."""
        process = self.popen(args, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            output, errors = process.communicate(timeout=timeout)
        finally:
            self._finish(process)
            self._processes.remove(process)
        if check and process.returncode:
            raise BedError(f"{list(args)} ended with {process.returncode}: {output}{errors}")
        return subprocess.CompletedProcess(args, process.returncode, output, errors)

    def engine(self, version: str, *args: str, name: str = "system", bridge: bool = False) -> "Engine":
        """Describe an engine in this bed; engines of one name (but not at one time) share their data."""
        return Engine(self, engines.find(version), args, name=name, bridge=bridge)

    def close(self) -> None:
        """Kill all that lives in the bed, and remove what the kernel leaves."""
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
            os.close(self._init)
            self._init = None
        for process in self._processes:
            self._finish(process)
        self._processes.clear()
        if self._pod is not None:
            self._pod.wait(END_PATIENCE)  # it ends when the last process of the bed has
            self._pod = None
        self._remove()

    def _remove(self) -> None:
        if self._lock < 0:
            return
        try:
            if not leftovers.remove_cgroups(self.ident):
                raise BedError(f"a task still lives in {leftovers.cgroups(self.ident)}")
            shutil.rmtree(self.dir)
        finally:
            os.close(self._lock)
            self._lock = -1

    @staticmethod
    def _finish(process: InsideProcess) -> None:
        process.kill()
        process.wait(END_PATIENCE)
        process.release()


class Engine:
    """A dockerd in a bed, which can be started, stopped, killed, and started again over the same data."""

    def __init__(self, bed: Bed, binaries: engines.Binaries, args: Sequence[str], *, name: str, bridge: bool) -> None:
        self.bed = bed
        self.version = binaries.version
        self.socket = bed.dir / f"{name}.sock"
        self.data_root = bed.dir / name
        self.exec_root = bed.dir / f"{name}.x"
        self.log = bed.dir / f"{name}.log"
        self.docker = Docker(self.socket)
        self.process: InsideProcess | None = None
        self._binaries = binaries
        self._pid_file = bed.dir / f"{name}.pid"
        self._network = () if bridge else ("--bridge", "none", "--iptables=false")
        self._args = args

    def start(self) -> Self:
        """Start it and wait until it answers."""
        assert self.process is None, "it runs already"
        self._pid_file.unlink(missing_ok=True)  # a killed one leaves it, and its number may live again
        with self.log.open("a") as log:
            self.process = self.bed.popen(
                self._command(),
                env=self._binaries.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_answers(self.process)
        return self

    def _command(self) -> Sequence[str]:
        return [self._binaries.dockerd, *self._options()]

    def _options(self) -> list[str]:
        return [
            *("--host", f"unix://{self.socket}", "--pidfile", str(self._pid_file)),
            *("--data-root", str(self.data_root), "--exec-root", str(self.exec_root)),
            *("--cgroup-parent", self.bed.cgroup, "--exec-opt", "native.cgroupdriver=cgroupfs"),
            *("--storage-driver", "overlay2", "--live-restore"),
            *self._network,
            *self._runtime(),
            *self._args,
        ]

    def _runtime(self) -> tuple[str, ...]:
        """Name one runtime for every version: containers remember it, and engines inherit them."""
        lacking = capabilities.missing()
        if not lacking:
            return ()
        wrapper = self.bed.dir / "runc-caps"
        capabilities.write_wrapper(wrapper, self._binaries.runc, lacking)
        return ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")

    def _wait_until_it_answers(self, process: InsideProcess) -> None:
        until = time.monotonic() + ENGINE_PATIENCE
        while not self.docker.ping():
            if process.poll() is not None or time.monotonic() > until:
                raise BedError(f"dockerd {self.version} does not answer ({process.poll()}): {self.log_tail()}")
            time.sleep(PING_PAUSE)

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-20:])

    def kill(self) -> None:
        """End it at once; its containers run on."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to stop and wait until it has."""
        self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> None:
        assert self.process is not None, "it does not run"
        process, self.process = self.process, None
        process.send_signal(sign)
        process.wait(END_PATIENCE)
