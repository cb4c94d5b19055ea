"""``python -m tests.chaos [SEED]``: bad luck for a host, from a seed, a script, or the seeds of every run and the day.

python -m tests.chaos 17 --engine 26.1 --shape attached --shrink
python -m tests.chaos --script FILE
python -m tests.chaos --short
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from tests.bed import engines
from tests.bed.signals import heed_signals
from tests.chaos.kinds import LEFT_OUT, Shape
from tests.chaos.plan import Plan, draw, read
from tests.chaos.round import Outcome, play
from tests.chaos.shrink import shrunk

FIXED: tuple[tuple[int, Shape, str], ...] = (
    (1, Shape.ATTACHED, "26.1"),
    (2, Shape.EMBEDDED, "20.10"),
    (3, Shape.WATCH, "26.1"),
    (4, Shape.ATTACHED, "20.10"),
    (5, Shape.EMBEDDED, "26.1"),
    (6, Shape.USER, "20.10"),
)
"""What ``--short`` plays each time, and what must pass."""
SIDE_BY_SIDE = 2
"""How many hosts have bad luck at a time: of the machines that this has to pass on, the smallest have two cores."""


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    if options.short:
        return play_short()
    if options.script:
        plan = read(options.script.read_text())
    else:
        shape = Shape(options.shape) if options.shape else None
        plan = draw(options.seed, engines.default_versions(), shape=shape, engine=options.engine, short=options.mild)
    print(plan, flush=True)
    outcome = play(plan, lambda line: print(line, flush=True))
    told(outcome, aloud=False)
    print("\n".join(outcome.complaints))
    if not outcome.well and options.shrink:
        smallest = shrunk(plan, still_fails, options.tries)
        print(f"\nthe shortest that still goes wrong:\n{smallest}")
    return 0 if outcome.well else 1


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seed", type=int, nargs="?", default=seed_of_the_day(), help="default: that of the day (UTC)")
    parser.add_argument("--engine", choices=engines.default_versions(), help="default: as drawn")
    parser.add_argument("--shape", choices=[shape.value for shape in Shape], help="default: as drawn")
    parser.add_argument("--script", type=Path, help="play this plan instead of a seed's")
    parser.add_argument("--shrink", action="store_true", help="look for the shortest plan that still goes wrong")
    parser.add_argument("--tries", type=int, default=40, help="how many plans to play for that (40)")
    parser.add_argument("--mild", action="store_true", help="nothing lasts long, nothing that is known to go wrong")
    parser.add_argument("--short", action="store_true", help="the fixed seeds, which must pass, and that of the day")
    return parser.parse_args(arguments)


def seed_of_the_day() -> int:
    return int(datetime.now(UTC).strftime("%Y%m%d"))


def still_fails(plan: Plan) -> bool:
    outcome = play(plan)
    print(f"{len(plan.injections)} injections: {'well' if outcome.well else outcome.complaints[0]}", flush=True)
    return not outcome.well


def play_short() -> int:
    """The fixed seeds decide; the one of the day is only told."""
    began = time.monotonic()
    for kind, (shapes, reason) in LEFT_OUT.items():
        print(f"not drawn: {kind} ({', '.join(sorted(shapes))}), for {reason}")
    known = engines.default_versions()
    plans = [draw(seed, known, shape=shape, engine=engine, short=True) for seed, shape, engine in FIXED]
    # A process each, for a bed belongs to the thread that made it; most of the time they wait.
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=get_context("spawn")) as pool:
        *fixed, today = pool.map(play, [*plans, draw(seed_of_the_day(), known, short=True)])
    for outcome in (*fixed, today):
        told(outcome, aloud=outcome is not today and not outcome.well)
    failed = sum(not outcome.well for outcome in fixed)
    failed_part = f"{failed} failed, " if failed else ""
    print(f"{failed_part}{len(fixed) - failed} passed in {time.monotonic() - began:.2f}s")
    return 1 if failed else 0


def told(outcome: Outcome, *, aloud: bool) -> None:
    plan = outcome.plan
    verdict = "well" if outcome.well else f"{len(outcome.complaints)} complaints"
    print(f"seed {plan.seed} ({plan.shape}, {plan.engine}): {verdict}, in {outcome.seconds:.0f} s", flush=True)
    if aloud:
        print("\n".join(["", *outcome.done, "", *outcome.complaints]), flush=True)
    if not outcome.well:
        kept = engines.cache_directory() / "chaos" / f"{plan.seed}-{plan.shape}-{plan.engine}.txt"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(outcome.as_text())
        print(f"kept in {kept}", flush=True)


if __name__ == "__main__":
    heed_signals()
    sys.exit(main(sys.argv[1:]))
