"""The decision behind each restart: exactly one, also after several attempts or a new supervisor."""

from collections.abc import Callable, Mapping

from units.decisions import of_transition, planned
from units.events import Event
from units.machine import Moment
from units.rules import Decision
from units.unit import Reason
from units.world import Transition, World

Keep = Callable[[Decision], int]
"""Keeps a decision, and returns its number."""


class RestartOrigins:
    """Pending restarts: one decision a unit.

    Args:
        known: Those of the previous supervisor, by unit.
    """

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self._open: dict[str, int] = dict(known or {})

    def tell(self, moved: Transition, event: Event, moment: Moment, world: World, keep: Keep) -> int:
        """Keep what was decided. Returns the number of the decision that this restart comes from; 0: it is none."""
        unit, restart = moved.after, moved.restart
        origin = 0 if restart is None else self._open.pop(unit.name, 0)
        for decision in of_transition(moved, event, moment, world):
            number = keep(decision)
            if decision.restart is Reason.EXTERNAL:
                origin = number
            elif decision.restart is not None:
                self._open[unit.name] = number
        if planned(unit) is None:
            self._open.pop(unit.name, None)
        if restart is not None and not origin:
            inputs = (("was", moved.before.phase.value), ("after", moved.before.death or moved.before.reason))
            origin = keep(Decision(unit.name, "restart.resumed", "carry it out", inputs, unit.cause, restart))
        return origin

    def note(self, decision: Decision, number: int) -> None:
        """A decision without a transition that leads to a restart."""
        if decision.restart is not None:
            self._open[decision.unit] = number
