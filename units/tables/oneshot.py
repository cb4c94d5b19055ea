"""The table of a oneshot: a unit that runs once a boot, and whose exit code decides."""

from units import actions as do
from units import events as fact
from units import guards as given
from units import healing
from units.machine import Ignored, rows, table
from units.spec import Kind
from units.tables.running import running, silence
from units.tables.shared import IDLE, asked, provided
from units.unit import Phase

P = Phase
UP = (P.RUNNING,)
FOUND = (*IDLE, P.EXITED)

EDGES = (
    *asked(Kind.ONESHOT),
    *provided(Kind.ONESHOT),
    *rows(FOUND, fact.ContainerStarted, P.STOPPING, do.adopt_and_halt, given.going_down),
    *rows((*FOUND, P.STARTING), fact.ContainerStarted, P.RUNNING, do.run_with_deadline),
    *rows(UP, fact.DeadlineDue, P.STOPPING, do.time_out),
    *rows(UP, fact.HealthReported, P.STOPPING, do.give_up_lifeless, given.lifeless),
    *rows((*FOUND, P.PULLING, P.CREATING, P.STARTING, *UP), fact.HealthReported, None, healing.note_health),
    *running(Kind.ONESHOT, UP),
)

PHASES = (*IDLE, P.PULLING, P.CREATING, P.STARTING, *UP, P.PAUSED, P.DRAINING, P.STOPPING, P.EXITED)
NO_CONTEXT = Ignored(
    PHASES, fact.OF_USER_DOCKER, "only user Docker runs in another unit's file system, and outlives its own process"
)

UNWATCHED = Ignored(UP, (fact.LookDue,), "nothing is withheld from a unit that is to end anyway")

TABLE = table("oneshot", PHASES, EDGES, (*silence(UP), NO_CONTEXT, UNWATCHED))
