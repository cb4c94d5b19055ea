"""A circuit breaker: receivers of notices, hooks and gates that keep failing rest for a while."""

FAILURES, REST = 5, 60.0
"""Consecutive failures after which it rests, and for how many seconds. Events wait meanwhile."""


class Circuit:
    """Counts failures in a row."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self) -> float:
        """Seconds to rest now; 0: none."""
        self.failures += 1
        return REST if self.failures >= FAILURES else 0.0

    def worked(self) -> int:
        """Reset it; returns the number of failures before."""
        failures, self.failures = self.failures, 0
        return failures
