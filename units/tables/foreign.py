"""The table of a foreign unit: a container of another tool, on a host that ``dockwarden watch`` looks after.

Crashes are left to the engine's restart policy, and stops to the operator. Two things are done for containers whose
labels ask for it: an unhealthy one is restarted, and one with a stale reference is re-linked. Both are one engine call
where that is enough, so that they finish even if the supervisor is killed meanwhile.
"""

from collections.abc import Iterable
from typing import Any

from units import actions as do
from units import events as fact
from units import guards as given
from units import healing, relinking
from units.actions import ANSWER_DEADLINE, dead, unstarted
from units.commands import RecreateContainer, RestartContainer, TakeSnapshot, Timer
from units.deaths import describe_exit
from units.events import UnitEvent
from units.machine import Edge, Guard, Ignored, Moved, View, always, arm, rows, table
from units.quantities import Seconds
from units.records import replace
from units.spec import BINDING_MODES, Kind, OnUnhealthy
from units.tables.shared import both_hold, then
from units.unit import Beyond, Phase, Reason, StoppedBy, Unit
from units.words import duration

P = Phase
UP = (P.RUNNING, P.READY)
ALIVE = (*UP, P.PAUSED)
RETRYING = (P.BACKOFF, P.CRASH_LOOP, P.FAILED)
IDLE = (P.INACTIVE, P.WAITING, *RETRYING)
AT_WORK = (P.CREATING, P.STARTING, P.STOPPING)
PHASES = (*IDLE, *AT_WORK, *ALIVE, P.EXITED)

ENGINE_TRIES = Seconds(5)
"""After them it is seen whether the engine's restart policy did what it says."""
STEADY = Seconds(10)
"""A run as long as an engine waits before it forgets earlier deaths; shorter ones it restarts ever later."""
ENGINE_FIRST = Seconds(3)
"""The engine's own restart policy gets this long to restart it first."""


# -- what only this table asks


def left_behind(unit: Unit, _event: Any, view: View) -> bool:
    """Whether it is down because the engine's restart policy could not start it: for what it joins, or for a failure.

    Engines try once and give up on such a container for good: when the container it joins is missing, and when their
    containerd is just away (measured on 20.10 and 26.1).
    """
    if not (unit.spec.expected and unit.spec.relink and unit.container) or unit.stopped_by is not StoppedBy.NOBODY:
        return False
    if unit.beyond is not Beyond.NOTHING:
        return False  # The engine is at it.
    failed = unit.look is not None and bool(unit.look.failed)
    if failed and unit.run > 0:
        return True
    return (failed or unit.run > 0) and any(edge.via in BINDING_MODES for edge in view.links.leaders.get(unit.name, ()))


def worn_out(unit: Unit, _event: Any, view: View) -> bool:
    """No start of the container it has can succeed."""
    return bool(unit.outdated) or bool(relinking.worn(unit, view))


# -- steps


def _timeout(unit: Unit) -> Seconds:
    return Seconds(unit.spec.stop.timeout + ANSWER_DEADLINE)


def _restart(unit: Unit) -> Moved:
    assert unit.container is not None
    order = RestartContainer(unit.name, unit.container, unit.spec.stop.timeout)
    return arm(unit, Timer.DEADLINE, _timeout(unit), (order,))


def _recreate(unit: Unit, view: View, pending: Reason) -> Moved:
    assert unit.container is not None
    order = RecreateContainer(unit.name, unit.container, relinking.joins(unit, view), unit.spec.stop.timeout)
    unit = unstarted(replace(unit, pending=pending), view)
    return arm(unit, Timer.DEADLINE, Seconds(2 * _timeout(unit)), (order,))


def heal(unit: Unit, event: Any, view: View) -> Moved:
    unit = healing.helped(unit, event, view)
    return _restart(replace(unit, again=Reason.UNHEALTHY, reason=f"{unit.ailing}; restarting"))


def heal_anew(unit: Unit, event: Any, view: View) -> Moved:
    unit = healing.helped(unit, event, view)
    return _recreate(replace(unit, reason=f"{unit.ailing}; re-creating"), view, Reason.UNHEALTHY)


def relink(unit: Unit, _event: Any, view: View) -> Moved:
    return _restart(replace(relinking.relinked(unit, view), again=Reason.RELINK))


def relink_anew(unit: Unit, _event: Any, view: View) -> Moved:
    return _recreate(relinking.relinked(unit, view), view, Reason.RELINK)


def restart(unit: Unit, _event: Any, _view: View) -> Moved:
    """Restart on request."""
    return _restart(replace(unit, again=Reason.MANUAL, reason="restarting (by user)"))


