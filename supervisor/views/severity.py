"""Which units need attention: a level for each unit, their order, and the host in one sentence. Pure.

It works on the plain values of ``status``, so that the page, ``top`` and ``graph`` agree. It must load
fast: commands use it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Row = Mapping[str, Any]
"""One unit, as ``supervisor.views.status.unit_row`` makes it."""

AILING = frozenset({"crash-loop", "failed", "image-missing"})
UP = frozenset({"ready", "completed"})
ASIDE = frozenset({"inactive", "paused"})
NAMED = 2
"""Units that a sentence names; the others are only counted."""


class Level(IntEnum):
    """How urgent a unit is; the most urgent first."""

    NEEDS_YOU = 0
    """It needs attention: it does not recover by itself, or not soon."""
    ON_ITS_WAY = 1
    UP = 2
    ASIDE = 3
    """It is not wanted, or paused by a person."""

    @property
    def word(self) -> str:
        return ("needs-you", "on-its-way", "up", "aside")[self]

    @property
    def mark(self) -> str:
        """A shape for each, so that colour is not the only sign."""
        return ("▲", "◐", "●", "○")[self]


ASCII_MARKS = ("!", "~", "*", "-")

SAID = {
    "crash-loop": "is in a crash loop",
    "failed": "has failed",
    "image-missing": "has no image",
    "backoff": "is waiting for its restart",
    "exited": "has exited",
    "inactive": "is stopped",
    "completed": "is done",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """The host in one sentence: ``text``, then since when and why, where there is such a thing."""

    level: Level
    text: str
    since: str = ""
    """ISO time, or empty."""
    reason: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"level": self.level.word, "text": self.text, "since": self.since, "reason": self.reason}


def level(unit: Row) -> Level:
    ill = unit["flapping"] or unit["health"] == "unhealthy"
    if unit["state"] in AILING or (ill and unit["state"] != "paused"):
        return Level.NEEDS_YOU
    if unit["state"] in ASIDE:
        return Level.ASIDE
    if unit["state"] in UP or (unit["state"] == "running" and unit["health"] == "none" and unit["kind"] != "oneshot"):
        return Level.UP
    return Level.ON_ITS_WAY


def in_order(units: Iterable[Row]) -> list[Row]:
    """What needs attention first, then by name: a unit keeps its place while its level is the same."""
    return sorted(units, key=lambda unit: (level(unit), unit["name"]))


def in_words(unit: Row) -> str:
    """``web is in a crash loop``."""
    said = SAID.get(unit["state"], f"is {unit['state']}")
    if unit["state"] not in AILING | {"paused"} and (unit["flapping"] or unit["health"] == "unhealthy"):
        said = "is flapping" if unit["flapping"] else "is unhealthy"
    return f"{unit['name']} {said}"


def headline(engine: Row, boss: Row, units: Sequence[Row], switch: Row | None = None) -> Headline:
    """The one sentence; ``boss`` is the supervisor's part of ``status``, ``switch`` the one that is under way."""
    if boss["draining"]:
        left = sum(unit["state"] not in {"inactive", "completed", "failed"} for unit in units)
        return Headline(Level.ON_ITS_WAY, "the host goes down" + (f"; {_units(left)} left to stop" if left else ""))
    if not engine["up"]:
        worry = Level.NEEDS_YOU if engine["version"] else Level.ON_ITS_WAY
        return Headline(worry, "the engine does not answer", reason=engine["reason"])
    ranked = in_order(units)
    troubles = boss.get("troubles", ())
    ill = [unit for unit in ranked if level(unit) is Level.NEEDS_YOU]
    moving = [unit for unit in ranked if level(unit) is Level.ON_ITS_WAY]
    if ill:
        needs = "1 unit needs attention" if len(ill) == 1 else f"{len(ill)} units need attention"
        return _naming(Level.NEEDS_YOU, needs, ill)
    if troubles:
        named = ", ".join(trouble["of"] for trouble in troubles)
        return Headline(Level.NEEDS_YOU, f"the host needs attention: {named}", reason=troubles[0]["reason"])
    if switch is not None:
        whither = f"{switch['of']}: {switch['origin'] or 'own'} to {switch['target'] or 'own'}"
        return Headline(Level.ON_ITS_WAY, f"a switch of the {whither}, {switch['step']}", switch["since"])
    up = sum(level(unit) is Level.UP for unit in ranked)
    if moving:
        return _naming(Level.ON_ITS_WAY, f"{up} of {_units(len(ranked))} {_are(up)} up", moving)
    return Headline(Level.UP, _all_well(up, len(ranked)))


def _all_well(up: int, count: int) -> str:
    if not count:
        return "there are no units"
    if up == count:
        return "the unit is up" if up == 1 else f"all {up} units are up"
    return f"{up} of {_units(count)} {_are(up)} up, {count - up} {_are(count - up)} not wanted"


def _naming(worst: Level, text: str, units: Sequence[Row]) -> Headline:
    """The first unit in full, the second by its state, the rest by number."""
    first, *others = units
    if not others:
        return Headline(worst, f"{text}: {in_words(first)}", first["since"] or "", first["reason"])
    named = [in_words(unit) for unit in units[:NAMED]]
    left = len(units) - len(named)
    return Headline(worst, f"{text}: " + ", ".join(named) + (f", and {left} more" if left else ""))


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
