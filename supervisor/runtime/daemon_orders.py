"""Carries out orders to the two dockerd processes of a host, which are no containers."""

from collections.abc import Callable
from typing import TypeAlias

from supervisor.engine.decode import signal_number
from supervisor.engine.port import EngineError, SystemEngine, UserEngine
from supervisor.runtime.loop import Inbox
from units.commands import ClearLeft, CreateContainer, SignalContainer, SignalDaemon, StartContainer, StartDaemon
from units.events import ClearFailed, ContainerCreated, ContainerKilled, HealthReported, LeftCleared
from units.health import Health
from units.spec import PROCESS

DaemonOrder: TypeAlias = StartDaemon | SignalDaemon


async def order_system_docker(docker: SystemEngine, order: DaemonOrder, leave: Callable[[], None]) -> None:
    """Given only where the engine is ours. No gate stands before it. Raises EngineError.

    ``leave``: close the event stream, for good. An engine that is to end waits 5 s for it (seen on 26.1).
    """
    match order:
        case StartDaemon():
            await docker.start()
        case SignalDaemon():
            leave()
            docker.signal(order.signal)


async def clear_user_docker(docker: UserEngine | None, inbox: Inbox, order: ClearLeft, cause: str) -> None:
    """In no lane: one that is hurried must not wait for itself. No start is ordered before it is over."""
    assert docker is not None
    try:
        await docker.clear(order.place, order.grace, everything=order.everything)
    except EngineError as error:
        inbox.put(ClearFailed(order.unit, error.failure, str(error)), cause=cause)
    else:
        inbox.put(LeftCleared(order.unit), cause=cause)


async def order_user_docker(
    docker: UserEngine, inbox: Inbox, order: CreateContainer | StartContainer | SignalContainer, cause: str
) -> None:
    """It has no container; what stands for one is made of its definition alone. Raises EngineError."""
    match order:
        case CreateContainer(spec=spec):
            docker.prepare(spec.body, spec.config_hash)
            inbox.put(ContainerCreated(order.unit, PROCESS, spec.config_hash), cause=cause)
            inbox.put(HealthReported(order.unit, PROCESS, Health.STARTING), cause=cause)
        case StartContainer(place=place):
            assert place is not None
            await docker.start(place, cause)
        case SignalContainer():
            docker.signal(order.signal)
            inbox.put(ContainerKilled(order.unit, PROCESS, signal_number(order.signal)), cause=cause)
