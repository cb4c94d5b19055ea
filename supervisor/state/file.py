"""The state that outlives a supervisor: a checksummed JSON file, replaced atomically, and the one before it.

A file that is lost, empty, damaged or cannot be read is never the end of a start: the one before it is read then.

All functions block (they wait for the disk): call them in a thread.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.os_errors import cannot
from supervisor.state.atomic import replace
from units.bounded import finite

VERSION = 1
KEPT_CORRUPT = 9
"""Number of damaged files that are kept; the last one is overwritten when there are more."""


class StateError(Exception):
    """The state cannot be written; the text says why and what to do."""


class CorruptError(Exception):
    """A state file is not what was saved."""


class StateFile:
    """The state of one supervisor; it has one writer, which the state directory's lock ensures."""

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        self.path = path
        self.before = path.with_name(f"{path.name}.before")
        """The file before the present one."""
        self._log = log

    def load(self) -> dict[str, Any] | None:
        """Read what was saved last, else what was saved before that; ``None`` when there is neither.

        A damaged file is moved to ``<name>.corrupt-<n>``. That, and one that cannot be read, is reported.
        """
        newest = self._read(self.path)
        if newest is not None:
            return newest
        older = self._read(self.before)
        if older is not None:
            self._log.warning("state.older", path=str(self.before), reason=f"{self.path.name} is of no use")
        return older

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            return decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._log.error("state.unread", error=_way_out("read", path, error))
            return None
        except CorruptError as error:
            self._set_aside(path, str(error))
            return None

    def _set_aside(self, path: Path, reason: str) -> None:
        aside = self._free_name()
        try:
            path.replace(aside)
        except OSError as error:
            self._log.warning("state.corrupt", path=str(path), reason=reason, kept=False, error=str(error))
        else:
            self._log.warning("state.corrupt", path=str(path), reason=reason, kept=str(aside))

    def _free_name(self) -> Path:
        names = [self.path.with_name(f"{self.path.name}.corrupt-{n}") for n in range(1, KEPT_CORRUPT + 1)]
        return next((name for name in names if not name.exists()), names[-1])

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file. Then the state survives a power cut; after an error the old ones are intact.

        Raises:
            StateError: a full or read-only disk, say.
        """
        content = encode(state)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace(self.path, content, before=self.before.name)
        except OSError as error:
            raise StateError(_way_out("write", self.path, error)) from error


def encode(state: dict[str, Any]) -> bytes:
    text = json.dumps({"version": VERSION, "sha256": _checksum(state), "state": state}, indent=1, allow_nan=False)
    return text.encode() + b"\n"


def decode(content: bytes) -> dict[str, Any]:
    """Read a state file's content. Raises CorruptError."""
    try:
        document = json.loads(content, parse_float=finite, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("state"), dict):
        raise CorruptError("contains no state")
    if document.get("version") != VERSION:
        raise CorruptError(f"version {document.get('version')!r}, expected {VERSION}")
    state: dict[str, Any] = document["state"]
    try:
        if document.get("sha256") != _checksum(state):
            raise CorruptError("the checksum does not match")
    except RecursionError as error:
        raise CorruptError("nested too deeply") from error
    return state


def _checksum(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _way_out(verb: str, path: Path, error: OSError) -> str:
    return cannot(f"{verb} {path}", error, "keep the state elsewhere (--state-dir)")
