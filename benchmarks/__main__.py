"""``python -m benchmarks [NAME]...``: measure, and print tables with ratios first."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from benchmarks import blackout, heal, hooks, memory, packages, probes, reaction, restart, scrape, storm, switch
from benchmarks.processes import BenchmarkError
from tests.bed.bed import BedError
from tests.bed.engines import EngineUnavailableError

PACKAGES = ("aiodocker", "aiohttp", "uvloop", "structlog", "prometheus_client", "pyyaml")


class Result(Protocol):
    def as_text(self) -> str: ...

    def as_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Effort:
    rounds: int
    quick: bool
    before: Path | None
    """Another checkout, to be measured beside this one."""


def measure_reaction(effort: Effort) -> Result:
    return reaction.measure(effort.rounds, 5 if effort.quick else 25, effort.before)


def measure_restart(effort: Effort) -> Result:
    return restart.measure(effort.rounds)


def measure_blackout(effort: Effort) -> Result:
    return blackout.measure(max(2, effort.rounds // 4))


def measure_memory(effort: Effort) -> Result:
    """A process weighs nearly the same each time."""
    return memory.measure(max(1, effort.rounds // 8), 200 if effort.quick else 2000)


def measure_switch(effort: Effort) -> Result:
    return switch.measure(max(2, effort.rounds // 4))


def measure_probes(effort: Effort) -> Result:
    return probes.measure(4 if effort.quick else 15)


def measure_heal(effort: Effort) -> Result:
    return heal.measure(max(2, effort.rounds // 5))


def measure_hooks(effort: Effort) -> Result:
    """Each variant runs alone for a while in each round."""
    return hooks.measure(max(3, effort.rounds // 4), 10 if effort.quick else 50)


def measure_scrape(effort: Effort) -> Result:
    return scrape.measure(max(2, effort.rounds // 2), 40 if effort.quick else 300)


def measure_packages(effort: Effort) -> Result:
    return packages.measure(effort.rounds, 5 if effort.quick else 25)


def measure_storm(effort: Effort) -> Result:
    return storm.measure(max(3, effort.rounds // 4), (10, 50) if effort.quick else storm.SIZES, effort.before)


BENCHMARKS: dict[str, Callable[[Effort], Result]] = {
    "reaction": measure_reaction,
    "storm": measure_storm,
    "restart": measure_restart,
    "blackout": measure_blackout,
    "memory": measure_memory,
    "switch": measure_switch,
    "probes": measure_probes,
    "heal": measure_heal,
    "hooks": measure_hooks,
    "scrape": measure_scrape,
    "packages": measure_packages,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="paired rounds (default: 40; memory does an eighth, switch and storm a quarter, scrape half)",
    )
    parser.add_argument("--quick", action="store_true", help="8 short rounds: does it run at all?")
    parser.add_argument(
        "--before", type=Path, metavar="DIRECTORY", help="another checkout, measured beside (reaction, storm)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement there")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is put away
    rounds = args.rounds or (8 if args.quick else 40)
    effort = Effort(rounds, args.quick, args.before)
    where = surroundings()
    print(", ".join(f"{key} {value}" for key, value in where.items()), end="\n\n", flush=True)
    results = {}
    for name in args.names or BENCHMARKS:
        try:
            result = BENCHMARKS[name](effort)
        except (BenchmarkError, BedError, EngineUnavailableError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(result.as_text(), end="\n\n", flush=True)
        results[name] = result.as_json()
    if args.json is not None:
        args.json.write_text(json.dumps({"surroundings": where, **results}, indent=1))
    return 0


def surroundings() -> dict[str, str]:
    """What the absolute figures belong to."""
    return {
        "kernel": platform.release(),
        "CPUs": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        platform.python_implementation(): platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


if __name__ == "__main__":
    sys.exit(main())
