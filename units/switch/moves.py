"""What a switch looks at, and what it does at each step: the guards and actions of its table. Pure."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from units.commands import ArmSwitch, Command, DropIntent, KeepChoice, KeepIntent
from units.events import StartAsked, StopAsked, UnitEvent
from units.machine import Moment
from units.quantities import Seconds
from units.records import dataclass, replace
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName, UnitSpec
from units.switch.record import Switch, SwitchStep
from units.switch_events import ChoiceLost, SwitchChecked, SwitchDue
from units.tables.storage import placed
from units.unit import Phase, StandbyContainer, StoppedBy, Unit
from units.words import duration


@dataclass(frozen=True, slots=True)
class SwitchView:
    """All that a switch may look at."""

    units: Mapping[UnitName, Unit]
    consoles: Mapping[str, UnitSpec]
    parked: Mapping[str, StandbyContainer]
    pruned: frozenset[str]
    engine_up: bool
    draining: bool
    moment: Moment

    @property
    def console(self) -> Unit | None:
        return self.units.get(CONSOLE)

    @property
    def docker(self) -> Unit | None:
        return self.units.get(USER_DOCKER)


class SpareUse(Enum):
    """What becomes of the console's old container when it is re-created."""

    NONE = "nothing"
    KEEP = "it is kept, and a new one is made"
    USE = "it is used again, and the new one removed"
    DROP = "the new one has proved itself, and the old one is removed"


@dataclass(frozen=True, slots=True)
class Turn:
    """What a row makes of the switch, and asks of others. The step is the row's business."""

    switch: Switch
    orders: tuple[Command, ...] = ()
    asks: tuple[UnitEvent, ...] = ()
    specs: tuple[UnitSpec, ...] = ()
    """Definitions that come into force before ``asks`` are put."""
    spare: SpareUse = SpareUse.NONE


Action = Callable[[Switch, Any, SwitchView], Turn]


Guard = Callable[[Switch, Any, SwitchView], bool]


def always(_switch: Switch, _event: Any, _scene: SwitchView) -> bool:
    return True


# What is asked of the surroundings.


def user_docker_follows(of: Switchable, scene: SwitchView) -> bool:
    """Whether user Docker is in the way of this switch."""
    docker = scene.docker
    return docker is not None and (of is not Switchable.CONSOLE or docker.spec.context == CONSOLE)


def drained(switch: Switch, _event: Any, scene: SwitchView) -> bool:
    docker = scene.docker
    return docker is None or not docker.busy or not user_docker_follows(switch.of, scene)


def drained_elsewhere(switch: Switch, event: Any, scene: SwitchView) -> bool:
    """User Docker has ended, and no console has to."""
    return switch.of is not Switchable.CONSOLE and drained(switch, event, scene)


def console_ended(_switch: Switch, _event: Any, scene: SwitchView) -> bool:
    return scene.console is None or not scene.console.busy


def console_ready(_switch: Switch, _event: Any, scene: SwitchView) -> bool:
    return scene.console is not None and scene.console.phase is Phase.READY


def console_lost(switch: Switch, _event: Any, scene: SwitchView) -> bool:
    """It cannot start, or has died already: a console that dies in its first moments does not work."""
    if switch.of is not Switchable.CONSOLE:
        return False
    return scene.console is None or scene.console.phase.settled or bool(scene.console.death)


def serves(switch: Switch, _event: Any, scene: SwitchView) -> bool:
    return switch.serving and scene.docker is not None and scene.docker.phase is Phase.READY


def needs_no_choice(switch: Switch, _event: Any, _scene: SwitchView) -> bool:
    return switch.stopgap


def need_not_serve(switch: Switch, _event: Any, _scene: SwitchView) -> bool:
    return not switch.serving


def engine_lost(switch: Switch, _event: Any, scene: SwitchView) -> bool:
    return switch.serving and (scene.docker is None or scene.docker.phase.settled)


def emptied(switch: Switch, event: Any, scene: SwitchView) -> bool:
    """Nothing of the new place runs any more."""
    console = switch.of is not Switchable.CONSOLE or not switch.moved or console_ended(switch, event, scene)
    return console and drained(switch, event, scene)


def restored(switch: Switch, event: Any, scene: SwitchView) -> bool:
    console = switch.of is not Switchable.CONSOLE or console_ready(switch, event, scene)
    return console and (not switch.serving or serves(switch, event, scene))


def refused(_switch: Switch, event: SwitchChecked, _scene: SwitchView) -> bool:
    return bool(event.refusals)


def stale(switch: Switch, event: Any, _scene: SwitchView) -> bool:
    """An answer to an order of an earlier step, or a timer of one."""
    return bool(event.token != switch.token)


def engine_down(_switch: Switch, _event: Any, scene: SwitchView) -> bool:
    return not scene.engine_up


# What is done.

CHECK = Seconds(600)
REVERT = Seconds(120)
RESTORE = Seconds(120)
PROVE = Seconds(60)
COMMIT = Seconds(30)
"""Deadlines of the steps. Checking may pull an image."""
STAY = Seconds(1)
"""Without user Docker, a new console must stay up for this long."""
READY = Seconds(30)
"""A console that is not ready by then has failed."""
MARGIN = Seconds(20)
"""Beyond a unit's own stop timeout: three SIGKILLs."""
OUTAGE = Seconds(5)
"""While the engine is away a step does not time out; checked again this often."""


def intent(switch: Switch, unit: UnitName) -> KeepIntent:
    return KeepIntent(unit, switch.token, switch.of, switch.origin, switch.target, switch.step.value)


