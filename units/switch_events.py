"""Facts about a switch of the console, the storage context or user Docker's engine. In the past tense."""

from typing import TypeAlias

from units.records import dataclass
from units.spec import Switchable


@dataclass(frozen=True, slots=True)
class SwitchAsked:
    """A person asks for another console, storage context or engine for user Docker."""

    of: Switchable
    target: str
    request: int = 0
    force: bool = False
    """Also while the console is in use."""
    anew: bool = False
    """For the present console: in a new container."""
    empty: bool = False
    """Also when its own container was removed, so that it is a new and empty one."""


@dataclass(frozen=True, slots=True)
class SwitchChecked:
    """The check before a switch is done. ``refusals``: why the switch would fail, in words; empty: it may begin."""

    token: int
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceKept:
    """The setting is on disk: from here on the target is what the host boots with."""

    token: int


@dataclass(frozen=True, slots=True)
class ChoiceLost:
    """The intent, or the setting, could not be written."""

    token: int
    message: str


@dataclass(frozen=True, slots=True)
class SwitchDue:
    """A step of a switch has timed out."""

    token: int


@dataclass(frozen=True, slots=True)
class UnitsMoved:
    """Pushed by the core after each event while a switch is in progress."""


SwitchEvent: TypeAlias = SwitchAsked | SwitchChecked | ChoiceKept | ChoiceLost | SwitchDue | UnitsMoved
"""What the table of a switch answers to."""
