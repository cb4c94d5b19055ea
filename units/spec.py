"""The definition of a unit: name, kind, dependencies, restart and health policy. Made from the configuration."""

from enum import StrEnum
from typing import NewType

from units.health import Check
from units.quantities import Seconds
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
    """A container that another tool created, on a host that is only watched."""
    SYSTEM_DOCKER = "system-docker"
    """The engine in which all units run. There is one, beside the units: see ``World.engine``."""


LASTING = frozenset({Kind.SERVICE, Kind.CONSOLE, Kind.USER_DOCKER, Kind.FOREIGN})
"""Kinds that run until they are stopped."""


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
    """And left stopped, until a person starts it."""
    SIGNAL = "signal"
    """Sent a signal, and left running: it recovers by itself."""
    HOOK = "hook"
    """Notified only."""
    NONE = "none"


class Rebuild(StrEnum):
    """When a container is re-created (label ``io.docker.compose.rebuild``)."""

    ALWAYS = "always"
    """At each boot, and when its definition changed: an ephemeral unit."""
    CHANGED = "changed"
    """When its definition changed."""
    NEVER = "false"
    """Not even then: the change is shown as pending."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One edge: this unit needs ``target`` to have reached ``condition``.

    ``hard`` edges must name a unit that exists and may not form a cycle; soft ones are dropped with a warning.
    """

    target: UnitName
    via: Via
    condition: Condition = Condition.STARTED
    hard: bool = True
    on_failure: OnFailure = OnFailure.HOLD
    restart: bool = False
    """``restart: true``: when the target was restarted, this unit is restarted, too."""
    group: str = ""
    """Of several replicas: their Compose service. One of them that is up is enough to be healthy."""


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
    """How a unit is stopped."""

    signal: str = "SIGTERM"
    timeout: Seconds = Seconds(10)
    """From the signal to the first SIGKILL."""


@dataclass(frozen=True, slots=True)
class HealPolicy:
    """The action for an unhealthy unit, and how many actions make it flapping."""

    action: OnUnhealthy = OnUnhealthy.RESTART
    signal: str = ""
    """For the action ``signal``: which one."""
    falls: int = 5
    """Restarted for its health this often within ``window``, it is flapping."""
    window: Seconds = Seconds(1800)
    calm: Seconds = Seconds(600)
    """Healthy for this long, a flapping unit is no longer flapping; until then it is restarted at most this often."""


CONSOLE = UnitName("console")
USER_DOCKER = UnitName("user-docker")
"""Names of the two units of which a host has one each."""
SYSTEM_DOCKER = UnitName("system-docker")
"""Name of the engine. No unit of the configuration can have it."""
WATCHED_ENGINE = UnitName("@engine")
"""Its name on a host that is only watched: no container's name begins so."""
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
    """Whether it is restarted or re-created to fix a stale reference."""
    settle: Seconds = Seconds(0)
    """How long a foreign unit is left alone after its leader came back: a person may be restarting both."""
    master: str = ""
    """For a foreign unit: the tool that looks after it, so that we do not."""
    expected: bool = False
    """For a foreign unit: its engine's restart policy says that it should run."""
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
