"""The switch of a console, a storage context or an engine: one transaction, at most one at a time.

It moves no unit itself: it asks the units to stop and to start, as a person would, and watches their states. Until the
choice is on disk everything can be undone, and is, whenever a step fails or takes too long. A supervisor that is killed
in between has nothing to undo: the next one reads the choice, and brings the host to it.
"""

from collections.abc import Mapping
from typing import Protocol

from units.commands import ArmSwitch, CheckSwitch
from units.quantities import Instant
from units.records import dataclass, replace
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName, UnitSpec
from units.switch import moves as do
from units.switch.moves import (
    CHECK,
    Action,
    Guard,
    SwitchView,
    Turn,
    always,
    intent,
    user_docker_follows,
)
from units.switch.record import Switch, SwitchOutcome, SwitchResult, SwitchStep
from units.switch_events import ChoiceKept, ChoiceLost, SwitchAsked, SwitchChecked, SwitchDue, SwitchEvent, UnitsMoved
from units.tables.console import persistent
from units.tables.storage import contexts
from units.unit import Phase, Reason, StandbyContainer, Unit
from units.words import duration


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """At this step, on this event, when the guard holds, do this and go to that step, or end with that result."""

    at: SwitchStep
    on: type[SwitchEvent]
    to: SwitchStep | SwitchResult
    do: Action
    when: Guard = always


def refusal(asked: SwitchAsked, under_way: Switch | None, scene: SwitchView) -> str:
    """Why this switch cannot begin, in words; empty when it can."""
    if scene.draining:
        return "the host goes down"
    if under_way is not None:
        what = f"{under_way.of} from {under_way.origin} to {under_way.target}"
        return f"a switch of the {what} is in progress ({under_way.step}): wait until it ends"
    if not scene.engine_up:
        return "System Docker does not answer: wait until it does"
    match asked.of:
        case Switchable.CONSOLE:
            return _console_refusal(asked, scene)
        case Switchable.STORAGE:
            return _storage_refusal(asked.target, scene)
        case Switchable.ENGINE:
            return "" if scene.docker is not None else "there is no user Docker: configure rancher.docker"


def _console_refusal(asked: SwitchAsked, scene: SwitchView) -> str:
    target = asked.target
    if asked.anew:
        unit = scene.console
        gone = unit is None or unit.spec.variant != target or not unit.spec.body
        return f"{target} is not the current console, or has no definition" if gone else ""
    if target not in scene.consoles:
        return f"there is no console '{target}'; there are: {', '.join(sorted(scene.consoles)) or 'none'}"
    console = scene.console
    if console is not None and console.spec.variant == target and console.phase is Phase.READY:
        return f"the console is already {target}"
    return ""


def _storage_refusal(target: str, scene: SwitchView) -> str:
    docker = scene.docker
    if docker is None:
        return "there is no user Docker: configure rancher.docker"
    known = contexts(scene.units)
    if target not in known:
        return f"no unit '{target}' can be a storage context; there are: {', '.join(known)}"
    if docker.spec.context == target and docker.phase is Phase.READY:
        return f"the storage context is already {target}"
    return ""


def begin(asked: SwitchAsked, scene: SwitchView, *, stopgap: bool = False) -> Turn:
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
    check = check_of(asked, switch.token, scene)
    if stopgap and asked.of is Switchable.CONSOLE:
        check = replace(check, engine=None)  # A person must get in, also where user Docker cannot start.
    return Turn(switch, (intent(switch, CONSOLE), check, ArmSwitch(CHECK, switch.token)))


class Scene(Protocol):
    """What a check depends on: of a switch's view, or of the world."""

    @property
    def units(self) -> Mapping[UnitName, Unit]: ...
    @property
    def consoles(self) -> Mapping[str, UnitSpec]: ...
    @property
    def parked(self) -> Mapping[str, StandbyContainer]: ...
    @property
    def pruned(self) -> frozenset[str]: ...


