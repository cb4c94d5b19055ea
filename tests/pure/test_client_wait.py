"""``wait`` ends when a unit is there, and whoever waits long sees how far things have got."""

import asyncio
import io
import json

import pytest

from supervisor.cli import progress, wait
from supervisor.cli.progress import Progress, said
from supervisor.http.client import Client
from supervisor.http.control.waits import GOALS
from supervisor.views.text import Screen
from tests.harness import until
from tests.pure.story import spec
from tests.pure.test_client import Play, Stage, Terminal, play, run_dir
from units import events as fact
from units.spec import UnitName

__all__ = ["play", "run_dir"]


def test_the_goals_are_the_supervisor_s() -> None:
    """The client does not load the daemon to know them."""
    assert set(wait.GOALS) == set(GOALS)


def test_wait_ends_when_a_unit_is_there(play: Play) -> None:
    """0 and how it is; several at once; what is there already counts."""

    async def scene(stage: Stage) -> None:
        code, out, err = await stage("wait", "web", "db")
        assert (code, out, err) == (0, "web: ready, started\ndb: ready, started\n", "")
        waiting = asyncio.create_task(stage("wait", "web", "--for", "stopped", "--timeout", "600"))
        await until(lambda: stage.harness.control.api._waiting._waits)
        stage.harness.inbox.put(fact.StopAsked(UnitName("web"), 0))
        code, out, _ = await waiting
        assert (code, out.partition(",")[0]) == (0, "web: stopped")

    play(scene, spec("web"), spec("db"))


def test_wait_says_why_it_ended_otherwise(play: Play) -> None:
    """1: the time is over, or it cannot get there; 4: no such unit, with a guess. In JSON it is the same."""

    async def scene(stage: Stage) -> None:
        code, out, err = await stage("wait", "web", "--for", "stopped", "--timeout", "0.02")
        assert (code, out) == (1, "")
        assert err.startswith("dockwarden: web is not stopped, and the 0.02 s are over: it is ready, ")
        assert err.endswith("; see 'dockwarden why web'\n")
        await stage("stop", "web")
        code, _, err = await stage("wait", "web", "--timeout", "600")
        assert code == 1
        assert "it cannot reach it without intervention: it is inactive" in err
        code, out, _ = await stage("wait", "web", "--json")
        assert (code, json.loads(out)["web"]["hopeless"]) == (1, True)
        code, _, err = await stage("wait", "wbe")
        assert code == 4
        assert "did you mean 'web'?" in err

    play(scene, spec("web"))


class Watched:
    """A progress that shows at once, on a terminal or not."""

    def __init__(self, stage: Stage, stream: io.StringIO, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(progress, "QUIET", 0)
        patch.setattr(progress, "TICK", 0.01)
        screen = Screen(stream, {})
        screen.width = 60 if screen.terminal else 0
        self.progress = Progress(Client(stage.harness.run_dir), ("web",), screen)
        self.stream = stream


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_a_long_wait_shows_how_far_things_have_got(
    play: Play, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that changes, ticks and goes away; on a pipe a line for each change, and no control characters."""

    async def scene(stage: Stage) -> None:
        watched = Watched(stage, stream, monkeypatch)
        stage.harness.engine.ignore_term("web")

        with watched.progress:
            await until(lambda: "ready" in stream.getvalue())
            await until(lambda: stage.harness.journal._followers)
            stage.harness.inbox.put(fact.StopAsked(UnitName("web"), 0))
            await until(lambda: "stopping" in stream.getvalue())
            if isinstance(stream, Terminal):
                size = len(stream.getvalue())
                await until(lambda: len(stream.getvalue()) > size)
        shown = stream.getvalue()
        if isinstance(stream, Terminal):
            assert shown.startswith("\r\033[Kweb, for 0 s: ready: ")
            assert shown.endswith("\r\033[K")
            assert max(len(part) for part in shown.split("\r\033[K")) <= 60
            assert "\n" not in shown
        else:
            assert [line.split(":")[:2] for line in shown.splitlines()] == [["web", " ready"], ["web", " stopping"]]
            assert "\033" not in shown

    play(scene, spec("web"), spec("other"))


def test_what_is_over_soon_shows_nothing(play: Play) -> None:
    """Not even a connection is made for it."""

    async def scene(stage: Stage) -> None:
        stream = Terminal()
        with Progress(Client(stage.harness.run_dir), ("web",), Screen(stream, {})):
            assert not stage.harness.control._busy
        assert stream.getvalue() == ""

    play(scene, spec("web"))


def test_what_a_record_says_of_how_far_it_got() -> None:
    """A transition and the step of a switch; nothing else."""
    assert said({"event": "unit.transition", "after": "pulling", "reason": "web:1"}) == "pulling: web:1"
    assert said({"event": "switch.step", "reason": "what runs is asked to end"}) == "what runs is asked to end"
    assert said({"event": "engine.lost", "reason": "gone"}) == ""
