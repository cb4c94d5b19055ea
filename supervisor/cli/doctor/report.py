"""The doctor's findings as text, for a terminal or a bundle."""

import textwrap
from io import StringIO
from itertools import groupby
from typing import TYPE_CHECKING, Any

from supervisor.cli.doctor.collect import versions
from supervisor.logs.redaction import redact
from supervisor.views.text import BOLD, DIM, RED, YELLOW, Screen, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.cli.doctor.facts import Facts, Finding


OK, FOUND = 0, 1
WIDTH = 80
INDENT = " " * 8
COLOURS = {"error": RED, "warning": YELLOW, "note": DIM}


def code(found: "Sequence[Finding]") -> int:
    return FOUND if any(one.severity != "note" for one in found) else OK


def show(screen: Screen, facts: "Facts", found: "Sequence[Finding]") -> None:
    """Grouped by severity, then by id; each with its fix."""
    width = min(screen.width or WIDTH, 100)

    def paragraph(text: str, first: str, rest: str) -> None:
        for line in textwrap.wrap(
            clean(redact(text)),
            max(width, 40),
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        ):
            screen.line(line)

    paragraph(", ".join(f"{name} {value}" for name, value in versions(facts).items() if value != "-"), "", "  ")
    for severity, group in groupby(found, key=lambda one: one.severity):
        of_one = list(group)
        screen.line()
        head = f"{len(of_one)} {severity}{'s' if len(of_one) > 1 else ''}"
        screen.line(screen.paint(head, COLOURS[severity]))
        for title, same in groupby(of_one, key=lambda one: (one.id, one.title)):
            screen.line()
            screen.line(f"{screen.paint(title[0], BOLD)}  {title[1]}")
            _show_places(list(same), paragraph)
    screen.line()
    screen.line(_last_line(found))


def _show_places(same: "Sequence[Finding]", paragraph: "Callable[[str, str, str], None]") -> None:
    """A fix that all findings of an id share is printed once, at the end."""
    ways = {one.fix for one in same}
    for one in same:
        paragraph(f"{one.place}: {one.what}", INDENT, INDENT + "  ")
        if len(ways) > 1:
            paragraph(one.fix, f"{INDENT}  -> ", f"{INDENT}     ")
    if len(ways) == 1:
        paragraph(ways.pop(), f"{INDENT}-> ", f"{INDENT}   ")


def _last_line(found: "Sequence[Finding]") -> str:
    if code(found) == OK:
        return "No problems found."
    return "What an id means: docs/reference/doctor.md"


def as_text(facts: "Facts", found: "Sequence[Finding]") -> str:

    page: Any = StringIO()
    show(Screen(page, {}), facts, found)
    return str(page.getvalue())
