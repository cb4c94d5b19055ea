"""How soon a sick container is well again, and a friend of a restarted one is back: watch, the floor, and autoheal.

A real engine in a bed. Everything is taken from the engine's own stamps: from ``health_status: unhealthy`` to the next
``start`` of the container, and from the owner's ``start`` to that of who lives in its network. The floor is the same
single call by a program that decides nothing: it hears the event and asks for the restart. docker-autoheal is its
documented behaviour, asking every five seconds, written anew in a few lines.
"""

import contextlib
import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.figures import Rounds, paired, percentile, pooled, table
from benchmarks.processes import REPOSITORY, BenchmarkError
from tests.bed import engines, images
from tests.bed.bed import Bed
from tests.bed.http import Docker, UnixConnection

FLOOR, OURS, AUTOHEAL = "one call", "dockwarden watch", "autoheal (5 s)"
IMAGE = "bench:sick"
LIVES = "touch /tmp/well; trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done"
PATIENCE = 30.0
MARK = {FLOOR: "floor", OURS: "ours", AUTOHEAL: "autoheal"}


@dataclass(frozen=True)
class Result:
    sick: Rounds
    """Milliseconds."""
    tied: Rounds
    version: str

    def as_text(self) -> str:
        parts = []
        for title, rounds in (("unhealthy -> running again", self.sick), ("owner back -> friend back", self.tied)):
            rows = [
                [
                    variant,
                    str(paired(rounds, variant, FLOOR)),
                    *(f"{percentile(pooled(rounds, variant), part):.0f}" for part in (0.5, 0.9)),
                ]
                for variant in rounds[0]
            ]
            parts.append(table((title, "x floor, paired", "p50 ms", "p90 ms"), rows))
        return f"heal (engine {self.version}, {len(self.sick)} rounds)\n" + "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "engine": self.version, "sick": self.sick, "tied": self.tied}


class Stamps:
    """What the engine says happened when, by container and action; seconds since 1970."""

    def __init__(self, docker: Docker, path: str) -> None:
        self._docker = docker
        self._news = threading.Condition()
        self._all: list[tuple[str, str, float]] = []
        threading.Thread(target=self._listen, args=(path,), daemon=True).start()

    def _listen(self, path: str) -> None:
        for event in events(path, ("health_status", "start", "die")):
            name = event["Actor"]["Attributes"]["name"]
            with self._news:
                self._all.append((name, event["Action"], event["timeNano"] / 1e9))
                self._news.notify_all()

    def after(self, name: str, action: str, since: float) -> float:
        until = time.monotonic() + PATIENCE
        with self._news:
            while True:
                found = [at for who, what, at in self._all if (who, what) == (name, action) and at > since]
                if found:
                    return found[0]
                left = until - time.monotonic()
                if left <= 0:
                    raise BenchmarkError(f"{name}: no {action} within {PATIENCE:g} s")
                self._news.wait(left)


