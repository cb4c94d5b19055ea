"""The tables are total, have no dead row, and every phase has a way out."""

from collections import Counter

import pytest

from units.kernel import TABLES
from units.machine import EVENTS, Table
from units.unit import Phase

ALL = pytest.mark.parametrize("rules", TABLES.values(), ids=lambda rules: rules.name)
RESTING = {Phase.INACTIVE, Phase.COMPLETED, Phase.READY}


@ALL
def test_every_cell_is_a_row_or_a_reason(rules: Table) -> None:
    """Each (phase, event) has rows or stands among the ignored, never both and never neither."""
    cells = {(phase, event) for phase in rules.phases for event in EVENTS}
    assert rules.cells.keys() | rules.silence.keys() == cells
    assert not rules.cells.keys() & rules.silence.keys()


@ALL
def test_every_ignored_cell_is_listed_once_with_a_reason(rules: Table) -> None:
    """A cell is ignored for one reason, and the reason is a sentence."""
    listed = Counter((at, on) for entry in rules.ignored for at in entry.at for on in entry.on if at in rules.phases)
    assert [cell for cell, times in listed.items() if times > 1] == []
    assert all(len(entry.why) > 10 for entry in rules.ignored)


@ALL
def test_no_row_stands_behind_one_that_always_fits(rules: Table) -> None:
    """A row without a guard is the last of its cell."""
    for edges in rules.cells.values():
        unguarded = [edge for edge in edges if edge.when.__name__ == "always"]
        assert len(unguarded) <= 1
        assert not unguarded or edges[-1] is unguarded[0]


@ALL
def test_no_row_is_written_twice(rules: Table) -> None:
    """The same phase, event and guard lead to one place."""
    keys = Counter((edge.at, edge.on, edge.when.__name__) for edge in rules.edges)
    assert [key for key, times in keys.items() if times > 1] == []


@ALL
def test_every_phase_can_be_reached_and_left(rules: Table) -> None:
    """From inactive each phase can be reached, and from each phase inactive and the resting phases can."""
    ways = {phase: {edge.to for edge in rules.edges if edge.at is phase} for phase in rules.phases}

    def reach(start: Phase) -> set[Phase]:
        seen, queue = {start}, [start]
        for phase in queue:
            queue.extend(ways[phase] - seen)
            seen |= ways[phase]
        return seen

    # A host begins with every unit waiting; exited, draining and the like follow from there.
    assert reach(Phase.WAITING) == set(rules.phases)
    for phase in rules.phases:
        assert reach(phase) >= (RESTING & set(rules.phases))
