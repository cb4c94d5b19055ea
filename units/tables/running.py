"""Rows that services and oneshots share: starting, dying, being stopped, going down with the host."""

from collections.abc import Iterable
from typing import Any

from units import actions as do
from units import events as fact
from units import guards as given
from units import healing, relinking
from units.events import UnitEvent
from units.machine import Action, Edge, Guard, Ignored, always, rows
from units.spec import Kind
from units.tables.shared import IDLE, both_hold, go, rests, then
from units.unit import Phase, Reason

P = Phase
FALLEN = (P.BACKOFF, P.CRASH_LOOP)
"""It has died, and will be started again."""


def died(
    kind: Kind, at: Iterable[Phase], on: type[UnitEvent], when: Guard[Any] = always, *, container: bool = True
) -> tuple[Edge[Any], ...]:
    """Rows after a death: the restart decision picks one."""
    at = tuple(at)
    on_: type[Any] = on
    well: tuple[Edge[Any], ...] = ()
    if kind is Kind.ONESHOT:
        # A oneshot that succeeded is done, whatever its restart policy says of exits.
        by_event = on is fact.ContainerDied
        ended = given.ended_well if by_event else given.exited_well
        if by_event or on is fact.VerdictDue:
            well = rows(at, on_, P.COMPLETED, do.finish, both_hold(when, ended))
    return (
        *well,
        *rows(at, on_, P.COMPLETED, do.finish, both_hold(when, given.rests)),
        *rows(at, on_, P.FAILED, do.finish, both_hold(when, given.gives_up)),
        *rows(at, on_, P.CRASH_LOOP, do.loop, both_hold(when, given.loops)),
        *rows(at, on_, P.BACKOFF, do.back_off, both_hold(when, given.backs_off)),
        *go(kind, at, on, do.after_death, when, container=container),
    )


def over(kind: Kind) -> tuple[Phase, Action[Any]]:
    """The way of a process that has ended, and is not wanted. What user Docker's may have left still runs."""
    return (P.CLEARING, do.end_and_clear) if kind is Kind.USER_DOCKER else (P.INACTIVE, do.end)


def ended(
    kind: Kind, at: Iterable[Phase], on: type[UnitEvent], when: Guard[Any] = always, *, container: bool = True
) -> tuple[Edge[Any], ...]:
    """Rows after a stop that was ordered here."""
    at = tuple(at)
    on_: type[Any] = on
    rest, end = over(kind)
    return (
        *rows(at, on_, rest, end, both_hold(when, given.unwanted)),
        *rows(at, on_, P.FAILED, do.fail, both_hold(when, given.failing)),
        *go(kind, at, on, do.after_stop, when, container=container),
    )