def events(path: str, actions: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    connection: http.client.HTTPConnection = UnixConnection(Path(path), 3600)
    filters = quote(json.dumps({"type": ["container"], "event": list(actions)}))
    connection.request("GET", f"/v1.41/events?filters={filters}")
    answer = connection.getresponse()
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        for line in answer:
            yield json.loads(line)


def floor(docker: Docker, path: str) -> None:
    """Hears it, and asks for it."""
    for event in events(path, ("health_status", "start")):
        name, action = event["Actor"]["Attributes"]["name"], event["Action"]
        if name == "sick-floor" and action == "health_status: unhealthy":
            docker.post("/containers/sick-floor/restart?t=10")
        elif name == "owner-floor" and action == "start":
            docker.post("/containers/friend-floor/restart?t=10")


def autoheal(docker: Docker) -> None:
    """Asks every five seconds who is unhealthy. By a label of its own: the watch understands autoheal's."""
    filters = quote(json.dumps({"health": ["unhealthy"], "label": ["polled=true"]}))
    while True:
        with contextlib.suppress(OSError):
            for row in docker.get(f"/containers/json?filters={filters}")[1]:
                docker.post(f"/containers/{row['Id']}/restart?t=10")
        time.sleep(5)


def measure(rounds: int) -> Result:
    version = engines.system_version()
    with Bed() as bed:
        engine = bed.engine(version).start()
        path = str(engine.socket)
        docker = Docker(engine.socket)
        docker.load(images.busybox_tar(bed.dir / "i.tar", IMAGE))
        for variant in MARK.values():
            _make(docker, variant)
        stamps = Stamps(docker, path)
        for target, args in ((floor, (Docker(engine.socket), path)), (autoheal, (Docker(engine.socket),))):
            threading.Thread(target=target, args=args, daemon=True).start()
        command = [sys.executable, "-m", "supervisor", "watch", "--engine", f"unix://{path}", "--listen", ""]
        command += ["--state-dir", str(bed.dir / "state"), "--run-dir", str(bed.dir / "run")]
        with (bed.dir / "watch.log").open("w") as log:
            watch = bed.popen(command, cwd=REPOSITORY, env={}, stdout=log, stderr=subprocess.STDOUT)
            time.sleep(2)
            sick = [_round(MARK, lambda mark: _sicken(docker, stamps, mark)) for _ in range(rounds)]
            tied_marks = {name: mark for name, mark in MARK.items() if name != AUTOHEAL}
            tied = [_round(tied_marks, lambda mark: _bounce(docker, stamps, mark)) for _ in range(rounds)]
            watch.terminate()
            watch.wait(PATIENCE)
    return Result(sick, tied, version)


def _round(marks: dict[str, str], way: Callable[[str], float]) -> dict[str, list[float]]:
    order = list(marks)
    random.shuffle(order)
    return {variant: [1000 * way(marks[variant])] for variant in order}


def _make(docker: Docker, mark: str) -> None:
    second = 1_000_000_000
    check = {"Test": ["CMD", "test", "-f", "/tmp/well"], "Interval": second // 2, "Retries": 1}
    own = {"dockwarden.enable": "true", "dockwarden.health.falls": "1000"} if mark == "ours" else {}
    labels = {"polled": "true"} if mark == "autoheal" else own
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", LIVES], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
    docker.post(f"/containers/create?name=sick-{mark}", {**body, "Healthcheck": check})
    docker.post(f"/containers/sick-{mark}/start")
    if mark != "autoheal":
        docker.post(f"/containers/create?name=owner-{mark}", body)
        docker.post(f"/containers/owner-{mark}/start")
        joined = {"NetworkMode": f"container:owner-{mark}"}
        docker.post(f"/containers/create?name=friend-{mark}", {**body, "HostConfig": joined})
        docker.post(f"/containers/friend-{mark}/start")


def _sicken(docker: Docker, stamps: Stamps, mark: str) -> float:
    name = f"sick-{mark}"
    began = time.time()
    _, made = docker.post(f"/containers/{name}/exec", {"Cmd": ["rm", "-f", "/tmp/well"]})
    docker.raw("POST", f"/exec/{made['Id']}/start", {})
    fell = stamps.after(name, "health_status: unhealthy", began)
    took = stamps.after(name, "start", fell) - fell
    stamps.after(name, "health_status: healthy", fell)
    time.sleep(random.uniform(11, 13))  # A start limit is no part of this.
    return took


def _bounce(docker: Docker, stamps: Stamps, mark: str) -> float:
    began = time.time()
    docker.post(f"/containers/owner-{mark}/kill")
    stamps.after(f"owner-{mark}", "die", began)
    docker.post(f"/containers/owner-{mark}/start")
    back = stamps.after(f"owner-{mark}", "start", began)
    took = stamps.after(f"friend-{mark}", "start", back) - back
    time.sleep(random.uniform(6, 8))
    return took
