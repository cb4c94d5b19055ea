"""How long the supervisor itself takes: from a die event on the engine's socket to the start order on it.

The engine is a fake that answers at once, so nothing else is measured. Every client has an engine of its own in the
same process, and stands ready while the others are measured.
"""

import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Rounds, of_all, paired, percentile, pooled, table
from benchmarks.processes import (
    BenchmarkError,
    FakeEngine,
    Services,
    boot_command,
    build,
    fake_engine,
    module,
    running,
    scratch,
    tail,
    wait_for,
)
from tests.bed.http import Docker

FLOOR, RAW, LOOP = "C client", "bare uvloop protocol", "aiodocker loop"
OURS, OURS_20, BEFORE = "dockwarden", "dockwarden, 20 units", "dockwarden before"
PAUSES = {"rested": (0.01, 0.03), "in a row": (0.001, 0.002)}
"""Seconds between two deaths. After a rest, caches and clock rate are those of an idle host, and that makes programs of
many instructions slower than programs of few; in a row, each variant has the processor to itself for a while."""
SETTLE = 2.0
"""Seconds that everybody is left alone before the first death."""
LABEL = "bench.unit=u0"
OFTEN = {
    "dockwarden.restart.reset": "0s",
    "dockwarden.restart.burst": "1000000",
    "dockwarden.restart.interval": "5ms",
}
"""What lets a unit die as often as it likes and be restarted at once. The interval keeps what is remembered of
earlier restarts as short as it is with the defaults."""


@dataclass(frozen=True)
class Result:
    rounds: dict[str, Rounds]
    """Microseconds, by pace."""

    def as_text(self) -> str:
        return "\n\n".join(as_text(pace, rounds) for pace, rounds in self.rounds.items())

    def as_json(self) -> dict[str, Any]:
        return {"unit": "us", "rounds": self.rounds}


def as_text(pace: str, rounds: Rounds) -> str:
    rows = [
        [
            variant,
            *(str(paired(rounds, variant, peer)) for peer in (FLOOR, RAW, LOOP)),
            *(f"{of_all(rounds, variant, peer, p99):.2f}" for peer in (FLOOR, LOOP)),
            f"{percentile(pooled(rounds, variant), 0.5):.0f}",
            f"{p99(pooled(rounds, variant)):.0f}",
        ]
        for variant in rounds[0]
    ]
    ratios = ("x floor", "x bare uvloop", "x aiodocker", "p99 x floor", "p99 x aiodocker")
    return "\n".join(
        (
            f"reaction, {pace} (fake engine, {len(rounds)} rounds of {len(rounds[0][FLOOR])} deaths each)",
            table(("die event -> start order", *ratios, "p50 us", "p99 us"), rows),
        )
    )


def p99(values: Sequence[float]) -> float:
    return percentile(values, 0.99)


def services(count: int) -> Services:
    """Units that may die as often as they like and are restarted at once."""
    labels = {"bench.unit": "u0", **OFTEN}
    return {f"u{number}": {"image": "bench:1", "restart": "always", "labels": labels} for number in range(count)}


def measure(rounds: int, events: int, before: Path | None = None) -> Result:
    """``before``: another checkout, whose supervisor is measured, too."""
    variants = {FLOOR: "c", RAW: "raw", LOOP: "aio", OURS: "ours", OURS_20: "ours20"}
    if before is not None:
        variants[BEFORE] = "before"
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine = stack.enter_context(fake_engine(directory, list(variants.values())))
        client = build("client", directory)
        commands: dict[str, list[str | Path]] = {
            "c": [client, engine.sockets["c"], LABEL],
            "raw": module("benchmarks.raw_client", engine.sockets["raw"], LABEL),
            "aio": module("benchmarks.aio_client", engine.sockets["aio"], LABEL),
            "ours": boot_command(engine.sockets["ours"], directory / "d1", services(1)),
            "ours20": boot_command(engine.sockets["ours20"], directory / "d20", services(20)),
        }
        if before is not None:
            socket = engine.sockets["before"]
            commands["before"] = boot_command(socket, directory / "db", services(1), checkout=before)
        for name in ("c", "raw", "aio"):
            run_a_container(engine.sockets[name])
        for name, command in commands.items():
            stack.enter_context(running(command, directory / f"{name}.log"))
        for name in commands:
            wait_until_ready(engine, name, 20 if name == "ours20" else 1, directory / f"{name}.log")
        time.sleep(SETTLE)
        for pace in PAUSES:
            one_round(engine, variants, 5, pace)
        return Result({pace: [one_round(engine, variants, events, pace) for _ in range(rounds)] for pace in PAUSES})


def wait_until_ready(engine: FakeEngine, name: str, count: int, log: Path) -> None:
    wait_for(
        f"{name} brings up {count} containers and listens",
        lambda: engine.count_running(name) == count and engine.count_listeners(name) == 1,
        lambda: tail(log),
    )


def run_a_container(socket: Path, name: str = "u0") -> None:
    """Its labels are as long as those of our units, so that its events are."""
    own = {"dockwarden.unit": "u0", "dockwarden.config-hash": "0123456789abcdef"}
    compose = {f"io.docker.compose.{key}": "u0" for key in ("project", "service", "name", "config-hash")}
    labels = {"bench.unit": "u0", **OFTEN}
    Docker(socket).run(name, "bench:1", {"Labels": {**labels, **own, **compose}})


def one_round(engine: FakeEngine, variants: dict[str, str], events: int, pace: str) -> dict[str, list[float]]:
    """All variants die equally often: one after the other in a row, or all mixed; in random order."""
    measured: dict[str, list[float]] = {variant: [] for variant in variants}
    deaths = [variant for variant in random.sample(list(variants), len(variants)) for _ in range(events)]
    if pace == "rested":
        random.shuffle(deaths)
    for variant in deaths:
        time.sleep(random.uniform(*PAUSES[pace]))
        measured[variant].append(engine.die(variants[variant], "u0") / 1e3)
    for variant, name in variants.items():
        if engine.count_listeners(name) != 1:
            raise BenchmarkError(f"{variant} has lost its engine")
    return measured
