"""What is known of one unit: its phase and why, its container, its budget, and what happened to it."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, StrEnum

from units.health import Health
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass
from units.spec import (
    ContainerId,
    Place,
    UnitName,
    UnitSpec,
    Via,
)


class Phase(StrEnum):
    """Where a unit stands. The same words in code, log, metric and docs."""

    INACTIVE = "inactive"
    WAITING = "waiting"
    PULLING = "pulling"
    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    EXITED = "exited"
    BACKOFF = "backoff"
    CRASH_LOOP = "crash-loop"
    IMAGE_MISSING = "image-missing"
    COMPLETED = "completed"
    FAILED = "failed"

    up: bool
    """A process of it runs."""
    alive: bool
    """A process of it runs, or may be about to."""
    moving: bool
    """An order or a signal is out, or a verdict is: what comes next decides."""
    arrived: bool
    """It has got where it was to get."""
    stuck: bool
    """It does not run, and is tried again rarely or not at all."""
    troubled: bool
    """It does not run, though it should."""
    settled: bool
    """It does not leave this by itself soon."""


for _phase in Phase:  # Attributes, not sets to look in: hashing a member of an enumeration is slow.
    _phase.up = _phase in {Phase.RUNNING, Phase.READY}
    _phase.alive = _phase.up or _phase in {Phase.STARTING, Phase.DRAINING, Phase.STOPPING}
    _phase.moving = _phase in {
        *(Phase.PULLING, Phase.CREATING, Phase.STARTING, Phase.DRAINING, Phase.STOPPING),
        Phase.EXITED,
    }
    _phase.arrived = _phase in {Phase.READY, Phase.COMPLETED}
    _phase.stuck = _phase in {Phase.CRASH_LOOP, Phase.IMAGE_MISSING, Phase.FAILED}
    _phase.troubled = _phase.stuck or _phase is Phase.BACKOFF
    _phase.settled = _phase.stuck or _phase in {Phase.INACTIVE, Phase.COMPLETED}


MEANING: dict[Phase, str] = {
    Phase.INACTIVE: "not wanted: stopped by a person, disabled, or the host goes down",
    Phase.WAITING: "wanted; waits for the engine or for what it depends on, and says for what",
    Phase.PULLING: "its image is being fetched",
    Phase.CREATING: "its container is being made, or made anew",
    Phase.STARTING: "its start is ordered, the engine has not yet said that it runs",
    Phase.RUNNING: "its process runs; its health check has not passed, or it is a oneshot at work",
    Phase.READY: "its process runs, and its health check, if it has one, passes",
    Phase.DRAINING: "the host goes down, and it waits for those that depend on it to end first",
    Phase.STOPPING: "it was sent its stop signal",
    Phase.EXITED: "dead after a stop signal from outside; for a second it is open whether a person stopped it",
    Phase.BACKOFF: "dead; it runs again when its delay is over",
    Phase.CRASH_LOOP: "restarted too often; tried again now and then",
    Phase.IMAGE_MISSING: "its image is not there and cannot be had; looked for again, ever less often",
    Phase.COMPLETED: "has done what it was for: exited with success, or holds its volumes",
    Phase.FAILED: "does not run and will not by itself, or only at the slow probe",
}
"""The glossary of phases, for the documentation."""


class StoppedBy(StrEnum):
    """Why a unit is not wanted."""

    NOBODY = ""
    PERSON = "person"
    """Asked through Dockwarden."""
    OUTSIDE = "outside"
    """Asked of the engine behind our back (``docker stop``)."""
    SHUTDOWN = "shutdown"
    CONFIG = "config"
    SWITCH = "switch"
    """For the length of a switch."""
    HEALTH = "health"
    """Its check failed, and to be stopped is what its definition wants then."""


class Reason(StrEnum):
    """Why a unit was restarted: the closed set that is a metric's label."""

    EXIT = "exit"
    OOM = "oom"
    START_FAILED = "start-failed"
    DESTROYED = "destroyed"
    MANUAL = "manual"
    EXTERNAL = "external"
    CONFIG = "config"
    CONTEXT = "context"
    """User Docker follows its storage context."""
    UNHEALTHY = "unhealthy"
    RELINK = "relink"
    """What it shared with another container went with that one's last run."""


@dataclass(frozen=True)
class Budget:
    """What the restart decision remembers of a unit, also over a restart of the supervisor.

    Without slots, as ``Unit``.
    """

    failures: int = 0
    """Deaths in a row without a good run between them."""
    restarts: tuple[Instant, ...] = ()
    """When the supervisor restarted it, oldest first, no older than the policy's interval."""
    delay: Seconds = Seconds(0)
    """The delay (before jitter) that preceded the present run."""
    looping: bool = False
    """The start limit was hit, and no good run has cleared it since."""


@dataclass(frozen=True, slots=True)
class Spare:
    """A container that is kept though it is not the unit's now."""

    container: ContainerId
    config_hash: str
    running: bool = False


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a run began: its order is the stream's, or, for one that was found running, the engine's clock's."""

    seq: int = 0
    """Number of the event that told it; 0: no event did."""
    wall: float = 0.0
    """The engine's own stamp, seconds since 1970; 0: unknown."""


