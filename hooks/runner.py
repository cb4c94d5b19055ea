"""Between what happens and the hooks that are told of it: a queue, a deadline and a circuit for each hook.

Nothing here is waited for by anybody: a hook that is slow, fails or hangs costs its own events, and no unit's restart.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from hooks.command import run_command
from hooks.folder import EVERYTHING_BUT, Hook, find
from hooks.happenings import Happened, happenings, sample
from hooks.notifier import Happening, NotToldError
from units.kernel import Reaction

QUEUE = 256
FAILURES, REST = 5, 60.0
"""Failures in a row after which a hook is left alone, and for how many seconds. What happens meanwhile waits."""


class Asked(Protocol):
    """The moment of a reaction: the part of it that matters here."""

    @property
    def cause(self) -> str: ...


class _Line:
    """One hook's queue, and the task that works it off, one event after the other."""

    def __init__(self, hook: Hook, count: Callable[[str, str], None], log: Any) -> None:
        self.hook = hook
        self._count = count
        self._log = log
        self._queue: deque[Happened] = deque()
        self._news = asyncio.Event()
        self._failures = 0
        self._resting = False
        self._runs = self._failed = self._dropped = 0
        self._last_error = ""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"hook:{hook.name}")

    def wants(self, name: str) -> bool:
        return fnmatchcase(name, self.hook.asks_for) if self.hook.asks_for else name != EVERYTHING_BUT

    def put(self, event: Happened) -> None:
        if len(self._queue) >= QUEUE:
            self._queue.popleft()
            self._dropped += 1
            self._count(self.hook.name, "dropped")
        self._queue.append(event)
        self._news.set()

    def close(self) -> asyncio.Task[None]:
        """Returns the task, which is about to end."""
        self._task.cancel()
        return self._task

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.hook.name,
            "events": self.hook.asks_for or f"all but {EVERYTHING_BUT}",
            "path": str(self.hook.path),
            "state": "resting" if self._resting else "ready",
            "runs": self._runs,
            "failed": self._failed,
            "dropped": self._dropped,
            "waiting": len(self._queue),
            "last_error": self._last_error or None,
        }

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            event = self._queue.popleft()
            if not self._queue:
                self._news.clear()
            await self.tell(event)
            if self._failures >= FAILURES:
                self._log.warning("hook.resting", hook=self.hook.name, seconds=REST, error=self._last_error)
                self._resting = True
                await asyncio.sleep(REST)
                self._resting = False

    async def tell(self, event: Happened) -> str:
        """Returns what went wrong, in words; empty: nothing."""
        self._runs += 1
        try:
            await run_command([str(self.hook.path)], event.environment(), event.as_json())
        except NotToldError as error:
            self._failures += 1
            self._failed += 1
            self._last_error = str(error)
            self._count(self.hook.name, "failed")
            self._log.warning("hook.failed", hook=self.hook.name, on=event.name, error=str(error), cause=event.cause)
            return str(error)
        self._failures = 0
        self._count(self.hook.name, "done")
        return ""


class Hooks:
    """An observer. ``count``: told of each run's end by hook and outcome; ``wall``: seconds since 1970."""

    def __init__(self, folder: Path, count: Callable[[str, str], None], log: Any, wall: Callable[[], float]) -> None:
        self._folder = folder
        self._count = count
        self._log = log
        self._wall = wall
        self._lines: dict[str, _Line] = {}
        self.reload()

    def reload(self) -> None:
        """Look again which hooks there are. Those that stay keep what waits for them."""
        found = find(self._folder)
        for name, why in found.refused:
            self._log.warning("hook.refused", hook=name, reason=why)
        wanted = {hook.name: hook for hook in found.hooks}
        for name in self._lines.keys() - wanted.keys():
            self._lines.pop(name).close()
        for name in wanted.keys() - self._lines.keys():
            self._lines[name] = _Line(wanted[name], self._count, self._log)
        if wanted:
            self._log.info("hooks.found", hooks=len(wanted), folder=str(self._folder))

    def observe(self, entry: Happening, moment: Asked, reaction: Reaction) -> None:
        if not self._lines:
            return
        for event in happenings(entry.event, reaction, moment.cause, self._wall()):
            for line in self._lines.values():
                if line.wants(event.name):
                    line.put(event)

    def listed(self) -> list[dict[str, Any]]:
        return [self._lines[name].as_dict() for name in sorted(self._lines)]

    async def test(self, event: str, unit: str) -> list[dict[str, str]]:
        """Tell every hook that asks for it of an event that did not happen. Raises KeyError: no such event."""
        told = sample(event, unit, self._wall())
        lines = [self._lines[name] for name in sorted(self._lines) if self._lines[name].wants(event)]
        said = await asyncio.gather(*(line.tell(told) for line in lines))
        return [{"hook": line.hook.name, "error": error} for line, error in zip(lines, said, strict=True)]

    async def close(self) -> None:
        """End what runs, with all that it started; what waits is not told any more."""
        ended = [line.close() for line in self._lines.values()]
        await asyncio.gather(*ended, return_exceptions=True)
