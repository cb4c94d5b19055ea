"""The picture of a story: whole XML whatever names hold, each moment in place, and nothing claimed that is unknown."""

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from supervisor.journal.why import CALM, why
from supervisor.views.timeline import LEFT, RIGHT, WIDTH, Span, draw, scale, spans
from tests.pure.test_journal import BOX, CONSOLE, DOCKER, Story, spec
from units import events as fact
from units.spec import ContainerId, UnitName

SPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = UnitName("</text><script>alert(1)</script>\x1b]0;x\x07\u202e\"'&")


def texts(picture: str) -> list[str]:
    """What a person reads, without what only shows under the pointer."""
    found = ET.fromstring(picture).iter(f"{SPACE}text")
    return [(one.text or "") + "".join(child.tail or "" for child in one) for one in found]


def answer(name: UnitName = CONSOLE, crashes: int = 8) -> dict[str, Any]:
    story = Story(spec(name), spec(DOCKER, name))
    story.boot()
    story.up(name)
    for _ in range(crashes):
        story.tell(fact.ContainerDied(name, BOX, 1), engine_ns=1_700_000_000_000_000_000)
        unit = story.world.units[name]
        if unit.phase == "backoff":
            story.tell(fact.RetryDue(name, unit.token))
        if unit.phase == "crash-loop":
            break
        story.tell(fact.ContainerStarted(name, BOX))
    told: dict[str, Any] = json.loads(json.dumps(why(story.journal, story.world, name)))
    return told


def test_it_says_what_is_and_lists_each_decision_with_what_it_was_made_from() -> None:
    told = texts(draw(answer(), 1_700_000_100))
    assert told[0].startswith("console is crash-loop since ")
    assert "→ restart.crash-loop: leave it; next try in 5 min" in told
    assert any(re.match(r"    from ran for .* failure 6 in a row; 5 restarts in 60 s", one) for one in told)
    assert [one for one in told if one.startswith("→ restart 5: ")] == ["→ restart 5: exit"]


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    """No element comes of it, and nothing that turns text around."""
    picture = draw(answer(HOSTILE), 1_700_000_100)
    names = {one.tag.removeprefix(SPACE) for one in ET.fromstring(picture).iter()}
    assert names <= {"svg", "title", "style", "text", "rect", "circle", "line"}
    assert not re.search("[\x00-\x08\x0e-\x1f\u202e]", picture)
    assert "<script" not in picture


def test_a_unit_without_a_past_has_a_picture_too() -> None:
    told = answer() | {"chain": []}
    assert texts(draw(told, 1_700_000_100))[0].startswith("console is")


def test_a_long_story_lists_its_end_and_counts_the_rest() -> None:
    story = Story(spec(CONSOLE))
    story.boot()
    story.up()
    for _ in range(40):
        story.now += CALM / 2
        story.tell(fact.ContainerDied(CONSOLE, BOX, 1))
        story.tell(fact.ContainerStarted(CONSOLE, BOX))
    told = texts(draw(why(story.journal, story.world, CONSOLE), 1_700_100_000))
    assert any(re.fullmatch(r"\d+ earlier moments are not listed", one) for one in told)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_time_goes_to_the_right_and_stays_inside(moments: list[float]) -> None:
    times = scale(moments, LEFT, WIDTH - RIGHT)
    places = [times.x(at) for at in sorted(moments)]
    assert places == sorted(places)
    assert places[0] >= LEFT
    assert places[-1] <= WIDTH - RIGHT + 1e-6
    assert times.x(-1) == LEFT


def moved(at: int, before: str, after: str, unit: str = "db") -> dict[str, Any]:
    stamp = f"2026-01-01T00:00:{at:02}Z"
    return {"event": "unit.transition", "unit": unit, "time": stamp, "before": before, "after": after, "reason": "r"}


def test_of_a_peer_only_what_the_chain_says_is_sure() -> None:
    """Between two of its transitions it may have done anything, unless they meet; and nobody knows how it is now."""
    base = 1_767_225_600.0
    chain = [moved(10, "ready", "backoff"), moved(12, "backoff", "ready"), moved(30, "stopping", "inactive")]
    assert spans(chain, "db", base, base + 60, whole=False) == [
        Span("ready", base, base + 10, "", sure=False),
        Span("backoff", base + 10, base + 12, "r", sure=True),
        Span("ready", base + 12, base + 30, "r", sure=False),
        Span("inactive", base + 30, base + 60, "r", sure=False),
    ]
    assert spans(chain, "other", base, base + 60, whole=False) == []
    assert all(span.sure for span in spans(chain, "db", base, base + 60, whole=True))


def test_a_peer_has_a_lane_of_its_own() -> None:
    story = Story(spec(CONSOLE), spec(DOCKER, CONSOLE))
    story.boot()
    story.up()
    story.up(DOCKER, ContainerId("d" * 64))
    told = texts(draw(why(story.journal, story.world, DOCKER), 1_700_000_100))
    assert {"docker", "console", "host"} <= set(told)
