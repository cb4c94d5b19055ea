"""What health checks cost, and how punctual they are: ours by HTTP and TCP, beside the engine's own HEALTHCHECK.

Ours: the prober of the supervisor in a process of its own, against a server in another one; the CPU of both is
counted. The engine's: containers whose HEALTHCHECK is ``true``, once a second each, on a real engine in a bed; what is
counted is the whole machine's CPU, less what it takes with the same containers and no check.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile, table
from benchmarks.processes import REPOSITORY, BenchmarkError
from tests.bed import engines, images
from tests.bed.bed import Bed
from tests.bed.http import Docker

SIZES = (100, 500)
CONTAINERS = 4
IMAGE = "bench:check"
SECOND = 1_000_000_000
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    name: str
    cpu: float
    """Milliseconds each."""
    late: tuple[float, float] | None
    """Milliseconds, median and 99th percentile."""


@dataclass(frozen=True)
class Result:
    rows: tuple[Measured, ...]
    version: str

    def as_text(self) -> str:
        engine = next(row for row in self.rows if row.late is None)
        lines = [
            [
                row.name,
                f"{engine.cpu / row.cpu:.0f}",
                f"{row.cpu:.3f}",
                *(("-", "-") if row.late is None else (f"{late:.1f}" for late in row.late)),
            ]
            for row in self.rows
        ]
        head = ("check", "x cheaper", "CPU ms each", "late p50 ms", "late p99 ms")
        return f"probes (engine {self.version}, each unit once a second)\n" + table(head, lines)

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "engine": self.version, "rows": [vars(row) for row in self.rows]}


def measure(seconds: float) -> Result:
    version = engines.system_version()
    rows = [ours(kind, units, seconds) for kind in ("http", "tcp") for units in SIZES]
    return Result((*rows, healthcheck(version, seconds)), version)


def ours(kind: str, units: int, seconds: float) -> Measured:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.targets"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        before = _cpu_of(server.pid)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.probing", kind, str(units), port, str(seconds)],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            check=False,
        )
        served = _cpu_of(server.pid) - before
        server.communicate()
    if done.returncode:
        raise BenchmarkError(f"probing ended with {done.returncode}: {done.stderr[-500:]}")
    told = json.loads(done.stdout)
    if told["passed"] < told["asked"] * 0.99:
        raise BenchmarkError(f"only {told['passed']} of {told['asked']} passed")
    share = seconds / (seconds + 2)  # The server also served the two seconds of warming up.
    cpu = (told["cpu"] + served * share) / told["asked"]
    late = [1000 * one for one in told["late"]]
    return Measured(f"{kind}, {units} units", 1000 * cpu, (percentile(late, 0.5), percentile(late, 0.99)))


def healthcheck(version: str, seconds: float) -> Measured:
    with Bed() as bed:
        engine = bed.engine(version).start()
        docker = Docker(engine.socket)
        docker.load(images.busybox_tar(bed.dir / "i.tar", IMAGE, cmd=("sleep", "3600")))
        _make(docker, "quiet", {})
        idle = _busy_during(seconds)
        _remove(docker, "quiet")
        check = {"Test": ["CMD", "/bin/true"], "Interval": SECOND, "Timeout": 10 * SECOND}
        _make(docker, "checked", {"Healthcheck": check})
        time.sleep(2)
        began = time.time()
        busy = _busy_during(seconds)
        asked = _execs(docker, began, time.time())
        if not asked:
            raise BenchmarkError("the engine asked nothing")
    return Measured(f"HEALTHCHECK, {CONTAINERS} containers", 1000 * max(0.0, busy - idle) / asked, None)


def _make(docker: Docker, prefix: str, config: dict[str, Any]) -> None:
    for number in range(CONTAINERS):
        name = f"{prefix}{number}"
        docker.post(
            f"/containers/create?name={name}", {"Image": IMAGE, "HostConfig": {"NetworkMode": "none"}, **config}
        )
        docker.post(f"/containers/{name}/start")


def _remove(docker: Docker, prefix: str) -> None:
    for number in range(CONTAINERS):
        docker.delete(f"/containers/{prefix}{number}?force=1")


def _execs(docker: Docker, since: float, until: float) -> int:
    filters = json.dumps({"event": ["exec_die"]})
    _, answer = docker.raw("GET", f"/events?since={since:.3f}&until={until:.3f}&filters={filters}".replace(" ", ""))
    return answer.count(b'"exec_die"') // 2 or answer.count(b"exec_die")


def _busy_during(seconds: float) -> float:
    """CPU seconds of the whole machine."""
    before = _busy()
    time.sleep(seconds)
    return _busy() - before


def _busy() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / TICKS


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
