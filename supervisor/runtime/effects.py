"""Carries out the core's orders: one lane per unit, one timer per unit, and nothing decided here.

Orders to one unit run one after another, units in parallel. A pull has no lane: it may take minutes, and a stop must
not wait for it. The effect of an order comes as an engine event; only its failure is reported from here.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from structlog.typing import FilteringBoundLogger

from supervisor.engine.port import Engine, EngineError, StaleEndpointError, SystemEngine, UserEngine
from supervisor.runtime.daemon_orders import DaemonOrder, clear_user_docker, order_system_docker, order_user_docker
from supervisor.runtime.loop import Inbox
from supervisor.runtime.recreate import Recreations
from supervisor.runtime.switch_actions import SwitchActions
from supervisor.runtime.timers import Timers
from units.commands import (
    ArmSwitch,
    ArmTimer,
    CheckSwitch,
    ClearLeft,
    Command,
    CreateContainer,
    DropIntent,
    KeepChoice,
    KeepIntent,
    KeepServed,
    ParkContainer,
    PrepareContainer,
    PullImage,
    ReadConfig,
    RecreateContainer,
    RemoveContainer,
    RestartContainer,
    SayOnly,
    SignalContainer,
    SignalDaemon,
    StartContainer,
    StartDaemon,
    SwapBack,
    TakeSnapshot,
    Timer,
)
from units.engine_events import DaemonAbsent, DaemonStartFailed
from units.events import (
    ContainerCreated,
    ContainerLooked,
    CreateFailed,
    Event,
    HealthReported,
    ImagePulled,
    PullFailed,
    SignalFailed,
    StartFailed,
    SuccessorFailed,
    SuccessorMade,
)
from units.health import Health
from units.machine import Moment
from units.spec import USER_DOCKER, ContainerId, UnitName
from units.unit import Failure
from units.world import Entry, Reaction

if TYPE_CHECKING:
    from supervisor.runtime.gating import Gates, Gating

GUARDED: dict[type[Command], str] = {
    CreateContainer: "before_start",
    PrepareContainer: "before_start",
    StartContainer: "before_start",
    SignalContainer: "before_stop",
}
"""The gate's point for each order."""

RareOrder: TypeAlias = RestartContainer | RecreateContainer | RemoveContainer | ParkContainer | SwapBack
Provision: TypeAlias = CreateContainer | PrepareContainer
LaneOrder: TypeAlias = Provision | StartContainer | SignalContainer | KeepIntent | RareOrder | DaemonOrder


