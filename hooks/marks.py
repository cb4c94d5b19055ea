"""The decorators of Python hooks: ``@on`` and ``@gate`` mark a function, and the loader finds the marks.

A mark has no other effect: the function stays an ordinary one, which a test can call.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from hooks.happenings import ALL, Happened, UnitMoved
from hooks.points import POINTS
from units.records import dataclass
from units.words import did_you_mean

LIMIT = 10.0
"""Seconds that a hook has, unless it asks for less."""
ATTRIBUTE = "__dockwarden_marks__"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class HookMark:
    """What a function asks for."""

    of: str
    """Glob of the names of events; for a gate the point it stands at."""
    unit: str = "*"
    """Glob of the units' names."""
    timeout: float = LIMIT
    """Seconds."""
    gate: bool = False
    strict: bool = False
    """For a gate: no answer is a veto."""

    def wants(self, event: Happened) -> bool:
        if not fnmatchcase(event.name, self.of):
            return False
        return self.unit == "*" or (isinstance(event, UnitMoved) and fnmatchcase(event.unit, self.unit))


def on(event: str, *, unit: str = "*", timeout: float = LIMIT) -> Callable[[F], F]:
    """Call the function for these events. ``event`` and ``unit`` are globs, ``timeout`` is in seconds, up to LIMIT.

    The function takes the event, and may be a coroutine function. Raises ValueError for what can never happen.
    """
    if not any(fnmatchcase(name, event) for name in ALL):
        raise ValueError(f"there is no event '{event}'{_meant(event, ALL)}")
    return _marked(HookMark(event, unit, _within(timeout)))


def gate(point: str, *, unit: str = "*", timeout: float = LIMIT, strict: bool = False) -> Callable[[F], F]:
    """Ask the function before something is done: ``before_start``, ``before_stop`` or ``before_switch``.

    The function takes what is about to be done; docs/reference/hooks.md says what it may answer. ``timeout`` is in
    seconds, up to LIMIT. ``strict``: when it fails, or does not answer in time, that counts as a veto.
    Raises ValueError for a point that there is not.
    """
    if point not in POINTS:
        raise ValueError(f"there is no point '{point}'{_meant(point, POINTS)}")
    return _marked(HookMark(point, unit, _within(timeout), gate=True, strict=strict))


def marks_of(thing: object) -> tuple[HookMark, ...]:
    """What it asks for; nothing: it is no hook."""
    found = getattr(thing, ATTRIBUTE, ())
    return found if callable(thing) and isinstance(found, tuple) else ()


def _marked(mark: HookMark) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        marks = (*marks_of(function), mark)
        if len({one.gate for one in marks}) > 1:
            raise ValueError("a function is either a hook (@on) or a gate (@gate)")
        setattr(function, ATTRIBUTE, marks)
        return function

    return decorate


def _within(timeout: float) -> float:
    if not 0 < timeout <= LIMIT:
        raise ValueError(f"a timeout of {timeout:g} s: give it more than 0 and up to {LIMIT:g}")
    return float(timeout)


def _meant(word: str, known: Any) -> str:
    guess = did_you_mean(word, known)
    return f": {guess}" if guess else f": there are {', '.join(known)}"
