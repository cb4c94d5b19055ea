"""Wires the running parts around the core, for a real host and for a simulated one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from structlog.typing import FilteringBoundLogger

from supervisor.engine.port import Engine, EngineView, SystemEngine, UserEngine
from supervisor.runtime.dry_effects import DryEffects
from supervisor.runtime.effects import Effects
from supervisor.runtime.engine_watch import EngineWatch, Gauges
from supervisor.runtime.health_scheduler import CheckResult, HealthScheduler, ProbeGauges
from supervisor.runtime.loop import Inbox, Loop, Observer
from supervisor.runtime.recreate import Recreations
from supervisor.runtime.switch_actions import SwitchActions
from supervisor.state.writer import StateWriter
from units.events import ConfigRead, Event, ShutdownAsked, ShutdownHurried, ShutdownOverdue
from units.machine import Moment
from units.quantities import Seconds
from units.spec import UnitName
from units.troubles import Reload, Timing
from units.world import Entry, Reaction, World

if TYPE_CHECKING:
    from supervisor.runtime.gating import Gates, Gating

LAST_GRACE = Seconds(15)
"""After the total deadline: three SIGKILLs, 2, 4 and 8 s apart. Then the supervisor exits, whatever still runs."""

ENGINE_END = Seconds(50)
"""After that: an engine of ours has had SIGTERM, its grace, and SIGKILL. Then we exit, also if it does not end."""


class ShellGauges(Gauges, ProbeGauges, Protocol):
    """Callbacks for metrics."""


class _Drained:
    """An observer that notices the end of a shutdown."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._busy: set[UnitName] | None = None
        """Units that the shutdown waits for; ``None`` before it begins."""

    def observe(self, _entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        world = reaction.world
        if not world.draining:
            return
        if self._busy is None:
            self._busy = {name for name, unit in world.units.items() if unit.busy}
        for name in reaction.changed:
            unit = world.units.get(name)
            (self._busy.add if unit is not None and unit.busy else self._busy.discard)(name)
        if world.engine_ended and (world.watching or world.overdue or not self._busy):
            self.event.set()


class Shell:
    """One supervisor. ``run`` ends after a shutdown; cancel it to stop without touching any unit.

    Args:
        engine: to look at.
        hands: the same engine, to act on; ``None``: a dry run.
    """

    def __init__(
        self,
        world: World,
        engine: EngineView,
        hands: Engine | None,
        inbox: Inbox,
        log: FilteringBoundLogger,
        *,
        gauges: ShellGauges,
        keeper: StateWriter,
        observers: Sequence[Observer],
        chance: Callable[[], float],
        wall: Callable[[], float],
        timing: Timing,
        known_ns: int = 0,
        read_config: Callable[[], Awaitable[Event]],
        prepare: Callable[[], Awaitable[None]],
        system_docker: SystemEngine | None = None,
        user_docker: UserEngine | None = None,
        switches: SwitchActions | None = None,
        recreations: Recreations | None,
        gates: "Gates | None" = None,
    ) -> None:
        self._start_world = world
        self._engine = engine
        self._hands = hands
        self._inbox = inbox
        self._log = log
        self._gauges = gauges
        self._keeper = keeper
        self._observers = observers
        self._chance = chance
        self._timing = timing
        self._read_config = read_config
        self._system_docker = system_docker
        self._user_docker = user_docker
        self._switches = switches
        self._recreations = recreations
        self._gates = gates
        self._loop: Loop | None = None
        self._watch = EngineWatch(
            engine,
            inbox,
            gauges,
            log,
            period=timing.period,
            prepare=prepare,
            chance=chance,
            wall=wall,
            known_ns=known_ns,
            besides=None if user_docker is None else user_docker.observed,
            units=lambda: self.world.units,
        )
        self._prober: HealthScheduler | None = None
        self._drained = _Drained()
        self._asked = 0
        self.gave_up = False
        """The shutdown's last deadline passed with units still running."""

    @property
    def world(self) -> World:
        return self._start_world if self._loop is None else self._loop.world

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        """A configuration that is in force may bring other limits."""
        event = entry.event
        if isinstance(event, ConfigRead) and event.timing and reaction.world.reload is Reload.IN_FORCE:
            self._timing = event.timing
            self._watch.look_every(event.timing.period)

    def outcomes(self, unit: UnitName) -> tuple[CheckResult, ...]:
        """The last outcomes of a unit's own health checks."""
        return () if self._prober is None else self._prober.outcomes(unit)

    def shut_down(self, reason: str) -> int:
        """The first call requests a shutdown, a second one hurries it. Returns the number of calls."""
        self._asked += 1
        if self._asked == 1:
            self._inbox.put(ShutdownAsked(reason, self._timing.shutdown))
            later = asyncio.get_running_loop().call_later
            later(self._timing.shutdown, self._hurry, "the total deadline has passed")
            later(self._timing.shutdown + LAST_GRACE, self._give_up)
        elif self._asked == 2:
            self._hurry(reason)
        return self._asked

    def _hurry(self, reason: str) -> None:
        self._inbox.put(ShutdownHurried(reason))

    def _give_up(self) -> None:
        self.gave_up = not self.world.units_drained
        if self.gave_up:
            self._inbox.put(ShutdownOverdue())
        asyncio.get_running_loop().call_later(ENGINE_END, self._drained.event.set)

    def _make_gating(self) -> "Gating":
        from supervisor.runtime.gating import Gating  # noqa: PLC0415 - only where somebody is to be asked

        assert self._gates is not None
        return Gating(self._gates, lambda: self.world, self._log)

    def _tell_unasked(self, unit: str, check: str, why: str) -> None:
        self._log.warning("check.not-asked", unit=unit, check=check, reason=why)

    def _make_effects(self, tasks: asyncio.TaskGroup) -> Effects | DryEffects:
        look = self._watch.doubt
        if self._hands is None or self._recreations is None:
            return DryEffects(self._inbox, tasks, self._log, read_config=self._read_config, snapshot=look)
        return Effects(
            self._hands,
            self._inbox,
            tasks,
            self._log,
            read_config=self._read_config,
            snapshot=look,
            leave=self._watch.leave,
            system_docker=self._system_docker,
            user_docker=self._user_docker,
            switches=self._switches,
            recreations=self._recreations,
            gates=self._gates,
            make_gating=self._make_gating,
        )

    async def run(self) -> None:
        """Run until a shutdown is complete. Raises EngineTooOldError (in a group)."""
        clock = asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as tasks:
            effects = self._make_effects(tasks)
            self._prober = prober = HealthScheduler(
                self._engine,
                self._inbox,
                tasks,
                self._gauges,
                chance=self._chance,
                commands=self._hands,
                unasked=self._tell_unasked,
            )
            told = (*self._observers, prober, self._keeper, self._drained, self)
            self._loop = Loop(
                self._start_world,
                self._inbox,
                self._chance,
                effects,
                told,
            )
            if self._system_docker is not None:
                self._system_docker.look()
            lasting = [
                tasks.create_task(self._loop.run(clock), name="loop"),
                tasks.create_task(self._watch.run(), name="watch"),
                tasks.create_task(self._keeper.run(), name="keeper"),
            ]
            try:
                await self._drained.event.wait()
            finally:
                effects.close()
                if self._recreations is not None:
                    self._recreations.close()
                prober.close()
                for process in (self._user_docker, self._system_docker):
                    if process is not None:
                        process.close()
                for task in lasting:
                    task.cancel()
        await self._keeper.write(ended=not self.gave_up)
