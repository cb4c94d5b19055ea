"""Loads the hook runner when the host has its first hook, so that a host without hooks needs less memory."""

import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooks.errors import Guarded

if TYPE_CHECKING:
    from hooks.gates import GateVerdict
    from hooks.line import Count
    from hooks.points import Asked
    from hooks.runner import HookRunner
    from units.machine import Moment
    from units.world import Entry, Reaction

GROUP = "[dockwarden.hooks]"
"""How the section of a package's entry points begins that names its hooks."""


class HostHooks:
    """An observer and gatekeeper. Arguments and methods are those of ``runner.Hooks``, which does the work."""

    def __init__(
        self,
        folder: Path,
        count: "Count",
        log: Any,
        wall: Callable[[], float],
        switched_off: Path,
        *,
        entry_points: "Callable[[], tuple[str, ...]] | None" = None,
    ) -> None:
        self._folder = folder
        self._entry_points = entry_points or installed_hooks
        self._given = (folder, count, log, wall, switched_off)
        self._wall = wall
        self._hooks: HookRunner | None = None
        self._guarded: Guarded = ()
        self.reload()

    def reload(self) -> None:
        """Read the hooks' directory again."""
        if self._hooks is not None:
            self._hooks.reload(self._entry_points())
        elif _is_anything_in(self._folder) or self._entry_points():
            self._hooks = self._load()

    def _know_gates(self, guarded: Guarded) -> None:
        self._guarded = guarded

    def stand_before(self, point: str, unit: str) -> bool:
        """Whether there may be gates: the only check of a start without gates."""
        if self._guarded is None:
            return True
        return any(point == of and fnmatchcase(unit, units) for of, units in self._guarded)

    def observe(self, entry: "Entry", moment: "Moment", reaction: "Reaction") -> None:
        if self._hooks is not None:
            self._hooks.observe(entry, moment, reaction)

    async def ask(self, asked: "Asked") -> "GateVerdict":
        return await self._loaded.ask(asked)

    def moment(self) -> float:
        """Seconds since 1970."""
        return self._wall()

    async def ready(self) -> None:
        if self._hooks is not None:
            await self._hooks.ready()

    def listed(self) -> list[dict[str, Any]]:
        return [] if self._hooks is None else self._hooks.listed()

    async def test(self, event: str, unit: str) -> list[dict[str, str]]:
        """Raises KeyError: no such event or point."""
        return await self._loaded.test(event, unit)

    def switch(self, name: str, *, on: bool) -> None:
        """Raises UnknownHookError, OSError."""
        self._loaded.switch(name, on=on)

    async def close(self) -> None:
        if self._hooks is not None:
            await self._hooks.close()

    @property
    def _loaded(self) -> "HookRunner":
        if self._hooks is None:
            self._hooks = self._load()
        return self._hooks

    def _load(self) -> "HookRunner":
        from hooks.runner import HookRunner  # noqa: PLC0415 - as the module's first line says

        return HookRunner(*self._given, entry_points=self._entry_points(), know=self._know_gates)


def _is_anything_in(folder: Path) -> bool:
    try:
        return any(not path.name.startswith(".") for path in folder.iterdir())
    except OSError:
        return False


def installed_hooks() -> tuple[str, ...]:
    """Names of what installed packages offer. ``importlib.metadata`` would read, and keep, all that they say."""
    names: set[str] = set()
    for place in sys.path:
        for path in Path(place or ".").glob("*.dist-info/entry_points.txt"):
            try:
                _, found, section = path.read_text().partition(GROUP)
            except (OSError, UnicodeDecodeError):
                continue
            lines = section.partition("\n[")[0].splitlines() if found else []
            names |= {line.partition("=")[0].strip() for line in lines if "=" in line}
    return tuple(sorted(names))
