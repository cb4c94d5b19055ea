"""What a person may have meant who wrote a word that is not known. Pure."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """``did you mean 'image'?``; empty when no known word is near. ``most``: so many guesses at most."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

    close = get_close_matches(word[:100], list(known), most)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""
