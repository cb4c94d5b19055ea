"""User Docker: the user's own engine, a process in the mount namespace of its storage context.

It uses the rows of a service; its "container" is a constant, because there is only one. In addition it follows its
storage context. ``ready`` means that it serves: it answers, and its data root is on a real mount.

A dockerd that is killed leaves its containers running, which nobody then owns: a next one would stop them, and thereby
mark them as stopped by a person. So ``clearing`` stands before each start, and at the end: what is left is ended first.
"""

from typing import Any

from units import actions as do
from units import events as fact
from units import guards as given
from units.machine import Edge, Ignored, rows, table
from units.spec import Kind
from units.tables.service import FOUND, PHASES, UP, lasting
from units.tables.service import IGNORED as SERVICE_IGNORED
from units.unit import Phase

P = Phase
CLEARING = (P.CLEARING,)

CLEAR: tuple[Edge[Any], ...] = (
    *rows(CLEARING, fact.LeftCleared, P.INACTIVE, do.retire, given.unwanted),
    *rows(CLEARING, fact.LeftCleared, P.WAITING, do.wait, given.must_wait),
    *rows(CLEARING, fact.LeftCleared, P.CREATING, do.create, given.needs_container),
    *rows(CLEARING, fact.LeftCleared, P.STARTING, do.start),
    *(
        row
        for failed in (fact.ClearFailed, fact.DeadlineDue)
        for row in (
            *rows(CLEARING, failed, P.FAILED, do.leave_left, given.unwanted),
            *rows(CLEARING, failed, P.CRASH_LOOP, do.loop, given.loops),
            *rows(CLEARING, failed, P.BACKOFF, do.back_off),
        )
    ),
    *rows(CLEARING, fact.StopAsked, None, do.unwant),
    *rows(CLEARING, fact.DrainAsked, None, do.clear_away),
    *rows(CLEARING, fact.HurryAsked, None, do.clear_now),
    *rows(CLEARING, fact.StartAsked, None, do.want),
    *rows(CLEARING, fact.RestartAsked, None, do.want),
    *rows(CLEARING, fact.ResetAsked, None, do.forgive),
)

EDGES: tuple[Edge[Any], ...] = (
    # The SpecChanged row stands before the service's: the place comes before the definition.
    *rows((P.STARTING,), fact.ContainerStarted, P.STOPPING, do.adopt_and_follow, given.displaced),
    *rows((P.STARTING,), fact.ContainerStarted, P.RUNNING, do.run_with_deadline),
    *rows(UP, fact.SpecChanged, P.STOPPING, do.cycle, given.displaced),
    *CLEAR,
    *lasting(Kind.USER_DOCKER, FOUND),
    *rows(UP, fact.PeerChanged, P.STOPPING, do.follow, given.displaced),
    *rows(UP, fact.ContextLost, P.STOPPING, do.follow),
    *rows((P.RUNNING,), fact.DeadlineDue, P.STOPPING, do.give_up_waiting),
)

IGNORED = (
    *SERVICE_IGNORED,
    Ignored((P.READY,), (fact.DeadlineDue,), "a timer of an earlier phase: it serves"),
    Ignored(
        CLEARING,
        (
            fact.StopRevoked,
            fact.SpecChanged,
            fact.PeerChanged,
            fact.ContextLost,
            fact.ContainerCreated,
            fact.ContainerStarted,
            fact.ContainerKilled,
            fact.ContainerDied,
            fact.ContainerStopped,
            fact.ContainerPaused,
            fact.ContainerUnpaused,
            fact.ContainerOomed,
            fact.ContainerDestroyed,
            fact.HealthReported,
        ),
        "no process of its own runs; what is left is ended in any case, and then is looked again",
    ),
    Ignored(
        CLEARING,
        (
            fact.ImagePulled,
            fact.PullFailed,
            fact.SuccessorMade,
            fact.SuccessorFailed,
            fact.CreateFailed,
            fact.StartFailed,
            fact.SignalFailed,
            fact.RetryDue,
            fact.KillDue,
            fact.VerdictDue,
            fact.LookDue,
        ),
        "of an earlier phase",
    ),
    Ignored(PHASES, (fact.LeftCleared, fact.ClearFailed), "a clearing that is no longer waited for"),
    Ignored(
        tuple(phase for phase in PHASES if phase not in UP),
        (fact.ContextLost,),
        "it does not run, or is about to end",
    ),
)

TABLE = table("user-docker", (*PHASES, P.CLEARING), EDGES, IGNORED)
