"""The decision about a unit whose health checks fail, and the steps that carry it out.

A restart for health is paid from the same budget as one after a crash. What is not the unit's own fault costs nothing,
because nothing is done: while the engine is away, or a unit that it needs is down, action waits. A unit that keeps
becoming unhealthy is flapping: it is left alone for a while, because restarts evidently do not fix it.
"""

from typing import Any, TypeAlias

from units import events as fact
from units import relinking
from units.commands import SignalContainer, Timer
from units.health import ENGINE, PROCESS, Health, combine
from units.machine import Moved, View, arm
from units.quantities import Instant, Seconds
from units.records import dataclass, replace
from units.restart import recent
from units.spec import LASTING, Kind, OnUnhealthy, UnitName
from units.unit import Look, Phase, Unit
from units.words import duration

TOLD = "unhealthy: HEALTHCHECK failed"
AGAIN = Seconds(5)
"""Until the next look at a unit whose action waits for another unit."""
SOON = 0.01
"""Shorter delays are none: a timer below the clock's grain would come again and again."""
MENDS = Seconds(60)
"""Time that a unit gets to recover after a signal."""


@dataclass(frozen=True, slots=True)
class RestartNow:
    """Take this action now."""

    action: OnUnhealthy


@dataclass(frozen=True, slots=True)
class Withhold:
    """Take no action. ``delay``: until the next look; ``None``: no timer is set."""

    reason: str
    delay: Seconds | None = None


Remedy: TypeAlias = RestartNow | Withhold


def examined(unit: Unit, event: Any) -> Unit:
    """The unit with a health report applied; itself for any other event."""
    if not isinstance(event, fact.HealthReported):
        return unit
    reports = {**unit.reports, event.check: event.health}
    health = combine(unit.spec.checks, reports)
    fell = health is Health.UNHEALTHY and unit.health is not Health.UNHEALTHY
    return replace(unit, reports=reports, health=health, ailing=_ailing(event) if fell else unit.ailing)


def unexamined(unit: Unit) -> Unit:
    """The unit at the start of a run: reports of the previous run are dropped."""
    reports = {ENGINE: Health.STARTING} if ENGINE in unit.reports else {}
    return replace(unit, reports=reports, health=combine(unit.spec.checks, reports))


def _ailing(event: fact.HealthReported) -> str:
    if event.check == PROCESS:
        return f"unhealthy: {event.output}"
    who = f"unhealthy: check {event.check} failed" if event.check else TOLD
    said = event.output.strip().splitlines()
    return f"{who}: {said[0][:200]}" if said else who


def remedy(unit: Unit, view: View) -> Remedy:
    """The action for a unit that is unhealthy now."""
    policy, restart = unit.spec.heal, unit.spec.restart
    if policy.action in {OnUnhealthy.NONE, OnUnhealthy.HOOK}:
        return Withhold(f"{unit.ailing}; not restarted (action {policy.action})")
    if (hindered := _hindrance(unit, view)) is not None:
        return hindered
    falls = recent(unit.falls, policy.window, view.now)
    if unit.flapping or len(falls) >= policy.falls:
        return _rest(unit, falls, view.now)
    spent = recent(unit.budget.restarts, restart.interval, view.now)
    if restart.burst and len(spent) >= restart.burst:
        delay = Seconds(max(SOON, restart.interval - (view.now - spent[0])))
        return Withhold(
            f"{unit.ailing}; not restarted: limit of {len(spent)} restarts in {duration(restart.interval)} reached",
            delay,
        )
    return RestartNow(policy.action)


def next_answer_within(unit: Unit) -> Seconds:
    """How long its HEALTHCHECK may take to say something new."""
    return Seconds((Look() if unit.look is None else unit.look).check_within + 1)


def _only_the_engine_says_so(unit: Unit) -> bool:
    """No check of ours, which began anew after a pause, has found it unhealthy."""
    return all(health is not Health.UNHEALTHY for check, health in unit.reports.items() if check != ENGINE)


def _hindrance(unit: Unit, view: View) -> Withhold | None:
    """A reason outside the unit to take no action now; ``None``: there is none."""
    if not unit.wanted or view.draining:
        return Withhold(unit.ailing)
    if not view.engine_up:
        return Withhold(f"{unit.ailing}; waiting: the engine does not answer", AGAIN)
    if (left := unit.refused_until - view.now) > SOON:
        return Withhold(f"{unit.ailing}; {unit.refused}; next try in {duration(Seconds(left))}", Seconds(left))
    if (left := unit.resumed + next_answer_within(unit) - view.now) > SOON and _only_the_engine_says_so(unit):
        return Withhold(f"{unit.ailing}; waiting: it was paused, and its next check decides", Seconds(left))
    if down := _down(unit, view):
        words = (f"{name} is {'paused' if view.units[name].phase is Phase.PAUSED else 'down'}" for name in down)
        return Withhold(f"{unit.ailing}; waiting: {', '.join(words)}", AGAIN)
    if relinking.acts(unit, view):  # That comes first, costs nothing, and may be all it takes.
        waits = relinking.patience(unit, view) or AGAIN
        return Withhold(f"{unit.ailing}; waiting for the re-link of its stale reference", min(waits, AGAIN))
    return None


ACTED = {
    OnUnhealthy.RESTART: "restarted",
    OnUnhealthy.RECREATE: "re-created",
    OnUnhealthy.STOP: "stopped",
    OnUnhealthy.SIGNAL: "signalled",
}


