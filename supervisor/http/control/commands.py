"""The verbs of units (start, stop, restart, reset-failed): requests, their answers, and waiting for the outcome."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from supervisor.http.access import uid_of
from supervisor.http.control.queries import row
from supervisor.http.control.request import Refusal, Taken, in_json, named, reached, seconds
from supervisor.http.server import BaseRequest, Response
from supervisor.runtime.loop import Inbox
from units.events import Event, ResetAsked, RestartAsked, StartAsked, StopAsked
from units.health import Health
from units.machine import Moment
from units.records import dataclass
from units.spec import LASTING, UnitName
from units.unit import Phase, Unit
from units.world import Answer, Entry, Reaction, World

ANSWER = 10.0
"""Seconds within which the loop takes a fact; more means that it is stuck."""

PROVES = 1.0
"""Seconds for which a unit without a check must have run: before that nothing says that its program works."""

ASKS = {"start": StartAsked, "stop": StopAsked, "restart": RestartAsked, "reset-failed": ResetAsked}
DOWN = frozenset({Phase.INACTIVE, Phase.COMPLETED})


@dataclass(slots=True)
class Command:
    """One pending request: waits for its answer, then perhaps for its unit to settle."""

    verb: str
    unit: UnitName
    uid: int | None = None
    """Who asks."""
    answer: Answer | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    vetoed: bool = False
    """A gate vetoed the requested stop."""
    fell: asyncio.Event = field(default_factory=asyncio.Event)
    """The unit was up since then, and is not any more."""


class Commands:
    """The pending requests. An observer, to see their outcome."""

    def __init__(self, *, inbox: Inbox, world: Callable[[], World], status: Callable[[], dict[str, Any]]) -> None:
        self._inbox = inbox
        self._world = world
        self._status = status
        self._asks: dict[int, Command] = {}
        self._numbered = 0
        self._closing = False

    @property
    def waiting(self) -> int:
        return len(self._asks)

    def asker(self, request: int) -> int | None:
        """The uid of the client that waits for this request."""
        return ask.uid if (ask := self._asks.get(request)) is not None else None

    def observe(self, _entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        for answer in reaction.answers:
            if (ask := self._asks.get(answer.request)) is not None:
                ask.answer = answer
                ask.answered.set()
        for moved in reaction.transitions:
            if up(moved.before) and not up(moved.after):
                self._note_fall(moved.after.name)
            if moved.on == "SignalFailed" and moved.after.phase.up:
                self._note_veto(moved.after.name)
        for ask in self._asks.values():
            unit = reaction.world.units.get(ask.unit)
            if ask.answer is not None and unit is not None and settled(ask.verb, unit):
                ask.settled.set()

    def _note_fall(self, unit: UnitName) -> None:
        """What a restart itself stops has not settled yet."""
        for ask in self._asks.values():
            if ask.unit == unit and ask.settled.is_set():
                ask.fell.set()

    def _note_veto(self, unit: UnitName) -> None:
        """The stop was vetoed: end the wait for it."""
        for ask in self._asks.values():
            if ask.unit == unit and ask.verb in {"stop", "restart"} and ask.answer is not None:
                ask.vetoed = True
                ask.settled.set()

    def close(self) -> None:
        """End all waits: they are answered with what is known."""
        self._closing = True
        for ask in self._asks.values():
            ask.answered.set()
            ask.settled.set()
            ask.fell.set()

    @contextmanager
    def asked(self, request: BaseRequest, verb: str, unit: UnitName, fact: Callable[[int], Event]) -> Iterator[Command]:
        """Put the fact with this request's number into the inbox, and wait for its answer."""
        self._numbered += 1
        number, ask = self._numbered, Command(verb, unit, uid_of(request.transport))
        self._asks[number] = ask
        try:
            self._inbox.put(fact(number))
            yield ask
        finally:
            del self._asks[number]

    async def verb(self, request: BaseRequest, taken: Taken) -> Response:
        """Handle a request to start, stop, restart or reset a unit."""
        verb, wait = taken["verb"], seconds(request, "wait")
        if verb not in ASKS:
            raise Refusal(404, f"unknown verb '{verb[:80]}'", f"verbs: {', '.join(ASKS)}")
        unit = named(self._world(), taken["name"])
        with self.asked(request, verb, unit.name, lambda number: ASKS[verb](unit.name, number)) as ask:
            answer = await self._answer(ask)
            world = self._world()
            now = world.units[unit.name]
            if not answer.accepted and (world.draining or not fulfilled(verb, now)):
                raise Refusal(409, answer.text, f"see 'dockwarden why {unit.name}'")
            if wait and not settled(verb, now):
                await reached(ask.settled, wait)
                if ask.settled.is_set() and _is_unproved(self._world().units[unit.name]):
                    await reached(ask.fell, PROVES)
            return self._outcome(ask, answer, waited=bool(wait))

    async def _answer(self, ask: Command) -> Answer:
        await reached(ask.answered, ANSWER)
        if ask.answer is None:
            why = "ends" if self._closing else f"did not accept the request within {ANSWER:g} s"
            raise Refusal(503, f"the supervisor {why}", "see its log")
        return ask.answer

    def _outcome(self, ask: Command, answer: Answer, *, waited: bool) -> Response:
        unit = self._world().units[ask.unit]
        is_settled = ask.vetoed or settled(ask.verb, unit)
        good = not ask.vetoed and succeeded(ask.verb, unit) if is_settled or waited else True
        good = good and (not ask.fell.is_set() or self._closing)
        return in_json(
            {
                "unit": row(self._status(), ask.unit),
                "verb": ask.verb,
                "accepted": answer.accepted,
                "settled": is_settled,
                "ok": good,
                "answer": answer.text,
            }
        )


def up(unit: Unit) -> bool:
    """Whether its process runs, as far as is known."""
    if unit.phase is Phase.READY:
        return True
    return unit.phase is Phase.RUNNING and unit.spec.kind in LASTING and unit.health is Health.NONE


def _is_unproved(unit: Unit) -> bool:
    return up(unit) and not unit.spec.checks and unit.health is Health.NONE and unit.spec.kind in LASTING


def settled(verb: str, unit: Unit) -> bool:
    """Whether the request is fulfilled, or cannot be without intervention."""
    match verb:
        case "stop":
            return bool(unit.refused) or (not unit.busy and unit.phase is not Phase.EXITED and not unit.wanted)
        case _:
            return up(unit) or unit.phase in DOWN or unit.phase.stuck


def succeeded(verb: str, unit: Unit) -> bool:
    """Whether a settled unit is where the verb wanted it."""
    match verb:
        case "stop":
            return settled(verb, unit) and unit.phase is not Phase.FAILED and not unit.refused
        case "reset-failed":
            return up(unit) or unit.phase in DOWN
        case _:
            return (up(unit) or unit.phase is Phase.COMPLETED) and not unit.refused


def fulfilled(verb: str, unit: Unit) -> bool:
    """Whether nothing needs to be done: it is so already, or under way."""
    match verb:
        case "start":
            return unit.phase in {Phase.STARTING, Phase.RUNNING, Phase.READY, Phase.COMPLETED}
        case "restart":
            return unit.phase is Phase.STARTING
        case "stop":
            return unit.phase is Phase.INACTIVE
        case _:
            return True
