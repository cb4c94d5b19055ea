"""How long a host goes without a container that was killed: SIGKILL to the first instruction of its next life.

A real engine, in a bed. Every variant keeps containers of its own running, all alike: the host's network, a static
program, no limits. A round kills one of each, in random order and one at a time; each container is left alone for
longer than the ten seconds after which Docker's own restart policy forgets earlier deaths.
"""

import array
import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Rounds, of_all, paired, percentile, quantiles, table
from benchmarks.processes import REPOSITORY, BenchmarkError, Services, boot_command, build, module, tail
from tests.bed import images
from tests.bed.bed import Bed, Engine

FLOOR, LOOP, POLICY, OURS = "C client", "aiodocker loop", "docker --restart always", "dockwarden"
IMAGE = "bench:stamp"
SPARES = 8
"""Containers of each variant: one waits while the others die, so that a round need not take ten seconds."""
MINIMUM_AGE = 10.5
"""Seconds: Docker's policy restarts with a growing delay what ran for less than ten."""
PAUSE = (0.2, 0.4)
"""Seconds after each restart: the engine is to come to rest."""
SETTLE = 3.0
PATIENCE = 30.0
VERSION = "20.10"


@dataclass(frozen=True)
class Result:
    rounds: Rounds
    """Milliseconds."""

    def as_text(self) -> str:
        rows = [
            [
                variant,
                str(paired(self.rounds, variant, FLOOR)),
                str(paired(self.rounds, variant, POLICY)),
                f"{of_all(self.rounds, variant, FLOOR, p90):.2f}",
                *quantiles(self.rounds, variant, 0.1, 0.5, 0.9),
            ]
            for variant in self.rounds[0]
        ]
        head = ("SIGKILL -> first instruction", "x floor, paired", "x policy, paired", "x floor, p90")
        return f"restart (engine {VERSION}, {len(self.rounds)} rounds)\n" + table(
            (*head, "p10 ms", "p50 ms", "p90 ms"), rows
        )

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "engine": VERSION, "rounds": self.rounds}


def p90(values: Sequence[float]) -> float:
    return percentile(values, 0.9)


@dataclass
class Lives:
    """Hears of every new life, and ends it: the kernel says which process sent a stamp, in our numbers."""

    channel: socket.socket
    processes: dict[str, int] = field(default_factory=dict)
    """A pidfd of each."""
    since: dict[str, float] = field(default_factory=dict)

    def hear(self) -> tuple[str, int]:
        """The next stamp: whose, and its nanoseconds."""
        try:
            text, ancillary, _, _ = self.channel.recvmsg(256, socket.CMSG_SPACE(12))
        except TimeoutError:
            raise BenchmarkError(f"no container came to life within {PATIENCE:g} s") from None
        name, stamp = text.decode().split()
        numbers = array.array("i")
        numbers.frombytes(ancillary[0][2])
        if (old := self.processes.get(name)) is not None:
            os.close(old)
        self.processes[name] = os.pidfd_open(numbers[0])
        self.since[name] = time.monotonic()
        return name, int(stamp)

    def kill(self, name: str) -> float:
        """Milliseconds until it lives again."""
        time.sleep(max(0.0, self.since[name] + MINIMUM_AGE - time.monotonic()))
        began = time.monotonic_ns()
        signal.pidfd_send_signal(self.processes[name], signal.SIGKILL)
        who, stamp = self.hear()
        if who != name:
            raise BenchmarkError(f"{who} died by itself while {name} was killed")
        return (stamp - began) / 1e6

    def kill_all(self, some: Sequence[str]) -> float:
        """Milliseconds until the last of them lives again."""
        time.sleep(max(0.0, max(self.since[name] for name in some) + MINIMUM_AGE - time.monotonic()))
        began = time.monotonic_ns()
        for name in some:
            signal.pidfd_send_signal(self.processes[name], signal.SIGKILL)
        dead, stamp = set(some), 0
        while dead:
            name, stamp = self.hear()
            if name not in dead:
                raise BenchmarkError(f"{name} died by itself while others were killed")
            dead.remove(name)
        return (stamp - began) / 1e6

    def close(self) -> None:
        self.channel.close()
        for process in self.processes.values():
            os.close(process)


