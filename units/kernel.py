"""One step of the world: an event in; the new world, the orders and the transitions out.

Every unit moves by its table. A unit that moved notifies its peers, and they may move in turn, all within the one step,
until nothing moves any more. So a step has one cause, one moment and one result, and a history of events replayed
through ``react`` gives the same world again.
"""

from typing import TypeGuard, get_args

from units import events as fact
from units.commands import TakeSnapshot
from units.engine_events import DaemonEvent
from units.events import Event, UnitEvent, WorldEvent
from units.host import end_engine, take_event, take_look
from units.machine import Moment
from units.step import Step
from units.switch_events import SwitchEvent
from units.world import Reaction, World

UNIT_EVENTS = frozenset((*get_args(UnitEvent), *get_args(DaemonEvent)))


def react(world: World, event: Event, moment: Moment) -> Reaction:
    """Take one event. Pure: equal arguments give equal reactions."""
    step = Step(world, moment, _look_at_switch)
    if _is_of_a_unit(event):
        step.push(event)
        if world.watching and isinstance(event, fact.ContainerCreated):  # Others may mean it by its name.
            step.commands.append(TakeSnapshot(f"{event.unit}: a new container"))
    elif isinstance(event, fact.ContainerLooked):
        take_look(step, event)
    elif isinstance(event, WorldEvent):
        take_event(step, event)
    elif isinstance(event, SwitchEvent):
        from units.switch import turns  # noqa: PLC0415 - most hosts never switch

        turns.take_event(step, event)
    step.settle()
    if step.world.draining:
        end_engine(step)
        step.settle()
    return step.reaction()


def _look_at_switch(step: Step) -> bool:
    """Advance a switch after units changed, or begin one. Returns whether anything was done."""
    if step.world.switch is None and len(step.world.consoles) < 2:
        return False
    from units.switch import turns  # noqa: PLC0415 - most hosts never switch

    return turns.look(step)


def _is_of_a_unit(event: Event) -> TypeGuard[UnitEvent | DaemonEvent]:
    """Also of the engine. Many times cheaper than ``isinstance``, which asks one class after the other."""
    return type(event) in UNIT_EVENTS
