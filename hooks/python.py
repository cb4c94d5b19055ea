"""Keeps the one process of Python hooks: starts it when it is needed, and finds out which hook has ended it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hooks.interpreter import Ended, GoneError, ImportDiedError, Interpreter, Loaded
from hooks.notifier import NotToldError

ATTEMPTS = 3
"""Processes that a call may see end before it is given up."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where Python hooks come from."""

    files: Mapping[str, Path] = field(default_factory=dict)
    entry_points: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.entry_points)

    def without(self, name: str) -> "Source":
        files = {key: path for key, path in self.files.items() if key != name}
        return Source(files, tuple(point for point in self.entry_points if point != name))


class PythonHooks:
    """What is in ``source``. A file whose import ends the process, or hangs, is refused, and the others go on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._refused: dict[str, str] = {}
        self._child: Interpreter | None = None
        self._leaving: list[Interpreter] = []
        """Of before, as far as they may still be there."""
        self._starting = asyncio.Lock()
        self._turns = asyncio.Condition()
        self._running = 0
        self._alone = False

    async def load(self) -> Loaded:
        """Start the process. Raises NotToldError: there can be none."""
        async with self._starting:
            return await self._start()

    async def _start(self) -> Loaded:
        while True:
            try:
                child, loaded = await Interpreter.start(self._source.files, self._source.entry_points)
            except ImportDiedError as error:
                if not error.name:
                    raise NotToldError(str(error)) from error
                self._refused[error.name] = str(error)
                self._source = self._source.without(error.name)
                continue
            if self._child is not None:
                self._child.retire()
                self._leaving = [one for one in (*self._leaving, self._child) if not one.closed]
            self._child = child
            return Loaded(loaded.hooks, (*loaded.refused, *self._refused.items()))

    async def call(self, hook: str, told: Mapping[str, Any], limit: float) -> Ended:
        """Raises NotToldError: it failed, and it was this hook that did.

        A process that ends has usually one call in it, and that is charged. Of several each is made once more, alone.
        """
        alone = False
        for _ in range(ATTEMPTS):
            await self._enter(alone=alone)
            try:
                child = await self._living()
                return await child.call(hook, told, limit)
            except GoneError as error:
                if error.suspects == 1:
                    raise NotToldError(str(error)) from error
                alone = alone or error.suspects > 1
            finally:
                await self._leave()
        raise NotToldError("other hooks ended the process each time")

    async def _living(self) -> Interpreter:
        async with self._starting:
            if self._child is None or not self._child.alive:
                await self._start()
            assert self._child is not None
            return self._child

    async def _enter(self, *, alone: bool) -> None:
        async with self._turns:
            await self._turns.wait_for(lambda: not self._alone and (not alone or not self._running))
            self._running += 1
            self._alone = alone

    async def _leave(self) -> None:
        async with self._turns:
            self._running -= 1
            if not self._running:
                self._alone = False
            self._turns.notify_all()

    async def close(self) -> None:
        await asyncio.gather(*(child.end() for child in (self._child, *self._leaving) if child is not None))

    def retire(self) -> None:
        """Another one takes its place; what runs may end."""
        if self._child is not None:
            self._child.retire()

    @property
    def closed(self) -> bool:
        return all(child.closed for child in (self._child, *self._leaving) if child is not None)
