"""Pictures are well-formed XML that asks for nothing from elsewhere, whatever a name holds."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.views import svg
from units.unit import Phase

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(*parts: str) -> ET.Element:
    return ET.fromstring(svg.drawing(100, 50, "a <title>", parts))


@given(st.text())
def test_any_text_makes_a_whole_picture(said: str) -> None:
    """Control characters, tags, quotes, half surrogates: it parses, and holds no element that we did not draw."""
    parts = (
        svg.text(1, 2, said, "dim", longest=7),
        svg.rect(0, 0, 1, 1, "good", title=said),
        svg.circle(1, 1, 1, "bad", said),
        svg.path("M0 0", "edge", said),
    )
    tree = ET.fromstring(svg.drawing(10, 10, said, parts).encode("utf-8"))
    names = {child.tag.removeprefix(SPACE) for child in tree.iter()}
    assert names <= {"svg", "title", "style", "text", "rect", "circle", "path"}


def test_a_picture_needs_nothing_from_elsewhere() -> None:
    """No address but the name of the format, no script, no import; and it has a dark and a light side."""
    picture = svg.drawing(10, 10, "t", [svg.text(0, 0, "<script>alert(1)</script>")])
    assert picture.count("http") == 1
    assert "<script" not in picture
    assert "@import" not in picture
    assert "url(" not in picture
    assert "prefers-color-scheme: dark" in picture


def test_a_long_text_is_cut_and_its_whole_is_kept() -> None:
    text = drawn(svg.text(0, 0, "abcdefgh", longest=4)).find(f"{SPACE}text")
    assert text is not None
    title = text.find(f"{SPACE}title")
    assert title is not None
    assert (title.text, title.tail) == ("abcdefgh", "abc…")


def test_a_name_cannot_leave_its_attribute() -> None:
    assert svg.element("path", d='" onload="x') == '<path d="&quot; onload=&quot;x"/>'


@pytest.mark.parametrize(("value", "said"), [(1.0, "1"), (0.0, "0"), (1.239, "1.24"), (-0.5, "-0.5"), (100.0, "100")])
def test_coordinates_are_short(value: float, said: str) -> None:
    assert svg.number(value) == said


def test_every_state_has_a_colour() -> None:
    assert set(svg.TONES) == {phase.value for phase in Phase}
    assert svg.tone("unheard of") == "off"
