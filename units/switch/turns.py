"""Carries out a turn of a switch: applies definitions, gives orders, and asks units to stop or start."""

from units.commands import DropIntent, ReadConfig, RemoveContainer, SwapBack
from units.links import check
from units.records import replace
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitSpec
from units.step import Step
from units.switch.moves import SpareUse, SwitchView, Turn
from units.switch.record import Switch, SwitchResult, in_words
from units.switch.table import advance, begin, fallback, over, refusal, stopgap
from units.switch_events import SwitchAsked, SwitchEvent, UnitsMoved
from units.tables import console
from units.troubles import Concern, Reload
from units.unit import StandbyContainer
from units.world import Answer


def scene(step: Step) -> SwitchView:
    world = step.world
    return SwitchView(
        step.units, world.consoles, world.parked, world.pruned, world.engine_up, world.draining, step.moment
    )


def take_turn(step: Step, turn: Turn) -> None:
    """Do what a row of the switch's table says: first the definitions, then the orders, then what is asked."""
    step.world = replace(step.world, switch=turn.switch)
    if turn.spare is SpareUse.NONE:
        for spec in turn.specs:
            _redefine(step, spec)
    else:
        _use_spare(step, turn.spare, turn.specs)
    step.commands.extend(turn.orders)
    for ask in turn.asks:
        step.push(ask)


def end(step: Step, turn: Turn, result: SwitchResult) -> None:
    take_turn(step, turn)
    outcome = over(turn.switch, result, step.moment.now)
    step.world = replace(step.world, switch=None, switched=outcome)
    step.switches.append(outcome)
    if outcome.request:
        step.answers.append(Answer(outcome.request, result is SwitchResult.DONE, in_words(outcome)))
    if step.world.reload is Reload.WAITING and not step.world.draining:
        # Read anew, not remembered: what was chosen meanwhile is part of it.
        step.commands.append(ReadConfig(CONSOLE if outcome.of is Switchable.CONSOLE else USER_DOCKER))


def drop(step: Step, switch: Switch) -> None:
    """Drop the switch because the host goes down."""
    end(step, Turn(switch, (DropIntent(),)), SwitchResult.DROPPED)


def _use_spare(step: Step, use: SpareUse, specs: tuple[UnitSpec, ...]) -> None:
    """Re-create the console: its old container is kept until the new one works."""
    unit = step.units[CONSOLE]
    spare = unit.spare
    if use is SpareUse.KEEP:
        kept = None if unit.container is None else StandbyContainer(unit.container, unit.config_hash)
        step.put(replace(console.become(unit, specs[0], kept), renew=True, spare=kept))
    elif use is SpareUse.USE and spare is not None:
        if unit.container != spare.container:
            order = SwapBack(CONSOLE, spare.container, unit.spec.container, unit.container)
            step.commands.append(order)
        step.put(replace(console.become(unit, unit.spec, spare), fresh=False))
    elif use is SpareUse.DROP and spare is not None:
        step.commands.append(RemoveContainer(CONSOLE, spare.container, "the console was re-created"))
        step.put(replace(unit, spare=None))


def _redefine(step: Step, spec: UnitSpec) -> None:
    """Apply another console's definition, or another place for user Docker."""
    unit = step.units[spec.name]
    if spec.name == CONSOLE:
        parked = dict(step.world.parked)
        if unit.container is not None:
            parked[unit.spec.variant] = StandbyContainer(unit.container, unit.config_hash)
        step.put(console.become(unit, spec, parked.pop(spec.variant, None)))
        step.world = replace(step.world, parked=parked)
    else:
        step.put(replace(unit, spec=spec))
    step.world = replace(step.world, links=check(unit.spec for unit in step.units.values()).links)


def look(step: Step) -> bool:
    """Advance the switch after units changed, or begin one. Returns whether anything was done."""
    if step.world.switch is not None:
        return _move(step, UnitsMoved())
    asked = stopgap(scene(step), step.world.given_up)
    if asked is None:
        return _fall_back(step)
    failed = step.units[CONSOLE]
    step.notices.append(
        f"the console {failed.spec.variant} does not run ({failed.reason}); switching to the console default"
    )
    step.world = replace(step.world, given_up=step.world.given_up | {failed.spec.variant})
    turn = begin(asked, scene(step), stopgap=True)
    take_turn(step, turn)
    step.switches.append(turn.switch)
    return True


def _fall_back(step: Step) -> bool:
    """Have user Docker serve where it served last; the choice stays, and is tried again at the next boot."""
    asked = fallback(scene(step), step.world.served, step.world.given_up)
    if asked is None:
        return False
    docker = step.units[USER_DOCKER]
    storage = asked.of is Switchable.STORAGE
    what = f"storage context {docker.spec.context}" if storage else f"engine {docker.spec.engine or 'own'}"
    said = (
        f"user Docker does not serve with the chosen {what} ({docker.reason}); falling back to what served last:"
        f" {asked.target or 'own'}"
    )
    step.notices.append(said)
    key = f"{asked.of} {docker.spec.context if storage else docker.spec.engine}"
    troubles = {**step.world.troubles, Concern.CHOICE: said}
    step.world = replace(step.world, given_up=step.world.given_up | {key}, troubles=troubles)
    turn = begin(asked, scene(step), stopgap=True)
    take_turn(step, turn)
    step.switches.append(turn.switch)
    return True


def take_event(step: Step, event: SwitchEvent) -> None:
    if not isinstance(event, SwitchAsked):
        _move(step, event)
        return
    why = refusal(event, step.world.switch, scene(step))
    if why:
        if event.request:
            step.answers.append(Answer(event.request, accepted=False, text=why))
        return
    turn = begin(event, scene(step))
    take_turn(step, turn)
    step.switches.append(turn.switch)


def _move(step: Step, event: SwitchEvent) -> bool:
    switch = step.world.switch
    moved = None if switch is None else advance(switch, event, scene(step))
    if switch is None or moved is None:
        return False
    turn, to = moved
    if isinstance(to, SwitchResult):
        end(step, turn, to)
        return True
    take_turn(step, turn)
    if to is not switch.step:
        step.switches.append(turn.switch)
    return to is not switch.step
