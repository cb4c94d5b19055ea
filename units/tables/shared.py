"""Rows that all kinds of units share: getting a container, waiting, being asked, and failing at it."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from units import actions as do
from units import events as fact
from units import guards as given
from units.events import UnitEvent
from units.machine import Action, Edge, Guard, Moved, View, always, rows
from units.spec import Kind
from units.unit import Phase, Unit

P = Phase

RETRYING = (P.BACKOFF, P.CRASH_LOOP, P.IMAGE_MISSING, P.FAILED)
IDLE = (P.INACTIVE, P.WAITING, *RETRYING, P.COMPLETED)
"""Nothing of it runs and no order is out."""

Prepare = Callable[[Unit, Any, View], Unit]


@functools.cache
def then(prepare: Prepare, act: Callable[[Unit, Any, View], Moved]) -> Callable[[Unit, Any, View], Moved]:
    """First change the unit, then take the step; named after both, for the diagrams."""

    def both(unit: Unit, event: Any, view: View) -> Moved:
        return act(prepare(unit, event, view), event, view)

    both.__name__ = f"{prepare.__name__}, {act.__name__}"
    return both


@functools.cache
def both_hold(first: Guard[Any], second: Guard[Any]) -> Guard[Any]:
    """A guard made of two, named after both."""
    if first is always:
        return second
    if second is always:
        return first

    def hold(unit: Unit, event: Any, view: View) -> bool:
        return first(unit, event, view) and second(unit, event, view)

    hold.__name__ = f"{first.__name__} and {second.__name__}"
    return hold


def begins(kind: Kind) -> tuple[Phase, Action[Any]]:
    """The way into a run. User Docker's leads past what its last run may have left."""
    return (P.CLEARING, do.clear) if kind is Kind.USER_DOCKER else (P.STARTING, do.start)


def rests(kind: Kind) -> tuple[Phase, Action[Any]]:
    """The way of a unit without a process to ``inactive``. What user Docker's last run may have left still runs."""
    return (P.CLEARING, do.clear_away) if kind is Kind.USER_DOCKER else (P.INACTIVE, do.retire)


def go(
    kind: Kind,
    at: Iterable[Phase],
    on: type[UnitEvent],
    prepare: Prepare,
    when: Guard[Any] = always,
    *,
    container: bool = True,
) -> tuple[Edge[Any], ...]:
    """Rows towards running: wait, or create a container, or start the one there is.

    ``container=False``: the event itself took the container away.
    """
    at = tuple(at)
    on_: type[Any] = on
    waits = rows(at, on_, P.WAITING, then(prepare, do.wait), both_hold(when, given.must_wait))
    if not container:
        return (*waits, *rows(at, on_, P.CREATING, then(prepare, do.create), when))
    makes = rows(at, on_, P.CREATING, then(prepare, do.create), both_hold(when, given.needs_container))
    if kind is Kind.VOLUME:
        return (*waits, *makes, *rows(at, on_, P.COMPLETED, then(prepare, do.hold_volumes), when))
    first, act = begins(kind)
    return (*waits, *makes, *rows(at, on_, first, then(prepare, act), when))


def asked(kind: Kind) -> tuple[Edge[Any], ...]:
    """Rows for requests to a unit without a process: by a person, the configuration or a shutdown."""
    restartable = (P.INACTIVE, *RETRYING) if kind is Kind.VOLUME else (P.INACTIVE, *RETRYING, P.COMPLETED)
    quiet = (*IDLE, P.PULLING)
    rest, let_go = rests(kind)
    return (
        *go(kind, restartable, fact.StartAsked, do.after_wish),
        *rows((P.WAITING, P.PULLING, P.CREATING), fact.StartAsked, None, do.want),
        *go(kind, restartable, fact.RestartAsked, do.after_wish_to_restart),
        *rows((P.WAITING, P.PULLING, P.CREATING), fact.RestartAsked, None, do.want),
        *rows(quiet, fact.StopAsked, rest, let_go),
        *rows((P.CREATING,), fact.StopAsked, None, do.unwant),
        *rows(quiet, fact.DrainAsked, rest, let_go),
        *rows((P.CREATING,), fact.DrainAsked, None, do.unwant),
        *go(kind, RETRYING, fact.ResetAsked, do.after_pardon, given.wanted_now),
        *rows((*IDLE, P.PULLING, P.CREATING), fact.ResetAsked, None, do.forgive),
        *go(kind, (P.WAITING, *RETRYING), fact.SpecChanged, do.after_pardon, given.wanted_now),
        *go(kind, (P.COMPLETED,), fact.SpecChanged, do.after_pardon, given.is_stale),
    )


def provided(kind: Kind) -> tuple[Edge[Any], ...]:
    """Rows up to a container: waiting, pulling, creating, and each way that can fail."""
    made = do.adopt_and_complete if kind is Kind.VOLUME else do.adopt_and_start
    made_phase = P.COMPLETED if kind is Kind.VOLUME else P.STARTING
    rest, let_go = rests(kind)
    unmade = do.adopt_and_retire
    if kind is Kind.USER_DOCKER:
        made, made_phase, unmade = do.adopt_and_clear, P.CLEARING, do.adopt_and_clear_away
    creating = (P.CREATING,)
    lasting = tuple(phase for phase in IDLE if (kind, phase) != (Kind.VOLUME, P.COMPLETED))
    return (
        *go(kind, (P.WAITING,), fact.PeerChanged, do.after_pause),
        *go(kind, RETRYING, fact.RetryDue, do.after_pause),
        *rows(creating, fact.ContainerCreated, rest, unmade, given.unwanted),
        *rows(creating, fact.ContainerCreated, made_phase, made),
        *rows((*IDLE, P.PULLING), fact.ContainerCreated, None, do.adopt_id, given.has_no_container),
        *rows((*lasting, P.PULLING, P.CREATING), fact.ContainerDestroyed, None, do.forget_container),
        *rows(creating, fact.CreateFailed, rest, let_go, given.unwanted),
        *rows(creating, fact.CreateFailed, P.PULLING, do.pull, given.pullable),
        *rows(creating, fact.CreateFailed, P.IMAGE_MISSING, do.miss_image, given.image_missing),
        *rows(creating, fact.CreateFailed, P.BACKOFF, do.heed, given.vetoed),
        *rows(creating, fact.CreateFailed, P.FAILED, do.probe_later, given.refused_for_good),
        *rows(creating, fact.CreateFailed, P.BACKOFF, do.try_engine_later, given.unreachable),
        *rows(creating, fact.CreateFailed, P.BACKOFF, do.await_room, given.exhausted),
        *rows(creating, fact.CreateFailed, P.CRASH_LOOP, do.loop, given.loops),
        *rows(creating, fact.CreateFailed, P.BACKOFF, do.doubt_and_back_off),
        *rows(creating, fact.DeadlineDue, rest, let_go, given.unwanted),
        *rows(creating, fact.DeadlineDue, P.CRASH_LOOP, do.loop, given.loops),
        *rows(creating, fact.DeadlineDue, P.BACKOFF, do.doubt_and_back_off),
        *rows((P.PULLING,), fact.ImagePulled, P.CREATING, do.remember_pull),
        *rows((P.PULLING,), fact.PullFailed, P.BACKOFF, do.try_engine_later, given.unreachable),
        *rows((P.PULLING,), fact.PullFailed, P.IMAGE_MISSING, do.miss_image),
    )