def _rest(unit: Unit, falls: tuple[Instant, ...], now: Instant) -> Remedy:
    """Withhold action on a flapping unit until ``calm`` seconds after the last one."""
    policy = unit.spec.heal
    left = policy.calm - (now - falls[-1]) if falls else 0.0
    if left <= SOON:
        return RestartNow(policy.action)
    told = f"flapping: {ACTED[policy.action]} {len(falls)} times in {duration(policy.window)}"
    return Withhold(f"{unit.ailing}; {told}; next try in {duration(left)}", Seconds(left))


def _down(unit: Unit, view: View) -> list[UnitName]:
    """Units that are down and that it cannot be healthy without. One replica of several that is up is enough."""
    edges = [
        edge
        for edge in view.links.leaders.get(unit.name, ())
        if (edge.hard or unit.spec.kind is Kind.FOREIGN) and view.units[edge.target].spec.kind in LASTING
    ]
    served = {edge.group for edge in edges if edge.group and _serves(view.units[edge.target])}
    return [edge.target for edge in edges if edge.group not in served and _missed(view.units[edge.target])]


def _serves(peer: Unit) -> bool:
    return peer.phase.up and peer.phase is not Phase.PAUSED


ENDED = frozenset({0, 130, 137, 143})
"""Exit codes of success, and of who was stopped: by SIGINT, SIGTERM or, after its time, SIGKILL."""


def _missed(peer: Unit) -> bool:
    """It is down and should not be: not stopped, its work not done.

    Of a foreign container only what an inspect shows as well counts, so that each start of a watch answers alike.
    """
    if peer.phase is Phase.PAUSED:
        return True
    if peer.phase.up or not peer.wanted or peer.phase is Phase.COMPLETED:
        return False
    if peer.spec.kind is not Kind.FOREIGN or peer.phase is not Phase.INACTIVE:
        return True
    if peer.exit_code is None:
        return False  # It was never started.
    if peer.spec.expected:  # Its engine starts it, unless a person stopped it or it cannot be started.
        return peer.run > 0 or (peer.look is not None and bool(peer.look.failed))
    return peer.oom or peer.exit_code not in ENDED


def _remedy_after(unit: Unit, event: Any, view: View) -> Remedy | None:
    """The remedy that all guards of a cell ask for; ``None``: it is not unhealthy."""
    after = examined(unit, event)
    if after.health is not Health.UNHEALTHY:
        return None
    known: Remedy | None = view.memo.get("remedy")
    if known is None:
        known = view.memo["remedy"] = remedy(after, view)
    return known


def acts(action: OnUnhealthy) -> Any:
    """A guard: this action is due now."""

    def guard(unit: Unit, event: Any, view: View) -> bool:
        judged = _remedy_after(unit, event, view)
        return isinstance(judged, RestartNow) and judged.action is action

    guard.__name__ = f"helped_by_{action.value}"
    return guard


def withheld(unit: Unit, event: Any, view: View) -> bool:
    """A guard: it is unhealthy, and action is withheld."""
    return isinstance(_remedy_after(unit, event, view), Withhold)


def turned_healthy(unit: Unit, event: fact.HealthReported, _view: View) -> bool:
    return examined(unit, event).health is Health.HEALTHY


def turned_unready(unit: Unit, event: fact.HealthReported, _view: View) -> bool:
    return examined(unit, event).health is not Health.HEALTHY


def calm(unit: Unit, _event: fact.LookDue, _view: View) -> bool:
    return unit.flapping and unit.health in {Health.HEALTHY, Health.NONE}


def helped(unit: Unit, event: Any, view: View) -> Unit:
    """Count one action: against the budget when it restarts, and towards flapping."""
    unit = examined(unit, event)
    policy = unit.spec.heal
    falls = (*recent(unit.falls, policy.window, view.now), view.now)[-policy.falls :]
    flapping = len(falls) >= policy.falls
    return replace(unit, falls=falls, flapping=flapping, death=unit.ailing)


def note_health(unit: Unit, event: fact.HealthReported, _view: View) -> Moved:
    return Moved(examined(unit, event))


def become_ready(unit: Unit, event: fact.HealthReported, _view: View) -> Moved:
    """Mark it healthy. A flapping unit must stay healthy for ``calm`` before its past actions are forgotten."""
    after = replace(examined(unit, event), reason="healthy", ailing="")
    return arm(after, Timer.LOOK, after.spec.heal.calm) if after.flapping else Moved(after)


def lose_ready(unit: Unit, event: fact.HealthReported, _view: View) -> Moved:
    after = examined(unit, event)
    told = (
        f"not ready: readiness check {event.check} failed"
        if after.health is Health.UNREADY
        else f"not ready: {event.output[:200]}"
        if event.output
        else "health not known yet: a check is starting"
    )
    return Moved(replace(after, reason=told))


def hold_off(unit: Unit, event: Any, view: View) -> Moved:
    """Leave an unhealthy unit as it is, and check again when the reason may be over."""
    judged = _remedy_after(unit, event, view)
    assert isinstance(judged, Withhold)
    after = replace(examined(unit, event), reason=judged.reason)
    return Moved(after) if judged.delay is None else arm(after, Timer.LOOK, judged.delay)


def send_signal(unit: Unit, event: Any, view: View) -> Moved:
    """Send the configured signal, and again every ``MENDS`` seconds while it is unhealthy."""
    after = helped(unit, event, view)
    assert after.container is not None
    signal = after.spec.heal.signal
    order = SignalContainer(after.name, after.container, signal)
    after = replace(after, reason=f"{after.ailing}; sent {signal}")
    return arm(after, Timer.LOOK, MENDS, (order,))


def calm_down(unit: Unit, _event: fact.LookDue, _view: View) -> Moved:
    return Moved(replace(unit, flapping=False, falls=(), reason="healthy; no longer flapping"))
