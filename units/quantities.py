"""Time, as the core knows it: two kinds of seconds that must not be mixed up."""

from typing import NewType

Seconds = NewType("Seconds", float)
"""A duration."""
Instant = NewType("Instant", float)
"""A moment of the monotonic clock, in seconds. Only differences mean anything."""

NEVER = Instant(float("-inf"))
