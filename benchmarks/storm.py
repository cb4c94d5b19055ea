"""How long a host takes to answer deaths that come all at once: until the last start order, on the fake engine.

The deaths of 10 to 300 containers are told in one write. Every client has an engine of its own in the same process, as
in ``reaction``, and is left alone until all its containers run again and it has reported what happened.
"""

import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Rounds, paired, percentile, pooled, table
from benchmarks.processes import (
    FakeEngine,
    boot_command,
    build,
    fake_engine,
    module,
    running,
    scratch,
    tail,
    wait_for,
)
from benchmarks.reaction import BEFORE, FLOOR, LABEL, LOOP, OURS, SETTLE, run_a_container, services

SIZES = (10, 50, 100, 300)
VARIANTS = {FLOOR: "c", LOOP: "aio", OURS: "ours"}
REST = 1.0
"""Seconds after a storm, when all run again."""


@dataclass(frozen=True)
class Result:
    last: Mapping[int, Rounds]
    """Milliseconds until the last start order, by the size of the storm."""
    first: Mapping[int, Rounds]
    """And until the first."""

    def as_text(self) -> str:
        return "\n\n".join(self._table(size) for size in self.last)

    def _table(self, size: int) -> str:
        last, first = self.last[size], self.first[size]
        rows = [
            [
                variant,
                *(str(paired(last, variant, peer)) for peer in (FLOOR, LOOP)),
                f"{percentile(pooled(first, variant), 0.5):.1f}",
                f"{percentile(pooled(last, variant), 0.5):.1f}",
            ]
            for variant in last[0]
        ]
        head = (f"{size} deaths -> last start order", "x floor", "x aiodocker", "first p50 ms", "last p50 ms")
        return f"storm (fake engine, {len(last)} rounds)\n{table(head, rows)}"

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "last": self.last, "first": self.first}


def measure(rounds: int, sizes: Sequence[int] = SIZES, before: Path | None = None) -> Result:
    """``before``: another checkout, whose supervisor is measured, too."""
    most = max(sizes)
    variants = VARIANTS if before is None else {**VARIANTS, BEFORE: "before"}
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine = stack.enter_context(fake_engine(directory, list(variants.values())))
        commands: dict[str, list[str | Path]] = {
            "c": [build("client", directory), engine.sockets["c"], LABEL],
            "aio": module("benchmarks.aio_client", engine.sockets["aio"], LABEL),
            "ours": boot_command(engine.sockets["ours"], directory / "d", services(most)),
        }
        if before is not None:
            socket = engine.sockets["before"]
            commands["before"] = boot_command(socket, directory / "db", services(most), checkout=before)
        for name in ("c", "aio"):
            for number in range(most):
                run_a_container(engine.sockets[name], f"u{number}")
        for name, command in commands.items():
            stack.enter_context(running(command, directory / f"{name}.log"))
            wait_until_up(engine, name, most, directory / f"{name}.log")
        time.sleep(SETTLE)
        last: dict[int, list[Mapping[str, Sequence[float]]]] = {size: [] for size in sizes}
        first: dict[int, list[Mapping[str, Sequence[float]]]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size in sizes:
                told = {variant: one_storm(engine, name, size, most, directory) for variant, name in shuffled(variants)}
                last[size].append({variant: [told[variant][0] / 1e6] for variant in variants})
                first[size].append({variant: [told[variant][1] / 1e6] for variant in variants})
        return Result(last, first)


def shuffled(variants: Mapping[str, str]) -> list[tuple[str, str]]:
    return random.sample(list(variants.items()), len(variants))


def one_storm(engine: FakeEngine, name: str, size: int, most: int, directory: Path) -> tuple[int, int]:
    told = engine.storm(name, size)
    wait_until_up(engine, name, most, directory / f"{name}.log")
    time.sleep(REST)
    return told


def wait_until_up(engine: FakeEngine, name: str, count: int, log: Path) -> None:
    wait_for(
        f"{name} has {count} containers running and listens",
        lambda: engine.count_running(name) == count and engine.count_listeners(name) == 1,
        lambda: tail(log),
    )
