"""The journal: an observer that logs each transition and keeps the last records for ``why``."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.journal.reaction_writer import ReactionWriter
from supervisor.journal.record import Record
from supervisor.journal.restart_origins import RestartOrigins
from supervisor.journal.store import RecordStore
from units.commands import ArmTimer, Command, Timer
from units.machine import Moment
from units.quantities import Instant
from units.spec import UnitName
from units.world import Entry, Reaction, World


class Journal(RecordStore):
    """An observer that logs each reaction and remembers the last records.

    Args:
        wall: Turns a moment of the monotonic clock into seconds since 1970.
        asker: Returns the uid behind the number of a request.
        kept: The previous supervisor's last records.
        debug: Whether debug lines are written to any target.
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
        super().__init__(kept)
        self._log = log
        self._debug = debug
        self._wall = wall
        self._writer = ReactionWriter(self, log, wall, asker, RestartOrigins(_open_decisions(kept)), debug=debug)
        self._due: dict[UnitName, Instant] = {}

    def begin(self, reason: str, at: float) -> None:
        """Mark the start of this supervisor, at ``at`` seconds since 1970, after the records of the previous one."""
        self.keep(event="supervisor.started", time=at, reason=reason)

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        self._writer.write(entry, moment, reaction)
        for command in reaction.commands:
            if isinstance(command, ArmTimer) and command.timer is Timer.RETRY:
                self._due[command.unit] = Instant(moment.now + command.delay)
            if self._debug:
                self._log_order(command, reaction.world, moment)

    def about(self, unit: str) -> dict[str, object]:
        """Fields for log lines about a unit, from its last record."""
        last = self.latest(unit)
        known = {} if last is None else {key: getattr(last, key) for key in ("cause", "incarnation", "seq")}
        incident = self._writer.incident_of(unit)
        return known | {"incident": incident} if incident else known

    @property
    def wall(self) -> Callable[[Instant], float]:
        """Seconds since 1970 of a moment of the monotonic clock."""
        return self._wall

    def due(self, name: UnitName) -> float | None:
        """When the unit's last timer for another try elapses or did, in seconds since 1970."""
        due = self._due.get(name)
        return None if due is None else self._wall(due)

    def _log_order(self, command: Command, world: World, moment: Moment) -> None:
        name = getattr(command, "unit", None)
        unit = None if name is None else world.find(name)
        said: dict[str, Any] = {} if name is None else {"unit": name}
        if isinstance(command, ArmTimer):
            said |= {"timer": command.timer.value, "delay": round(command.delay, 3)}
        elif (container := getattr(command, "container", None)) is not None:
            said["container"] = container[:12]
        cause = (unit.cause if unit is not None else "") or moment.cause
        self._log.debug("order.given", order=type(command).__name__, **said, cause=cause)


def _open_decisions(kept: Iterable[Record]) -> dict[str, int]:
    """For each unit the decision whose restart was still pending in the last record."""
    found: dict[str, int] = {}
    for record in kept:
        if record.event == "unit.decision" and record.restart:
            found[record.unit] = record.seq
        elif record.restart:
            found.pop(record.unit, None)
    return found
