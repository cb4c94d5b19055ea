"""One hook: its queue of events, its circuit breaker, and its statistics."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hooks.backlog import Backlog
from hooks.circuit import Circuit
from hooks.errors import in_words
from hooks.folder import EVERYTHING_BUT, Hook
from hooks.happenings import Happened

QUEUE = 256

Count = Callable[[str, str, float], None]
"""Called at each run's end: hook, outcome, and duration in seconds."""


class Run:
    """A hook's statistics, and whether it rests. Each run is counted and logged."""

    def __init__(self, name: str, count: Count, log: Any) -> None:
        self.name = name
        self.resting = False
        self.runs = self.failed = self.dropped = self.vetoes = 0
        self.last_error = self.last_output = ""
        self._circuit = Circuit()
        self._count = count
        self._log = log

    def done(self, took: float, output: str, outcome: str = "done") -> None:
        self.runs += 1
        self._circuit.worked()
        self.last_output = output
        if outcome == "vetoed":
            self.vetoes += 1
        self._count(self.name, outcome, took)

    def fail(self, took: float, error: str, *, on: str, cause: str) -> float:
        """Returns for how many seconds it is to rest now."""
        self.runs += 1
        self.failed += 1
        self.last_error = error
        self._count(self.name, "failed", took)
        self._log.warning("hook.failed", hook=self.name, on=on, error=error, cause=cause)
        if rest := self._circuit.failed():
            self._log.warning("hook.resting", hook=self.name, seconds=rest, error=error)
        return rest

    def drop(self) -> None:
        self.dropped += 1
        self._count(self.name, "dropped", 0.0)

    def as_dict(self) -> dict[str, Any]:
        return {
            "state": "resting" if self.resting else "ready",
            "runs": self.runs,
            "failed": self.failed,
            "dropped": self.dropped,
            "vetoes": self.vetoes,
            "last_error": self.last_error or None,
            "last_output": self.last_output or None,
        }


class HookQueue:
    """A hook's queue, and the task that works it off, one event after the other.

    ``run`` returns what the hook printed, and raises NotToldError for what went wrong.
    """

    def __init__(self, hook: Hook, run: Callable[[Happened], Awaitable[str]], count: Count, log: Any) -> None:
        self.hook = hook
        self.run = run
        self.record = Run(hook.name, count, log)
        self._queue = Backlog[Happened](QUEUE)
        self._task = asyncio.get_running_loop().create_task(self._work(), name=f"hook:{hook.name}")

    def put(self, event: Happened) -> None:
        if not self._queue.put(event):
            self.record.drop()

    def close(self) -> asyncio.Task[None]:
        """Returns the task, which is about to end."""
        self._task.cancel()
        return self._task

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.hook.name,
            "kind": self.hook.kind,
            "events": self.hook.asks or f"all but {EVERYTHING_BUT}",
            "path": str(self.hook.path or ""),
            "waiting": len(self._queue),
            **self.record.as_dict(),
        }

    async def _work(self) -> None:
        while await self._queue.wait():
            _, rest = await self._pass_on(self._queue.take())
            if rest:
                self.record.resting = True
                await asyncio.sleep(rest)
                self.record.resting = False

    async def tell(self, event: Happened) -> str:
        """Returns what went wrong, in words; empty: nothing."""
        error, _ = await self._pass_on(event)
        return error

    async def _pass_on(self, event: Happened) -> tuple[str, float]:
        now = asyncio.get_running_loop().time
        began = now()
        try:
            output = await self.run(event)
        except Exception as error:  # noqa: BLE001 - a hook's defect must not end its line for good
            told = in_words(error)
            return told, self.record.fail(now() - began, told, on=event.name, cause=event.cause)
        self.record.done(now() - began, output)
        return "", 0.0
