"""An engine that can only be looked at: it has no call that changes anything, so that nothing can get past it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from supervisor.engine.port import (
    CheckLine,
    ContainerAddress,
    Doubtful,
    EngineInfo,
    EngineView,
    HandOver,
    OutputLine,
    nothing,
)
from units.events import Observed
from units.spec import ContainerId, UnitName
from units.tables.storage import ContextFacts


class ReadOnlyEngine:
    """Passes on the questions to an engine."""

    def __init__(self, engine: EngineView) -> None:
        self._engine = engine

    @property
    def url(self) -> str:
        return self._engine.url

    async def info(self) -> EngineInfo:
        return await self._engine.info()

    def events(self, since_ns: int | None) -> AbstractAsyncContextManager[HandOver]:
        return self._engine.events(since_ns)

    async def snapshot(self, *, thorough: bool, doubtful: Doubtful = nothing) -> tuple[Observed, ...]:
        return await self._engine.snapshot(thorough=thorough, doubtful=doubtful)

    async def has_image(self, image: str) -> bool:
        return await self._engine.has_image(image)

    async def context(self, container: ContainerId) -> ContextFacts:
        return await self._engine.context(container)

    async def look(self, container: ContainerId) -> Observed:
        return await self._engine.look(container)

    async def owner(self, name: str) -> UnitName | None:
        return await self._engine.owner(name)

    async def health_log(self, container: ContainerId) -> tuple[CheckLine, ...]:
        return await self._engine.health_log(container)

    async def whereabouts(self, container: ContainerId) -> ContainerAddress:
        return await self._engine.whereabouts(container)

    async def holder(self, name: str) -> ContainerId | None:
        return await self._engine.holder(name)

    def logs(
        self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
    ) -> AsyncIterator[OutputLine]:
        return self._engine.logs(container, tail=tail, follow=follow, since=since)

    async def close(self) -> None:
        await self._engine.close()
