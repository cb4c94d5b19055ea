"""Why the system refused something, as a sentence: what could not be done, the system's reason, and the way out."""

import errno
import os
from collections.abc import Mapping

_ADVICE = {
    errno.ENOSPC: "free some space there, or {}",
    errno.EDQUOT: "free some space there, or {}",
    errno.EROFS: "make it writable, or {}",
    errno.EACCES: "run as root, or {}",
    errno.EPERM: "run as root, or {}",
    errno.ENOTDIR: "{}",
    errno.EISDIR: "{}",
    errno.ELOOP: "{}",
    errno.ENAMETOOLONG: "{}",
}


def why(error: Exception) -> str:
    """The system's words. Event loops and libraries word the same refusal in their own ways."""
    if type(error).__module__ == "ssl":  # Its numbers are other ones, and its text says more.
        return str(error)
    code = getattr(error, "errno", None)
    if isinstance(code, int) and code > 0:
        return os.strerror(code)
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def reason(error: Exception) -> str:
    """As ``why``, to stand within a sentence."""
    said = why(error)
    return said[:1].lower() + said[1:]


def cannot(what: str, error: OSError, elsewhere: str, advice: Mapping[int, str] | None = None) -> str:
    """``cannot write /x: No space left on device; free some space there, or choose another --state-dir``.

    Args:
        what: verb and object.
        error: the refusal.
        elsewhere: how the place is avoided, such as ``choose another --state-dir``.
        advice: by error number, where this place has another way out than is usual; ``{}`` stands for ``elsewhere``.
    """
    code = error.errno or 0
    found = (advice or {}).get(code) or _ADVICE.get(code, "look at the disk, or {}")
    return f"cannot {what}: {why(error)}; {found.format(elsewhere)}"
