"""The mode ``watch``: the same host as that of ``boot``, with other units.

There is no configuration to read and no engine of our own: the units are whatever containers the engine has, and what
is done about them is what their labels want. It ends without touching any of them.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from supervisor.app import Host
from supervisor.config.autoheal import Autoheal
from supervisor.config.foreign_labels import WatchPolicy, spec_of
from supervisor.config.settings import Settings
from supervisor.engine.discovery import AllContainers
from supervisor.engine.port import Engine
from supervisor.engine.read_only import ReadOnlyEngine
from supervisor.logs.pipeline import LAST_WORDS, Pipeline, configure_logging
from supervisor.mode import InThread, Mode, OnCall, Options, Outside
from supervisor.preflight import BootError, Exit, find_engine, open_state, refuse
from supervisor.runtime.loop import Observer
from supervisor.state.choices import Choices
from supervisor.state.file import StateError
from supervisor.state.lock import LockError, LockHeld, RunLock, engine_lock, state_lock
from supervisor.state.replacements import unfinished
from supervisor.state.writer import SavedState, Store
from units import links
from units.events import ConfigRefused, Event, SnapshotTaken
from units.machine import Moment
from units.memory import Clocks
from units.quantities import Seconds
from units.records import dataclass, replace
from units.troubles import Concern
from units.world import Entry, Reaction, World, new_world

KEPT = ("names", "joined")
"""What is kept of whose name an id was."""
MOST_TOLD = 64
"""Complaints about the labels of one name that are remembered."""
IN_CGROUP = re.compile(r"(?:docker[-/]|/containers/)([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """The command line of ``dockwarden watch``, and what autoheal's environment says."""

    host: Options
    everything: bool
    dry: bool
    autoheal: Autoheal
    elsewhere: bool = False


def watch(options: WatchOptions, runner: Callable[..., int]) -> int:
    """Check what can be checked, then look after the host until we are told to end."""
    host = options.host
    lines = configure_logging(host.log_format, host.log_level, targets=host.log_targets)
    log: FilteringBoundLogger = structlog.get_logger()
    try:
        assert host.run_dir is not None
        with RunLock(host.run_dir):
            unsaved = open_state(host.state_dir)
            outside = Outside()
            with state_lock(host.state_dir):

                async def run() -> int:
                    mode = watch_mode(options, outside, log, lines)
                    if unsaved:
                        mode = replace(mode, troubles={Concern.STATE: unsaved})
                    with engine_lock(mode.url):
                        running = Host(host, mode, outside, log, lines)
                        running.handle_signals()
                        return await running.run()

                return runner(run)
    except BootError as error:
        return refuse(log, str(error), error.code)
    except LockHeld as error:
        return refuse(log, str(error), Exit.HELD)
    except LockError as error:
        return refuse(log, str(error), Exit.STATE)
    finally:
        lines.flush(LAST_WORDS)


class LabelWarnings:
    """Labels that make no sense are told once each, not with every look at the container.

    An observer as well: what was told of a container is forgotten with it.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._told: dict[str, set[tuple[str, str]]] = {}

    def __call__(self, container: str, label: str, what: str, hint: str) -> None:
        told = self._told.setdefault(container, set())
        if (label, what) not in told:
            if len(told) >= MOST_TOLD:  # Made anew again and again under one name, with other labels each time.
                told.clear()
            told.add((label, what))
            self._log.warning("label.ignored", unit=container, label=label, problem=what, hint=hint)

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        if isinstance(entry.event, SnapshotTaken):
            for gone in self._told.keys() - reaction.world.units.keys():
                del self._told[gone]


class ContainerNames:
    """Keeps whose name an id was, over our own absence: a container made anew then leaves only its id behind."""

    def __init__(self, lens: AllContainers, store: Store, log: FilteringBoundLogger, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._lens = lens
        self._store = store
        self._log = log
        self._saved = self._known()
        self._writing: asyncio.Task[None] | None = None

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        if not isinstance(entry.event, SnapshotTaken):
            return
        looks = (unit.look for unit in reaction.world.units.values())
        self._lens.forget(held for look in looks if look is not None for _, held in look.holds)
        if (known := self._known()) != self._saved and (self._writing is None or self._writing.done()):
            self._saved = known
            self._writing = asyncio.create_task(self._write(known), name="names")

    def _known(self) -> dict[str, Any]:
        return {"names": dict(self._lens.names), "joined": dict(self._lens.joined)}

    async def _write(self, content: dict[str, Any]) -> None:
        try:
            await self._in_thread(self._store.save, content)
        except StateError as error:
            self._log.warning("names.not-kept", error=str(error))


def watch_mode(options: WatchOptions, outside: Outside, log: FilteringBoundLogger, lines: Pipeline) -> Mode:
    """Raises BootError: there is no permission on the engine's socket."""
    watching = _Watching(options, outside, log, lines)
    return Mode(
        name="watching",
        url=watching.url,
        settings=Settings(),
        make_engine=watching.make_engine,
        first_world=watching.first_world,
        prepare=watching.prepare,
        read_config=read_config,
        observers=watching.observers,
    )


