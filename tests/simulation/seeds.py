"""Which histories are played, and on how many cores.

Half of the seeds are always the same: what passed yesterday passes today. The other half belong to the day (UTC), so
that time finds what a fixed set never would; they are printed, and ``--seed N`` plays any seed again.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import pytest

T = TypeVar("T")

A_DAY = 100_000
"""More seeds than are played on one day."""


def seeds_of(config: pytest.Config, share: int = 1) -> list[int]:
    """The fixed ones, then those of the day; only one with ``--seed``. ``share``: one history in so many."""
    seed = config.getoption("--seed")
    if seed is not None:
        return [int(seed)]
    count = int(config.getoption("--histories")) // share
    fixed = count - count // 2
    first = int(datetime.now(UTC).strftime("%Y%m%d")) * A_DAY
    return [*range(fixed), *range(first, first + count // 2)]


def named(seeds: list[int]) -> str:
    """``seeds 0 to 999, and of the day 2026113000000 to 2026113000999``."""
    fixed = [seed for seed in seeds if seed < A_DAY]
    daily = [seed for seed in seeds if seed >= A_DAY]
    parts = [f"{of}{some[0]} to {some[-1]}" for of, some in (("", fixed), ("of the day ", daily)) if some]
    return f"seeds {', and '.join(parts)}"


def play_all(play: Callable[[int], T], seeds: list[int]) -> list[T]:
    """What each seed gives, in their order, on all cores. ``play`` must be a function of a module."""
    if len(seeds) == 1:
        return [play(seeds[0])]
    # Forked children share what is loaded; this process has no thread when it forks them.
    context = multiprocessing.get_context("fork")
    chunk = max(1, min(25, len(seeds) // 16))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        return list(pool.map(play, seeds, chunksize=chunk))
