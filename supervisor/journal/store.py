"""The records of this supervisor that are kept in memory: the last ones of all, and of each unit; and their followers.

A slow follower loses records and gets their number; it delays no one else.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from supervisor.journal.record import Inputs, Record, Subscription
from units.rules import Value

KEPT = 4096
KEPT_PER_UNIT = 64
"""Records of a quiet unit that stay while its neighbour crashes all day."""
GAP = 1000
"""Between the last saved number of the previous supervisor and the first one of this."""


class RecordStore:
    """A ring of records.

    Args:
        kept: The previous supervisor's last records. Numbers go on after a gap, because it may have made more records
            than it could still write down.
    """

    def __init__(self, kept: Sequence[Record] = ()) -> None:
        self._numbered = kept[-1].seq + GAP if kept else 0
        self._ring: deque[Record] = deque(kept, maxlen=KEPT)
        self._by_unit: dict[str, deque[Record]] = {}
        for record in kept:
            self._file(record)
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._followers: set[Subscription] = set()
        self.run = f"{time.time_ns() // 1_000_000:x}"
        """Id of this numbering: the next supervisor may use some numbers again."""

    @property
    def last(self) -> int:
        """Number of the last record; 0 before the first."""
        return self._numbered

    def keep(self, **said: Any) -> Record:
        self._numbered += 1
        record = Record(seq=self._numbered, **said)
        self._ring.append(record)
        self._file(record)
        for follower in self._followers:
            follower.offer(record)
        return record

    def everything(self) -> list[Record]:
        """All that is kept, oldest first: what is recent, and what units that rarely move have kept longer."""
        kept = {record.seq: record for records in self._by_unit.values() for record in records}
        kept |= {record.seq: record for record in self._ring}
        return [kept[seq] for seq in sorted(kept)]

    def records(self, unit: str | None = None, after_seq: int = 0) -> list[Record]:
        """What is kept, oldest first: of all, or of one unit."""
        kept: Iterable[Record] = self._ring if unit is None else self._by_unit.get(unit, ())
        return [record for record in kept if record.seq > after_seq]

    def latest(self, unit: str) -> Record | None:
        """The unit's last record."""
        kept = self._by_unit.get(unit)
        return kept[-1] if kept else None

    def since(self, seq: int, unit: str | None = None) -> tuple[list[Record], bool]:
        """What came after that record, of all or of one unit; and whether that is all of it."""
        if not self._ring or self._ring[0].seq <= seq + 1:
            return [record for record in self._ring if record.seq > seq and unit in {None, record.unit}], True
        if unit is None:
            return list(self._ring), False
        kept = self._by_unit.get(unit, deque())
        return self.records(unit, seq), len(kept) < KEPT_PER_UNIT or kept[0].seq <= seq

    def subscribe(self) -> Subscription:
        """Follow what happens from now on."""
        subscription = Subscription(self._followers.discard)
        self._followers.add(subscription)
        return subscription

    def close(self) -> None:
        """End all subscriptions, after what they still have to show."""
        for subscription in list(self._followers):
            subscription.close()

    def apart(self, pairs: Iterable[tuple[str, Value]]) -> Inputs:
        """Names and values; names that were there before are not kept twice."""
        said = tuple(pairs)
        names = tuple(name for name, _ in said)
        return self._names.setdefault(names, names), tuple(value for _, value in said)

    def _file(self, record: Record) -> None:
        if record.unit:
            self._by_unit.setdefault(record.unit, deque(maxlen=KEPT_PER_UNIT)).append(record)
