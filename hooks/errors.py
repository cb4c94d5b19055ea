"""The one way in which telling somebody fails."""


class NotToldError(Exception):
    """A receiver, or a hook, did not take what it was told; the text says why, and holds no secret."""


Guarded = tuple[tuple[str, str], ...] | None
"""Points, and patterns of the names of units, before which gates stand; ``None``: that is not known yet."""


class UnknownHookError(Exception):
    """There is no hook of this name; the text says which there are."""


def in_words(error: Exception) -> str:
    """A defect of what was called is named by its kind, too."""
    return str(error) if isinstance(error, NotToldError) else f"{type(error).__name__}: {error}"
