"""What the supervisor weighs: with 20 units and nothing to do, and after it had something to do."""

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.figures import Rounds, paired, percentile, pooled, table
from benchmarks.processes import boot_command, fake_engine, module, running, scratch
from benchmarks.reaction import services, wait_until_ready
from benchmarks.scrape import free_port

BARE, OURS = "five packages imported", "dockwarden, 20 units"
SHIPPED, WORKED = "as its unit file starts it (-OO)", "the same, after restarts"
UNITS = 20
SETTLE = 5.0
"""Seconds until what the boot left behind is freed or written."""
WORK_PAUSE = 0.003
SCRAPES = 2
"""Somebody asks for its metrics, as on a host in use."""


@dataclass(frozen=True)
class Result:
    restarts: int
    rss: Rounds
    """MiB, as all rounds here."""
    pss: Rounds
    private: Rounds

    def as_text(self) -> str:
        rows = [
            [
                variant,
                str(paired(self.rss, variant, BARE)),
                str(paired(self.pss, variant, BARE)),
                *(f"{percentile(pooled(kind, variant), 0.5):.1f}" for kind in (self.rss, self.pss, self.private)),
            ]
            for variant in self.rss[0]
        ]
        head = ("memory", "RSS x bare, paired", "PSS x bare, paired", "RSS MiB", "PSS MiB", "private MiB")
        return f"memory (fake engine, {len(self.rss)} rounds, {self.restarts} restarts)\n{table(head, rows)}"

    def as_json(self) -> dict[str, Any]:
        return {"unit": "MiB", "restarts": self.restarts, "rss": self.rss, "pss": self.pss, "private": self.private}


def measure(rounds: int, restarts: int) -> Result:
    """Each round starts all programs anew: one process has only one weight."""
    found = [one_round(restarts) for _ in range(rounds)]

    def of(field: str) -> Rounds:
        return [{variant: [sizes[field]] for variant, sizes in measured.items()} for measured in found]

    return Result(restarts, of("Rss"), of("Pss"), of("Private"))


def one_round(restarts: int) -> dict[str, Mapping[str, float]]:
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine = stack.enter_context(fake_engine(directory, ["ours", "shipped"]))
        bare = stack.enter_context(running(module("benchmarks.bare_imports"), directory / "bare.log"))
        pids = {BARE: bare.pid}
        for variant, name, how in ((OURS, "ours", []), (SHIPPED, "shipped", ["-OO"])):
            port, log = free_port(), directory / f"{name}.log"
            python, *rest = boot_command(
                engine.sockets[name], directory / name, services(UNITS), listen=f"127.0.0.1:{port}"
            )
            pids[variant] = stack.enter_context(running([python, *how, *rest], log)).pid
            wait_until_ready(engine, name, UNITS, log)
            for _ in range(SCRAPES):
                urlopen(f"http://127.0.0.1:{port}/metrics").read()
        time.sleep(SETTLE)
        measured = {variant: sizes(pid) for variant, pid in pids.items()}
        for number in range(restarts):
            engine.die("shipped", f"u{number % UNITS}")
            time.sleep(WORK_PAUSE)
        time.sleep(SETTLE)
        return {**measured, WORKED: sizes(pids[SHIPPED])}


def sizes(pid: int) -> Mapping[str, float]:
    """MiB of a process: resident, its share of it, and what is nobody else's."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return {
        "Rss": kib["Rss"] / 1024,
        "Pss": kib["Pss"] / 1024,
        "Private": (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024,
    }
