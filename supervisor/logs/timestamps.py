"""Times as engines write them: RFC 3339 with nanoseconds. Pure, and light: the command line loads it.

In whole numbers: a float of today's seconds has steps of 200 ns, and two lines may be closer.
"""

import re
from datetime import UTC, datetime

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
