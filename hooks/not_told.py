"""The one way in which telling somebody fails."""


class NotToldError(Exception):
    """A receiver, or a hook, did not take what it was told; the text says why, and holds no secret."""