def check_of(asked: SwitchAsked, token: int, scene: Scene) -> CheckSwitch:
    """What is to be found out before this is done, now or at the next boot."""
    units = scene.units
    docker, to_console = units.get(USER_DOCKER), asked.of is Switchable.CONSOLE
    context = UnitName(asked.target) if asked.of is Switchable.STORAGE else (docker.spec.context if docker else None)
    looked_at = CONSOLE if to_console else context
    unit = units.get(looked_at) if looked_at else None
    spec = scene.consoles.get(asked.target) if to_console else None
    container = unit.container if unit is not None else None
    serves = docker is not None and docker.wanted and (not to_console or docker.spec.context == CONSOLE)
    engine = docker.spec.engine if docker is not None and serves else None
    order = CheckSwitch(token, asked.of, asked.target, asked.force, spec, container, context, engine=engine)
    if to_console and not asked.anew:
        parked = scene.parked.get(asked.target)
        order = replace(order, parked=None if parked is None else parked.container)
    if spec is None or asked.empty or asked.anew or not persistent(spec):
        return order
    return replace(order, keeps=True, lost=order.parked is None and asked.target in scene.pruned)


S = SwitchStep
WORKING = (S.DRAINING, S.STOPPING, S.STARTING, S.PROVING, S.COMMITTING)


ROWS: tuple[SwitchRow, ...] = (
    SwitchRow(S.CHECKING, SwitchChecked, S.CHECKING, do.nothing, do.stale),
    SwitchRow(S.CHECKING, SwitchChecked, SwitchResult.REFUSED, do.refuse, do.refused),
    SwitchRow(S.CHECKING, SwitchChecked, S.DRAINING, do.drain),
    SwitchRow(S.CHECKING, SwitchDue, S.CHECKING, do.nothing, do.stale),
    SwitchRow(S.CHECKING, SwitchDue, SwitchResult.REFUSED, do.refuse_late),
    SwitchRow(S.CHECKING, ChoiceLost, SwitchResult.REFUSED, do.refuse_unwritten),
    SwitchRow(S.DRAINING, UnitsMoved, S.PROVING, do.prove, do.drained_elsewhere),
    SwitchRow(S.DRAINING, UnitsMoved, S.STOPPING, do.stop, do.drained),
    SwitchRow(S.STOPPING, UnitsMoved, S.STARTING, do.start, do.console_ended),
    SwitchRow(S.STARTING, UnitsMoved, S.REVERTING, do.failed("console: the new one did not start"), do.console_lost),
    SwitchRow(S.STARTING, UnitsMoved, S.PROVING, do.prove, do.console_ready),
    SwitchRow(S.PROVING, UnitsMoved, S.REVERTING, do.failed("console: the new one died"), do.console_lost),
    SwitchRow(S.PROVING, UnitsMoved, S.COMMITTING, do.commit, do.serves),
    SwitchRow(
        S.PROVING, UnitsMoved, S.REVERTING, do.failed("user Docker: did not start in the new place"), do.engine_lost
    ),
    SwitchRow(S.COMMITTING, ChoiceKept, S.COMMITTING, do.nothing, do.stale),
    SwitchRow(S.COMMITTING, ChoiceKept, SwitchResult.DONE, do.conclude),
    SwitchRow(S.COMMITTING, UnitsMoved, SwitchResult.DONE, do.conclude, do.needs_no_choice),
    *(SwitchRow(step, SwitchDue, step, do.nothing, do.stale) for step in WORKING),
    *(SwitchRow(step, SwitchDue, step, do.wait_on, do.engine_down) for step in WORKING),
    SwitchRow(S.DRAINING, SwitchDue, S.REVERTING, do.failed("user Docker: did not stop in time")),
    SwitchRow(S.STOPPING, SwitchDue, S.REVERTING, do.failed("console: the old one did not stop in time")),
    SwitchRow(
        S.STARTING, SwitchDue, S.REVERTING, do.failed(f"console: the new one was not ready after {duration(do.READY)}")
    ),
    SwitchRow(S.PROVING, SwitchDue, S.COMMITTING, do.commit, do.need_not_serve),
    SwitchRow(S.PROVING, SwitchDue, S.REVERTING, do.failed(f"user Docker: did not serve after {duration(do.PROVE)}")),
    SwitchRow(S.COMMITTING, SwitchDue, S.REVERTING, do.failed(f"the choice was not saved after {duration(do.COMMIT)}")),
    *(SwitchRow(step, ChoiceLost, S.REVERTING, do.failed("")) for step in WORKING),
    SwitchRow(S.REVERTING, UnitsMoved, S.RESTORING, do.restore, do.emptied),
    SwitchRow(S.REVERTING, SwitchDue, S.REVERTING, do.nothing, do.stale),
    SwitchRow(S.REVERTING, SwitchDue, S.REVERTING, do.wait_on, do.engine_down),
    SwitchRow(S.REVERTING, SwitchDue, S.RESTORING, do.restore),
    SwitchRow(S.RESTORING, UnitsMoved, SwitchResult.ROLLED_BACK, do.finish, do.restored),
    SwitchRow(S.RESTORING, SwitchDue, S.RESTORING, do.nothing, do.stale),
    SwitchRow(S.RESTORING, SwitchDue, S.RESTORING, do.wait_on, do.engine_down),
    SwitchRow(S.RESTORING, SwitchDue, SwitchResult.STUCK, do.finish),
)

