"""How long a host takes to bring back many containers that are killed at once, on a real engine.

As in ``restart``, with fifty containers of each variant; all of one variant are killed within a millisecond or two, and
what counts is the first instruction of the last one. Docker's restart policy is the peer: it works inside the engine.
"""

import random
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Rounds, paired, quantiles, table
from benchmarks.processes import boot_command, module
from benchmarks.restart import (
    LOOP,
    OURS,
    POLICY,
    SETTLE,
    VERSION,
    Lives,
    hear_first,
    names,
    popen,
    run_containers,
    services,
    stamping,
)

COUNT = 50
VARIANTS = {LOOP: "aio", POLICY: "policy", OURS: "ours"}
REST = 2.0
"""Seconds after all live again."""


@dataclass(frozen=True)
class Result:
    rounds: Rounds
    """Milliseconds until the last one lives."""

    def as_text(self) -> str:
        rows = [
            [
                variant,
                str(paired(self.rounds, variant, POLICY)),
                *quantiles(self.rounds, variant, 0.1, 0.5, 0.9),
            ]
            for variant in VARIANTS
        ]
        head = (f"{COUNT} killed -> last first instruction", "x policy, paired", "p10 ms", "p50 ms", "p90 ms")
        return f"blackout (engine {VERSION}, {len(self.rounds)} rounds)\n{table(head, rows)}"

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "engine": VERSION, "count": COUNT, "rounds": self.rounds}


def measure(rounds: int) -> Result:
    with stamping() as (bed, stamps, heard, engine):
        logs = {
            "aio": popen(bed, "aio", module("benchmarks.aio_client", engine.socket, "bench=aio")),
            "ours": popen(bed, "ours", boot_command(engine.socket, bed.dir / "d", services(stamps, COUNT))),
        }
        run_containers(engine, "aio", stamps, count=COUNT)
        run_containers(engine, "policy", stamps, "always", count=COUNT)
        hear_first(heard, len(VARIANTS) * COUNT, logs)
        time.sleep(SETTLE)
        return Result([_round(heard) for _ in range(rounds + 1)][1:])


def _round(heard: Lives) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {}
    for variant in random.sample(list(VARIANTS), len(VARIANTS)):
        measured[variant] = [heard.kill_all(names(VARIANTS[variant], COUNT))]
        time.sleep(REST)
    return {variant: measured[variant] for variant in VARIANTS}
