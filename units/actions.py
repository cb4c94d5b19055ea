"""Actions: the steps that rows are made of. Each changes one unit and gives orders; none decides whether."""

from collections.abc import Mapping
from typing import Any

from units import events as fact
from units.commands import (
    CreateContainer,
    PullImage,
    SignalContainer,
    StartContainer,
    TakeSnapshot,
    Timer,
)
from units.deaths import NEVER_RAN, death, describe_exit, pending_reason, verdict
from units.guards import KILLS, busy_followers, lacking
from units.healing import helped, unexamined
from units.health import Health
from units.machine import Step, View, arm
from units.quantities import NEVER, Instant, Seconds
from units.records import replace
from units.relinking import Cure, cure_of, relinked, worn
from units.restart import After, CrashLoop, recent, spread
from units.spec import Kind, Place, Via
from units.unit import Budget, Failure, Phase, Reason, Stamp, StoppedBy, Unit

VERDICT_GRACE = Seconds(1)
"""``stop`` follows ``die`` within milliseconds on 20.10; 26.1 sends it first."""


ANSWER_DEADLINE = Seconds(45)
"""Longer than the engine port's own deadline for a create or a start; after it the fact was lost, not late."""


UNREACHABLE_DELAY = Seconds(1)


IMAGE_DELAY, IMAGE_MAX_DELAY = Seconds(5), Seconds(300)


VETO_DELAY, VETO_MAX_DELAY = Seconds(5), Seconds(60)
VETO_LOOK = Seconds(30)
"""After a vetoed stop, until it is looked at again whether it is still to be stopped."""


ENDING_SIGNALS = frozenset({2, 3, 6, 15, 30, 37})
"""INT, QUIT, ABRT, TERM, PWR and RTMIN+3: what images declare as their stop signal. SIGKILL is a kill, not a stop."""


ORDER_FAILED = (fact.StartFailed, fact.SignalFailed)


def dead(unit: Unit, event: Any, **changes: Any) -> Unit:
    """What every death leaves behind, and ``changes``."""
    left: dict[str, Any] = {
        "started_at": NEVER,
        "by_hand": unit.kill_seen,
        "kill_seen": False,
        "stop_seen": False,
        "kills": 0,
    }
    if isinstance(event, fact.ContainerDied):
        left |= {"exit_code": event.exit_code, "oom": unit.oom or event.oom}
    elif isinstance(event, fact.ContainerDestroyed) or (
        isinstance(event, ORDER_FAILED) and event.failure is Failure.NOT_FOUND
    ):
        left |= {"container": None, **UNKNOWN}
    return replace(unit, **(left | changes))


def mourn(unit: Unit, event: Any, view: View) -> Unit:
    """A death that is to be followed by another run. A start that failed is no death: what died before it did."""
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
    )


def finish(unit: Unit, event: Any, view: View) -> Step:
    judged = verdict(unit, event, view)
    return Step(dead(unit, event, budget=judged.budget, reason=judged.reason, pending=None))


def back_off(unit: Unit, event: Any, view: View) -> Step:
    judged = verdict(unit, event, view)
    assert isinstance(judged, After)
    reason = f"{judged.reason}; again in {judged.delay:.3g} s"
    return arm(replace(mourn(unit, event, view), reason=reason), Timer.RETRY, judged.delay)


def loop(unit: Unit, event: Any, view: View) -> Step:
    judged = verdict(unit, event, view)
    assert isinstance(judged, CrashLoop)
    reason = f"{judged.reason}; tried again every {judged.probe:g} s, or after 'reset-failed'"
    return arm(replace(mourn(unit, event, view), reason=reason), Timer.RETRY, judged.probe)


def probe_later(unit: Unit, event: Any, _view: View) -> Step:
    """The engine will refuse this start again; somebody has to change something first."""
    delay = unit.spec.restart.probe
    reason = f"{event.message}; tried again every {delay:g} s, or after 'reset-failed'"
    return arm(dead(unit, event, reason=reason, pending=Reason.START_FAILED), Timer.RETRY, delay)


