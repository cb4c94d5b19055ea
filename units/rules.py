"""The record of one decision: by which rule, from what, and what is done."""

from typing import TypeAlias

from units.records import dataclass
from units.spec import UnitName
from units.unit import Reason

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
