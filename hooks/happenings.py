"""The typed events of hooks, derived from the loop's reactions. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, ClassVar

from units import events as fact
from units.events import Event
from units.health import Health
from units.records import dataclass
from units.unit import Phase
from units.world import Reaction, Transition

LONGEST = 4096
"""Characters of a value in an environment."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened to the host."""

    name: ClassVar[str] = ""
    """What a hook asks for; the same word as in the log where the log has it."""
    at: float
    """Seconds since 1970."""
    cause: str
    """The id that log, journal and ``why`` have for it."""
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {"event": self.name, **asdict(self)}

    def as_json(self) -> str:
        return json.dumps(self.as_dict())

    def environment(self) -> Mapping[str, str]:
        """As environment variables, without zero bytes and cut to a length."""
        told = {field.name: getattr(self, field.name) for field in fields(self)} | {"event": self.name}
        return {
            f"DOCKWARDEN_{key.upper()}": str(value).replace("\0", "")[:LONGEST]
            for key, value in told.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class EngineLost(Happened):
    """The engine's event stream is cut."""

    name: ClassVar[str] = "engine.lost"


@dataclass(frozen=True, slots=True)
class EngineBack(Happened):
    """It is open again, and a snapshot is being taken."""

    name: ClassVar[str] = "engine.back"


@dataclass(frozen=True, slots=True)
class ShutdownAsked(Happened):
    """The host shuts down."""

    name: ClassVar[str] = "shutdown.asked"


@dataclass(frozen=True, slots=True)
class UnitMoved(Happened):
    """A unit went from one state to another. The events below are sent in addition, where they apply."""

    name: ClassVar[str] = "unit.transition"
    unit: str
    before: str
    state: str
    """Where it is now."""
    container: str
    """First 12 characters of its id; empty: it has none."""
    restarts: int
    health: str
    exit_code: int | None
    """Of the run that ended last."""


@dataclass(frozen=True, slots=True)
class UnitStarted(UnitMoved):
    """Its process started."""

    name: ClassVar[str] = "unit.started"


@dataclass(frozen=True, slots=True)
class UnitReady(UnitMoved):
    """It runs, and its health check, if it has one, passes."""

    name: ClassVar[str] = "unit.ready"


@dataclass(frozen=True, slots=True)
class UnitRestarted(UnitMoved):
    """It runs again after a restart."""

    name: ClassVar[str] = "unit.restarted"


@dataclass(frozen=True, slots=True)
class UnitDied(UnitMoved):
    """Its process ended unexpectedly."""

    name: ClassVar[str] = "unit.died"


@dataclass(frozen=True, slots=True)
class UnitFailed(UnitMoved):
    """It went to ``failed``, ``crash-loop`` or ``image-missing``."""

    name: ClassVar[str] = "unit.failed"


@dataclass(frozen=True, slots=True)
class UnitStopped(UnitMoved):
    """It is down, and meant to be."""

    name: ClassVar[str] = "unit.stopped"


@dataclass(frozen=True, slots=True)
class UnitUnhealthy(UnitMoved):
    """Its health check fails, and it is restarted, or a restart is withheld."""

    name: ClassVar[str] = "unit.unhealthy"


OF_UNITS: tuple[type[UnitMoved], ...] = (
    UnitMoved,
    UnitStarted,
    UnitReady,
    UnitRestarted,
    UnitDied,
    UnitFailed,
    UnitStopped,
    UnitUnhealthy,
)
WORLDLY: tuple[type[Happened], ...] = (EngineLost, EngineBack, ShutdownAsked)
ALL: Mapping[str, type[Happened]] = {kind.name: kind for kind in (*OF_UNITS, *WORLDLY)}
"""Every event that there is, by its name."""


def happenings(event: Event, reaction: Reaction, cause: str, at: float) -> tuple[Happened, ...]:
    """The events of one reaction, in order. ``at``: seconds since 1970."""
    told: list[Happened] = []
    match event:
        case fact.EngineLost(reason=reason):
            told.append(EngineLost(at, cause, reason))
        case fact.EngineBack(version=version):
            told.append(EngineBack(at, cause, f"engine {version}"))
        case fact.ShutdownAsked(reason=reason):
            told.append(ShutdownAsked(at, cause, reason))
        case _:
            pass
    told += [_told(kind, moved, at) for moved in reaction.engine for kind, applies in _engine_kinds(moved) if applies]
    for moved in reaction.transitions:
        told += [_told(kind, moved, at) for kind, applies in _kinds(moved) if applies]
    return tuple(told)


def _kinds(moved: Transition) -> tuple[tuple[type[UnitMoved], bool], ...]:
    """Each event of a unit, in order, and whether this is one."""
    before, after = moved.before, moved.after
    entered = before.phase is not after.phase
    runs_on = moved.on in {"SignalFailed", "ContainerUnpaused"}  # Its stop was vetoed, or it goes on after a pause.
    return (
        (UnitMoved, True),
        (UnitStarted, after.phase.up and not before.phase.up and not runs_on),
        (UnitReady, entered and after.phase is Phase.READY and not runs_on),
        (UnitRestarted, moved.restart is not None),
        (UnitDied, moved.on == "ContainerDied" and (before.phase.up or before.phase is Phase.STARTING)),
        (UnitFailed, entered and after.phase.stuck),
        (UnitStopped, entered and after.phase is Phase.INACTIVE),
        (UnitUnhealthy, after.health is Health.UNHEALTHY and before.health is not Health.UNHEALTHY),
    )


def _engine_kinds(moved: Transition) -> tuple[tuple[type[UnitMoved], bool], ...]:
    """The same of the engine itself."""
    before, after = moved.before, moved.after
    entered = before.phase is not after.phase
    return (
        (UnitMoved, True),
        (UnitReady, entered and after.phase is Phase.SERVING),
        (UnitRestarted, moved.restart is not None),
        (UnitDied, moved.on == "DaemonEnded" and before.phase is not Phase.STOPPING),
        (UnitFailed, entered and after.phase.stuck),
        (UnitStopped, entered and after.phase is Phase.STOPPED),
    )


def _told(kind: type[UnitMoved], moved: Transition, at: float) -> UnitMoved:
    unit = moved.after
    return kind(
        at=at,
        cause=unit.cause,
        reason=unit.reason,
        unit=unit.name,
        before=moved.before.phase.value,
        state=unit.phase.value,
        container=(unit.container or "")[:12],
        restarts=unit.restarts,
        health=unit.health.value,
        exit_code=unit.exit_code,
    )


def sample(name: str, unit: str, at: float) -> Happened:
    """An event to try a hook with. Raises KeyError for a name that is none."""
    kind = ALL[name]
    common: dict[str, Any] = {"at": at, "cause": "test", "reason": "a test asked for by 'dockwarden hooks test'"}
    if issubclass(kind, UnitMoved):
        common |= {"unit": unit, "before": "starting", "state": "ready", "container": "0" * 12, "restarts": 0}
        common |= {"health": "none", "exit_code": None}
    return kind(**common)
