"""Facts: everything that can happen. The only input of the core."""

import sys
from typing import TypeAlias

from units.engine_events import DaemonEvent, EngineStalled
from units.health import Health
from units.observed import Observed as Observed  # noqa: PLC0414 - its name is known as a part of the facts
from units.quantities import Seconds
from units.records import dataclass
from units.spec import ContainerId, UnitName, UnitSpec
from units.switch_events import SwitchEvent
from units.troubles import Timing, TroubleTold
from units.unit import Failure, Look, StoppedBy


@dataclass(frozen=True, slots=True)
class StartAsked:
    unit: UnitName
    request: int = 0
    """Number of the control request that waits for an answer; 0 for none."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    unit: UnitName
    request: int = 0
    by: StoppedBy = StoppedBy.PERSON


@dataclass(frozen=True, slots=True)
class RestartAsked:
    unit: UnitName
    request: int = 0


@dataclass(frozen=True, slots=True)
class ResetAsked:
    unit: UnitName
    request: int = 0


@dataclass(frozen=True, slots=True)
class StopRevoked:
    """What looked like a person's ``docker stop`` was the engine going down: the unit is wanted as before."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class SpecChanged:
    """The unit's definition is another one now. The old one is gone from the world before a row sees this."""

    unit: UnitName
    spec: UnitSpec


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """The host goes down: stop, after all dependents."""

    unit: UnitName
    timeout: Seconds
    """The unit's share of the total deadline: from the stop signal to the first SIGKILL."""


@dataclass(frozen=True, slots=True)
class HurryAsked:
    """The shutdown is hurried: SIGKILL now, in no order."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class ContainerCreated:
    unit: UnitName
    container: ContainerId
    config_hash: str = ""
    variant: str = ""
    """Which console it is; empty for everything else."""


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    unit: UnitName
    container: ContainerId
    ran_for: Seconds = Seconds(0)
    """How long it had been running when this became known; above 0 for a container found in a snapshot."""
    variant: str = ""
    at: float = 0.0
    """The engine's stamp; 0: unknown."""
    found: bool = False
    """It came from a snapshot, not from the event stream."""
    same: bool = False
    """It is the run that was known already: nothing was started."""


@dataclass(frozen=True, slots=True)
class ContainerLooked:
    """An inspect showed references or mounts that were not known."""

    unit: UnitName
    container: ContainerId
    look: Look
    ran_for: Seconds = Seconds(0)
    """For a running one: how long it runs already."""
    started: float = 0.0
    """For a running one: since when, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class ContainerKilled:
    """A signal was sent through the engine. The container need not die of it."""

    unit: UnitName
    container: ContainerId
    signal: int
    unserved: bool = False
    """The engine did not serve just then: nobody asked it, it ended what it found running at its own start."""


@dataclass(frozen=True, slots=True)
class ContainerDied:
    unit: UnitName
    container: ContainerId
    exit_code: int
    oom: bool = False
    """Only a snapshot knows it here; in the stream an OOM kill is an event of its own."""
    said: str = ""


@dataclass(frozen=True, slots=True)
class ContainerStopped:
    """The engine's ``stop``: a stop call ended. Before or after ``die``, by the engine's version."""

    unit: UnitName
    container: ContainerId
    unserved: bool = False
    """As of ``ContainerKilled``."""


@dataclass(frozen=True, slots=True)
class ContainerPaused:
    """Its processes are frozen."""

    unit: UnitName
    container: ContainerId


@dataclass(frozen=True, slots=True)
class ContainerUnpaused:
    unit: UnitName
    container: ContainerId


@dataclass(frozen=True, slots=True)
class ContainerOomed:
    """The kernel killed a process of it; not always the main one."""

    unit: UnitName
    container: ContainerId


@dataclass(frozen=True, slots=True)
class ContainerDestroyed:
    unit: UnitName
    container: ContainerId


@dataclass(frozen=True, slots=True)
class HealthReported:
    """``STARTING`` right after a create also says that the container declares a check."""

    unit: UnitName
    container: ContainerId
    health: Health
    check: str = ""
    """Name of the check; empty: the container's own HEALTHCHECK."""
    run: int = 0
    """``Unit.run`` when the check was asked; 0: no run in particular. Reports about another run are ignored."""
    output: str = ""


@dataclass(frozen=True, slots=True)
class ImagePulled:
    unit: UnitName


@dataclass(frozen=True, slots=True)
class PullFailed:
    unit: UnitName
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class CreateFailed:
    unit: UnitName
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class SuccessorMade:
    """A container stands ready to take the unit's place."""

    unit: UnitName
    container: ContainerId
    config_hash: str


