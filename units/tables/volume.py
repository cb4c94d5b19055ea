"""The table of a volume holder: a unit that is created and never started."""

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
    Ignored((P.COMPLETED,), (fact.StartAsked, fact.RestartAsked), "it holds its volumes; it never runs"),
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
            fact.ContainerOomed,
            fact.HealthReported,
            fact.StartFailed,
            fact.SignalFailed,
        ),
        "we never run it; if somebody else does, its volumes do not mind",
    ),
    Ignored(ALL, (fact.ContextLost,), "only user Docker runs in another unit's file system"),
    Ignored((*IDLE, P.CREATING), (fact.ImagePulled, fact.PullFailed), "a pull that nobody waits for any more"),
    Ignored((*IDLE, P.PULLING), (fact.CreateFailed,), "a create that nobody waits for any more"),
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
        "only who waits for a peer looks at it",
    ),
)

TABLE = table("volume", ALL, EDGES, IGNORED)
