"""A supervisor's inside with a control socket and an obedient engine, for tests of who asks and who answers."""

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import structlog
from structlog.typing import FilteringBoundLogger

from hooks.presence import HostHooks
from supervisor.engine.port import OutputLine
from supervisor.http.access import Access
from supervisor.http.control.routes import Api
from supervisor.http.control.server import Control
from supervisor.journal.boot_chart import BootChart
from supervisor.journal.journal import Journal
from supervisor.runtime.loop import Inbox, Loop
from supervisor.views.status import Context, status
from tests.simulation.engine_model import EPOCH_NS, FakeEngine
from units import events as fact
from units.commands import CreateContainer, SignalContainer, StartContainer
from units.links import check
from units.machine import Moment
from units.quantities import Instant
from units.spec import ContainerId, UnitName, UnitSpec
from units.world import Entry, Reaction, fresh_unit, new_world

SILENT: FilteringBoundLogger = structlog.wrap_logger(
    None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50)
)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """Pytest's own are too long for a unix socket's name."""
    path = Path(tempfile.mkdtemp(prefix="dw"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Printer(FakeEngine):
    """An engine whose containers have written ``output``, and for a follower go on without end."""

    output: tuple[str, ...] = ("one", "two", "three")
    endless = False

    async def logs(
        self,
        container: ContainerId,  # noqa: ARG002
        *,
        tail: int | None,
        follow: bool,
        since: int | None = None,
    ) -> AsyncIterator[OutputLine]:
        for number, line in enumerate(self.output if tail is None else self.output[-tail:]):
            yield OutputLine("stdout", line, 0 if since is None else EPOCH_NS + number)
        while follow and self.endless:
            yield OutputLine("stdout", "x" * 16_000)
            await asyncio.sleep(0)


class Obedient:
    """Carries out orders at once, as far as it may: units in ``sick`` end as soon as they run."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.sick: set[str] = set()
        self.deaf: set[str] = set()

    def observe(self, _entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        for order in reaction.commands:
            match order:
                case CreateContainer(unit=unit, spec=spec) if unit not in self.deaf:
                    self._inbox.put(fact.ContainerCreated(unit, ContainerId(f"{unit}-box"), spec.config_hash))
                case StartContainer(unit=unit, container=box) if unit not in self.deaf:
                    self._inbox.put(fact.ContainerStarted(unit, box))
                    if unit in self.sick:
                        self._inbox.put(fact.ContainerDied(unit, box, 1))
                case SignalContainer(unit=unit, container=box) if unit not in self.deaf:
                    self._inbox.put(fact.ContainerDied(unit, box, 143))


class Desk:
    """``async with`` it: the loop turns and the socket is open."""

    def __init__(
        self,
        run_dir: Path,
        *specs: UnitSpec,
        engine: FakeEngine | None = None,
        access: Access = Access(),
        log: FilteringBoundLogger = SILENT,
    ) -> None:
        self.run_dir = run_dir
        loop = asyncio.get_running_loop()
        self.inbox = Inbox(loop.time, "b")
        self.engine = engine or Printer(random.Random(1))
        self.obedient = Obedient(self.inbox)
        to_wall = time.time() - loop.time()
        asker: Callable[[int], int | None] = lambda number: self.control.asker(number)  # noqa: E731, PLW0108 - made below
        self.journal = Journal(SILENT, lambda instant: to_wall + instant, asker)
        context = Context("attached", "fake://engine", lambda instant: to_wall + instant, started=time.time())
        units = [fresh_unit(spec, Instant(loop.time()), "") for spec in specs]
        self.chart = BootChart(lambda instant: to_wall + instant, Instant(loop.time()), units)
        self.hooks: HostHooks | None = None
        self.control = Control(
            run_dir=run_dir,
            journal=self.journal,
            make_api=lambda: Api(
                inbox=self.inbox,
                world=lambda: self.loop.world,
                status=lambda: status(self.loop.world, context),
                journal=self.journal,
                engine=self.engine,
                boot=self.chart.told,
                hooks=self.hooks,
            ),
            log=log,
            access=access,
        )
        self.loop = Loop(
            new_world(units, check(specs).links),
            self.inbox,
            lambda: 0.5,
            self.obedient,
            (self.journal, self.chart, self.control),
        )

    async def __aenter__(self) -> Self:
        self._turning = asyncio.create_task(self.loop.run(asyncio.get_running_loop().time))
        try:
            await self.control.start()
        except BaseException:
            self._turning.cancel()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.control.close()
        self._turning.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._turning

    async def boot(self) -> None:
        """The engine is there, and every unit is started."""
        self.inbox.put(fact.EngineBack("26.1"))
        self.inbox.put(fact.SnapshotTaken((), "connect"))
        await self.quiet()

    async def quiet(self) -> None:
        """Until nothing is left in the inbox."""
        for _ in range(50):
            await asyncio.sleep(0)

    def phase(self, name: str) -> str:
        return self.loop.world.units[UnitName(name)].phase.value


async def until(holds: Callable[[], object]) -> None:
    """The surroundings' timeout is the end of patience; what is waited for has no event of its own."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def in_thread(call: Callable[[], Any]) -> Any:
    """A client of its own beside the loop, as a real one is."""
    return await asyncio.to_thread(call)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
