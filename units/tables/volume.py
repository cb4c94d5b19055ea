"""The table of a data container: a unit that is created and never started."""

from units import actions as do
from units import events as fact
from units.machine import Ignored, table
from units.spec import Kind
from units.tables.shared import IDLE, RETRYING, asked, go, provided
from units.unit import Phase

P = Phase
ALL = (*IDLE, P.PULLING, P.CREATING)

EDGES = (
    *asked(Kind.VOLUME),
    *provided(Kind.VOLUME),
    *go(Kind.VOLUME, (P.COMPLETED,), fact.ContainerDestroyed, do.after_loss, container=False),
)

IGNORED = (
    Ignored((P.COMPLETED,), (fact.StartAsked, fact.RestartAsked), "it is a data container; it is never started"),
    Ignored(ALL, (fact.HurryAsked, fact.StopRevoked), "nothing of it runs"),
    Ignored(
        (P.INACTIVE, P.PULLING, P.CREATING),
        (fact.SpecChanged,),
        "the new definition is used at its next create",
    ),
    Ignored(
        ALL,
        (
            fact.ContainerStarted,
            fact.ContainerKilled,
            fact.ContainerDied,
            fact.ContainerStopped,
            fact.ContainerPaused,
            fact.ContainerUnpaused,
            fact.ContainerOomed,
            fact.HealthReported,
            fact.StartFailed,
            fact.SignalFailed,
        ),
        "a data container is not started here; a start through the engine does not matter",
    ),
    Ignored(
        ALL, fact.OF_USER_DOCKER, "only user Docker runs in another unit's file system, and outlives its own process"
    ),
    Ignored((*IDLE, P.CREATING), (fact.ImagePulled, fact.PullFailed), "a pull that is no longer waited for"),
    Ignored(ALL, (fact.SuccessorMade, fact.SuccessorFailed), "nothing of it runs that had to run on meanwhile"),
    Ignored((*IDLE, P.PULLING), (fact.CreateFailed,), "a create that is no longer waited for"),
    Ignored(
        (P.INACTIVE, P.WAITING, P.COMPLETED, P.PULLING, P.CREATING),
        (fact.RetryDue,),
        "a timer of an earlier phase",
    ),
    Ignored(ALL, (fact.KillDue, fact.VerdictDue, fact.LookDue), "only what runs is stopped"),
    Ignored((*IDLE, P.PULLING), (fact.DeadlineDue,), "a timer of an earlier phase"),
    Ignored(
        (P.INACTIVE, *RETRYING, P.COMPLETED, P.PULLING, P.CREATING),
        (fact.PeerChanged,),
        "only a unit that waits for a peer reacts to it",
    ),
)

TABLE = table("volume", ALL, EDGES, IGNORED)
