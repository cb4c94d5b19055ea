"""``python -m tests.chaos [SEED]``: bad luck for a host, from a seed, a script, or the seeds of every run and the day.

python -m tests.chaos 17 --engine 26.1 --shape attached --shrink
python -m tests.chaos 17 --rounds 20
python -m tests.chaos --script FILE
python -m tests.chaos --short
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from tests.bed import engines
from tests.bed.signals import end_with_parent, heed_signals
from tests.chaos.kinds import Shape
from tests.chaos.plan import Plan, draw, read
from tests.chaos.round import Outcome, play
from tests.chaos.shrink import shrunk

FIXED: tuple[tuple[int, Shape, str], ...] = (
    (1, Shape.ATTACHED, "26.1"),
    (2, Shape.EMBEDDED, "20.10"),
    (3, Shape.WATCH, "26.1"),
    (4, Shape.ATTACHED, "20.10"),
    (6, Shape.USER, "20.10"),
)
"""What ``--short`` plays each time, and what must pass."""
SIDE_BY_SIDE = 3
"""How many hosts have bad luck at a time, on two cores: most of the time they wait."""


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    known = engines.default_versions()
    if options.short:
        plans = [draw(seed, known, shape=shape, engine=engine, short=True) for seed, shape, engine in FIXED]
        return play_all(plans, draw(seed_of_the_day(), known, short=True))
    shape = Shape(options.shape) if options.shape else None
    if options.script:
        plans = [read(options.script.read_text())]
    else:
        seeds = range(options.seed, options.seed + options.rounds)
        plans = [draw(seed, known, shape=shape, engine=options.engine, short=options.mild) for seed in seeds]
    if len(plans) > 1:
        return play_all(plans)
    (plan,) = plans
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
    parser.add_argument("--rounds", type=int, default=1, help="this seed, and those that follow it: so many (1)")
    parser.add_argument("--shrink", action="store_true", help="look for the shortest plan that still goes wrong")
    parser.add_argument("--tries", type=int, default=40, help="how many plans to play for that (40)")
    parser.add_argument("--mild", action="store_true", help="nothing lasts long")
    parser.add_argument("--short", action="store_true", help="the fixed seeds, which must pass, and that of the day")
    return parser.parse_args(arguments)


def seed_of_the_day() -> int:
    return int(datetime.now(UTC).strftime("%Y%m%d"))


def still_fails(plan: Plan) -> bool:
    outcome = play(plan)
    print(f"{len(plan.injections)} injections: {'well' if outcome.well else outcome.complaints[0]}", flush=True)
    return not outcome.well


def play_all(plans: Sequence[Plan], told_only: Plan | None = None) -> int:
    """Several hosts at a time. All plans decide but ``told_only``, which is played last.

    With it (the seeds of every run) one that fails is told, kept, and played once more: times are real, so a plan is
    another history each time, and a machine that stands still for seconds is no fault of the supervisor.
    """
    began = time.monotonic()
    failed: list[Plan] = []
    # A process each, for a bed belongs to the thread that made it.
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        for outcome in pool.map(play, [*plans, *([told_only] if told_only else [])]):
            decides = outcome.plan != told_only
            told(outcome, aloud=decides and not outcome.well)
            failed += [outcome.plan] if decides and not outcome.well else []
        if told_only and failed:
            again = list(pool.map(play, failed))
            for outcome in again:
                told(outcome, aloud=not outcome.well)
            print(f"played twice: {', '.join(str(plan.seed) for plan in failed)}")
            failed = [outcome.plan for outcome in again if not outcome.well]
    failed_part = f"{len(failed)} failed, " if failed else ""
    print(f"{failed_part}{len(plans) - len(failed)} passed in {time.monotonic() - began:.2f}s")
    return 1 if failed else 0


def told(outcome: Outcome, *, aloud: bool) -> None:
    plan = outcome.plan
    complaints = len(outcome.complaints)
    verdict = f"{complaints} complaint{'s'[: complaints != 1]}" if complaints else "well"
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
