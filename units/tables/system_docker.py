"""System Docker: the engine in which all units run, a process that outlives the supervisor.

Two sources tell of it: its process (started, ended) and its API (answers, cannot be reached, does not answer in time).
An engine that is not ours has the same table without the process: ``connecting`` instead of ``starting``, and no order
is ever given. It begins to stop when all units have.
"""

from typing import Any

from units import engine_events
from units import events as fact
from units import guards as given
from units.actions import unstarted
from units.commands import SignalDaemon, StartDaemon, Timer
from units.deaths import death, pending_reason, verdict
from units.machine import DAEMON_EVENTS, Edge, Ignored, Moved, View, arm, rows, table
from units.quantities import Instant, Seconds
from units.records import replace
from units.restart import After, CrashLoop
from units.tables.shared import both_hold
from units.unit import Phase, Unit
from units.world import is_ours

P = Phase

ENGINE_GRACE = Seconds(30)
"""SIGTERM to SIGKILL; without live-restore an engine stops its containers first (15 s)."""
KILL_PATIENCE = Seconds(10)
"""From SIGKILL until it counts as stuck in the kernel."""
DOUBT = Seconds(1)
"""From the end of its event stream until a process that still runs counts as hung: its end is often told later."""

DOWN = (P.ABSENT, P.LOST, P.CRASH_LOOP)
RETRYING = (P.LOST, P.CRASH_LOOP)
OVER = (P.STOPPING, P.STOPPED, P.FAILED)
ALIVE = (P.STARTING, P.SERVING, P.HUNG)
PHASES = (P.CONNECTING, *DOWN, *ALIVE, *OVER)
EVENTS = (*DAEMON_EVENTS, fact.DrainAsked, fact.RetryDue, fact.KillDue, fact.VerdictDue)


def ours(unit: Unit, _event: Any, _view: View) -> bool:
    """Its process is ours to start and to stop."""
    return is_ours(unit)


def foreign(unit: Unit, _event: Any, _view: View) -> bool:
    return not is_ours(unit)


def start(unit: Unit, _event: Any, view: View) -> Moved:
    reason = f"starting dockerd again after: {unit.death}" if unit.death else "starting dockerd"
    return Moved(replace(unstarted(unit, view), reason=reason), (StartDaemon(unit.name),))


def hold(unit: Unit, event: engine_events.DaemonStarted, view: View) -> Moved:
    """Its process runs; now it must answer."""
    how = "adopted, a previous supervisor started it" if event.adopted else "started"
    if unit.pending is not None:
        how = f"restarted after: {unit.death}"
    return Moved(
        replace(
            unit,
            pid=event.pid,
            started_at=Instant(view.now - event.ran_for),
            run=unit.run + 1,
            restarts=unit.restarts + (unit.pending is not None),
            pending=None,
            reason=f"dockerd (pid {event.pid}) {how}; it has not answered yet",
        )
    )


def hold_to_stop(unit: Unit, event: engine_events.DaemonStarted, view: View) -> Moved:
    """A start that was under way when the stop was ordered: the signal follows it."""
    return Moved(replace(hold(unit, event, view).unit, reason=unit.reason))


def _fallen(unit: Unit, event: Any, view: View, reason: str) -> Unit:
    failed = isinstance(event, engine_events.DaemonStartFailed)
    return replace(
        unit,
        pid=None,
        exit_code=unit.exit_code if failed else event.exit_code,
        death=death(unit, event, view).what,
        budget=verdict(unit, event, view).budget,
        pending=(unit.pending if failed else None) or pending_reason(unit, event),
        reason=reason,
    )


def back_off(unit: Unit, event: Any, view: View) -> Moved:
    judged = verdict(unit, event, view)
    assert isinstance(judged, After)
    again = f"next try in {judged.delay:.3g} s" if judged.delay else "started again at once"
    return arm(_fallen(unit, event, view, f"{judged.reason}; {again}"), Timer.RETRY, judged.delay)


def loop(unit: Unit, event: Any, view: View) -> Moved:
    judged = verdict(unit, event, view)
    assert isinstance(judged, CrashLoop)
    reason = f"crash loop: {judged.reason}; next try in {judged.probe:g} s"
    return arm(_fallen(unit, event, view, reason), Timer.RETRY, judged.probe)


def serve(unit: Unit, event: engine_events.EngineAnswered, _view: View) -> Moved:
    """Whatever timer runs counts no more."""
    process = f", pid {unit.pid}" if unit.pid is not None else ""
    return Moved(replace(unit, token=unit.token + 1, reason=f"answers (version {event.version or 'unknown'}{process})"))


def note(unit: Unit, event: Any, _view: View) -> Moved:
    return Moved(replace(unit, reason=event.reason))


def wonder(unit: Unit, event: engine_events.EngineUnreachable, _view: View) -> Moved:
    """Either its process has ended, which is told soon, or it hangs."""
    return arm(unit, Timer.VERDICT, DOUBT, reason=f"{event.reason}; checking whether dockerd still runs")


def hang(unit: Unit, _event: fact.VerdictDue, _view: View) -> Moved:
    reason = unit.reason.partition("; checking")[0]
    return Moved(replace(unit, reason=f"dockerd (pid {unit.pid}) runs and does not answer: {reason}"))


def halt(unit: Unit, event: fact.DrainAsked, _view: View) -> Moved:
    reason = f"stopping dockerd with the host; SIGKILL in {event.timeout:g} s"
    order = SignalDaemon(unit.name, "SIGTERM")
    return arm(replace(unit, reason=reason, kills=0, wanted=False), Timer.KILL, event.timeout, (order,))


