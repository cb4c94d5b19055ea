"""Why a call to a socket failed: how far it got. Pure."""

from enum import StrEnum


class Reach(StrEnum):
    """How far a call got."""

    SERVES = "serves"
    MISSING = "missing"
    NO_SOCKET = "no socket"
    DENIED = "no permission"
    REFUSED = "refused"
    HANGS = "hangs"
    NONSENSE = "nonsense"
    BARRED = "refused on the way"
    """By a proxy or a plugin: the engine itself may serve."""
    NO_URL = "no address"
