"""The console: the unit in which a person works, and the definitions it can have.

It runs by the rows of a service. What is its own is identity: each console (``default``, ``debian``, ...) has a
container of its own, identified by its name. One of them is the unit's; the others are *parked*: stopped and kept, so
that a switch back finds them as they were left.
"""

from collections.abc import Iterable, Mapping

from units.actions import UNKNOWN
from units.commands import Command, ParkContainer
from units.events import Observed
from units.records import replace
from units.spec import CONSOLE, Kind, Policy, Rebuild, RestartPolicy, UnitSpec
from units.tables import service
from units.unit import Budget, StandbyContainer, Unit

TABLE = replace(service.TABLE, name="console")


def persistent(spec: UnitSpec) -> bool:
    """Its file system outlives its restarts."""
    return spec.rebuild is not Rebuild.ALWAYS


def dirty(unit: Unit) -> bool:
    """Its definition changed, and its container was not re-created for it: that is left to a person."""
    known = unit.config_hash and unit.spec.config_hash
    return bool(known) and unit.config_hash != unit.spec.config_hash


def parked(consoles: Mapping[str, UnitSpec], chosen: str, seen: Iterable[Observed]) -> dict[str, StandbyContainer]:
    """The other consoles' containers: of several with one name the one with the container's name."""
    found: dict[str, StandbyContainer] = {}
    for one in sorted(seen, key=lambda one: one.running):
        if one.unit == CONSOLE and one.variant not in {"", chosen}:
            spec = consoles.get(one.variant)
            if one.variant not in found or spec is None or one.name == spec.container:
                found[one.variant] = StandbyContainer(one.container, one.config_hash, one.running and not one.hint)
    return found


def park(
    consoles: Mapping[str, UnitSpec], others: Mapping[str, StandbyContainer], chosen: UnitSpec
) -> tuple[Command, ...]:
    """Orders that stop and keep running consoles other than the chosen one."""
    return tuple(
        ParkContainer(
            CONSOLE, one.container, consoles.get(name, chosen).stop.timeout, f"the console is {chosen.variant}"
        )
        for name, one in others.items()
        if one.running
    )


def undefined(variant: str) -> UnitSpec:
    """A stand-in for a console without a definition: its container, if there is one, keeps running."""
    return UnitSpec(
        CONSOLE, Kind.CONSOLE, "", "", "", restart=RestartPolicy(Policy.ALWAYS), rebuild=Rebuild.NEVER, variant=variant
    )


def become(unit: Unit, spec: UnitSpec, container: StandbyContainer | None) -> Unit:
    """The unit with another console's definition and container. The unit keeps its restart count."""
    return replace(
        unit,
        spec=spec,
        container=container.container if container else None,
        config_hash=container.config_hash if container else "",
        **UNKNOWN,
        outdated="",
        budget=Budget(),
        fresh=True,
        exit_code=None,
        death="",
        pulled=False,
        misses=0,
        renew=False,
        aged=False,
        volumes=(),
        plan=None,
        successor=None,
        kept="",
        spare=None,
    )
