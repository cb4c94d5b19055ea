"""What hooks cost a restart: from a die event to the start order, without any, with tame ones, and with hostile ones.

The fake engine of ``reaction``. Each variant is a whole supervisor; while one is measured, the others are stopped with
all that they started, so that a hostile hook's hunger for processor time counts where it belongs.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Rounds, of_all, paired, percentile, pooled, table
from benchmarks.processes import FakeEngine, boot_command, fake_engine, running, scratch, tail, wait_for
from benchmarks.reaction import p99, services

NONE, TAME, SCRIPT, HOSTILE, GATED = "no hooks", "Python hooks", "an executable", "hostile hooks", "a gate: yes"
PAUSE = (0.01, 0.03)
"""Seconds between two deaths."""
WARM = 1.0
"""Seconds that a variant runs before it is measured in a round."""

TAME_PYTHON = """
from hooks import on

@on("unit.*")
def sync(event): return None

@on("unit.restarted")
async def later(event): return None
"""
HOSTILE_PYTHON = """
import os, socket, time
from hooks import on

def until(seconds, what=lambda: None):
    end = time.monotonic() + seconds
    while time.monotonic() < end: what()

@on("unit.*")
def sleeps(event): time.sleep(9)

@on("unit.*")
def spins(event): until(9)

@on("unit.*")
async def blocks(event): until(9)

@on("unit.*")
def floods(event): until(9, lambda: print("x" * 1000))

@on("unit.*")
def raises(event): raise SystemExit(3)

@on("unit.*")
def exits(event): os._exit(3)

@on("unit.*")
def asks(event):
    with socket.socket(socket.AF_UNIX) as control:
        control.connect({socket!r})
        control.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        while control.recv(65536): pass
"""
GATE = """
from hooks import gate

@gate("before_start")
def yes(asked): return None
"""


@dataclass(frozen=True)
class Result:
    rounds: Rounds
    """Microseconds."""

    def as_text(self) -> str:
        rows = [
            [
                variant,
                str(paired(self.rounds, variant, NONE)),
                f"{of_all(self.rounds, variant, NONE, p99):.2f}",
                f"{percentile(pooled(self.rounds, variant), 0.5):.0f}",
                f"{p99(pooled(self.rounds, variant)):.0f}",
            ]
            for variant in self.rounds[0]
        ]
        head = f"hooks (fake engine, {len(self.rounds)} rounds of {len(self.rounds[0][NONE])} deaths each)"
        return "\n".join((head, table(("die event -> start order", "x no hooks", "p99 x", "p50 us", "p99 us"), rows)))

    def as_json(self) -> dict[str, Any]:
        return {"unit": "us", "rounds": self.rounds}


def measure(rounds: int, events: int) -> Result:
    variants = {NONE: "none", TAME: "tame", SCRIPT: "script", HOSTILE: "hostile", GATED: "gated"}
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine = stack.enter_context(fake_engine(directory, list(variants.values())))
        pids: dict[str, int] = {}
        for name in variants.values():
            home = directory / name
            command = [*boot_command(engine.sockets[name], home, services(1)), "--hooks", write_hooks(home, name)]
            pids[name] = stack.enter_context(running(command, directory / f"{name}.log")).pid
        for name in variants.values():
            log = directory / f"{name}.log"
            wait_for(f"{name} is up", lambda name=name: is_up(engine, name), lambda log=log: tail(log))  # type: ignore[misc]
        time.sleep(WARM * 2)
        measured = [one_round(engine, variants, pids, events) for _ in range(rounds)]
        for name in variants.values():
            send(pids[name], signal.SIGCONT)
        return Result(measured)


def is_up(engine: FakeEngine, name: str) -> bool:
    return engine.count_running(name) == 1 and engine.count_listeners(name) == 1


def write_hooks(home: Path, name: str) -> Path:
    folder = home / "hooks.d"
    folder.mkdir(mode=0o755)
    text = {
        "none": "",
        "script": "",
        "tame": TAME_PYTHON,
        "hostile": HOSTILE_PYTHON.format(socket=str(home / "run/control.sock")),
        "gated": GATE,
    }[name]
    if text:
        write(folder / "hooks.py", text, 0o644)
    if name in {"script", "hostile"}:
        (folder / "unit.restarted").mkdir(mode=0o755)
        what = "true" if name == "script" else "exec timeout 9 yes"
        write(folder / "unit.restarted" / "script", f"#!/bin/sh\n{what}\n", 0o755)
    return folder


def write(path: Path, text: str, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


def one_round(
    engine: FakeEngine, variants: dict[str, str], pids: dict[str, int], events: int
) -> dict[str, list[float]]:
    """One variant after the other in random order; only it runs."""
    measured: dict[str, list[float]] = {variant: [] for variant in variants}
    for variant in random.sample(list(variants), len(variants)):
        name = variants[variant]
        with alone(pids, name):
            time.sleep(WARM)
            for _ in range(events):
                time.sleep(random.uniform(*PAUSE))
                measured[variant].append(engine.die(name, "u0") / 1e3)
    return measured


@contextlib.contextmanager
def alone(pids: dict[str, int], name: str) -> Iterator[None]:
    for other, pid in pids.items():
        send(pid, signal.SIGCONT if other == name else signal.SIGSTOP)
    try:
        yield
    finally:
        send(pids[name], signal.SIGSTOP)


def send(root: int, sign: signal.Signals) -> None:
    """To a process and all that it started, its own first, so that nobody new is missed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(root, sign)
    for pid in children(root):
        send(pid, sign)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
