"""Facts about the engine itself, System Docker: its process, and whether it answers. In the past tense."""

from typing import TypeAlias

from units.quantities import Seconds
from units.records import dataclass
from units.spec import UnitName


@dataclass(frozen=True, slots=True)
class DaemonAbsent:
    """No process of System Docker runs: it was looked for, or was to be sent a signal."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class DaemonStarted:
    """System Docker's process runs. Whether it answers is another fact."""

    unit: UnitName
    pid: int
    adopted: bool = False
    """A previous supervisor started it."""
    ran_for: Seconds = Seconds(0)
    """How long it had been running when this became known."""


@dataclass(frozen=True, slots=True)
class DaemonStartFailed:
    unit: UnitName
    message: str


@dataclass(frozen=True, slots=True)
class DaemonEnded:
    """System Docker's process is gone."""

    unit: UnitName
    pid: int
    exit_code: int | None
    """128 and the signal's number for a signal. ``None``: unknown, for it was not our child."""
    said: str = ""
    """The last line that it logged."""


@dataclass(frozen=True, slots=True)
class EngineAnswered:
    """The engine's event stream is open and all containers have been listed since."""

    unit: UnitName
    version: str


@dataclass(frozen=True, slots=True)
class EngineUnreachable:
    """The connection to the engine was lost, or cannot be made."""

    unit: UnitName
    reason: str


@dataclass(frozen=True, slots=True)
class EngineUnresponsive:
    """The engine's event stream is open and it does not answer calls in time."""

    unit: UnitName
    reason: str


@dataclass(frozen=True, slots=True)
class EngineStalled:
    """The event stream is open, and a look at all containers was not answered in time."""

    reason: str


DaemonEvent: TypeAlias = (
    DaemonAbsent
    | DaemonStarted
    | DaemonStartFailed
    | DaemonEnded
    | EngineAnswered
    | EngineUnreachable
    | EngineUnresponsive
)
"""What only System Docker's table answers to, beside ``DrainAsked`` and timers."""