def try_engine_later(unit: Unit, event: Any, view: View) -> Step:
    """The engine's outage is no fault of the unit's: its budget is left alone."""
    delay = spread(UNREACHABLE_DELAY, unit.spec.restart.jitter, view.moment.jitter)
    return arm(replace(unit, reason=f"{event.message}; again in {delay:.3g} s"), Timer.RETRY, delay)


def miss_image(unit: Unit, event: Any, view: View) -> Step:
    base = min(IMAGE_MAX_DELAY, IMAGE_DELAY * 2 ** min(unit.misses, 10))
    delay = spread(base, unit.spec.restart.jitter, view.moment.jitter)
    reason = f"{event.message}; again in {delay:.3g} s"
    return arm(replace(unit, reason=reason, misses=unit.misses + 1, pulled=False), Timer.RETRY, delay)


def heed(unit: Unit, event: Any, view: View) -> Step:
    """A hook said no to its start. That is no fault of the unit's: what the start was charged is given back."""
    base = min(VETO_MAX_DELAY, VETO_DELAY * 2 ** min(unit.misses, 10))
    delay = spread(base, unit.spec.restart.jitter, view.moment.jitter)
    budget = unit.budget
    if unit.phase is Phase.STARTING and unit.pending not in FREE:
        budget = replace(budget, restarts=budget.restarts[:-1])
    reason = f"{event.message}; asked again in {delay:.3g} s"
    return arm(replace(unit, reason=reason, misses=unit.misses + 1, budget=budget), Timer.RETRY, delay)


def stay(unit: Unit, event: Any, _view: View) -> Step:
    """A hook said no to its stop: it runs on. What still wants the stop asks for it again."""
    kept = replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, again=None, failing="", grace=None)
    timer = Timer.DEADLINE if unit.spec.kind is Kind.ONESHOT and unit.spec.deadline > 0 else Timer.LOOK
    return arm(replace(kept, reason=f"runs on: {event.message}"), timer, VETO_LOOK)


