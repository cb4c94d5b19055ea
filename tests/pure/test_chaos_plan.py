"""Plans of chaos are drawn from their seed, are scripts that are read again, and shrink to what is needed."""

import pytest

from tests.chaos.injections import STRIKES
from tests.chaos.kinds import KINDS, Kind, Shape
from tests.chaos.plan import SHORTENED, Injection, Plan, PlanError, draw, read
from tests.chaos.shrink import shrunk, sooner

ENGINES = ("20.10", "26.1")
SEEDS = range(60)


@pytest.mark.parametrize("short", [False, True])
def test_a_plan_is_enough_bad_luck(short: bool) -> None:
    """Twenty injections or more of six kinds or more over 35 s or more, each of a kind that can happen there."""
    for seed in SEEDS:
        plan = draw(seed, ENGINES, short=short)
        assert plan == draw(seed, ENGINES, short=short)
        assert len(plan.injections) >= 20
        assert len({one.kind for one in plan.injections}) >= 6
        assert plan.injections[-1].at - plan.injections[0].at >= 35
        assert all(plan.shape in KINDS[one.kind].shapes for one in plan.injections)


def test_a_short_plan_is_mild() -> None:
    """Nothing in it lasts long."""
    for seed in SEEDS:
        plan = draw(seed, ENGINES, short=True)
        assert max(one.lasts for one in plan.injections) <= SHORTENED


def test_every_kind_and_shape_is_drawn_and_can_be_carried_out() -> None:
    drawn = {one.kind for seed in range(300) for one in draw(seed, ENGINES).injections}
    assert drawn == set(KINDS) == set(Kind) == set(STRIKES)
    assert {draw(seed, ENGINES).shape for seed in SEEDS} == set(Shape)
    assert {draw(seed, ENGINES).engine for seed in SEEDS} == set(ENGINES)


def test_a_plan_is_a_script() -> None:
    """Its text is read as the same plan; lines that begin with # say nothing."""
    for seed in SEEDS:
        plan = draw(seed, ENGINES)
        assert read(f"# found today\n{plan}\n") == plan


@pytest.mark.parametrize("text", ["", "seed 1 attached", "seed 1 attached 26.1 live-restore\n1.0 sing", "seed x y z w"])
def test_a_script_without_sense_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        read(text)


def plan_of(*injections: Injection) -> Plan:
    return Plan(1, Shape.ATTACHED, "26.1", live_restore=True, injections=injections)


def test_a_plan_shrinks_to_what_is_needed() -> None:
    """Two of twenty that go wrong together are found, and come soon after each other."""
    others = [Injection(float(at), Kind.RELOAD) for at in range(20)]
    others[3], others[17] = Injection(3.0, Kind.STOP, "beta"), Injection(17.0, Kind.KILL_ENGINE)
    tries = []

    def fails(plan: Plan) -> bool:
        tries.append(plan)
        return {Kind.STOP, Kind.KILL_ENGINE} <= {one.kind for one in plan.injections}

    smallest = shrunk(plan_of(*others), fails)
    assert smallest == plan_of(Injection(0.0, Kind.STOP, "beta"), Injection(6.0, Kind.KILL_ENGINE))
    assert len(tries) <= 40


def test_what_lasts_is_not_cut_short_by_shrinking() -> None:
    """What came while something lasted still does."""
    freeze, kill, late = (
        Injection(5, Kind.FREEZE_ENGINE, lasts=20),
        Injection(9, Kind.KILL, "beta"),
        Injection(70, Kind.CUT),
    )
    assert [one.at for one in sooner([freeze, kill, late])] == [0, 4, 26]
