"""The switch of a console, a storage context or an engine: one transaction, at most one at a time.

It moves no unit itself: it asks the units to stop and to start, as a person would, and looks where they get to. Until
the choice is on disk everything can be undone, and is, whenever a step fails or takes too long. A supervisor that is
killed in between has nothing to undo: the next one reads the choice, and brings the host to what it says.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from units.commands import ArmSwitch, CheckSwitch, Command, DropIntent, KeepChoice, KeepIntent
from units.events import (
    ChoiceKept,
    ChoiceLost,
    StartAsked,
    StopAsked,
    SwitchAsked,
    SwitchChecked,
    SwitchDue,
    SwitchEvent,
    UnitEvent,
    UnitsMoved,
)
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName, UnitSpec
from units.storage import contexts, placed
from units.switch import Outcome, Result, Switch, SwitchStep
from units.unit import Phase, StoppedBy, Unit


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a switch may look at."""

    units: Mapping[UnitName, Unit]
    consoles: Mapping[str, UnitSpec]
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
    """What becomes of the console's old container when it is made anew."""

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


Action = Callable[[Switch, Any, Scene], Turn]
Guard = Callable[[Switch, Any, Scene], bool]


def always(_switch: Switch, _event: Any, _scene: Scene) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Row:
    """At this step, on this event, when the guard holds, do this and go to that step, or end with that result."""

    at: SwitchStep
    on: type[SwitchEvent]
    to: SwitchStep | Result
    do: Action
    when: Guard = always


# What is asked of the surroundings.


def user_docker_follows(of: Switchable, scene: Scene) -> bool:
    """Whether user Docker is in the way of this switch."""
    docker = scene.docker
    return docker is not None and (of is not Switchable.CONSOLE or docker.spec.context == CONSOLE)


def drained(switch: Switch, _event: Any, scene: Scene) -> bool:
    docker = scene.docker
    return docker is None or not docker.busy or not user_docker_follows(switch.of, scene)


def drained_elsewhere(switch: Switch, event: Any, scene: Scene) -> bool:
    """User Docker has ended, and no console has to."""
    return switch.of is not Switchable.CONSOLE and drained(switch, event, scene)


def console_ended(_switch: Switch, _event: Any, scene: Scene) -> bool:
    return scene.console is None or not scene.console.busy


def console_ready(_switch: Switch, _event: Any, scene: Scene) -> bool:
    return scene.console is not None and scene.console.phase is Phase.READY


LOST = frozenset({Phase.CRASH_LOOP, Phase.IMAGE_MISSING, Phase.FAILED, Phase.COMPLETED, Phase.INACTIVE})
"""Phases from which a unit that was just started does not get anywhere by itself."""


def console_lost(switch: Switch, _event: Any, scene: Scene) -> bool:
    """It cannot start, or has died already: a console that falls over in its first moments is no working one."""
    if switch.of is not Switchable.CONSOLE:
        return False
    return scene.console is None or scene.console.phase in LOST or bool(scene.console.death)


def serves(switch: Switch, _event: Any, scene: Scene) -> bool:
    return switch.serving and scene.docker is not None and scene.docker.phase is Phase.READY


def needs_no_choice(switch: Switch, _event: Any, _scene: Scene) -> bool:
    return switch.stopgap


def need_not_serve(switch: Switch, _event: Any, _scene: Scene) -> bool:
    return not switch.serving


def engine_lost(switch: Switch, _event: Any, scene: Scene) -> bool:
    return switch.serving and (scene.docker is None or scene.docker.phase in LOST)


def emptied(switch: Switch, event: Any, scene: Scene) -> bool:
    """Nothing of the new place runs any more."""
    console = switch.of is not Switchable.CONSOLE or not switch.moved or console_ended(switch, event, scene)
    return console and drained(switch, event, scene)


def restored(switch: Switch, event: Any, scene: Scene) -> bool:
    console = switch.of is not Switchable.CONSOLE or console_ready(switch, event, scene)
    return console and (not switch.serving or serves(switch, event, scene))


