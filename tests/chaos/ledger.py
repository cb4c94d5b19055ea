"""What was really done to the host, and what should come of it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from tests.chaos.kinds import Kind
from tests.chaos.plan import Injection

SOON = 2.0
"""Seconds within which two things may have ended one and the same run."""
Say = Callable[[str], None]
MARGIN = 3.0
"""Seconds before and after an outage in which what happens to a unit may be told late, or as something else."""


def silent(_line: str) -> None:
    """Nobody listens."""


class Wish(Enum):
    RUNS = "runs"
    DOWN = "stays down"
    UNSURE = "runs or stays down"
    """A person's command was not answered, or may not have been heard."""


class Of(Enum):
    ENGINE = "engine"
    SUPERVISOR = "supervisor"


@dataclass(slots=True)
class Outage:
    of: Of
    began: float
    ended: float = float("inf")

    def covers(self, moment: float) -> bool:
        return self.began - MARGIN <= moment <= self.ended + MARGIN


@dataclass(slots=True)
class Account:
    """One unit's."""

    wish: Wish = Wish.RUNS
    done: list[tuple[float, Kind]] = field(default_factory=list)
    """What ended a run of it or began one: when, and what."""
    blurred: bool = False
    """Its counters cannot be foretold exactly, for another reason than an outage."""


class Ledger:
    """Written by many threads."""

    def __init__(self, units: tuple[str, ...], say: Say = silent) -> None:
        self._say = say
        self.accounts = {unit: Account() for unit in units}
        self.outages: list[Outage] = []
        self.lines: list[str] = []
        """What became of each injection."""
        self.faults: list[str] = []
        """What went wrong in carrying one out."""
        self._lock = threading.Lock()
        self._began = time.monotonic()

    @contextlib.contextmanager
    def outage(self, of: Of) -> Iterator[None]:
        one = Outage(of, time.monotonic())
        with self._lock:
            self.outages.append(one)
        try:
            yield
        finally:
            one.ended = time.monotonic()

    def hides(self, moment: float, of: Of | None = None) -> bool:
        """Whether an outage (of this) lay around that moment."""
        return any(one.covers(moment) for one in self.outages if of is None or one.of is of)

    def did(self, unit: str, kind: Kind) -> None:
        """It ended a run of the unit, or began one."""
        with self._lock:
            account, now = self.accounts[unit], time.monotonic()
            if account.done and now - account.done[-1][0] < SOON:
                account.blurred = True
            account.done.append((now, kind))

    def wish(self, unit: str, wish: Wish, asked: float | None = None) -> None:
        """A person's command was carried out; one through an engine that may not have told it is unsure.

        ``asked``: when it was given: it may have waited for the engine, which then tells it half (465, 474).
        """
        with self._lock:
            moments = (time.monotonic(), *(() if asked is None else (asked,)))
            heard = wish is Wish.RUNS or not any(self.hides(moment, Of.ENGINE) for moment in moments)
            self.accounts[unit].wish = wish if heard else Wish.UNSURE

    def forget_stops(self) -> None:
        """The engine's own policy "always" starts what a person stopped, when the engine comes back."""
        for account in self.accounts.values():
            if account.wish is Wish.DOWN:
                account.wish = Wish.UNSURE

    def blur(self, *units: str) -> None:
        for unit in units or self.accounts:
            self.accounts[unit].blurred = True

    def doubt(self, *units: str) -> None:
        """They may have finished: their engine ends them with 0, and may be killed before it tells that it did."""
        for unit in units:
            self.accounts[unit].wish = Wish.UNSURE

    def note(self, injection: Injection, outcome: str) -> None:
        with self._lock:
            self.lines.append(f"{time.monotonic() - self._began:6.1f}  {injection}: {outcome}")
            self._say(self.lines[-1])

    def exact(self, unit: str) -> bool:
        """Whether all that was done to the unit could be seen as it was."""
        account = self.accounts[unit]
        return not account.blurred and not any(self.hides(moment) for moment, _ in account.done)