CELLS: Mapping[tuple[SwitchStep, type[SwitchEvent]], tuple[SwitchRow, ...]] = {
    (step, on): tuple(row for row in ROWS if row.at is step and row.on is on)
    for step, on in {(row.at, row.on) for row in ROWS}
}

IGNORED: Mapping[tuple[SwitchStep, type[SwitchEvent]], str] = {
    **{(S.CHECKING, on): "the check's answer decides, not the units" for on in (UnitsMoved, ChoiceKept)},
    **{(step, SwitchChecked): "a check that is no longer waited for" for step in S if step is not S.CHECKING},
    **{(step, ChoiceKept): "only committing waits for it" for step in S if step not in {S.CHECKING, S.COMMITTING}},
    **{
        (step, ChoiceLost): "a failed save matters no more: the switch is being undone"
        for step in (S.REVERTING, S.RESTORING)
    },
}
"""Cells without rows, and why that is right. ``SwitchAsked`` is answered outside of the table: one at a time."""


def advance(switch: Switch, event: SwitchEvent, scene: SwitchView) -> tuple[Turn, SwitchStep | SwitchResult] | None:
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


def stopgap(scene: SwitchView, tried: frozenset[str]) -> SwitchAsked | None:
    """A switch to ``default`` when the chosen console does not run, so that a person can log in. Once for each."""
    unit = scene.console
    if unit is None or scene.draining or not scene.engine_up or unit.spec.variant in {"default", *tried}:
        return None
    if not unit.wanted or not unit.phase.stuck:
        return None
    return SwitchAsked(Switchable.CONSOLE, "default", force=True, empty=True) if "default" in scene.consoles else None


def fallback(scene: SwitchView, served: tuple[UnitName, str] | None, tried: frozenset[str]) -> SwitchAsked | None:
    """A switch back to where user Docker served last, when it cannot serve where it was chosen to. Once for each."""
    docker = scene.docker
    if docker is None or served is None or scene.draining or not scene.engine_up or not docker.wanted:
        return None
    (context, engine), spec = served, docker.spec
    chosen = scene.units.get(spec.context) if spec.context else None
    cut_off = docker.phase is Phase.WAITING and chosen is not None and chosen.phase.stuck
    mute = docker.phase is Phase.STOPPING and docker.again is Reason.START_FAILED
    if not (docker.phase.stuck or mute or cut_off):
        return None
    if spec.context != context and f"storage {spec.context}" not in tried and context in contexts(scene.units):
        return SwitchAsked(Switchable.STORAGE, context, force=True)
    if spec.engine != engine and f"engine {spec.engine}" not in tried and not cut_off:
        return SwitchAsked(Switchable.ENGINE, engine, force=True)
    return None


def over(switch: Switch, result: SwitchResult, now: Instant) -> SwitchOutcome:
    return SwitchOutcome(
        switch.of, switch.origin, switch.target, result, switch.why, now, switch.request, switch.spent, switch.cause
    )
