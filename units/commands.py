"""Orders: everything the core can ask the shell to do, in the imperative. Its only output besides the new world."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from units.unit import ContainerId, Seconds, UnitName, UnitSpec


class Timer(StrEnum):
    """What a timer is for; each becomes an event of its own when it elapses."""

    RETRY = "retry"
    KILL = "kill"
    VERDICT = "verdict"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class PullImage:
    unit: UnitName
    image: str


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Make a container of this spec under its name.

    ``replaces`` is moved out of the way under ``<name>_<first 12 of its id>`` first, removed afterwards, and moved back
    when the create fails.
    """

    unit: UnitName
    spec: UnitSpec
    replaces: ContainerId | None = None


@dataclass(frozen=True, slots=True)
class StartContainer:
    unit: UnitName
    container: ContainerId


@dataclass(frozen=True, slots=True)
class SignalContainer:
    unit: UnitName
    container: ContainerId
    signal: str


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
    """Something does not fit: ask the engine how things are."""

    why: str


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """A ``reloadconfig`` unit has succeeded: read the configuration again and report it."""

    unit: UnitName


Command: TypeAlias = (
    PullImage
    | CreateContainer
    | StartContainer
    | SignalContainer
    | RemoveContainer
    | ArmTimer
    | TakeSnapshot
    | ReadConfig
)
