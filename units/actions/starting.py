"""Actions towards a run: image, container, start, and what is known of a unit that runs."""

from typing import Any

from units import events as fact
from units.actions.ending import FREE, UNKNOWN, mourn, refunded, retired
from units.commands import (
    CreateContainer,
    PullImage,
    RemoveContainer,
    StartContainer,
    Timer,
)
from units.guards import lacking
from units.healing import unexamined
from units.machine import Moved, View, arm
from units.quantities import Instant, Seconds
from units.records import replace
from units.relinking import rejoined, worn
from units.restart import recent, spread
from units.spec import ContainerId, Kind, Place, Rebuild, Via
from units.unit import Budget, Phase, Reason, Stamp, StoppedBy, Unit
from units.words import duration

ANSWER_DEADLINE = Seconds(45)
"""Longer than the engine port's own deadline for a create or a start; after it the fact was lost, not late."""
IMAGE_DELAY, IMAGE_MAX_DELAY = Seconds(5), Seconds(300)
VETO_DELAY, VETO_MAX_DELAY = Seconds(5), Seconds(60)


def miss_image(unit: Unit, event: Any, view: View) -> Moved:
    base = min(IMAGE_MAX_DELAY, IMAGE_DELAY * 2 ** min(unit.misses, 10))
    delay = spread(base, unit.spec.restart.jitter, view.moment.jitter)
    reason = f"{event.message}; next try in {duration(delay)}"
    return arm(replace(unit, reason=reason, misses=unit.misses + 1, pulled=False), Timer.RETRY, delay)


def heed(unit: Unit, event: Any, view: View) -> Moved:
    """A hook vetoed the start: retry later, and give back what the start was charged to the budget."""
    base = min(VETO_MAX_DELAY, VETO_DELAY * 2 ** min(unit.misses, 10))
    delay = spread(base, unit.spec.restart.jitter, view.moment.jitter)
    reason = f"{event.message}; next try in {duration(delay)}"
    return arm(replace(refunded(unit), reason=reason, misses=unit.misses + 1), Timer.RETRY, delay)


def remember_pull(unit: Unit, event: Any, view: View) -> Moved:
    return create(replace(unit, pulled=True), event, view)


def pull(unit: Unit, _event: Any, _view: View) -> Moved:
    image = unit.spec.image
    return Moved(replace(unit, reason=f"pulling {image}"), (PullImage(unit.name, image),))


def wait(unit: Unit, _event: Any, view: View) -> Moved:
    return Moved(replace(unit, reason="waiting for " + ", ".join(lacking(unit, view))))


def create(unit: Unit, _event: Any, view: View) -> Moved:
    if unit.container is None:
        reason = "no container yet; creating it"
    elif unit.renew:
        reason = "re-creating (by user)"
    elif unit.outdated:
        reason = unit.outdated
    elif unit.config_hash != unit.spec.config_hash:
        reason = "its definition changed; re-creating"
    else:
        reason = worn(unit, view) or "re-created at each boot"
    order = CreateContainer(
        unit.name,
        unit.spec,
        unit.container,
        keep=unit.renew,
        prepared=unit.successor.container if unit.successor is not None and not unit.unprepared else None,
        renews=_renews(unit),
        takers=() if _renews(unit) else _takers(unit, view),
        volumes=() if _renews(unit) else unit.volumes,
    )
    return arm(replace(unit, reason=reason, successor=None), Timer.DEADLINE, ANSWER_DEADLINE, (order,))


def _renews(unit: Unit) -> bool:
    """An ephemeral unit loses what is in its own anonymous volumes at a boot of the host, and at no other time."""
    return unit.aged and unit.fresh and unit.spec.rebuild is Rebuild.ALWAYS and unit.spec.kind is not Kind.VOLUME


def _takers(unit: Unit, view: View) -> tuple[ContainerId, ...]:
    """The containers of the units that take volumes from it, those that run first."""
    found = [
        view.units[name]
        for name in view.links.followers.get(unit.name, ())
        if any(edge.via is Via.VOLUMES and edge.target == unit.name for edge in view.links.leaders.get(name, ()))
    ]
    found.sort(key=lambda one: not one.phase.up)
    return tuple(one.container for one in found if one.container is not None)


def remake(unit: Unit, event: Any, view: View) -> Moved:
    """Re-create its container, so that it joins the current one of the unit whose namespace it shares."""
    step = create(mourn(unit, event, view), event, view)
    return Moved(replace(step.unit, reason="the container it joined is gone; re-creating"), step.commands)


def remake_held(unit: Unit, event: fact.StartFailed, view: View) -> Moved:
    step = create(mourn(unit, event, view), event, view)
    reason = f"the engine cannot start this container any more ({event.message}); re-creating"
    return Moved(replace(step.unit, reason=reason, clashes=0), step.commands)


def start(unit: Unit, _event: Any, view: View) -> Moved:
    """Order the start. One that follows a death is charged to the budget, also if it fails."""
    assert unit.container is not None
    place = _place(unit, view)
    order = StartContainer(unit.name, unit.container, place)
    return arm(unit, Timer.DEADLINE, ANSWER_DEADLINE, (order,), place=place, **_before_start(unit, view))