def refused(_switch: Switch, event: SwitchChecked, _scene: Scene) -> bool:
    return bool(event.refusals)


def stale(switch: Switch, event: Any, _scene: Scene) -> bool:
    """An answer to an order of an earlier step, or a timer of one."""
    return bool(event.token != switch.token)


def engine_down(_switch: Switch, _event: Any, scene: Scene) -> bool:
    return not scene.engine_up


# What is done.

CHECK, REVERT, RESTORE, PROVE, COMMIT = Seconds(600), Seconds(120), Seconds(120), Seconds(60), Seconds(30)
"""Deadlines of the steps. Checking may pull an image."""
STAY = Seconds(1)
"""Where user Docker has nothing to prove, the new console proves itself by staying up for so long."""
READY = Seconds(30)
"""A console that is not ready by then has failed."""
MARGIN = Seconds(20)
"""Beyond a unit's own stop timeout: three SIGKILLs."""
OUTAGE = Seconds(5)
"""With the engine away the time of a step stands still; looked at again so often."""


def refusal(asked: SwitchAsked, under_way: Switch | None, scene: Scene) -> str:
    """Why this switch cannot even begin, in words; empty when it can."""
    if scene.draining:
        return "the host goes down"
    if under_way is not None:
        what = f"{under_way.of} from {under_way.origin} to {under_way.target}"
        return f"a switch of the {what} is under way ({under_way.step}): wait for its end"
    if not scene.engine_up:
        return "System Docker does not answer: wait until it does"
    match asked.of:
        case Switchable.CONSOLE:
            return _console_refusal(asked, scene)
        case Switchable.STORAGE:
            return _storage_refusal(asked.target, scene)
        case Switchable.ENGINE:
            return "" if scene.docker is not None else "there is no user Docker: configure rancher.docker"


def _console_refusal(asked: SwitchAsked, scene: Scene) -> str:
    target = asked.target
    if asked.anew:
        unit = scene.console
        gone = unit is None or unit.spec.variant != target or not unit.spec.body
        return f"{target} is not the present console, or has no definition" if gone else ""
    if target not in scene.consoles:
        return f"there is no console '{target}'; there are: {', '.join(sorted(scene.consoles)) or 'none'}"
    console = scene.console
    if console is not None and console.spec.variant == target and console.phase is Phase.READY:
        return f"the console is {target} already"
    return ""


def _storage_refusal(target: str, scene: Scene) -> str:
    docker = scene.docker
    if docker is None:
        return "there is no user Docker: configure rancher.docker"
    known = contexts(scene.units)
    if target not in known:
        return f"there is no unit '{target}' that could be a storage context; there are: {', '.join(known)}"
    if docker.spec.context == target and docker.phase is Phase.READY:
        return f"the storage context is {target} already"
    return ""


def begin(asked: SwitchAsked, scene: Scene, *, stopgap: bool = False) -> Turn:
    """The first step. Nothing is touched in it."""
    docker, console, moment = scene.docker, scene.console, scene.moment
    origin = {
        Switchable.CONSOLE: console.spec.variant if console else "",
        Switchable.STORAGE: (docker.spec.context or "") if docker else "",
        Switchable.ENGINE: docker.spec.engine if docker else "",
    }[asked.of]
    switch = Switch(
        asked.of,
        origin,
        asked.target,
        SwitchStep.CHECKING,
        moment.now,
        moment.now,
        moment.seq,
        asked.request,
        moment.cause,
        serving=docker is not None and docker.wanted and user_docker_follows(asked.of, scene),
        anew=asked.anew,
        stopgap=stopgap,
    )
    context = UnitName(asked.target) if asked.of is Switchable.STORAGE else (docker.spec.context if docker else None)
    looked_at = CONSOLE if asked.of is Switchable.CONSOLE else context
    unit = scene.units.get(looked_at) if looked_at else None
    check = CheckSwitch(
        switch.token,
        asked.of,
        asked.target,
        asked.force,
        scene.consoles.get(asked.target) if asked.of is Switchable.CONSOLE else None,
        unit.container if unit is not None else None,
        context,
    )
    return Turn(switch, (_intent(switch, CONSOLE), check, ArmSwitch(CHECK, switch.token)))


