"""Finds the hooks in a ``hooks.d`` directory, and their events."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from hooks.happenings import Happened
from hooks.marks import HookMark
from hooks.points import POINTS
from units.records import dataclass

MOST = 64
"""Hooks on a host; further ones are refused: each may be a process, and a series of metrics."""
EVERYTHING_BUT = "unit.transition"
"""Sent only to hooks that name it: it comes with each step of each unit."""
STRICT = ".strict"
"""How the name of an executable ends whose failure as a gate is a veto."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One executable, or one Python function."""

    name: str
    """Its path below the directory, for a function with its name: in log, metrics and commands."""
    path: Path | None
    """The executable."""
    marks: tuple[HookMark, ...] = ()
    """What it asks for; none: all events but EVERYTHING_BUT."""

    @property
    def kind(self) -> str:
        return "python" if self.path is None else "executable"

    @property
    def is_gate(self) -> bool:
        return bool(self.marks) and self.marks[0].gate

    @property
    def asks(self) -> str:
        """In words; empty: nearly everything."""
        return ", ".join(mark.of + ("" if mark.unit == "*" else f" of {mark.unit}") for mark in self.marks)

    def wants(self, event: Happened) -> bool:
        return any(mark.wants(event) for mark in self.marks) if self.marks else event.name != EVERYTHING_BUT


@dataclass(frozen=True, slots=True)
class Found:
    hooks: tuple[Hook, ...] = ()
    """The executables."""
    python: Mapping[str, Path] = field(default_factory=dict)
    """Files whose functions may be hooks, by name."""
    refused: tuple[tuple[str, str], ...] = ()
    """Path, and why it is no hook."""


def find(folder: Path) -> Found:
    """What is there. No folder: no hooks.

    ``FOLDER/NAME`` gets nearly all events, ``FOLDER/EVENT/NAME`` those that match EVENT, ``FOLDER/POINT/NAME`` is a
    gate. ``FOLDER/NAME.py`` is imported, whether it is executable or not.
    """
    hooks: list[Hook] = []
    python: dict[str, Path] = {}
    refused: list[tuple[str, str]] = []
    for path, of in _candidates(folder):
        name = str(path.relative_to(folder))
        if trouble := _unsafe(folder, path):
            refused.append((name, trouble))
        elif len(hooks) + len(python) >= MOST:
            refused.append((name, f"there are {MOST} hooks already"))
        elif not of and _is_python(path):
            python[name] = path
        else:
            hooks.append(Hook(name, path, _marks(name, of)))
    return Found(tuple(hooks), python, tuple(refused))


def _marks(name: str, of: str) -> tuple[HookMark, ...]:
    if not of:
        return ()
    gate = of in POINTS
    return (HookMark(of, gate=gate, strict=gate and name.endswith(STRICT)),)


def _candidates(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that could be hooks, in order of their names; hidden ones and what editors leave are not meant."""
    for path in _listed(folder):
        if path.is_dir():
            yield from ((below, path.name) for below in _listed(path) if _runs(below))
        elif _is_python(path) or _runs(path):
            yield path, ""


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name[-1] != "~")
    except OSError:
        return []


def _is_python(path: Path) -> bool:
    return path.suffix == ".py" and path.is_file()


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _unsafe(folder: Path, path: Path) -> str:
    """Why users other than root or ours could change the file; empty when none can."""
    for one in (folder, path.parent, path):
        seen = one.stat()
        if seen.st_uid not in {0, os.geteuid()}:
            return f"{one} belongs to uid {seen.st_uid}: chown it to root"
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{one} is writable by others: chmod go-w it"
    return ""
