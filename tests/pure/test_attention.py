"""What of a host needs a person: the order of looking, and the one sentence."""

from typing import Any

import pytest

from supervisor.views.severity import Level, headline, in_order, level

UP: dict[str, Any] = {"up": True, "version": "26.1", "reason": "serving"}
BOSS: dict[str, Any] = {"draining": False}


def unit(name: str, state: str = "ready", **more: Any) -> dict[str, Any]:
    known = {
        "kind": "service",
        "health": "none",
        "flapping": False,
        "since": "2026-01-02T03:12:00.000Z",
        "reason": "why",
    }
    return {"name": name, "state": state, **known, **more}


@pytest.mark.parametrize(
    ("units", "said", "worst"),
    [
        ([], "there are no units", Level.UP),
        ([unit("a")], "the unit is up", Level.UP),
        ([unit("a"), unit("b", "completed")], "all 2 units are up", Level.UP),
        ([unit("a"), unit("b", "inactive")], "1 of 2 units is up, 1 is not wanted", Level.UP),
        ([unit("a"), unit("b", "starting")], "1 of 2 units is up: b is starting", Level.ON_ITS_WAY),
        ([unit("a"), unit("b", "crash-loop")], "1 unit needs attention: b is in a crash loop", Level.NEEDS_YOU),
        (
            [unit("d", "starting"), unit("c", health="unhealthy"), unit("b", "failed"), unit("a", "image-missing")],
            "3 units need attention: a has no image, b has failed, and 1 more",
            Level.NEEDS_YOU,
        ),
        ([unit("a", health="unhealthy")], "1 unit needs attention: a is unhealthy", Level.NEEDS_YOU),
        ([unit("a", flapping=True)], "1 unit needs attention: a is flapping", Level.NEEDS_YOU),
    ],
)
def test_the_sentence(units: list[dict[str, Any]], said: str, worst: Level) -> None:
    """It counts, names at most two, and is no better than the worst of them."""
    head = headline(UP, BOSS, units)
    assert (head.text, head.level) == (said, worst)


def test_a_single_one_is_told_in_full() -> None:
    head = headline(UP, BOSS, [unit("a"), unit("b", "failed")])
    assert (head.since, head.reason) == ("2026-01-02T03:12:00.000Z", "why")


def test_the_engine_and_the_end_of_the_host_come_first() -> None:
    """What is above all units explains them all."""
    ill = [unit("a", "failed")]
    down = {**UP, "up": False, "reason": "connection refused"}
    assert headline(down, BOSS, ill).text == "the engine does not answer"
    assert headline(down, BOSS, ill).reason == "connection refused"
    assert headline({**down, "version": None}, BOSS, ill).level is Level.ON_ITS_WAY  # A boot begins so.
    assert headline(down, {"draining": True}, [unit("a")]).text == "the host goes down; 1 unit left to stop"


def test_a_switch_is_told_while_it_goes_well() -> None:
    switch = {"of": "console", "origin": "default", "target": "debian", "step": "proving", "since": "2026"}
    assert headline(UP, BOSS, [unit("a")], switch).text == "a switch of the console: default to debian, proving"
    assert headline(UP, BOSS, [unit("a", "failed")], switch).level is Level.NEEDS_YOU


def test_what_needs_you_is_first_then_by_name() -> None:
    units = [unit("d"), unit("c", "inactive"), unit("b", "crash-loop"), unit("a", "waiting"), unit("aa")]
    assert [one["name"] for one in in_order(units)] == ["b", "a", "aa", "d", "c"]


def test_a_oneshot_at_work_is_on_its_way() -> None:
    """And a service without checks that runs is up."""
    assert level(unit("a", "running", kind="oneshot")) is Level.ON_ITS_WAY
    assert level(unit("a", "running")) is Level.UP
    assert level(unit("a", "running", health="starting")) is Level.ON_ITS_WAY
