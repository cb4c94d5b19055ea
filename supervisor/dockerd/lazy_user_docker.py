"""User Docker, loaded only where there is one: configured, or left by an earlier supervisor."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.engine.port import EngineError, UserDockerReport
from units.events import Observed
from units.quantities import Seconds
from units.spec import ContainerId, Place
from units.unit import Failure

if TYPE_CHECKING:
    from supervisor.dockerd.user_docker import UserDocker

TRACES = "user-docker*.json"
"""The file that an earlier user Docker left in the state directory."""


class LazyUserDocker:
    """A stand-in for user Docker that loads it when a configuration asks for it."""

    def __init__(self, make: "Callable[[], UserDocker]", state_dir: Path) -> None:
        self._make = make
        self._made = make() if any(state_dir.glob(TRACES)) else None

    @property
    def report(self) -> UserDockerReport:
        return UserDockerReport() if self._made is None else self._made.report

    def _docker(self) -> "UserDocker":
        if self._made is None:
            self._made = self._make()
        return self._made

    def prepare(self, body: str, config_hash: str) -> None:
        self._docker().prepare(body, config_hash)

    async def start(self, place: Place, cause: str) -> None:
        await self._docker().start(place, cause)

    async def clear(self, place: Place | None, grace: Seconds, *, everything: bool) -> None:
        if self._made is not None:
            await self._made.clear(place, grace, everything=everything)

    def signal(self, name: str) -> None:
        if self._made is None:
            raise EngineError(Failure.NOT_RUNNING, f"{name}: there is no user Docker")
        self._made.signal(name)

    async def observed(self) -> tuple[Observed, ...]:
        return () if self._made is None else await self._made.observed()

    async def check(self, container: ContainerId, engine: str) -> tuple[str, ...]:
        return await self._docker().check(container, engine)

    async def check_console(self, body: str, parked: ContainerId | None, engine: str, name: str) -> tuple[str, ...]:
        return await self._docker().check_console(body, parked, engine, name)

    async def check_engine(self, container: ContainerId, name: str) -> tuple[str, ...]:
        return await self._docker().check_engine(container, name)

    async def engines(self, container: ContainerId) -> list[dict[str, str]]:
        return await self._docker().engines(container)

    def tail(self, lines: int) -> tuple[str, ...]:
        return () if self._made is None else self._made.tail(lines)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
