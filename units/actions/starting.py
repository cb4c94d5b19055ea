"""Actions towards a run: image, container, start, and what is known of a unit that runs."""

from collections.abc import Mapping
from typing import Any

from units import events as fact
from units.actions.ending import FREE, LATER_LOOK, LOOK, UNKNOWN, dead, mourn, next_look, refunded, retired, unwant
from units.commands import (
    ClearLeft,
    CreateContainer,
    PullImage,
    RemoveContainer,
    StartContainer,
    Timer,
)
from units.guards import lacking
from units.healing import unexamined
from units.machine import Moved, View, arm
from units.quantities import NEVER, Instant, Seconds
from units.records import replace
from units.relinking import rejoined, worn
from units.restart import recent, spread
from units.spec import ContainerId, Kind, Place, Rebuild, Via
from units.unit import Beyond, Budget, Phase, Reason, Stamp, StoppedBy, Unit
from units.words import duration

ANSWER_DEADLINE = Seconds(45)
"""Longer than the engine port's own deadline for a create or a start; after it the fact was lost, not late."""
IMAGE_DELAY, IMAGE_MAX_DELAY, SOONEST = Seconds(5), Seconds(300), Seconds(1)
VETO_DELAY, VETO_MAX_DELAY = Seconds(5), Seconds(60)


IMAGE_LOOKS = 6
"""Pulls that failed, some five minutes, after which it is looked less often whether somebody has loaded the image."""


def miss_image(unit: Unit, event: Any, view: View) -> Moved:
    """Wait for the image: a pull is repeated ever later, a look costs nothing."""
    spread_by = unit.spec.restart.jitter
    if not unit.spec.pull:
        delay = spread(next_look(unit), spread_by, view.moment.jitter)
        unit = replace(unit, misses=unit.misses + 1)
    else:
        if isinstance(event, fact.PullFailed):
            base = min(IMAGE_MAX_DELAY, IMAGE_DELAY * 2 ** min(unit.misses, 10))
            pull_at = Instant(view.now + spread(base, spread_by, view.moment.jitter))
            unit = replace(unit, misses=unit.misses + 1, pull_at=pull_at)
        look = spread(LOOK if unit.misses <= IMAGE_LOOKS else LATER_LOOK, spread_by, view.moment.jitter)
        delay = max(SOONEST, min(look, Seconds(unit.pull_at - view.now)))
    reason = f"{event.message}; next try in {duration(delay)}"
    return arm(replace(unit, reason=reason, pulled=False), Timer.RETRY, delay)


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
    reason = f"the engine cannot start this container any more ({event.message}); re-creating"
    # Should the create fail, it is what is tried next: never that container again.
    step = create(replace(mourn(unit, event, view), outdated=reason), event, view)
    return Moved(replace(step.unit, clashes=0), step.commands)


def start(unit: Unit, _event: Any, view: View) -> Moved:
    """Order the start. One that follows a death is charged to the budget, also if it fails."""
    assert unit.container is not None
    place = _place(unit, view)
    order = StartContainer(unit.name, unit.container, place)
    return arm(unit, Timer.DEADLINE, ANSWER_DEADLINE, (order,), place=place, **_before_start(unit, view))


CLEAR_SPARE = Seconds(60)
"""Beyond the time of the containers: an earlier dockerd may have to be ended first, and what ignores its signal."""


CLEARING = "ending what its last run may have left"


def clear(unit: Unit, _event: Any, view: View) -> Moved:
    """Order the end of what an earlier run may have left. A host that goes down leaves nothing to the next dockerd."""
    grace = unit.spec.stop.timeout if unit.grace is None else unit.grace
    order = ClearLeft(unit.name, _place(unit, view), grace, everything=view.draining)
    return arm(unit, Timer.DEADLINE, Seconds(grace + CLEAR_SPARE), (order,))


def clear_away(unit: Unit, event: Any, view: View) -> Moved:
    """Let it go, after what it may have left."""
    unit = unwant(unit, event, view).unit
    if isinstance(event, fact.DrainAsked):
        unit = replace(unit, grace=event.timeout)
    return clear(replace(unit, reason=CLEARING), event, view)


def clear_now(unit: Unit, event: fact.HurryAsked, view: View) -> Moved:
    """The shutdown is hurried: what is left gets no more time."""
    return clear(replace(unwant(unit, event, view).unit, grace=Seconds(0)), event, view)


def end_and_clear(unit: Unit, event: Any, view: View) -> Moved:
    """Its process ended, and it is not wanted."""
    return clear(dead(unit, event, reason=CLEARING), event, view)


def leave_left(unit: Unit, event: Any, _view: View) -> Moved:
    """It is not wanted, and something it left still runs: it is shown, until a person or the next start sees to it."""
    said = getattr(event, "message", "what the last run left was not ended in time")
    return Moved(replace(retired(unit), reason=said))


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
    return {"budget": budget, "fresh": False, "killed_at": NEVER, "stop_seen": False, "cleared": False}


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


def adopt_and_clear(unit: Unit, event: fact.ContainerCreated, view: View) -> Moved:
    made = replace(adopt_id(unit, event, view).unit, misses=0, reason=_start_reason(unit))
    return clear(made, event, view)


def adopt_and_clear_away(unit: Unit, event: fact.ContainerCreated, view: View) -> Moved:
    return clear(replace(adopt_id(unit, event, view).unit, reason=CLEARING), event, view)


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
    look = unit.look if unit.look is None else replace(unit.look, failed="")  # That start did not fail.
    spare = unit.successor
    used = spare is None or spare.container == event.container
    unused = () if spare is None or used else (RemoveContainer(unit.name, spare.container, "another one runs"),)
    if outside:
        reason = "started from outside"
    elif unit.pending is Reason.RELINK:
        reason = rejoined(unit)
    else:
        reason = told.get(unit.pending, f"restarted after: {unit.death}" if unit.death else "started at last")
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
            beyond=Beyond.NOTHING,
            look=look,
            resumed=NEVER,
            refused="",
            refusals=0,
            refused_until=NEVER,
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
            killed_at=NEVER,
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


AT_ONCE: Mapping[str, Any] = {"misses": 0, "pull_at": NEVER}
"""What a person's word undoes: the next try does not wait, and pulls."""


def want(unit: Unit, _event: Any, _view: View) -> Moved:
    """Start it on request, with a fresh restart budget."""
    return Moved(wished(unit))


def wished(unit: Unit) -> Unit:
    return replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, budget=Budget(), pending=None, failing="", **AT_ONCE)


def want_again(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(wished(unit), again=Reason.MANUAL))


def forgive(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(unit, budget=Budget(), **AT_ONCE))


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