def _intent(switch: Switch, unit: UnitName) -> KeepIntent:
    return KeepIntent(unit, switch.token, switch.of, switch.origin, switch.target, switch.step.value)


def _next(switch: Switch, step: SwitchStep, limit: Seconds, unit: UnitName, **changes: Any) -> Turn:
    """Begin a step: its number, its timer, and the note that it begins."""
    switch = replace(switch, token=switch.token + 1, **changes)
    return Turn(switch, (_intent(replace(switch, step=step), unit), ArmSwitch(limit, switch.token)))


def drain(switch: Switch, _event: Any, scene: Scene) -> Turn:
    docker = scene.docker
    limit = Seconds((docker.spec.stop.timeout if docker else 0) + MARGIN)
    turn = _next(switch, SwitchStep.DRAINING, limit, USER_DOCKER)
    if docker is None or not switch.serving:
        return turn
    return replace(turn, asks=(StopAsked(USER_DOCKER, by=StoppedBy.SWITCH),))


def stop(switch: Switch, _event: Any, scene: Scene) -> Turn:
    console = scene.console
    limit = Seconds((console.spec.stop.timeout if console else 0) + MARGIN)
    turn = _next(switch, SwitchStep.STOPPING, limit, CONSOLE)
    return replace(turn, asks=(StopAsked(CONSOLE, by=StoppedBy.SWITCH),))


def start(switch: Switch, _event: Any, scene: Scene) -> Turn:
    turn = _next(switch, SwitchStep.STARTING, READY, CONSOLE, moved=True)
    spare = SpareUse.KEEP if switch.anew else SpareUse.NONE
    return replace(turn, specs=(scene.consoles[switch.target],), asks=(StartAsked(CONSOLE),), spare=spare)


def prove(switch: Switch, _event: Any, scene: Scene) -> Turn:
    """User Docker in the new place: after a new console that is where it was, by name."""
    turn = _next(switch, SwitchStep.PROVING, PROVE if switch.serving else STAY, USER_DOCKER, moved=True)
    specs = () if switch.of is Switchable.CONSOLE else _placed(switch, switch.target, scene)
    asks = (StartAsked(USER_DOCKER),) if switch.serving else ()
    return replace(turn, specs=specs, asks=asks)


def _placed(switch: Switch, name: str, scene: Scene) -> tuple[UnitSpec, ...]:
    if scene.docker is None:
        return ()
    spec = scene.docker.spec
    if switch.of is Switchable.ENGINE:
        return (replace(spec, engine=name),)
    return (placed(spec, UnitName(name)),)


def commit(switch: Switch, _event: Any, _scene: Scene) -> Turn:
    turn = _next(switch, SwitchStep.COMMITTING, COMMIT, CONSOLE)
    if switch.stopgap:
        return turn
    return replace(turn, orders=(*turn.orders, KeepChoice(turn.switch.token, switch.of, switch.target)))


def _failed(what: str) -> Action:
    def revert(switch: Switch, event: Any, scene: Scene) -> Turn:
        """Stop what was started anew; user Docker first."""
        why = what or event.message
        unit = {"console": scene.console, "user Docker": scene.docker}.get(why.partition(":")[0])
        if unit is not None:
            why += f" (it is {unit.phase}: {unit.reason})"
        turn = _next(switch, SwitchStep.REVERTING, REVERT, USER_DOCKER, why=why)
        asks: list[UnitEvent] = []
        if user_docker_follows(switch.of, scene) and switch.serving:
            asks.append(StopAsked(USER_DOCKER, by=StoppedBy.SWITCH))
        if switch.of is Switchable.CONSOLE and switch.moved:
            asks.append(StopAsked(CONSOLE, by=StoppedBy.SWITCH))
        return replace(turn, asks=tuple(asks))

    return revert


