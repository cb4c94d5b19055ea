"""Actions at the end of a run: what a death leaves behind, when the next try is, and units that are not wanted."""

from collections.abc import Mapping
from typing import Any

from units import events as fact
from units.commands import (
    TakeSnapshot,
    Timer,
)
from units.deaths import NEVER_RAN, death, describe_exit, pending_reason, verdict
from units.health import Health
from units.machine import Moved, View, arm
from units.quantities import NEVER, Seconds
from units.records import replace
from units.restart import After, CrashLoop, spread
from units.spec import Kind, Via
from units.unit import Beyond, Failure, Phase, Reason, StoppedBy, Unit
from units.words import duration

VERDICT_GRACE = Seconds(1)
"""``stop`` follows ``die`` within milliseconds on 20.10; 26.1 sends it first."""
UNREACHABLE_DELAY = Seconds(1)
ENDING_SIGNALS = frozenset({2, 3, 6, 15, 30, 37})
"""INT, QUIT, ABRT, TERM, PWR and RTMIN+3: what images declare as their stop signal. SIGKILL is a kill, not a stop."""
ORDER_FAILED = (fact.StartFailed, fact.SignalFailed)


def dead(unit: Unit, event: Any, **changes: Any) -> Unit:
    """The unit after a death: fields of the run are reset, and ``changes`` applied."""
    left: dict[str, Any] = {
        "started_at": NEVER,
        "by_hand": unit.kill_seen,
        "killed_at": NEVER,
        "stop_seen": False,
        "cleared": False,
        "kills": 0,
        "untaken": "",
    }
    if isinstance(event, fact.ContainerDied):
        left |= {"exit_code": event.exit_code, "oom": unit.oom or event.oom}
    elif isinstance(event, fact.ContainerDestroyed) or (
        isinstance(event, ORDER_FAILED) and event.failure is Failure.NOT_FOUND
    ):
        left |= {"container": None, **UNKNOWN}
    return replace(unit, **(left | changes))


def mourn(unit: Unit, event: Any, view: View) -> Unit:
    """Record a death that another run will follow. A failed start is no death of its own: the death before it stays."""
    judged = verdict(unit, event, view)
    failed = isinstance(event, NEVER_RAN)
    return dead(
        unit,
        event,
        budget=judged.budget,
        pending=(unit.pending if failed else None) or pending_reason(unit, event),
        reason=judged.reason,
        death=unit.death if failed else death(unit, event, view).what,
        oom=False,
        clashes=unit.clashes + (getattr(event, "failure", None) is Failure.HELD),
    )


def finish(unit: Unit, event: Any, view: View) -> Moved:
    judged = verdict(unit, event, view)
    return Moved(dead(unit, event, budget=judged.budget, reason=judged.reason, pending=None))


def back_off(unit: Unit, event: Any, view: View) -> Moved:
    judged = verdict(unit, event, view)
    assert isinstance(judged, After)
    reason = f"{judged.reason}; restart in {duration(judged.delay)}"
    return arm(replace(mourn(unit, event, view), reason=reason), Timer.RETRY, judged.delay)


def loop(unit: Unit, event: Any, view: View) -> Moved:
    judged = verdict(unit, event, view)
    assert isinstance(judged, CrashLoop)
    reason = f"{judged.reason}; {_next_probe(unit, judged.probe)}"
    return arm(replace(mourn(unit, event, view), reason=reason), Timer.RETRY, judged.probe)


def _next_probe(unit: Unit, delay: Seconds) -> str:
    return f"next try in {duration(delay)}, or run `dockwarden reset-failed {unit.name}`"


LOOK, LOOKS, LATER_LOOK = Seconds(5), 60, Seconds(30)


def next_look(unit: Unit) -> Seconds:
    """Until the next look for what is absent: it costs nothing, so every few seconds; after five minutes less often."""
    return min(LOOK, Seconds(2.0 ** min(unit.misses, 10))) if unit.misses < LOOKS else LATER_LOOK


def probe_later(unit: Unit, event: Any, _view: View) -> Moved:
    """The engine will refuse this start again until something is changed: retry rarely; soon at first if it has run."""
    delay = unit.spec.restart.probe
    if event.failure is Failure.ABSENT:
        delay = min(delay, next_look(unit))
    elif unit.run:
        delay = min(delay, Seconds(2.0 ** min(unit.misses, 10)))
    reason = f"{event.message}; {_next_probe(unit, delay)}"
    after = dead(unit, event, reason=reason, pending=Reason.START_FAILED, misses=unit.misses + 1)
    return arm(after, Timer.RETRY, delay)


