"""A simulated host to test hooks on: the real core, without engine, processes or clock.

It brings its units up, simulates what a test wants, and calls hooks as ``dockwarden boot`` would::

    host = SimulatedHost("console", "web").boot()
    host.crash("console", exit_code=3)
    assert [call.returned for call in host.tell(my_hook)] == [None]

Orders are obeyed at once; time passes by ``wait`` only.
"""

import asyncio
import contextlib
import inspect
import io
from collections import deque
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Self

from hooks.happenings import Happened, happenings
from hooks.marks import HookMark, marks_of
from hooks.points import POINTS, Answer, Asked, Contribution, Veto, sample
from units import events as fact
from units.commands import (
    ArmTimer,
    Command,
    CreateContainer,
    PrepareContainer,
    PullImage,
    SignalContainer,
    StartContainer,
    TakeSnapshot,
    Timer,
)
from units.events import Event, Observed, UnitEvent
from units.health import Health
from units.kernel import react
from units.links import check
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.records import dataclass
from units.spec import ContainerId, Kind, Policy, RestartPolicy, UnitName, UnitSpec
from units.unit import Unit
from units.world import World, fresh_unit, new_world

MIDNIGHT = 1_700_000_000.0
"""Seconds since 1970 at which every simulated host is switched on."""
ENDED = {"SIGKILL": 137}
"""Exit codes by signal; any other one is obeyed as by a well-behaved program."""
FOLLOWS: Mapping[Timer, Callable[[UnitName, int], UnitEvent]] = {
    Timer.RETRY: fact.RetryDue,
    Timer.KILL: fact.KillDue,
    Timer.VERDICT: fact.VerdictDue,
    Timer.DEADLINE: fact.DeadlineDue,
    Timer.LOOK: fact.LookDue,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a hook."""

    hook: str
    event: Happened
    returned: Any
    error: BaseException | None
    """What it raised."""
    printed: str


class SimulatedHost:
    """``units``: names of services that are always restarted, or whole definitions."""

    def __init__(self, *units: str | UnitSpec) -> None:
        specs = [unit if isinstance(unit, UnitSpec) else service(unit) for unit in units]
        checked = check(specs)
        if checked.errors:
            raise ValueError("; ".join(checked.errors))
        self.events: list[Happened] = []
        """All that has happened, oldest first."""
        self._now = 0.0
        self._seq = 0
        self._made = 0
        self._told = 0
        self._timers: dict[UnitName, tuple[float, UnitEvent]] = {}
        self._coming: deque[Event] = deque()
        self._running: set[ContainerId] = set()
        self.world: World = new_world([fresh_unit(spec, Instant(0), "") for spec in specs], checked.links)

    # What may happen.

    def boot(self) -> Self:
        """The engine answers, and all units come up."""
        return self.bring_back_engine()

    def crash(self, unit: str, exit_code: int = 1) -> Self:
        """Its process ends by itself; whatever follows at once, follows. Raises ValueError where none runs."""
        return self._put(fact.ContainerDied(UnitName(unit), self._end(unit), exit_code))

    def crash_until(self, unit: str, phase: str = "crash-loop", exit_code: int = 1) -> Self:
        """Over and over, as often as it takes. Raises ValueError when 50 times do not."""
        for _ in range(50):
            if self.unit(unit).phase == phase:
                return self
            if self.unit(unit).alive:
                self.crash(unit, exit_code)
            else:
                self.wait(1)
        raise ValueError(f"{unit} does not come to {phase}: it is {self.unit(unit).phase}")

    def report(self, unit: str, health: str) -> Self:
        """Its health check says ``healthy`` or ``unhealthy``."""
        name = UnitName(unit)
        return self._put(fact.HealthReported(name, self._container(unit), Health(health)))

    def stop(self, unit: str) -> Self:
        return self._put(fact.StopAsked(UnitName(unit)))

    def start(self, unit: str) -> Self:
        return self._put(fact.StartAsked(UnitName(unit)))

    def restart(self, unit: str) -> Self:
        return self._put(fact.RestartAsked(UnitName(unit)))

    def lose_engine(self) -> Self:
        return self._put(fact.EngineLost("the stream was cut"))

    def bring_back_engine(self) -> Self:
        self._put(fact.EngineBack("26.1"))
        return self._put(self._snapshot("connect"))

    def shut_down(self) -> Self:
        return self._put(fact.ShutdownAsked("a test is over", Seconds(60)))

    def wait(self, seconds: float) -> Self:
        """Time passes, and what was to be done meanwhile is done."""
        until = self._now + seconds
        while self._timers:
            unit = min(self._timers, key=lambda name: self._timers[name][0])
            due, event = self._timers[unit]
            if due > until:
                break
            self._now = max(self._now, due)
            del self._timers[unit]
            self._put(event)
        self._now = until
        return self

    # What there is to see.

    def unit(self, name: str) -> Unit:
        """Raises KeyError."""
        return self.world.units[UnitName(name)]

    def tell(self, *hooks: Callable[..., Any] | ModuleType) -> list[Call]:
        """Call these, or all hooks of these modules, for what has happened since the last time and they ask for."""
        found = [one for given in hooks for one in _hooks_of(given)]
        events, self._told = self.events[self._told :], len(self.events)
        wanted = [
            (function, event)
            for event in events
            for function in found
            if any(mark.wants(event) for mark in marks_of(function) if not mark.gate)
        ]
        return [_call(function, event) for function, event in wanted]

    # How it goes on.

    def _put(self, event: Event) -> Self:
        self._coming.append(event)
        while self._coming:
            self._react(self._coming.popleft())
        return self

    def _react(self, event: Event) -> None:
        self._seq += 1
        moment = Moment(Instant(self._now), 0.5, f"test-{self._seq}", self._seq)
        reaction = react(self.world, event, moment)
        self.world = reaction.world
        self.events += happenings(event, reaction, moment.cause, MIDNIGHT + self._now)
        for command in reaction.commands:
            self._obey(command)

    def _obey(self, command: Command) -> None:
        match command:
            case CreateContainer(unit=unit, spec=spec):
                self._made += 1
                made = command.prepared or ContainerId(f"{self._made:064x}")
                self._coming.append(fact.ContainerCreated(unit, made, spec.config_hash, spec.variant))
            case PrepareContainer(unit=unit, spec=spec):
                self._made += 1
                self._coming.append(fact.SuccessorMade(unit, ContainerId(f"{self._made:064x}"), spec.config_hash))
            case StartContainer(unit=unit, container=container):
                self._running.add(container)
                self._coming.append(fact.ContainerStarted(unit, container, at=MIDNIGHT + self._now))
            case SignalContainer(unit=unit, container=container, signal=signal):
                self._running.discard(container)
                self._coming.append(fact.ContainerDied(unit, container, ENDED.get(signal, 0)))
            case PullImage(unit=unit):
                self._coming.append(fact.ImagePulled(unit))
            case ArmTimer(unit=unit, timer=timer, delay=delay, token=token):
                self._timers[unit] = self._now + delay, FOLLOWS[timer](unit, token)
            case TakeSnapshot():
                self._coming.append(self._snapshot("doubt"))
            case _:
                pass  # Of consoles, of the configuration and of foreign hosts, which there are none of here.

    def _snapshot(self, trigger: str) -> fact.SnapshotTaken:
        made = [unit for unit in self.world.units.values() if unit.container is not None]
        return fact.SnapshotTaken(tuple(self._observed(unit) for unit in made), trigger, self._seq)

    def _observed(self, unit: Unit) -> Observed:
        assert unit.container is not None
        running = unit.container in self._running
        return Observed(
            unit.name,
            unit.container,
            unit.spec.container,
            running,
            created=False,
            exit_code=unit.exit_code or 0,
            health=unit.health,
            config_hash=unit.config_hash,
        )

    def _container(self, name: str) -> ContainerId:
        unit = self.unit(name)
        if unit.container is None or unit.container not in self._running:
            raise ValueError(f"nothing of {name} runs: it is {unit.phase}, {unit.reason}")
        return unit.container

    def _end(self, name: str) -> ContainerId:
        container = self._container(name)
        self._running.discard(container)
        return container


def service(name: str, policy: str = "always") -> UnitSpec:
    """A plain service."""
    return UnitSpec(UnitName(name), Kind.SERVICE, "image", "{}", "hash", restart=RestartPolicy(Policy(policy)))


def ask(gate: Callable[..., Any], unit: str = "web", **fields: Any) -> Answer:
    """What a gate says; None: go on. ``fields``: of the question, where it matters.

    Raises what the gate raises, and ValueError for what is no gate or no answer.
    """
    marks = [mark for mark in marks_of(gate) if mark.gate]
    if not marks:
        raise ValueError("it has no @gate")
    question = _question(marks[0], unit, fields)
    answer = _result(gate(question))
    if answer is not None and not isinstance(answer, Veto | Contribution):
        raise ValueError(f"a gate must return None, Veto or Contribution, not {type(answer).__name__}")
    return answer


def _question(mark: HookMark, unit: str, fields: Mapping[str, Any]) -> Asked:
    question = sample(mark.of, unit, MIDNIGHT)
    given = question.as_dict() | dict(fields)
    del given["point"]
    return POINTS[mark.of](**given)


def _hooks_of(given: Callable[..., Any] | ModuleType) -> list[Callable[..., Any]]:
    if isinstance(given, ModuleType):
        return [value for value in vars(given).values() if marks_of(value)]
    if not marks_of(given):
        raise ValueError(f"{getattr(given, '__name__', given)} has no @on")
    return [given]


def _call(function: Callable[..., Any], event: Happened) -> Call:
    printed, returned, error = io.StringIO(), None, None
    with contextlib.redirect_stdout(printed):
        try:
            returned = _result(function(event))
        except BaseException as raised:  # noqa: BLE001 - as in the real process, where nothing of it gets any further
            error = raised
    return Call(getattr(function, "__name__", "hook"), event, returned, error, printed.getvalue())


def _result(given: Any) -> Any:
    return asyncio.run(_awaited(given)) if inspect.isawaitable(given) else given


async def _awaited(given: Any) -> Any:
    return await given
