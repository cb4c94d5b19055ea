"""Times as text: as engines write them (RFC 3339 with nanoseconds), and as people ask for them.

Pure, and light: the command line loads it.

In whole numbers: a float of today's seconds has steps of 200 ns, and two lines may be closer.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SPAN = re.compile(r"([0-9]{1,9})(s|min|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_DIGITS = re.compile(r"([0-9]{1,10})(?:\.([0-9]*))?")
"""Seconds since 1970, up to the year 2286."""
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")


def nanoseconds(stamp: str) -> int | None:
    """Since 1970; ``None`` for what is no stamp."""
    if (found := _STAMP.fullmatch(stamp)) is None:
        return None
    second, fraction, zone = found.groups()
    whole = _whole(second, zone)
    return None if whole is None else whole * 10**9 + int((fraction or "").ljust(9, "0"))


@lru_cache(maxsize=1024)
def _whole(second: str, zone: str) -> int | None:
    """An engine tells the same few times of its containers again and again."""
    try:
        return int(datetime.fromisoformat(second + ("+00:00" if zone == "Z" else zone)).timestamp())
    except (ValueError, OverflowError):
        return None


def seconds(stamp: object) -> float | None:
    """Since 1970; ``None`` for what is no stamp."""
    at = nanoseconds(str(stamp))
    return None if at is None else at / 1e9


def started(stamp: object) -> float:
    """Seconds since 1970 of an engine's stamp; 0 for what is none, and for the year 1, by which engines mean none."""
    return max(seconds(stamp) or 0.0, 0.0)


def stamp(at: int) -> str:
    """Of nanoseconds since 1970, in UTC."""
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{at % 10**9:09}Z"


def as_digits(at: int) -> str:
    """Nanoseconds since 1970 as seconds with all digits, as engines and our API take them."""
    return f"{at // 10**9}.{at % 10**9:09}"


def as_iso(wall: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC with milliseconds, ``2026-01-02T03:04:05.678Z``."""
    second, micro = divmod(round(wall * 1e6), 1_000_000)
    return f"{_second(second)}.{micro // 1000:03}Z"


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    """Most lines are written in the second of the one before."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment(text: str, now: float, *, local: bool = False) -> int:
    """Nanoseconds since 1970 of a time that a person or a program asks for.

    Args:
        text: ``10m`` or ``1h30m`` (ago), a time as RFC 3339 writes it, or seconds since 1970.
        now: seconds since 1970.
        local: also a time without a zone, by this host's clock: ``02:30`` (today), ``2026-01-02T02:30``.

    Raises:
        ValueError: it is none of these.
    """
    parts = _SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        ago = sum(int(number) * _SECONDS[unit] for number, unit in parts)
        return max(round((now - ago) * 1e6), 0) * 1000
    if digits := _DIGITS.fullmatch(text):
        return int(digits[1]) * 10**9 + int((digits[2] or "")[:9].ljust(9, "0"))
    if (at := nanoseconds(text.upper())) is not None:
        return max(at, 0)
    if local and (at := _local(text, now)) is not None:
        return at
    raise ValueError(f"no time: {text[:80]}")


def _local(text: str, now: float) -> int | None:
    try:
        if clock := _CLOCK.fullmatch(text):
            hour, minute, second = (int(part or 0) for part in clock.groups())
            today = datetime.fromtimestamp(now).astimezone()
            found = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
        else:
            found = datetime.fromisoformat(text)
        return max(round(found.timestamp() * 1e6), 0) * 1000
    except (ValueError, OverflowError):
        return None
