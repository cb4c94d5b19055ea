"""Actions that make a unit's next container before its present one stops: what can fail has failed by then.

While that lasts the unit runs as before. What asked for it is its ``plan``; once the successor stands ready, that is
looked at again, and only then the present container gets its stop signal.
"""

import functools
from typing import Any

from units import events as fact
from units.actions.starting import IMAGE_DELAY, IMAGE_MAX_DELAY, run
from units.actions.stopping import cycle
from units.commands import PrepareContainer, PullImage, RemoveContainer, Timer
from units.guards import stale
from units.healing import examined
from units.machine import Action, Moved, View, arm
from units.quantities import Instant, Seconds
from units.records import replace
from units.relinking import leader_changes, reason_of
from units.restart import spread
from units.unit import Reason, StandbyContainer, Unit
from units.words import duration

PREPARATION, PULL = Seconds(45), Seconds(900)
"""Longer than the engine port needs to answer: after them an answer was lost."""
MAKING = "making its new container while this one runs"


def _why(unit: Unit, view: View, plan: Reason | None) -> str:
    match plan:
        case Reason.CONFIG:
            return "its definition changed"
        case Reason.UNHEALTHY:
            return unit.ailing
        case Reason.RELINK:
            return reason_of(unit, view)
        case _:
            return "restart requested, in a new container"


@functools.cache
def prepare(plan: Reason) -> Action[Any]:
    def act(unit: Unit, event: Any, view: View) -> Moved:
        """Have its successor made, unless that is under way, or its next try is not due."""
        unit = examined(unit, event)
        left = unit.plan_due - view.now
        if unit.plan is not None and left > 0 and not unit.kept:
            return Moved(replace(unit, plan=plan))
        if unit.plan is plan and left > 0:
            return arm(unit, Timer.LOOK, Seconds(left)) if plan is Reason.RELINK else Moved(unit)
        if plan is Reason.CONFIG and leader_changes(unit, view):
            return Moved(unit)  # Its end, or the next snapshot, brings this again.
        return _ordered(replace(unit, plan=plan, reason=f"{_why(unit, view, plan)}; {MAKING}"), view)

    act.__name__ = f"prepare_for_{plan.value}"
    return act


def _ordered(unit: Unit, view: View) -> Moved:
    assert unit.container is not None
    order = PrepareContainer(unit.name, unit.spec, unit.container)
    return Moved(replace(unit, plan_due=Instant(view.now + PREPARATION)), (order,))


def run_outdated(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    """It was found running, made from another definition."""
    begun = run(unit, event, view)
    step = prepare(Reason.CONFIG)(begun.unit, event, view)
    return Moved(step.unit, (*begun.commands, *step.commands))


def keep_successor(unit: Unit, event: fact.SuccessorMade, _view: View) -> Moved:
    return Moved(succeeded(unit, event, _view))


def succeeded(unit: Unit, event: fact.SuccessorMade, _view: View) -> Unit:
    made = StandbyContainer(event.container, event.config_hash)
    return replace(unit, successor=made, misses=0, kept="", pulled=False)


def cycle_for_successor(unit: Unit, event: fact.SuccessorMade, view: View) -> Moved:
    if unit.plan is Reason.CONFIG:
        return cycle(unit, fact.SpecChanged(unit.name, unit.spec), view)
    return cycle(unit, event, view)


def drop_successor(unit: Unit, event: fact.SuccessorMade, view: View) -> Moved:
    """Nothing needs it any more; or its definition is no longer the unit's, and another one is made."""
    order = RemoveContainer(unit.name, event.container, "it was made to replace a container that stays")
    unit = replace(unit, plan=None, kept="", plan_due=view.now)
    if not stale(unit):
        return Moved(unit, (order,))
    step = prepare(Reason.CONFIG)(unit, event, view)
    return Moved(step.unit, (order, *step.commands))


def stand_down(unit: Unit, _event: fact.SpecChanged, _view: View) -> Moved:
    """Its definition is again the one that its container was made from."""
    unit, made = (
        replace(unit, plan=None, kept="", successor=None, reason="runs by its definition again"),
        unit.successor,
    )
    why = "the definition that it was made from is gone"
    return Moved(unit, () if made is None else (RemoveContainer(unit.name, made.container, why),))


def pull_beside(unit: Unit, _event: fact.SuccessorFailed, view: View) -> Moved:
    image = unit.spec.image
    reason = f"{_why(unit, view, unit.plan)}; pulling {image} while this container runs"
    return Moved(replace(unit, reason=reason, plan_due=Instant(view.now + PULL)), (PullImage(unit.name, image),))


def prepare_pulled(unit: Unit, _event: fact.ImagePulled, view: View) -> Moved:
    reason = f"{_why(unit, view, unit.plan)}; {MAKING}"
    return _ordered(replace(unit, pulled=True, reason=reason), view)


def run_on(unit: Unit, event: fact.SuccessorFailed | fact.PullFailed, view: View) -> Moved:
    """It cannot be replaced now: it runs on as it is, and this is tried again ever later."""
    base = min(IMAGE_MAX_DELAY, IMAGE_DELAY * 2 ** min(unit.misses, 10))
    delay = spread(base, unit.spec.restart.jitter, view.moment.jitter)
    kept = f"{_why(unit, view, unit.plan)}; still runs in its present container: {event.message}"
    reason = f"{kept}; next try in {duration(delay)}"
    due = Instant(view.now + delay)
    unit = replace(unit, reason=reason, kept=kept, misses=unit.misses + 1, pulled=False, plan_due=due)
    return arm(unit, Timer.LOOK, delay)
