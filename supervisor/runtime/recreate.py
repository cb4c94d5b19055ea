"""Re-creates a foreign container, step by step, so that nothing is lost at any step.

The old container is only renamed until the new one runs, as Compose does. A failure before that restores it. A killed
supervisor is survived too: each re-creation is recorded first, and the next supervisor finishes it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.engine.port import Engine, EngineError, Replica
from supervisor.engine.replica import SHORT
from supervisor.state.file import StateError
from supervisor.state.writer import Store
from units.quantities import Seconds
from units.spec import ContainerId
from units.unit import Failure

RETRY = 10.0
"""Seconds until an interrupted re-creation that could not be finished is tried again."""
PAUSES = (0.5, 2.0, 5.0)
"""Seconds between two tries to restore the old container."""


def unfinished(store: Store) -> dict[str, dict[str, Any]]:
    """Re-creations that were cut off, by the container's name: of a file, those that can be finished."""
    found = (store.load() or {}).get("recreations")
    if not isinstance(found, dict):
        return {}
    return {
        name: record
        for name, record in found.items()
        if isinstance(record, dict) and isinstance(record.get("old"), str) and isinstance(record.get("running"), bool)
    }


class Recreations:
    """``store``: the record of re-creations under way."""

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
        self._under_way: dict[str, dict[str, Any]] = unfinished(store)
        self._turn = asyncio.Lock()
        self._active: set[str] = set()
        """Names that are being re-created now: nobody else may finish them."""
        self._retry: asyncio.TimerHandle | None = None
        self._finishing: asyncio.Task[None] | None = None

    async def recreate(
        self, container: ContainerId, joins: Mapping[ContainerId, ContainerId], grace: Seconds | None
    ) -> ContainerId:
        """The new, running container. Raises EngineError; then the old one is restored."""
        wanted = await self._engine.replica(container, joins)
        self._active.add(wanted.name)
        try:
            return await self._recreate(container, wanted, grace)
        finally:
            self._active.discard(wanted.name)

    async def _recreate(self, container: ContainerId, wanted: Replica, grace: Seconds | None) -> ContainerId:
        await self._note(wanted.name, {"old": container, "running": wanted.running})
        try:
            new = await self._replace(container, wanted, grace)
        except EngineError:
            back = await self._again(lambda: self._undo(container, wanted))
            await self._tell(wanted.name, back)
            raise
        await self._tell(wanted.name, await self._again(lambda: self._gone(self._engine.remove(container))))
        self._log.info("container.recreated", container=new[:12], replaces=container[:12], name=wanted.name)
        return new

    async def _replace(self, old: ContainerId, wanted: Replica, grace: Seconds | None) -> ContainerId:
        await self._engine.rename(old, f"{old[:SHORT]}_{wanted.name}")
        new = await self._make(wanted)
        if wanted.running:
            await self._engine.stop(old, grace)
        await self._engine.start(new)
        return new

    async def _make(self, wanted: Replica) -> ContainerId:
        new = await self._engine.create(wanted.name, wanted.body, wanted.dialect)
        for network, endpoint in wanted.networks:
            await self._engine.connect(network, new, endpoint)
        return new

    async def _undo(self, old: ContainerId, wanted: Replica) -> None:
        """Handle an old one with AutoRemove, which is gone once stopped, as is a new one that failed.

        To keep its configuration it is created once more, and left to be started by the operator or the next try.
        """
        if await self._exists(old, wanted.name):
            await self._put_back(old, wanted.name, running=wanted.running)
        elif await self._engine.holder(wanted.name) is None:
            await self._make(wanted)

    async def _exists(self, old: ContainerId, name: str) -> bool:
        """Inspect the container under either of its names."""
        return old in {await self._engine.holder(name), await self._engine.holder(f"{old[:SHORT]}_{name}")}

    async def _put_back(self, old: ContainerId, name: str, *, running: bool) -> None:
        """Restore the old container, whatever was done: a failed call may have taken effect. Raises EngineError."""
        holder = await self._engine.holder(name)
        if holder is not None and holder != old:
            await self._gone(self._engine.remove(holder))
        if holder != old:
            await self._engine.rename(old, name)
        if running and not (await self._engine.look(old)).running:
            await self._engine.start(old)

    async def _gone(self, removal: Awaitable[None]) -> None:
        """Remove a container, which may have removed itself already."""
        try:
            await removal
        except EngineError as error:
            if error.failure is not Failure.NOT_FOUND:
                raise

    async def _again(self, act: Callable[[], Awaitable[None]]) -> EngineError | None:
        """Try it a few times; returns the last error."""
        refusal: EngineError | None = None
        for pause in PAUSES:
            try:
                await act()
            except EngineError as error:
                refusal = error
                await asyncio.sleep(pause)
            else:
                return None
        return refusal

    async def _tell(self, name: str, refusal: EngineError | None) -> None:
        """Remove the record; on failure it stays, and is tried again."""
        if refusal is None:
            await self._note(name, None)
        else:
            self._log.warning("container.not-put-back", name=name, error=str(refusal))
            self._finish_later()

    def _finish_later(self) -> None:
        """A container under its other name is no unit's: only this brings it back."""
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY, self._finish_now)

    def _finish_now(self) -> None:
        self._retry = None
        self._finishing = asyncio.create_task(self.finish(), name="recreations")

    def close(self) -> None:
        """Nothing is tried any more; what is noted is left to the next supervisor."""
        for one in (self._retry, self._finishing):
            if one is not None:
                one.cancel()

    async def finish(self) -> None:
        """Finish interrupted re-creations, of this or an earlier supervisor: restore the old container, or clean up."""
        for name, record in tuple(self._under_way.items()):
            if name in self._active:
                continue
            old = ContainerId(str(record.get("old")))
            self._log.warning("container.recreate-resumed", name=name, replaces=old[:12])
            try:
                await self._finish(name, old, running=record.get("running") is True)
            except EngineError as error:
                self._log.warning("container.not-put-back", name=name, error=str(error))
                if error.failure is not Failure.NOT_FOUND:
                    self._finish_later()
                    continue
            await self._note(name, None)

    async def _finish(self, name: str, old: ContainerId, *, running: bool) -> None:
        new = await self._engine.holder(name)
        kept = await self._engine.holder(f"{old[:SHORT]}_{name}") == old
        if new == old or (kept and (new is None or not (await self._engine.look(new)).running)):
            # A new one that does not run may lack networks: restore the old one.
            await self._put_back(old, name, running=running)
        elif kept:
            await self._gone(self._engine.remove(old))
        elif new is not None and running and not (await self._engine.look(new)).running:
            await self._engine.start(new)

    async def _note(self, name: str, record: dict[str, Any] | None) -> None:
        """Write the record. A full disk must not prevent a re-creation; then only a kill -9 needs the operator."""
        async with self._turn:
            self._under_way.pop(name, None)
            if record is not None:
                self._under_way[name] = record
            try:
                await self._in_thread(self._store.save, {"recreations": dict(self._under_way)})
            except StateError as error:
                self._log.warning("container.recreate-not-noted", name=name, error=str(error))
