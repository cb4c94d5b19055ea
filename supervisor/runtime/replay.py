"""What an engine tells of the time in which no supervisor ran."""

import asyncio
import contextlib

from supervisor.engine.port import EngineMessage

RECALL = 2.0
"""Longest wait in seconds for an engine to tell the last known event again, before the first snapshot."""
REPLAY = 0.1
"""Seconds from then on until all is told that happened while no supervisor ran: it comes with the same bytes."""


class Replay:
    """What the engine tells at the first connection of the time since the last supervisor.

    It counts only if the last known event is told again. Else the engine has been started since then, or has forgotten
    that far back: an engine that starts ends what its predecessor left, and that looks like a person's stops.
    """

    def __init__(self, known_ns: int) -> None:
        self.known_ns = known_ns
        self.held: list[EngineMessage] = []
        self._told = asyncio.Event()

    def hold(self, heard: EngineMessage) -> None:
        self.held.append(heard)
        if heard.at == self.known_ns:
            self._told.set()

    async def heard_out(self) -> None:
        """Until all is held that the engine tells again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECALL):
                await self._told.wait()
        await asyncio.sleep(REPLAY)

    @property
    def missed(self) -> list[EngineMessage]:
        if all(heard.at != self.known_ns for heard in self.held):
            return []
        return [heard for heard in self.held if heard.at > self.known_ns]
