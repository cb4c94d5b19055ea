"""Actions where a restart came to nothing: the container is still in the run that it was in.

Success is a new run, and nothing less. What came to nothing is neither counted nor told as a restart, and is tried
again ever more rarely.
"""

from typing import Any

from units import events as fact
from units.actions.ending import FREE
from units.commands import TakeSnapshot, Timer
from units.machine import Moved, View, arm
from units.quantities import Instant, Seconds
from units.records import replace
from units.unit import Phase, Reason, StoppedBy, Unit
from units.words import duration

FIRST, LONGEST = Seconds(10), Seconds(300)
"""Until the next try: doubling."""
PLANS = ("; restarting", "; re-creating", "; stopping")


def refuse(unit: Unit, event: Any, view: View) -> Moved:
    """The engine, or a proxy before it, does not allow it. Whether it still runs as it did, a snapshot says."""
    step = _left_as_it_was(unit, f"refused: {event.message}", view)
    return Moved(step.unit, (*step.commands, TakeSnapshot(f"{unit.name}: {event.message}")))


def note_refusal(unit: Unit, event: fact.SignalFailed, view: View) -> Moved:
    return _left_as_it_was(unit, f"refused: {event.message}", view)


def resume(unit: Unit, _event: fact.ContainerStarted, view: View) -> Moved:
    """It was thought to be down, and is found in the run of before."""
    if unit.pending is None and unit.again is None:
        return Moved(replace(unit, wanted=True, reason=f"still running ({unit.reason})"))
    return _left_as_it_was(unit, "it is still in the run of before", view)


def _left_as_it_was(unit: Unit, said: str, view: View) -> Moved:
    planned = unit.again or unit.pending
    for_health = planned is Reason.UNHEALTHY or unit.stopped_by is StoppedBy.HEALTH or unit.phase.up
    why = unit.ailing if for_health and unit.ailing else unit.reason
    for plan in PLANS:
        why = why.removesuffix(plan)
    delay = Seconds(min(LONGEST, FIRST * 2 ** min(unit.refusals, 10)))
    budget, falls = unit.budget, unit.falls
    if unit.pending not in FREE and unit.phase in {Phase.STARTING, Phase.CREATING}:
        budget = replace(budget, restarts=budget.restarts[:-1])
    if for_health:
        falls = falls[:-1]
    unit = replace(
        unit,
        wanted=True,
        stopped_by=StoppedBy.NOBODY,
        again=None,
        pending=None,
        outdated="",
        falls=falls,
        flapping=unit.flapping and len(falls) >= unit.spec.heal.falls,
        budget=budget,
        untaken="",
        kills=0,
        refused=said,
        refusals=unit.refusals + 1,
        refused_until=Instant(view.now + delay),
        reason=f"{why}; {said}; next try in {duration(delay)}",
    )
    return arm(unit, Timer.LOOK, delay)
