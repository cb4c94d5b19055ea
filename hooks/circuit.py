"""When one that keeps failing is left alone for a while: receivers of notices, hooks, gates."""

FAILURES, REST = 5, 60.0
"""Failures in a row after which it rests, and for how many seconds. What happens meanwhile waits."""


class Circuit:
    """Counts failures in a row."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self) -> float:
        """Seconds to rest now; 0: none."""
        self.failures += 1
        return REST if self.failures >= FAILURES else 0.0

    def worked(self) -> int:
        """How many failures that ends."""
        failures, self.failures = self.failures, 0
        return failures
