"""What is known of one unit: its phase and why, its container, its budget, and what happened to it."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, StrEnum

from units.health import Health
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass
from units.spec import (
    ContainerId,
    Kind,
    Place,
    UnitName,
    UnitSpec,
    Via,
)


class Phase(StrEnum):
    """The state of a unit. The same words in code, log, metric and docs."""

    INACTIVE = "inactive"
    WAITING = "waiting"
    PULLING = "pulling"
    CREATING = "creating"
    CLEARING = "clearing"
    """Of user Docker only."""
    STARTING = "starting"
    RUNNING = "running"
    READY = "ready"
    PAUSED = "paused"
    DRAINING = "draining"
    STOPPING = "stopping"
    EXITED = "exited"
    BACKOFF = "backoff"
    CRASH_LOOP = "crash-loop"
    IMAGE_MISSING = "image-missing"
    COMPLETED = "completed"
    FAILED = "failed"
    # Of System Docker only, beside starting, stopping, crash-loop and failed.
    ABSENT = "absent"
    CONNECTING = "connecting"
    SERVING = "serving"
    HUNG = "hung"
    LOST = "lost"
    STOPPED = "stopped"

    up: bool
    """A process of it runs."""
    alive: bool
    """A process of it runs, or may be about to."""
    moving: bool
    """An order or a signal is out, or a verdict is: what comes next decides."""
    arrived: bool
    """It has reached its goal: ready, or completed."""
    stuck: bool
    """It does not run, and is retried rarely or not at all."""
    troubled: bool
    """It does not run, though it should."""
    settled: bool
    """It does not leave this by itself soon."""


for _phase in Phase:  # Attributes, not sets to look in: hashing a member of an enumeration is slow.
    _phase.up = _phase in {Phase.RUNNING, Phase.READY, Phase.PAUSED}
    _phase.alive = _phase.up or _phase in {Phase.STARTING, Phase.DRAINING, Phase.STOPPING}
    _phase.moving = _phase in {
        *(Phase.PULLING, Phase.CREATING, Phase.CLEARING, Phase.STARTING, Phase.DRAINING, Phase.STOPPING),
        Phase.EXITED,
    }
    _phase.arrived = _phase in {Phase.READY, Phase.COMPLETED}
    _phase.stuck = _phase in {Phase.CRASH_LOOP, Phase.IMAGE_MISSING, Phase.FAILED}
    _phase.troubled = _phase.stuck or _phase in {Phase.BACKOFF, Phase.LOST}
    _phase.settled = _phase.stuck or _phase in {Phase.INACTIVE, Phase.COMPLETED}


MEANING: dict[Phase, str] = {
    Phase.INACTIVE: "not wanted: stopped by a person, disabled, or the host goes down",
    Phase.WAITING: "wanted; waits for the engine or for what it depends on, and says for what",
    Phase.PULLING: "its image is being pulled",
    Phase.CREATING: "its container is being created or re-created",
    Phase.CLEARING: "user Docker: what its last run may have left (containers, containerd) is being ended",
    Phase.STARTING: "its start was ordered; the engine has not confirmed it yet",
    Phase.RUNNING: "its process runs; its health check has not passed yet, or it is a oneshot",
    Phase.READY: "its process runs, and its health check, if it has one, passes",
    Phase.PAUSED: "a person paused it (docker pause): left alone until it goes on",
    Phase.DRAINING: "the host goes down; it waits for the units that depend on it to stop first",
    Phase.STOPPING: "it was sent its stop signal",
    Phase.EXITED: "exited after a stop signal; waits 1 s to learn whether a person stopped it",
    Phase.BACKOFF: "died; restarted when its delay is over",
    Phase.CRASH_LOOP: "crash loop; retried every 5 minutes",
    Phase.IMAGE_MISSING: "its image is missing and cannot be pulled; retried with a growing delay",
    Phase.COMPLETED: "done: exited with success, or a data container that is never started",
    Phase.FAILED: "does not run; not retried, or only every 5 minutes; what is absent is looked for every few seconds",
    Phase.ABSENT: "System Docker: not looked for yet, or its process was not found",
    Phase.CONNECTING: "an engine that is not ours: it has not answered yet",
    Phase.SERVING: "System Docker: it answers, and all containers have been listed since",
    Phase.HUNG: "System Docker: its process runs but does not answer",
    Phase.LOST: "System Docker: its process ended, or (not ours) its connection; retried when its delay is over",
    Phase.STOPPED: "System Docker: ended with the host",
}
"""The glossary of phases, for the documentation."""

ENGINE_PHASES = frozenset({Phase.ABSENT, Phase.CONNECTING, Phase.SERVING, Phase.HUNG, Phase.LOST, Phase.STOPPED})
"""Phases that only System Docker has."""
UNIT_PHASES = tuple(phase for phase in Phase if phase not in ENGINE_PHASES)
"""Phases of the units of the configuration."""


class Beyond(StrEnum):
    """States of a container that are neither up nor down, in the engine's words."""

    NOTHING = ""
    PAUSED = "paused"
    RESTARTING = "restarting"
    """The engine's own restart policy is at work."""
    REMOVING = "removing"
    DEAD = "dead"
    """The engine failed to remove it; it cannot be started."""


