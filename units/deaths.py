"""How a run ended, and what the restart decision makes of it."""

from typing import Any

from units import engine_events
from units import events as fact
from units.health import Health
from units.machine import View
from units.quantities import NEVER, Seconds
from units.records import replace
from units.restart import Death, Verdict, decide
from units.spec import Policy
from units.unit import Phase, Reason, Unit

SIGNALLED = 128
"""What an exit code has above a signal's number."""
SIGNALS = {129: "SIGHUP", 130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}

NEVER_RAN = (fact.StartFailed, fact.CreateFailed, fact.ClearFailed, fact.DeadlineDue, engine_events.DaemonStartFailed)
"""Facts that end a run which never began."""


def describe_exit(exit_code: int | None, *, oom: bool = False) -> str:
    """An exit code in words; above 128 it names the signal that killed the process."""
    if exit_code is None:
        return "its container was removed"
    if oom:
        return f"OOM-killed (exit code {exit_code})"
    if exit_code in SIGNALS:
        return f"killed by {SIGNALS[exit_code]} (exit code {exit_code})"
    return f"exit code {exit_code}"


def describe_daemon_exit(event: engine_events.DaemonEnded) -> str:
    """How a dockerd ended, and its last line, in words."""
    code = event.exit_code
    if code is None:
        how = "ended (exit code unknown: a previous supervisor started it)"
    elif code > SIGNALLED:
        how = f"was killed by {SIGNALS.get(code, f'signal {code - SIGNALLED}')}"
    else:
        how = f"exited with code {code}"
    return f"dockerd (pid {event.pid}) {how}" + (f": {event.said}" if event.said else "")


def proved(unit: Unit) -> bool:
    """Whether its present run was ready once, or it has no check that could say so."""
    return unit.proved == unit.run or not (unit.spec.checks or unit.health is not Health.NONE)


def death(unit: Unit, event: Any, view: View) -> Death:
    """How the present run ended, taken from the event that reports it."""
    said = ""
    ran_for = Seconds(0) if unit.started_at == NEVER else Seconds(max(0.0, view.now - unit.started_at))
    match event:
        case fact.ContainerDied():
            code: int | None = event.exit_code
            oom = unit.oom or event.oom
            said = event.said
        case engine_events.DaemonEnded():
            return Death(ran_for, event.exit_code, describe_daemon_exit(event))
        case fact.StartFailed() | fact.CreateFailed() | fact.ClearFailed() | engine_events.DaemonStartFailed():
            return Death(Seconds(0), None, event.message)
        case fact.ContainerDestroyed() if unit.phase is not Phase.EXITED:
            code, oom = None, False
        case fact.DeadlineDue():
            return Death(Seconds(0), None, "no answer from the engine")
        case _:
            code, oom = unit.exit_code, unit.oom
    what = describe_exit(code, oom=oom) + (f": {said}" if said else "")
    return Death(ran_for, code, what, clean=code == 0 and not oom, proved=proved(unit))


def verdict(unit: Unit, event: Any, view: View) -> Verdict:
    """The restart decision for this death. A failed start is retried under every restart policy."""
    known: Verdict | None = view.memo.get("verdict")
    if known is None:
        policy = unit.spec.restart
        if isinstance(event, NEVER_RAN):
            policy = replace(policy, policy=Policy.ALWAYS)
        known = decide(policy, unit.budget, death(unit, event, view), view.now, view.moment.jitter)
        view.memo["verdict"] = known
    return known


def pending_reason(unit: Unit, event: Any) -> Reason:
    if isinstance(event, NEVER_RAN):
        return Reason.START_FAILED
    if isinstance(event, fact.ContainerDestroyed):
        return Reason.DESTROYED
    return Reason.OOM if unit.oom or getattr(event, "oom", False) else Reason.EXIT
