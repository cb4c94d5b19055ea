"""The only place that tells what happened: a log line for each transition, and the last ones kept for ``why``.

Looking on never waits: a reader that is slow loses records and is told how many.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.journal.reaction_writer import NOTED, Telling
from supervisor.journal.record import Inputs, Record, Subscription
from supervisor.journal.restart_origins import Plans
from units.commands import ArmTimer, Command, Timer
from units.decisions import of_standing
from units.events import UnitEvent
from units.incidents import Incidents, look
from units.machine import Moment
from units.quantities import Instant
from units.rules import Value
from units.spec import UnitName
from units.world import Entry, Reaction, World

KEPT = 4096
KEPT_PER_UNIT = 64
"""What a unit that moves once a week keeps while its neighbour crashes all day."""

GAP = 1000
"""Between the last number that the supervisor before has written down and the first one of this."""


class Journal:
    """An observer that logs each reaction and remembers the last records.

    ``wall`` turns a moment of the monotonic clock into seconds since 1970; ``asker`` says whose request a number is.
    ``kept``: what the supervisor before told last. Numbers go on after a gap, because that one may have told more than
    it could still write down. ``debug``: whether anybody sees lines of that level.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        wall: Callable[[Instant], float],
        asker: Callable[[int], int | None] = lambda _: None,
        *,
        kept: Sequence[Record] = (),
        debug: bool = True,
    ) -> None:
        self.log = log
        self.debug = debug
        self._wall = wall
        self.asker = asker
        self._numbered = kept[-1].seq + GAP if kept else 0
        self._ring: deque[Record] = deque(kept, maxlen=KEPT)
        self._by_unit: dict[str, deque[Record]] = {}
        for record in kept:
            self._file(record)
        self.plans = Plans(_open_decisions(kept))
        self.withheld: dict[str, str] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._world: World | None = None
        self._due: dict[UnitName, Instant] = {}
        self._followers: set[Subscription] = set()
        self._incidents = Incidents()
        self.run = f"{time.time_ns() // 1_000_000:x}"
        """Whose numbers these are: the next supervisor may count some of them anew."""

    @property
    def last(self) -> int:
        """Number of the last record; 0 before the first."""
        return self._numbered

    def begin(self, reason: str, at: float) -> None:
        """Another supervisor has begun, at ``at`` seconds since 1970: what is kept of the one before ends here."""
        self.keep(event="supervisor.started", time=at, reason=reason)

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        looked = look(self._incidents, entry.event, moment, reaction)
        self._incidents = looked.incidents
        told = Telling(self, entry, moment, reaction)
        for transition in reaction.transitions:
            told.transition(transition)
        before, self._world = self._world, reaction.world
        for decision in () if before is None else of_standing(before, entry.event, moment, reaction):
            told.standing(decision)
        if isinstance(entry.event, UnitEvent):
            if not reaction.transitions and isinstance(entry.event, NOTED):
                told.noted(entry.event)
        else:
            told.world_event()
        for incident in looked.opened:
            told.incident_opened(incident)
        for incident in looked.closed:
            told.incident_closed(incident)
        for switch in reaction.switches:
            told.switch(switch)
        for notice in reaction.notices:
            told.notice(notice)
        self._take_orders(moment, reaction)

    def _take_orders(self, moment: Moment, reaction: Reaction) -> None:
        for command in reaction.commands:
            if isinstance(command, ArmTimer) and command.timer is Timer.RETRY:
                self._due[command.unit] = Instant(moment.now + command.delay)
            if self.debug:
                self._log_order(command, reaction.world, moment)

    def everything(self) -> list[Record]:
        """All that is kept, oldest first: what is recent, and what units that rarely move have kept longer."""
        kept = {record.seq: record for records in self._by_unit.values() for record in records}
        kept |= {record.seq: record for record in self._ring}
        return [kept[seq] for seq in sorted(kept)]

    def records(self, unit: str | None = None, after_seq: int = 0) -> list[Record]:
        """What is kept, oldest first: of all, or of one unit."""
        kept: Iterable[Record] = self._ring if unit is None else self._by_unit.get(unit, ())
        return [record for record in kept if record.seq > after_seq]

    def about(self, unit: str) -> dict[str, object]:
        """What goes with every line about a unit: that of its last record."""
        kept = self._by_unit.get(unit)
        known = {key: getattr(kept[-1], key) for key in ("cause", "incarnation", "seq")} if kept else {}
        incident = self.incident_of(unit)
        return known | {"incident": incident} if incident else known

    def incident_of(self, unit: str, cause: str = "") -> str:
        """The trouble that a unit, or what belongs to a cause, is a part of; empty: none."""
        found = self._incidents.of.get(UnitName(unit), "")
        if not found and cause and not unit:
            found = next((one.id for one in self._incidents.open if cause in one.causes), "")
        return found

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

    @property
    def wall(self) -> Callable[[Instant], float]:
        """Seconds since 1970 of a moment of the monotonic clock."""
        return self._wall

    def due(self, name: UnitName) -> float | None:
        """When the unit's last timer for another try elapses or did, in seconds since 1970."""
        due = self._due.get(name)
        return None if due is None else self._wall(due)

    def keep(self, **said: Any) -> Record:
        self._numbered += 1
        record = Record(seq=self._numbered, **said)
        self._ring.append(record)
        self._file(record)
        for follower in self._followers:
            follower.offer(record)
        return record

    def apart(self, pairs: Iterable[tuple[str, Value]]) -> Inputs:
        """Names and values; names that were there before are not kept twice."""
        said = tuple(pairs)
        names = tuple(name for name, _ in said)
        return self._names.setdefault(names, names), tuple(value for _, value in said)

    def _file(self, record: Record) -> None:
        if record.unit:
            self._by_unit.setdefault(record.unit, deque(maxlen=KEPT_PER_UNIT)).append(record)

    def _log_order(self, command: Command, world: World, moment: Moment) -> None:
        name = getattr(command, "unit", None)
        unit = None if name is None else world.units.get(name)
        said: dict[str, Any] = {} if name is None else {"unit": name}
        if isinstance(command, ArmTimer):
            said |= {"timer": command.timer.value, "delay": round(command.delay, 3)}
        elif (container := getattr(command, "container", None)) is not None:
            said["container"] = container[:12]
        cause = (unit.cause if unit is not None else "") or moment.cause
        self.log.debug("order.given", order=type(command).__name__, **said, cause=cause)


def _open_decisions(kept: Iterable[Record]) -> dict[str, int]:
    """For each unit the decision whose restart had not come yet when the last record was written."""
    found: dict[str, int] = {}
    for record in kept:
        if record.event == "unit.decision" and record.restart:
            found[record.unit] = record.seq
        elif record.restart:
            found.pop(record.unit, None)
    return found
