"""The table of a service: a unit that runs until it is stopped. Consoles and user Docker build on its rows."""

from typing import Any

from units import actions as do
from units import events as fact
from units import guards as given
from units import healing, relinking
from units.machine import Edge, Ignored, rows, table
from units.spec import Kind, OnUnhealthy
from units.tables.running import running, silence
from units.tables.shared import IDLE, asked, both_hold, provided
from units.unit import Phase, Reason

P = Phase
UP = (P.RUNNING, P.READY)
FOUND = (*IDLE, P.EXITED)
"""Phases in which a start was not expected: an adoption, or a start through the engine."""

PHASES = (*IDLE, P.PULLING, P.CREATING, P.STARTING, *UP, P.PAUSED, P.DRAINING, P.STOPPING, P.EXITED)


def lasting(kind: Kind, begins: tuple[Phase, ...] = (*FOUND, P.STARTING)) -> tuple[Edge[Any], ...]:
    """The rows of units that run until they are stopped. ``begins``: the phases in which a start is taken as usual."""
    return (
        *asked(kind),
        *provided(kind),
        *rows(FOUND, fact.ContainerStarted, P.STOPPING, do.adopt_and_halt, given.going_down),
        *_outdated(kind),
        *rows(begins, fact.ContainerStarted, P.READY, do.resume, both_hold(given.same_run, given.sound)),
        *rows(begins, fact.ContainerStarted, P.RUNNING, do.resume, given.same_run),
        *rows(begins, fact.ContainerStarted, P.RUNNING, do.run, given.checked),
        *rows(begins, fact.ContainerStarted, P.READY, do.run),
        *linked(),
        *examined(),
        *running(kind, UP),
    )


def _outdated(kind: Kind) -> tuple[Edge[Any], ...]:
    """Rows for one that is found running, made from another definition."""
    at, on = (P.WAITING,), fact.ContainerStarted
    if kind is Kind.USER_DOCKER:  # A process: nothing has to be made before it stops.
        return rows(at, on, P.STOPPING, do.adopt_and_cycle, given.is_stale)
    return (
        *rows(at, on, P.RUNNING, do.run_outdated, both_hold(given.is_stale, given.checked)),
        *rows(at, on, P.READY, do.run_outdated, given.is_stale),
    )


def examined() -> tuple[Edge[Any], ...]:
    """Rows for health reports and the actions on them."""
    helps = (
        (OnUnhealthy.RESTART, P.STOPPING, do.heal),
        (OnUnhealthy.RECREATE, P.STOPPING, do.heal_anew),
        (OnUnhealthy.STOP, P.STOPPING, do.put_to_rest),
        (OnUnhealthy.SIGNAL, P.RUNNING, healing.send_signal),
    )
    asked = (fact.HealthReported, fact.LookDue)
    anew = both_hold(healing.acts(OnUnhealthy.RECREATE), given.unprepared)
    return (
        *(row for on in asked for row in rows(UP, on, P.RUNNING, do.prepare(Reason.UNHEALTHY), anew)),
        *(row for action, to, act in helps for on in asked for row in rows(UP, on, to, act, healing.acts(action))),
        *(row for on in asked for row in rows(UP, on, P.RUNNING, healing.hold_off, healing.withheld)),
        *rows((P.RUNNING,), fact.HealthReported, P.READY, healing.become_ready, healing.turned_healthy),
        *rows((P.READY,), fact.HealthReported, P.RUNNING, healing.lose_ready, healing.turned_unready),
        *rows((*FOUND, P.PULLING, P.CREATING, P.STARTING, *UP), fact.HealthReported, None, healing.note_health),
        *rows(UP, fact.LookDue, None, healing.calm_down, healing.calm),
    )


def linked() -> tuple[Edge[Any], ...]:
    """Rows that re-link a unit with a stale reference."""
    asked = (fact.PeerChanged, fact.LookDue)
    return (
        *(row for on in asked for row in rows(UP, on, None, relinking.settle, relinking.unlinked_too_soon)),
        *(row for on in asked for row in rows(UP, on, None, do.prepare(Reason.RELINK), relinking.anew_unprepared)),
        *(row for on in asked for row in rows(UP, on, P.STOPPING, do.relink, relinking.unlinked)),
        *rows(UP, fact.PeerChanged, None, do.prepare(Reason.CONFIG), given.changed_unprepared),
    )


LATE = Ignored(UP, (fact.DeadlineDue,), "a timer of an earlier phase: the start was answered")
NO_CONTEXT = Ignored(
    PHASES, fact.OF_USER_DOCKER, "only user Docker runs in another unit's file system, and outlives its own process"
)

NO_PEERS = Ignored(
    tuple(phase for phase in PHASES if phase not in {*UP, P.WAITING, P.DRAINING, P.FAILED}),
    (fact.PeerChanged,),
    "only a unit that waits for a peer, or shares its namespaces or file system, reacts to it",
)
IGNORED = (*(entry for entry in silence(UP) if fact.PeerChanged not in entry.on), NO_PEERS)

TABLE = table("service", PHASES, lasting(Kind.SERVICE), (*IGNORED, LATE, NO_CONTEXT))
