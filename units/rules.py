"""The record of one decision: by which rule, from what, and what is done."""

from collections.abc import Mapping
from typing import TypeAlias

from units.records import dataclass
from units.spec import UnitName
from units.unit import Phase, Reason

Value: TypeAlias = str | int | float
Inputs: TypeAlias = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one unit."""

    unit: UnitName
    rule: str
    """Its name stays; units/rule_book.py has them all."""
    outcome: str
    """What is done, in words."""
    inputs: Inputs = ()
    """What it was decided from, in the order in which a person wants to know."""
    cause: str = ""
    restart: Reason | None = None
    """The restart that it leads to, unless something comes between; ``None``: to none."""


DONE: Mapping[Phase, str] = {
    Phase.STARTING: "start it at once",
    Phase.CLEARING: "end what its last run may have left, then start it",
    Phase.CREATING: "re-create its container, then start it",
    Phase.PULLING: "pull its image",
    Phase.STOPPING: "stop it",
    Phase.DRAINING: "stop it after the units that depend on it",
    Phase.EXITED: "wait a moment: a stop may follow",
    Phase.INACTIVE: "leave it stopped",
    Phase.COMPLETED: "leave it: it is done",
    Phase.FAILED: "leave it",
    Phase.CRASH_LOOP: "leave it; next try in {probe}",
    Phase.READY: "let it run",
    Phase.PAUSED: "leave it paused",
    Phase.RUNNING: "let it run",
}
"""What is done with a unit that has come to this phase, in words."""
