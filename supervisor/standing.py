"""Keeps the engine told which containers to start in the very moment their death is heard (``units/standing.py``).

Standing orders hold for one world only: the loop takes them back before each reaction, and they are renewed when
nothing else waits. So the next event meets the world that they were rehearsed in.
"""

import asyncio
from collections.abc import Callable, Collection
from itertools import islice
from typing import Protocol

from units.machine import Moment
from units.quantities import NEVER, Instant
from units.spec import ContainerId, UnitName
from units.standing import look_again, standing_start
from units.world import World

NOBODY: frozenset[ContainerId] = frozenset()
AT_ONCE = 4
"""Units rehearsed in one go: 0.15 ms each on a small host, 0.35 on one with 300 units."""


class Ready(Protocol):
    """Who carries standing orders out."""

    def stand_by(self, containers: frozenset[ContainerId]) -> None: ...


class StandingOrders:
    """``busy``: units to which other orders are under way, which must not be overtaken.

    ``asked_first``: whether somebody has to be asked before a unit may start.
    """

    def __init__(
        self,
        engine: Ready,
        busy: Callable[[], Collection[UnitName]],
        ask: Callable[[], None],
        *,
        asked_first: Callable[[UnitName], bool] = lambda _: False,
    ) -> None:
        self._engine = engine
        self._busy = busy
        self._asked_first = asked_first
        self._ask = ask
        """Calls for ``renew`` when nothing is under way."""
        self._world: World | None = None
        """The world that was looked at last."""
        self._todo: dict[UnitName, None] = {}
        """Units whose death has to be rehearsed anew; until then the core has to see it first."""
        self._starts: dict[UnitName, ContainerId] = {}
        self._later: dict[UnitName, Instant] = {}
        """When time alone may have earned a unit its order."""
        self._all: frozenset[ContainerId] | None = NOBODY
        """What is in ``_starts``; ``None``: that has changed."""
        self._going_on: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None

    def revoke(self) -> None:
        """Something has happened: first the core has to see it."""
        self._engine.stand_by(NOBODY)

    def think_again(self) -> None:
        """Others have to be asked than before."""
        self.revoke()
        self._forget_all()
        self._world = None
        self._ask()

    def renew(self, world: World, now: Instant) -> None:
        """Rehearse what has changed since the last time, a few units at once, and stand by."""
        for name in self._changed(world):
            self._todo[name] = None
            self._forget(name)
        self._world = world
        moment = Moment(now, 0.5, "")
        for name in tuple(islice(self._todo, AT_ONCE)):
            del self._todo[name]
            if name in world.units:
                self._rehearse(world, name, moment)
        if self._todo and self._going_on is None:
            self._going_on = asyncio.get_running_loop().call_soon(self._go_on)
        self._engine.stand_by(self._now_free())

    def _now_free(self) -> frozenset[ContainerId]:
        """The same set as long as nothing has changed: it is a matter of microseconds, at each event."""
        if self._all is None:
            self._all = frozenset(self._starts.values())
        waiting = {start for name in self._busy() if (start := self._starts.get(name)) is not None}
        return self._all - waiting if waiting else self._all

    def _forget(self, name: UnitName) -> None:
        if self._starts.pop(name, None) is not None:
            self._all = None

    def _forget_all(self) -> None:
        self._starts.clear()
        self._all = None

    def close(self) -> None:
        self.revoke()
        for handle in (self._timer, self._going_on):
            if handle is not None:
                handle.cancel()

    def _changed(self, world: World) -> Collection[UnitName]:
        """Units that a death would find in other circumstances than those that were rehearsed."""
        before = self._world
        if before is world:
            return ()
        if before is None or not _same_circumstances(before, world):
            self._forget_all()
            return world.units
        changed = [name for name, unit in world.units.items() if before.units.get(name) is not unit]
        followers = world.links.followers
        names = dict.fromkeys(changed)
        for name in changed:
            names |= dict.fromkeys((*followers.get(name, ()), *world.links.downstream(name)))
        return names

    def _rehearse(self, world: World, name: UnitName, moment: Moment) -> None:
        asked = self._asked_first(name)
        start = None if asked else standing_start(world, name, moment)
        due = NEVER if asked or start is not None else look_again(world, name, moment.now)
        if start is not None:
            self._starts[name], self._all = start, None
        if due > moment.now:
            self._later[name] = due
            if self._timer is None or due < self._timer.when():
                self._arm(due)
        else:
            self._later.pop(name, None)

    def _arm(self, due: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for name in [name for name, due in self._later.items() if due <= now]:
            del self._later[name]
            self._todo[name] = None
        if self._later:
            self._arm(min(self._later.values()))
        self._ask()

    def _go_on(self) -> None:
        self._going_on = None
        self._ask()


def _same_circumstances(one: World, other: World) -> bool:
    """Other units come and go with other links."""
    return (
        one.links is other.links
        and one.engine_up is other.engine_up
        and one.draining is other.draining
        and one.reloading == other.reloading
        and one.switch is other.switch
        and one.consoles is other.consoles
    )
