"""Which table is whose. Each is made when a unit is first of its kind: no host has all of them."""

from functools import cache
from importlib import import_module

from units.machine import Table
from units.spec import Kind


@cache
def rules_of(kind: Kind) -> Table:
    """Each kind has a module of its name."""
    found: Table = import_module(f"units.tables.{kind.name.lower()}").TABLE
    return found
