"""Makes containers, new ones and such as replace others, step by step, so that nothing is lost at any step.

It is the only caller of the engine's create. A successor is made beside its predecessor, under a name that says so.
Only when the predecessor has ended do the names change, and it is removed last. A failure before that restores it. A
killed supervisor is survived too: each replacement is recorded first, and the next supervisor finishes it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.engine.names import ahead, aside
from supervisor.engine.port import Blueprint, Engine, EngineError, Replica, StaleEndpointError
from supervisor.state.file import StateError
from supervisor.state.replacements import unfinished
from supervisor.state.writer import Store
from units.commands import CreateContainer, PrepareContainer
from units.quantities import Seconds
from units.spec import ContainerId, StopPolicy
from units.unit import Failure

RETRY = 10.0
"""Seconds until an interrupted replacement that could not be finished is tried again."""
LATE = 60.0
"""Seconds after which an engine has done what it was asked, or never will."""
UNSURE = frozenset({Failure.TIMEOUT, Failure.UNREACHABLE, Failure.OTHER})
"""With these a call may have been carried out all the same."""
USUAL_STOP = StopPolicy()
REMOVAL = (0.1, 0.3, 1.0)
"""Seconds between looks whether a container that removes itself is gone."""
PAUSES = (0.5, 2.0, 5.0)
"""Seconds between two tries to restore the old container."""

Made = Callable[[ContainerId], Awaitable[None]]
"""Called when the name is the new container's."""