def ask_to_remake(unit: Unit, event: fact.StartFailed, view: View) -> Moved:
    """Its container may hold a person's files: say how it is made anew, and try it rarely."""
    how = "dockwarden console recreate" if unit.spec.kind is Kind.CONSOLE else f"docker rm -f {unit.spec.container}"
    told = f"{event.message}; only a new container helps, which loses the files in this one: run `{how}`"
    return probe_later(unit, replace(event, message=told), view)


def try_engine_later(unit: Unit, event: Any, view: View) -> Moved:
    """The engine does not answer: retry soon, without charging the unit's restart budget."""
    delay = spread(UNREACHABLE_DELAY, unit.spec.restart.jitter, view.moment.jitter)
    return arm(replace(refunded(unit), reason=f"{event.message}; next try in {duration(delay)}"), Timer.RETRY, delay)


LACK_MAX_DELAY = Seconds(60)


def await_room(unit: Unit, event: Any, view: View) -> Moved:
    """The engine lacks something that it needs itself: retry ever later, without charging the restart budget."""
    base = Seconds(min(LACK_MAX_DELAY, 2.0 ** min(unit.misses, 10)))
    delay = spread(base, unit.spec.restart.jitter, view.moment.jitter)
    reason = f"{event.message}; next try in {duration(delay)}"
    return arm(replace(refunded(unit), reason=reason, misses=unit.misses + 1), Timer.RETRY, delay)


def refunded(unit: Unit) -> Unit:
    """The unit with what the start that came to nothing was charged to its budget."""
    if unit.phase is not Phase.STARTING or unit.pending in FREE:
        return unit
    return replace(unit, budget=replace(unit.budget, restarts=unit.budget.restarts[:-1]))


FREE = frozenset({None, Reason.MANUAL, Reason.CONFIG, Reason.EXTERNAL, Reason.CONTEXT, Reason.RELINK})
"""Starts that are not charged to the restart budget."""


UNKNOWN: Mapping[str, Any] = {
    "health": Health.NONE,
    "reports": {},
    "look": None,
    "unread": "",
    "beyond": Beyond.NOTHING,
}
"""Reset when the unit gets another container: health and inspection were of the previous one."""


STOPPED_BY_THEN = Seconds(30)
"""After a stop signal: a program that runs on so much longer has ignored it."""


def note_kill(unit: Unit, event: fact.ContainerKilled, view: View) -> Moved:
    if event.signal not in ENDING_SIGNALS:
        return Moved(unit)
    return Moved(replace(unit, killed_at=view.now))


def note_clearing(unit: Unit, _event: fact.ContainerKilled, view: View) -> Moved:
    """A person's stop that was under way stays one; a signal that was ignored long ago makes none of it."""
    under_way = view.now - unit.killed_at < max(STOPPED_BY_THEN, unit.spec.stop.timeout)
    return Moved(replace(unit, cleared=True, killed_at=unit.killed_at if under_way else NEVER))


def note_stop(unit: Unit, _event: Any, _view: View) -> Moved:
    """Note the engine's ``stop``. Without a stop signal in this run it belongs to the previous run."""
    return Moved(replace(unit, stop_seen=unit.kill_seen))


def give_way(unit: Unit, _event: fact.ContainerStopped, _view: View) -> Moved:
    """A person stops it while it is being restarted. Our own stop is a signal, of which no engine says ``stop``."""
    return Moved(replace(unit, wanted=False, stopped_by=StoppedBy.OUTSIDE))


def take_way(unit: Unit, _event: fact.StopRevoked, _view: View) -> Moved:
    """That stop was the engine's own: the restart is still owed."""
    return Moved(replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY))


def note_oom(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(unit, oom=True))


def blame_memory(unit: Unit, _event: Any, _view: View) -> Moved:
    """Correct a death to OOM-killed: some engines report the OOM after the death."""
    known = describe_exit(unit.exit_code, oom=True)
    reason = unit.reason.replace(unit.death, known) if unit.death else unit.reason
    return Moved(replace(unit, pending=Reason.OOM, death=known, reason=reason))


def forget_container(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(unit, container=None, **UNKNOWN))


