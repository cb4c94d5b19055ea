"""Actions that end a run, each with its reason, up to SIGKILL; and those that begin another one after it."""

from typing import Any

from units import events as fact
from units.actions.ending import UNREACHABLE_DELAY, unwant
from units.actions.starting import run
from units.commands import (
    SignalContainer,
    TakeSnapshot,
    Timer,
)
from units.guards import KILLS, busy_followers
from units.healing import helped
from units.machine import Moved, View, arm
from units.quantities import Seconds
from units.records import replace
from units.relinking import Cure, cure_of, relinked
from units.spec import Kind
from units.unit import Budget, Reason, StoppedBy, Unit
from units.words import duration

VETO_LOOK = Seconds(30)
"""After a vetoed stop, until it is checked again whether it must still be stopped."""


def stay(unit: Unit, event: Any, _view: View) -> Moved:
    """A hook vetoed the stop: the unit keeps running. The source of the stop asks again if it still wants it."""
    kept = replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, again=None, failing="", grace=None, untaken="")
    timer = Timer.DEADLINE if unit.spec.kind is Kind.ONESHOT and unit.spec.deadline > 0 else Timer.LOOK
    return arm(replace(kept, reason=f"not stopped: {event.message}"), timer, VETO_LOOK)


def insist(unit: Unit, _event: Any, _view: View) -> Moved:
    """Stop it in spite of the veto, because the host goes down."""
    return _stop_orders(unit, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def _stop_orders(unit: Unit, timeout: Seconds) -> Moved:
    assert unit.container is not None
    signal = unit.spec.stop.signal
    order = SignalContainer(unit.name, unit.container, signal)
    return arm(replace(unit, kills=0, untaken=signal), Timer.KILL, timeout, (order,))


def halt(unit: Unit, event: Any, view: View) -> Moved:
    """Stop it for good."""
    unit = unwant(unit, event, view).unit
    why = {StoppedBy.SWITCH: "for a switch", StoppedBy.CONFIG: "(no longer in the configuration)"}
    unit = replace(unit, reason=f"stopping {why.get(unit.stopped_by, '(by user)')}")
    if isinstance(event, fact.DrainAsked):
        unit = replace(unit, grace=event.timeout)
    if unit.grace is not None:
        unit = replace(unit, reason="the host goes down")
    return _stop_orders(unit, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def drain(unit: Unit, event: Any, view: View) -> Moved:
    """Wait until the units that depend on it have stopped."""
    if isinstance(event, fact.DrainAsked):
        unit = replace(unwant(unit, event, view).unit, grace=event.timeout)
    return Moved(
        replace(
            unit, reason="the host goes down; waiting for these to stop first: " + ", ".join(busy_followers(unit, view))
        )
    )


def cycle(unit: Unit, event: Any, _view: View) -> Moved:
    """Stop it, and start it again."""
    again = Reason.CONFIG if isinstance(event, fact.SpecChanged | fact.ContainerStarted) else Reason.MANUAL
    reason = "restarting: its definition changed" if again is Reason.CONFIG else "restarting (by user)"
    unit = replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, again=again, reason=reason)
    if again is Reason.MANUAL:
        unit = replace(unit, budget=Budget())
    return _stop_orders(unit, unit.spec.stop.timeout)


def follow(unit: Unit, event: Any, _view: View) -> Moved:
    """Stop user Docker in its old storage context, and start it in the current one."""
    why = (
        event.why
        if isinstance(event, fact.ContextLost)
        else f"restarting: its storage context {unit.spec.context} changed"
    )
    return _stop_orders(replace(unit, again=Reason.CONTEXT, reason=why), unit.spec.stop.timeout)


def relink(unit: Unit, _event: Any, view: View) -> Moved:
    """Restart or re-create a unit with a stale reference."""
    new = cure_of(unit, view) is Cure.RECREATE
    unit = relinked(unit, view)
    return _stop_orders(replace(unit, again=Reason.RELINK, outdated=unit.reason if new else ""), unit.spec.stop.timeout)


def heal(unit: Unit, event: Any, view: View) -> Moved:
    unit = helped(unit, event, view)
    again = replace(unit, again=Reason.UNHEALTHY, reason=f"{unit.ailing}; restarting")
    return _stop_orders(again, unit.spec.stop.timeout)


def heal_anew(unit: Unit, event: Any, view: View) -> Moved:
    unit = helped(unit, event, view)
    why = f"{unit.ailing}; re-creating"
    return _stop_orders(replace(unit, again=Reason.UNHEALTHY, outdated=why, reason=why), unit.spec.stop.timeout)


def put_to_rest(unit: Unit, event: Any, view: View) -> Moved:
    """Stop an unhealthy unit whose action is ``stop``."""
    unit = helped(unit, event, view)
    unit = replace(unit, wanted=False, stopped_by=StoppedBy.HEALTH, again=None, pending=None)
    return _stop_orders(replace(unit, reason=f"{unit.ailing}; stopping"), unit.spec.stop.timeout)


def adopt_and_follow(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    """It started just as its storage context changed: restart it in the current one."""
    return follow(run(unit, event, view).unit, event, view)


def give_up_waiting(unit: Unit, _event: Any, _view: View) -> Moved:
    """Restart a unit that runs but did not serve before its deadline."""
    told = f"did not serve within {duration(unit.spec.deadline)}"
    return _stop_orders(replace(unit, again=Reason.START_FAILED, death=told, reason=told), unit.spec.stop.timeout)


def adopt_and_halt(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    """Stop a unit that was started through the engine while the host goes down."""
    by = unit.stopped_by
    unit = replace(run(unit, event, view).unit, wanted=False, stopped_by=by, reason="the host goes down")
    return _stop_orders(unit, unit.spec.stop.timeout)


def adopt_and_cycle(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    return cycle(run(unit, event, view).unit, event, view)


def time_out(unit: Unit, _event: Any, _view: View) -> Moved:
    """Stop a oneshot that exceeded its deadline."""
    told = f"exceeded its deadline of {duration(unit.spec.deadline)}"
    return _stop_orders(replace(unit, failing=told, reason=told), unit.spec.stop.timeout)


def give_up_lifeless(unit: Unit, event: fact.HealthReported, _view: View) -> Moved:
    """Stop a oneshot whose process is gone, so that its engine finds out: it would run for ever."""
    told = f"did not end for its engine: {event.output}"
    return _stop_orders(replace(unit, failing=told, reason=told), unit.spec.stop.timeout)


SENT = "sent SIGKILL "


def kill(unit: Unit, event: Any, _view: View) -> Moved:
    """Send SIGKILL: the stop timeout is over, or the shutdown is hurried."""
    if isinstance(event, fact.HurryAsked):
        unit = unwant(unit, event, _view).unit
        unit = replace(unit, kills=0)
    assert unit.container is not None
    order = SignalContainer(unit.name, unit.container, "SIGKILL")
    pause = Seconds(2.0 ** (unit.kills + 1))
    said = unit.reason
    if SENT not in said:
        said += f"; ignored {unit.spec.stop.signal}, {SENT}" if isinstance(event, fact.KillDue) else f"; {SENT}"
    reason = f"{said.partition(SENT)[0]}{SENT}({unit.kills + 1}/{KILLS})"
    return arm(replace(unit, untaken="SIGKILL", reason=reason), Timer.KILL, pause, (order,))


SIGKILL = 9
SIGNAL_DEADLINE = Seconds(11)
"""Longer than the engine port's own deadline for a signal: after it another one does not queue behind it."""
PROMPT = Seconds(1)


def note_taken(unit: Unit, event: fact.ContainerKilled, view: View) -> Moved:
    """The engine has taken our signal: now it counts. The time to stop begins here where the engine let us wait."""
    if not unit.untaken or (event.signal == SIGKILL) != (unit.untaken == "SIGKILL"):
        return Moved(unit)
    if event.signal == SIGKILL:
        return Moved(replace(unit, untaken="", kills=unit.kills + 1))
    unit = replace(unit, untaken="")
    if view.now - unit.since < PROMPT:
        return Moved(unit)
    return arm(unit, Timer.KILL, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def repeat(unit: Unit, _event: fact.KillDue, _view: View) -> Moved:
    """Send the signal again that the engine was not heard to have taken: it was never a try."""
    assert unit.container is not None
    order = SignalContainer(unit.name, unit.container, unit.untaken)
    return arm(unit, Timer.KILL, SIGNAL_DEADLINE, (order,))


def repeat_soon(unit: Unit, event: fact.SignalFailed, _view: View) -> Moved:
    return arm(unit, Timer.KILL, UNREACHABLE_DELAY, (TakeSnapshot(f"{unit.name}: {event.message}"),))


def doubt_signal(unit: Unit, event: fact.SignalFailed, _view: View) -> Moved:
    """The engine refused the signal. After a stop signal that it does not know, SIGKILL has its turn."""
    left = unit.untaken if unit.untaken == "SIGKILL" else ""
    return Moved(replace(unit, untaken=left), (TakeSnapshot(f"{unit.name}: {event.message}"),))


def kill_later(unit: Unit, _event: Any, _view: View) -> Moved:
    """Wait with the next SIGKILL until the engine answers again."""
    return arm(unit, Timer.KILL, UNREACHABLE_DELAY)


def leave_unkillable(unit: Unit, _event: Any, _view: View) -> Moved:
    reason = f"still running after {KILLS} SIGKILLs; probably stuck in I/O (D state): check the disk or mount it uses"
    return Moved(replace(unit, reason=reason, failing=""))