def recreate(unit: Unit, _event: Any, view: View) -> Moved:
    unit = replace(
        unit, reason=relinking.worn(unit, view) or unit.outdated or "the container it joined is gone; re-creating"
    )
    return _recreate(replace(unit, again=None), view, unit.pending or unit.again or Reason.RELINK)


def recreate_held(unit: Unit, event: fact.StartFailed, view: View) -> Moved:
    told = f"the engine cannot start this container any more ({event.message}); re-creating"
    return recreate(replace(unit, outdated=told, clashes=0), event, view)


def await_start(unit: Unit, event: Any, view: View) -> Moved:
    """It has stopped; the same engine call starts it again."""
    unit = unstarted(do.after_stop(unit, event, view), view)
    return arm(unit, Timer.DEADLINE, ANSWER_DEADLINE)


def run_again(unit: Unit, event: fact.ContainerStarted, view: View) -> Moved:
    """The engine's restart call is done, and its death was not seen."""
    return do.run(replace(unit, pending=unit.again), event, view)


def leave(unit: Unit, event: Any, view: View) -> Moved:
    """It died; the restart is left to the engine or the operator."""
    code = event.exit_code if isinstance(event, fact.ContainerDied) else unit.exit_code
    gone = isinstance(event, fact.ContainerDestroyed)
    told = describe_exit(None if gone else code, oom=unit.oom or getattr(event, "oom", False))
    policy = "its engine's restart policy" if unit.spec.expected else "its operator"
    left = dead(unit, event, reason=f"{told}; left to {policy}", death=told, pending=None, again=None)
    if unit.spec.expected and not gone and view.now - unit.started_at >= STEADY:
        return arm(left, Timer.LOOK, ENGINE_TRIES)  # Engines do not tell of a start of theirs that failed.
    return Moved(left)


def lose(unit: Unit, event: Any, _view: View) -> Moved:
    """Its container is gone, and foreign containers are not created here."""
    return Moved(dead(unit, event, container=None, reason="its container was removed", pending=None, again=None))


def give_engine_time(unit: Unit, _event: Any, view: View) -> Moved:
    peers = ", ".join(edge.target for edge in view.links.leaders.get(unit.name, ()) if edge.via in BINDING_MODES)
    why = f"without {peers}" if peers else f"and gave up ({unit.look.failed if unit.look is not None else ''})"
    reason = f"the engine could not start it {why}; restart in {duration(ENGINE_FIRST)} unless the engine does"
    pending = Reason.RELINK if peers else Reason.EXIT
    return arm(replace(unit, pending=pending, reason=reason, relinked_via=()), Timer.RETRY, ENGINE_FIRST)


