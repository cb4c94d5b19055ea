"""Notices for people: what was restarted, given up for now, unhealthy, lost or undone, or has recovered. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from units.events import Event, HealthReported, PullFailed, SuccessorFailed
from units.health import Health
from units.records import dataclass, replace
from units.spec import CONSOLE, USER_DOCKER, Kind, OnUnhealthy, Switchable, UnitName
from units.switch.record import SwitchOutcome, SwitchResult, in_words
from units.unit import Phase, Reason, Unit
from units.world import Reaction, Transition


class NoticeKind(StrEnum):
    """What a notice is about."""

    HEAL = "heal"
    """It was restarted or re-created, because it was unhealthy or had a stale reference."""
    GIVE_UP = "give-up"
    """It is in a crash loop, failed or flapping; its new container cannot be made, and it runs on in the present one;
    or a foreign one is down since its restart failed."""
    UNHEALTHY = "unhealthy"
    """It is unhealthy, and its action is to notify only."""
    UNDONE = "undone"
    """A switch failed, and what was before is restored, or is still being restored."""
    LOST = "lost"
    """The engine does not answer, or its process ended."""
    RECOVERY = "recovery"
    """A unit with an earlier notice is healthy again."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice."""

    event: NoticeKind
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
    """Notices held back since the last one and not sent one by one."""
    others: tuple[str, ...] = ()
    """Other units that those were about."""
    host: str = ""
    """The name of this host."""

    @property
    def title(self) -> str:
        """What a phone shows above the text: the host, and what happened to which unit."""
        return f"{self.host}: {self.unit} {SAID[self.event]}".lstrip(": ")

    @property
    def text(self) -> str:
        """In one sentence, for people: the host, the unit, what happened."""
        return f"{self.host}: {self.sentence}" if self.host else self.sentence

    @property
    def sentence(self) -> str:
        """Without the host, where a title names that."""
        of = f", of {', '.join(self.others)}" if self.others else ""
        more = f" (and {self.more} more{of})" if self.more else ""
        head = SAID[self.event]
        said = self.reason if self.reason.startswith(head) else f"{head}: {self.reason}"
        return f"{self.unit}: {said}{more}"

    def as_json(self, text_key: str = "text") -> str:
        return json.dumps({**asdict(self), text_key: self.text})


SAID = {
    NoticeKind.HEAL: "restarted",
    NoticeKind.GIVE_UP: "giving up for now",
    NoticeKind.UNHEALTHY: "unhealthy",
    NoticeKind.UNDONE: "switch failed",
    NoticeKind.LOST: "engine lost",
    NoticeKind.RECOVERY: "recovered",
}
LONGEST = 4096
"""Characters of a value in an environment."""
HELPS = frozenset({Reason.UNHEALTHY, Reason.RELINK})


Troubled = Mapping[UnitName, NoticeKind]
"""The units that have not recovered, and what was told of each last: one trouble is told once."""
UNTOLD: Troubled = {}


def recalled(kept: Mapping[str, str]) -> Troubled:
    """Of a state file; what another version wrote and this one does not know is left out."""
    kinds = {kind.value: kind for kind in NoticeKind}
    return {UnitName(unit): kinds[kind] for unit, kind in kept.items() if kind in kinds}