class Effects:
    """An observer that acts. ``read_config`` and ``snapshot`` carry out those two orders, ``leave`` stops the watch."""

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        log: FilteringBoundLogger,
        *,
        read_config: Callable[[], Awaitable[Event]],
        snapshot: Callable[[str], None],
        leave: Callable[[], None],
        system_docker: SystemEngine | None = None,
        user_docker: UserEngine | None = None,
        switches: SwitchActions | None = None,
        recreations: Recreations,
        gates: "Gates | None" = None,
        make_gating: "Callable[[], Gating] | None" = None,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._tasks = tasks
        self._log = log
        self._read_config = read_config
        self._snapshot = snapshot
        self._leave = leave
        self._system_docker = system_docker
        self._user_docker = user_docker
        self._switches = switches
        self._recreations = recreations
        self._lanes: dict[UnitName, deque[tuple[LaneOrder, str]]] = {}
        self._gates = gates
        self._make_gating = make_gating
        self._gating: Gating | None = None  # Created when a gate is asked for the first time.
        self._timers = Timers(inbox.put, busy=self._lanes.__contains__)

    def observe(self, _entry: Entry, moment: Moment, reaction: Reaction) -> None:
        for command in reaction.commands:
            name: UnitName | None = getattr(command, "unit", None)
            unit = None if name is None else reaction.world.units.get(name) or reaction.world.find(name)
            put_off = isinstance(command, ArmTimer) and command.timer is Timer.LOOK
            self._order(command, moment.cause if unit is None or put_off else unit.cause or moment.cause)

    def close(self) -> None:
        """Cancel all timers."""
        self._timers.close()
        if self._switches is not None:
            self._switches.close()

    def _order(self, command: Command, cause: str) -> None:
        match command:
            case ArmTimer():
                self._timers.arm(command, cause)
            case (
                StartContainer()
                | CreateContainer()
                | PrepareContainer()
                | SignalContainer()
                | RemoveContainer()
                | RestartContainer()
                | RecreateContainer()
                | ParkContainer()
                | SwapBack()
                | KeepIntent()
                | StartDaemon()
                | SignalDaemon()
            ):
                self._enqueue(command, cause)
            case ClearLeft():
                self._tasks.create_task(clear_user_docker(self._user_docker, self._inbox, command, cause), name="clear")
            case PullImage():
                self._tasks.create_task(self._pull(command, cause), name=f"pull:{command.unit}")
            case ArmSwitch():
                self._switching.arm(command, cause)
            case CheckSwitch() | KeepChoice() | KeepServed() | DropIntent():
                self._tasks.create_task(self._switching.carry_out(command, cause), name="switch")
            case TakeSnapshot():
                self._snapshot(command.why)
            case SayOnly():
                pass  # Of a dry run, which has no hands to do more.
            case ReadConfig():
                self._tasks.create_task(self._report_config(cause), name="config")
            case _:
                assert_never(command)

    @property
    def _switching(self) -> SwitchActions:
        assert self._switches is not None
        return self._switches

    def _enqueue(self, order: LaneOrder, cause: str) -> None:
        lane = self._lanes.get(order.unit)
        if lane is not None:
            lane.append((order, cause))
            return
        self._lanes[order.unit] = deque()
        call = self._call(order, cause)  # Now, not in the task: a start leaves in this turn of the event loop.
        task = self._tasks.create_task(self._drain(order, cause, call), name=f"lane:{order.unit}")
        task.add_done_callback(lambda _: call.close())  # Never awaited if the task is cancelled before it begins.

    async def _drain(self, order: LaneOrder, cause: str, call: Coroutine[Any, Any, None]) -> None:
        lane = self._lanes[order.unit]
        while True:
            try:
                await call
            except EngineError as error:
                failed = await self._in_spite_of(order, error)
                if failed is not None:
                    self._report(order, failed, cause)
            if not lane:
                break
            order, cause = lane.popleft()
            call = self._call(order, cause)
        del self._lanes[order.unit]

    async def _in_spite_of(self, order: LaneOrder, error: EngineError) -> EngineError | None:
        """What remains of a failure: an endpoint of an ended run is no reason not to start."""
        if not isinstance(error, StaleEndpointError) or not isinstance(order, StartContainer | RestartContainer):
            return error
        try:
            await self._recreations.start_freed(order.container, error)
        except EngineError as other:
            return other
        return None

    def _call(self, order: LaneOrder, cause: str) -> Coroutine[Any, Any, None]:
        point = GUARDED.get(type(order)) if self._gates is not None else None
        if point is not None and self._gates is not None and self._gates.stand_before(point, order.unit):
            return self._ask_first(order, cause)
        return self._give(order, cause)

    async def _ask_first(self, order: LaneOrder, cause: str) -> None:
        """Ask the gates, if there are any. The time limit of a stop does not run meanwhile."""
        if self._gating is None:
            assert self._make_gating is not None
            self._gating = self._make_gating()
        if isinstance(order, SignalContainer):
            held = self._timers.hold(order.unit)
            try:
                order = await self._gating.admit(order, cause)
            finally:
                self._timers.go_on(held)
        elif isinstance(order, CreateContainer | PrepareContainer | StartContainer):
            order = await self._gating.admit(order, cause)
        await self._give(order, cause)

    def _give(self, order: LaneOrder, cause: str) -> Coroutine[Any, Any, None]:
        match order:
            case KeepIntent():
                return self._switching.keep_intent(order, cause)
            case StartDaemon() | SignalDaemon():
                assert self._system_docker is not None
                return order_system_docker(self._system_docker, order, self._leave)
            case CreateContainer() | StartContainer() | SignalContainer() if order.unit == USER_DOCKER:
                assert self._user_docker is not None
                return order_user_docker(self._user_docker, self._inbox, order, cause)
            case StartContainer():
                return self._engine.start(order.container)
            case CreateContainer():
                return self._create(order, cause)
            case PrepareContainer():
                return self._prepare(order, cause)
            case SignalContainer():
                return self._engine.signal(order.container, order.signal)
            case _:
                return self._rarely(order, cause)

    def _rarely(self, order: RareOrder, cause: str) -> Coroutine[Any, Any, None]:
        match order:
            case RestartContainer():
                return self._engine.restart(order.container, order.timeout)
            case RecreateContainer():
                return self._recreate(order, cause)
            case SwapBack():
                return self._swap_back(order)
            case ParkContainer():
                return self._park(order)
            case RemoveContainer():
                return self._remove(order)
            case _:
                assert_never(order)

    async def _recreate(self, order: RecreateContainer, cause: str) -> None:
        async def made(new: ContainerId) -> None:
            self._inbox.put(ContainerCreated(order.unit, new), cause=cause)

        await self._recreations.recreate(order.container, dict(order.joins), order.timeout, made)

    async def _park(self, order: ParkContainer) -> None:
        await self._engine.stop(order.container, order.timeout)
        self._log.info("console.parked", container=order.container[:12], reason=order.why)

    async def _remove(self, order: RemoveContainer) -> None:
        await self._engine.remove(order.container)
        self._log.info("leftover.removed", unit=order.unit, container=order.container[:12], reason=order.why)

    def _report(self, order: LaneOrder, error: EngineError, cause: str) -> None:
        text = str(error)
        self._log.debug("order.failed", unit=order.unit, order=type(order).__name__, error=text, cause=cause)
        match order:
            case CreateContainer() | RecreateContainer():
                self._inbox.put(CreateFailed(order.unit, error.failure, text), cause=cause)
            case PrepareContainer():
                self._inbox.put(SuccessorFailed(order.unit, error.failure, text), cause=cause)
            case StartContainer() | RestartContainer():
                self._inbox.put(StartFailed(order.unit, order.container, error.failure, text), cause=cause)
            case SignalContainer():
                self._inbox.put(SignalFailed(order.unit, order.container, error.failure, text), cause=cause)
            case RemoveContainer():
                self._log.warning("leftover.kept", unit=order.unit, container=order.container[:12], error=text)
            case SwapBack():
                self._log.warning("console.not-swapped", container=order.container[:12], error=text)
            case ParkContainer():
                self._log.warning("console.not-parked", container=order.container[:12], error=text)
            case StartDaemon() | SignalDaemon():
                started = isinstance(order, StartDaemon)
                fact = DaemonStartFailed(order.unit, text) if started else DaemonAbsent(order.unit)
                self._inbox.put(fact, cause=cause)
            case KeepIntent():
                pass  # Needs no engine.
            case _:
                assert_never(order)

    async def _prepare(self, order: PrepareContainer, cause: str) -> None:
        new = await self._recreations.prepare(order)
        self._inbox.put(SuccessorMade(order.unit, new, order.spec.config_hash), cause=cause)

    async def _create(self, order: CreateContainer, cause: str) -> None:
        """The reply carries the new id, so it is a fact; the event stream repeats it."""
        spec = order.spec

        async def made(new: ContainerId) -> None:
            self._inbox.put(ContainerCreated(order.unit, new, spec.config_hash, spec.variant), cause=cause)
            await self._look(order.unit, new, cause)

        try:
            await self._recreations.create(order, made)
        except EngineError as error:
            raise (await self._clash(order, error) if error.failure is Failure.NAME_TAKEN else error) from error

    async def _swap_back(self, order: SwapBack) -> None:
        if order.discards is not None:
            try:
                await self._engine.remove(order.discards)
            except EngineError as error:
                if error.failure is not Failure.NOT_FOUND:
                    raise
        await self._engine.rename(order.container, order.name)

    async def _clash(self, order: CreateContainer, error: EngineError) -> EngineError:
        """Find the container that has the name. Our own was made by an earlier create whose answer was lost."""
        name = order.spec.container
        try:
            owner = await self._engine.owner(name)
        except EngineError:
            return error
        if owner == order.unit:
            return EngineError(Failure.CONFLICT, f"this unit already has a container '{name}'")
        return EngineError(
            Failure.NAME_TAKEN,
            f"the name '{name}' is taken by a container that is not ours; nothing was touched:"
            f" rename it (docker rename {name} {name}-old) or remove it",
        )

    async def _look(self, unit: UnitName, container: ContainerId, cause: str) -> None:
        """Report what the new container refers to, and whether it has an engine health check."""
        try:
            seen = await self._engine.look(container)
        except EngineError:
            return  # The start that follows reports the problem.
        if seen.look is not None:
            self._inbox.put(ContainerLooked(unit, container, seen.look), cause=cause)
        if seen.health is not Health.NONE:
            self._inbox.put(HealthReported(unit, container, Health.STARTING), cause=cause)

    async def _pull(self, order: PullImage, cause: str) -> None:
        try:
            await self._engine.pull(order.image)
        except EngineError as error:
            self._inbox.put(PullFailed(order.unit, error.failure, str(error)), cause=cause)
        else:
            self._inbox.put(ImagePulled(order.unit), cause=cause)

    async def _report_config(self, cause: str) -> None:
        self._inbox.put(await self._read_config(), cause=cause)