def unstarted(unit: Unit, view: View) -> Unit:
    """The unit just before its start."""
    return replace(unit, **_before_start(unit, view))


def _before_start(unit: Unit, view: View) -> dict[str, Any]:
    """What a start changes. It is charged to the budget unless its reason is in ``FREE``."""
    budget = unit.budget
    if unit.pending not in FREE:
        policy = unit.spec.restart
        window = (*recent(budget.restarts, policy.interval, view.now), view.now)
        # More than the limit need not be remembered, and without one nothing need be.
        budget = replace(budget, restarts=window[-policy.burst :] if policy.burst else ())
    return {"budget": budget, "fresh": False, "kill_seen": False, "stop_seen": False, "cleared": False}


def _place(unit: Unit, view: View) -> Place | None:
    context = view.units[unit.spec.context] if unit.spec.context else None
    if context is None or context.container is None:
        return None
    return Place(context.name, context.container, unit.spec.engine)


def adopt_id(unit: Unit, event: fact.ContainerCreated, _view: View) -> Moved:
    made = replace(unit, container=event.container, config_hash=event.config_hash, **UNKNOWN)
    found = unit.phase is not Phase.CREATING
    made = replace(made, plan=None, successor=None, kept="", aged=unit.aged and found)
    return Moved(replace(made, pulled=False, renew=False, outdated=""))


def adopt_and_start(unit: Unit, event: fact.ContainerCreated, view: View) -> Moved:
    made = replace(adopt_id(unit, event, view).unit, misses=0, reason=_start_reason(unit))
    return start(made, event, view)


def adopt_and_complete(unit: Unit, event: fact.ContainerCreated, view: View) -> Moved:
    made = adopt_id(unit, event, view).unit
    return Moved(
        replace(made, misses=0, fresh=False, pending=None, budget=Budget(), reason="data container, never started")
    )


def adopt_and_retire(unit: Unit, event: fact.ContainerCreated, view: View) -> Moved:
    return Moved(retired(adopt_id(unit, event, view).unit))


def hold_volumes(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(unit, fresh=False, pending=None, reason="data container, never started"))


def _start_reason(unit: Unit) -> str:
    return (
        f"restarting after: {unit.death}" if unit.pending is not None and unit.death else "starting its new container"
    )


def run(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    """Record that the container runs; the row decides whether the unit is ``running`` or ``ready``."""
    told = {
        None: "started" if unit.phase is Phase.STARTING else "found running",
        Reason.MANUAL: "restarted (by user)",
        Reason.CONFIG: "re-created: its definition changed",
        Reason.CONTEXT: "restarted: its storage context changed",
    }
    outside = unit.phase in {Phase.INACTIVE, Phase.EXITED} and not (event.found and unit.fresh)
    unit = unexamined(unit)
    spare = unit.successor
    used = spare is None or spare.container == event.container
    unused = () if spare is None or used else (RemoveContainer(unit.name, spare.container, "another one runs"),)
    if outside:
        reason = "started from outside"
    elif unit.pending is Reason.RELINK:
        reason = rejoined(unit)
    else:
        reason = told.get(unit.pending, f"restarted after: {unit.death}")
    return Moved(
        replace(
            unit,
            wanted=True,
            stopped_by=StoppedBy.NOBODY,
            container=event.container,
            started_at=Instant(view.now - event.ran_for),
            begun=Stamp(0 if event.found else view.moment.seq, event.at),
            run=unit.run + 1,
            ailing="",
            reason=reason,
            restarts=unit.restarts + (1 if unit.pending is not None or (outside and not unit.fresh) else 0),
            fresh=False,
            pending=None,
            again=None,
            failing="",
            kills=0,
            untaken="",
            misses=0,
            clashes=0,
            oom=False,
            kill_seen=False,
            stop_seen=False,
            cleared=False,
            plan=None,
            successor=None,
            kept="",
        ),
        unused,
    )


def run_with_deadline(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    step = run(unit, event, view)
    if unit.spec.deadline <= 0:
        return step
    return arm(step.unit, Timer.DEADLINE, unit.spec.deadline, step.commands)


def want(unit: Unit, _event: Any, _view: View) -> Moved:
    """Start it on request, with a fresh restart budget."""
    return Moved(wished(unit))


def wished(unit: Unit) -> Unit:
    return replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, budget=Budget(), pending=None, failing="", misses=0)


def want_again(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(wished(unit), again=Reason.MANUAL))


def forgive(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(unit, budget=Budget(), misses=0))


def after_wish(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(wished(unit), reason="start requested")


def after_wish_to_restart(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(wished(unit), reason="restart requested", pending=None if unit.fresh else Reason.MANUAL)


def after_revocation(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(
        unit, wanted=True, stopped_by=StoppedBy.NOBODY, reason="stopped by the engine's shutdown, not by a person"
    )


def after_pause(unit: Unit, _event: Any, _view: View) -> Unit:
    waited = unit.phase is Phase.WAITING
    return replace(
        unit, reason="everything it waited for is up" if waited else f"retrying after: {unit.death or unit.reason}"
    )


def after_pardon(unit: Unit, event: Any, view: View) -> Unit:
    return forgive(unit, event, view).unit
