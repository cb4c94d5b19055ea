"""``GET /v1/units/{name}/wait``: answered when the unit reaches a state, without polling."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from supervisor.http.control.commands import up
from supervisor.http.control.queries import row
from supervisor.http.control.request import Refusal, Taken, in_json, named, reached, seconds
from supervisor.http.server import BaseRequest, Response
from units.health import Health
from units.machine import Moment
from units.records import dataclass
from units.spec import UnitName
from units.unit import Phase, Unit
from units.world import World

Goal = Callable[[Unit], bool]


def stopped(unit: Unit) -> bool:
    """Whether nothing of it runs or is about to."""
    return unit.phase in {Phase.INACTIVE, Phase.COMPLETED, Phase.FAILED}


GOALS: Mapping[str, Goal] = {
    "ready": lambda unit: up(unit) or unit.phase is Phase.COMPLETED,
    "running": lambda unit: unit.phase.up,
    "healthy": lambda unit: unit.phase is Phase.READY and unit.health is Health.HEALTHY,
    "completed": lambda unit: unit.phase is Phase.COMPLETED,
    "stopped": stopped,
    "failed": lambda unit: unit.phase.stuck,
}


def hopeless(goal: str, unit: Unit) -> bool:
    """Whether it stays there until the operator intervenes. A crash loop is retried, so it may still get there."""
    if goal in {"stopped", "failed"}:
        return False
    at_rest = unit.phase in {Phase.FAILED, Phase.COMPLETED} or (unit.phase is Phase.INACTIVE and not unit.wanted)
    return at_rest and not GOALS[goal](unit)


@dataclass(slots=True)
class _Wait:
    unit: UnitName
    goal: str
    since: int
    """Number of the last event known at its start: older ones do not count."""
    reached: bool = False
    """Also when it left the state again before the answer."""
    hopeless: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, unit: Unit) -> None:
        self.reached = self.reached or GOALS[self.goal](unit)
        self.hopeless = not self.reached and hopeless(self.goal, unit)
        if self.reached or self.hopeless:
            self.over.set()


class Waits:
    """The waiting requests."""

    def __init__(
        self, *, taken: Callable[[], int], world: Callable[[], World], status: Callable[[], dict[str, Any]]
    ) -> None:
        """``taken``: the number of events known."""
        self._taken = taken
        self._world = world
        self._status = status
        self._waits: dict[int, _Wait] = {}
        self._closing = False

    def observe(self, moment: Moment, world: World) -> None:
        for wait in self._waits.values():
            if moment.seq <= wait.since:
                continue
            if (unit := world.units.get(wait.unit)) is None:
                wait.over.set()
            else:
                wait.look(unit)

    def close(self) -> None:
        self._closing = True
        for wait in self._waits.values():
            wait.over.set()

    async def wait(self, request: BaseRequest, taken: Taken) -> Response:
        goal, timeout = request.query.get("for", "ready"), seconds(request, "timeout")
        if goal not in GOALS:
            raise Refusal(400, f"for: unknown state '{goal[:80]}'", f"there are: {', '.join(GOALS)}")
        unit = named(self._world(), taken["name"])
        wait = _Wait(unit.name, goal, self._taken())
        wait.look(unit)
        self._waits[id(wait)] = wait
        try:
            if timeout:
                await reached(wait.over, timeout)
        finally:
            del self._waits[id(wait)]
        if self._closing:
            raise Refusal(503, "the supervisor ends", "check whether the host is shutting down")
        named(self._world(), unit.name)
        return in_json({"unit": row(self._status(), unit.name), "reached": wait.reached, "hopeless": wait.hopeless})
