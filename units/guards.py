"""Guards: the conditions of table rows on a unit, its event and its view. They change nothing."""

from typing import Any

from units import events as fact
from units.deaths import verdict
from units.health import ENGINE, PROCESS, Health
from units.links import counts, tolerates
from units.machine import View
from units.quantities import NEVER, Seconds
from units.relinking import later, worn
from units.restart import After, CrashLoop, GiveUp, Stay
from units.spec import LASTING, Condition, Dependency, Kind, Rebuild, UnitName, Via
from units.unit import Failure, Phase, Reason, StoppedBy, Unit

KILLS = 3
"""SIGKILLs before a process counts as unkillable; 2, 4 and 8 s apart."""


def satisfied(edge: Dependency, target: Unit, view: View) -> bool:
    """Whether a dependency has reached what this edge asks for."""
    if target.name in view.reloading:
        return False
    if target.phase is Phase.COMPLETED:
        return True
    if target.spec.kind not in LASTING or edge.condition is Condition.COMPLETED:
        return False
    if edge.condition is Condition.HEALTHY:
        return target.phase is Phase.READY
    return target.phase.up


def lifeless(_unit: Unit, event: fact.HealthReported, _view: View) -> bool:
    """Whether the report says that the main process is gone."""
    return event.check == PROCESS and event.health is Health.UNHEALTHY


def lacking(unit: Unit, view: View) -> tuple[str, ...]:
    """What a unit still waits for, in words; empty when it can start."""
    if not view.engine_up:
        return ("the engine",)
    missing = []
    for edge in view.links.leaders.get(unit.name, ()):
        target = view.units[edge.target]
        if not counts(edge, fresh=unit.fresh) or satisfied(edge, target, view):
            continue
        if edge.via is Via.VOLUMES and not unit.fresh and target.container is not None:
            continue
        if target.phase.settled and target.name not in view.reloading:
            if not tolerates(edge):
                missing.append(f"{target.name} (held: it is {target.phase}: {target.reason})")
            continue
        what = "" if edge.condition is Condition.STARTED else f" to be {edge.condition}"
        missing.append(f"{target.name}{what} ({target.phase})")
    return tuple(missing)


def displaced(unit: Unit, _event: Any, view: View) -> bool:
    """Whether user Docker runs elsewhere than in its present storage context."""
    place, spec = unit.place, unit.spec
    context = view.units.get(spec.context) if spec.context else None
    if place is None or context is None or (place.context, place.engine) != (spec.context, spec.engine):
        return True
    return place.container != context.container or not context.phase.up


def must_wait(unit: Unit, _event: Any, view: View) -> bool:
    return bool(lacking(unit, view))


def stale(unit: Unit) -> bool:
    """Its container was created from another definition, and may be re-created."""
    return unit.config_hash != unit.spec.config_hash and unit.spec.rebuild is not Rebuild.NEVER


def needs_container(unit: Unit, _event: Any, view: View) -> bool:
    if unit.container is None or unit.renew or unit.outdated or stale(unit):
        return True
    return (unit.fresh and unit.spec.rebuild is Rebuild.ALWAYS) or bool(worn(unit, view))


def changed_unprepared(unit: Unit, _event: Any, _view: View) -> bool:
    return stale(unit) and unit.unprepared


