"""Saves the state soon after it changed, without delaying a restart."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from supervisor.state.file import StateError
from units.machine import Moment
from units.memory import Clocks, remember
from units.records import dataclass
from units.world import Entry, Reaction, World

FAR_OFF_NS = 2**63
"""The last moment that an engine's stamp can name."""
PAUSE = 0.2
"""Seconds between a change and its write, so that many changes are one write."""


class Store(Protocol):
    """The state's storage. Both methods may block."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class BootId:
    """Identifies this boot of the machine and this start of the supervisor."""

    host: str
    """The kernel's id of this boot."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """The last supervisor's state."""

    units: dict[str, Any]
    same_boot: bool
    same_host_boot: bool
    counters: dict[str, Any]
    told: Mapping[str, str]
    """Units with a trouble, and the last notice of each."""
    engine_ns: int = 0
    """The engine's stamp on the last event that this state knows of, nanoseconds since 1970; 0: none."""


def read(store: Store, boot: BootId) -> SavedState:
    """Load the last supervisor's state; ``None`` on the first start."""
    state = store.load() or {}
    same_host = state.get("host_boot") == boot.host
    units = state.get("units")
    counters = state.get("counters")
    return SavedState(
        units if isinstance(units, dict) else {},
        same_host and state.get("ended") is False,
        same_host,
        counters if isinstance(counters, dict) else {},
        {str(unit): str(kind) for unit, kind in told.items()} if isinstance(told := state.get("told"), dict) else {},
        stamp if isinstance(stamp := state.get("engine_ns"), int) and 0 < stamp < FAR_OFF_NS else 0,
    )


class StateWriter:
    """An observer that notices changes, and a task that writes them. A failed write is told once, and retried.

    Args:
        failed: called for each failed write.
        tell: is given the reason of the first one, and "" when writing works again.
        troubled: it is known that nothing can be written now.
        engine_ns: the stamp of the last event that the kept state knows of.
    """

    def __init__(
        self,
        store: Store,
        boot: BootId,
        clocks: Callable[[], Clocks],
        log: FilteringBoundLogger,
        *,
        counters: Callable[[], dict[str, Any]],
        told: Callable[[], Mapping[str, str]] = dict,
        failed: Callable[[], None],
        tell: Callable[[str], object],
        troubled: bool = False,
        engine_ns: int = 0,
        in_thread: Callable[..., Awaitable[None]] = asyncio.to_thread,
    ) -> None:
        self._store = store
        self._boot = boot
        self._clocks = clocks
        self._log = log
        self._counters = counters
        self._told = told
        self._failed = failed
        self._tell = tell
        self._in_thread = in_thread
        self._world: World | None = None
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        """Operator requests must be saved even right before the supervisor ends."""
        self._complained = troubled
        self._engine_ns = engine_ns

    def observe(self, entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        self._world = reaction.world
        self._engine_ns = max(self._engine_ns, entry.engine_ns)
        if reaction.transitions or reaction.engine:
            self._dirty.set()
        if any(step.before.wanted is not step.after.wanted for step in reaction.transitions):
            self._urgent.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._urgent.wait()
            self._dirty.clear()
            self._urgent.clear()
            await self.write(ended=False)

    async def write(self, *, ended: bool) -> None:
        """``ended``: everything was shut down, so the next start is a new boot."""
        if self._world is None:
            return
        state = {
            "host_boot": self._boot.host,
            "ended": ended,
            "units": remember(self._world, self._clocks()),
            "counters": self._counters(),
            "told": dict(self._told()),
            "engine_ns": self._engine_ns,
        }
        try:
            await self._in_thread(self._store.save, state)
        except StateError as error:
            self._failed()
            self._dirty.set()
            if not self._complained:
                self._log.error("state.not-written", error=str(error))
                self._tell(str(error))
            self._complained = True
            return
        if self._complained:
            self._log.info("state.written-again")
            self._tell("")
        self._complained = False
