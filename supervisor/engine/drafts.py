"""Drafts the create call of a container that takes another one's place, by what the engine says of both."""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from supervisor.engine import decode
from supervisor.engine.calls import LOOK, Calls
from supervisor.engine.discovery import Selector
from supervisor.engine.port import Blueprint, EngineError, Replica
from units.spec import ContainerId
from units.unit import Failure


class Drafts:
    """``inspect``: of a container, and in an API version other than the usual one."""

    def __init__(self, calls: Calls, inspect: Callable[..., Awaitable[Any]], lens: Selector) -> None:
        self._calls = calls
        self._inspect = inspect
        self._lens = lens

    async def replica(self, container: ContainerId, joins: Mapping[ContainerId, ContainerId], dialect: str) -> Replica:
        """``dialect``: the newest API version that the engine serves."""
        from supervisor.engine.replica import fullest, keeps_name, replica  # noqa: PLC0415 - few are made anew

        found = fullest(await self._inspect(container, dialect), await self._inspect(container))
        found = self._lens.relinked(found)
        async with self._calls.order("list", container[:12], LOOK):
            # Not the image itself: a proxy may let nobody ask for that.
            asked = {"all": "1", "filters": json.dumps({"id": [container]})}
            rows = await self._calls.ask("containers/json", params=asked)
        renamed = not keeps_name(found, rows)
        wanted = partial(replica, found, joins, self._lens.names, renamed=renamed, dialect=dialect)
        return wanted(given=await self._given(json.loads(wanted().body)))

    async def successor(self, plan: Blueprint) -> Replica:
        if not (plan.predecessor or plan.takers or plan.volumes):
            return Replica(plan.name, plan.body)
        from supervisor.engine import volumes  # noqa: PLC0415 - as above

        body = json.loads(plan.body)
        given = await self._given(body)
        found = await self.unless_gone(plan.predecessor) if plan.predecessor else None
        if found is not None:
            return Replica(plan.name, json.dumps(volumes.with_volumes(body, found, given)))
        if takers := [one for taker in plan.takers if (one := await self.unless_gone(taker)) is not None]:
            image = await self._declared(str(body.get("Image")))
            body = volumes.with_volumes_of_takers(body, plan.name, takers, image=image, given=given)
        return Replica(plan.name, json.dumps(volumes.with_remembered(body, plan.volumes, given)))

    async def unless_gone(self, container: str) -> Any:
        try:
            return await self._inspect(container)
        except EngineError as error:
            if error.failure is Failure.NOT_FOUND:
                return None
            raise

    async def _declared(self, image: str) -> frozenset[str]:
        """Places for which an image declares a volume; of one that is not there the create will say it."""
        from supervisor.engine.volumes import declared  # noqa: PLC0415 - as above

        async with self._calls.order("image", image, LOOK):
            found = await self._calls.found(f"images/{quote(image, safe='/:@')}/json")
        return declared(decode.as_map(decode.as_map(found).get("Config")))

    async def _given(self, body: Mapping[str, Any]) -> frozenset[str]:
        """Mount points of the containers in its ``VolumesFrom``."""
        from supervisor.engine.volumes import donors, places  # noqa: PLC0415 - as above

        given: frozenset[str] = frozenset()
        for donor in donors(body.get("HostConfig")):  # Of one that is gone the create will say it.
            given |= places(await self.unless_gone(donor))
        return given
