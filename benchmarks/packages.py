"""What each of the five packages costs and brings: memory with one of them left out, and a reaction on either loop."""

import contextlib
import random
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.bare_imports import FIVE
from benchmarks.figures import Rounds, paired, percentile, pooled, table
from benchmarks.memory import sizes
from benchmarks.processes import fake_engine, module, running, scratch, tail, wait_for
from benchmarks.reaction import LABEL, one_round, run_a_container, wait_until_ready

ALL = "all five"
SETTLE = 0.5
"""Seconds from the last import to the loop's rest."""
UVLOOP, ASYNCIO = "bare protocol on uvloop", "bare protocol on asyncio"


@dataclass(frozen=True)
class Result:
    weights: Rounds
    """MiB, resident, of all five and of all but one."""
    reactions: Rounds
    """Microseconds."""

    def as_text(self) -> str:
        of_all = percentile(pooled(self.weights, ALL), 0.5)
        rows = []
        for variant in self.weights[0]:
            weight = percentile(pooled(self.weights, variant), 0.5)
            rows.append([variant, str(paired(self.weights, variant, ALL)), f"{weight:.1f}", f"{of_all - weight:.1f}"])
        weights = table(("imported", "RSS x all five", "RSS MiB", "less MiB"), rows)
        loops = table(
            ("die event -> start order, rested", "x asyncio", "p50 us"),
            [
                [one, str(paired(self.reactions, one, ASYNCIO)), f"{percentile(pooled(self.reactions, one), 0.5):.0f}"]
                for one in self.reactions[0]
            ],
        )
        return f"packages ({len(self.weights)} rounds)\n{weights}\n\n{loops}"

    def as_json(self) -> dict[str, Any]:
        return {"weights": {"unit": "MiB", "rounds": self.weights}, "loops": {"unit": "us", "rounds": self.reactions}}


def measure(rounds: int, events: int) -> Result:
    return Result([weigh() for _ in range(max(1, rounds // 8))], react(rounds, events))


def weigh() -> dict[str, list[float]]:
    """All at once, so that they share the same files."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        left_out: dict[str, list[str]] = {ALL: [], **{f"without {name}": [name] for name in FIVE}}
        pids, logs = {}, {}
        for number, variant in enumerate(random.sample(list(left_out), len(left_out))):
            logs[variant] = directory / f"{number}.log"
            command = module("benchmarks.bare_imports", *left_out[variant])
            pids[variant] = stack.enter_context(running(command, logs[variant])).pid
        for variant, log in logs.items():
            wait_for(f"{variant} is imported", lambda log=log: "imported" in log.read_text(), lambda log=log: tail(log))  # type: ignore[misc]
        time.sleep(SETTLE)
        return {variant: [sizes(pids[variant])["Rss"]] for variant in left_out}


def react(rounds: int, events: int) -> Rounds:
    variants = {ASYNCIO: "asyncio", UVLOOP: "uvloop"}
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine = stack.enter_context(fake_engine(directory, list(variants.values())))
        for name in variants.values():
            run_a_container(engine.sockets[name])
            command = module("benchmarks.raw_client", engine.sockets[name], LABEL, name)
            stack.enter_context(running(command, directory / f"{name}.log"))
        for name in variants.values():
            wait_until_ready(engine, name, 1, directory / f"{name}.log")
        one_round(engine, variants, 5, "rested")
        return [one_round(engine, variants, events, "rested") for _ in range(rounds)]
