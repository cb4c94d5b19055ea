"""Times as engines write them: RFC 3339 with nanoseconds. Pure, and light: the command line loads it.

In whole numbers: a float of today's seconds has steps of 200 ns, and two lines may be closer.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def nanoseconds(stamp: str) -> int | None:
    """Since 1970; ``None`` for what is no stamp."""
    if (found := _STAMP.fullmatch(stamp)) is None:
        return None
    seconds, fraction, zone = found.groups()
    try:
        whole = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        return None
    return int(whole.timestamp()) * 10**9 + int((fraction or "").ljust(9, "0"))


def stamp(at: int) -> str:
    """Of nanoseconds since 1970, in UTC."""
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{at % 10**9:09}Z"


def as_iso(wall: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC with milliseconds, ``2026-01-02T03:04:05.678Z``."""
    second, micro = divmod(round(wall * 1e6), 1_000_000)
    return f"{_second(second)}.{micro // 1000:03}Z"


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    """Most lines are written in the second of the one before."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S")


SPAN = re.compile(r"([0-9]{1,9})(s|min|m|h|d|w)")


SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def moment(text: str, now: float) -> float:
    """Seconds since 1970 of ``10m``, ``1h30m`` (ago), or a time as RFC 3339 writes it.

    Raises:
        ValueError: it is neither.
    """
    parts = SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now - sum(int(number) * SECONDS[unit] for number, unit in parts)
    if TIME.fullmatch(text) is None:
        raise ValueError(f"no span and no time: {text}")
    return datetime.fromisoformat(text.upper()).timestamp()
