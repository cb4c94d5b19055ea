"""Looks for the shortest plan that still goes wrong: drops injections, first halves of them, then one by one. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.chaos.plan import Injection, Plan

Fails = Callable[[Plan], bool]


def shrunk(plan: Plan, fails: Fails, tries: int = 40) -> Plan:
    """The smallest plan found with so many tries. ``fails``: plays one, and says whether it still goes wrong."""
    parts, left = 2, tries
    while left > 0 and len(plan.injections) > 1:
        smaller = None
        for fewer in _without_a_part(plan.injections, parts):
            if left <= 0:
                break
            left -= 1
            if fails(candidate := plan.with_only(sooner(fewer))):
                smaller = candidate
                break
        if smaller is not None:
            plan, parts = smaller, max(2, parts - 1)
        elif parts >= len(plan.injections):
            break
        else:
            parts = min(len(plan.injections), parts * 2)
    return plan


def _without_a_part(injections: Sequence[Injection], parts: int) -> list[tuple[Injection, ...]]:
    """Each without another of so many parts; what is left is never nothing."""
    size = -(-len(injections) // parts)
    cut = [(*injections[:at], *injections[at + size :]) for at in range(0, len(injections), size)]
    return [fewer for fewer in cut if fewer]


QUIET = 6.0
"""Seconds without anything, longer than which nobody has to wait in a shrunk plan."""


def sooner(injections: Sequence[Injection]) -> tuple[Injection, ...]:
    """The same without long waits between them."""
    moved, saved, over = list[Injection](), 0.0, -QUIET
    for one in injections:
        saved += max(0.0, one.at - saved - (over + QUIET))
        moved.append(replace(one, at=round(one.at - saved, 1)))
        over = max(over, moved[-1].at + one.lasts)
    return tuple(moved)