def next_step(switch: Switch, step: SwitchStep, limit: Seconds, unit: UnitName, **changes: Any) -> Turn:
    """Begin a step: its number, its timer, and the note that it begins."""
    switch = replace(switch, token=switch.token + 1, **changes)
    return Turn(switch, (intent(replace(switch, step=step), unit), ArmSwitch(limit, switch.token)))


def drain(switch: Switch, _event: Any, scene: SwitchView) -> Turn:
    docker = scene.docker
    limit = Seconds((docker.spec.stop.timeout if docker else 0) + MARGIN)
    turn = next_step(switch, SwitchStep.DRAINING, limit, USER_DOCKER)
    if docker is None or not switch.serving:
        return turn
    return replace(turn, asks=(StopAsked(USER_DOCKER, by=StoppedBy.SWITCH),))


def stop(switch: Switch, _event: Any, scene: SwitchView) -> Turn:
    console = scene.console
    limit = Seconds((console.spec.stop.timeout if console else 0) + MARGIN)
    turn = next_step(switch, SwitchStep.STOPPING, limit, CONSOLE)
    return replace(turn, asks=(StopAsked(CONSOLE, by=StoppedBy.SWITCH),))


def start(switch: Switch, _event: Any, scene: SwitchView) -> Turn:
    turn = next_step(switch, SwitchStep.STARTING, READY, CONSOLE, moved=True)
    spare = SpareUse.KEEP if switch.anew else SpareUse.NONE
    return replace(turn, specs=(scene.consoles[switch.target],), asks=(StartAsked(CONSOLE),), spare=spare)


def prove(switch: Switch, _event: Any, scene: SwitchView) -> Turn:
    """User Docker in the new place: after a new console that is where it was, by name."""
    turn = next_step(switch, SwitchStep.PROVING, PROVE if switch.serving else STAY, USER_DOCKER, moved=True)
    specs = () if switch.of is Switchable.CONSOLE else _placed(switch, switch.target, scene)
    asks = (StartAsked(USER_DOCKER),) if switch.serving else ()
    return replace(turn, specs=specs, asks=asks)


def _placed(switch: Switch, name: str, scene: SwitchView) -> tuple[UnitSpec, ...]:
    if scene.docker is None:
        return ()
    spec = scene.docker.spec
    if switch.of is Switchable.ENGINE:
        return (replace(spec, engine=name),)
    return (placed(spec, UnitName(name)),)


def commit(switch: Switch, _event: Any, _scene: SwitchView) -> Turn:
    turn = next_step(switch, SwitchStep.COMMITTING, COMMIT, CONSOLE)
    if switch.stopgap:
        return turn
    return replace(turn, orders=(*turn.orders, KeepChoice(turn.switch.token, switch.of, switch.target)))


def failed(what: str) -> Action:
    def revert(switch: Switch, event: Any, scene: SwitchView) -> Turn:
        """Stop what the switch started; user Docker first."""
        why = what or event.message
        unit = {"console": scene.console, "user Docker": scene.docker}.get(why.partition(":")[0])
        if unit is not None:
            why += f" (it is {unit.phase}: {unit.reason})"
        turn = next_step(switch, SwitchStep.REVERTING, REVERT, USER_DOCKER, why=why)
        asks: list[UnitEvent] = []
        if user_docker_follows(switch.of, scene) and switch.serving:
            asks.append(StopAsked(USER_DOCKER, by=StoppedBy.SWITCH))
        if switch.of is Switchable.CONSOLE and switch.moved:
            asks.append(StopAsked(CONSOLE, by=StoppedBy.SWITCH))
        return replace(turn, asks=tuple(asks))

    return revert


def restore(switch: Switch, _event: Any, scene: SwitchView) -> Turn:
    """Restore the previous definition, and start it."""
    turn = next_step(switch, SwitchStep.RESTORING, RESTORE, CONSOLE)
    specs: tuple[UnitSpec, ...] = ()
    if switch.moved:
        if switch.of is not Switchable.CONSOLE:
            specs = _placed(switch, switch.origin, scene)
        elif switch.origin in scene.consoles:
            specs = (scene.consoles[switch.origin],)
    spare = SpareUse.USE if switch.anew and switch.moved else SpareUse.NONE
    asks: list[UnitEvent] = [StartAsked(CONSOLE)] if switch.of is Switchable.CONSOLE else []
    if switch.serving:
        asks.append(StartAsked(USER_DOCKER))
    return replace(turn, specs=specs, asks=tuple(asks), spare=spare)


def conclude(switch: Switch, _event: Any, _scene: SwitchView) -> Turn:
    """The switch is done: forget the intent."""
    return Turn(switch, (DropIntent(),), spare=SpareUse.DROP if switch.anew else SpareUse.NONE)


def finish(switch: Switch, _event: Any, _scene: SwitchView) -> Turn:
    written_late = bool(switch.why) and any(step == SwitchStep.COMMITTING for step, _ in switch.spent)
    back = (KeepChoice(0, switch.of, switch.origin),) if written_late else ()
    return Turn(switch, (*back, DropIntent()))


def refuse(switch: Switch, event: SwitchChecked, scene: SwitchView) -> Turn:
    return finish(replace(switch, why="; ".join(event.refusals)), event, scene)


def refuse_unwritten(switch: Switch, event: ChoiceLost, scene: SwitchView) -> Turn:
    return finish(replace(switch, why=event.message), event, scene)


def refuse_late(switch: Switch, event: SwitchDue, scene: SwitchView) -> Turn:
    return finish(replace(switch, why=f"checking took longer than {duration(CHECK)}"), event, scene)


def nothing(switch: Switch, _event: Any, _scene: SwitchView) -> Turn:
    return Turn(switch)


def wait_on(switch: Switch, _event: Any, _scene: SwitchView) -> Turn:
    """Extend the step while the engine is away."""
    return Turn(switch, (ArmSwitch(OUTAGE, switch.token),))
