"""What is done about a unit whose health checks fail: the decision, and the steps it leads to.

A restart for health is paid from the same budget as one after a crash. What is not the unit's own fault costs nothing,
because nothing is done: while the engine is away, or a peer that it needs is down, action waits. And who falls ill
again and again is flapping: it is left alone for a while, for restarts evidently do not help.
"""

from typing import Any, TypeAlias

from units import events as fact
from units import relinking
from units.commands import SayOnly, SignalContainer, Timer
from units.health import ENGINE, Health, combine
from units.machine import Step, View, arm
from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.restart import recent
from units.spec import LASTING, Kind, OnUnhealthy, UnitName
from units.unit import Unit

TOLD = "its health check failed"
AGAIN = Seconds(5)
"""Until the next look at one that could not be helped for another's sake."""
SOON = 0.01
"""Shorter delays are none: a timer below the clock's grain would come again and again."""
MENDS = Seconds(60)
"""The time that a unit gets to mend itself after a signal."""


@dataclass(frozen=True, slots=True)
class Act:
    """Now, and this."""

    action: OnUnhealthy


@dataclass(frozen=True, slots=True)
class Withhold:
    """Nothing is done. ``delay``: until it is thought over again; ``None``: it is not."""

    reason: str
    delay: Seconds | None = None


Remedy: TypeAlias = Act | Withhold


def examined(unit: Unit, event: Any) -> Unit:
    """The unit as it is after what was reported of it; itself, if nothing was."""
    if not isinstance(event, fact.HealthReported):
        return unit
    reports = {**unit.reports, event.check: event.health}
    health = combine(unit.spec.checks, reports)
    fell = health is Health.UNHEALTHY and unit.health is not Health.UNHEALTHY
    return replace(unit, reports=reports, health=health, ailing=_ailing(event) if fell else unit.ailing)


def unexamined(unit: Unit) -> Unit:
    """A new run has begun: what was reported of the one before says nothing of it."""
    reports = {ENGINE: Health.STARTING} if ENGINE in unit.reports else {}
    return replace(unit, reports=reports, health=combine(unit.spec.checks, reports))


def _ailing(event: fact.HealthReported) -> str:
    who = f"its health check {event.check} failed" if event.check else TOLD
    said = event.output.strip().splitlines()
    return f"{who}: {said[0][:200]}" if said else who


def remedy(unit: Unit, view: View) -> Remedy:
    """What is to be done about a unit that is unhealthy now."""
    policy, restart = unit.spec.heal, unit.spec.restart
    if policy.action in {OnUnhealthy.NONE, OnUnhealthy.HOOK}:
        return Withhold(f"{unit.ailing}; nothing is done about it (action {policy.action})")
    if (hindered := _hindrance(unit, view)) is not None:
        return hindered
    falls = recent(unit.falls, policy.window, view.now)
    if unit.flapping or len(falls) >= policy.falls:
        return _rest(unit, falls, view.now)
    spent = recent(unit.budget.restarts, restart.interval, view.now)
    if restart.burst and len(spent) >= restart.burst:
        delay = Seconds(max(SOON, restart.interval - (view.now - spent[0])))
        return Withhold(f"{unit.ailing}; {len(spent)} restarts within {restart.interval:g} s are the limit", delay)
    return Act(policy.action)


def _hindrance(unit: Unit, view: View) -> Withhold | None:
    """What is no fault of its own, or not to be mended by us."""
    if not unit.wanted or view.draining:
        return Withhold(unit.ailing)
    if not view.engine_up:
        return Withhold(f"{unit.ailing}; the engine is away", AGAIN)
    if unit.spec.dry:
        return Withhold(f"{unit.ailing}; would {unit.spec.heal.action} it (dry run)")
    if down := _down(unit, view):
        return Withhold(f"{unit.ailing}, while {', '.join(down)} is down", AGAIN)
    if relinking.acts(unit, view):  # That comes first, costs nothing, and may be all it takes.
        waits = relinking.patience(unit, view) or AGAIN
        return Withhold(f"{unit.ailing}, while it holds on to what is over", min(waits, AGAIN))
    return None


def _rest(unit: Unit, falls: tuple[Instant, ...], now: Instant) -> Remedy:
    """A flapping unit is helped again only when it has been left alone for as long as it takes to count as calm."""
    policy = unit.spec.heal
    left = policy.calm - (now - falls[-1]) if falls else 0.0
    if left <= SOON:
        return Act(policy.action)
    told = f"flapping: helped {len(falls)} times within {policy.window:g} s"
    return Withhold(f"{unit.ailing}; {told}; again in {left:.3g} s", Seconds(left))


