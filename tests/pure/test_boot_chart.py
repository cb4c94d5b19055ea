"""How a host came up: each unit's stages, whom it waited for, and what was last because of whom."""

import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

from supervisor.journal.boot_chart import MOST, BootChart, critical_path
from supervisor.views import boot_plot
from supervisor.views.text import Screen
from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.events import Event
from units.machine import Moment
from units.quantities import Instant
from units.spec import Condition, Kind, UnitName, UnitSpec, Via
from units.unit import Failure, Phase
from units.world import Entry

SPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = "<b>&\x1b[2J\u202e"


class Booting(Story):
    """A story that a chart looks on at, from second 100 on."""

    def feed(self, event: Event) -> str:
        chart = self.chart
        told = super().feed(event)
        assert self.last is not None
        moment = Moment(Instant(self.now), self.jitter, "c", self.seq)
        chart.observe(Entry(event, "c", moment.now), moment, self.last)
        return told

    @property
    def chart(self) -> BootChart:
        if "_chart" not in self.__dict__:
            self.__dict__["_chart"] = BootChart(lambda at: 1_700_000_000 + at, Instant(100), self.world.units.values())
        kept: BootChart = self.__dict__["_chart"]
        return kept

    def unit_told(self, name: str) -> dict[str, Any]:
        return next(unit for unit in self.chart.told()["units"] if unit["unit"] == name)


def booting(*specs: UnitSpec) -> Booting:
    story = Booting.of(*specs)
    assert isinstance(story, Booting)
    return story


def chain() -> Booting:
    """A setup that must end well, a base, an app in the base's network that is last, and one that is free."""
    story = booting(
        spec("setup", kind=Kind.ONESHOT),
        spec("base", needs("setup", Via.DEPENDS_ON, Condition.COMPLETED)),
        spec("app", needs("base", Via.NET)),
        spec("free"),
    )
    story.later(1).connect()
    story.created("setup")
    story.created("free")
    story.later(0.5).started("setup")
    story.started("free")
    story.later(2).died("setup", 0)
    story.later(0.25).created("base")
    story.later(0.25).started("base")
    story.later(0.1).created("app")
    story.later(0.4).started("app")
    return story


def test_each_stage_has_its_time_and_the_wait_its_reason() -> None:
    """From the supervisor's start; what a unit took itself is what is left without the wait."""
    told = json.loads(json.dumps(chain().chart.told()))
    base = next(unit for unit in told["units"] if unit["unit"] == "base")
    assert [(stage["state"], stage["begin"]) for stage in base["stages"]] == [
        ("waiting", 0.0),
        ("creating", 3.5),
        ("starting", 3.75),
        ("ready", 4.0),
    ]
    assert (base["waited"], base["waited_for"], base["took"], base["arrived"]) == (3.5, "setup", 0.5, 4.0)
    assert told["engine"] == 1.0
    assert told["took"] == 4.5
    assert told["began"] == "2023-11-14T22:15:00.000Z"


def test_the_critical_path_leads_from_the_engine_to_who_was_last() -> None:
    story = chain()
    assert story.chart.told()["critical_path"] == ["engine", "setup", "base", "app"]
    assert boot_plot.path_in_words(story.chart.told()) == "engine 1 s -> setup 2.5 s -> base 0.5 s -> app 0.5 s"
    assert not story.unit_told("free")["critical"]


def test_a_boot_that_found_everything_running_says_so() -> None:
    """An adoption is no work: nothing took any time."""
    story = booting(spec("web"))
    story.later(2).connect(seen("web"))
    assert (story.unit_told("web")["found"], story.unit_told("web")["took"]) == (True, 0.0)


def test_what_the_supervisor_before_left_ready_is_believed() -> None:
    """No transition tells of it, for nothing happens to it."""
    story = booting(spec("web"))
    story.change("web", phase=Phase.READY, container=story.id("web"))
    story.later(2).connect(seen("web"))
    told = story.unit_told("web")
    assert (told["found"], told["took"], told["arrived"]) == (True, 0.0, 0.0)


