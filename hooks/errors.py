"""Errors of notifications and hooks."""


class NotToldError(Exception):
    """A receiver or a hook failed; the text says why, and contains no secret."""


Guarded = tuple[tuple[str, str], ...] | None
"""Points, and patterns of the names of units, before which gates stand; ``None``: that is not known yet."""


class UnknownHookError(Exception):
    """There is no hook of this name; the text lists the hooks."""


def in_words(error: Exception) -> str:
    """The message of an exception; for unexpected ones with the type."""
    return str(error) if isinstance(error, NotToldError) else f"{type(error).__name__}: {error}"
