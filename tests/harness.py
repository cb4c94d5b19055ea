"""A real host with a control socket, on an engine that obeys at once: for tests of who asks and who answers."""

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from structlog.typing import FilteringBoundLogger

from supervisor.boot_app import boot_mode
from supervisor.config.settings import Settings
from supervisor.engine.port import OutputLine
from supervisor.http.access import Access
from supervisor.http.control.server import ControlServer
from supervisor.journal.journal import Journal
from supervisor.logs.pipeline import Pipeline
from supervisor.runtime.loop import Inbox, Observer
from tests.simulation.engine_model import FakeEngine, Faults, Program
from tests.simulation.host import body
from tests.simulation.running import SILENT, Machine, make
from units.machine import Moment
from units.spec import ContainerId, UnitName, UnitSpec
from units.world import Entry, Reaction, World

AT_ONCE = Faults(latency=(0, 0), lag=(0, 0))
SETTLED = 4
"""Turns of the event loop in which nothing was under way: a task that was woken begins its call within two."""
ORDERS = ("lane:", "pull:", "switch", "config")
"""How the names of tasks begin that carry out orders."""


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """Pytest's own are too long for a unix socket's name."""
    path = Path(tempfile.mkdtemp(prefix="dw"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class ObedientEngine(FakeEngine):
    """Answers at once and never fails. Containers run until they are ended, and end as soon as they are asked."""

    output: tuple[str, ...] = ("one", "two", "three")
    """What a container writes in each run."""

    def __init__(self) -> None:
        super().__init__(random.Random(1), faults=AT_ONCE, images={"image"})
        self._usual = Program(term=0, output=self.output)

    def obey(self, unit: str) -> None:
        """The unit's containers are as they are at first."""
        self.behave(unit, self._usual)

    def sicken_at_start(self, unit: str, after: float = 0.0) -> None:
        """The unit's containers end with exit code 1 as soon as they run, or after so many seconds."""
        self.behave(unit, replace(self._usual, lifetime=lambda _: after, exit_codes=(1,)))

    def ignore_term(self, unit: str) -> None:
        """The unit's containers go on running after SIGTERM."""
        self.behave(unit, replace(self._usual, term=None))


class EndlessEngine(ObedientEngine):
    """For a follower its containers write without end."""

    async def logs(
        self, container: ContainerId, *, tail: int | None, follow: bool, since: int | None = None
    ) -> AsyncIterator[OutputLine]:
        async for line in super().logs(container, tail=tail, follow=False, since=since):
            yield line
        while follow:
            yield OutputLine("stdout", "x" * 16_000)
            await asyncio.sleep(0)


class _Reported:
    """An observer: which event was the last one that was reported."""

    def __init__(self) -> None:
        self.number = 0

    def observe(self, _entry: Entry, moment: Moment, _reaction: Reaction) -> None:
        self.number = moment.seq


class Harness:
    """A host with these units. ``async with`` it: the socket is open, and every unit has been started.

    Args:
        run_dir: For the control socket.
        wall: The wall clock, in seconds since 1970.
        observers: Further ones of the host.
    """

    def __init__(
        self,
        run_dir: Path,
        *specs: UnitSpec,
        engine: ObedientEngine | None = None,
        access: Access = Access(),
        log: FilteringBoundLogger = SILENT,
        observers: tuple[Observer, ...] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.run_dir = run_dir
        self.engine = engine or ObedientEngine()
        for one in specs:
            self.engine.obey(one.name)
        self.machine = Machine(random.Random(1), self.engine)
        units = tuple(replace(one, body=body(one.name, one.image, one.config_hash, one.dependencies)) for one in specs)
        options = replace(self.machine.options(run_dir=run_dir), access=access)
        outside = replace(self.machine.outside(lambda _: Settings(units=units)), wall=wall, chance=lambda: 0.5)
        mode = boot_mode(options, Settings(units=units), outside, log, Pipeline(()))
        self._reported = _Reported()
        self.host = make(options, mode, outside, self._reported, *observers, log=log)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.host.run(), name="host")
        try:
            await until(lambda: self._reported.number or self._task.done())
            await self.quiet()
        except BaseException:
            self._task.cancel()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    def leave(self) -> None:
        """Ask the host to end, and to leave its units as they are."""
        self._task.cancel()

    async def end(self) -> None:
        """The host ends, and leaves its units as they are."""
        self.leave()
        await asyncio.wait({self._task})

    async def ended(self) -> int:
        """The exit code, when the host has ended by itself; raises what ended it."""
        return await self._task

    async def quiet(self) -> None:
        """Until nothing is under way: no event or report of one, no order, no call to the engine."""
        still = 0
        while still < SETTLED:
            if self._task.done():
                self._task.result()
            still = still + 1 if self._is_quiet() else 0
            await asyncio.sleep(0)

    def _is_quiet(self) -> bool:
        if self.inbox.depth or self._reported.number != self.inbox.taken or not self.engine.idle:
            return False
        return not any(task.get_name().startswith(ORDERS) for task in asyncio.all_tasks())

    @property
    def inbox(self) -> Inbox:
        return self.host.inbox

    @property
    def world(self) -> World:
        return self.host.world

    @property
    def journal(self) -> Journal:
        return self.host.journal

    @property
    def control(self) -> ControlServer:
        assert self.host.control is not None
        return self.host.control

    def phase(self, name: str) -> str:
        return self.world.units[UnitName(name)].phase.value


async def until(holds: Callable[[], object]) -> None:
    """The surroundings' timeout is the end of patience; what is waited for has no event of its own."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def in_thread(call: Callable[[], Any]) -> Any:
    """A client of its own beside the loop, as a real one is."""
    return await asyncio.to_thread(call)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
