"""Actions of a pause: a person froze its processes, and it is left alone until they go on."""

from typing import Any

from units import events as fact
from units.commands import Timer
from units.healing import next_answer_within
from units.health import ENGINE, Health, combine
from units.machine import Moved, View, arm
from units.records import replace
from units.unit import Unit


def pause(unit: Unit, _event: fact.ContainerPaused, _view: View) -> Moved:
    return Moved(replace(unit, reason="paused by a person (docker pause)"))


def unpause(unit: Unit, _event: fact.ContainerUnpaused, view: View) -> Moved:
    """Its own checks begin anew; of its HEALTHCHECK the next answer counts, not what it came to while it was frozen."""
    reports = {check: health for check, health in unit.reports.items() if check == ENGINE}
    after = replace(unit, reports=reports, health=combine(unit.spec.checks, reports), resumed=view.now)
    after = replace(after, reason="unpaused", ailing=after.ailing if after.health is Health.UNHEALTHY else "")
    return arm(after, Timer.LOOK, next_answer_within(unit)) if after.health is Health.UNHEALTHY else Moved(after)


def unpause_with_deadline(unit: Unit, event: Any, view: View) -> Moved:
    """Its time begins anew: nobody knows how much of it the pause took."""
    after = unpause(unit, event, view).unit
    return arm(after, Timer.DEADLINE, unit.spec.deadline) if unit.spec.deadline > 0 else Moved(after)
