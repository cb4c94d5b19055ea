"""A pen to write histories with: feed facts to the core, read what it did as lines of text."""

from dataclasses import dataclass, field, replace

from units import events as fact
from units.commands import ArmTimer, Command, CreateContainer, PrepareContainer, SignalContainer, StartContainer
from units.events import Event, Observed
from units.kernel import react
from units.links import check
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.spec import (
    Condition,
    ContainerId,
    Dependency,
    Kind,
    OnFailure,
    Policy,
    RestartPolicy,
    UnitName,
    UnitSpec,
    Via,
)
from units.unit import Failure, Unit
from units.world import Reaction, World, fresh_unit, new_world


def spec(
    name: str,
    *needs: Dependency,
    kind: Kind = Kind.SERVICE,
    policy: Policy = Policy.ALWAYS,
    config_hash: str = "h1",
    reloads: bool = False,
) -> UnitSpec:
    return UnitSpec(
        UnitName(name),
        kind,
        "image",
        "{}",
        config_hash,
        tuple(needs),
        RestartPolicy(policy),
        reloads=reloads,
    )


def needs(target: str, via: Via = Via.LINK, condition: Condition = Condition.STARTED) -> Dependency:
    return Dependency(UnitName(target), via, condition)


def after(target: str) -> Dependency:
    return Dependency(UnitName(target), Via.AFTER, hard=False, on_failure=OnFailure.PROCEED)


@dataclass
class Story:
    """A world and a pen. Containers are called ``<unit>-1``, ``<unit>-2`` ..."""

    world: World
    now: float = 100.0
    jitter: float = 0.5
    seq: int = 0
    last: Reaction | None = None
    made: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, *specs: UnitSpec) -> "Story":
        checked = check(specs)
        assert not checked.errors, checked.errors
        return cls(new_world([fresh_unit(one, Instant(100), "") for one in specs], checked.links))

    def feed(self, event: Event) -> str:
        """Take one event; tell what came of it, one line each: ``unit: before -> after`` and the orders."""
        self.seq += 1
        moment = Moment(Instant(self.now), self.jitter, f"c{self.seq}", self.seq)
        self.last = react(self.world, event, moment)
        self.world = self.last.world
        lines = [f"{t.after.name}: {t.before.phase} -> {t.after.phase}" for t in self.last.transitions]
        return "\n".join(lines + [show(command) for command in self.last.commands])

    def connect(self, *seen: Observed) -> str:
        self.feed(fact.EngineBack("26.1"))
        return self.feed(fact.SnapshotTaken(seen, "connect", self.seq))

    def look(self, *seen: Observed) -> str:
        return self.feed(fact.SnapshotTaken(seen, "period", self.seq))

    def created(self, name: str, config_hash: str = "h1") -> str:
        self.made[name] = self.made.get(name, 0) + 1
        return self.feed(fact.ContainerCreated(UnitName(name), self.id(name), config_hash))

    def prepared(self, name: str, config_hash: str = "h1") -> str:
        """Its successor stands ready."""
        return self.feed(fact.SuccessorMade(UnitName(name), ContainerId(f"{name}-next"), config_hash))

    def unprepared(self, name: str, failure: Failure = Failure.IMAGE_MISSING, why: str = "no such image") -> str:
        return self.feed(fact.SuccessorFailed(UnitName(name), failure, why))

    def started(self, name: str) -> str:
        return self.feed(fact.ContainerStarted(UnitName(name), self.id(name)))

    def died(self, name: str, code: int = 1) -> str:
        return self.feed(fact.ContainerDied(UnitName(name), self.id(name), code))

    def killed(self, name: str, signal: int) -> str:
        return self.feed(fact.ContainerKilled(UnitName(name), self.id(name), signal))

    def stopped(self, name: str) -> str:
        return self.feed(fact.ContainerStopped(UnitName(name), self.id(name)))

    def destroyed(self, name: str) -> str:
        return self.feed(fact.ContainerDestroyed(UnitName(name), self.id(name)))

    def up(self, *names: str) -> "Story":
        """Create and start these, in order."""
        for name in names:
            if self.unit(name).phase == "creating":
                self.created(name)
            self.started(name)
        return self

    def id(self, name: str) -> ContainerId:
        return ContainerId(f"{name}-{self.made.get(name, 1)}")

    def unit(self, name: str) -> Unit:
        return self.world.units[UnitName(name)]

    def phases(self) -> dict[str, str]:
        return {name: unit.phase.value for name, unit in self.world.units.items()}

    def later(self, seconds: float) -> "Story":
        self.now += seconds
        return self

    def token(self, name: str) -> int:
        return self.unit(name).token

    def change(self, name: str, **changes: object) -> None:
        """Edit a unit in place: for starting points that would take a long history to reach."""
        units = dict(self.world.units)
        units[UnitName(name)] = replace(self.unit(name), **changes)  # type: ignore[arg-type]
        self.world = replace(self.world, units=units)


def show(command: Command) -> str:
    match command:
        case ArmTimer():
            return f"arm {command.unit} {command.timer} {command.delay:g}"
        case StartContainer():
            return f"start {command.container}"
        case SignalContainer():
            return f"signal {command.container} {command.signal}"
        case CreateContainer():
            made = f" by {command.prepared}" if command.prepared else ""
            return f"create {command.unit}" + (f" replacing {command.replaces}{made}" if command.replaces else "")
        case PrepareContainer():
            return f"prepare {command.unit} beside {command.replaces}"
        case _:
            return str(command)


def seen(
    name: str, *, running: bool = True, config_hash: str = "h1", number: int = 1, exit_code: int = 0, bears: str = ""
) -> Observed:
    return Observed(
        UnitName(name),
        ContainerId(f"{name}-{number}"),
        bears or name,
        running=running,
        created=False,
        exit_code=exit_code,
        config_hash=config_hash,
        ran_for=Seconds(50) if running else Seconds(0),
    )
