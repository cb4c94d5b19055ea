"""The choices made at run time, and the switch under way: one small file, replaced atomically.

A choice overrides the configured value and is void once that value changes: the last decision wins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from supervisor.state.file import StateError
from supervisor.state.writer import Store
from units.spec import Switchable, UnitName

__all__ = ["Choices", "StateError"]


class Choices:
    """``configured``: what the configuration says, by what can be switched."""

    def __init__(
        self,
        store: Store,
        configured: Mapping[Switchable, str],
        in_thread: Callable[..., Awaitable[None]] = asyncio.to_thread,
    ) -> None:
        self._store = store
        self._in_thread = in_thread
        self._configured = dict(configured)
        self._saved: dict[str, Any] = _sound(store.load() or {})
        self._turn = asyncio.Lock()

    def configure(self, configured: Mapping[Switchable, str]) -> None:
        """The configuration was read again."""
        self._configured = dict(configured)

    def chosen(self, of: Switchable) -> str:
        """The choice, else the configured value."""
        match self._saved.get("choices"):
            case {of.value: {"name": str(name), "over": str(over)}} if over == self._configured[of]:
                return name
            case _:
                return self._configured[of]

    @property
    def interrupted(self) -> Mapping[str, str] | None:
        """The switch that the last supervisor did not finish."""
        intent = self._saved.get("intent")
        return intent if isinstance(intent, dict) else None

    async def choose(self, of: Switchable, name: str) -> None:
        """Raises StateError; then the file is as it was."""
        async with self._turn:
            choices = dict(self._saved.get("choices") or {})
            choices.pop(of.value, None)
            if name != self._configured[of]:
                choices[of.value] = {"name": name, "over": self._configured[of]}
            await self._save({**self._saved, "choices": choices})

    @property
    def served(self) -> tuple[UnitName, str] | None:
        """The storage context and the engine with which user Docker served last."""
        match self._saved.get("served"):
            case {"context": str(context), "engine": str(engine)}:
                return UnitName(context), engine
            case _:
                return None

    async def serve(self, context: UnitName, engine: str) -> None:
        """Raises StateError."""
        async with self._turn:
            await self._save({**self._saved, "served": {"context": context, "engine": engine}})

    async def intend(self, intent: Mapping[str, str]) -> None:
        """Raises StateError."""
        async with self._turn:
            await self._save({**self._saved, "intent": dict(intent)})

    async def drop_intent(self) -> None:
        """Raises StateError."""
        async with self._turn:
            if "intent" in self._saved:
                await self._save({key: value for key, value in self._saved.items() if key != "intent"})

    async def _save(self, content: dict[str, Any]) -> None:
        await self._in_thread(self._store.save, content)
        self._saved = content


INTENT = ("of", "origin", "target", "step")


def _sound(saved: Mapping[str, Any]) -> dict[str, Any]:
    """What of a file makes sense; the rest was never chosen."""
    choices, intent, served = saved.get("choices"), saved.get("intent"), saved.get("served")
    found: dict[str, Any] = {}
    if isinstance(choices, dict):
        found["choices"] = {of: choice for of, choice in choices.items() if _all_text(choice, ("name", "over"))}
    if _all_text(intent, INTENT):
        found["intent"] = intent
    if _all_text(served, ("context", "engine")):
        found["served"] = served
    return found


def _all_text(value: object, keys: tuple[str, ...]) -> bool:
    return isinstance(value, dict) and value.keys() == set(keys) and all(isinstance(one, str) for one in value.values())
