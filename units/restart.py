"""The restart decision: whether and when a unit that died runs again. A value with a reason; it keeps no state."""

from typing import TypeAlias

from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.spec import Policy, RestartPolicy
from units.unit import Budget
from units.words import duration


@dataclass(frozen=True, slots=True)
class Death:
    """How a run ended."""

    ran_for: Seconds
    exit_code: int | None
    """``None``: unknown (the container was removed, or never came up)."""
    what: str
    """In words, for people."""
    clean: bool = False
    """It ended by itself, with success."""
    proved: bool = True
    """It was ready in this run, or has no check that could say so."""


@dataclass(frozen=True, slots=True)
class After:
    """Run again, after this delay (0: at once)."""

    delay: Seconds
    budget: Budget
    reason: str


@dataclass(frozen=True, slots=True)
class CrashLoop:
    """It was restarted too often: retried every ``probe`` seconds."""

    probe: Seconds
    budget: Budget
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Its policy does not let it run again."""

    budget: Budget
    reason: str


@dataclass(frozen=True, slots=True)
class Stay:
    """It finished with success, and its policy does not restart it."""

    budget: Budget
    reason: str


Verdict: TypeAlias = After | CrashLoop | GiveUp | Stay


def recent(restarts: tuple[Instant, ...], interval: Seconds, now: Instant) -> tuple[Instant, ...]:
    """Those that lie within ``interval`` before ``now``."""
    return tuple(at for at in restarts if now - at < interval)


def spread(delay: float, fraction: float, jitter: float) -> Seconds:
    """``delay`` moved by up to ``fraction`` of itself; ``jitter`` is drawn from [0, 1)."""
    return Seconds(delay * (1 + fraction * (2 * jitter - 1)))


def good_run(policy: RestartPolicy, budget: Budget, *, proved: bool) -> Seconds:
    """How long a run must have lasted so that the deaths before it no longer count."""
    return Seconds(max(policy.reset, 2 * budget.delay, 0 if proved else policy.probe))


def decide(policy: RestartPolicy, budget: Budget, death: Death, now: Instant, jitter: float) -> Verdict:
    """Decide what the policy says of this death, and the budget that is left.

    Args:
        policy: The restart policy of the unit.
        budget: The budget before this death.
        death: How the run ended.
        now: When.
        jitter: Drawn from [0, 1).

    A run is good when it lasted ``max(policy.reset, 2 x the delay before it)``: a unit that dies a little after each
    reset window must not look fresh for ever. Nor must one that takes longer than that to find that it cannot serve: a
    run that was never ready is good only when it outlasted ``policy.probe``.
    """
    good = death.ran_for >= good_run(policy, budget, proved=death.proved)
    failures = 0 if good else budget.failures
    window = recent(budget.restarts, policy.interval, now)
    left = Budget(failures + 1, window, Seconds(0), looping=budget.looping and not good)
    if death.clean and policy.policy in {Policy.NO, Policy.ON_FAILURE}:
        return Stay(replace(left, failures=0), death.what)
    if policy.policy is Policy.NO:
        return GiveUp(left, f"{death.what}; not restarted (restart policy: no)")
    if policy.policy is Policy.ON_FAILURE and 0 < policy.max_retries <= failures:
        return GiveUp(left, f"{death.what}; gave up after {failures} restarts (on-failure:{policy.max_retries})")
    if left.looping or (policy.burst and len(window) >= policy.burst):
        reason = f"{death.what}; " + (
            "still in a crash loop"
            if left.looping
            else f"crash loop: {len(window)} restarts in {duration(policy.interval)}"
        )
        return CrashLoop(policy.probe, replace(left, looping=True), reason)
    if failures == 0:
        return After(Seconds(0), left, death.what)
    # The exponent is bounded: 2 ** 40 times any delay is beyond any cap, and floats stay exact that far.
    delay = Seconds(min(policy.max_delay, policy.delay * 2 ** min(failures - 1, 40)))
    return After(spread(delay, policy.jitter, jitter), replace(left, delay=delay), death.what)


AFTERWARDS = 0.001
"""Seconds past a turn of the verdict: sums of floats must not fall just before it."""
