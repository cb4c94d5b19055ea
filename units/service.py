"""The table of a service: a unit that runs until it is stopped. Consoles and user Docker build on its rows."""

from typing import Any

from units import actions as do
from units import events as fact
from units import guards as given
from units.machine import Edge, Ignored, rows, table
from units.running import running, silence
from units.shared import IDLE, asked, provided
from units.unit import Kind, Phase

P = Phase
UP = (P.RUNNING, P.READY)
FOUND = (*IDLE, P.EXITED)
"""Phases in which a start is news: an adoption, or somebody started it behind our back."""

PHASES = (*IDLE, P.PULLING, P.CREATING, P.STARTING, *UP, P.DRAINING, P.STOPPING, P.EXITED)


def lasting(kind: Kind, begins: tuple[Phase, ...] = (*FOUND, P.STARTING)) -> tuple[Edge[Any], ...]:
    """The rows of whatever runs until it is stopped. ``begins``: where a start leads on as a service's does."""
    return (
        *asked(kind),
        *provided(kind),
        *rows(FOUND, fact.ContainerStarted, P.STOPPING, do.adopt_and_halt, given.going_down),
        *rows((P.WAITING,), fact.ContainerStarted, P.STOPPING, do.adopt_and_cycle, given.is_stale),
        *rows(begins, fact.ContainerStarted, P.RUNNING, do.run, given.checked),
        *rows(begins, fact.ContainerStarted, P.READY, do.run),
        *rows(UP, fact.HealthReported, P.STOPPING, do.heal, given.heals),
        *rows(UP, fact.PeerChanged, P.STOPPING, do.relink, given.unlinked),
        *rows((P.RUNNING,), fact.HealthReported, P.READY, do.become_ready, given.turned_healthy),
        *rows((P.READY,), fact.HealthReported, P.RUNNING, do.lose_ready, given.turned_unhealthy),
        *rows((*FOUND, P.PULLING, P.CREATING, P.STARTING, *UP), fact.HealthReported, None, do.note_health),
        *running(kind, UP),
    )


LATE = Ignored(UP, (fact.DeadlineDue,), "a timer of an earlier phase: the start was answered")
NO_CONTEXT = Ignored(PHASES, (fact.ContextLost,), "only user Docker runs in another unit's file system")

NO_PEERS = Ignored(
    tuple(phase for phase in PHASES if phase not in {*UP, P.WAITING, P.DRAINING}),
    (fact.PeerChanged,),
    "only who waits for a peer, or runs in its namespaces or file system, looks at it",
)
IGNORED = (*(entry for entry in silence(UP) if fact.PeerChanged not in entry.on), NO_PEERS)

TABLE = table("service", PHASES, lasting(Kind.SERVICE), (*IGNORED, LATE, NO_CONTEXT))
