"""The doctor's data: facts about engine, supervisor and host, and findings. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from supervisor.http.reach import Reach
from units.records import dataclass


class Severity(StrEnum):
    """``error``: something does not work. ``warning``: something will fail. ``note``: good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    url: str
    reach: Reach
    said: str = ""
    """What came instead of an answer."""
    version: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    containers: tuple[Mapping[str, Any], ...] = ()
    """Each as an inspect shows it."""
    mute: tuple[str, ...] = ()
    """Containers that the engine did not answer about in time."""
    barred: tuple[str, ...] = ()
    """Calls that a proxy before it refused."""
    unnamed_volumes: tuple[str, ...] = ()
    """Volumes without a name of their own that no container uses."""
    ahead: float | None = None
    """Seconds by which its clock is ahead of ours."""


@dataclass(frozen=True, slots=True)
class SupervisorFacts:
    run_dir: str
    reach: Reach
    said: str = ""
    mode: int = 0o600
    """Of its socket."""
    owner: int = 0
    pid: int = 0
    """As its lock file says; 0 for none."""
    held: bool | None = None
    """Whether a process holds the lock; None when it could not be tested."""
    pid_lives: bool = False
    status: Mapping[str, Any] = field(default_factory=dict)
    own_version: str = ""
    others: tuple[tuple[int, str], ...] = ()
    """Supervisor processes: pid and command line."""
    files: int | None = None
    """Its soft limit of open files."""


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    role: str
    path: str
    exists: bool
    is_directory: bool = True
    writable: bool = True
    free: int = 0
    size: int = 0
    """Bytes."""
    files_free: int = 0
    files: int = 0
    """Inodes; 0 in all where a file system does not count them."""


@dataclass(frozen=True, slots=True)
class StateFacts:
    path: str
    trouble: str = ""
    set_aside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    place: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    problems: tuple[ConfigProblem, ...] = ()
    warnings: tuple[ConfigProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class HostFacts:
    now: float
    """Seconds since the epoch."""
    root: bool = True
    cgroup: str = "v2"
    """``v2``, ``v1``, ``hybrid`` or ``none``."""
    controllers: frozenset[str] = frozenset({"memory", "pids", "cpu"})
    synchronised: bool | None = None
    """Whether the kernel's clock is synchronised; None where it cannot be read."""
    forwards: bool | None = None
    """net.ipv4.ip_forward."""
    overlay: bool = True
    dockerd: str | None = "dockerd"
    """Where it is; None when it is nowhere on PATH."""
    boots_engine: bool = False
    """The host starts an engine of its own."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All collected facts; ``config`` is None where there is no configuration."""

    engine: EngineFacts
    supervisor: SupervisorFacts
    host: HostFacts
    directories: tuple[DirectoryFacts, ...] = ()
    state: StateFacts | None = None
    config: ConfigFacts | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    id: str
    severity: Severity
    title: str
    place: str
    what: str
    fix: str

    def as_dict(self) -> dict[str, str]:
        return {name: str(getattr(self, name)) for name in ("id", "severity", "title", "place", "what", "fix")}


Hit = tuple[str, str] | tuple[str, str, str]
"""The place, the problem, and optionally a fix that replaces the row's."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    id: str
    severity: Severity
    title: str
    look: Callable[[Facts], Iterable[Hit]]
    fix: str
