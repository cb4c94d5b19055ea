"""Actions that end a run, each with its reason, up to SIGKILL; and those that begin another one after it."""

from typing import Any

from units import events as fact
from units.actions.ending import UNREACHABLE_DELAY, unwant
from units.actions.starting import run
from units.commands import (
    SignalContainer,
    Timer,
)
from units.guards import KILLS, busy_followers
from units.healing import helped
from units.machine import Step, View, arm
from units.quantities import Seconds
from units.records import replace
from units.relinking import Cure, cure_of, relinked
from units.spec import Kind
from units.unit import Budget, Reason, StoppedBy, Unit

VETO_LOOK = Seconds(30)
"""After a vetoed stop, until it is looked at again whether it is still to be stopped."""


def stay(unit: Unit, event: Any, _view: View) -> Step:
    """A hook said no to its stop: it runs on. What still wants the stop asks for it again."""
    kept = replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, again=None, failing="", grace=None)
    timer = Timer.DEADLINE if unit.spec.kind is Kind.ONESHOT and unit.spec.deadline > 0 else Timer.LOOK
    return arm(replace(kept, reason=f"runs on: {event.message}"), timer, VETO_LOOK)


def insist(unit: Unit, _event: Any, _view: View) -> Step:
    """The host goes down meanwhile, and nobody's no holds that up."""
    return _stop_orders(unit, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def _stop_orders(unit: Unit, timeout: Seconds) -> Step:
    assert unit.container is not None
    order = SignalContainer(unit.name, unit.container, unit.spec.stop.signal)
    return arm(replace(unit, kills=0), Timer.KILL, timeout, (order,))


def halt(unit: Unit, event: Any, view: View) -> Step:
    """Stop it for good."""
    unit = unwant(unit, event, view).unit
    asked = "stopping for a switch" if unit.stopped_by is StoppedBy.SWITCH else "stopping as asked"
    unit = replace(unit, reason=asked)
    if isinstance(event, fact.DrainAsked):
        unit = replace(unit, grace=event.timeout)
    if unit.grace is not None:
        unit = replace(unit, reason="the host goes down")
    return _stop_orders(unit, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def drain(unit: Unit, event: Any, view: View) -> Step:
    """Wait for those that depend on it to end first."""
    if isinstance(event, fact.DrainAsked):
        unit = replace(unwant(unit, event, view).unit, grace=event.timeout)
    return Step(replace(unit, reason="the host goes down; first: " + ", ".join(busy_followers(unit, view))))


def cycle(unit: Unit, event: Any, _view: View) -> Step:
    """Stop it, and start it again."""
    again = Reason.CONFIG if isinstance(event, fact.SpecChanged | fact.ContainerStarted) else Reason.MANUAL
    reason = "its definition changed" if again is Reason.CONFIG else "restarting as asked"
    unit = replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, again=again, reason=reason)
    if again is Reason.MANUAL:
        unit = replace(unit, budget=Budget())
    return _stop_orders(unit, unit.spec.stop.timeout)


def follow(unit: Unit, event: Any, _view: View) -> Step:
    """Its storage context went, or is another one now: end in the old one, and begin in the new one."""
    why = event.why if isinstance(event, fact.ContextLost) else f"its storage context {unit.spec.context} has changed"
    return _stop_orders(replace(unit, again=Reason.CONTEXT, reason=why), unit.spec.stop.timeout)


def relink(unit: Unit, _event: Any, view: View) -> Step:
    """It holds on to what is over: only another start, or another container, joins what lives now."""
    new = cure_of(unit, view) is Cure.RECREATE
    unit = relinked(unit, view)
    return _stop_orders(replace(unit, again=Reason.RELINK, outdated=unit.reason if new else ""), unit.spec.stop.timeout)


def heal(unit: Unit, event: Any, view: View) -> Step:
    unit = helped(unit, event, view)
    again = replace(unit, again=Reason.UNHEALTHY, reason=f"{unit.ailing}; restarting")
    return _stop_orders(again, unit.spec.stop.timeout)


def heal_anew(unit: Unit, event: Any, view: View) -> Step:
    unit = helped(unit, event, view)
    why = f"{unit.ailing}; in a new container"
    return _stop_orders(replace(unit, again=Reason.UNHEALTHY, outdated=why, reason=why), unit.spec.stop.timeout)


def put_to_rest(unit: Unit, event: Any, view: View) -> Step:
    """Its definition wants a sick unit stopped."""
    unit = helped(unit, event, view)
    unit = replace(unit, wanted=False, stopped_by=StoppedBy.HEALTH, again=None, pending=None)
    return _stop_orders(replace(unit, reason=f"{unit.ailing}; stopping it"), unit.spec.stop.timeout)


def adopt_and_follow(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    """It was ready to go when its context went."""
    return follow(run(unit, event, view).unit, event, view)


def give_up_waiting(unit: Unit, _event: Any, _view: View) -> Step:
    """It runs and does not serve: end it, and begin again."""
    told = f"did not serve within {unit.spec.deadline:g} s"
    return _stop_orders(replace(unit, again=Reason.START_FAILED, death=told, reason=told), unit.spec.stop.timeout)


def adopt_and_halt(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    """Somebody starts a unit while the host goes down."""
    by = unit.stopped_by
    unit = replace(run(unit, event, view).unit, wanted=False, stopped_by=by, reason="the host goes down")
    return _stop_orders(unit, unit.spec.stop.timeout)


def adopt_and_cycle(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    return cycle(run(unit, event, view).unit, event, view)


def time_out(unit: Unit, _event: Any, _view: View) -> Step:
    """A oneshot overran its deadline."""
    told = f"ran for longer than its deadline of {unit.spec.deadline:g} s"
    return _stop_orders(replace(unit, failing=told, reason=told), unit.spec.stop.timeout)


def kill(unit: Unit, event: Any, _view: View) -> Step:
    """The stop signal has had its time, or there is no time left."""
    if isinstance(event, fact.HurryAsked):
        unit = unwant(unit, event, _view).unit
        unit = replace(unit, kills=0)
    assert unit.container is not None
    order = SignalContainer(unit.name, unit.container, "SIGKILL")
    pause = Seconds(2.0 ** (unit.kills + 1))
    kills = unit.kills + 1
    reason = f"{unit.reason.split('; SIGKILL')[0]}; SIGKILL {kills} of {KILLS}"
    return arm(replace(unit, kills=kills, reason=reason), Timer.KILL, pause, (order,))


def kill_later(unit: Unit, _event: Any, _view: View) -> Step:
    """No engine to send a signal through: the count stands still."""
    return arm(unit, Timer.KILL, UNREACHABLE_DELAY)


def leave_unkillable(unit: Unit, _event: Any, _view: View) -> Step:
    reason = f"it survived {KILLS} SIGKILLs: its process hangs in the kernel (look at its state and its storage)"
    return Step(replace(unit, reason=reason, failing="", again=None))