def restore(switch: Switch, _event: Any, scene: Scene) -> Turn:
    """Put back what was, and start it."""
    turn = _next(switch, SwitchStep.RESTORING, RESTORE, CONSOLE)
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


def conclude(switch: Switch, _event: Any, _scene: Scene) -> Turn:
    """All is as it was wanted."""
    return Turn(switch, (DropIntent(),), spare=SpareUse.DROP if switch.anew else SpareUse.NONE)


def finish(switch: Switch, _event: Any, _scene: Scene) -> Turn:
    written_late = bool(switch.why) and any(step == SwitchStep.COMMITTING for step, _ in switch.spent)
    back = (KeepChoice(0, switch.of, switch.origin),) if written_late else ()
    return Turn(switch, (*back, DropIntent()))


def refuse(switch: Switch, event: SwitchChecked, scene: Scene) -> Turn:
    return finish(replace(switch, why="; ".join(event.refusals)), event, scene)


def refuse_unwritten(switch: Switch, event: ChoiceLost, scene: Scene) -> Turn:
    return finish(replace(switch, why=event.message), event, scene)


def refuse_late(switch: Switch, event: SwitchDue, scene: Scene) -> Turn:
    return finish(replace(switch, why=f"checking took longer than {CHECK:g} s"), event, scene)


def nothing(switch: Switch, _event: Any, _scene: Scene) -> Turn:
    return Turn(switch)


def wait_on(switch: Switch, _event: Any, _scene: Scene) -> Turn:
    """The engine is away: no step's time runs."""
    return Turn(switch, (ArmSwitch(OUTAGE, switch.token),))


S = SwitchStep
WORKING = (S.DRAINING, S.STOPPING, S.STARTING, S.PROVING, S.COMMITTING)


ROWS: tuple[Row, ...] = (
    Row(S.CHECKING, SwitchChecked, S.CHECKING, nothing, stale),
    Row(S.CHECKING, SwitchChecked, Result.REFUSED, refuse, refused),
    Row(S.CHECKING, SwitchChecked, S.DRAINING, drain),
    Row(S.CHECKING, SwitchDue, S.CHECKING, nothing, stale),
    Row(S.CHECKING, SwitchDue, Result.REFUSED, refuse_late),
    Row(S.CHECKING, ChoiceLost, Result.REFUSED, refuse_unwritten),
    Row(S.DRAINING, UnitsMoved, S.PROVING, prove, drained_elsewhere),
    Row(S.DRAINING, UnitsMoved, S.STOPPING, stop, drained),
    Row(S.STOPPING, UnitsMoved, S.STARTING, start, console_ended),
    Row(S.STARTING, UnitsMoved, S.REVERTING, _failed("console: the new one does not run"), console_lost),
    Row(S.STARTING, UnitsMoved, S.PROVING, prove, console_ready),
    Row(S.PROVING, UnitsMoved, S.REVERTING, _failed("console: the new one fell over"), console_lost),
    Row(S.PROVING, UnitsMoved, S.COMMITTING, commit, serves),
    Row(S.PROVING, UnitsMoved, S.REVERTING, _failed("user Docker: does not run in the new place"), engine_lost),
    Row(S.COMMITTING, ChoiceKept, S.COMMITTING, nothing, stale),
    Row(S.COMMITTING, ChoiceKept, Result.DONE, conclude),
    Row(S.COMMITTING, UnitsMoved, Result.DONE, conclude, needs_no_choice),
    *(Row(step, SwitchDue, step, nothing, stale) for step in WORKING),
    *(Row(step, SwitchDue, step, wait_on, engine_down) for step in WORKING),
    Row(S.DRAINING, SwitchDue, S.REVERTING, _failed("user Docker: did not end in time")),
    Row(S.STOPPING, SwitchDue, S.REVERTING, _failed("console: the old one did not end in time")),
    Row(S.STARTING, SwitchDue, S.REVERTING, _failed(f"console: the new one is not ready after {READY:g} s")),
    Row(S.PROVING, SwitchDue, S.COMMITTING, commit, need_not_serve),
    Row(S.PROVING, SwitchDue, S.REVERTING, _failed(f"user Docker: does not serve after {PROVE:g} s")),
    Row(S.COMMITTING, SwitchDue, S.REVERTING, _failed(f"the choice is not on disk after {COMMIT:g} s")),
    *(Row(step, ChoiceLost, S.REVERTING, _failed("")) for step in WORKING),
    Row(S.REVERTING, UnitsMoved, S.RESTORING, restore, emptied),
    Row(S.REVERTING, SwitchDue, S.REVERTING, nothing, stale),
    Row(S.REVERTING, SwitchDue, S.REVERTING, wait_on, engine_down),
    Row(S.REVERTING, SwitchDue, S.RESTORING, restore),
    Row(S.RESTORING, UnitsMoved, Result.ROLLED_BACK, finish, restored),
    Row(S.RESTORING, SwitchDue, S.RESTORING, nothing, stale),
    Row(S.RESTORING, SwitchDue, S.RESTORING, wait_on, engine_down),
    Row(S.RESTORING, SwitchDue, Result.STUCK, finish),
)