def insist(unit: Unit, _event: Any, _view: View) -> Step:
    """The host goes down meanwhile, and nobody's no holds that up."""
    return _stop_orders(unit, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def remember_pull(unit: Unit, event: Any, view: View) -> Step:
    return create(replace(unit, pulled=True), event, view)


def pull(unit: Unit, _event: Any, _view: View) -> Step:
    image = unit.spec.image
    return Step(replace(unit, reason=f"pulling {image}"), (PullImage(unit.name, image),))


def wait(unit: Unit, _event: Any, view: View) -> Step:
    return Step(replace(unit, reason="waiting for " + ", ".join(lacking(unit, view))))


def create(unit: Unit, _event: Any, view: View) -> Step:
    if unit.container is None:
        reason = "it has no container yet"
    elif unit.renew:
        reason = "made anew as asked"
    elif unit.outdated:
        reason = unit.outdated
    elif unit.config_hash != unit.spec.config_hash:
        reason = "its definition changed"
    else:
        reason = worn(unit, view) or "made anew at each boot"
    order = CreateContainer(unit.name, unit.spec, unit.container, keep=unit.renew)
    return arm(replace(unit, reason=reason), Timer.DEADLINE, ANSWER_DEADLINE, (order,))


def remake(unit: Unit, event: Any, view: View) -> Step:
    """Make its container anew, so that it joins the one that lives now."""
    step = create(mourn(unit, event, view), event, view)
    return Step(replace(step.unit, reason="the container it joined is gone"), step.commands)


FREE = frozenset({None, Reason.MANUAL, Reason.CONFIG, Reason.EXTERNAL, Reason.CONTEXT, Reason.RELINK})
"""Starts that are no fault of the unit's, and cost it nothing."""


def start(unit: Unit, _event: Any, view: View) -> Step:
    """Order the start; every one that follows a death is charged to the budget, also if it fails."""
    unit = unstarted(unit, view)
    assert unit.container is not None
    place = _place(unit, view)
    order = StartContainer(unit.name, unit.container, place)
    return arm(unit, Timer.DEADLINE, ANSWER_DEADLINE, (order,), place=place)


def unstarted(unit: Unit, view: View) -> Unit:
    """Just before its start, which is charged to its budget where it is a fault of its own."""
    budget = unit.budget
    if unit.pending not in FREE:
        policy = unit.spec.restart
        window = (*recent(budget.restarts, policy.interval, view.now), view.now)
        # More than the limit need not be remembered, and without one nothing need be.
        budget = replace(budget, restarts=window[-policy.burst :] if policy.burst else ())
    return replace(unit, budget=budget, fresh=False, kill_seen=False, stop_seen=False)


def _place(unit: Unit, view: View) -> Place | None:
    context = view.units[unit.spec.context] if unit.spec.context else None
    if context is None or context.container is None:
        return None
    return Place(context.name, context.container, unit.spec.engine)


UNKNOWN: Mapping[str, Any] = {"health": Health.NONE, "reports": {}, "look": None}
"""What is known of another container counts for nothing."""


def adopt_id(unit: Unit, event: fact.ContainerCreated, _view: View) -> Step:
    made = replace(unit, container=event.container, config_hash=event.config_hash, **UNKNOWN)
    return Step(replace(made, pulled=False, renew=False, outdated=""))


def adopt_and_start(unit: Unit, event: fact.ContainerCreated, view: View) -> Step:
    made = replace(adopt_id(unit, event, view).unit, misses=0, reason=_start_reason(unit))
    return start(made, event, view)


def adopt_and_complete(unit: Unit, event: fact.ContainerCreated, view: View) -> Step:
    made = adopt_id(unit, event, view).unit
    return Step(replace(made, misses=0, fresh=False, pending=None, budget=Budget(), reason="holds its volumes"))


def adopt_and_retire(unit: Unit, event: fact.ContainerCreated, view: View) -> Step:
    return Step(_retired(adopt_id(unit, event, view).unit))


def hold_volumes(unit: Unit, _event: Any, _view: View) -> Step:
    return Step(replace(unit, fresh=False, pending=None, reason="holds its volumes"))


def _start_reason(unit: Unit) -> str:
    return f"after: {unit.death}" if unit.pending is not None and unit.death else "a new container"


def run(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    """The container runs. Whether that is enough is the row's business."""
    told = {
        None: "started" if unit.phase is Phase.STARTING else "found running",
        Reason.MANUAL: "restarted as asked",
        Reason.CONFIG: "made anew for its changed definition",
        Reason.CONTEXT: "followed its storage context",
        Reason.RELINK: "joined again what was started anew",
    }
    outside = unit.phase in {Phase.INACTIVE, Phase.EXITED} and not (event.found and unit.fresh)
    unit = unexamined(unit)
    reason = "started from outside" if outside else told.get(unit.pending, f"restarted after: {unit.death}")
    return Step(
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
            misses=0,
            oom=False,
            kill_seen=False,
            stop_seen=False,
        )
    )


def run_with_deadline(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    step = run(unit, event, view)
    if unit.spec.deadline <= 0:
        return step
    return arm(step.unit, Timer.DEADLINE, unit.spec.deadline)


def note_kill(unit: Unit, event: fact.ContainerKilled, _view: View) -> Step:
    return Step(replace(unit, kill_seen=unit.kill_seen or event.signal in ENDING_SIGNALS))


def note_stop(unit: Unit, _event: Any, _view: View) -> Step:
    """Without a stop signal in this run, it is the late end of a stop of the run before."""
    return Step(replace(unit, stop_seen=unit.kill_seen))


def note_oom(unit: Unit, _event: Any, _view: View) -> Step:
    return Step(replace(unit, oom=True))


def blame_memory(unit: Unit, _event: Any, _view: View) -> Step:
    """An engine may tell of a death first, and then why."""
    known = describe_exit(unit.exit_code, oom=True)
    reason = unit.reason.replace(unit.death, known) if unit.death else unit.reason
    return Step(replace(unit, pending=Reason.OOM, death=known, reason=reason))


def forget_container(unit: Unit, _event: Any, _view: View) -> Step:
    return Step(replace(unit, container=None, **UNKNOWN))


def await_verdict(unit: Unit, event: fact.ContainerDied, _view: View) -> Step:
    """A stop signal came from outside before this death: was it ``docker stop``, or only ``docker kill``?"""
    started_at = unit.started_at
    reason = f"{describe_exit(event.exit_code)} after a stop signal from outside; was it a stop?"
    return arm(dead(unit, event, reason=reason, started_at=started_at), Timer.VERDICT, VERDICT_GRACE)


def _retired(unit: Unit) -> Unit:
    by = unit.stopped_by
    reason = {
        StoppedBy.PERSON: "stopped as asked",
        StoppedBy.OUTSIDE: "stopped from outside (docker stop)",
        StoppedBy.SHUTDOWN: "the host goes down",
        StoppedBy.CONFIG: "no longer in the configuration",
        StoppedBy.SWITCH: "stopped for a switch",
        StoppedBy.HEALTH: f"stopped for its health ({unit.ailing}); start it when it is mended",
        StoppedBy.NOBODY: "not wanted",
    }[by]
    return replace(unit, wanted=False, pending=None, again=None, failing="", reason=reason, grace=None)


def bow(unit: Unit, event: Any, _view: View) -> Step:
    """A person stopped it behind our back, and that is respected."""
    return Step(_retired(dead(unit, event, stopped_by=StoppedBy.OUTSIDE)))


def retire(unit: Unit, event: Any, _view: View) -> Step:
    """Nothing of it runs: it is inactive from now on."""
    return Step(_retired(unwant(unit, event, _view).unit))


def unwant(unit: Unit, event: Any, _view: View) -> Step:
    match event:
        case fact.StopAsked(by=by):
            stopped_by = by
        case fact.DrainAsked() | fact.HurryAsked():
            # A person's stop outlives the shutdown that comes after it.
            stopped_by = StoppedBy.SHUTDOWN if unit.stopped_by is StoppedBy.NOBODY else unit.stopped_by
        case _:
            stopped_by = unit.stopped_by
    return Step(replace(unit, wanted=False, stopped_by=stopped_by, again=None, pending=None))


def end(unit: Unit, event: Any, _view: View) -> Step:
    """Its process is gone, and it is not wanted."""
    return Step(_retired(dead(unit, event)))


def fail(unit: Unit, event: Any, _view: View) -> Step:
    return Step(dead(unit, event, reason=unit.failing, failing="", pending=None))


def want(unit: Unit, _event: Any, _view: View) -> Step:
    """A person wants it: what it did before is forgiven."""
    return Step(_wished(unit))


def _wished(unit: Unit) -> Unit:
    return replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, budget=Budget(), pending=None, failing="", misses=0)


def want_again(unit: Unit, _event: Any, _view: View) -> Step:
    return Step(replace(_wished(unit), again=Reason.MANUAL))


def forgive(unit: Unit, _event: Any, _view: View) -> Step:
    return Step(replace(unit, budget=Budget(), misses=0))


def _stop_orders(unit: Unit, timeout: Seconds) -> Step:
    assert unit.container is not None
    order = SignalContainer(unit.name, unit.container, unit.spec.stop.signal)
    return arm(replace(unit, kills=0), Timer.KILL, timeout, (order,))


def halt(unit: Unit, event: Any, view: View) -> Step:
    """Stop it for good."""
    unit = unwant(unit, event, view).unit
    asked = "stopping for a switch" if unit.stopped_by is StoppedBy.SWITCH else "stopping as asked"
    unit = replace(unit, reason=asked)
    if isinstance(event, fact.DrainAsked):
        unit = replace(unit, grace=event.timeout)
    if unit.grace is not None:
        unit = replace(unit, reason="the host goes down")
    return _stop_orders(unit, unit.spec.stop.timeout if unit.grace is None else unit.grace)


def drain(unit: Unit, event: Any, view: View) -> Step:
    """Wait for those that depend on it to end first."""
    if isinstance(event, fact.DrainAsked):
        unit = replace(unwant(unit, event, view).unit, grace=event.timeout)
    return Step(replace(unit, reason="the host goes down; first: " + ", ".join(busy_followers(unit, view))))


def cycle(unit: Unit, event: Any, _view: View) -> Step:
    """Stop it, and start it again."""
    again = Reason.CONFIG if isinstance(event, fact.SpecChanged | fact.ContainerStarted) else Reason.MANUAL
    reason = "its definition changed" if again is Reason.CONFIG else "restarting as asked"
    unit = replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, again=again, reason=reason)
    if again is Reason.MANUAL:
        unit = replace(unit, budget=Budget())
    return _stop_orders(unit, unit.spec.stop.timeout)