def kill(unit: Unit, _event: fact.KillDue, _view: View) -> Moved:
    order = SignalDaemon(unit.name, "SIGKILL")
    return arm(replace(unit, kills=1, reason="ignored SIGTERM, sent SIGKILL"), Timer.KILL, KILL_PATIENCE, (order,))


def leave(unit: Unit, _event: fact.KillDue, _view: View) -> Moved:
    reason = f"dockerd (pid {unit.pid}) is still running after SIGKILL; probably stuck in I/O (D state)"
    return Moved(replace(unit, reason=reason))


def end(unit: Unit, _event: Any, _view: View) -> Moved:
    return Moved(replace(unit, pid=None, pending=None, reason="stopped with the host"))


def killed_once(unit: Unit, _event: Any, _view: View) -> bool:
    return unit.kills > 0


def of_this_run(unit: Unit, event: engine_events.DaemonEnded, _view: View) -> bool:
    return event.pid == unit.pid


EDGES: tuple[Edge[Any], ...] = (
    # its process
    *rows((P.ABSENT,), engine_events.DaemonAbsent, P.STARTING, start),
    *rows((P.STOPPING,), engine_events.DaemonAbsent, P.STOPPED, end),
    *rows((*DOWN, P.STARTING), engine_events.DaemonStarted, P.STARTING, hold),
    *rows((P.STOPPING,), engine_events.DaemonStarted, None, hold_to_stop),
    *rows((P.STARTING,), engine_events.DaemonStartFailed, P.CRASH_LOOP, loop, given.loops),
    *rows((P.STARTING,), engine_events.DaemonStartFailed, P.LOST, back_off),
    *rows(ALIVE, engine_events.DaemonEnded, P.CRASH_LOOP, loop, both_hold(of_this_run, given.loops)),
    *rows(ALIVE, engine_events.DaemonEnded, P.LOST, back_off, of_this_run),
    *rows((P.STOPPING, P.FAILED), engine_events.DaemonEnded, P.STOPPED, end, of_this_run),
    *rows(RETRYING, fact.RetryDue, P.STARTING, start),
    # what its API says
    *rows((P.CONNECTING, *ALIVE), engine_events.EngineAnswered, P.SERVING, serve),
    *rows((P.LOST,), engine_events.EngineAnswered, P.SERVING, serve, foreign),
    *rows((P.CONNECTING,), engine_events.EngineUnreachable, None, note),
    *rows((P.SERVING,), engine_events.EngineUnreachable, None, wonder, ours),
    *rows((P.SERVING, P.HUNG, P.LOST), engine_events.EngineUnreachable, P.LOST, note, foreign),
    *rows((P.SERVING,), fact.VerdictDue, P.HUNG, hang),
    *rows((P.SERVING,), engine_events.EngineUnresponsive, P.HUNG, note),
    # the host goes down
    *rows((*DOWN, *ALIVE), fact.DrainAsked, P.STOPPING, halt, ours),
    *rows((P.STOPPING,), fact.KillDue, P.FAILED, leave, killed_once),
    *rows((P.STOPPING,), fact.KillDue, None, kill),
)

PROCESS = (
    engine_events.DaemonAbsent,
    engine_events.DaemonStarted,
    engine_events.DaemonStartFailed,
    engine_events.DaemonEnded,
)
API = (engine_events.EngineAnswered, engine_events.EngineUnreachable, engine_events.EngineUnresponsive)
LATE = "a timer of an earlier phase"

IGNORED = (
    Ignored((P.CONNECTING,), PROCESS, "its process is not ours"),
    Ignored((P.CONNECTING, P.STOPPING, P.STOPPED, P.FAILED), (fact.DrainAsked,), "not ours, or asked already"),
    Ignored((*RETRYING, *ALIVE), (engine_events.DaemonAbsent,), "it was looked for once, at the start"),
    Ignored((P.SERVING, P.HUNG), (engine_events.DaemonStarted,), "it is known to run"),
    Ignored((*DOWN, P.SERVING, P.HUNG, P.STOPPING), (engine_events.DaemonStartFailed,), "no start of it is under way"),
    Ignored(DOWN, (engine_events.DaemonEnded,), "its end is known"),
    Ignored((P.STOPPED,), PROCESS, "it has ended, and none is started any more"),
    Ignored((P.FAILED,), PROCESS[:3], "only its end is waited for"),
    Ignored(
        (P.ABSENT, P.CRASH_LOOP), (engine_events.EngineAnswered,), "no process of ours answers: another engine's answer"
    ),
    Ignored((P.ABSENT, P.CRASH_LOOP, P.STARTING), API[1:], "it does not run, or has not answered yet"),
    Ignored((P.CONNECTING, P.HUNG, P.LOST), (engine_events.EngineUnresponsive,), "it is known not to serve"),
    Ignored(OVER, API, "it is about to end, or has ended"),
    Ignored((P.CONNECTING, P.ABSENT, *ALIVE, *OVER), (fact.RetryDue,), LATE),
    Ignored((P.CONNECTING, *DOWN, *ALIVE, P.STOPPED, P.FAILED), (fact.KillDue,), LATE),
    Ignored((P.CONNECTING, *DOWN, P.STARTING, P.HUNG, *OVER), (fact.VerdictDue,), LATE),
)

TABLE = table("system-docker", PHASES, EDGES, IGNORED, events=EVENTS, begins=(P.ABSENT, P.CONNECTING))
