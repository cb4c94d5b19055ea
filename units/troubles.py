"""What the host has to do without, though it runs: each trouble is a sentence in the world until it is over. Pure."""

from enum import StrEnum

from units.records import dataclass


class Concern(StrEnum):
    """What a trouble is about: a closed set, a metric's label. The host runs on in spite of each."""

    STATE = "state"
    """What must outlive this supervisor cannot be read or saved."""
    CONFIGURATION = "configuration"
    """The configuration on disk is refused; another one is in force, or only a part of it."""
    CHOICE = "choice"
    """What was chosen for this boot cannot serve; what served last is in its place."""
    RESTART = "restart"
    """The configuration in force has settings that only count from the next start of the supervisor."""


@dataclass(frozen=True, slots=True)
class TroubleTold:
    """Something of the host does not work, as it was found; an empty reason: it works again."""

    of: Concern
    reason: str
