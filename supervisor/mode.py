"""What a host is made of: its options, what it gets from outside, and what its two modes differ in."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from structlog.typing import FilteringBoundLogger

from hooks.presence import HostHooks, installed_hooks
from supervisor.config.settings import Settings
from supervisor.engine.address import Address
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import Engine, SystemEngine, UserEngine
from supervisor.engine.read_only import ReadOnlyEngine
from supervisor.http.access import Access
from supervisor.preflight import read_settings
from supervisor.runtime.loop import Inbox, Observer
from supervisor.state.choices import Choices
from supervisor.state.file import StateFile
from supervisor.state.paths import HOOKS
from supervisor.state.writer import SavedState, Store
from units.events import Event
from units.memory import Clocks
from units.records import dataclass
from units.troubles import Concern
from units.world import World

if TYPE_CHECKING:
    from hooks.notifier import Receiver
    from supervisor.logs.targets import TargetSpec
    from supervisor.runtime.gating import Gates


OnCall = Callable[[str, str, float], None]


InThread = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of what runs in the foreground."""

    config: tuple[Path, ...]
    engine: str | None
    state_dir: Path
    run_dir: Path | None
    """For the control socket and the lock. ``None``: there is no control socket."""
    images: Path | None = None
    listen: str | None = None
    log_format: str = "auto"
    log_level: str = "info"
    receivers: "tuple[Receiver, ...]" = ()
    """Who gets notices of what was done."""
    unheard: str = ""
    """Why somebody who should get notices will get none; empty: all will."""
    hooks: Path = HOOKS
    """Where executables lie that hear of events, and that are asked before some."""
    log_targets: "tuple[TargetSpec, ...]" = ()
    """Empty: stdout."""
    access: Access = Access()
    """Who besides root may use the control socket."""
    metrics_units: int = 1000
    """So many units have series of their own."""


class MakeEngine(Protocol):
    """Makes the port to the engine at an address. Raises EngineError where no connection could ever be made."""

    def __call__(self, where: Address, *, on_call: OnCall, lens: Any, hide: Callable[[str], str]) -> Engine: ...


def room_at(path: Path) -> tuple[int, int]:
    """Free and all bytes of the file system that a path is on. Raises OSError."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def host_boot_id() -> str:
    """The kernel's id of this boot of the machine; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def state_file(path: Path, log: FilteringBoundLogger) -> Store:
    return StateFile(path, log)


@dataclass(frozen=True, slots=True)
class Outside:
    """All that a host gets from outside: engine, clock, chance, file system. Tests replace these, and nothing else."""

    make_engine: MakeEngine = DockerEngine
    make_user_docker: Callable[[Engine, Inbox], UserEngine] | None = None
    """Instead of a real dockerd of the user."""
    wall: Callable[[], float] = time.time
    """Seconds since 1970."""
    chance: Callable[[], float] = random.random
    """Numbers from 0 to below 1."""
    in_thread: InThread = asyncio.to_thread
    """Runs what blocks, such as a write to a disk."""
    make_store: Callable[[Path, FilteringBoundLogger], Store] = state_file
    """Makes the file at a path that state is kept in."""
    room: Callable[[Path], tuple[int, int]] = room_at
    read_settings: Callable[[tuple[Path, ...]], Settings] = read_settings
    """Reads the configuration at these paths. Raises BootError."""
    boot_id: Callable[[], str] = host_boot_id
    installed_hooks: Callable[[], tuple[str, ...]] = installed_hooks
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    host_name: str = field(default_factory=lambda: os.uname().nodename)
    """How notices call this host."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What the two ways to run a host differ in, as functions."""

    name: str
    """``embedded``, ``attached`` or ``watching``."""
    url: str
    """Of the engine."""
    settings: Settings
    """As they were read before the start."""
    make_engine: Callable[[OnCall], Engine | ReadOnlyEngine]
    """One that can only be looked at makes it a dry run. Raises EngineError where no connection could ever be made."""
    first_world: Callable[[SavedState, Clocks, Choices], World]
    """The world before anything has happened."""
    prepare: Callable[[Engine | None], Awaitable[None]]
    """Done at each connection, before the units are looked at; in a dry run without an engine to be changed."""
    read_config: Callable[[Choices], Awaitable[Event]]
    make_user_docker: Callable[[Engine, Inbox], UserEngine] | None = None
    gates: "Callable[[HostHooks], Gates | None]" = lambda _: None
    """Who is asked before a unit is started or stopped."""
    observers: Callable[[], tuple[Observer, ...]] = lambda: ()
    """Further ones."""
    room: Callable[[], tuple[int, int]] = lambda: (0, 0)
    """Free and all bytes where the engine keeps its containers; two zeros: not known."""
    troubles: Mapping[Concern, str] = field(default_factory=dict)
    """What was found before the start that the host has to do without."""
    make_system_docker: Callable[[Inbox], SystemEngine] | None = None
    """Makes what watches the engine's process, where it is ours."""