def look_again(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(unit, (TakeSnapshot(f"{unit.name}: has its engine started it again?"),))


def say_failed(unit: Unit, event: fact.CreateFailed, _view: View) -> Moved:
    """The re-creation failed and was undone: note why."""
    return Moved(replace(unit, reason=event.message))


def renew_id(unit: Unit, event: fact.ContainerCreated, view: View) -> Moved:
    """Another container has its name now: what was known of the one before says nothing of this one."""
    made = do.adopt_id(unit, event, view)
    if unit.phase is not P.INACTIVE or (unit.run == 0 and unit.stopped_by is StoppedBy.NOBODY):
        return made  # It is our own re-creation, or was only just met.
    fresh = Unit(unit.spec, unit.phase, unit.since, unit.moved, "not running", unit.cause)
    fresh = replace(fresh, token=unit.token, container=event.container, config_hash=event.config_hash)
    return Moved(replace(fresh, restarts=unit.restarts))


def note(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(unit)


# -- rows


def go(at: Iterable[Phase], on: type[UnitEvent], prepare: Any, when: Guard[Any] = always) -> tuple[Edge[Any], ...]:
    """Rows towards running: wait for its peers, or re-create it, or start it."""
    at, on_ = tuple(at), on
    event: type[Any] = on_
    return (
        *rows(at, event, P.INACTIVE, then(prepare, lose), both_hold(when, given.has_no_container)),
        *rows(at, event, P.WAITING, then(prepare, do.wait), both_hold(when, given.must_wait)),
        *rows(at, event, P.CREATING, then(prepare, recreate), both_hold(when, worn_out)),
        *rows(at, event, P.STARTING, then(prepare, do.start), when),
    )


def examined() -> tuple[Edge[Any], ...]:
    helps = (
        (OnUnhealthy.RESTART, P.STOPPING, heal),
        (OnUnhealthy.RECREATE, P.CREATING, heal_anew),
        (OnUnhealthy.STOP, P.STOPPING, do.put_to_rest),
        (OnUnhealthy.SIGNAL, P.RUNNING, healing.send_signal),
    )
    asked = (fact.HealthReported, fact.LookDue)
    return (
        *(row for action, to, act in helps for on in asked for row in rows(UP, on, to, act, healing.acts(action))),
        *healing_rows(),
    )


def healing_rows() -> tuple[Edge[Any], ...]:
    asked = (fact.HealthReported, fact.LookDue)
    return (
        *(row for on in asked for row in rows(UP, on, P.RUNNING, healing.hold_off, healing.withheld)),
        *rows((P.RUNNING,), fact.HealthReported, P.READY, healing.become_ready, healing.turned_healthy),
        *rows((P.READY,), fact.HealthReported, P.RUNNING, healing.lose_ready, healing.turned_unready),
        *rows((*IDLE, P.EXITED, P.CREATING, P.STARTING, *UP), fact.HealthReported, None, healing.note_health),
        *rows(UP, fact.LookDue, None, healing.calm_down, healing.calm),
    )


def linked() -> tuple[Edge[Any], ...]:
    asked = (fact.PeerChanged, fact.LookDue)
    return (
        *(row for on in asked for row in rows(UP, on, None, relinking.settle, relinking.unlinked_too_soon)),
        *(row for on in asked for row in rows(UP, on, P.CREATING, relink_anew, relinking.unlinked_for_good)),
        *(row for on in asked for row in rows(UP, on, P.STOPPING, relink, relinking.unlinked)),
    )


def refused(at: tuple[Phase, ...]) -> tuple[Edge[Any], ...]:
    """A failed start or restart that was ordered here: it is retried, because this supervisor stopped it."""
    return (
        *rows(at, fact.StartFailed, P.INACTIVE, do.end, given.gone),
        *rows(at, fact.StartFailed, P.BACKOFF, do.try_engine_later, given.unreachable),
        *rows(at, fact.StartFailed, P.BACKOFF, do.await_room, given.exhausted),
        *rows(at, fact.StartFailed, P.CREATING, recreate_held, given.held_again),
        *rows(at, fact.StartFailed, P.CREATING, recreate, given.joins_the_gone),
        *rows(at, fact.StartFailed, P.FAILED, do.probe_later, given.refused_for_good),
        *rows(at, fact.StartFailed, P.CRASH_LOOP, do.loop, given.loops),
        *rows(at, fact.StartFailed, P.BACKOFF, do.doubt_and_back_off),
    )


BEGUN = (P.STARTING, *ALIVE)
STILL_SOUND = both_hold(given.same_run, given.sound)
EDGES: tuple[Edge[Any], ...] = (
    # it runs
    *rows((*IDLE, P.EXITED, P.CREATING, P.STARTING), fact.ContainerStarted, P.READY, do.resume, STILL_SOUND),
    *rows((*IDLE, P.EXITED, P.CREATING, P.STARTING), fact.ContainerStarted, P.RUNNING, do.resume, given.same_run),
    *rows((P.STOPPING,), fact.ContainerStarted, P.RUNNING, run_again, given.checked),
    *rows((P.STOPPING,), fact.ContainerStarted, P.READY, run_again),
    *rows((*IDLE, P.EXITED, P.CREATING, P.STARTING), fact.ContainerStarted, P.RUNNING, do.run, given.checked),
    *rows((*IDLE, P.EXITED, P.CREATING, P.STARTING), fact.ContainerStarted, P.READY, do.run),
    *linked(),
    *examined(),
    # it was paused by a person
    *rows(UP, fact.ContainerPaused, P.PAUSED, do.pause),
    *rows((P.PAUSED,), fact.ContainerUnpaused, P.READY, do.unpause, given.sound),
    *rows((P.PAUSED,), fact.ContainerUnpaused, P.RUNNING, do.unpause),
    *rows((P.PAUSED,), fact.HealthReported, None, healing.note_health),
    # it died
    *rows(ALIVE, fact.ContainerDied, P.INACTIVE, do.bow, given.was_stopped),
    *rows(ALIVE, fact.ContainerDied, P.EXITED, do.await_owner, given.perhaps_taken_along),
    *rows(ALIVE, fact.ContainerDied, P.EXITED, do.await_verdict, given.maybe_stopped),
    *rows(BEGUN, fact.ContainerDied, P.INACTIVE, leave),
    *rows((P.EXITED,), fact.ContainerStopped, P.INACTIVE, do.bow),
    *rows((P.INACTIVE,), fact.ContainerStopped, P.INACTIVE, do.bow, given.of_somebody),
    *go((P.EXITED,), fact.VerdictDue, do.after_owner, given.taken_along),
    *rows((P.EXITED,), fact.VerdictDue, P.INACTIVE, leave),
    *rows((*IDLE, *ALIVE, P.EXITED, P.STARTING, P.STOPPING), fact.ContainerDestroyed, P.INACTIVE, lose),
    *rows((P.CREATING,), fact.ContainerDestroyed, None, do.forget_container),
    *rows(BEGUN, fact.ContainerKilled, None, do.note_clearing, given.of_the_engine),
    *rows(BEGUN, fact.ContainerKilled, None, do.note_kill),
    *rows(BEGUN, fact.ContainerStopped, None, do.note_stop),
    *rows(BEGUN, fact.ContainerOomed, None, do.note_oom),
    # it was re-created, by another tool or by us
    *rows((*IDLE, P.EXITED, P.CREATING), fact.ContainerCreated, None, renew_id),
    *rows((P.CREATING,), fact.CreateFailed, P.READY, do.refuse, both_hold(given.ran_on, given.serving)),
    *rows((P.CREATING,), fact.CreateFailed, P.RUNNING, do.refuse, given.ran_on),
    *rows((P.CREATING,), fact.CreateFailed, P.BACKOFF, do.try_engine_later, given.unreachable),
    *rows((P.CREATING,), fact.CreateFailed, P.FAILED, do.probe_later, given.refused_for_good),
    *rows((P.CREATING,), fact.CreateFailed, P.BACKOFF, do.await_room, given.exhausted),
    *rows((P.CREATING,), fact.CreateFailed, P.CRASH_LOOP, do.loop, given.loops),
    *rows((P.CREATING,), fact.CreateFailed, P.BACKOFF, do.doubt_and_back_off),
    *rows(ALIVE, fact.CreateFailed, None, say_failed),
    # it is not allowed to us
    *rows((P.STOPPING,), fact.StartFailed, P.READY, do.refuse, both_hold(given.denied, given.serving)),
    *rows((P.STOPPING,), fact.StartFailed, P.RUNNING, do.refuse, given.denied),
    *rows((P.STOPPING,), fact.SignalFailed, P.READY, do.refuse, both_hold(given.denied, given.serving)),
    *rows((P.STOPPING,), fact.SignalFailed, P.RUNNING, do.refuse, given.denied),
    *rows(UP, fact.SignalFailed, None, do.note_refusal, given.denied),
    # our restart is under way
    *rows((P.STOPPING,), fact.ContainerDied, P.STARTING, await_start, given.goes_again),
    *rows((P.STOPPING,), fact.ContainerDied, P.INACTIVE, do.end),
    *refused((P.STOPPING, P.STARTING)),
    *rows(AT_WORK, fact.DeadlineDue, P.CRASH_LOOP, do.loop, given.loops),
    *rows(AT_WORK, fact.DeadlineDue, P.BACKOFF, do.doubt_and_back_off),
    *rows((P.STOPPING,), fact.SignalFailed, P.INACTIVE, do.end, given.not_there),
    *rows((P.STOPPING,), fact.SignalFailed, None, do.repeat_soon, given.unanswered),
    *rows((P.STOPPING,), fact.SignalFailed, None, do.doubt_signal),
    *rows((P.STOPPING,), fact.ContainerKilled, None, do.note_taken),
    *rows((P.STOPPING,), fact.KillDue, None, do.kill_later, given.engine_down),
    *rows((P.STOPPING,), fact.KillDue, None, do.repeat, given.untaken),
    *rows((P.STOPPING,), fact.KillDue, P.FAILED, do.leave_unkillable, given.out_of_kills),
    *rows((P.STOPPING,), fact.KillDue, None, do.kill),
    # it is not up, and this supervisor brings it back
    *go((P.INACTIVE,), fact.PeerChanged, do.after_owner, given.taken_along_after_all),
    *rows((P.INACTIVE,), fact.PeerChanged, P.BACKOFF, give_engine_time, left_behind),
    *rows((P.INACTIVE,), fact.LookDue, None, look_again),
    *go((P.WAITING,), fact.PeerChanged, do.after_pause),
    *go(RETRYING, fact.RetryDue, do.after_pause),
    # requests
    *go((P.INACTIVE, *RETRYING), fact.StartAsked, do.after_wish),
    *go((P.INACTIVE, *RETRYING), fact.RestartAsked, do.after_wish_to_restart),
    *rows((P.WAITING, P.CREATING), fact.StartAsked, None, do.want),
    *rows((P.WAITING, P.CREATING), fact.RestartAsked, None, do.want),
    *rows(ALIVE, fact.RestartAsked, P.STOPPING, restart),
    *rows(BEGUN, fact.StopAsked, P.STOPPING, do.halt),
    *rows((*IDLE, P.EXITED), fact.StopAsked, P.INACTIVE, do.retire),
    *rows((P.STOPPING, P.CREATING), fact.StopAsked, None, do.unwant),
    *rows((P.STOPPING,), fact.StartAsked, None, do.want_again),
    *rows((P.STOPPING,), fact.RestartAsked, None, do.want_again),
    *rows(PHASES, fact.ResetAsked, None, do.forgive),
    *rows(PHASES, fact.SpecChanged, None, note),
)

IGNORED = (
    Ignored((*IDLE, *AT_WORK, P.EXITED), (fact.ContainerPaused,), "only what runs is left alone when it is paused"),
    Ignored((*IDLE, *AT_WORK, *UP, P.EXITED), (fact.ContainerUnpaused,), "it was not paused, as far as is known"),
    Ignored((P.PAUSED,), (fact.ContainerPaused,), "reported twice, by stream and snapshot"),
    Ignored((P.PAUSED,), (fact.PeerChanged, fact.LookDue), "left alone; its peers are looked at when it goes on"),
    Ignored((P.STARTING, *UP), (fact.StartAsked,), "it runs, or is about to"),
    Ignored((P.PAUSED,), (fact.StartAsked,), "`docker unpause` lets it go on, `dockwarden restart` begins anew"),
    Ignored(
        (P.EXITED,), (fact.StartAsked, fact.RestartAsked), "it died a moment ago: the cause is still being determined"
    ),
    Ignored((P.STARTING,), (fact.RestartAsked,), "it is being started just now"),
    Ignored(
        PHASES,
        (fact.DrainAsked, fact.HurryAsked, fact.StopRevoked),
        "containers of a watched host keep running when the supervisor ends",
    ),
    Ignored(ALIVE, (fact.ContainerStarted,), "reported twice, by stream and snapshot"),
    Ignored((*BEGUN, P.STOPPING), (fact.ContainerCreated,), "the next snapshot tells which one is the unit's"),
    Ignored((*IDLE, P.CREATING, P.EXITED), (fact.ContainerDied,), "a late report: this death is known, or of no run"),
    Ignored(
        (P.WAITING, *RETRYING, P.CREATING, P.STOPPING),
        (fact.ContainerStopped,),
        "nothing of it runs, or its end was asked for anyway",
    ),
    Ignored(
        (*IDLE, P.EXITED, P.CREATING),
        (fact.ContainerKilled, fact.ContainerOomed),
        "a signal matters only to a running unit",
    ),
    Ignored((P.STOPPING,), (fact.ContainerOomed,), "its end was asked for"),
    Ignored((P.STOPPING,), (fact.HealthReported,), "it is about to end"),
    Ignored(PHASES, (fact.ImagePulled, fact.PullFailed), "no image is pulled for a foreign unit"),
    Ignored(PHASES, (fact.SuccessorMade, fact.SuccessorFailed), "a foreign unit is made anew by one order"),
    Ignored((*IDLE, P.EXITED, P.STARTING, P.STOPPING), (fact.CreateFailed,), "a create that is no longer waited for"),
    Ignored((*IDLE, *ALIVE, P.EXITED, P.CREATING), (fact.StartFailed,), "a start that is no longer waited for"),
    Ignored(
        (*IDLE, P.EXITED, P.CREATING, P.STARTING, P.PAUSED),
        (fact.SignalFailed,),
        "a signal that is no longer waited for",
    ),
    Ignored((P.INACTIVE, P.WAITING, *AT_WORK, *ALIVE, P.EXITED), (fact.RetryDue,), "a timer of an earlier phase"),
    Ignored((*IDLE, P.CREATING, *BEGUN, P.EXITED), (fact.KillDue,), "a timer of an earlier phase"),
    Ignored((*IDLE, *AT_WORK, *ALIVE), (fact.VerdictDue,), "a timer of an earlier phase"),
    Ignored((*IDLE, *ALIVE, P.EXITED), (fact.DeadlineDue,), "a timer of an earlier phase"),
    Ignored((P.WAITING, *RETRYING, *AT_WORK, P.EXITED), (fact.LookDue,), "only a unit that runs is looked at"),
    Ignored(
        PHASES, fact.OF_USER_DOCKER, "only user Docker runs in another unit's file system, and outlives its own process"
    ),
    Ignored((*RETRYING, *AT_WORK, P.EXITED), (fact.PeerChanged,), "it has its own time to go on"),
)

TABLE = table(Kind.FOREIGN.value, PHASES, EDGES, IGNORED)
