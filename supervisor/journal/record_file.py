"""Keeps the last records over a restart of the supervisor, so that ``why`` still knows yesterday's events.

A file of lines, each with its checksum, appended to in a thread, and rewritten when it has grown to its bound. The
memory counts; the file is a copy that may lag a moment behind, and loses that much when the supervisor is killed. A
damaged line, such as the last one after a power loss, is left out and logged. A full disk stops nothing.
"""

import asyncio
import errno
import json
import os
import sys
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.journal.journal import Journal
from supervisor.journal.record import Record
from supervisor.state.atomic import replace
from units.bounded import LARGEST, UNREADABLE
from units.machine import Moment
from units.world import Entry, Reaction

BOUND = 512 * 1024
"""Bytes of the file at most."""
REWRITTEN = BOUND // 2
"""Bytes that are kept when it is rewritten."""
EACH = 12
"""Last records of each unit that are kept before those that are merely recent."""
LONG = 1024
"""Bytes of a long line: before the file could pass its bound it is rewritten."""
PAUSE = 0.25
"""Seconds from a record to its line, so that a storm is one write."""
RETRY = 1.0
"""Seconds to the next attempt after one that failed."""
CHECKED = 9
"""Characters of a checksum and the space after it."""

NAMED: dict[str, set[type]] = {
    "<class 'int'>": {int},
    "<class 'str'>": {str},
    "<class 'float'>": {float},
    "int | None": {int, NoneType},
}
RECORD = frozenset(one.name for one in fields(Record))
KINDS: dict[str, frozenset[type]] = {
    one.name: frozenset({int, float} if one.name == "time" else NAMED[str(one.type)])
    for one in fields(Record)
    if one.name != "inputs"
}
"""The types that a field's value may have; ``inputs`` apart."""
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(Record) if one.default is not MISSING}


def encode(record: Record) -> bytes:
    """``1a2b3c4d {"seq":1,...}``: empty fields are left out."""
    told = {one.name: getattr(record, one.name) for one in fields(Record)}
    said = {key: value for key, value in told.items() if key not in DEFAULTS or value != DEFAULTS[key]}
    text = json.dumps(said, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


FAR_OFF = 1e12
"""Seconds since 1970, some 30,000 years: no record of ours is from then."""


def decode(line: bytes) -> Record | None:
    """``None`` for a line that is not whole, or not one of ours."""
    text = line[CHECKED:]
    if len(line) <= CHECKED or line[: CHECKED - 1] != b"%08x" % zlib.crc32(text):
        return None
    try:
        said = json.loads(text)
        names, values = said.get("inputs", ((), ()))
        said["inputs"] = tuple(map(sys.intern, names)), tuple(values)
        known = {key: value for key, value in said.items() if key in RECORD}
        record = Record(**known)
    except UNREADABLE:
        return None
    return record if _fits(record) else None


def _fits(record: Record) -> bool:
    """Whether each field is what its type says: a line that is whole may have been written by anybody."""
    if not all(getattr(record, name).__class__ in kinds for name, kinds in KINDS.items()):
        return False
    names, values = record.inputs
    plain = all(one.__class__ in {str, int, float, bool, NoneType} for one in values)
    whole = all(abs(getattr(record, name) or 0) < LARGEST for name, kinds in KINDS.items() if int in kinds)
    return plain and whole and len(names) == len(values) and 0 <= record.time < FAR_OFF


def load(path: Path, log: FilteringBoundLogger) -> tuple[Record, ...]:
    """What the supervisor before has kept, oldest first; none is no trouble."""
    try:
        lines = path.read_bytes()[-2 * BOUND :].splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        log.warning("records.not-read", path=str(path), error=str(error))
        return ()
    records = [decode(line) for line in lines]
    whole = [record for record in records if record is not None]
    if len(whole) < len(lines):
        log.warning("records.damaged", path=str(path), lines=len(lines) - len(whole), kept=len(whole))
    # A number that comes again, or goes back, is of a file that was put together by hand: numbers must grow.
    found: list[Record] = []
    for record in whole:
        if not found or record.seq > found[-1].seq:
            found.append(record)
    return tuple(found)


def select(records: Sequence[Record], room: int = REWRITTEN) -> list[bytes]:
    """Lines for a rewritten file: the last few of each unit, and as many recent ones as fit, in order."""
    newest = records[::-1]
    seen: dict[str, int] = {}
    first: list[Record] = []
    rest: list[Record] = []
    for record in newest:
        seen[record.unit] = seen.get(record.unit, 0) + 1
        (first if seen[record.unit] <= EACH else rest).append(record)
    chosen: list[tuple[int, bytes]] = []
    for record in (*first, *rest):
        line = encode(record)
        room -= len(line)
        if room < 0:
            break
        chosen.append((record.seq, line))
    return [line for _, line in sorted(chosen)]


class RecordFile:
    """An observer that writes the journal's records down, soon after they were made."""

    def __init__(
        self,
        path: Path,
        journal: Journal,
        log: FilteringBoundLogger,
        *,
        in_thread: Callable[..., Awaitable[int]] = asyncio.to_thread,
    ) -> None:
        self._path = path
        self._journal = journal
        self._log = log
        self._in_thread = in_thread
        self._written = 0
        """Number of the last record that is in the file; 0: all of it must be written."""
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._failing = False
        self._closed = False

    def observe(self, _entry: Entry, _moment: Moment, _reaction: Reaction) -> None:
        if self._timer is None and self._journal.last > self._written:
            self._in(RETRY if self._failing else PAUSE)

    def _in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self.write(), name="records")

    async def close(self) -> None:
        """Write what is left."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self.write()

    async def write(self) -> None:
        """Bring the file up to date."""
        journal, after = self._journal, self._written
        news = journal.records(after_seq=after)
        if not news:
            return
        anew = not after or self._size + len(news) * LONG > BOUND
        records = journal.everything() if anew else news
        try:
            size = await self._in_thread(self._rewrite if anew else self._append, records)
        except OSError as error:
            self._written = 0  # What is in the file is not known: the next attempt writes all of it.
            if not self._failing:
                self._log.warning("records.not-written", path=str(self._path), error=str(error))
            self._failing = True
            if self._timer is None and not self._closed:
                self._in(RETRY)  # What was the last thing to happen is written, too.
            return
        if self._failing:
            self._log.info("records.written-again", path=str(self._path))
        self._failing = False
        self._written, self._size = news[-1].seq, size

    def _append(self, news: Sequence[Record]) -> int:
        """Returns the size of the file afterwards."""
        data = b"".join(map(encode, news))
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW), "ab") as file:
            if file.tell() != self._size:
                raise OSError(errno.EIO, "it is not as we left it")
            file.write(data)
        return self._size + len(data)

    def _rewrite(self, records: Sequence[Record]) -> int:
        """All at once or not at all: a crash in between leaves the old file."""
        data = b"".join(select(records))
        replace(self._path, data)
        return len(data)
