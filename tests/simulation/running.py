"""The real host on a fake engine: made as in production, with another engine, clock, chance and file system."""

import asyncio
import random
import shutil
import tempfile
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from supervisor.app import Host
from supervisor.config.settings import Settings
from supervisor.engine.address import Address
from supervisor.engine.calls import OnCall
from supervisor.engine.port import Engine, UserEngine
from supervisor.logs.pipeline import Pipeline
from supervisor.mode import Mode, Options, Outside
from supervisor.runtime.gating import Gates
from supervisor.runtime.loop import Inbox, Observer
from supervisor.state.writer import Store
from tests.simulation.engine_model import FakeEngine
from units.records import replace
from units.world import World

NIGHT = 1_700_000_000.0
"""Wall clock at virtual second 0."""
SILENT: FilteringBoundLogger = structlog.wrap_logger(
    None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50)
)


class Memory:
    """A state file that is a variable."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        return self.state

    def save(self, state: dict[str, Any]) -> None:
        self.state = state


async def directly(work: Callable[..., Any], *arguments: Any) -> Any:
    """No threads on a virtual clock."""
    return work(*arguments)


class Machine:
    """What outlives a supervisor: its files, and the clock.

    Args:
        files: State files by name; the others are made when they are first asked for.
    """

    def __init__(self, chance: random.Random, engine: Engine, **files: Store) -> None:
        self.chance = chance
        self.engine = engine
        self.boot_id = "host"
        """Of the kernel: another one after a reboot."""
        self._files = files
        self.state_dir = Path(tempfile.mkdtemp(prefix="dockwarden-", dir="/dev/shm"))
        weakref.finalize(self, shutil.rmtree, self.state_dir, ignore_errors=True)

    def file(self, name: str) -> Store:
        return self._files.setdefault(name, Memory())

    def forget(self, name: str) -> None:
        """The file is lost."""
        self._files.pop(name, None)

    def options(self, *, watching: bool = False, run_dir: Path | None = None) -> Options:
        return Options(
            config=(),
            engine=self.engine.url,
            state_dir=self.state_dir,
            run_dir=run_dir,
            hooks=self.state_dir / "hooks.d",
            log_level="error" if watching else "info",
        )

    def _give_engine(self, where: Address, *, on_call: OnCall, **_: Any) -> Engine:
        assert where.url == self.engine.url
        if isinstance(self.engine, FakeEngine):
            self.engine.on_call = on_call
        return self.engine

    def outside(
        self,
        read_settings: Callable[[tuple[Path, ...]], Settings] = lambda _: Settings(),
        make_user_docker: Callable[[Engine, Inbox], UserEngine] | None = None,
        in_thread: Callable[..., Awaitable[Any]] = directly,
    ) -> Outside:
        return Outside(
            make_engine=self._give_engine,
            make_user_docker=make_user_docker,
            wall=lambda: NIGHT + asyncio.get_running_loop().time(),
            chance=self.chance.random,
            in_thread=in_thread,
            make_store=lambda path, _log: self.file(path.stem),
            room=lambda _: (2**30, 2**34),
            read_settings=read_settings,
            boot_id=lambda: self.boot_id,
            installed_hooks=tuple,
            environ={},
        )


@dataclass
class Running:
    """One supervisor's run on the machine."""

    host: Host
    task: "asyncio.Task[int]"

    @property
    def world(self) -> World:
        return self.host.world

    async def kill9(self) -> None:
        """It is gone between two instructions; nothing is tidied up that matters to the units."""
        self.task.cancel()
        await asyncio.wait({self.task})


def make(
    options: Options,
    mode: Mode,
    outside: Outside,
    *observers: Observer,
    gates: Gates | None = None,
    log: FilteringBoundLogger = SILENT,
) -> Host:
    """A host of this mode, seen by further observers, and with other gates."""
    more = mode.observers()
    mode = replace(mode, observers=lambda: (*more, *observers))
    if gates is not None:
        mode = replace(mode, gates=lambda _: gates)
    return Host(options, mode, outside, log, Pipeline(()))


def start(
    options: Options,
    mode: Mode,
    outside: Outside,
    *observers: Observer,
    gates: Gates | None = None,
) -> Running:
    """Begin to run a host of this mode."""
    host = make(options, mode, outside, *observers, gates=gates)
    return Running(host, asyncio.ensure_future(host.run()))
