"""What is worth telling a person: a unit was helped, given up for now, or is well again. Pure."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from units.events import Event, HealthReported
from units.health import Health
from units.records import dataclass
from units.spec import OnUnhealthy, UnitName
from units.unit import Phase, Reason, Unit
from units.world import Reaction, Transition


class Kind(StrEnum):
    """What a notice is about."""

    HEAL = "heal"
    """It was restarted or made anew, for its health or for what it holds on to."""
    GIVE_UP = "give-up"
    """It is in a crash loop, or flapping: left alone for a while."""
    UNHEALTHY = "unhealthy"
    """It is, and to be told is all that its definition wants."""
    RECOVERY = "recovery"
    """One that was told of before is well again."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell."""

    event: Kind
    unit: str
    reason: str
    cause: str
    state: str
    container: str
    """First 12 characters of its id."""
    restarts: int
    stop_timeout: float
    """Of the unit, in seconds."""
    at: float = 0.0
    """Seconds since 1970."""
    more: int = 0
    """Notices that were held back since the last one, and are not told one by one."""
    others: tuple[str, ...] = ()
    """Other units that those were about."""

    @property
    def text(self) -> str:
        """In one sentence, for people."""
        of = f", of {', '.join(self.others)}" if self.others else ""
        more = f" (and {self.more} more{of})" if self.more else ""
        return f"{self.unit}: {SAID[self.event]}: {self.reason}{more}"

    def as_json(self, text_key: str = "text") -> str:
        return json.dumps({**asdict(self), text_key: self.text})


SAID = {
    Kind.HEAL: "helped",
    Kind.GIVE_UP: "left alone for now",
    Kind.UNHEALTHY: "unhealthy",
    Kind.RECOVERY: "well again",
}
LONGEST = 4096
"""Characters of a value in an environment."""
HELPS = frozenset({Reason.UNHEALTHY, Reason.RELINK})


def notices(
    event: Event, reaction: Reaction, troubled: frozenset[UnitName]
) -> tuple[tuple[Notice, ...], frozenset[UnitName]]:
    """What to tell of one reaction, and which units have not recovered yet. ``troubled``: which had not before."""
    told = [notice for moved in reaction.transitions if (notice := _of_transition(moved, troubled)) is not None]
    if isinstance(event, HealthReported):
        unit = reaction.world.units.get(event.unit)
        if unit is not None and _only_to_be_told(unit) and unit.name not in troubled:
            told.append(_notice(Kind.UNHEALTHY, unit))
    for notice in told:
        name = frozenset({UnitName(notice.unit)})
        well = notice.event is Kind.RECOVERY or (notice.event is Kind.HEAL and notice.state == Phase.READY)
        troubled = troubled - name if well else troubled | name
    gone = [name for name in reaction.changed if name not in reaction.world.units]
    return tuple(told), troubled.difference(gone)


def _of_transition(moved: Transition, troubled: frozenset[UnitName]) -> Notice | None:
    before, after = moved.before, moved.after
    if after.phase is Phase.CRASH_LOOP and before.phase is not Phase.CRASH_LOOP:
        return _notice(Kind.GIVE_UP, after)
    if after.flapping and not before.flapping:
        return _notice(Kind.GIVE_UP, after)
    if moved.restart in HELPS:
        return _notice(Kind.HEAL, after)
    if after.phase is Phase.READY and after.name in troubled and not after.flapping:
        return _notice(Kind.RECOVERY, after)
    return None


def _only_to_be_told(unit: Unit) -> bool:
    return unit.spec.heal.action is OnUnhealthy.HOOK and unit.health is Health.UNHEALTHY


def _notice(kind: Kind, unit: Unit) -> Notice:
    return Notice(
        event=kind,
        unit=unit.name,
        reason=unit.reason,
        cause=unit.cause,
        state=unit.phase.value,
        container=(unit.container or "")[:12],
        restarts=unit.restarts,
        stop_timeout=unit.spec.stop.timeout,
    )


def fields(notice: Notice) -> dict[str, Any]:
    """For an environment, which takes neither zero bytes nor novels: what a small script wants to know."""
    told = {
        "DOCKWARDEN_EVENT": notice.event.value,
        "DOCKWARDEN_UNIT": notice.unit,
        "DOCKWARDEN_REASON": notice.reason,
        "DOCKWARDEN_STATE": notice.state,
        "DOCKWARDEN_CONTAINER": notice.container,
    }
    return {key: value.replace("\0", "")[:LONGEST] for key, value in told.items()}