class Recreations:
    """``store``: the record of replacements under way."""

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
        """Names whose container is being replaced now: nobody else may finish them."""
        self._late: dict[str, float] = {}
        """Names that may yet appear, and until when they are looked for."""
        self._retry: asyncio.TimerHandle | None = None
        self._finishing: asyncio.Task[None] | None = None

    async def start(self, container: ContainerId) -> None:
        """Start it, also where an endpoint of an ended run is in its way. Raises EngineError."""
        try:
            await self._engine.start(container)
        except StaleEndpointError as stale:
            await self.start_freed(container, stale)

    async def start_freed(self, container: ContainerId, stale: StaleEndpointError) -> None:
        """Start it without the endpoint that was in its way. Raises EngineError: of the start, whatever else failed."""
        try:
            await self._free(container, stale)
        except EngineError as error:
            raise stale from error  # What is not found here is no container: it must not be taken for one.
        await self._engine.start(container)

    async def _free(self, container: ContainerId, stale: StaleEndpointError) -> None:
        """End such an endpoint, which the engine does only while no container has its name."""
        name = stale.name
        if name in self._active or await self._engine.holder(name) != container:
            raise stale
        self._active.add(name)
        try:
            await self._note(name, {"old": container, "running": False})
            try:
                await self._engine.rename(container, aside(container, name))
                await self._gone(self._engine.disconnect(stale.network, name))
            finally:
                await self._tell(name, await self._again(lambda: self._name(container, name)))
        finally:
            self._active.discard(name)
        self._log.warning("endpoint.freed", container=container[:12], name=name, network=stale.network)

    async def _name(self, container: ContainerId, name: str) -> None:
        if await self._engine.holder(name) != container:
            await self._engine.rename(container, name)

    async def recreate(
        self, container: ContainerId, joins: Mapping[ContainerId, ContainerId], grace: Seconds | None, made: Made
    ) -> ContainerId:
        """Make a foreign container anew and start it. Raises EngineError; then the old one is restored."""
        wanted = await self._engine.replica(container, joins)
        new = await self._replace(container, wanted, made, lambda: self._end(container, wanted, grace), starts=True)
        self._log.info("container.recreated", container=new[:12], replaces=container[:12], name=wanted.name)
        return new

    async def prepare(self, order: PrepareContainer) -> ContainerId:
        """Make the successor of a container that runs on meanwhile. Raises EngineError."""
        wanted = await self._engine.successor(Blueprint(order.spec.container, order.spec.body, order.replaces))
        return await self._make(wanted, ahead(wanted.name))

    async def create(self, order: CreateContainer, made: Made) -> None:
        """Make a container of ours; what it replaces does not run. Raises EngineError; then that one is restored."""
        name, old = order.spec.container, order.replaces
        if old is None:
            await made(await self._first(order))
            return
        await self._refuse_taken(name, order)
        if order.prepared is None:
            plan = Blueprint(name, order.spec.body, None if order.renews else old, order.takers, order.volumes)
            await self._replace(old, await self._engine.successor(plan), made, keep=order.keep, stop=order.spec.stop)
        elif await self._engine.holder(ahead(name)) == order.prepared:
            wanted = Replica(name, order.spec.body)
            stop = order.spec.stop
            await self._replace(old, wanted, made, prepared=order.prepared, keep=order.keep, stop=stop)
        else:
            raise EngineError(Failure.CONFLICT, "the container that was made to replace it is gone")

    async def _end_lost(self, old: ContainerId, name: str, stop: StopPolicy) -> None:
        """Two runs of a container would share its ports and files. Raises EngineError."""
        if ended := await self._engine.end_lost(old, stop.signal, stop.timeout):
            self._log.warning("run.ended", name=name, container=old[:12], processes=ended)

    async def _first(self, order: CreateContainer) -> ContainerId:
        """There is none to replace: a new one, or the successor of one that was removed meanwhile."""
        name, ready = order.spec.container, order.prepared
        if ready is None or await self._engine.holder(ahead(name)) != ready:
            wanted = await self._engine.successor(Blueprint(name, order.spec.body, None, order.takers, order.volumes))
            return await self._make(wanted, name)
        await self._refuse_taken(name, order)
        try:
            await self._engine.rename(ready, name)
        except EngineError:
            self._sweep(ahead(name))
            raise
        return ready

    async def _refuse_taken(self, name: str, order: CreateContainer) -> None:
        """Before anything is touched. Raises EngineError."""
        if await self._engine.holder(name) not in {None, order.replaces}:
            raise EngineError(Failure.NAME_TAKEN, f"the name '{name}' is taken")

    async def _replace(
        self,
        old: ContainerId,
        wanted: Replica,
        made: Made,
        end: Callable[[], Awaitable[None]] | None = None,
        *,
        prepared: ContainerId | None = None,
        starts: bool = False,
        keep: bool = False,
        stop: StopPolicy = USUAL_STOP,
    ) -> ContainerId:
        """The one way in which a container takes another one's place.

        ``end``: how the other one is ended; ``stop``: how a run of it is that its engine has lost.
        """
        name = wanted.name
        self._active.add(name)
        try:
            await self._note(name, {"old": old, "running": wanted.running})
            try:
                new = prepared or await self._make(wanted, ahead(name))
                if end is not None:
                    await self._try_rename(new, ahead(name))
                    await end()
                await self._end_lost(old, name, stop)
                await self._swap(old, new, name)
                await made(new)
                if starts:
                    await self.start(new)
            except EngineError:
                await self._tell(name, await self._again(lambda: self._undo(old, wanted, foreign=starts)))
                raise
            pauses = PAUSES if starts else (0.0,)  # The start of one of ours comes after this.
            refusal = None if keep else await self._again(lambda: self._gone(self._engine.remove(old)), pauses)
            if refusal is not None:
                await self._note(name, {"old": old, "done": True})  # Whatever comes, the old one is not brought back.
            await self._tell(name, refusal)
            return new
        finally:
            self._active.discard(name)

    async def _make(self, wanted: Replica, name: str) -> ContainerId:
        try:
            new = await self._engine.create(name, wanted.body, wanted.dialect)
        except EngineError as error:
            if name != wanted.name and error.failure in UNSURE:
                self._sweep(name)
            if name == wanted.name or error.failure is not Failure.NAME_TAKEN:
                raise
            await self._discard(name)  # Left over from a try that was cut off.
            new = await self._engine.create(name, wanted.body, wanted.dialect)
        self._late.pop(name, None)
        try:
            for network, endpoint in wanted.networks:
                await self._engine.connect(network, new, endpoint)
        except EngineError:
            with contextlib.suppress(EngineError):
                await self._engine.remove(new)
            raise
        return new

    async def _try_rename(self, container: ContainerId, name: str) -> None:
        """Find out before anything ends whether renames are let through: to its own name, which an engine refuses."""
        try:
            await self._engine.rename(container, name)
        except EngineError as error:
            if error.failure is Failure.REFUSED:
                raise

    async def _end(self, old: ContainerId, wanted: Replica, grace: Seconds | None) -> None:
        if wanted.running:
            await self._engine.stop(old, grace)

    async def _swap(self, old: ContainerId, new: ContainerId, name: str) -> None:
        """The old container makes room, unless it has done so, or is gone: one with AutoRemove is, once stopped."""
        try:
            await self._engine.rename(old, aside(old, name))
        except EngineError as error:
            moved = error.failure is Failure.NOT_FOUND or await self._engine.holder(aside(old, name)) == old
            if not moved and not await self._goes(old, name):
                raise
        await self._engine.rename(new, name)

    async def _goes(self, old: ContainerId, name: str) -> bool:
        """Whether it is being removed: 20.10 answers 500 to a rename in the middle of that (``no such file``)."""
        for pause in REMOVAL:
            if not await self._exists(old, name):
                return True
            await asyncio.sleep(pause)
        return False

    async def _undo(self, old: ContainerId, wanted: Replica, *, foreign: bool) -> None:
        """Handle an old one with AutoRemove, which is gone once stopped, as is a new one that failed.

        To keep its configuration it is created once more, and left to be started by the operator or the next try. One
        of ours is made by the next try.
        """
        if await self._exists(old, wanted.name):
            await self._put_back(old, wanted.name, running=wanted.running)
        elif foreign and await self._engine.holder(wanted.name) is None:
            await self._discard(ahead(wanted.name))
            await self._make(wanted, wanted.name)

    async def _exists(self, old: ContainerId, name: str) -> bool:
        """Inspect the container under either of its names."""
        return old in {await self._engine.holder(name), await self._engine.holder(aside(old, name))}

    async def _put_back(self, old: ContainerId, name: str, *, running: bool) -> None:
        """Restore the old container, whatever was done: a failed call may have taken effect. Raises EngineError."""
        await self._discard(ahead(name))
        holder = await self._engine.holder(name)
        if holder is not None and holder != old:
            await self._gone(self._engine.remove(holder))
        if holder != old:
            await self._engine.rename(old, name)
        if running and not (await self._engine.look(old)).running:
            await self.start(old)

    async def _discard(self, name: str) -> None:
        """Remove a successor that came to nothing."""
        if (found := await self._engine.holder(name)) is not None:
            await self._gone(self._engine.remove(found))

    def _sweep(self, name: str) -> None:
        """An engine may do late what it did not answer in time: look again for a successor that nobody waits for."""
        self._late[name] = asyncio.get_running_loop().time() + LATE
        self._finish_later()

    async def _gone(self, removal: Awaitable[None]) -> None:
        """Remove what may have gone by itself already."""
        try:
            await removal
        except EngineError as error:
            if error.failure is not Failure.NOT_FOUND:
                raise

    async def _again(
        self, act: Callable[[], Awaitable[None]], pauses: tuple[float, ...] = PAUSES
    ) -> EngineError | None:
        """Try it a few times; returns the last error."""
        refusal: EngineError | None = None
        for pause in pauses:
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
        """Finish interrupted replacements, of this or an earlier supervisor: restore the old container, or clean up."""
        await self._clear_late()
        for name, record in tuple(self._under_way.items()):
            if name in self._active:
                continue
            old = ContainerId(str(record.get("old")))
            self._log.warning("container.recreate-resumed", name=name, replaces=old[:12])
            try:
                if record.get("done") is True:
                    await self._gone(self._engine.remove(old))
                else:
                    await self._finish(name, old, running=record.get("running") is True)
            except EngineError as error:
                self._log.warning("container.not-put-back", name=name, error=str(error))
                if error.failure is not Failure.NOT_FOUND:
                    self._finish_later()
                    continue
            await self._note(name, None)

    async def _clear_late(self) -> None:
        now = asyncio.get_running_loop().time()
        for name, until in tuple(self._late.items()):
            if name in {ahead(active) for active in self._active}:
                continue
            with contextlib.suppress(EngineError):
                await self._discard(name)
                if now >= until:
                    del self._late[name]
        if self._late:
            self._finish_later()

    async def _finish(self, name: str, old: ContainerId, *, running: bool) -> None:
        new = await self._engine.holder(name)
        kept = await self._engine.holder(aside(old, name)) == old
        if new == old or (kept and (new is None or not (await self._engine.look(new)).running)):
            # A new one that does not run may lack networks: restore the old one.
            await self._put_back(old, name, running=running)
        elif kept:
            await self._gone(self._engine.remove(old))
        else:
            await self._go_on(name, new, running=running)

    async def _go_on(self, name: str, new: ContainerId | None, *, running: bool) -> None:
        """The old container has removed itself: the new one is all there is of it."""
        if new is None and (new := await self._engine.holder(ahead(name))) is not None:
            await self._engine.rename(new, name)
        if new is not None and running and not (await self._engine.look(new)).running:
            await self.start(new)

    async def _note(self, name: str, record: dict[str, Any] | None) -> None:
        """Write the record. A full disk must not prevent a replacement; then only a kill -9 needs the operator."""
        async with self._turn:
            self._under_way.pop(name, None)
            if record is not None:
                self._under_way[name] = record
            try:
                await self._in_thread(self._store.save, {"recreations": dict(self._under_way)})
            except StateError as error:
                self._log.warning("container.recreate-not-noted", name=name, error=str(error))
