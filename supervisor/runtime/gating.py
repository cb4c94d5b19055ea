"""Asks the host's gates before a start, a stop or a switch, and translates their answers for the core.

A veto becomes a failure of the order (``Failure.VETOED``); contributions go into the create call.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from hooks.gates import GateVerdict
from hooks.points import Asked, Contribution, Starting, Stopping, Switching
from supervisor.engine.port import EngineError
from units.commands import CheckSwitch, CreateContainer, PrepareContainer, SignalContainer, StartContainer
from units.records import replace
from units.spec import USER_DOCKER, UnitName
from units.unit import Failure, Phase, StoppedBy, Unit
from units.world import World

Gated = CreateContainer | PrepareContainer | StartContainer | SignalContainer


class Gates(Protocol):
    """The gates."""

    def stand_before(self, point: str, unit: str) -> bool:
        """Whether there may be gates."""
        ...

    async def ask(self, asked: Asked) -> GateVerdict: ...

    def moment(self) -> float: ...


class Gating:
    """``world``: as it is now."""

    def __init__(self, gates: Gates, world: Callable[[], World], log: FilteringBoundLogger) -> None:
        self._gates = gates
        self._world = world
        self._log = log
        self._let: dict[UnitName, str] = {}
        """Causes of creates that were allowed: the start that follows is part of the same step."""

    async def admit(self, order: Gated, cause: str) -> Gated:
        """The order with contributions. Raises EngineError: it was vetoed."""
        unit = self._world().units.get(order.unit)
        if unit is None:
            return order
        match order:
            case CreateContainer() if order.unit == USER_DOCKER:
                pass  # User Docker has no container; its start is asked.
            case CreateContainer() if order.prepared is not None:
                self._let[order.unit] = cause  # It was asked for before the old one stopped.
            case PrepareContainer():
                return _with(order, (await self._may_start(unit, "", cause)).contributions)
            case CreateContainer():
                leave = await self._may_start(unit, "", cause)
                self._let[order.unit] = cause
                return _with(order, leave.contributions)
            case StartContainer():
                if self._let.pop(order.unit, "") != cause:
                    await self._may_start(unit, order.container[:12], cause)
            case SignalContainer() if _is_stop(unit, order):
                await self._may_stop(unit, cause)
            case SignalContainer():
                pass
        return order

    async def _may_start(self, unit: Unit, container: str, cause: str) -> GateVerdict:
        self._let.pop(unit.name, None)
        leave = await self._gates.ask(
            Starting(
                at=self._gates.moment(),
                cause=cause,
                reason=unit.reason,
                unit=unit.name,
                image=unit.spec.image,
                container=container,
                restarts=unit.restarts,
            )
        )
        if leave.vetoes:
            raise EngineError(Failure.VETOED, leave.reason)
        return leave

    async def _may_stop(self, unit: Unit, cause: str) -> None:
        leave = await self._gates.ask(
            Stopping(
                at=self._gates.moment(),
                cause=cause,
                reason=unit.reason,
                unit=unit.name,
                container=(unit.container or "")[:12],
                by=unit.stopped_by.value,
                shutdown=self._world().draining,
            )
        )
        if leave.vetoes and self._world().draining:
            self._log.warning("veto.overruled", unit=unit.name, reason=leave.reason, cause=cause)
        elif leave.vetoes:
            raise EngineError(Failure.VETOED, leave.reason)


async def refusals(gates: Gates, order: CheckSwitch, cause: str) -> tuple[str, ...]:
    """Why a switch is refused; empty if it is not."""
    leave = await gates.ask(
        Switching(
            at=gates.moment(),
            cause=cause,
            reason=f"a switch to {order.target} is requested",
            unit=order.of.value,
            target=order.target,
            force=order.force,
        )
    )
    return (leave.reason,) if leave.vetoes else ()


def _is_stop(unit: Unit, order: SignalContainer) -> bool:
    """Whether it is the first signal of a stop, outside of a switch, which is asked as a whole."""
    if unit.phase is not Phase.STOPPING or unit.stopped_by is StoppedBy.SWITCH:
        return False
    return not unit.kills and order.signal != "SIGKILL"


Made = TypeVar("Made", CreateContainer, PrepareContainer)


def _with(order: Made, contributions: Sequence[Contribution]) -> Made:
    if not contributions:
        return order
    return replace(order, spec=replace(order.spec, body=contributed(order.spec.body, contributions)))


def contributed(body: str, contributions: Sequence[Contribution]) -> str:
    """Add these to the body of a create call; existing variables get the new value."""
    made: dict[str, Any] = json.loads(body)
    environment = dict(_pair(entry) for entry in made.get("Env") or ())
    host: dict[str, Any] = made.get("HostConfig") or {}
    binds = list(host.get("Binds") or ())
    for one in contributions:
        environment |= one.environment
        binds += [mount for mount in one.mounts if mount not in binds]
    if environment:
        made["Env"] = [key if value is None else f"{key}={value}" for key, value in environment.items()]
    if binds:
        made["HostConfig"] = {**host, "Binds": binds}
    return json.dumps(made)


def _pair(entry: str) -> tuple[str, str | None]:
    key, is_set, value = entry.partition("=")
    return key, value if is_set else None
