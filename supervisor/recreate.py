"""Makes a foreign container anew, step by step, so that at no step anything is lost.

The old one keeps its place until the new one runs: it is only renamed, as Compose renames what it replaces. What goes
wrong before that puts everything back. Being killed in between is survived too: what is under way is written down
first, and the next supervisor finishes it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.engine import Engine, EngineError, Replica
from supervisor.keeper import Store
from supervisor.replica import SHORT
from supervisor.state import StateError
from units.quantities import Seconds
from units.unit import ContainerId, Failure


class Recreations:
    """``store``: where it is written down what is under way."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        log: FilteringBoundLogger,
        in_thread: Callable[..., Awaitable[None]] = asyncio.to_thread,
    ) -> None:
        self._engine = engine
        self._store = store
        self._log = log
        self._in_thread = in_thread
        self._under_way: dict[str, dict[str, Any]] = dict((store.load() or {}).get("recreations") or {})
        self._turn = asyncio.Lock()

    async def recreate(
        self, container: ContainerId, joins: Mapping[ContainerId, ContainerId], grace: Seconds | None
    ) -> ContainerId:
        """The new container, which runs. Raises EngineError; then all is as it was."""
        wanted = await self._engine.replica(container, joins)
        await self._note(wanted.name, {"old": container, "running": wanted.running})
        try:
            new = await self._replace(container, wanted, grace)
        finally:
            await self._note(wanted.name, None)
        self._log.info("container.recreated", container=new[:12], replaces=container[:12], name=wanted.name)
        return new

    async def _replace(self, old: ContainerId, wanted: Replica, grace: Seconds | None) -> ContainerId:
        await self._engine.rename(old, f"{old[:SHORT]}_{wanted.name}")
        new: ContainerId | None = None
        try:
            new = await self._engine.create(wanted.name, wanted.body)
            for network, endpoint in wanted.networks:
                await self._engine.connect(network, new, endpoint)
            if wanted.running:
                await self._engine.stop(old, grace)
            await self._engine.start(new)
        except EngineError:
            await self._put_back(old, new, wanted.name, running=wanted.running)
            raise
        with contextlib.suppress(EngineError):  # One that removes itself is gone already.
            await self._engine.remove(old)
        return new

    async def _put_back(self, old: ContainerId, new: ContainerId | None, name: str, *, running: bool) -> None:
        """Each step by itself: one that fails must not keep the others from being tried."""
        if new is not None:
            await self._try(self._engine.remove(new), name)
        await self._try(self._engine.rename(old, name), name)
        if running:
            await self._try(self._engine.start(old), name)

    async def _try(self, call: Awaitable[None], name: str) -> None:
        try:
            await call
        except EngineError as error:
            if error.failure not in {Failure.CONFLICT, Failure.NOT_FOUND}:  # It is so already.
                self._log.warning("container.not-put-back", name=name, error=str(error))

    async def finish(self) -> None:
        """What an earlier supervisor was in the middle of: its new container, if it made one, takes the place."""
        for name, record in tuple(self._under_way.items()):
            old = ContainerId(str(record.get("old")))
            self._log.warning("container.recreate-resumed", name=name, replaces=old[:12])
            try:
                await self._finish(name, old, running=record.get("running") is True)
            except EngineError as error:
                self._log.warning("container.not-put-back", name=name, error=str(error))
                if error.failure is Failure.UNREACHABLE:
                    continue
            await self._note(name, None)

    async def _finish(self, name: str, old: ContainerId, *, running: bool) -> None:
        new = await self._engine.holder(name)
        if new == old:
            return  # Nothing had been done yet.
        kept = await self._engine.holder(f"{old[:SHORT]}_{name}") == old
        if new is not None and (not kept or (await self._engine.look(new)).running):
            if not kept:
                await self._try(self._engine.start(new), name)
            await self._try(self._engine.remove(old), name)
        elif kept:
            # It is not known whether a new one that does not run has all of its networks: the old one has.
            await self._put_back(old, new, name, running=running)

    async def _note(self, name: str, record: dict[str, Any] | None) -> None:
        """A disk that is full must keep nobody from being helped: then a kill -9 in between needs a person."""
        async with self._turn:
            self._under_way.pop(name, None)
            if record is not None:
                self._under_way[name] = record
            try:
                await self._in_thread(self._store.save, {"recreations": dict(self._under_way)})
            except StateError as error:
                self._log.warning("container.recreate-not-noted", name=name, error=str(error))
