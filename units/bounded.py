"""Foreign text, bounded before it is looked at: whole numbers, JSON, names, and quotes of it. Pure.

What an engine, a label, a file or a request says has any length and any characters, and Python's own readers trust it:
``int`` raises beyond 4,300 digits, ``json.loads`` beyond some hundred brackets, and an expression may backtrack for
minutes. These do not: each looks at a bounded part, and says no in one way.
"""

import hashlib
import json
import math
from typing import Any, Final

LONGEST_NUMBER = 19
"""Digits of the largest integer that engines know."""
LARGEST = 2**63 - 1
LONGEST_NAME = 128
"""Characters of a name that is kept, and told in every metric."""
LONGEST_QUOTE = 80
LONGEST_SENTENCE = 1000

UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""All that decoding one foreign value may raise: the fence around a container, or an answer, expects these."""


def whole(text: str, least: int, most: int) -> int | None:
    """The number of plain digits; ``None`` for anything else, and for one out of range."""
    if len(text) > LONGEST_NUMBER or not (text.isascii() and text.isdecimal()):
        return None
    value = int(text)
    return value if least <= value <= most else None


def finite(value: Any) -> float:
    """The number of a file. Raises ValueError for what is none that one can calculate with, as ``1e999``."""
    found = float(value)
    if not math.isfinite(found):
        raise ValueError("not a finite number")
    return found


def from_json(text: str | bytes) -> Any:
    """As ``json.loads``, which also raises RecursionError; here it is ValueError, whatever is wrong."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def quoted(text: str, most: int = LONGEST_QUOTE) -> str:
    """``'text'`` for a message: its beginning, without characters that a terminal or a file would not take."""
    if (length := len(text)) > most:
        return f"'{escaped(text[:most])}...' ({length} characters)"
    return f"'{escaped(text)}'"


def shortened(text: str, most: int = LONGEST_SENTENCE) -> str:
    """The beginning of a sentence of others, and how much there was."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def escaped(text: str) -> str:
    """Control characters and lone surrogates as Python writes them."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def short_name(name: str) -> str:
    """The name; of a longer one its beginning, and a hash that keeps it different from others."""
    if len(name) <= LONGEST_NAME:
        return name
    told = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{name[: LONGEST_NAME - 13]}-{told}"
