"""A record of the journal, and subscriptions to records. A slow client loses some, and gets their number."""

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, Self, TypeAlias

from hooks.backlog import Backlog
from supervisor.logs.timestamps import as_iso
from units.records import dataclass
from units.rules import Value
from units.words import fact_in_words

QUEUE = 1024
"""Records that wait for one follower."""


Inputs: TypeAlias = tuple[tuple[str, ...], tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened. Empty fields are left out of its JSON."""

    seq: int
    """Counts records from the start of the supervisor; the same number as in the log line."""
    time: float
    """Seconds since 1970, when it was decided."""
    event: str
    """``unit.transition``, ``unit.fact``, ``engine.lost``, ..."""
    cause: str = ""
    level: str = "info"
    """Level of its log line."""
    taken: int = 0
    """Number of the fact it came of, counted from the start of the supervisor; one fact may cause many records."""
    unit: str = ""
    before: str = ""
    after: str = ""
    on: str = ""
    """Class name of the fact that the unit's table took."""
    reason: str = ""
    fact: str = ""
    """Class name and fields of the fact at hand; ``as_dict`` has it in words as ``happened``."""
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
    """Id of the incident that it belongs to, while that is open."""
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
        if self.fact:
            told["happened"] = fact_in_words(self.fact)
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
    """Number of records that a slow follower lost."""

    count: int

    def as_dict(self) -> dict[str, Any]:
        return {"event": "dropped", "count": self.count}


class Subscription:
    """Records from now on. Iterate it; end it by ``with`` or ``close``, which also ends a waiting iteration."""

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
