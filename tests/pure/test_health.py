"""Checks of our own: what a row of answers comes to, and when the next question is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from units.health import (
    ENGINE,
    Check,
    CheckKind,
    Health,
    Standing,
    Tcp,
    asked_now,
    combine,
    first_pause,
    judge,
    pause,
)
from units.quantities import Seconds


def check(name: str = "web", kind: CheckKind = CheckKind.LIVENESS, **changes: object) -> Check:
    return Check(name, Tcp(80), kind, **changes)  # type: ignore[arg-type]


def told(answers: str, one: Check, *, ran_for: float = 100.0) -> list[Health]:
    """``+`` passes, ``-`` fails."""
    standing, seen = Standing(), []
    for answer in answers:
        standing = judge(one, standing, passed=answer == "+", ran_for=Seconds(ran_for))
        seen.append(standing.health)
    return seen


S, H, U = Health.STARTING, Health.HEALTHY, Health.UNHEALTHY


def test_failures_in_a_row_make_it_unhealthy_and_one_pass_healthy() -> None:
    assert told("--+-+---+", check()) == [S, S, H, H, H, H, H, U, H]


def test_several_passes_may_be_asked_for() -> None:
    assert told("++-+++", check(successes=3, retries=9)) == [S, S, S, S, S, H]
    assert told("+---+", check(successes=1, retries=3)) == [H, H, H, U, H]


def test_failures_in_the_start_period_count_for_nothing_until_it_has_passed() -> None:
    assert told("-----", check(retries=2), ran_for=29) == [S] * 5
    assert told("+--", check(retries=2), ran_for=29) == [H, H, U]


@given(st.text("+-", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_no_verdict_without_its_threshold(answers: str, retries: int, successes: int) -> None:
    """By counting from scratch: it is unhealthy only after ``retries`` failures, healthy only after its passes."""
    one = check(retries=retries, successes=successes)
    for index, health in enumerate(told(answers, one)):
        so_far = answers[: index + 1]
        if health is U:
            assert "-" * retries in so_far
        if so_far.endswith("-" * retries):
            assert health is U
        if so_far.endswith("+" * successes):
            assert health is H


def test_it_is_asked_more_often_until_it_has_passed() -> None:
    one = check(interval=Seconds(10), start_interval=Seconds(1))
    assert pause(one, Standing(), Seconds(5), 0.5) == pytest.approx(1)
    assert pause(one, Standing(Health.HEALTHY), Seconds(5), 0.5) == pytest.approx(10)
    assert pause(one, Standing(), Seconds(31), 0.5) == pytest.approx(10)
    assert first_pause(one, 0.0) == pytest.approx(0)
    assert first_pause(one, 0.5) == pytest.approx(0.5)


@given(st.floats(0, 1, exclude_max=True))
def test_intervals_are_spread_and_never_by_much(jitter: float) -> None:
    assert 9.5 <= pause(check(), Standing(Health.HEALTHY), Seconds(0), jitter) <= 10.5


def test_until_startup_has_passed_nothing_else_is_asked() -> None:
    checks = (check("up", CheckKind.STARTUP), check("live"), check("ready", CheckKind.READINESS))
    assert [one.name for one in asked_now(checks, {})] == ["up"]
    assert [one.name for one in asked_now(checks, {"up": Standing(H)})] == ["live", "ready"]


def test_what_all_checks_come_to() -> None:
    live, ready = check("live"), check("ready", CheckKind.READINESS)
    assert combine((), {}) is Health.NONE
    assert combine((), {ENGINE: H}) is H
    assert combine((live, ready), {}) is S
    assert combine((live, ready), {"live": H, "ready": H}) is H
    assert combine((live, ready), {"live": H, "ready": U}) is Health.UNREADY
    assert combine((live, ready), {"live": U, "ready": U}) is U
    assert combine((live, ready), {"live": H, "ready": H, ENGINE: U}) is U
    assert combine((live, ready), {"live": H, "ready": H, ENGINE: S}) is S
