"""The table of each kind, imported when a unit of that kind first appears."""

from functools import cache
from importlib import import_module

from units.machine import Table
from units.spec import Kind


@cache
def rules_of(kind: Kind) -> Table:
    """Each kind has a module of its name."""
    found: Table = import_module(f"units.tables.{kind.name.lower()}").TABLE
    return found