def notices(event: Event, reaction: Reaction, troubled: Troubled) -> tuple[tuple[Notice, ...], Troubled]:
    """The notices of one reaction, and the units that have not recovered yet.

    A recovery is only a beginning: whether it lasts is seen later, and then ``without`` ends the trouble.

    Args:
        event: The event at hand.
        reaction: The reaction to it.
        troubled: The units that had not recovered before it.
    """
    told = [notice for moved in reaction.transitions if (notice := _of_transition(moved, troubled)) is not None]
    if isinstance(event, HealthReported):
        unit = reaction.world.units.get(event.unit)
        if unit is not None and _only_to_be_told(unit) and unit.name not in troubled:
            told.append(_notice(NoticeKind.UNHEALTHY, unit))
    told += [_of_switch(one, reaction) for one in reaction.switches if isinstance(one, SwitchOutcome) and undone(one)]
    told += [notice for moved in reaction.engine if (notice := _of_engine(moved, reaction, troubled)) is not None]
    if isinstance(event, SuccessorFailed | PullFailed):
        unit = reaction.world.units.get(event.unit)
        if unit is not None and unit.kept and _is_news(NoticeKind.GIVE_UP, unit, troubled):
            told.append(_notice(NoticeKind.GIVE_UP, unit))
    for notice in told:
        if notice.event in {NoticeKind.UNDONE, NoticeKind.RECOVERY}:
            continue
        others = without(troubled, UnitName(notice.unit))
        well = notice.event is NoticeKind.HEAL and notice.state == Phase.READY
        troubled = others if well else {**others, UnitName(notice.unit): notice.event}
    gone = {name for name in reaction.changed if name not in reaction.world.units} & troubled.keys()
    return tuple(told), without(troubled, *gone) if gone else troubled


def without(troubled: Troubled, *names: UnitName) -> Troubled:
    return {name: kind for name, kind in troubled.items() if name not in names}


def _is_news(kind: NoticeKind, unit: Unit, troubled: Troubled) -> bool:
    """Whether this was not the last thing that was told of it: a help may still end in a giving up."""
    return troubled.get(unit.name) is not kind


def _of_transition(moved: Transition, troubled: Troubled) -> Notice | None:
    before, after = moved.before, moved.after
    news = _is_news(NoticeKind.GIVE_UP, after, troubled)
    if after.phase is Phase.CRASH_LOOP and before.phase is not Phase.CRASH_LOOP and news:
        return _notice(NoticeKind.GIVE_UP, after)
    failed = after.phase in {Phase.FAILED, Phase.IMAGE_MISSING} or (
        after.phase is Phase.BACKOFF and moved.on == "StartFailed" and after.spec.kind is Kind.FOREIGN
    )
    if failed and after.phase is not before.phase and news:
        return _notice(NoticeKind.GIVE_UP, after)
    if news and ((after.refused and not before.refused) or (after.flapping and not before.flapping)):
        return _notice(NoticeKind.GIVE_UP, after)
    if moved.restart in HELPS:
        return _notice(NoticeKind.HEAL, after)
    if after.phase is Phase.READY and after.name in troubled and not after.flapping:
        return _notice(NoticeKind.RECOVERY, after)
    return None


def undone(outcome: SwitchOutcome) -> bool:
    return outcome.result in {SwitchResult.ROLLED_BACK, SwitchResult.STUCK}


def _of_switch(outcome: SwitchOutcome, reaction: Reaction) -> Notice:
    unit = reaction.world.units[CONSOLE if outcome.of is Switchable.CONSOLE else USER_DOCKER]
    return replace(_notice(NoticeKind.UNDONE, unit), reason=in_words(outcome), cause=outcome.cause)


AWAY = frozenset({Phase.LOST, Phase.HUNG, Phase.CRASH_LOOP})


def _of_engine(moved: Transition, reaction: Reaction, troubled: Troubled) -> Notice | None:
    """Told once until it serves again; its end with the host is none."""
    if moved.after.phase in AWAY and moved.after.name not in troubled and not reaction.world.draining:
        return _notice(NoticeKind.LOST, moved.after)
    if moved.after.phase is Phase.SERVING and moved.after.name in troubled:
        return _notice(NoticeKind.RECOVERY, moved.after)
    return None


def _only_to_be_told(unit: Unit) -> bool:
    return unit.spec.heal.action is OnUnhealthy.HOOK and unit.health is Health.UNHEALTHY


def _notice(kind: NoticeKind, unit: Unit) -> Notice:
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
    """The notice as environment variables, without zero bytes and cut to ``LONGEST`` characters."""
    told = {
        "DOCKWARDEN_EVENT": notice.event.value,
        "DOCKWARDEN_UNIT": notice.unit,
        "DOCKWARDEN_REASON": notice.reason,
        "DOCKWARDEN_STATE": notice.state,
        "DOCKWARDEN_CONTAINER": notice.container,
    }
    return {key: value.replace("\0", "")[:LONGEST] for key, value in told.items()}
