"""Asks all gates of a point concurrently, and merges their answers. A gate that fails does not block."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from hooks.errors import in_words
from hooks.folder import Hook
from hooks.line import Count, Run
from hooks.points import Answer, Asked, Contribution, Veto
from units.records import dataclass

SLACK = 2.0
"""Seconds beyond its limit in which a gate is ended; after them it is not waited for any more."""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The merged answer of all gates."""

    vetoes: tuple[tuple[str, str], ...] = ()
    """Hook and reason; none: go on."""
    contributions: tuple[Contribution, ...] = ()

    @property
    def reason(self) -> str:
        return "; ".join(f"vetoed by {hook}: {why}" for hook, why in self.vetoes)


class Gate:
    """One gate. ``ask`` returns its answer and what it printed; raises NotToldError, ValueError: it has none."""

    def __init__(
        self, hook: Hook, ask: Callable[[Asked, float], Awaitable[tuple[Answer, str]]], count: Count, log: Any
    ) -> None:
        self.hook = hook
        self.ask = ask
        self.record = Run(hook.name, count, log)
        self._until = 0.0

    def stands_before(self, asked: Asked) -> bool:
        return any(mark.of == asked.point and fnmatchcase(asked.unit, mark.unit) for mark in self.hook.marks)

    @property
    def limit(self) -> float:
        return max(mark.timeout for mark in self.hook.marks)

    async def answer(self, asked: Asked) -> Answer:
        """Never raises: a gate that fails says yes, a strict one no."""
        now = asyncio.get_running_loop().time
        began = now()
        if began < self._until:
            return self._without(f"it rests after repeated failures: {self.record.last_error}")
        self.record.resting = False
        try:
            async with asyncio.timeout(self.limit + SLACK):
                answer, output = await self.ask(asked, self.limit)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a gate, the start goes on, or is vetoed
            why = _why(error) or f"did not end within {self.limit:g} s"
            if rest := self.record.fail(now() - began, why, on=asked.point, cause=asked.cause):
                self.record.resting, self._until = True, now() + rest
            return self._without(why)
        self.record.done(now() - began, output, "vetoed" if isinstance(answer, Veto) else "done")
        return answer

    def _without(self, why: str) -> Answer:
        return Veto(f"strict gate without an answer: {why}") if self.hook.marks[0].strict else None

    def as_dict(self) -> dict[str, Any]:
        strict = " (strict)" if self.hook.marks[0].strict else ""
        return {
            "name": self.hook.name,
            "kind": self.hook.kind,
            "events": f"gate {self.hook.asks}{strict}",
            "path": str(self.hook.path or ""),
            "waiting": 0,
            **self.record.as_dict(),
        }


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError | TimeoutError) else in_words(error)


async def ask_all(gates: Sequence[Gate], asked: Asked) -> GateVerdict:
    answers = await asyncio.gather(*(gate.answer(asked) for gate in gates))
    told = list(zip(gates, answers, strict=True))
    return GateVerdict(
        tuple((gate.hook.name, one.reason) for gate, one in told if isinstance(one, Veto)),
        tuple(one for _, one in told if isinstance(one, Contribution)),
    )