def await_verdict(unit: Unit, event: fact.ContainerDied, _view: View) -> Moved:
    """Wait until it is known whether a death after a stop signal was ``docker stop`` or only ``docker kill``."""
    started_at = unit.started_at
    reason = f"{describe_exit(event.exit_code)} after a stop signal; checking whether it was `docker stop`"
    return arm(dead(unit, event, reason=reason, started_at=started_at), Timer.VERDICT, VERDICT_GRACE)


def retired(unit: Unit) -> Unit:
    by = unit.stopped_by
    reason = {
        StoppedBy.PERSON: "stopped (by user)",
        StoppedBy.OUTSIDE: "stopped from outside (docker stop)",
        StoppedBy.SHUTDOWN: "the host goes down",
        StoppedBy.CONFIG: "no longer in the configuration",
        StoppedBy.SWITCH: "stopped for a switch",
        StoppedBy.HEALTH: f"stopped: {unit.ailing}; fix the cause, then run `dockwarden start {unit.name}`",
        StoppedBy.NOBODY: "not wanted",
    }[by]
    return replace(unit, wanted=False, pending=None, again=None, failing="", reason=reason, grace=None)


def bow(unit: Unit, event: Any, _view: View) -> Moved:
    """Someone stopped it through the engine: it stays stopped."""
    return Moved(retired(dead(unit, event, stopped_by=StoppedBy.OUTSIDE)))


def retire(unit: Unit, event: Any, _view: View) -> Moved:
    """Mark a unit without a process as inactive."""
    return Moved(retired(unwant(unit, event, _view).unit))


def unwant(unit: Unit, event: Any, _view: View) -> Moved:
    match event:
        case fact.StopAsked(by=by):
            stopped_by = by
        case fact.DrainAsked() | fact.HurryAsked():
            # A person's stop outlives the shutdown that comes after it.
            stopped_by = StoppedBy.SHUTDOWN if unit.stopped_by is StoppedBy.NOBODY else unit.stopped_by
        case _:
            stopped_by = unit.stopped_by
    return Moved(replace(unit, wanted=False, stopped_by=stopped_by, again=None, pending=None))


def end(unit: Unit, event: Any, _view: View) -> Moved:
    """Its process ended, and it is not wanted."""
    return Moved(retired(dead(unit, event)))


def fail(unit: Unit, event: Any, _view: View) -> Moved:
    return Moved(dead(unit, event, reason=unit.failing, failing="", pending=None))


def doubt(unit: Unit, event: Any, _view: View) -> Moved:
    """The engine's answer contradicts the known state: take a snapshot."""
    return Moved(unit, (TakeSnapshot(f"{unit.name}: {event.message}"),))


def doubt_and_back_off(unit: Unit, event: Any, view: View) -> Moved:
    step = back_off(unit, event, view)
    return Moved(step.unit, (*step.commands, TakeSnapshot(f"{unit.name}: {death(unit, event, view).what}")))


OWNER_GRACE = Seconds(0.25)
"""The kernel kills the members of a pid namespace before its owner: the owner's death follows within milliseconds."""


def await_owner(unit: Unit, event: fact.ContainerDied, _view: View) -> Moved:
    reason = f"{describe_exit(event.exit_code)}; checking whether the owner of its pid namespace ended"
    return arm(dead(unit, event, reason=reason, started_at=unit.started_at), Timer.VERDICT, OWNER_GRACE)


def after_owner(unit: Unit, event: Any, view: View) -> Unit:
    """The unit after it was killed by the end of the pid namespace it uses; not charged to its budget."""
    owner = next(view.units[edge.target] for edge in view.links.leaders[unit.name] if edge.via is Via.PID)
    reason = f"killed with the pid namespace of {owner.name}, which it uses"
    return dead(unit, event, pending=Reason.RELINK, reason=reason, wave=owner.cause, relinked_via=(Via.PID,))


def after_death(unit: Unit, event: Any, view: View) -> Unit:
    return mourn(unit, event, view)


def after_clearing(unit: Unit, event: Any, _view: View) -> Unit:
    """The unit after the engine ended it at its own start; not charged to its budget, whatever its restart policy."""
    code = describe_exit(event.exit_code)
    return dead(unit, event, reason=f"ended by the engine at its own start, not by a person ({code})")


def after_stop(unit: Unit, event: Any, _view: View) -> Unit:
    return dead(unit, event, pending=unit.again, again=None)


def after_loss(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(unit, container=None, pending=Reason.DESTROYED, reason=describe_exit(None))
