"""Which executables of a ``hooks.d`` directory are hooks, and of what."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from units.records import dataclass

MOST = 64
"""Hooks on a host; further ones are refused: each may be a process, and a series of metrics."""
EVERYTHING_BUT = "unit.transition"
"""What only a hook that asks for it is told: it would run at each step of each unit."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One executable."""

    name: str
    """Its path below the directory: in log, metrics and commands."""
    path: Path
    asks_for: str
    """Glob of the names of events; empty: all but EVERYTHING_BUT."""


@dataclass(frozen=True, slots=True)
class Found:
    hooks: tuple[Hook, ...]
    refused: tuple[tuple[str, str], ...]
    """Path, and why it is no hook."""


def find(folder: Path) -> Found:
    """``FOLDER/NAME`` gets nearly all events, ``FOLDER/EVENT/NAME`` those that match EVENT. No folder: no hooks."""
    hooks: list[Hook] = []
    refused: list[tuple[str, str]] = []
    for path, asks_for in _candidates(folder):
        name = str(path.relative_to(folder))
        if trouble := _unsafe(folder, path):
            refused.append((name, trouble))
        elif len(hooks) >= MOST:
            refused.append((name, f"there are {MOST} hooks already"))
        else:
            hooks.append(Hook(name, path, asks_for))
    return Found(tuple(hooks), tuple(refused))


def _candidates(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that could be run, in order of their names; hidden ones and what editors leave are not meant."""
    for path in _listed(folder):
        if path.is_dir():
            yield from ((below, path.name) for below in _listed(path) if _runs(below))
        elif _runs(path):
            yield path, ""


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name[-1] != "~")
    except OSError:
        return []


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _unsafe(folder: Path, path: Path) -> str:
    """Why anybody but root and ourselves could put words into our mouth; empty when nobody can."""
    for one in (folder, path.parent, path):
        seen = one.stat()
        if seen.st_uid not in {0, os.geteuid()}:
            return f"{one} belongs to uid {seen.st_uid}: chown it to root"
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others may write {one}: chmod go-w it"
    return ""