@contextlib.contextmanager
def lives(path: Path) -> Iterator[Lives]:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    channel.settimeout(PATIENCE)
    channel.bind(str(path))
    heard = Lives(channel)
    try:
        yield heard
    finally:
        heard.close()


def names(variant: str, count: int = SPARES) -> list[str]:
    """Of its containers."""
    return [f"{variant}{number}" for number in range(count)]


def services(stamps: Path, count: int = SPARES) -> Services:
    """Our units; as they die more often than every 12 seconds, the limit of a crash loop is lifted."""
    return {
        name: {
            "image": IMAGE,
            "command": ["/stamp", name, "/stamps/socket"],
            "net": "host",
            "restart": "always",
            "volumes": [f"{stamps}:/stamps"],
            "labels": {"dockwarden.restart.burst": "0"},
        }
        for name in names("ours", count)
    }


def run_containers(engine: Engine, variant: str, stamps: Path, policy: str = "no", count: int = SPARES) -> None:
    for name in names(variant, count):
        body: Mapping[str, Any] = {
            "Cmd": ["/stamp", name, "/stamps/socket"],
            "Labels": {"bench": variant},
            "HostConfig": {
                "NetworkMode": "host",
                "Binds": [f"{stamps}:/stamps"],
                "RestartPolicy": {"Name": policy},
            },
        }
        engine.docker.run(name, IMAGE, body)


@contextlib.contextmanager
def stamping() -> Iterator[tuple[Bed, Path, Lives, Engine]]:
    """An engine with the image, and whoever hears its containers' stamps, which go to a socket in that directory."""
    with Bed() as bed:
        stamps = bed.dir / "stamps"
        stamps.mkdir()
        with lives(stamps / "socket") as heard:
            engine = bed.engine(VERSION).start()
            program = build("stamp", bed.dir).read_bytes()
            engine.docker.load(images.busybox_tar(bed.dir / "i.tar", IMAGE, extra_files={"/stamp": (program, 0o755)}))
            yield bed, stamps, heard, engine


def measure(rounds: int) -> Result:
    variants = {FLOOR: "c", LOOP: "aio", POLICY: "policy", OURS: "ours"}
    with stamping() as (bed, stamps, heard, engine):
        client = build("client", bed.dir)
        logs = {
            "c": popen(bed, "c", [client, engine.socket, "bench=c"]),
            "aio": popen(bed, "aio", module("benchmarks.aio_client", engine.socket, "bench=aio")),
            "ours": popen(bed, "ours", boot_command(engine.socket, bed.dir / "d", services(stamps))),
        }
        run_containers(engine, "c", stamps)
        run_containers(engine, "aio", stamps)
        run_containers(engine, "policy", stamps, "always")
        hear_first(heard, len(variants) * SPARES, logs)
        time.sleep(SETTLE)
        return Result([one_round(heard, variants, number % SPARES) for number in range(-1, rounds)][1:])


def hear_first(heard: Lives, count: int, logs: Mapping[str, Path]) -> None:
    """The first life of each."""
    for _ in range(count):
        try:
            heard.hear()
        except BenchmarkError as error:
            raise BenchmarkError("\n".join((str(error), *map(tail, logs.values())))) from error


def popen(bed: Bed, name: str, args: Sequence[str | Path]) -> Path:
    """Start a program in the bed, which ends with it. Returns the log of what it says."""
    log = bed.dir / f"{name}.log"
    with log.open("w") as output:
        bed.popen(args, cwd=REPOSITORY, stdout=output, stderr=output)
    return log


def one_round(heard: Lives, variants: Mapping[str, str], number: int) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {variant: [] for variant in variants}
    for variant in random.sample(list(variants), len(variants)):
        measured[variant].append(heard.kill(f"{variants[variant]}{number}"))
        time.sleep(random.uniform(*PAUSE))
    return measured
