"""System Docker as the core sees it: started, judged when it ends, hung, and ended after all units."""

import pytest

from tests.pure.story import Story, spec
from units import engine_events
from units import events as fact
from units.quantities import Instant, Seconds
from units.records import replace
from units.spec import SYSTEM_DOCKER, UnitName
from units.unit import Phase, Reason, Unit
from units.world import fresh_engine, new_world

NAME = SYSTEM_DOCKER


def host(*names: str, ours: bool = True) -> Story:
    story = Story.of(*(spec(name) for name in names))
    story.world = replace(story.world, engine=fresh_engine(Instant(100), ours=ours))
    return story


def engine(story: Story) -> Unit:
    return story.world.engine


def feed(story: Story, event: fact.Event) -> str:
    """Take one event; the engine's own moves in one line, then everything else."""
    rest = story.feed(event)
    assert story.last is not None
    moves = [f"{moved.before.phase} -> {moved.after.phase}" for moved in story.last.engine]
    return "\n".join([*moves, *([rest] if rest else [])])


def started(story: Story, pid: int = 7, *, adopted: bool = False) -> str:
    return feed(story, engine_events.DaemonStarted(NAME, pid, adopted=adopted))


def ended(story: Story, code: int | None = 137, pid: int = 7, said: str = "") -> str:
    return feed(story, engine_events.DaemonEnded(NAME, pid, code, said))


def serving(*names: str) -> Story:
    """Started, answering, and its units are up."""
    story = host(*names)
    feed(story, engine_events.DaemonAbsent(NAME))
    started(story)
    story.connect()
    for name in names:
        story.created(name)
        story.started(name)
    return story


def test_it_is_started_when_none_was_found_and_serves_when_it_answers() -> None:
    story = host()
    assert feed(story, engine_events.DaemonAbsent(NAME)) == ("absent -> starting\nStartDaemon(unit='system-docker')")
    assert started(story) == ""
    assert engine(story).reason == "dockerd (pid 7) started; it has not answered yet"
    feed(story, fact.EngineBack("26.1"))
    assert feed(story, fact.SnapshotTaken((), "connect", story.seq)) == "starting -> serving"
    assert (engine(story).reason, engine(story).pid) == ("answers (version 26.1, pid 7)", 7)


def test_one_that_lives_is_adopted_and_none_is_started() -> None:
    story = host()
    assert started(story, adopted=True) == "absent -> starting"
    assert engine(story).reason == (
        "dockerd (pid 7) adopted, a previous supervisor started it; it has not answered yet"
    )
    story.connect()
    assert (engine(story).phase, engine(story).restarts) == (Phase.SERVING, 0)


def test_its_first_death_is_answered_at_once_and_counts_as_a_restart() -> None:
    story = serving()
    story.later(60)
    assert ended(story, said="out of disk") == "serving -> lost\narm system-docker retry 0"
    assert engine(story).reason == "dockerd (pid 7) was killed by SIGKILL: out of disk; started again at once"
    assert (engine(story).exit_code, engine(story).pid) == (137, None)
    due = fact.RetryDue(NAME, engine(story).token)
    assert feed(story, due) == "lost -> starting\nStartDaemon(unit='system-docker')"
    started(story, 8)
    assert story.last is not None
    assert [moved.restart for moved in story.last.engine] == [Reason.EXIT]
    assert engine(story).restarts == 1


def test_its_deaths_are_judged_as_a_units_are() -> None:
    """The first restart is immediate, the next ones wait twice as long each, the eleventh death is a crash loop."""
    story = host()
    feed(story, engine_events.DaemonAbsent(NAME))
    delays = []
    for pid in range(7, 18):
        started(story, pid)
        ended(story, 1, pid)
        assert story.last is not None
        delays.append(round(story.last.commands[0].delay, 3))  # type: ignore[union-attr]
        if engine(story).phase is Phase.CRASH_LOOP:
            break
        story.later(delays[-1])
        feed(story, fact.RetryDue(NAME, engine(story).token))
    assert delays == [0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60]
    assert engine(story).reason.startswith("crash loop: dockerd (pid 17) exited with code 1; ")
    assert engine(story).reason.endswith("; next try in 60 s")
    story.later(60)
    assert feed(story, fact.RetryDue(NAME, engine(story).token)).startswith("crash-loop -> starting")


def test_a_start_that_fails_is_tried_again() -> None:
    story = host()
    feed(story, engine_events.DaemonAbsent(NAME))
    assert feed(story, engine_events.DaemonStartFailed(NAME, "no executable /x")).startswith("starting -> lost")
    assert engine(story).reason == "no executable /x; started again at once"


def test_the_end_of_an_adopted_one_has_no_exit_code() -> None:
    story = host()
    started(story, adopted=True)
    ended(story, None)
    assert engine(story).reason == (
        "dockerd (pid 7) ended (exit code unknown: a previous supervisor started it); started again at once"
    )


def test_the_end_of_an_earlier_process_is_no_news() -> None:
    story = serving()
    assert ended(story, pid=6) == ""
    assert engine(story).phase is Phase.SERVING


