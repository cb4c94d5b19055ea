"""The types of what the control API tells of events: records, output, checks, why, the boot, and who needs whom."""

from dataclasses import dataclass
from typing import Any, Literal

from supervisor.http.control.types import HealthState, KindName, State, Time, Unit


@dataclass(frozen=True, slots=True)
class Event:
    """One record; empty fields are left out of its JSON."""

    seq: int
    time: Time
    event: str
    cause: str = ""
    taken: int = 0
    unit: str = ""
    before: str = ""
    after: str = ""
    on: str = ""
    reason: str = ""
    fact: str = ""
    happened: str = ""
    """``fact`` in words, for people."""
    engine_time: Time = ""
    exit_code: int | None = None
    container: str = ""
    restarts: int | None = None
    restart: str = ""
    incarnation: int | None = None
    incident: str = ""
    level: str = "info"
    rule: str = ""
    inputs: dict[str, Any] | None = None
    outcome: str = ""
    decision: int = 0
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The number of records that a slow reader of a stream missed."""

    event: Literal["dropped"]
    count: int


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line of container output; or, as the last line of a stream, the error that ended it."""

    stream: str = ""
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of container output; or, with ``error``, why it cannot be read."""

    time: Time
    unit: str
    container: str
    stream: str = ""
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogMark:
    """Separates kept from new lines; or the number of records that a slow reader missed."""

    time: Time
    event: Literal["following", "dropped"]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The last outcome of a health check."""

    check: str
    outcome: str
    output: str
    time: Time
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """A unit that another one depends on."""

    unit: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Why:
    """Why a unit is in its state, what would change it, and what led to it."""

    unit: Unit
    meaning: str
    next: str
    next_try: Time | None
    waits_for: tuple[Ahead, ...]
    earlier: int
    """Records of its own that are not in the chain."""
    chain: tuple[Event, ...]
    checks: tuple[Check, ...]
    output: tuple[str, ...]
    """The last output of the container of a unit that is down."""


@dataclass(frozen=True, slots=True)
class BootStage:
    """A unit's state from ``begin`` seconds on."""

    state: State
    begin: float
    reason: str


@dataclass(frozen=True, slots=True)
class BootUnit:
    """How a unit came up; times are seconds from the start of the supervisor."""

    unit: str
    state: State
    arrived: float | None
    waited: float | None
    waited_for: str
    found: bool
    """Its container ran already."""
    took: float | None
    """From the end of its wait until it was up."""
    critical: bool
    stages: tuple[BootStage, ...]


@dataclass(frozen=True, slots=True)
class Boot:
    """How the host came up."""

    began: Time
    engine: float | None
    took: float | None
    critical_path: tuple[str, ...]
    units: tuple[BootUnit, ...]


@dataclass(frozen=True, slots=True)
class GraphUnit:
    name: str
    kind: KindName
    state: State
    health: HealthState
    flapping: bool


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """``source`` needs ``target``."""

    source: str
    target: str
    kinds: tuple[str, ...]
    """The configuration keys that cause it."""
    hard: bool


@dataclass(frozen=True, slots=True)
class Graph:
    units: tuple[GraphUnit, ...]
    edges: tuple[GraphEdge, ...]
