"""The vocabulary of one unit: its names, kinds, phases, its specification and what is known of it."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, StrEnum
from typing import NewType

from units.health import Check, Health
from units.quantities import NEVER, Instant, Seconds
from units.records import dataclass

UnitName = NewType("UnitName", str)
ContainerId = NewType("ContainerId", str)


class Kind(StrEnum):
    """What a unit is for; it decides which table its transitions come from."""

    SERVICE = "service"
    """Runs until it is stopped."""
    ONESHOT = "oneshot"
    """Runs once a boot; its exit code decides (``io.rancher.os.detach: "false"``)."""
    VOLUME = "volume"
    """Is created and never started: it only holds volumes (``io.rancher.os.createonly: "true"``)."""
    CONSOLE = "console"
    """The container in which a person works. There is one such unit, and a definition of it for each console's name."""
    USER_DOCKER = "user-docker"
    """The user's own engine: no container but a dockerd in the mount namespace of its storage context."""
    FOREIGN = "foreign"
    """A container that somebody else made, on a host that is only watched."""


LASTING = frozenset({Kind.SERVICE, Kind.CONSOLE, Kind.USER_DOCKER, Kind.FOREIGN})
"""Kinds that run until they are stopped."""


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


class Condition(StrEnum):
    """What a dependency must have reached (Compose's words without their ``service_`` prefix)."""

    STARTED = "started"
    HEALTHY = "healthy"
    COMPLETED = "completed"


class OnFailure(StrEnum):
    """What a dependent does when its dependency has failed."""

    HOLD = "hold"
    PROCEED = "proceed"


class Via(StrEnum):
    """Which key of the configuration made a dependency."""

    LINK = "links"
    VOLUMES = "volumes_from"
    NET = "net"
    PID = "pid"
    IPC = "ipc"
    DEPENDS_ON = "depends_on"
    AFTER = "after"
    BEFORE = "before"
    LOG_DRIVER = "log_driver"
    CONTEXT = "storage_context"


BINDING_MODES = frozenset({Via.NET, Via.PID, Via.IPC})
"""Ways in which a container lives in another one's namespaces: without that one it cannot be started."""


class Policy(StrEnum):
    """Compose's restart policies."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


class Switchable(StrEnum):
    """What a switch can exchange."""

    CONSOLE = "console"
    STORAGE = "storage"
    """The storage context of user Docker."""
    ENGINE = "engine"
    """The program that user Docker runs."""


class OnUnhealthy(StrEnum):
    """What is done about a unit whose health check fails."""

    RESTART = "restart"
    RECREATE = "recreate"
    """Stopped, and started again in a new container."""
    STOP = "stop"
    """And left so, until a person starts it."""
    SIGNAL = "signal"
    """Sent a signal, and left running: it mends itself."""
    HOOK = "hook"
    """Told to those who are notified, and no more."""
    NONE = "none"


class Rebuild(StrEnum):
    """When a container is made anew (label ``io.docker.compose.rebuild``)."""

    ALWAYS = "always"
    """At each boot, and when its definition changed: an ephemeral unit."""
    CHANGED = "changed"
    """When its definition changed."""
    NEVER = "false"
    """Not even then: the change is shown as pending."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One edge: this unit needs ``target`` to have reached ``condition``.

    ``hard`` edges must name a unit that exists and may not form a cycle; soft ones are dropped, and told.
    """

    target: UnitName
    via: Via
    condition: Condition = Condition.STARTED
    hard: bool = True
    on_failure: OnFailure = OnFailure.HOLD
    restart: bool = False
    """``restart: true``: when the target was started again, so must be this unit."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When and how soon a dead unit runs again. Defaults are those of ``rancher.supervisor``."""

    policy: Policy = Policy.NO
    max_retries: int = 0
    """For ``on-failure:N``; 0 means no limit of its own."""
    delay: Seconds = Seconds(0.2)
    """Delay before the second restart in a row; the first is immediate. Doubles."""
    max_delay: Seconds = Seconds(60)
    jitter: float = 0.25
    """Each delay is spread by this fraction, up and down. 0 to 1."""
    reset: Seconds = Seconds(10)
    """A run longer than ``max(reset, 2 x the current delay)`` makes the next restart immediate again."""
    burst: int = 5
    """More restarts than this within ``interval`` is a crash loop."""
    interval: Seconds = Seconds(60)
    probe: Seconds = Seconds(300)
    """A crash loop, or a start that the engine refused for good, is tried again this often."""