def test_one_that_never_comes_up_is_followed_so_far_and_no_further() -> None:
    """A crash loop must not fill the memory, and the host is not up without it."""
    story = booting(spec("web"), spec("db"))
    story.connect()
    story.up("db")
    for _ in range(MOST):
        if story.unit("web").phase == "creating":
            story.feed(fact.CreateFailed(UnitName("web"), Failure.OTHER, "no space"))
        story.later(600).feed(fact.RetryDue(UnitName("web"), story.token("web")))
    assert len(story.unit_told("web")["stages"]) == MOST
    told = story.chart.told()
    assert told["took"] is None
    assert boot_plot.headline(told) == "1 of 2 units are up; not yet: web"


def test_what_happens_after_a_unit_was_up_is_no_matter_of_the_boot() -> None:
    story = chain()
    before = story.chart.told()
    story.later(60).died("free")
    assert story.chart.told() == before


def test_a_host_without_units_has_a_chart() -> None:
    story = booting()
    story.connect()
    told = story.chart.told()
    assert (told["units"], told["critical_path"], told["took"]) == ([], [], None)
    ET.fromstring(boot_plot.draw(told))
    assert ET.fromstring(boot_plot.draw(BootChart(float, Instant(0), ()).told())) is not None


def test_two_that_waited_for_each_other_end_the_path() -> None:
    """A soft cycle is broken somewhere, and a chart must not follow it for ever."""
    units = [{"unit": a, "arrived": at, "waited_for": b} for a, b, at in (("a", "b", 1.0), ("b", "a", 2.0))]
    assert critical_path(units) == ["a", "b"]


def test_the_picture_is_whole_whatever_a_unit_is_called() -> None:
    story = booting(spec(HOSTILE), spec("web", needs(HOSTILE)))
    story.later(1).connect()
    story.later(1).up(HOSTILE, "web")
    picture = boot_plot.draw(story.chart.told())
    names = {one.tag.removeprefix(SPACE) for one in ET.fromstring(picture).iter()}
    assert names <= {"svg", "title", "style", "text", "rect", "circle", "line", "path"}
    assert "\x1b" not in picture
    assert "critical path: engine 1 s" in picture


def page(show: Any, story: Booting) -> str:
    stream = io.StringIO()
    show(Screen(stream, {}), story.chart.told())
    return stream.getvalue()


def test_plot_fits_a_terminal_and_marks_the_critical_path() -> None:
    told = page(boot_plot.show, chain())
    assert max(map(len, told.splitlines())) <= 100
    assert re.search(r"^\* app    \.+c+s+\| 4\.5 s$", told, re.MULTILINE)
    assert re.search(r"^  free   \.+cs+\| 1\.5 s$", told, re.MULTILINE)
    bars = [line for line in told.splitlines() if re.search(r"[.=s]\| ", line)]
    ends = [line.index("|") for line in bars]
    assert all(a <= b for a, b in itertools.pairwise(ends))


def test_blame_has_the_slowest_first_and_what_it_waited_for() -> None:
    lines = page(boot_plot.show_blame, chain()).splitlines()
    rows = [re.split(r"\s{2,}", line) for line in lines[3:]]
    assert [row[1] for row in rows] == ["* setup", "free", "* base", "* app"]
    assert rows[0] == ["2.5 s", "* setup", "completed", "-", "0 s", "0.5 s", "2 s", "1 s for engine"]
    assert rows[2][-1] == "3.5 s for setup"


def test_one_that_dies_soon_after_it_was_up_has_not_come_up() -> None:
    """A unit without checks is ready as it starts; the boot is not over with it."""
    story = booting(spec("web"), spec("db"))
    story.connect()
    story.up("db")
    story.up("web")
    assert story.chart.told()["took"] is not None
    story.later(0.3).died("web", 1)
    assert boot_plot.headline(story.chart.told()) == "1 of 2 units are up; not yet: web"
    story.started("web")
    assert story.chart.told()["took"] is not None
    story.later(60).died("web", 1)
    assert story.chart.told()["took"] is not None