def running(kind: Kind, up: tuple[Phase, ...]) -> tuple[Edge[Any], ...]:
    """Rows of a unit with a process.

    Args:
        kind: The kind of unit.
        up: The phases in which its process runs and no stop was requested.
    """
    goes_on: Any = do.unpause_with_deadline if kind is Kind.ONESHOT else do.unpause
    alive = (*up, P.PAUSED)
    begun = (P.STARTING, *alive)
    beside = (*IDLE, P.PULLING, P.CREATING, P.STARTING, P.DRAINING, P.STOPPING, P.EXITED, P.PAUSED)
    stopping, draining, exited = (P.STOPPING,), (P.DRAINING,), (P.EXITED,)
    stays = both_hold(given.vetoed, given.serving)
    rest, end = over(kind)
    still, let_go = rests(kind)
    return (
        # ended by the engine itself
        *rows(begun, fact.ContainerKilled, None, do.note_clearing, given.of_the_engine),
        *go(kind, begun, fact.ContainerDied, do.after_clearing, given.cleared),
        # starting
        *died(kind, (P.STARTING,), fact.ContainerDied),
        *died(kind, (P.STARTING,), fact.ContainerDestroyed, container=False),
        *rows((P.STARTING, P.BACKOFF), fact.StartFailed, P.FAILED, do.probe_later, given.refused_for_good),
        *rows((P.STARTING,), fact.StartFailed, P.BACKOFF, do.heed, given.vetoed),
        *rows((P.STARTING,), fact.StartFailed, P.BACKOFF, do.try_engine_later, given.unreachable),
        *rows((P.STARTING,), fact.StartFailed, P.BACKOFF, do.await_room, given.exhausted),
        *rows((P.STARTING,), fact.StartFailed, P.CREATING, do.remake_held, given.held_again),
        *rows((P.STARTING,), fact.StartFailed, P.FAILED, do.ask_to_remake, given.held_for_good),
        *rows((P.STARTING,), fact.StartFailed, P.CRASH_LOOP, do.loop, given.loops),
        *rows((P.STARTING,), fact.StartFailed, P.CREATING, do.remake, given.joins_the_gone),
        *rows((P.STARTING,), fact.StartFailed, P.BACKOFF, do.doubt_and_back_off),
        *rows((P.STARTING,), fact.DeadlineDue, P.CRASH_LOOP, do.loop, given.loops),
        *rows((P.STARTING,), fact.DeadlineDue, P.BACKOFF, do.doubt_and_back_off),
        # paused by a person
        *rows(up, fact.ContainerPaused, P.PAUSED, do.pause),
        *(rows((P.PAUSED,), fact.ContainerUnpaused, P.READY, goes_on, given.sound) if P.READY in up else ()),
        *rows((P.PAUSED,), fact.ContainerUnpaused, P.RUNNING, goes_on),
        *rows((P.PAUSED,), fact.HealthReported, None, healing.note_health),
        # up
        *rows(alive, fact.ContainerDied, P.INACTIVE, do.bow, given.was_stopped),
        *rows(alive, fact.ContainerDied, P.EXITED, do.await_owner, given.perhaps_taken_along),
        *rows(alive, fact.ContainerDied, P.EXITED, do.await_verdict, given.maybe_stopped),
        *died(kind, alive, fact.ContainerDied),
        *died(kind, alive, fact.ContainerDestroyed, container=False),
        *rows(begun, fact.ContainerKilled, None, do.note_kill),
        *rows(begun, fact.ContainerStopped, None, do.note_stop),
        *rows((P.STARTING, *FALLEN), fact.ContainerOomed, None, do.blame_memory, given.died_for_no_reason),
        *rows(begun, fact.ContainerOomed, None, do.note_oom),
        *rows(up, fact.SpecChanged, None, do.prepare(Reason.CONFIG), given.changed_unprepared),
        *rows(up, fact.SpecChanged, P.STOPPING, do.cycle, given.is_stale),
        *rows(up, fact.SpecChanged, None, do.stand_down, given.change_is_over),
        *rows(up, fact.RestartAsked, None, do.prepare(Reason.MANUAL), given.renewed_unprepared),
        *rows(alive, fact.RestartAsked, P.STOPPING, do.cycle),
        *rows(begun, fact.ResetAsked, None, do.forgive),
        *rows(begun, fact.StopAsked, P.STOPPING, do.halt),
        # its successor is made while it runs
        *rows(up, fact.SuccessorMade, P.STOPPING, then(do.succeeded, do.cycle_for_successor), given.change_is_ready),
        *rows(up, fact.SuccessorMade, P.STOPPING, then(do.succeeded, do.heal_anew), given.heal_is_ready),
        *rows(up, fact.SuccessorMade, P.STOPPING, then(do.succeeded, do.relink), relinking.relink_is_ready),
        *rows(up, fact.SuccessorMade, None, do.drop_successor),
        *rows(up, fact.SuccessorFailed, None, do.pull_beside, given.pullable),
        *rows(up, fact.SuccessorFailed, None, do.run_on),
        *rows(up, fact.ImagePulled, None, do.prepare_pulled, given.planned),
        *rows(up, fact.PullFailed, None, do.run_on, given.planned),
        *rows(beside, fact.SuccessorMade, None, do.keep_successor),
        # dead, and perhaps stopped by a person
        *rows(exited, fact.ContainerStopped, P.INACTIVE, do.bow),
        *rows((P.BACKOFF, P.WAITING), fact.ContainerStopped, P.INACTIVE, do.bow, given.of_somebody),
        *go(kind, exited, fact.VerdictDue, do.after_owner, given.taken_along),
        *go(kind, (P.FAILED,), fact.PeerChanged, do.after_owner, given.taken_along_after_all),
        *died(kind, exited, fact.VerdictDue),
        *died(kind, exited, fact.ContainerDestroyed, container=False),
        *go(kind, exited, fact.StartAsked, do.after_wish),
        *go(kind, exited, fact.RestartAsked, do.after_wish_to_restart),
        *rows(exited, fact.StopAsked, still, let_go),
        *rows(exited, fact.DrainAsked, still, let_go),
        *rows(exited, fact.ResetAsked, None, do.forgive),
        # stopping
        *ended(kind, stopping, fact.ContainerDied),
        *ended(kind, stopping, fact.ContainerDestroyed, container=False),
        *rows(stopping, fact.SignalFailed, None, do.insist, both_hold(given.vetoed, given.going_down)),
        *(rows(stopping, fact.SignalFailed, P.READY, do.stay, stays) if P.READY in up else ()),
        *rows(stopping, fact.SignalFailed, P.RUNNING, do.stay, given.vetoed),
        *ended(kind, stopping, fact.SignalFailed, given.gone, container=False),
        *ended(kind, stopping, fact.SignalFailed, given.not_there),
        *rows(stopping, fact.SignalFailed, None, do.repeat_soon, given.unanswered),
        *rows(stopping, fact.SignalFailed, None, do.doubt_signal),
        *rows(stopping, fact.ContainerKilled, None, do.note_taken),
        *rows(stopping, fact.ContainerStopped, None, do.give_way, both_hold(given.wanted_now, given.of_somebody)),
        *rows(stopping, fact.StopRevoked, None, do.take_way, given.gave_way),
        *ended(kind, stopping, fact.StartFailed, given.gone, container=False),
        *ended(kind, stopping, fact.StartFailed, given.not_there),
        *rows(stopping, fact.StartFailed, None, do.doubt),
        *rows(stopping, fact.KillDue, None, do.kill_later, given.engine_down),
        *rows(stopping, fact.KillDue, None, do.repeat, given.untaken),
        *rows(stopping, fact.KillDue, P.FAILED, do.leave_unkillable, given.out_of_kills),
        *rows(stopping, fact.KillDue, None, do.kill),
        *rows(stopping, fact.StopAsked, None, do.unwant),
        *rows(stopping, fact.DrainAsked, None, do.unwant),
        *rows(stopping, fact.StartAsked, None, do.want_again),
        *rows(stopping, fact.RestartAsked, None, do.want_again),
        *rows(stopping, fact.ResetAsked, None, do.forgive),
        *go(kind, (P.INACTIVE,), fact.StopRevoked, do.after_revocation),
        *rows((P.FAILED,), fact.ContainerDied, rest, end, given.unwanted),
        *go(kind, (P.FAILED,), fact.ContainerDied, do.after_stop, given.outlived),
        *rows((P.FAILED,), fact.SignalFailed, rest, end, both_hold(given.unwanted, given.not_there)),
        # the host goes down
        *rows(begun, fact.DrainAsked, P.DRAINING, do.drain, given.followers_busy),
        *rows(begun, fact.DrainAsked, P.STOPPING, do.halt),
        *rows(draining, fact.PeerChanged, P.STOPPING, do.halt, given.followers_gone),
        *rows(draining, fact.PeerChanged, None, do.drain),
        *rows(draining, fact.StopAsked, P.STOPPING, do.halt),
        *rows(draining, fact.ContainerDied, rest, end),
        *rows(draining, fact.ContainerDestroyed, rest, end),
        *rows(draining, fact.StartFailed, rest, end, given.not_there),
        *rows(draining, fact.StartFailed, None, do.doubt),
        *rows((*begun, P.DRAINING, P.STOPPING), fact.HurryAsked, P.STOPPING, do.kill),
    )