@dataclass(frozen=True, slots=True)
class StopPolicy:
    """How a unit is asked to end."""

    signal: str = "SIGTERM"
    timeout: Seconds = Seconds(10)
    """From the signal to the first SIGKILL."""


@dataclass(frozen=True, slots=True)
class HealPolicy:
    """What is done about an unhealthy unit, and how often before it counts as flapping."""

    action: OnUnhealthy = OnUnhealthy.RESTART
    signal: str = ""
    """For the action ``signal``: which one."""
    falls: int = 5
    """Helped this often within ``window``, it is flapping."""
    window: Seconds = Seconds(1800)
    calm: Seconds = Seconds(600)
    """Healthy for this long, a flapping unit counts as well again; until then it is helped at most this often."""


CONSOLE = UnitName("console")
USER_DOCKER = UnitName("user-docker")
"""Names of the two units of which a host has one each."""
PROCESS = ContainerId(USER_DOCKER)
"""User Docker is no container: this stands where an id would."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where user Docker runs: in whose file system, in which incarnation of it, and which engine."""

    context: UnitName
    container: ContainerId
    engine: str = ""
    """Empty means: the context's own, else the shipped one."""


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """What the configuration says of one unit. Equal specs behave equally."""

    name: UnitName
    kind: Kind
    image: str
    body: str
    """The body of the engine's create call, as JSON text, labels included; the core never looks inside."""
    config_hash: str
    """Hex digest over everything that makes a container of this unit different from another."""
    dependencies: tuple[Dependency, ...] = ()
    restart: RestartPolicy = RestartPolicy()
    stop: StopPolicy = StopPolicy()
    rebuild: Rebuild = Rebuild.CHANGED
    container_name: str = ""
    """Empty means: the unit's name."""
    reloads: bool = False
    """``io.rancher.os.reloadconfig``: after success the configuration is read again."""
    pull: bool = True
    """Whether a missing image may be pulled."""
    enabled: bool = True
    """``dockwarden.enabled: "false"`` keeps a unit inactive until a person starts it."""
    deadline: Seconds = Seconds(0)
    """For a oneshot: longest run, then it is stopped and failed. For user Docker: longest time until it serves.
    0 means none."""
    heal: HealPolicy = HealPolicy()
    checks: tuple[Check, ...] = ()
    """Health checks of our own."""
    relink: bool = True
    """Whether it is restarted or made anew when what it holds on to is over."""
    settle: Seconds = Seconds(0)
    """How long a foreign unit is left alone after its leader came back: somebody may be at work on both."""
    expected: bool = False
    """For a foreign unit: its engine's restart policy says that it should run."""
    dry: bool = False
    """Nothing is done to it: it is only said what would be."""
    variant: str = ""
    """For the console: which of the consoles this defines."""
    context: UnitName | None = None
    """For user Docker: the unit in whose file system it runs."""
    engine: str = ""
    """For user Docker: name of the engine to run, as in Place."""

    @property
    def container(self) -> str:
        """The name its container goes by."""
        return self.container_name or self.name


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
        return self.phase in ALIVE

    @property
    def busy(self) -> bool:
        """Alive, or an order is out whose answer decides: a shutdown waits for it."""
        return self.phase in ALIVE or self.phase in {Phase.CREATING, Phase.PULLING}


ALIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.READY, Phase.DRAINING, Phase.STOPPING})


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