def test_a_stream_that_ended_is_no_hung_engine_until_a_second_is_over() -> None:
    """Its process's end is often told a moment later."""
    story = serving()
    assert feed(story, fact.EngineLost("the stream ended")) == "arm system-docker verdict 1"
    assert engine(story).phase is Phase.SERVING
    assert engine(story).reason == "the stream ended; checking whether dockerd still runs"
    token = engine(story).token
    assert ended(story).startswith("serving -> lost")
    assert feed(story, fact.VerdictDue(NAME, token)) == ""

    story = serving()
    feed(story, fact.EngineLost("the stream ended"))
    assert feed(story, fact.VerdictDue(NAME, engine(story).token)) == "serving -> hung"
    assert engine(story).reason == "dockerd (pid 7) runs and does not answer: the stream ended"
    story.connect()
    assert engine(story).phase is Phase.SERVING


def test_a_stream_that_is_back_within_the_second_clears_the_doubt() -> None:
    story = serving()
    feed(story, fact.EngineLost("the stream ended"))
    token = engine(story).token
    story.connect()
    assert feed(story, fact.VerdictDue(NAME, token)) == ""
    assert engine(story).phase is Phase.SERVING


def test_an_open_stream_and_no_answer_is_hung_until_the_next_answer() -> None:
    story = serving()
    assert feed(story, engine_events.EngineStalled("no answer in 30 s")) == "serving -> hung"
    assert story.world.engine_up
    assert not story.world.serving
    assert feed(story, fact.SnapshotTaken((), "period", story.seq)) == "hung -> serving"
    assert story.world.serving


@pytest.mark.parametrize("at", ["absent", "starting", "serving", "hung", "lost", "crash-loop"])
def test_it_is_stopped_with_the_host_wherever_it_stands(at: str) -> None:
    """A signal for a process that is not there is answered by the fact that there is none."""
    story = host()
    story.world = replace(story.world, engine=replace(engine(story), phase=Phase(at)))
    said = feed(story, fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert said == (
        f"{at} -> stopping\nSignalDaemon(unit='system-docker', signal='SIGTERM')\narm system-docker kill 30"
    )
    assert not story.world.drained
    assert feed(story, engine_events.DaemonAbsent(NAME)) == "stopping -> stopped"
    assert story.world.drained


def test_it_ends_after_the_last_unit() -> None:
    story = serving("web")
    feed(story, fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert engine(story).phase is Phase.SERVING
    said = feed(story, fact.ContainerDied(UnitName("web"), story.id("web"), 0))
    assert said.splitlines()[:2] == ["serving -> stopping", "web: stopping -> inactive"]
    assert not story.world.drained
    assert ended(story, 0) == "stopping -> stopped"
    assert story.world.drained


def test_it_ends_though_a_unit_does_not_when_there_is_no_more_time() -> None:
    story = serving("web")
    feed(story, fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert feed(story, fact.ShutdownOverdue()).startswith("serving -> stopping")
    ended(story, 0)
    assert story.world.drained


def test_one_that_ignores_its_stop_is_killed_and_then_left() -> None:
    story = serving()
    feed(story, fact.ShutdownAsked("SIGTERM", Seconds(60)))
    assert feed(story, fact.KillDue(NAME, engine(story).token)) == (
        "SignalDaemon(unit='system-docker', signal='SIGKILL')\narm system-docker kill 10"
    )
    assert feed(story, fact.KillDue(NAME, engine(story).token)) == "stopping -> failed"
    assert engine(story).reason == "dockerd (pid 7) is still running after SIGKILL; probably stuck in I/O (D state)"
    assert story.world.drained
    assert ended(story) == "failed -> stopped"


def test_one_whose_start_was_under_way_is_stopped_all_the_same() -> None:
    """Its orders follow one another: the signal reaches the process that was started before it."""
    story = host()
    feed(story, engine_events.DaemonAbsent(NAME))
    assert feed(story, fact.ShutdownAsked("SIGTERM", Seconds(60))).startswith("starting -> stopping")
    assert started(story) == ""
    assert ended(story, 0) == "stopping -> stopped"


def test_an_engine_that_is_not_ours_is_only_looked_at() -> None:
    story = host(ours=False)
    assert engine(story).phase is Phase.CONNECTING
    assert feed(story, fact.EngineLost("connection refused")) == ""
    assert engine(story).reason == "connection refused"
    story.connect()
    assert (engine(story).phase, engine(story).reason) == (Phase.SERVING, "answers (version 26.1)")
    assert feed(story, fact.EngineLost("the stream ended")) == "serving -> lost"
    story.connect()
    assert engine(story).phase is Phase.SERVING
    assert feed(story, fact.ShutdownAsked("SIGTERM", Seconds(60))) == ""
    assert (engine(story).phase, story.world.drained) == (Phase.SERVING, True)


@pytest.mark.parametrize("ask", [fact.StartAsked, fact.StopAsked, fact.RestartAsked, fact.ResetAsked])
def test_a_person_does_not_start_or_stop_it(ask: type[fact.StopAsked]) -> None:
    story = serving()
    assert feed(story, ask(NAME, 5)) == ""
    assert story.last is not None
    (answer,) = story.last.answers
    assert not answer.accepted
    assert "by hand" in answer.text


def test_a_watched_container_of_its_name_is_no_clash() -> None:
    world = new_world((), host().world.links, watching=True)
    assert world.engine.name == "@engine"
    assert world.find("engine") is world.engine
    assert world.find("system-docker") is None
    for name in ("engine", "system-docker"):
        box = Unit(spec(name))
        there = replace(world, units={box.name: box})
        assert there.find(name) is box
        assert there.find("@engine") is there.engine