def _down(unit: Unit, view: View) -> list[UnitName]:
    """Peers that it cannot be well without."""
    return [
        edge.target
        for edge in view.links.leaders.get(unit.name, ())
        if (edge.hard or unit.spec.kind is Kind.FOREIGN)
        and (peer := view.units[edge.target]).spec.kind in LASTING
        and peer.wanted
        and not peer.phase.up
    ]


def _remedy_after(unit: Unit, event: Any, view: View) -> Remedy | None:
    """What the cell's guards all ask for; ``None``: it is not unhealthy, or no timer of its own says so."""
    if isinstance(event, fact.LookDue) and event.token != unit.token:
        return None
    after = examined(unit, event)
    if after.health is not Health.UNHEALTHY:
        return None
    known: Remedy | None = view.memo.get("remedy")
    if known is None:
        known = view.memo["remedy"] = remedy(after, view)
    return known


def acts(action: OnUnhealthy) -> Any:
    """A guard: this is to be done now."""

    def guard(unit: Unit, event: Any, view: View) -> bool:
        judged = _remedy_after(unit, event, view)
        return isinstance(judged, Act) and judged.action is action

    guard.__name__ = f"helped_by_{action.value}"
    return guard


def withheld(unit: Unit, event: Any, view: View) -> bool:
    """It is unhealthy, and nothing is done about it now."""
    return isinstance(_remedy_after(unit, event, view), Withhold)


def turned_healthy(unit: Unit, event: fact.HealthReported, _view: View) -> bool:
    return examined(unit, event).health is Health.HEALTHY


def turned_unready(unit: Unit, event: fact.HealthReported, _view: View) -> bool:
    return examined(unit, event).health is not Health.HEALTHY


def calm(unit: Unit, event: fact.LookDue, _view: View) -> bool:
    return event.token == unit.token and unit.flapping and unit.health in {Health.HEALTHY, Health.NONE}


def helped(unit: Unit, event: Any, view: View) -> Unit:
    """One more help that counts: against the budget when it restarts, and towards flapping."""
    unit = examined(unit, event)
    policy = unit.spec.heal
    falls = (*recent(unit.falls, policy.window, view.now), view.now)[-policy.falls :]
    flapping = len(falls) >= policy.falls
    return replace(unit, falls=falls, flapping=flapping, death=unit.ailing)


def note_health(unit: Unit, event: fact.HealthReported, _view: View) -> Step:
    return Step(examined(unit, event))


def become_ready(unit: Unit, event: fact.HealthReported, _view: View) -> Step:
    """A flapping one has to stay so for a while before its past is forgotten."""
    after = replace(examined(unit, event), reason="healthy", ailing="")
    return arm(after, Timer.LOOK, after.spec.heal.calm) if after.flapping else Step(after)


def lose_ready(unit: Unit, event: fact.HealthReported, _view: View) -> Step:
    after = examined(unit, event)
    told = f"its readiness check {event.check} fails" if after.health is Health.UNREADY else "its health is open again"
    return Step(replace(after, reason=told))


def hold_off(unit: Unit, event: Any, view: View) -> Step:
    """Unhealthy, and left as it is; it is thought over again when that may change."""
    judged = _remedy_after(unit, event, view)
    assert isinstance(judged, Withhold)
    after = replace(examined(unit, event), reason=judged.reason)
    if after.spec.dry:
        return Step(after, (SayOnly(after.name, f"would {after.spec.heal.action} it", after.ailing),))
    return Step(after) if judged.delay is None else arm(after, Timer.LOOK, judged.delay)


def send_signal(unit: Unit, event: Any, view: View) -> Step:
    """It mends itself on a signal; if it has not by then, it gets another."""
    after = helped(unit, event, view)
    assert after.container is not None
    signal = after.spec.heal.signal
    order = SignalContainer(after.name, after.container, signal)
    after = replace(after, reason=f"{after.ailing}; sent {signal}")
    return arm(after, Timer.LOOK, MENDS, (order,))


def calm_down(unit: Unit, _event: fact.LookDue, _view: View) -> Step:
    return Step(replace(unit, flapping=False, falls=(), reason="healthy, and calm again"))
