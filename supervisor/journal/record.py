"""A record of the journal, and how others follow them: whoever is slow loses some, and is told how many."""

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, Self, TypeAlias

from hooks.backlog import Backlog
from supervisor.logs.timestamps import as_iso
from units.records import dataclass
from units.rules import Value

QUEUE = 1024
"""Records that wait for one follower."""


Inputs: TypeAlias = tuple[tuple[str, ...], tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened. Empty fields say nothing and are left out of its JSON."""

    seq: int
    """Counts records from the start of the supervisor; the same number as in the log line."""
    time: float
    """Seconds since 1970, when it was decided."""
    event: str
    """``unit.transition``, ``unit.fact``, ``engine.lost``, ..."""
    cause: str = ""
    level: str = "info"
    """Of its line in the log."""
    taken: int = 0
    """Number of the fact it came of, counted from the start of the supervisor; one fact may make many records."""
    unit: str = ""
    before: str = ""
    after: str = ""
    on: str = ""
    """Name of the fact that the unit answered to."""
    reason: str = ""
    fact: str = ""
    """The fact that began it all, with its fields, in words."""
    engine_ns: int = 0
    """The engine's own stamp of that fact, nanoseconds since 1970."""
    exit_code: int | None = None
    container: str = ""
    restarts: int | None = None
    restart: str = ""
    """Why this counts as a restart; of a decision: the restart that it leads to."""
    incarnation: int | None = None
    """Which run of the unit, as far as they were counted."""
    incident: str = ""
    """Id of the trouble that it is a part of, as long as that is not over."""
    rule: str = ""
    """Of a decision: the rule, as units/rule_book.py names it."""
    inputs: Inputs = ((), ())
    """Of a decision: what it was made from, names and values apart: decisions by one rule share their names."""
    outcome: str = ""
    """Of a decision: what is done, in words."""
    decision: int = 0
    """Of a restart: the number of the decision that it comes from."""
    uid: int | None = None
    """Who asked for it over the control socket."""

    def as_dict(self) -> dict[str, Any]:
        told = {key: value for key, value in asdict(self).items() if value not in {"", None, ()}}
        told["time"] = as_iso(self.time)
        del told["engine_ns"]
        if not self.decision:
            del told["decision"]
        del told["inputs"]
        if self.inputs[0]:
            told["inputs"] = dict(zip(*self.inputs, strict=True))
        if self.engine_ns:
            told["engine_time"] = as_iso(self.engine_ns / 1e9)
        return told


@dataclass(frozen=True, slots=True)
class Dropped:
    """A follower was too slow: so many records were not shown to it."""

    count: int

    def as_dict(self) -> dict[str, Any]:
        return {"event": "dropped", "count": self.count}


class Subscription:
    """What happens from now on. Iterate it; leave it by ``with`` or ``close``, which also ends a waiting iteration."""

    def __init__(self, leave: Callable[["Subscription"], None]) -> None:
        self._leave = leave
        self._waiting = Backlog[Record](QUEUE)

    def offer(self, record: Record) -> None:
        self._waiting.put(record)

    def close(self) -> None:
        self._leave(self)
        self._waiting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Record | Dropped]:
        return self

    async def __anext__(self) -> Record | Dropped:
        if not await self._waiting.wait():
            raise StopAsyncIteration
        if count := self._waiting.dropped:
            self._waiting.dropped = 0
            return Dropped(count)
        return self._waiting.take()
