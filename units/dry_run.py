"""Dry run: a step that gives an order is not taken. It is only said, once, what would be done.

What the step found out about the unit's health is kept; what it planned is not.
"""

from units.actions.refusing import PLANS
from units.commands import (
    ArmTimer,
    Command,
    ReadConfig,
    RecreateContainer,
    RestartContainer,
    SayOnly,
    SignalContainer,
    StartContainer,
    TakeSnapshot,
)
from units.guards import serving
from units.machine import Advance, View
from units.records import replace
from units.unit import Phase, Unit

HARMLESS = (ArmTimer, TakeSnapshot, ReadConfig, SayOnly)
"""What changes neither the engine nor the host."""
DRY = " (dry run)"


def only_said(unit: Unit) -> bool:
    return unit.reason.endswith(DRY)


def spare(unit: Unit, step: Advance, event: object, view: View) -> Advance:
    """The step without its orders: the unit stays up, or down."""
    orders = [order for order in step.commands if not isinstance(order, HARMLESS)]
    if not orders:
        return step
    what = f"would {_named(orders[0], step.unit)}"
    why = step.unit.reason
    for plan in PLANS:
        why = why.removesuffix(plan)
    reason = f"{why}; {what}{DRY}"
    kept = replace(unit, health=step.unit.health, reports=step.unit.reports, ailing=step.unit.ailing, reason=reason)
    phase = Phase.INACTIVE
    if unit.phase is Phase.PAUSED:
        phase = unit.phase
    elif unit.phase.up:
        phase = Phase.READY if serving(kept, event, view) else Phase.RUNNING
    if phase is not unit.phase:
        kept = replace(kept, phase=phase, since=view.now, moved=view.moment.seq, token=unit.token + 1, pending=None)
    said = () if unit.reason == reason else (SayOnly(unit.name, what, why),)
    return Advance(kept, said, step.edge)


def _named(order: Command, after: Unit) -> str:
    match order:
        case RestartContainer():
            return "restart it"
        case RecreateContainer():
            return "recreate it"
        case StartContainer():
            return "start it"
        case SignalContainer():
            return "stop it" if after.phase is Phase.STOPPING else f"send it {order.signal}"
        case _:
            return type(order).__name__
