"""Keeps the engine told which containers to start in the very moment their death is heard (``units/standing.py``).

Standing orders hold for one world only: the loop takes them back before each reaction, and they are renewed when all
that it led to has been told and nothing else waits. So the next event meets the world that they were rehearsed in.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from units.kernel import World
from units.machine import Moment
from units.quantities import NEVER, Instant
from units.standing import look_again, standing_start
from units.unit import ContainerId, UnitName

NOBODY: frozenset[ContainerId] = frozenset()


class Ready(Protocol):
    """Who carries standing orders out."""

    def stand_by(self, containers: frozenset[ContainerId]) -> None: ...


class StandingOrders:
    """``free``: whether an order to this unit would leave at once; one that waits its turn must not be overtaken."""

    def __init__(self, engine: Ready, free: Callable[[UnitName], bool], ask: Callable[[], None]) -> None:
        self._engine = engine
        self._free = free
        self._ask = ask
        """Calls for ``renew`` when nothing is under way."""
        self._world: World | None = None
        """The world that was rehearsed last."""
        self._starts: dict[UnitName, ContainerId] = {}
        self._given = NOBODY
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER

    def revoke(self) -> None:
        """Something has happened: first the core has to see it."""
        self._engine.stand_by(NOBODY)

    def renew(self, world: World, now: Instant) -> None:
        """Rehearse what has changed since the last time, and stand by."""
        dirty = self._dirty(world)
        self._world = world
        if dirty:
            moment = Moment(now, 0.5, "")
            for name in dirty:
                self._rehearse(world, name, moment)
        wanted = frozenset(start for name, start in self._starts.items() if name in world.units and self._free(name))
        if wanted != self._given:
            self._given = wanted
        self._engine.stand_by(self._given)

    def close(self) -> None:
        self.revoke()
        if self._timer is not None:
            self._timer.cancel()

    def _dirty(self, world: World) -> Collection[UnitName]:
        """Units that a death would find in other circumstances than those that were rehearsed."""
        before = self._world
        if before is None or not _same_circumstances(before, world):
            self._starts.clear()
            return world.units
        changed = [name for name, unit in world.units.items() if before.units.get(name) is not unit]
        followers = world.links.followers
        names = dict.fromkeys(changed)
        for name in changed:
            names |= dict.fromkeys((*followers.get(name, ()), *world.links.downstream(name)))
        return names

    def _rehearse(self, world: World, name: UnitName, moment: Moment) -> None:
        start = standing_start(world, name, moment)
        if start is not None:
            self._starts[name] = start
            return
        self._starts.pop(name, None)
        due = look_again(world, name, moment.now)
        if due > moment.now and not moment.now < self._due <= due:
            self._arm(due)

    def _arm(self, due: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._look_again)

    def _look_again(self) -> None:
        """All are looked at: it is seldom, and which ones it concerns would have to be kept right."""
        self._timer, self._due, self._world = None, NEVER, None
        self._ask()


def _same_circumstances(one: World, other: World) -> bool:
    return (
        one.links is other.links
        and one.engine_up is other.engine_up
        and one.draining is other.draining
        and one.reloading == other.reloading
        and one.switch is other.switch
        and one.consoles is other.consoles
    )
