"""The host as a whole: what it has to do without, though it runs, and what of its configuration is in force. Pure.

Each trouble is a sentence in the world until it is over.
"""

from enum import StrEnum

from units.quantities import Seconds
from units.records import dataclass


class Concern(StrEnum):
    """What a trouble is about: a closed set, a metric's label. The host runs on in spite of each."""

    STATE = "state"
    """What must outlive this supervisor cannot be read or saved."""
    CONFIGURATION = "configuration"
    """The configuration on disk is refused; another one is in force, or only a part of it."""
    CHOICE = "choice"
    """What was chosen for this boot cannot serve; what served last is in its place."""
    ORPHANS = "orphans"
    """Containers of units that the configuration no longer has run on; nobody looks after them."""
    ACCESS = "access"
    """A proxy or a plugin before the engine refuses calls; what needs them is not done."""
    NOTICES = "notices"
    """Somebody who should get notices gets none: an address or a command makes no sense."""
    RESTART = "restart"
    """The configuration in force has settings that only count from the next start of the supervisor."""


class Reload(StrEnum):
    """What became of the configuration that was read last."""

    IN_FORCE = "in-force"
    WAITING = "waiting-for-the-switch"
    """A switch is under way; at its end, however it ends, the configuration is read again."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Timing:
    """Limits of the whole host, from ``rancher.supervisor``."""

    period: Seconds = Seconds(30)
    """Between two snapshots when nothing else requests one."""
    shutdown: Seconds = Seconds(60)
    """Deadline of a shutdown, for all units together."""


@dataclass(frozen=True, slots=True)
class TroubleTold:
    """Something of the host does not work, as it was found; an empty reason: it works again."""

    of: Concern
    reason: str
