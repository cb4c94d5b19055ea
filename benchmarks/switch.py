"""How long a host goes without a console, and without user Docker, while the console is switched.

Two hosts in beds of their own, alike in everything: on one Dockwarden switches, on the other a script gives the same
engine calls in the same order by hand, with nothing to decide and nothing to write down. Both are looked at from
outside: the console's gap is between System Docker's own stamps of ``die`` and ``start``, user Docker's is the longest
time in which it did not answer a ping.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.figures import Rounds, paired, percentile, pooled, table
from benchmarks.processes import BenchmarkError
from tests.bed import engines
from tests.bed.bed import Bed
from tests.bed.http import UnixConnection
from tests.boot.consoles import console_host, user_socket
from tests.boot.host import Host, Units

FLOOR, OURS = "calls by hand", "dockwarden"
CONTAINERS = {"default": "console", "other": "other-console"}
LOOK = 0.002
"""Seconds between two pings, and between two looks whether a process has ended."""
PATIENCE = 60.0


@dataclass(frozen=True)
class Result:
    console: Rounds
    """Milliseconds."""
    docker: Rounds
    version: str

    def as_text(self) -> str:
        parts = []
        for title, rounds in (("without a console", self.console), ("without user Docker", self.docker)):
            rows = [
                [
                    variant,
                    str(paired(rounds, variant, FLOOR)),
                    *(f"{percentile(pooled(rounds, variant), part):.0f}" for part in (0.5, 0.9)),
                ]
                for variant in (FLOOR, OURS)
            ]
            parts.append(table((f"switch: {title}", "x floor, paired", "p50 ms", "p90 ms"), rows))
        return f"switch (engine {self.version}, {len(self.console)} rounds)\n" + "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "engine": self.version, "console": self.console, "user_docker": self.docker}


def measure(rounds: int) -> Result:
    version = engines.system_version()
    with Bed() as one, Bed() as two:
        ours, floor = host_in(one, version), host_in(two, version)
        ways: dict[str, Callable[[str], tuple[float, float]]] = {
            OURS: lambda name: watched(ours, name, lambda: by_dockwarden(ours, name)),
            FLOOR: lambda name: watched(floor, name, lambda: by_hand(floor, name)),
        }
        for way in ways.values():  # So that both consoles have their containers.
            way("other")
            way("default")
        console: list[dict[str, list[float]]] = []
        docker: list[dict[str, list[float]]] = []
        for number in range(rounds):
            gaps = {variant: way(("other", "default")[number % 2]) for variant, way in ways.items()}
            console.append({variant: [gap[0]] for variant, gap in gaps.items()})
            docker.append({variant: [gap[1]] for variant, gap in gaps.items()})
        return Result(console, docker, version)


def host_in(bed: Bed, version: str) -> Host:
    host = console_host(bed, version)
    host.config.write_text(host.config.read_text().replace("compose.rebuild: always", 'compose.rebuild: "false"'))
    host.boot()
    host.wait("up", up)
    return host


def up(units: Units) -> bool:
    return {units["console"]["state"], units["user-docker"]["state"]} == {"ready"}


def by_dockwarden(host: Host, name: str) -> None:
    done = host.cli("console", "switch", name)
    if done.returncode:
        raise BenchmarkError(done.stderr)


def by_hand(host: Host, name: str) -> None:
    """The floor: the first time it puts the supervisor away, which leaves all that runs."""
    if host.process is not None and host.process.poll() is None:
        _first(host, name)
        return
    pid = host_pid(host)
    _in(host, "/bin/busybox", "kill", "-TERM", str(pid))
    _gone(host, pid)
    old = CONTAINERS["default" if name == "other" else "other"]
    host.docker.post(f"/containers/{old}/stop")
    host.docker.post(f"/containers/{CONTAINERS[name]}/start")
    _enter(host, name)


def _first(host: Host, name: str) -> None:
    """Make both containers with the supervisor, then do without it."""
    by_dockwarden(host, name)
    if name == "default":
        host.kill9()


def host_pid(host: Host) -> int:
    """Of the user's dockerd, as the bed counts."""
    kept = json.loads((host.dir / "state" / "user-docker.json").read_text())
    return int(kept["pid"])


def _enter(host: Host, name: str) -> None:
    context = host.docker.inspect(CONTAINERS[name])["State"]["Pid"]
    command = f"nsenter --mount=/proc/{context}/ns/mnt -- {_command(host)} >>{host.dir}/floor.log 2>&1 & echo $!"
    pid = _in(host, "/bin/sh", "-c", command).strip()
    (host.dir / "state" / "user-docker.json").write_text(json.dumps({"pid": int(pid)}))


def _command(host: Host) -> str:
    return " ".join(
        (
            "dockerd --storage-driver overlay2 --userland-proxy=false",
            f"--cgroup-parent {host.bed.cgroup}/u --host unix:///var/run/docker.sock --data-root /var/lib/docker",
            "--exec-root /var/run/docker --pidfile /var/run/docker.pid",
            "--containerd-namespace user-docker --containerd-plugins-namespace plugins.user-docker",
        )
    )


def _in(host: Host, *command: str) -> str:
    return host.bed.run(command, env={"PATH": host.binaries.path}).stdout


def _gone(host: Host, pid: int) -> None:
    wait = f"while [ -d /proc/{pid} ] && ! grep -q '^State:.Z' /proc/{pid}/status; do busybox usleep 2000; done"
    _in(host, "/bin/sh", "-c", wait)


def watched(host: Host, name: str, act: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds without a console, and without user Docker."""
    began = time.time()
    with pinging(user_socket(host)) as gap:
        act()
        until = time.monotonic() + PATIENCE
        while not answers(user_socket(host)):
            if time.monotonic() > until:
                raise BenchmarkError(f"user Docker does not serve after the switch to {name}")
            time.sleep(LOOK)
        time.sleep(0.1)
    filters = json.dumps({"type": ["container"], "event": ["die", "start"], "container": list(CONTAINERS.values())})
    query = f"/events?since={began:.9f}&until={time.time():.9f}&filters={quote(filters)}"
    _, told = host.docker.get(query)
    told = told if isinstance(told, list) else [told]
    died = next(one["timeNano"] for one in told if one["Action"] == "die")
    started = next(one["timeNano"] for one in told if one["Action"] == "start" and one["timeNano"] > died)
    return (started - died) / 1e6, gap() * 1000


@contextlib.contextmanager
def pinging(path: Path) -> Iterator[Callable[[], float]]:
    """Ask all the time; what comes is the longest time without an answer, in seconds."""
    end, longest = threading.Event(), [0.0]

    def ask() -> None:
        last = time.monotonic()
        while not end.is_set():
            if answers(path):
                now = time.monotonic()
                longest[0] = max(longest[0], now - last)
                last = now
            time.sleep(LOOK)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield lambda: longest[0]
    finally:
        end.set()
        thread.join()


def answers(path: Path) -> bool:
    connection = UnixConnection(path, 1.0)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
