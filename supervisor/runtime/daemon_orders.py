"""Carries out orders to the two dockerd processes of a host, which are no containers."""

from collections.abc import Callable
from typing import TypeAlias

from supervisor.engine.decode import signal_number
from supervisor.engine.port import SystemEngine, UserEngine
from supervisor.runtime.loop import Inbox
from units.commands import CreateContainer, SignalContainer, SignalDaemon, StartContainer, StartDaemon
from units.events import ContainerCreated, ContainerKilled, HealthReported
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