def change_is_over(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.plan is Reason.CONFIG and not stale(unit)


def renewed_unprepared(unit: Unit, event: Any, view: View) -> bool:
    return needs_container(unit, event, view) and unit.unprepared


def unprepared(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.unprepared


def planned(unit: Unit, _event: Any, _view: View) -> bool:
    """Its successor is to be made, and waits for an image."""
    return unit.plan is not None


def change_is_ready(unit: Unit, event: fact.SuccessorMade, _view: View) -> bool:
    if event.config_hash != unit.spec.config_hash:
        return False
    return unit.plan is Reason.MANUAL or (unit.plan is Reason.CONFIG and stale(unit))


def heal_is_ready(unit: Unit, event: fact.SuccessorMade, _view: View) -> bool:
    ill = unit.plan is Reason.UNHEALTHY and unit.health is Health.UNHEALTHY
    return ill and event.config_hash == unit.spec.config_hash


def is_process(unit: Unit, _event: Any, _view: View) -> bool:
    """It has no container that another one could replace."""
    return unit.spec.kind is Kind.USER_DOCKER


def has_no_container(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.container is None


def gave_way(unit: Unit, _event: Any, _view: View) -> bool:
    """A stop from outside came while it was being stopped here."""
    return unit.stopped_by is StoppedBy.OUTSIDE


def unwanted(unit: Unit, _event: Any, _view: View) -> bool:
    return not unit.wanted


def wanted_now(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.wanted


def is_stale(unit: Unit, _event: Any, _view: View) -> bool:
    return stale(unit)


def busy_followers(unit: Unit, view: View) -> list[str]:
    """The dependents that have not stopped yet, also through dependents that have."""
    seen: dict[UnitName, None] = dict.fromkeys(view.links.followers.get(unit.name, ()))
    queue = list(seen)
    for name in queue:
        for further in view.links.followers.get(name, ()):
            if further not in seen:
                seen[further] = None
                queue.append(further)
    return sorted(name for name in seen if view.units[name].busy)


def followers_busy(unit: Unit, _event: Any, view: View) -> bool:
    return bool(busy_followers(unit, view))


def followers_gone(unit: Unit, event: Any, view: View) -> bool:
    return not followers_busy(unit, event, view)


def checked(unit: Unit, _event: Any, _view: View) -> bool:
    """It has a health check, so running is not ready yet."""
    return bool(unit.spec.checks) or ENGINE in unit.reports


def was_stopped(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.stop_seen


def maybe_stopped(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.kill_seen


def of_the_engine(_unit: Unit, event: fact.ContainerKilled, _view: View) -> bool:
    """The engine did it of itself, while it did not serve."""
    return event.unserved


def of_somebody(_unit: Unit, event: fact.ContainerStopped, _view: View) -> bool:
    return not event.unserved


def cleared(unit: Unit, _event: Any, _view: View) -> bool:
    """The engine ended it at its own start; a person's stop that was under way stays one."""
    return unit.cleared and not unit.kill_seen


def failing(unit: Unit, _event: Any, _view: View) -> bool:
    return bool(unit.failing)


def goes_again(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.wanted and unit.again is not None


def going_down(_unit: Unit, _event: Any, view: View) -> bool:
    return view.draining


def exited_well(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.exit_code == 0 and not unit.oom


def gone(_unit: Unit, event: Any, _view: View) -> bool:
    """The failed order's container does not exist any more."""
    return event.failure is Failure.NOT_FOUND


def engine_down(_unit: Unit, _event: fact.KillDue, view: View) -> bool:
    return not view.engine_up


def joins_the_gone(_unit: Unit, event: fact.StartFailed, _view: View) -> bool:
    """Its container refers to the id of one that was re-created: no start can succeed."""
    return event.failure is Failure.STALE


def untaken(unit: Unit, _event: fact.KillDue, _view: View) -> bool:
    """The engine was not heard to have taken the last signal: nothing can be concluded from the process's life."""
    return bool(unit.untaken)


def unanswered(unit: Unit, event: fact.SignalFailed, _view: View) -> bool:
    return bool(unit.untaken) and event.failure in {Failure.UNREACHABLE, Failure.TIMEOUT}


def outlived(unit: Unit, _event: Any, _view: View) -> bool:
    """It was given up as unkillable, and its restart is still owed."""
    return unit.wanted and unit.kills >= KILLS


def out_of_kills(unit: Unit, _event: fact.KillDue, _view: View) -> bool:
    return unit.kills >= KILLS


def refused_for_good(_unit: Unit, event: Any, _view: View) -> bool:
    return event.failure in {Failure.UNRECOVERABLE, Failure.ABSENT, Failure.NAME_TAKEN, Failure.REFUSED}


def unreachable(_unit: Unit, event: Any, _view: View) -> bool:
    return event.failure is Failure.UNREACHABLE


def image_missing(_unit: Unit, event: Any, _view: View) -> bool:
    return event.failure is Failure.IMAGE_MISSING


def pullable(unit: Unit, event: fact.CreateFailed | fact.SuccessorFailed, view: View) -> bool:
    due = unit.pull_at <= view.now
    return image_missing(unit, event, view) and unit.spec.pull and not unit.pulled and due


def not_there(_unit: Unit, event: Any, _view: View) -> bool:
    """The failed order's container does not run, for certain."""
    if event.failure is Failure.VETOED:
        return isinstance(event, fact.StartFailed)
    return event.failure in {Failure.NOT_RUNNING, Failure.NOT_FOUND, Failure.UNRECOVERABLE, Failure.ABSENT}


def exhausted(_unit: Unit, event: Any, _view: View) -> bool:
    """The engine lacks what every container needs: no fault of this one."""
    return event.failure is Failure.EXHAUSTED


def held_again(unit: Unit, event: fact.StartFailed, _view: View) -> bool:
    """The engine says the second time that it holds the last run: no start of this container will succeed."""
    return event.failure is Failure.HELD and unit.clashes > 0 and unit.spec.rebuild is not Rebuild.NEVER


def held_for_good(unit: Unit, event: fact.StartFailed, _view: View) -> bool:
    """As ``held_again``, and only a person may have it made anew."""
    return event.failure is Failure.HELD and unit.clashes > 0


def denied(_unit: Unit, event: Any, _view: View) -> bool:
    """The order was not carried out, and will not be: it is not allowed."""
    return event.failure is Failure.REFUSED


def ran_on(unit: Unit, event: Any, view: View) -> bool:
    """It is not allowed, and it ran when it was asked for."""
    return denied(unit, event, view) and unit.started_at != NEVER


def same_run(_unit: Unit, event: fact.ContainerStarted, _view: View) -> bool:
    return event.same


def vetoed(_unit: Unit, event: Any, _view: View) -> bool:
    """A hook vetoed the order: it was not sent to the engine."""
    return event.failure is Failure.VETOED


def serving(unit: Unit, event: Any, view: View) -> bool:
    """Whether it is ready as far as its health checks say."""
    return not checked(unit, event, view) or unit.health is Health.HEALTHY


def sound(unit: Unit, _event: Any, _view: View) -> bool:
    """No check of its own has to answer anew, and its HEALTHCHECK, if it has one, passed last."""
    return not unit.spec.checks and unit.health in {Health.NONE, Health.HEALTHY}


OWNER_DIED = 137
"""SIGKILL: what the processes of a pid namespace get when its first one ends."""
OWNER_LATE = Seconds(10)
"""A busy engine reports the owner's end so long after that of a member (0.3 s were seen on two busy cores)."""


def perhaps_taken_along(unit: Unit, event: fact.ContainerDied, view: View) -> bool:
    """It shares another unit's pid namespace, and died as processes do when that ends."""
    if event.exit_code != OWNER_DIED or event.oom or unit.oom or unit.kill_seen or unit.cleared or view.draining:
        return False
    return any(edge.via is Via.PID for edge in view.links.leaders.get(unit.name, ()))


def taken_along(unit: Unit, _event: fact.VerdictDue, view: View) -> bool:
    """It died with the owner of its pid namespace: that one is down, or restarted since."""
    if unit.exit_code != OWNER_DIED:
        return False
    owners = [view.units[edge.target] for edge in view.links.leaders.get(unit.name, ()) if edge.via is Via.PID]
    return any(not owner.phase.up or later(owner, unit) for owner in owners)


def taken_along_after_all(unit: Unit, _event: Any, view: View) -> bool:
    """It was left down as one that died by itself, and then the end of its pid namespace's owner was reported."""
    if unit.exit_code != OWNER_DIED or unit.oom or unit.by_hand or unit.stopped_by is not StoppedBy.NOBODY:
        return False
    owners = [view.units[edge.target] for edge in view.links.leaders.get(unit.name, ()) if edge.via is Via.PID]
    return any(not owner.phase.up and 0 <= owner.since - unit.since <= OWNER_LATE for owner in owners)


def rests(unit: Unit, event: Any, view: View) -> bool:
    return isinstance(verdict(unit, event, view), Stay)


def gives_up(unit: Unit, event: Any, view: View) -> bool:
    return isinstance(verdict(unit, event, view), GiveUp)


def loops(unit: Unit, event: Any, view: View) -> bool:
    return isinstance(verdict(unit, event, view), CrashLoop)


def backs_off(unit: Unit, event: Any, view: View) -> bool:
    judged = verdict(unit, event, view)
    return isinstance(judged, After) and judged.delay > 0


def died_for_no_reason(unit: Unit, _event: fact.ContainerOomed, _view: View) -> bool:
    """It died, and no cause is known yet."""
    return unit.pending is Reason.EXIT


def ended_well(_unit: Unit, event: fact.ContainerDied, _view: View) -> bool:
    return event.exit_code == 0 and not event.oom