@dataclass(frozen=True, slots=True)
class Look:
    """What inspecting a container shows of its ties to others."""

    holds: tuple[tuple[Via, ContainerId], ...] = ()
    """Whose namespaces it joins, by the id that the engine keeps."""
    mounts: tuple[tuple[str, str], ...] = ()
    """Place in the container, and the volume or directory there; sorted."""
    own_places: frozenset[str] = frozenset()
    """Places that its own definition fills, whatever it takes from others."""
    address: str = ""
    """In the network of its network mode; empty when it does not run or has none of its own."""
    created: float = 0.0
    """Seconds since 1970."""
    failed: str = ""
    """Why its last start failed, in the engine's words; empty: it did not."""


@dataclass(frozen=True)
class Unit:
    """What is known of one unit now. Without slots, so that ``records.replace`` is fast: it changes at every step."""

    spec: UnitSpec
    phase: Phase = Phase.INACTIVE
    since: Instant = NEVER
    """When it entered this phase."""
    moved: int = 0
    """Number of the event that brought it there."""
    reason: str = "not started yet"
    """Why it is in this phase, in words; a waiting unit says for what."""
    cause: str = ""
    """Id of the event that all this comes from."""
    wanted: bool = True
    stopped_by: StoppedBy = StoppedBy.NOBODY
    container: ContainerId | None = None
    config_hash: str = ""
    """The hash its container was made with."""
    health: Health = Health.NONE
    """What all its checks come to."""
    reports: Mapping[str, Health] = field(default_factory=dict)
    """What each check said last in the present run."""
    run: int = 0
    """Counts its runs, as far as they were seen."""
    by_hand: bool = False
    """Its last run was ended by a signal through the engine: somebody may be at work on others, too."""
    ailing: str = ""
    """Why it is unhealthy, in words."""
    falls: tuple[Instant, ...] = ()
    """When it was helped for its health, oldest first."""
    flapping: bool = False
    """Helped too often: it is left alone for a while."""
    begun: Stamp = Stamp()
    """When its present or last run began."""
    look: Look | None = None
    """What its container was last seen to hold; ``None``: not looked at."""
    readdressed: Stamp | None = None
    """The run with which it had another address than in the one before."""
    relinks: tuple[Instant, ...] = ()
    """When it was brought back in step, oldest first, the last few."""
    relinked_via: tuple[Via, ...] = ()
    """The edges for which it was last brought back in step."""
    wave: str = ""
    """Id of the cause for which it was."""
    outdated: str = ""
    """Why its next start is in a new container; empty: it need not be."""
    budget: Budget = field(default_factory=Budget)
    restarts: int = 0
    """Restarts in all, since the unit was first seen."""
    started_at: Instant = NEVER
    exit_code: int | None = None
    death: str = ""
    """How its last run ended, in words."""
    oom: bool = False
    """The engine reported an OOM kill during the present or last run."""
    kill_seen: bool = False
    """A stop signal came from outside during the present run: its death may be a person's wish."""
    stop_seen: bool = False
    """The engine's ``stop`` came before its ``die`` (26.1 and later order them so)."""
    again: Reason | None = None
    """While stopping: start it again afterwards, for this reason."""
    failing: str = ""
    """While stopping: the stop is the end of a failure, told in words."""
    pending: Reason | None = None
    """While between two runs: why the next start counts as a restart. ``None``: it does not."""
    fresh: bool = True
    """Not yet started in this boot."""
    reloaded: bool = False
    """Its success has made the configuration be read again in this boot."""
    pulled: bool = False
    """Its image was pulled since its last container was made: pulling again would not help."""
    misses: int = 0
    """Times in a row that its image was not to be had, or that a hook vetoed its start."""
    grace: Seconds | None = None
    """Its share of a shutdown's deadline; ``None``: its own stop timeout."""
    kills: int = 0
    """SIGKILLs sent in the present stop."""
    token: int = 0
    """Number of the timer that counts; an elapsed timer with another number is stale."""
    place: Place | None = None
    """Where user Docker was last started."""
    renew: bool = False
    """Its next start is in a new container, whatever the old one is like; the old one is kept as ``spare``."""
    spare: Spare | None = None
    """The container that is used again if the new one proves no good."""

    @property
    def name(self) -> UnitName:
        return self.spec.name

    @property
    def alive(self) -> bool:
        """A process of it runs, or may be about to."""
        return self.phase.alive

    @property
    def busy(self) -> bool:
        """Alive, or an order is out whose answer decides: a shutdown waits for it."""
        return self.phase.alive or self.phase in {Phase.CREATING, Phase.PULLING}


class Failure(Enum):
    """How an order failed: what the engine's answer means for the unit."""

    IMAGE_MISSING = "image missing"
    NAME_TAKEN = "name taken by a foreign container"
    UNRECOVERABLE = "the engine will refuse it again"
    NOT_FOUND = "no such container"
    STALE = "it joins a container that is gone"
    NOT_RUNNING = "container is not running"
    CONFLICT = "the engine is busy with the same container"
    VETOED = "a hook said no"
    UNREACHABLE = "the engine does not answer"
    TIMEOUT = "no answer in time"
    OTHER = "the engine failed"