class StoppedBy(StrEnum):
    """Why a unit is not wanted."""

    NOBODY = ""
    PERSON = "person"
    """Asked through Dockwarden."""
    OUTSIDE = "outside"
    """Asked of the engine, not of Dockwarden (``docker stop``)."""
    SHUTDOWN = "shutdown"
    CONFIG = "config"
    SWITCH = "switch"
    """For the length of a switch."""
    HEALTH = "health"
    """Its health check failed, and its action is ``stop``."""


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
    """It had a stale reference to another container."""


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
class StandbyContainer:
    """A container that is kept though it is not the unit's now."""

    container: ContainerId
    config_hash: str
    running: bool = False


def anonymous(volume: str) -> bool:
    """Whether a volume has the kind of name that engines give."""
    return len(volume) == 64 and all(digit in "0123456789abcdef" for digit in volume)


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a run began: by event order, or for a run found in a snapshot by the engine's clock."""

    seq: int = 0
    """Number of the event that reported it; 0: none."""
    wall: float = 0.0
    """The engine's own stamp, seconds since 1970; 0: unknown."""


@dataclass(frozen=True, slots=True)
class Look:
    """What inspecting a container shows of its references to others."""

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
    check_within: Seconds = Seconds(60)
    """Its own HEALTHCHECK gives its next answer within this time: interval and timeout together."""


