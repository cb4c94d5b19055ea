"""Decision records: by which rule something was decided and from which inputs, derived from a reaction afterwards.

Nothing here delays a restart. The tables decide; this calls the same pure functions again with the same arguments after
the orders were given. That both agree is a property of the simulated histories.
"""

from collections.abc import Iterator

from units.deaths import proved
from units.dry_run import only_said
from units.events import Event
from units.health import Health
from units.machine import Moment
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass, replace
from units.restart import After, CrashLoop, Death, GiveUp, Stay, Verdict, decide, good_run, recent
from units.rules import DONE, Decision, Inputs, Value
from units.spec import Kind, OnUnhealthy, Policy, RestartPolicy, Via
from units.unit import Failure, Phase, Reason, StoppedBy, Unit
from units.words import duration
from units.world import Reaction, Transition, World

TIES = frozenset({Via.NET, Via.PID, Via.IPC, Via.LINK, Via.VOLUMES, Via.DEPENDS_ON})
DEATHS = frozenset({"ContainerDied", "ContainerDestroyed", "VerdictDue", "DaemonEnded"})
FAILED_ORDERS = frozenset(
    {"StartFailed", "CreateFailed", "ClearFailed", "DeadlineDue", "PullFailed", "DaemonStartFailed"}
)
ASKED = {"StartAsked": "ask.start", "StopAsked": "ask.stop", "RestartAsked": "ask.restart", "ResetAsked": "ask.reset"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The restart decision for one death, computed again."""

    death: Death
    policy: RestartPolicy
    verdict: Verdict


def planned(unit: Unit) -> Reason | None:
    """The restart that the unit is in the middle of."""
    return unit.again if unit.phase is Phase.STOPPING else unit.pending


def of_transition(moved: Transition, event: Event, moment: Moment, world: World) -> tuple[Decision, ...]:
    """The decisions behind one transition, in order; none for one that only carries out what was decided before."""
    told = list(_external(moved))
    unit = moved.after
    decided = _decided(moved, event, moment)
    if decided is None and planned(unit) is not None and planned(moved.before) is None and moved.restart is None:
        decided = "restart.renewed", (("reason", unit.reason),)
    if decided is not None:
        rule, inputs = decided
        leads = None if rule in LEAD_NOWHERE else planned(unit)
        told.append(Decision(unit.name, rule, _outcome(unit, rule), inputs, unit.cause or moment.cause, leads))
    if unit.phase is Phase.WAITING and (held := _held(unit)):
        told.append(_hold(unit, held, moment, world))
    return tuple(told)


LEAD_NOWHERE = frozenset({"restart.give-up", "restart.rest", "stop.respected", "death.left-to-engine", "heal.stop"})


def of_standing(before: World, event: Event, moment: Moment, reaction: Reaction) -> Iterator[Decision]:
    """The decisions about units that stay in their phase: signalled, withheld, held, or asked without effect."""
    moved = {transition.after.name for transition in reaction.transitions}
    for name in reaction.changed:
        old, unit = before.units.get(name), reaction.world.units.get(name)
        if old is None or unit is None or name in moved or old.phase is not unit.phase:
            continue
        decided = _decided_standing(old, unit, event, moment)
        if decided is not None:
            rule, inputs = decided
            leads = planned(unit) if rule in ASKED.values() or not unit.phase.up else None
            yield Decision(name, rule, _outcome(unit, rule), inputs, moment.cause, leads)
        if unit.phase is Phase.WAITING and (held := _held(unit)) and held != _held(old):
            yield _hold(unit, held, moment, reaction.world)


def judgement(moved: Transition, event: Event, moment: Moment) -> Judgement | None:
    """The restart decision for this transition; ``None`` when none was asked for."""
    before, after = moved.before, moved.after
    if moved.on in DEATHS:
        if not _is_judged_death(moved):
            return None
        policy = before.spec.restart
        run = Seconds(0) if before.started_at == NEVER else Seconds(max(0.0, moment.now - before.started_at))
        oom = before.oom or after.oom or after.pending is Reason.OOM
        code = _exit_code(moved)
        death = Death(run, code, after.reason, clean=code == 0 and not oom, proved=proved(before))
    else:
        if not _is_judged_failure(moved, event):
            return None
        policy = replace(before.spec.restart, policy=Policy.ALWAYS)
        what = getattr(event, "message", "") or "no answer from the engine"
        death = Death(Seconds(0), None, what)
    return Judgement(death, policy, decide(policy, before.budget, death, moment.now, moment.jitter))


def _is_judged_death(moved: Transition) -> bool:
    """A run that ended by itself, of a unit whose deaths are ours to answer."""
    before, after = moved.before, moved.after
    if before.cleared and not before.kill_seen and moved.on == "ContainerDied":
        return False
    if before.spec.kind is Kind.SYSTEM_DOCKER:
        return moved.on == "DaemonEnded" and after.phase in {Phase.LOST, Phase.CRASH_LOOP}
    if before.spec.kind is Kind.FOREIGN or before.phase in {Phase.STOPPING, Phase.COMPLETED}:
        return False
    if after.phase in {Phase.EXITED, Phase.INACTIVE}:
        return False
    return not (moved.on == "VerdictDue" and after.pending is Reason.RELINK)


def _is_judged_failure(moved: Transition, event: Event) -> bool:
    """An order that failed in a way that counts against the unit."""
    before, after = moved.before, moved.after
    if moved.on not in FAILED_ORDERS or moved.on == "PullFailed":
        return False
    if before.phase is Phase.STOPPING and before.spec.kind is not Kind.FOREIGN:
        return False
    if after.phase is Phase.CREATING:
        return before.spec.kind is not Kind.FOREIGN
    free = getattr(event, "failure", None) in {Failure.UNREACHABLE, Failure.VETOED, Failure.EXHAUSTED}
    return after.phase is Phase.CRASH_LOOP or (after.phase in {Phase.BACKOFF, Phase.LOST} and not free)


def _exit_code(moved: Transition) -> int | None:
    if moved.on in {"ContainerDied", "DaemonEnded"}:
        return moved.after.exit_code
    return moved.before.exit_code if moved.before.phase is Phase.EXITED else None


def _told(exit_code: int | None) -> Value:
    return "unknown" if exit_code is None else exit_code


def _external(moved: Transition) -> Iterator[Decision]:
    """A restart that was not ordered here: it is counted."""
    if moved.restart is Reason.EXTERNAL:
        unit = moved.after
        inputs: Inputs = (("was", moved.before.phase.value), ("reason", moved.before.reason))
        yield Decision(unit.name, "restart.external", "count it", inputs, unit.cause, Reason.EXTERNAL)


def _decided(moved: Transition, event: Event, moment: Moment) -> tuple[str, Inputs] | None:
    """Rule and inputs."""
    after, on = moved.after, moved.on
    if (judged := judgement(moved, event, moment)) is not None:
        return _rule_of(judged, moved), _inputs_of(judged, moved.before, moment)
    if on in ASKED:
        return _asked(after, on, moved.before)
    if on == "SuccessorMade" and after.again is Reason.MANUAL:
        return _asked(after, "RestartAsked", moved.before)
    if on in {"DrainAsked", "HurryAsked"}:
        return "shutdown.stop", (("was", moved.before.phase.value),)
    if on in DEATHS or on == "ContainerStopped":
        return _decided_on_death(moved)
    if on in FAILED_ORDERS:
        return _decided_on_failure(moved, event)
    return _decided_on_stop(moved) or _decided_while_up(moved, moment)


def _decided_on_stop(moved: Transition) -> tuple[str, Inputs] | None:
    """A stop that was vetoed, revoked, or did not end the process."""
    after, on = moved.after, moved.on
    if on == "SignalFailed" and moved.before.phase is Phase.STOPPING and after.phase.up:
        return "gate.stop", (("gate", after.reason.removeprefix("not stopped: ")),)
    if on == "StopRevoked":
        return "stop.revoked", (("engine", "went down"),)
    if on == "KillDue" and after.phase is Phase.FAILED:
        return "stop.unkillable", (("SIGKILLs", after.kills),)
    return None


def _rule_of(judged: Judgement, moved: Transition) -> str:
    if moved.after.phase is Phase.COMPLETED:
        return "restart.rest"  # A oneshot that succeeded, whatever its policy says of exits.
    match judged.verdict:
        case Stay():
            return "restart.rest"
        case GiveUp():
            return "restart.give-up"
        case CrashLoop():
            return "restart.crash-loop"
        case _ if moved.after.phase is Phase.CREATING and moved.on == "StartFailed":
            return "restart.remake"
        case After(delay=delay) if delay > 0:
            return "restart.backoff"
        case After():
            return "restart.immediate"


def _inputs_of(judged: Judgement, before: Unit, moment: Moment) -> Inputs:
    death, policy, verdict = judged.death, judged.policy, judged.verdict
    code = _told(death.exit_code)
    unseen = before.started_at == NEVER and before.phase.up  # Started under the previous supervisor: it counts as 0.
    window = recent(before.budget.restarts, policy.interval, moment.now)
    limit = f":{policy.max_retries}" if policy.policy is Policy.ON_FAILURE and policy.max_retries else ""
    inputs: list[tuple[str, Value]] = [
        ("ran_for", "unknown" if unseen else round(death.ran_for, 3)),
        ("good_run", round(good_run(policy, before.budget, proved=death.proved), 3)),
        ("exit_code", code),
        ("policy", f"{policy.policy.value}{limit}"),
        ("failures", verdict.budget.failures),
        ("restarts", len(window)),
        ("burst", policy.burst),
        ("interval", policy.interval),
    ]
    if isinstance(verdict, After) and verdict.delay > 0:
        inputs += [
            ("base_delay", round(verdict.budget.delay, 3)),
            ("jitter", policy.jitter),
            ("drawn", round(moment.jitter, 3)),
            ("delay", round(verdict.delay, 3)),
        ]
    if isinstance(verdict, CrashLoop):
        inputs += [("looping", int(before.budget.looping)), ("probe", verdict.probe)]
    return tuple(inputs)


def _asked(unit: Unit, on: str, before: Unit) -> tuple[str, Inputs]:
    if on == "StopAsked" and unit.stopped_by is StoppedBy.CONFIG:
        return "config.gone", (("was", before.phase.value),)
    by = unit.stopped_by.value if on == "StopAsked" and unit.stopped_by is not StoppedBy.NOBODY else "request"
    return ASKED[on], (("by", by), ("was", before.phase.value))


def _decided_on_death(moved: Transition) -> tuple[str, Inputs] | None:
    before, after = moved.before, moved.after
    code: Value = "unknown" if after.exit_code is None else after.exit_code
    if before.cleared and after.wanted and before.spec.kind is not Kind.FOREIGN:
        return "stop.revoked", (("exit_code", code), ("engine", "ended it at its own start"))
    if after.phase is Phase.EXITED:
        return "death.await-verdict", (("exit_code", code), ("stop_signal_seen", int(before.kill_seen)))
    if after.phase is Phase.INACTIVE:
        if after.stopped_by is StoppedBy.OUTSIDE and before.stopped_by is not StoppedBy.OUTSIDE:
            return "stop.respected", (("exit_code", code), ("was", before.phase.value))
        if before.spec.kind is Kind.FOREIGN and after.stopped_by is StoppedBy.NOBODY and before.phase in ANSWERED:
            expected = "its restart policy" if before.spec.expected else "its operator"
            return "death.left-to-engine", (("exit_code", code), ("left_to", expected))
        return None
    if before.phase is Phase.COMPLETED:
        return "volumes.remade", (("container", "was removed"),)
    if moved.on == "VerdictDue" and after.pending is Reason.RELINK:
        return "relink.pid", (("exit_code", code), ("why", after.reason))
    return None


ANSWERED = frozenset({Phase.RUNNING, Phase.READY, Phase.STARTING, Phase.EXITED})
"""Phases of a foreign unit in which its end is news."""


def _decided_on_failure(moved: Transition, event: Event) -> tuple[str, Inputs] | None:
    after = moved.after
    message = str(getattr(event, "message", ""))
    if getattr(event, "failure", None) is Failure.VETOED and after.phase is Phase.BACKOFF:
        return "gate.start", (("gate", message), ("vetoes", after.misses))
    if after.phase is Phase.PULLING:
        return "image.pull", (("image", after.spec.image),)
    if after.phase is Phase.IMAGE_MISSING:
        return "image.missing", (("image", after.spec.image), ("misses", after.misses), ("engine", message))
    if after.phase is Phase.FAILED and moved.before.phase is not Phase.STOPPING:
        return "restart.refused", (("engine", message), ("probe", after.spec.restart.probe))
    if after.phase is Phase.BACKOFF:
        lacks = getattr(event, "failure", None) is Failure.EXHAUSTED
        return f"restart.engine-{'lacks' if lacks else 'away'}", (("engine", message),)
    if after.phase is Phase.STOPPING and moved.before.phase.up:
        rule = "deadline.overrun" if after.failing else "restart.not-serving"
        return rule, (("deadline", after.spec.deadline),)
    return None


def _decided_while_up(moved: Transition, moment: Moment) -> tuple[str, Inputs] | None:
    """Decisions about a running unit: for its health, its stale references, its definition, its storage context."""
    before, after, on = moved.before, moved.after, moved.on
    begins = after.phase in {Phase.STOPPING, Phase.CREATING} and (
        before.phase.up or before.phase in {Phase.WAITING, Phase.STARTING}
    )
    if begins and before.phase.up and planned(after) is Reason.RELINK:
        return _relink_rule(after), (("tie", _ties(after)), ("why", after.reason))
    if planned(after) is Reason.RELINK and on == "PeerChanged" and before.phase in {Phase.INACTIVE, Phase.FAILED}:
        return "relink.left-behind", (("why", after.reason),)
    if begins and planned(after) is Reason.CONTEXT and on != "RetryDue":
        return "context.follow", (("context", after.spec.context or "none"), ("why", after.reason))
    if on == "SpecChanged" or (begins and after.phase is Phase.STOPPING and after.again is Reason.CONFIG):
        return "config.changed", (("was", before.phase.value),)
    if on not in {"HealthReported", "LookDue", "SuccessorMade"}:
        return None
    if after.falls != before.falls:
        return f"heal.{after.spec.heal.action.value}", _health_inputs(after, moment.now)
    if after.health is Health.UNHEALTHY:
        return "heal.withhold", _health_inputs(after, moment.now)
    return None


def _decided_standing(old: Unit, unit: Unit, event: Event, moment: Moment) -> tuple[str, Inputs] | None:
    on = type(event).__name__
    if on in ASKED and getattr(event, "unit", "") == unit.name:
        return _asked(unit, on, old)
    if not unit.phase.up:
        return _decided_while_down(old, unit, event, moment)
    if old.flapping and not unit.flapping:
        return "heal.calm", (("calm", unit.spec.heal.calm),)
    if unit.falls != old.falls:
        return f"heal.{unit.spec.heal.action.value}", _health_inputs(unit, moment.now)
    if unit.reason == old.reason:
        return None
    return _decided_on_reason(old, unit, on, moment)


def _decided_on_reason(old: Unit, unit: Unit, on: str, moment: Moment) -> tuple[str, Inputs] | None:
    if unit.plan_due != old.plan_due:
        return ("replace.withhold" if unit.kept else "replace.prepare"), (("why", unit.reason),)
    if unit.health is Health.UNHEALTHY and unit.ailing and unit.reason.startswith(unit.ailing):
        return "heal.withhold", _health_inputs(unit, moment.now)
    if on in {"HealthReported", "ContainerStarted"}:
        return None
    return ("relink.dry" if only_said(unit) else "relink.wait"), (("why", unit.reason),)


def _decided_while_down(old: Unit, unit: Unit, event: Event, moment: Moment) -> tuple[str, Inputs] | None:
    on = type(event).__name__
    if unit.phase is Phase.STARTING and on in DEATHS:  # Died before it was seen to run, and is started once more.
        return _decided(Transition(old, unit, on), event, moment)
    if unit.pending is Reason.OOM and old.pending is Reason.EXIT:
        return "restart.out-of-memory", (("exit_code", _told(unit.exit_code)),)
    return None


def _relink_rule(unit: Unit) -> str:
    ties = [via for via in unit.relinked_via if via in TIES]
    return f"relink.{ties[0].value}" if ties else "relink.depends_on"


def _ties(unit: Unit) -> str:
    """The edges that were stale, in words."""
    found = [edge for edge in unit.spec.dependencies if edge.via in unit.relinked_via]
    return ", ".join(f"{edge.via.value} of {edge.target}" for edge in found) or "unknown"


def _health_inputs(unit: Unit, now: Instant) -> Inputs:
    policy, restart = unit.spec.heal, unit.spec.restart
    return (
        ("check", unit.ailing),
        ("action", policy.action.value),
        ("helped", len(recent(unit.falls, policy.window, now))),
        ("flapping_at", policy.falls),
        ("window", policy.window),
        ("flapping", int(unit.flapping)),
        ("restarts", len(recent(unit.budget.restarts, restart.interval, now))),
        ("burst", restart.burst),
        ("interval", restart.interval),
    )


def _held(unit: Unit) -> str:
    """The units it is held for, as its reason says."""
    return unit.reason.removeprefix("waiting for ") if "(held: " in unit.reason else ""


def _hold(unit: Unit, held: str, moment: Moment, world: World) -> Decision:
    peers = [
        f"{edge.target} is {world.units[edge.target].phase.value}"
        for edge in world.links.leaders.get(unit.name, ())
        if f"{edge.target} (held: " in held
    ]
    inputs: Inputs = (("waits_for", ", ".join(peers) or held),)
    return Decision(unit.name, "hold.dependency", f"wait: {held}", inputs, moment.cause, planned(unit))


def _outcome(unit: Unit, rule: str) -> str:
    """What is done now, in words; a delay is taken from the reason."""
    if rule == "heal.signal":
        return f"send it {unit.spec.heal.signal}"
    if rule in {"heal.withhold", "relink.wait", "relink.dry", "replace.withhold", "replace.prepare"}:
        return unit.reason.removeprefix(f"{unit.ailing}; ") if unit.ailing else unit.reason
    if unit.phase is Phase.WAITING:
        return f"start it later: {unit.reason}"
    if unit.phase in {Phase.BACKOFF, Phase.IMAGE_MISSING, Phase.LOST}:
        return unit.reason.rpartition("; ")[2]
    if unit.phase is Phase.STOPPING and unit.again is not None:
        anew = unit.spec.heal.action is OnUnhealthy.RECREATE if unit.again is Reason.UNHEALTHY else bool(unit.outdated)
        return "stop it, then start it" + (" in a new container" if anew else " again")
    if unit.phase is Phase.FAILED and rule == "restart.refused":
        return f"leave it; {unit.reason.rpartition('; ')[2].partition(', or run')[0]}"
    return DONE[unit.phase].format(probe=duration(unit.spec.restart.probe))