@dataclass(frozen=True, slots=True)
class SuccessorFailed:
    """It could not be made; the unit runs as before."""

    unit: UnitName
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    unit: UnitName
    container: ContainerId
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class LeftCleared:
    """Nothing runs any more of what an ended run of user Docker left."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class ClearFailed:
    """Something still runs of what an ended run of user Docker left, or cannot be ended by us."""

    unit: UnitName
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class SignalFailed:
    unit: UnitName
    container: ContainerId
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The back-off, the slow probe of a crash loop, or the next look for an image is over."""

    unit: UnitName
    token: int


@dataclass(frozen=True, slots=True)
class KillDue:
    """The time after the stop signal, or after the last SIGKILL, is over."""

    unit: UnitName
    token: int


@dataclass(frozen=True, slots=True)
class VerdictDue:
    """No ``stop`` followed the ``die`` that a stop signal from outside came before: it was a crash."""

    unit: UnitName
    token: int


@dataclass(frozen=True, slots=True)
class LookDue:
    """Time to check a running unit again: an action was withheld, or it may no longer be flapping."""

    unit: UnitName
    token: int


@dataclass(frozen=True, slots=True)
class DeadlineDue:
    """A oneshot has run for as long as it may."""

    unit: UnitName
    token: int


@dataclass(frozen=True, slots=True)
class ContextLost:
    """User Docker runs, but not in the file system that its storage context has now."""

    unit: UnitName
    container: ContainerId
    why: str


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A unit this one depends on, or one that depends on it, has moved; or the engine is back."""

    unit: UnitName
    peer: str


UnitEvent: TypeAlias = (
    StartAsked
    | StopAsked
    | RestartAsked
    | ResetAsked
    | StopRevoked
    | SpecChanged
    | DrainAsked
    | HurryAsked
    | ContainerCreated
    | ContainerStarted
    | ContainerKilled
    | ContainerDied
    | ContainerStopped
    | ContainerPaused
    | ContainerUnpaused
    | ContainerOomed
    | ContainerDestroyed
    | HealthReported
    | ImagePulled
    | PullFailed
    | CreateFailed
    | SuccessorMade
    | SuccessorFailed
    | StartFailed
    | SignalFailed
    | LeftCleared
    | ClearFailed
    | RetryDue
    | KillDue
    | VerdictDue
    | DeadlineDue
    | LookDue
    | ContextLost
    | PeerChanged
)
"""What a unit's table answers to."""
OF_USER_DOCKER = (ContextLost, LeftCleared, ClearFailed)
"""What no other unit is told."""

EngineFact: TypeAlias = (
    ContainerCreated
    | ContainerStarted
    | ContainerKilled
    | ContainerDied
    | ContainerStopped
    | ContainerPaused
    | ContainerUnpaused
    | ContainerOomed
    | ContainerDestroyed
    | HealthReported
)
"""What an engine's event stream or snapshot can say."""


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """All containers that carry our label, running or not."""

    containers: tuple[Observed, ...]
    trigger: str
    """``connect``, ``period`` or ``doubt``: a closed set, a metric's label."""
    asked_after: int = sys.maxsize
    """Number of the last event taken before the engine was asked. A unit that moved since then is newer."""


@dataclass(frozen=True, slots=True)
class EngineLost:
    reason: str


@dataclass(frozen=True, slots=True)
class EngineBack:
    """The event stream is open; a snapshot follows."""

    version: str


@dataclass(frozen=True, slots=True)
class ConfigRead:
    """The configuration was read again: these are all units now."""

    specs: tuple[UnitSpec, ...]
    consoles: tuple[UnitSpec, ...] = ()
    """All definitions of the console, of which ``specs`` has the chosen one."""
    timing: Timing | None = None
    later: str = ""
    """What of it only counts from the next start of the supervisor."""


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    """The configuration was read again and refused: the present units stay."""

    problems: str


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    reason: str
    total: Seconds
    """Deadline for all units together."""


@dataclass(frozen=True, slots=True)
class ShutdownHurried:
    reason: str


@dataclass(frozen=True, slots=True)
class ShutdownOverdue:
    """The last deadline of a shutdown passed with units still running: the engine is stopped all the same."""


ConfigEvent: TypeAlias = ConfigRead | ConfigRefused
ShutdownEvent: TypeAlias = ShutdownAsked | ShutdownHurried | ShutdownOverdue
WorldEvent: TypeAlias = (
    SnapshotTaken | EngineLost | EngineStalled | EngineBack | TroubleTold | ConfigEvent | ShutdownEvent
)


Event: TypeAlias = UnitEvent | DaemonEvent | ContainerLooked | WorldEvent | SwitchEvent