class _Watching:
    """What the functions of the mode share."""

    def __init__(self, options: WatchOptions, outside: Outside, log: FilteringBoundLogger, lines: Pipeline) -> None:
        self._outside = outside
        self._log = log
        self._lines = lines
        self.address = find_engine(options.host.engine, outside.environ, log)
        for variable, reason in options.autoheal.unused:
            log.warning("variable.unused", variable=variable, reason=reason)
        self.url = self.address.url
        self._dry = options.dry
        self._names_file = outside.make_store(options.host.state_dir / "names.json", log)
        self._recreations_file = outside.make_store(options.host.state_dir / "recreations.json", log)
        self._warnings = LabelWarnings(log)
        wants = WatchPolicy(
            everything=options.everything or options.autoheal.everything,
            autoheal_label=options.autoheal.label,
            stop_timeout=options.autoheal.stop_timeout,
            elsewhere=options.elsewhere,
            own=own_containers(),
            complain=self._warnings,
        )
        known = self._names_file.load() or {}
        joined = (_texts(known.get(key)) for key in KEPT)
        self._lens = AllContainers(partial(spec_of, wants=wants), *joined)
        self._grace = options.autoheal.start_period

    def make_engine(self, on_call: OnCall) -> Engine | ReadOnlyEngine:
        engine = self._outside.make_engine(self.address, on_call=on_call, lens=self._lens, hide=self._lines.secrets)
        return ReadOnlyEngine(engine) if self._dry else engine

    def observers(self) -> tuple[Observer, ...]:
        return (ContainerNames(self._lens, self._names_file, self._log, self._outside.in_thread), self._warnings)

    def first_world(self, _kept: SavedState, _clocks: Clocks, _choices: Choices) -> World:
        """Empty: what there is, the first snapshot says."""
        return new_world((), links.check(()).links, watching=True, dry=self._dry)

    async def prepare(self, engine: Engine | None) -> None:
        """Wait once for what the host has still to start; a dry run tells of what another watch would finish."""
        if engine is None:
            for name in unfinished(self._recreations_file):
                self._log.info("dry-run.would", unit=name, what="would finish its re-creation", reason="interrupted")
        grace, self._grace = self._grace, Seconds(0)
        if grace:
            self._log.info("watch.waiting", seconds=grace, reason="AUTOHEAL_START_PERIOD")
            await asyncio.sleep(grace)


async def read_config(_choices: Choices) -> Event:
    return ConfigRefused("a host that is only watched has no configuration: labels are read all the time")


def _texts(kept: Any) -> Mapping[str, str]:
    return {str(key): str(name) for key, name in kept.items()} if isinstance(kept, dict) else {}


def own_containers() -> frozenset[str]:
    """Ids of the container that we run in, whole or their beginnings: it must not be restarted by itself."""
    found = set()
    for path in ("/proc/self/cgroup", "/proc/self/mountinfo"):
        with contextlib.suppress(OSError):
            found |= set(IN_CGROUP.findall(Path(path).read_text()))
    name = os.uname().nodename
    return frozenset(found | ({name} if re.fullmatch("[0-9a-f]{12}", name) else set()))
