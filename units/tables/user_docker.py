"""User Docker: the user's own engine, a process in the mount namespace of its storage context.

It uses the rows of a service; its "container" is a constant, because there is only one. In addition it follows its
storage context. ``ready`` means that it serves: it answers, and its data root is on a real mount.
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

EDGES: tuple[Edge[Any], ...] = (
    # The SpecChanged row stands before the service's: the place comes before the definition.
    *rows((P.STARTING,), fact.ContainerStarted, P.STOPPING, do.adopt_and_follow, given.displaced),
    *rows((P.STARTING,), fact.ContainerStarted, P.RUNNING, do.run_with_deadline),
    *rows(UP, fact.SpecChanged, P.STOPPING, do.cycle, given.displaced),
    *lasting(Kind.USER_DOCKER, FOUND),
    *rows(UP, fact.PeerChanged, P.STOPPING, do.follow, given.displaced),
    *rows(UP, fact.ContextLost, P.STOPPING, do.follow),
    *rows((P.RUNNING,), fact.DeadlineDue, P.STOPPING, do.give_up_waiting),
)

IGNORED = (
    *SERVICE_IGNORED,
    Ignored((P.READY,), (fact.DeadlineDue,), "a timer of an earlier phase: it serves"),
    Ignored(
        tuple(phase for phase in PHASES if phase not in UP),
        (fact.ContextLost,),
        "it does not run, or is about to end",
    ),
)

TABLE = table("user-docker", PHASES, EDGES, IGNORED)
