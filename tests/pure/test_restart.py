"""The restart decision, by example and against a reference model."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from units.quantities import Instant, Seconds
from units.restart import After, CrashLoop, Death, GiveUp, Stay, decide
from units.spec import Policy, RestartPolicy
from units.unit import Budget

ALWAYS = RestartPolicy(Policy.ALWAYS)


def crash(ran_for: float, code: int = 1) -> Death:
    return Death(Seconds(ran_for), code, f"exit code {code}", clean=code == 0)


def series(policy: RestartPolicy, runs: list[float], jitter: float = 0.5) -> list[float | str]:
    """Delays (or the verdict's name) for runs of these lengths, one after the other, each restarted after its delay."""
    now, budget, told = 1000.0, Budget(), list[float | str]()
    for ran_for in runs:
        now += ran_for
        judged = decide(policy, budget, crash(ran_for), Instant(now), jitter)
        if not isinstance(judged, After):
            told.append(type(judged).__name__)
            break
        told.append(round(judged.delay, 6))
        now += judged.delay
        budget = replace(judged.budget, restarts=(*judged.budget.restarts, Instant(now)))
    return told


def test_the_first_restart_is_immediate_and_the_next_ones_double() -> None:
    """0, 0.2, 0.4, 0.8, 1.6 s; the sixth death within a minute is a crash loop."""
    assert series(ALWAYS, [0.1] * 6) == [0, 0.2, 0.4, 0.8, 1.6, "CrashLoop"]


def test_a_good_run_makes_the_next_restart_immediate_again() -> None:
    """Ten seconds of running forgive the delays before it."""
    assert series(ALWAYS, [0.1, 0.1, 10, 0.1]) == [0, 0.2, 0, 0.2]


def test_a_unit_that_dies_just_after_the_reset_window_does_not_look_fresh_for_ever() -> None:
    """After a delay of 8 s a run of 11 s is no good run: twice the delay is asked."""
    lenient = replace(ALWAYS, burst=0)
    assert series(lenient, [0.1] * 7 + [11]) == [0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8]


def test_delays_are_capped() -> None:
    """However often it dies, no delay before jitter is above 60 s."""
    assert series(replace(ALWAYS, burst=0), [0.1] * 80)[-1] == 60


def test_jitter_moves_a_delay_by_a_quarter_at_most() -> None:
    """The two ends of the die give 75 % and 125 %."""
    assert series(ALWAYS, [0.1, 0.1], jitter=0.0) == [0, 0.15]
    assert series(ALWAYS, [0.1, 0.1], jitter=1.0) == [0, 0.25]


def test_a_crash_loop_lasts_until_a_good_run() -> None:
    """A probe that dies at once leaves it in the loop, one that runs well ends it."""
    looping = Budget(6, (), Seconds(1.6), looping=True)
    assert isinstance(decide(ALWAYS, looping, crash(1), Instant(5000), 0.5), CrashLoop)
    assert isinstance(decide(ALWAYS, looping, crash(11), Instant(5000), 0.5), After)


def test_policies_say_who_runs_again() -> None:
    """No rests or gives up; on-failure rests after success and counts its retries; always always runs again."""

    def verdict(policy: Policy, code: int, *, retries: int = 0, failures: int = 0) -> type:
        rules = RestartPolicy(policy, max_retries=retries)
        return type(decide(rules, Budget(failures), crash(1, code), Instant(100), 0.5))

    assert verdict(Policy.NO, 0) is Stay
    assert verdict(Policy.NO, 1) is GiveUp
    assert verdict(Policy.ON_FAILURE, 0) is Stay
    assert verdict(Policy.ON_FAILURE, 1) is After
    assert verdict(Policy.ON_FAILURE, 1, retries=2, failures=1) is After
    assert verdict(Policy.ON_FAILURE, 1, retries=2, failures=2) is GiveUp
    assert verdict(Policy.ALWAYS, 0) is After
    assert verdict(Policy.UNLESS_STOPPED, 0) is After


def reference(delays: list[float], ran_for: float, policy: RestartPolicy) -> float:
    """The documented rule, written the slow way: the delay (before jitter) after a run, given all delays so far."""
    last = delays[-1] if delays else 0.0
    if not delays or ran_for >= max(policy.reset, 2 * last):
        return 0.0
    return min(policy.max_delay, policy.delay if last == 0 else last * 2)


@given(
    st.lists(st.floats(0.001, 300), min_size=1, max_size=40),
    st.floats(0, 0.999),
    st.floats(0.01, 5),
    st.floats(1, 60),
)
def test_delays_follow_the_documented_rule(runs: list[float], jitter: float, first: float, reset: float) -> None:
    """Without a start limit, each delay is the rule's, moved by no more than the jitter."""
    policy = RestartPolicy(Policy.ALWAYS, delay=Seconds(first), reset=Seconds(reset), burst=0)
    now, budget, delays = 0.0, Budget(), list[float]()
    for ran_for in runs:
        now += ran_for
        judged = decide(policy, budget, crash(ran_for), Instant(now), jitter)
        assert isinstance(judged, After)
        wanted = reference(delays, ran_for, policy)
        assert judged.budget.delay == wanted
        assert abs(judged.delay - wanted) <= wanted * policy.jitter + 1e-9
        delays.append(wanted)
        budget = judged.budget


@given(st.lists(st.floats(0.001, 30), min_size=1, max_size=60), st.integers(1, 8), st.floats(1, 120))
def test_restarts_in_any_window_stay_within_the_burst(runs: list[float], burst: int, interval: float) -> None:
    """No window of the policy's interval ever holds more restarts than the burst."""
    policy = RestartPolicy(Policy.ALWAYS, burst=burst, interval=Seconds(interval), probe=Seconds(interval))
    now, budget, restarts = 0.0, Budget(), list[float]()
    for ran_for in runs:
        now += ran_for
        judged = decide(policy, budget, crash(ran_for), Instant(now), 0.5)
        now += judged.delay if isinstance(judged, After) else policy.probe
        restarts.append(now)
        window = tuple(at for at in judged.budget.restarts if now - at < interval)
        budget = replace(judged.budget, restarts=(*window, Instant(now)))
    for last in restarts:
        assert sum(1 for at in restarts if 0 <= last - at < interval) <= burst
