"""The tables are total, have no dead row, and every phase has a way out."""

from collections import Counter
from typing import get_args

import pytest

from units.machine import Table
from units.spec import Kind
from units.switch import table
from units.switch.record import SwitchResult, SwitchStep
from units.switch_events import ChoiceLost, SwitchAsked, SwitchDue, SwitchEvent
from units.tables.by_kind import rules_of
from units.unit import UNIT_PHASES, Phase

ALL = pytest.mark.parametrize("rules", [rules_of(kind) for kind in Kind], ids=lambda rules: rules.name)
RESTING = {Phase.INACTIVE, Phase.COMPLETED, Phase.READY, Phase.STOPPED}


@ALL
def test_every_cell_is_a_row_or_a_reason(rules: Table) -> None:
    """Each (phase, event) has rows or stands among the ignored, never both and never neither."""
    cells = {(phase, event) for phase in rules.phases for event in rules.events}
    ignored = {cell for cell in cells if rules.why_ignored(*cell) is not None}
    assert rules.cells.keys() | ignored == cells
    assert not rules.cells.keys() & ignored


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
    """From where it begins each phase can be reached, and from each phase inactive and the resting phases can."""
    ways = {phase: {edge.to for edge in rules.edges if edge.at is phase} for phase in rules.phases}

    def reach(start: Phase) -> set[Phase]:
        seen, queue = {start}, [start]
        for phase in queue:
            queue.extend(ways[phase] - seen)
            seen |= ways[phase]
        return seen

    # A host begins with every unit waiting; exited, draining and the like follow from there.
    assert set().union(*map(reach, rules.begins)) == set(rules.phases)
    for phase in rules.phases:
        assert reach(phase) >= (RESTING & set(rules.phases))


def test_a_switch_answers_every_event_at_every_step() -> None:
    """Each (step, event) has rows or stands among the ignored; ``SwitchAsked`` is answered outside of the table."""
    events = [event for event in get_args(SwitchEvent) if event is not SwitchAsked]
    cells = {(step, event) for step in SwitchStep for event in events}
    assert table.CELLS.keys() | table.IGNORED.keys() == cells
    assert not table.CELLS.keys() & table.IGNORED.keys()


def test_a_switch_has_no_dead_row_and_always_an_end() -> None:
    """A row without a guard is the last of its cell, and from each step an end can be reached."""
    for rows in table.CELLS.values():
        unguarded = [row for row in rows if row.when.__name__ == "always"]
        assert len(unguarded) <= 1
        assert not unguarded or rows[-1] is unguarded[0]
    for step in SwitchStep:
        seen, queue = {step}, [step]
        ends = set()
        for here in queue:
            for row in table.ROWS:
                if row.at is here and isinstance(row.to, SwitchResult):
                    ends.add(row.to)
                elif row.at is here and isinstance(row.to, SwitchStep) and row.to not in seen:
                    seen.add(row.to)
                    queue.append(row.to)
        assert ends


def test_every_working_step_has_a_way_back() -> None:
    """A deadline and a note that cannot be written lead back from each of them."""
    for step in table.WORKING:
        for event in (SwitchDue, ChoiceLost):
            assert SwitchStep.REVERTING in {row.to for row in table.CELLS[step, event]}


def test_the_groups_of_phases_hold_together() -> None:
    """Each phase is in one of what can be: on its way, up, settled, or waiting for its time."""
    for phase in UNIT_PHASES:
        assert [phase.moving, phase.up, phase.settled, phase in {Phase.WAITING, Phase.BACKOFF}].count(True) == 1
        assert phase.alive or not phase.up
        assert phase.troubled or not phase.stuck
        assert not (phase.troubled and phase.arrived)
