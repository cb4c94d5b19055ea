"""What the core would order at once if a unit died now, found out by asking it beforehand.

``react`` is pure, so a death can be rehearsed at leisure: where each kind of death leads to the same start at once,
that start is a *standing order*, which may be carried out before anybody has even read the whole event. It holds as
long as the world is the same. Time alone only makes a verdict milder (``restart.decide``): it never takes one back.
"""

from units.commands import StartContainer
from units.events import ContainerDied
from units.kernel import react
from units.machine import Moment
from units.quantities import NEVER, Instant
from units.restart import milder_at
from units.service import UP
from units.spec import LASTING, ContainerId, Policy, UnitName, UnitSpec
from units.world import World

SUCCESS, KILLED = 0, 137
"""The tables tell another failure from SIGKILL only where that leads to less than a start at once."""
WHATEVER = frozenset({Policy.ALWAYS, Policy.UNLESS_STOPPED})
"""Policies to which all ends of what should last are alike."""


def exit_codes(spec: UnitSpec) -> tuple[int, ...]:
    """Those that stand for all."""
    return (KILLED,) if spec.kind in LASTING and spec.restart.policy in WHATEVER else (SUCCESS, KILLED)


def standing_start(world: World, name: UnitName, moment: Moment) -> ContainerId | None:
    """The container to be started in the moment its death is heard; ``None``: let the core see the death first."""
    unit = world.units[name]
    if unit.container is None or unit.phase not in UP or not unit.wanted:
        return None
    for exit_code in exit_codes(unit.spec):
        given = react(world, ContainerDied(name, unit.container, exit_code), moment).commands
        if not any(isinstance(order, StartContainer) and order.container == unit.container for order in given):
            return None
    return unit.container


def look_again(world: World, name: UnitName, now: Instant) -> Instant:
    """When a unit without a standing order may have earned one by time alone; NEVER: something has to happen first."""
    unit = world.units[name]
    if unit.phase not in UP or not unit.wanted:
        return NEVER
    return milder_at(unit.spec.restart, unit.budget, unit.started_at, now)
