"""Loads the image archives of a directory into an engine, each once, as RancherOS' preload does.

An archive counts as loaded when its stamp names the same file (size and time) and the same engine. Stamps are
kept in a directory of our own, because archives may lie on read-only media.
"""

import asyncio
import contextlib
import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.engine.port import Engine, EngineError
from units.records import dataclass

ARCHIVE = re.compile(r"\.(tar(\.(gz|xz|zst))?|tgz)$")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The result for the archives of a directory, by file name."""

    loaded: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """Identifies a file and an engine; the content of a stamp."""

    path: str
    size: int
    mtime_ns: int
    identity: str


async def load_images(
    directory: Path,
    engine: Engine,
    log: FilteringBoundLogger,
    *,
    stamps: Path,
    identity: str,
    prefix: str = "images",
) -> LoadReport:
    """Load every new ``<prefix>*.tar`` (or ``.tar.gz``, ``.tar.xz``, ``.tar.zst``, ``.tgz``), in order of names.

    Args:
        directory: where the archives are; a missing one holds none.
        engine: what they are loaded into.
        log: one line per archive that was loaded or could not be.
        stamps: our directory for stamps; created at need.
        identity: changes when the engine's images are gone (its id, its data root): then all is loaded again.
        prefix: how an archive's name begins.
    """
    done: dict[str, list[str]] = {"loaded": [], "skipped": [], "failed": []}
    for archive in await asyncio.to_thread(_archives, directory, prefix, log):
        outcome = await _load(archive, engine, log, stamps, identity)
        done[outcome].append(archive.name)
    return LoadReport(tuple(done["loaded"]), tuple(done["skipped"]), tuple(done["failed"]))


async def _load(archive: Path, engine: Engine, log: FilteringBoundLogger, stamps: Path, identity: str) -> str:
    stamp = _stamp(archive, stamps)
    try:
        # Looked at before it is read: a file that changes meanwhile is loaded again next time.
        seen = await asyncio.to_thread(_look, archive, identity)
        if await asyncio.to_thread(_known, stamp, seen):
            return "skipped"
        names = await engine.load(str(archive))
    except (EngineError, OSError) as error:
        log.error("images.failed", archive=str(archive), error=str(error))  # noqa: TRY400 - it is the file's fault
        return "failed"
    try:
        await asyncio.to_thread(_remember, stamp, seen)
    except OSError as error:
        log.warning("images.unstamped", archive=str(archive), stamp=str(stamp), error=str(error))
    log.info("images.loaded", archive=str(archive), images=names)
    return "loaded"


def _archives(directory: Path, prefix: str, log: FilteringBoundLogger) -> list[Path]:
    try:
        found = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        log.error("images.unreadable", directory=str(directory), error=str(error))  # noqa: TRY400
        return []
    return [path for path in found if path.name.startswith(prefix) and ARCHIVE.search(path.name)]


def _look(archive: Path, identity: str) -> _Seen:
    status = archive.stat()
    return _Seen(str(archive), status.st_size, status.st_mtime_ns, identity)


def _stamp(archive: Path, stamps: Path) -> Path:
    """Archives of one name in two directories have two stamps."""
    return stamps / f"{archive.name}.{hashlib.sha256(bytes(archive.parent)).hexdigest()[:12]}.loaded"


def _known(stamp: Path, seen: _Seen) -> bool:
    """Whether the stamp names this file; a damaged stamp does not."""
    with contextlib.suppress(OSError, ValueError):
        return bool(json.loads(stamp.read_bytes()) == asdict(seen))
    return False


def _remember(stamp: Path, seen: _Seen) -> None:
    stamp.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = stamp.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(seen)) + "\n")
    fresh.replace(stamp)