@dataclass(frozen=True)
class Unit:
    """What is known of one unit now. Without slots, so that ``records.replace`` is fast: it changes at every step."""

    spec: UnitSpec
    phase: Phase = Phase.INACTIVE
    since: Instant = NEVER
    """When it entered this phase."""
    moved: int = 0
    """Number of the event that caused it."""
    reason: str = "not started yet"
    """Why it is in this phase, in words; a waiting unit says for what."""
    cause: str = ""
    """Id of the event that started the chain."""
    wanted: bool = True
    stopped_by: StoppedBy = StoppedBy.NOBODY
    container: ContainerId | None = None
    unread: str = ""
    """Why the engine does not tell its state: an inspect is not answered. It is what was known last; empty: it does."""
    config_hash: str = ""
    """The hash its container was made with."""
    health: Health = Health.NONE
    """What all its checks come to."""
    reports: Mapping[str, Health] = field(default_factory=dict)
    """What each check said last in the present run."""
    beyond: Beyond = Beyond.NOTHING
    """A state of its container in which nothing is done about it: the engine is at work."""
    refused: str = ""
    """What the engine said when it refused to restart it, or left it as it was; empty since its next run."""
    refusals: int = 0
    """Times in a row."""
    refused_until: Instant = NEVER
    """Until then it is not tried again."""
    resumed: Instant = NEVER
    """When it went on after a pause."""
    run: int = 0
    """Counts its runs, as far as they were seen."""
    proved: int = 0
    """The last of its runs that was ready."""
    by_hand: bool = False
    """Its last run was ended by a signal through the engine: a person may be restarting others, too."""
    ailing: str = ""
    """Why it is unhealthy, in words."""
    falls: tuple[Instant, ...] = ()
    """When action was taken for its health, oldest first."""
    flapping: bool = False
    """Restarted for its health too often: it is left alone for a while."""
    begun: Stamp = Stamp()
    """When its present or last run began."""
    look: Look | None = None
    """What its container was last seen to hold; ``None``: not looked at."""
    readdressed: Stamp | None = None
    """The run with which it had another address than in the one before."""
    relinks: tuple[Instant, ...] = ()
    """When it was re-linked, oldest first, the last few."""
    relinked_via: tuple[Via, ...] = ()
    """The edges for which it was last re-linked."""
    wave: str = ""
    """Id of the cause of the last re-link."""
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
    killed_at: Instant = NEVER
    """When a stop signal last came through the engine in the present run: its death may be a person's stop."""
    cleared: bool = False
    """The engine itself ended the present run, at its own start: that is nobody's stop, and no crash."""
    stop_seen: bool = False
    """The engine's ``stop`` came before its ``die`` (26.1 and later order them so)."""
    again: Reason | None = None
    """While stopping: start it again afterwards, for this reason."""
    failing: str = ""
    """While stopping: the unit fails when it has stopped, for this reason."""
    pending: Reason | None = None
    """While between two runs: why the next start counts as a restart. ``None``: it does not."""
    fresh: bool = True
    """Not yet started in this boot."""
    reloaded: bool = False
    """Its success has made the configuration be read again in this boot."""
    pulled: bool = False
    """Its image was pulled since its last container was made: pulling again would not help."""
    pull_at: Instant = NEVER
    """When its image may be pulled again; until then it is only looked whether somebody loaded it."""
    misses: int = 0
    """Times in a row that its image could not be pulled, or that a hook vetoed its start."""
    clashes: int = 0
    """Starts in a row that the engine refused because it still holds the last run."""
    grace: Seconds | None = None
    """Its share of a shutdown's deadline; ``None``: its own stop timeout."""
    kills: int = 0
    """SIGKILLs of the present stop that the engine has taken."""
    untaken: str = ""
    """The last signal of the present stop, until the engine is heard to have taken it."""
    token: int = 0
    """Number of the timer that counts; an elapsed timer with another number is stale."""
    place: Place | None = None
    """Where user Docker was last started."""
    pid: int | None = None
    """Of System Docker: its process; ``None`` when there is none, or it is not ours."""
    renew: bool = False
    """Its next start is in a new container in any case; the old one is kept as ``spare``."""
    plan: Reason | None = None
    """While it runs: what a successor of its container is being made for."""
    plan_due: Instant = NEVER
    """Until then the answer to that, or the pause before its next try, is waited for."""
    successor: StandbyContainer | None = None
    """Stands ready to take its container's place."""
    kept: str = ""
    """Why it still runs in its present container, which should be another one; empty: it need not."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Anonymous volumes that its container was last seen with, by place: they outlive a container that is removed."""
    aged: bool = False
    """Its container is of an earlier boot of the machine."""
    spare: StandbyContainer | None = None
    """The container that is used again if the new one proves no good."""

    @property
    def name(self) -> UnitName:
        return self.spec.name

    @property
    def kill_seen(self) -> bool:
        """A stop signal was seen in this run."""
        return self.killed_at != NEVER

    @property
    def unprepared(self) -> bool:
        """No container of its definition stands ready to take its place. User Docker, a process, needs none."""
        made = self.successor
        return self.spec.kind is not Kind.USER_DOCKER and (made is None or made.config_hash != self.spec.config_hash)

    @property
    def alive(self) -> bool:
        """A process of it runs, or may be about to."""
        return self.phase.alive

    @property
    def busy(self) -> bool:
        """Alive, or an order is out whose answer decides: a shutdown waits for it."""
        return self.phase.alive or self.phase in {Phase.CREATING, Phase.PULLING, Phase.CLEARING}


class Failure(Enum):
    """How an order failed: what the engine's answer means for the unit."""

    IMAGE_MISSING = "image missing"
    NAME_TAKEN = "name taken by a foreign container"
    UNRECOVERABLE = "the engine will refuse it again"
    ABSENT = "something is not there that it needs, and a look for it costs nothing"
    NOT_FOUND = "no such container"
    STALE = "it joins a container that is gone"
    NOT_RUNNING = "container is not running"
    HELD = "the engine still holds its last run"
    EXHAUSTED = "the engine lacks space, memory, descriptors or its containerd"
    CONFLICT = "the engine is busy with the same container"
    VETOED = "vetoed by a hook"
    REFUSED = "the engine, or a proxy before it, does not allow it"
    UNREACHABLE = "the engine does not answer"
    TIMEOUT = "no answer in time"
    OTHER = "the engine failed"
