"""A signal counts when the engine has taken it, and who is found dead has stopped."""

from dataclasses import replace

import pytest

from tests.pure.story import Story, seen, spec
from units import events as fact
from units.host import ENGINE_STOP
from units.memory import Clocks, recall, remember
from units.quantities import Instant
from units.spec import UnitName
from units.unit import Failure, Phase, StoppedBy

WEB = UnitName("web")


def restarting() -> Story:
    story = Story.of(spec("web"))
    story.connect()
    story.up("web").later(60)
    assert story.feed(fact.RestartAsked(WEB)) == "web: ready -> stopping\nsignal web-1 SIGTERM\narm web kill 10"
    return story


def due(story: Story) -> str:
    return story.feed(fact.KillDue(WEB, story.token("web")))


def unanswered(story: Story, failure: Failure = Failure.TIMEOUT) -> str:
    return story.feed(fact.SignalFailed(WEB, story.id("web"), failure, "no answer within 10 s"))


def unkillable() -> Story:
    story = restarting()
    story.killed("web", 15)
    for _ in range(3):
        assert "signal web-1 SIGKILL" in due(story.later(10))
        story.killed("web", 9)
    assert due(story.later(10)) == "web: stopping -> failed"
    return story


def test_no_answer_is_no_try() -> None:
    """The engine is frozen for a while: the signal is repeated, SIGKILL has no turn, and the restart is made."""
    story = restarting()
    for _ in range(5):
        assert due(story.later(10)) == "signal web-1 SIGTERM\narm web kill 11"
        assert "arm web kill 1" in unanswered(story)
    assert (story.unit("web").phase, story.unit("web").kills) == (Phase.STOPPING, 0)
    assert story.later(1).killed("web", 15) == "arm web kill 10"
    assert "start web-1" in story.died("web", 0)


def test_only_a_kill_that_was_taken_counts() -> None:
    """Three of them; what was only ordered is repeated, and costs nothing."""
    story = restarting()
    story.killed("web", 15)
    assert due(story.later(10)) == "signal web-1 SIGKILL\narm web kill 2"
    for _ in range(5):
        assert due(story.later(11)) == "signal web-1 SIGKILL\narm web kill 11"
    assert story.unit("web").kills == 0


def test_a_signal_that_the_engine_does_not_know_gives_way_to_sigkill() -> None:
    story = restarting()
    unanswered(story, Failure.OTHER)
    assert "SIGKILL" in due(story.later(10))


def test_an_unkillable_one_that_ends_at_last_is_started_where_a_restart_was_wanted() -> None:
    story = unkillable()
    assert story.look(seen("web")) == ""  # The same run: it is still what could not be killed.
    assert "start web-1" in story.died("web", 137)


@pytest.mark.parametrize("make", [restarting, unkillable])
def test_who_is_found_exited_has_stopped(make: object) -> None:
    """Where the stream does not tell, a snapshot does; then it is started, for that is what a restart is."""
    story = make()  # type: ignore[operator]
    assert "start web-1" in story.later(1).look(seen("web", running=False))


def test_another_supervisor_looks_again_at_what_could_not_be_killed() -> None:
    story = unkillable()
    clocks = Clocks(Instant(story.now), 1000.0)
    (unit,) = recall([spec("web")], remember(story.world, clocks), clocks, same_boot=True, same_host_boot=True)
    assert (unit.phase, unit.container) == (Phase.WAITING, story.id("web"))


def test_a_person_s_stop_of_what_is_being_restarted_stays() -> None:
    """Ours is a signal; only a person's is told as ``stop``, which 26.1 does before the death (chaos, seed 476)."""
    story = restarting()
    story.killed("web", 15)
    story.killed("web", 15)
    story.stopped("web")
    assert story.died("web", 0) == "web: stopping -> inactive"
    assert story.unit("web").stopped_by is StoppedBy.OUTSIDE
    assert story.unit("web").reason == "stopped from outside (docker stop)"


def test_an_engine_that_goes_down_just_then_has_stopped_it_itself() -> None:
    """It tells ``stop`` of all that it ends with itself; the death may come too late to be heard."""
    story = restarting()
    story.killed("web", 15)
    story.later(ENGINE_STOP + 1).stopped("web")
    story.feed(fact.EngineLost("the connection was cut"))
    assert (story.unit("web").wanted, story.unit("web").stopped_by) == (True, StoppedBy.NOBODY)
    assert "start web-1" in story.connect(replace(seen("web"), running=False, exit_code=143))


def test_what_the_engine_stops_of_itself_is_still_restarted() -> None:
    story = restarting()
    story.feed(fact.ContainerStopped(WEB, story.id("web"), unserved=True))
    assert story.died("web", 0).startswith("web: stopping -> starting")
