"""The types of the control API's answers, used by the client and for the OpenAPI document.

Within ``/v1`` fields may be added; none is taken away or changes its meaning.
"""

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True, slots=True)
class Form:
    """A text's pattern; ``of`` names the enumeration of its values."""

    format: str = ""
    of: str = ""


Time = Annotated[str, Form(format="date-time")]
"""ISO 8601 in UTC, ``2026-01-02T03:04:05.678Z``."""
State = Annotated[str, Form(of="state")]
HealthState = Annotated[str, Form(of="health")]
KindName = Annotated[str, Form(of="kind")]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The engine that runs the units."""

    url: str
    mode: Literal["embedded", "attached"]
    up: bool
    version: str | None
    reason: str
    daemon: str | None
    daemon_pid: int | None
    unit: "Unit"


@dataclass(frozen=True, slots=True)
class Unit:
    """One supervised container and how it is."""

    name: str
    kind: KindName
    state: State
    health: HealthState
    checks: dict[str, HealthState]
    flapping: bool
    container_id: str | None
    restarts: int
    since: Time | None
    reason: str
    unknown_since: Time | None
    """The engine has not answered since; all else is what was last known."""
    cause: str
    wanted: bool
    touched: bool
    exit_code: int | None
    image: str


@dataclass(frozen=True, slots=True)
class Console:
    name: str
    state: str
    """A state of the unit, ``parked``, ``removed`` (its parked container was) or ``available``."""
    persistent: bool
    dirty: bool
    container_id: str | None
    image: str


@dataclass(frozen=True, slots=True)
class ConsoleStatus:
    current: str | None
    enabled: str
    consoles: tuple[Console, ...]


@dataclass(frozen=True, slots=True)
class StorageContext:
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class StorageStatus:
    current: str
    attached: str | None
    enabled: str
    contexts: tuple[StorageContext, ...]


@dataclass(frozen=True, slots=True)
class UserDockerStatus:
    state: State
    context: str
    engine: str | None
    version: str | None
    binary: str | None
    trouble: str | None
    exit_code: int | None
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SwitchNow:
    """The switch under way."""

    of: str
    origin: str
    target: str
    step: str
    since: Time
    why: str | None


@dataclass(frozen=True, slots=True)
class SwitchStep:
    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SwitchLast:
    """How the last switch ended."""

    of: str
    origin: str
    target: str
    result: str
    why: str | None
    ended: Time
    steps: tuple[SwitchStep, ...]


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    now: SwitchNow | None
    last: SwitchLast | None


@dataclass(frozen=True, slots=True)
class HostTrouble:
    of: str
    reason: str


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    version: str
    pid: int
    started: Time
    draining: bool
    configuration: str
    troubles: tuple[HostTrouble, ...]


@dataclass(frozen=True, slots=True)
class Status:
    engine: EngineStatus
    console: ConsoleStatus | None
    storage: StorageStatus | None
    user_docker: UserDockerStatus | None
    switch: SwitchStatus
    units: tuple[Unit, ...]
    supervisor: SupervisorStatus


@dataclass(frozen=True, slots=True)
class Asked:
    """The outcome of a request about a unit."""

    unit: Unit
    verb: str
    accepted: bool
    settled: bool
    ok: bool
    answer: str


@dataclass(frozen=True, slots=True)
class Waited:
    """Whether a unit reached the awaited state."""

    unit: Unit
    reached: bool
    hopeless: bool
    """It cannot reach it without intervention."""


@dataclass(frozen=True, slots=True)
class Switched:
    done: bool
    answer: str
    switch: SwitchNow | SwitchLast | None


@dataclass(frozen=True, slots=True)
class Enabled:
    answer: str


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a unit could be the storage context."""

    context: str
    fits: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamedEngine:
    name: str
    binary: str


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines that user Docker can run."""

    current: str | None
    version: str | None
    binary: str | None
    engines: tuple[NamedEngine, ...]


@dataclass(frozen=True, slots=True)
class Version:
    version: str
    api: str
    pid: int


@dataclass(frozen=True, slots=True)
class Problem:
    """The error of a request, and what to do."""

    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class Hook:
    """One of the host's hooks, with its statistics."""

    name: str
    kind: str
    """``executable`` or ``python``; empty: it was refused."""
    events: str
    """Its events, in words."""
    path: str
    state: str
    """``ready``, ``resting``, ``off`` or ``refused``."""
    runs: int
    failed: int
    dropped: int
    vetoes: int
    waiting: int
    last_error: str | None
    last_output: str | None


@dataclass(frozen=True, slots=True)
class HookTold:
    """The result of a test for one hook."""

    hook: str
    error: str
    """Empty: none."""
    answer: str
    """Of a gate, in words; else empty."""
    output: str
    """What it printed."""


@dataclass(frozen=True, slots=True)
class HookSwitched:
    hook: str
    on: bool
