"""Keeps the process of Python hooks: starts it on demand, and isolates a hook that has ended it."""

import asyncio
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from hooks.errors import NotToldError
from hooks.interpreter import Ended, GoneError, HungError, ImportDiedError, Interpreter, Loaded
from units.records import dataclass

ATTEMPTS = 3
"""Processes that a call may see end, each for what another one did, before it gets one of its own."""
KILLING = 3.0
"""Seconds beyond its limit in which an executable is killed with all that it started."""
APART = 4
"""Processes of their own at a time."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where Python hooks come from."""

    files: Mapping[str, Path] = field(default_factory=dict)
    entry_points: tuple[str, ...] = ()

    def without(self, name: str) -> "Source":
        files = {key: path for key, path in self.files.items() if key != name}
        return Source(files, tuple(point for point in self.entry_points if point != name))

    def only(self, name: str) -> "Source":
        files = {key: path for key, path in self.files.items() if key == name}
        return Source(files, tuple(point for point in self.entry_points if point == name))


class PythonHooks:
    """What is in ``source``. A file whose import ends the process, or hangs, is refused, and the others go on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._refused: dict[str, str] = {}
        self._child: Interpreter | None = None
        self._leaving: list[Interpreter] = []
        """Those of before, and those of single calls, as far as they may still be there."""
        self._starting = asyncio.Lock()
        self._apart = asyncio.Semaphore(APART)
        self._distrusted: set[str] = set()
        """Hooks whose last call hung, or ended its process: the next one has a process of its own."""

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
            self.retire()
            self._child = child
            return Loaded(loaded.hooks, (*loaded.refused, *self._refused.items()))

    async def call(self, hook: str, told: Mapping[str, Any], limit: float) -> Ended:
        """Raises NotToldError: it failed, and it was this hook that did.

        A call that sees the process end for what another one did is made again. Where it is not known which one it was,
        each is made again in a process of its own.
        """
        return await self._do(hook, {"hook": hook, "told": told}, limit)

    async def run(self, path: str, environment: Mapping[str, str], text: str, limit: float) -> Ended:
        """An executable; ``answer`` is its exit code. Raises NotToldError.

        Its start is a fork, for which the caller waits until the new program runs: on a busy host that is long.
        """
        message = {"words": [path], "environment": dict(environment), "text": text, "limit": limit}
        return await self._do(path, message, limit + KILLING)

    async def _do(self, hook: str, message: Mapping[str, Any], limit: float) -> Ended:
        for _ in range(0 if hook in self._distrusted else ATTEMPTS):
            child = await self._living()
            try:
                return await child.call(message, limit)
            except HungError:
                self._distrusted.add(hook)
                raise
            except GoneError as error:
                if error.suspects == 1:
                    self._distrusted.add(hook)
                    raise NotToldError(str(error)) from error
                if error.suspects:
                    break
        return await self._do_apart(hook, message, limit)

    async def _do_apart(self, hook: str, message: Mapping[str, Any], limit: float) -> Ended:
        source = self._source.only(hook.partition(":")[0])
        async with self._apart:
            try:
                child, _ = await Interpreter.start(source.files, source.entry_points)
            except ImportDiedError as error:
                raise NotToldError(str(error)) from error
            self._leaving = [one for one in (*self._leaving, child) if not one.closed]
            self._distrusted.add(hook)
            try:
                ended = await child.call(message, limit)
            except GoneError as error:
                raise NotToldError(str(error)) from error
            except HungError:
                raise
            except NotToldError:
                self._distrusted.discard(hook)
                raise
            finally:
                await child.end()
        self._distrusted.discard(hook)
        return ended

    async def _living(self) -> Interpreter:
        async with self._starting:
            if self._child is None or not self._child.alive:
                await self._start()
            assert self._child is not None
            return self._child

    async def close(self) -> None:
        await asyncio.gather(*(child.end() for child in (self._child, *self._leaving) if child is not None))

    def retire(self) -> None:
        """Another one takes its place; what runs may end."""
        if self._child is not None:
            self._child.retire()
            self._leaving = [one for one in (*self._leaving, self._child) if not one.closed]

    @property
    def closed(self) -> bool:
        return all(child.closed for child in (self._child, *self._leaving) if child is not None)
