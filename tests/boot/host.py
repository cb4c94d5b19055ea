"""A host to boot: a bed, a cloud-config, and ``dockwarden boot`` as a program in it. Tests and the demo use it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bed import engines
from tests.bed.bed import Bed, InsideProcess
from tests.bed.engines import REPOSITORY
from tests.bed.http import Docker

Units = dict[str, dict[str, Any]]

PATIENCE = 90.0
"""Seconds that a busy machine may need for anything. Only a test that fails waits so long."""
LOOK_PAUSE = 0.02
"""Seconds between two looks at what does not tell of its changes."""

HOSTS: "weakref.WeakSet[Host]" = weakref.WeakSet()
"""All that a test may have used: a failed one shows their logs."""


class HostError(AssertionError):
    """Something that should have been seen was not."""


class Host:
    """One host in one bed. Supervisors come and go; the directories stay."""

    def __init__(self, bed: Bed, version: str, config: str, *, echo: bool = False) -> None:
        self.bed = bed
        self.binaries = engines.find(version)
        self.dir = bed.dir
        self.run_dir = bed.dir / "run"
        self.images = bed.dir / "img"
        self.images.mkdir(exist_ok=True)
        self.config = bed.dir / "cloud-config.yml"
        self.config.write_text(config)
        self.layers: list[Path] = []
        """More configuration, later ones win."""
        self.env: dict[str, str] = {}
        """More of the environment of supervisors."""
        self.socket = bed.dir / "s.sock"
        self.pidfile = bed.dir / "s.pid"
        self.docker = Docker(self.socket)
        self.process: InsideProcess | None = None
        self.log: list[str] = []
        self._echo = echo
        self._listener: threading.Thread | None = None
        self._news = threading.Condition()
        HOSTS.add(self)

    def boot(self, *options: str, log_format: str = "json") -> InsideProcess:
        """Start a supervisor over this host's directories."""
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "supervisor",
            "boot",
            "--config",
            self.config,
            "--state-dir",
            self.dir / "state",
        ]
        for layer in self.layers:
            command += ["--config", layer]
        command += ["--run-dir", self.run_dir, "--images", self.images, "--log-format", log_format, *options]
        self.process = self.bed.popen(
            command,
            cwd=REPOSITORY,
            env={"PATH": self.binaries.path, "PYTHONUNBUFFERED": "1", **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()
        return self.process

    def _listen(self, process: InsideProcess) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                with self._news:
                    self.log.append(line.rstrip("\n"))
                    self._news.notify_all()
                if self._echo:
                    print(line, end="", flush=True)
        except ValueError:
            pass  # The bed has closed the pipe.
        with self._news:
            self._news.notify_all()

    def cli(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """The real command line, from outside the bed: the control socket is a file."""
        return subprocess.run(
            [sys.executable, "-m", "supervisor", "--run-dir", self.run_dir, *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=check,
        )

    def units(self) -> Units:
        """All units by name; none while no supervisor answers."""
        control = Docker(self.run_dir / "control.sock", api="v1")
        try:
            status, answer = control.raw("GET", "/status")
        except OSError:
            return {}
        return {unit["name"]: unit for unit in json.loads(answer)["units"]} if status == 200 else {}

    def wait(self, what: str, holds: Callable[[Units], bool], patience: float = PATIENCE) -> Units:
        """Until it holds. Looks when the log has news: what moves a unit writes a line."""
        until = time.monotonic() + patience
        with self._news:
            while True:
                units = self.units()
                if units and holds(units):
                    return units
                left = until - time.monotonic()
                if left <= 0 or (self.process is not None and self.process.poll() is not None):
                    raise HostError(f"not seen: {what}\n{self._evidence(units)}")
                self._news.wait(min(left, 1.0))

    def wait_for_line(
        self, what: str, holds: Callable[[dict[str, Any]], bool], patience: float = PATIENCE, since: int = 0
    ) -> dict[str, Any]:
        """Until the log has a line (JSON) of which this holds, from line ``since`` on."""
        until, seen = time.monotonic() + patience, since
        with self._news:
            while True:
                for line in self.log[seen:]:
                    if line.startswith("{") and holds(entry := json.loads(line)):
                        return dict(entry)
                seen = len(self.log)
                left = until - time.monotonic()
                if left <= 0:
                    raise HostError(f"not logged: {what}\n{self._evidence({})}")
                self._news.wait(min(left, 1.0))

    def _evidence(self, units: Units) -> str:
        states = {name: (unit["state"], unit["reason"]) for name, unit in units.items()}
        return f"units: {states}\nlog:\n{self.last_lines()}"

    def last_lines(self) -> str:
        return "\n".join(deque(self.log, 40))

    def wait_up(self, *names: str, patience: float = PATIENCE) -> Units:
        """Until all these (or all there are) are ready or completed."""
        good = {"ready", "completed"}
        return self.wait(
            f"{names or 'all'} up",
            lambda units: all(name in units and units[name]["state"] in good for name in names or units),
            patience,
        )

    def end(self, patience: float = PATIENCE, *, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ask the supervisor to end; its exit code. The log is complete then."""
        assert self.process is not None
        self.process.send_signal(sign)
        code = self.process.wait(patience)
        self._hear_out()
        return code

    def kill9(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)
        self._hear_out()

    def _hear_out(self) -> None:
        """Until all is read that the last supervisor wrote."""
        if self._listener is not None:
            self._listener.join(PATIENCE)

    def kept(self) -> Units:
        """The units of the state file by name; none while there is no file."""
        try:
            text = (self.dir / "state/state.json").read_text()
        except OSError:
            return {}
        return dict(json.loads(text)["state"]["units"])

    def wait_until_kept(self, what: str, holds: Callable[[Units], bool], patience: float = PATIENCE) -> None:
        """Until it holds of the state file, so that a kill -9 does not undo it. A write is not logged: looks often."""
        until = time.monotonic() + patience
        while True:
            with contextlib.suppress(KeyError):
                if holds(self.kept()):
                    return
            if time.monotonic() > until:
                raise HostError(f"not in the state file: {what}\n{self._evidence(self.units())}")
            time.sleep(LOOK_PAUSE)

    def engine_pid(self) -> int:
        """As the bed counts."""
        return int(self.pidfile.read_text())

    def containers(self) -> Mapping[str, dict[str, Any]]:
        """Id, pid and start of every container of System Docker, by name."""
        _, rows = self.docker.get("/containers/json?all=1")
        answers = [self.docker.get(f"/containers/{row['Id']}/json") for row in rows]
        inspected = [one for status, one in answers if status == 200]  # One may have gone since it was listed.
        return {
            one["Name"].lstrip("/"): {
                "id": one["Id"],
                "pid": one["State"]["Pid"],
                "running": one["State"]["Running"],
                "started": one["State"]["StartedAt"],
                "policy": one["HostConfig"]["RestartPolicy"]["Name"],
            }
            for one in inspected
        }

    def forgive(self) -> None:
        """Let no earlier restart count against the next one: for tests that share this host."""
        control = Docker(self.run_dir / "control.sock", api="v1")
        for name in self.units():
            control.post(f"/units/{name}/reset-failed")

    def restarts(self) -> dict[str, int]:
        """How often each unit was restarted."""
        return {name: int(unit["restarts"]) for name, unit in self.units().items()}

    def inside(self, *command: str) -> str:
        return self.bed.run(command).stdout

    def get(self, path: str, port: int = 9779) -> str:
        """A page of the metrics port, which listens in the bed's network."""
        code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end='')"
        return self.inside(sys.executable, "-c", code, f"http://127.0.0.1:{port}{path}")

    def processes(self) -> list[str]:
        """Commands of all that lives in the bed, besides its own two and this look."""
        lines = self.inside("/bin/busybox", "ps", "-o", "pid,args").splitlines()[1:]
        return [
            line.strip() for line in lines if not line.lstrip().startswith(("1 ", "2 ")) and "busybox ps" not in line
        ]


def system_docker(
    directory: Path, cgroup: str, path: str, runtime: tuple[str, ...] = (), *, bridge: bool = False
) -> str:
    """The part of a cloud-config that keeps System Docker within a bed."""
    network = () if bridge else ("--bridge", "none", "--iptables=false")
    args = [
        *("dockerd", "-H", f"unix://{directory}/s.sock", "--data-root", f"{directory}/data"),
        *("--exec-root", f"{directory}/x", "--pidfile", f"{directory}/s.pid"),
        *(*network, "--storage-driver", "overlay2"),
        *("--cgroup-parent", cgroup, "--exec-opt", "native.cgroupdriver=cgroupfs", *runtime),
    ]
    return json.dumps({"args": args, "environment": {"PATH": path or os.environ["PATH"]}})
