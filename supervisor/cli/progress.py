"""Shows progress while a command waits: one changing line on a terminal, otherwise one line for each change.

Nothing is shown for what takes less than two seconds: a start that goes well takes one, to be seen to last.
"""

import sys
import threading
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self

from supervisor.http.client import Client, RefusedError, UnreachableError
from supervisor.logs.timestamps import seconds
from supervisor.views.text import Screen, clean, lasted

if TYPE_CHECKING:
    from types import TracebackType

QUIET = 2.0
"""Seconds without anything shown."""
TICK = 1.0
"""Seconds between two looks at the clock, for "pulling for 12 s"."""


class Progress:
    """``with`` it around a call that waits; on standard error, so that what is printed at the end stays alone."""

    def __init__(self, client: Client, units: Collection[str], screen: Screen | None = None) -> None:
        self._client = client
        self._units = units
        self._screen = Screen(sys.stderr) if screen is None else screen
        self._over = threading.Event()
        self._states: dict[str, tuple[str, float]] = {}
        self._writing = threading.Lock()
        self._shown = False

    def __enter__(self) -> Self:
        # Daemons: they may sit in a read when the command is over.
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: "TracebackType | None"
    ) -> None:
        with self._writing:
            self._over.set()
            if self._shown and self._screen.terminal:
                self._screen.stream.write("\r\033[K")
                self._screen.flush()

    def _watch(self) -> None:
        if self._over.wait(QUIET):
            return
        try:
            for row in self._client.get("units"):
                began = seconds(row["since"])
                past = 0.0 if began is None else time.time() - began
                self._take(str(row["name"]), f"{row['state']}: {row['reason']}", past)
            if self._screen.terminal:
                threading.Thread(target=self._tick, daemon=True).start()
            for event in self._client.stream("events", follow=1, tail=0):
                if self._over.is_set():
                    return
                self._take(str(event.get("unit", "")), said(event))
        except (UnreachableError, RefusedError):
            return  # The command itself will say so.

    def _take(self, unit: str, now: str, past: float = 0) -> None:
        """``past``: seconds for which it has been so."""
        if unit in self._units and now:
            self._states[unit] = (now, time.monotonic() - past)
            self._show(unit)

    def _tick(self) -> None:
        while not self._over.wait(TICK):
            self._show("")

    def _show(self, unit: str) -> None:
        with self._writing:
            if self._over.is_set():
                return
            self._shown = True
            if self._screen.terminal:
                self._screen.stream.write("\r\033[K" + self._screen.fit(self._line()))
            else:
                self._screen.line(f"{clean(unit)}: {clean(self._states[unit][0])}")
            self._screen.flush()

    def _line(self) -> str:
        """The unit that changed last, and the number of others that are still waited for."""
        unit, (now, at) = max(self._states.items(), key=lambda one: one[1][1])
        more = f" (and {len(self._states) - 1} more)" if len(self._states) > 1 else ""
        return f"{clean(unit)}{more}, for {lasted(time.monotonic() - at)}: {clean(now)}"


def said(event: Mapping[str, Any]) -> str:
    """The progress that a record reports; empty when it reports none."""
    if event.get("event") == "unit.transition":
        return f"{event.get('after')}: {event.get('reason', '')}"
    return str(event.get("reason", "")) if event.get("event") == "switch.step" else ""