def follow(unit: Unit, event: Any, _view: View) -> Step:
    """Its storage context went, or is another one now: end in the old one, and begin in the new one."""
    why = event.why if isinstance(event, fact.ContextLost) else f"its storage context {unit.spec.context} has changed"
    return _stop_orders(replace(unit, again=Reason.CONTEXT, reason=why), unit.spec.stop.timeout)


def relink(unit: Unit, _event: Any, view: View) -> Step:
    """It holds on to what is over: only another start, or another container, joins what lives now."""
    new = cure_of(unit, view) is Cure.RECREATE
    unit = relinked(unit, view)
    return _stop_orders(replace(unit, again=Reason.RELINK, outdated=unit.reason if new else ""), unit.spec.stop.timeout)


def heal(unit: Unit, event: Any, view: View) -> Step:
    unit = helped(unit, event, view)
    again = replace(unit, again=Reason.UNHEALTHY, reason=f"{unit.ailing}; restarting")
    return _stop_orders(again, unit.spec.stop.timeout)


def heal_anew(unit: Unit, event: Any, view: View) -> Step:
    unit = helped(unit, event, view)
    why = f"{unit.ailing}; in a new container"
    return _stop_orders(replace(unit, again=Reason.UNHEALTHY, outdated=why, reason=why), unit.spec.stop.timeout)