def silence(up: tuple[Phase, ...]) -> tuple[Ignored, ...]:
    """The cells of services and oneshots that have no row."""
    alive = (*up, P.PAUSED)
    begun = (P.STARTING, *alive)
    going = (P.STOPPING, P.DRAINING)
    still = (*IDLE, P.PULLING, P.CREATING, P.EXITED)
    return (
        Ignored(
            (P.STARTING, *still, *going), (fact.ContainerPaused,), "only what runs is left alone when it is paused"
        ),
        Ignored((P.STARTING, *up, *still, *going), (fact.ContainerUnpaused,), "it was not paused, as far as is known"),
        Ignored((P.PAUSED,), (fact.ContainerPaused,), "reported twice, by stream and snapshot"),
        Ignored((P.PAUSED,), (fact.SpecChanged,), "left alone; it follows when it goes on: the next snapshot tells"),
        Ignored((P.PAUSED,), (fact.LookDue, fact.DeadlineDue), "a timer of an earlier phase"),
        Ignored((P.STARTING, *up, P.DRAINING), (fact.StartAsked,), "it runs, or is about to"),
        Ignored((P.PAUSED,), (fact.StartAsked,), "`docker unpause` lets it go on, `dockwarden restart` begins anew"),
        Ignored((P.STARTING,), (fact.RestartAsked,), "it is being started just now"),
        Ignored((P.DRAINING,), (fact.RestartAsked, fact.ResetAsked), "the host goes down"),
        Ignored((P.DRAINING,), (fact.DrainAsked,), "asked already"),
        Ignored(still, (fact.HurryAsked,), "nothing of it runs"),
        Ignored(
            tuple(phase for phase in (*begun, *still, P.DRAINING) if phase is not P.INACTIVE),
            (fact.StopRevoked,),
            "it is wanted anyway, or has gone on since",
        ),
        Ignored(
            (P.INACTIVE, P.PULLING, P.CREATING, P.STARTING, P.EXITED, *going),
            (fact.SpecChanged,),
            "the new definition is used at its next create",
        ),
        Ignored(
            (*begun, *going, P.EXITED),
            (fact.ContainerCreated,),
            "it has its container; another one is not ours to use",
        ),
        Ignored(alive, (fact.ContainerStarted,), "reported twice, by stream and snapshot"),
        Ignored(going, (fact.ContainerStarted,), "the requested stop follows"),
        Ignored(
            (P.PULLING, P.CREATING),
            (fact.ContainerStarted,),
            "it is about to be replaced, or the next snapshot tells",
        ),
        Ignored(
            (*still, P.DRAINING),
            (fact.ContainerKilled,),
            "a signal matters only to a running unit",
        ),
        Ignored(
            (
                P.INACTIVE,
                P.WAITING,
                P.CRASH_LOOP,
                P.IMAGE_MISSING,
                P.COMPLETED,
                P.PULLING,
                P.CREATING,
                P.EXITED,
                P.BACKOFF,
            ),
            (fact.ContainerDied,),
            "a late report: this death is known, or it was no run of ours",
        ),
        Ignored(
            (P.INACTIVE, P.CRASH_LOOP, P.IMAGE_MISSING, P.COMPLETED, P.FAILED, P.PULLING, P.CREATING, P.DRAINING),
            (fact.ContainerStopped,),
            "nothing of it runs, or its end was asked for anyway",
        ),
        Ignored(
            tuple(phase for phase in (*still, *going) if phase not in FALLEN),
            (fact.ContainerOomed,),
            "its death is known, or was asked for",
        ),
        Ignored(going, (fact.HealthReported,), "it is about to end"),
        Ignored(
            (P.STARTING, P.PAUSED, *IDLE, *going, P.EXITED, P.CREATING),
            (fact.ImagePulled, fact.PullFailed),
            "a pull that is no longer waited for",
        ),
        Ignored((P.STARTING, P.PAUSED, *still, *going), (fact.SuccessorFailed,), "it does not run, or is left alone"),
        Ignored(
            (*begun, *IDLE, *going, P.EXITED, P.PULLING),
            (fact.CreateFailed,),
            "a create that is no longer waited for",
        ),
        Ignored(
            (
                *alive,
                P.INACTIVE,
                P.WAITING,
                P.CRASH_LOOP,
                P.IMAGE_MISSING,
                P.COMPLETED,
                P.FAILED,
                P.PULLING,
                P.CREATING,
                P.EXITED,
            ),
            (fact.StartFailed,),
            "a start that is no longer waited for",
        ),
        Ignored(
            tuple(phase for phase in (*begun, *still, P.DRAINING) if phase is not P.FAILED),
            (fact.SignalFailed,),
            "a stop that is no longer waited for",
        ),
        Ignored(
            (*begun, *going, P.INACTIVE, P.WAITING, P.COMPLETED, P.PULLING, P.CREATING, P.EXITED),
            (fact.RetryDue,),
            "a timer of an earlier phase",
        ),
        Ignored((*begun, *still, P.DRAINING), (fact.KillDue,), "a timer of an earlier phase"),
        Ignored((*begun, *going, *IDLE, P.PULLING, P.CREATING), (fact.VerdictDue,), "a timer of an earlier phase"),
        Ignored((*going, *IDLE, P.PULLING, P.EXITED), (fact.DeadlineDue,), "a timer of an earlier phase"),
        Ignored((P.STARTING, *still, *going), (fact.LookDue,), "only a unit that runs is looked at"),
        Ignored(
            (*begun, P.STOPPING, P.INACTIVE, *FALLEN, P.IMAGE_MISSING, P.COMPLETED, P.PULLING, P.CREATING, P.EXITED),
            (fact.PeerChanged,),
            "only a unit that waits for a peer reacts to it",
        ),
    )