CELLS: Mapping[tuple[SwitchStep, type[SwitchEvent]], tuple[Row, ...]] = {
    (step, on): tuple(row for row in ROWS if row.at is step and row.on is on)
    for step, on in {(row.at, row.on) for row in ROWS}
}

IGNORED: Mapping[tuple[SwitchStep, type[SwitchEvent]], str] = {
    **{(S.CHECKING, on): "the check's answer decides, not the units" for on in (UnitsMoved, ChoiceKept)},
    **{(step, SwitchChecked): "a check that nobody waits for any more" for step in S if step is not S.CHECKING},
    **{(step, ChoiceKept): "only committing waits for it" for step in S if step not in {S.CHECKING, S.COMMITTING}},
    **{(step, ChoiceLost): "the note of a way back; the way back needs none" for step in (S.REVERTING, S.RESTORING)},
}
"""Cells without rows, and why that is right. ``SwitchAsked`` is answered outside of the table: one at a time."""


def advance(switch: Switch, event: SwitchEvent, scene: Scene) -> tuple[Turn, SwitchStep | Result] | None:
    """Apply the first row whose guard holds; ``None`` when none does."""
    for row in CELLS.get((switch.step, type(event)), ()):
        if row.when(switch, event, scene):
            turn = row.do(switch, event, scene)
            if row.to is not switch.step:
                spent = (*switch.spent, (switch.step.value, round(scene.moment.now - switch.since, 6)))
                turn = replace(turn, switch=replace(turn.switch, spent=spent, since=scene.moment.now))
                if isinstance(row.to, SwitchStep):
                    turn = replace(turn, switch=replace(turn.switch, step=row.to))
            return turn, row.to
    return None


def stopgap(scene: Scene, tried: frozenset[str]) -> SwitchAsked | None:
    """The chosen console cannot run by itself: ``default`` has to do, so that a person can get in. Once for each."""
    unit = scene.console
    if unit is None or scene.draining or not scene.engine_up or unit.spec.variant in {"default", *tried}:
        return None
    if not unit.wanted or unit.phase not in {Phase.CRASH_LOOP, Phase.IMAGE_MISSING, Phase.FAILED}:
        return None
    return SwitchAsked(Switchable.CONSOLE, "default", force=True) if "default" in scene.consoles else None


def over(switch: Switch, result: Result, now: Instant) -> Outcome:
    return Outcome(
        switch.of, switch.origin, switch.target, result, switch.why, now, switch.request, switch.spent, switch.cause
    )
