"""Orders: everything the core can ask the shell to do. With the new world, its only output."""

from enum import StrEnum
from typing import TypeAlias

from units.quantities import Seconds
from units.records import dataclass
from units.spec import ContainerId, Place, Switchable, UnitName, UnitSpec


class Timer(StrEnum):
    """What a timer is for; each becomes an event of its own when it elapses."""

    RETRY = "retry"
    KILL = "kill"
    VERDICT = "verdict"
    DEADLINE = "deadline"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class PullImage:
    unit: UnitName
    image: str


@dataclass(frozen=True, slots=True)
class PrepareContainer:
    """Make a container of this spec beside the one that runs: its successor, under a name that says so."""

    unit: UnitName
    spec: UnitSpec
    replaces: ContainerId


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Make a container of this spec under its name.

    ``replaces`` makes room under ``<first 12 of its id>_<name>``, and is removed when the new one has its place; when
    that fails, it has its name back. What it held in anonymous volumes goes on in the new one.
    """

    unit: UnitName
    spec: UnitSpec
    replaces: ContainerId | None = None
    keep: bool = False
    """The replaced one stays, under that other name."""
    prepared: ContainerId | None = None
    """The successor that was made already."""
    renews: bool = False
    """With new anonymous volumes of its own."""
    takers: tuple[ContainerId, ...] = ()
    """Those who took volumes from it: where it is gone, they still have them."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Anonymous volumes that it had when it was last seen, by place: for where it is gone."""


@dataclass(frozen=True, slots=True)
class StartContainer:
    unit: UnitName
    container: ContainerId
    place: Place | None = None
    """Only user Docker has one."""


@dataclass(frozen=True, slots=True)
class SignalContainer:
    unit: UnitName
    container: ContainerId
    signal: str


@dataclass(frozen=True, slots=True)
class ClearLeft:
    """End what an ended run of user Docker left: its containers in their time, at most ``grace``; then firmly."""

    unit: UnitName
    place: Place | None
    """Where the next run will be; its stale pid files are removed."""
    grace: Seconds
    everything: bool
    """Also what a dockerd with live-restore would take up."""


@dataclass(frozen=True, slots=True)
class RestartContainer:
    """Have the engine stop it and start it again, in one call: it finishes even if the supervisor is killed meanwhile.

    For foreign units, whose stop signal and timeout are the container's own.
    """

    unit: UnitName
    container: ContainerId
    timeout: Seconds | None
    """``None``: the container's own stop timeout."""


@dataclass(frozen=True, slots=True)
class RecreateContainer:
    """Re-create a foreign container with all of its configuration, and start it.

    ``joins``: stale container ids in its configuration, and the ids that replace them.
    """

    unit: UnitName
    container: ContainerId
    joins: tuple[tuple[ContainerId, ContainerId], ...]
    timeout: Seconds | None


@dataclass(frozen=True, slots=True)
class SayOnly:
    """Dry run: log what would be done. It stands for the orders of a step that is not taken."""

    unit: UnitName
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Tidy up a leftover of a crash. Best effort: its failure is logged and changes nothing."""

    unit: UnitName
    container: ContainerId
    why: str


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """One timer a unit: arming replaces the one before."""

    unit: UnitName
    timer: Timer
    delay: Seconds
    token: int


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Something does not fit: take a snapshot of the engine."""

    why: str


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """A ``reloadconfig`` unit has succeeded: read the configuration again and report it."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class SwapBack:
    """Remove the container that was to replace ``container``, and give that its name back."""

    unit: UnitName
    container: ContainerId
    name: str
    discards: ContainerId | None


@dataclass(frozen=True, slots=True)
class ParkContainer:
    """Stop a console that is not the chosen one, and keep it."""

    unit: UnitName
    container: ContainerId
    timeout: Seconds
    why: str


@dataclass(frozen=True, slots=True)
class CheckSwitch:
    """Find out, without touching anything, whether a switch can succeed."""

    token: int
    of: Switchable
    target: str
    force: bool
    spec: UnitSpec | None = None
    """For a console: its definition."""
    container: ContainerId | None = None
    """The container that would be the storage context; for a console, the one that runs now."""
    context: UnitName | None = None
    parked: ContainerId | None = None
    """For a console: its own container, as it was last seen."""
    keeps: bool = False
    """That container may hold a person's files, and nobody said that they may be lost."""
    lost: bool = False
    """It was removed."""
    engine: str | None = None
    """The engine that is to run in it; ``None``: none is."""


@dataclass(frozen=True, slots=True)
class KeepIntent:
    """Save what is about to be done, before the orders to this unit that follow."""

    unit: UnitName
    token: int
    of: Switchable
    origin: str
    target: str
    step: str


@dataclass(frozen=True, slots=True)
class KeepChoice:
    """Make the target the setting: atomically, and not reported before it is on disk."""

    token: int
    of: Switchable
    name: str


@dataclass(frozen=True, slots=True)
class KeepServed:
    """Note where user Docker serves: what a boot falls back to when what was chosen cannot."""

    context: UnitName
    engine: str


@dataclass(frozen=True, slots=True)
class DropIntent:
    """Forget the saved intent: the switch is over."""


@dataclass(frozen=True, slots=True)
class ArmSwitch:
    """The one timer of the one switch: arming replaces the one before."""

    delay: Seconds
    token: int


SwitchOrder: TypeAlias = CheckSwitch | KeepIntent | KeepChoice | KeepServed | DropIntent | ArmSwitch


@dataclass(frozen=True, slots=True)
class StartDaemon:
    """Start System Docker's process; one that lives already is adopted."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class SignalDaemon:
    """Send System Docker's process a signal."""

    unit: UnitName
    signal: str


Command: TypeAlias = (
    PullImage
    | PrepareContainer
    | CreateContainer
    | StartContainer
    | SignalContainer
    | ClearLeft
    | RemoveContainer
    | ArmTimer
    | RestartContainer
    | RecreateContainer
    | SayOnly
    | ParkContainer
    | SwapBack
    | TakeSnapshot
    | ReadConfig
    | StartDaemon
    | SignalDaemon
    | SwitchOrder
)