def put_to_rest(unit: Unit, event: Any, view: View) -> Step:
    """Its definition wants a sick unit stopped."""
    unit = helped(unit, event, view)
    unit = replace(unit, wanted=False, stopped_by=StoppedBy.HEALTH, again=None, pending=None)
    return _stop_orders(replace(unit, reason=f"{unit.ailing}; stopping it"), unit.spec.stop.timeout)


def adopt_and_follow(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    """It was ready to go when its context went."""
    return follow(run(unit, event, view).unit, event, view)


def give_up_waiting(unit: Unit, _event: Any, _view: View) -> Step:
    """It runs and does not serve: end it, and begin again."""
    told = f"did not serve within {unit.spec.deadline:g} s"
    return _stop_orders(replace(unit, again=Reason.START_FAILED, death=told, reason=told), unit.spec.stop.timeout)


def adopt_and_halt(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    """Somebody starts a unit while the host goes down."""
    by = unit.stopped_by
    unit = replace(run(unit, event, view).unit, wanted=False, stopped_by=by, reason="the host goes down")
    return _stop_orders(unit, unit.spec.stop.timeout)


def adopt_and_cycle(unit: Unit, event: fact.ContainerStarted, view: View) -> Step:
    return cycle(run(unit, event, view).unit, event, view)


def time_out(unit: Unit, _event: Any, _view: View) -> Step:
    """A oneshot overran its deadline."""
    told = f"ran for longer than its deadline of {unit.spec.deadline:g} s"
    return _stop_orders(replace(unit, failing=told, reason=told), unit.spec.stop.timeout)


def kill(unit: Unit, event: Any, _view: View) -> Step:
    """The stop signal has had its time, or there is no time left."""
    if isinstance(event, fact.HurryAsked):
        unit = unwant(unit, event, _view).unit
        unit = replace(unit, kills=0)
    assert unit.container is not None
    order = SignalContainer(unit.name, unit.container, "SIGKILL")
    pause = Seconds(2.0 ** (unit.kills + 1))
    kills = unit.kills + 1
    reason = f"{unit.reason.split('; SIGKILL')[0]}; SIGKILL {kills} of {KILLS}"
    return arm(replace(unit, kills=kills, reason=reason), Timer.KILL, pause, (order,))


def kill_later(unit: Unit, _event: Any, _view: View) -> Step:
    """No engine to send a signal through: the count stands still."""
    return arm(unit, Timer.KILL, UNREACHABLE_DELAY)


def leave_unkillable(unit: Unit, _event: Any, _view: View) -> Step:
    reason = f"it survived {KILLS} SIGKILLs: its process hangs in the kernel (look at its state and its storage)"
    return Step(replace(unit, reason=reason, failing="", again=None))


def doubt(unit: Unit, event: Any, _view: View) -> Step:
    """What the engine answers does not fit what we know: look."""
    return Step(unit, (TakeSnapshot(f"{unit.name}: {event.message}"),))


def doubt_and_back_off(unit: Unit, event: Any, view: View) -> Step:
    step = back_off(unit, event, view)
    return Step(step.unit, (*step.commands, TakeSnapshot(f"{unit.name}: {death(unit, event, view).what}")))


OWNER_GRACE = Seconds(0.25)
"""The kernel ends a pid namespace from its members to its owner: the owner's death comes milliseconds later."""


def await_owner(unit: Unit, event: fact.ContainerDied, _view: View) -> Step:
    reason = f"{describe_exit(event.exit_code)}; was it for the end of the pid namespace it lives in?"
    return arm(dead(unit, event, reason=reason, started_at=unit.started_at), Timer.VERDICT, OWNER_GRACE)


def after_owner(unit: Unit, event: Any, view: View) -> Unit:
    """It went with the run of another one, and comes back with the next: no fault of its own."""
    owner = next(view.units[edge.target] for edge in view.links.leaders[unit.name] if edge.via is Via.PID)
    reason = f"it went with the pid namespace of {owner.name}, in which it lives"
    return dead(unit, event, pending=Reason.RELINK, reason=reason, wave=owner.cause)


def after_death(unit: Unit, event: Any, view: View) -> Unit:
    return mourn(unit, event, view)


def after_stop(unit: Unit, event: Any, _view: View) -> Unit:
    return dead(unit, event, pending=unit.again, again=None)


def after_wish(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(_wished(unit), reason="asked to start")


def after_wish_to_restart(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(_wished(unit), reason="asked to restart", pending=None if unit.fresh else Reason.MANUAL)


def after_revocation(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(unit, wanted=True, stopped_by=StoppedBy.NOBODY, reason="the engine stopped it")


def after_pause(unit: Unit, _event: Any, _view: View) -> Unit:
    waited = unit.phase is Phase.WAITING
    return replace(
        unit, reason="all it waited for is there" if waited else f"tried again after: {unit.death or unit.reason}"
    )


def after_pardon(unit: Unit, event: Any, view: View) -> Unit:
    return forgive(unit, event, view).unit


def after_loss(unit: Unit, _event: Any, _view: View) -> Unit:
    return replace(unit, container=None, pending=Reason.DESTROYED, reason=describe_exit(None))
