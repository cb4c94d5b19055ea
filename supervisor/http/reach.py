"""Why a call to a socket failed: how far it got. Pure."""

from enum import StrEnum


class Reach(StrEnum):
    """How far a call to a unix socket got."""

    SERVES = "serves"
    MISSING = "missing"
    NO_SOCKET = "no socket"
    DENIED = "no permission"
    REFUSED = "refused"
    HANGS = "hangs"
    NONSENSE = "nonsense"
    NO_URL = "no unix socket's URL"
