"""One process in which Python hooks run, seen from the supervisor: its life, and what is said to it over a socket."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hooks.errors import NotToldError
from hooks.marks import HookMark
from units.records import dataclass

GRACE = 1.0
"""Seconds beyond its limit, in which an async hook is ended by its own loop, and in which a ping is answered."""
IMPORT = 10.0
"""Seconds to import one file."""
LINE = 2**20
"""Bytes of one answer."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the process found: hooks by name with their marks, and what it refused with the reason."""

    hooks: Mapping[str, tuple[HookMark, ...]]
    refused: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended that did end."""

    output: str
    answer: Any


class ImportDiedError(Exception):
    """The process ended, or hung, while it imported ``name`` (empty: before it came to that)."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class HungError(NotToldError):
    """A call did not end in time, and the process was ended for it."""


class GoneError(Exception):
    """The process has ended under a call. ``suspects``: of how many calls one was why; 0: it was none of these."""

    def __init__(self, why: str, suspects: int = 0) -> None:
        super().__init__(why)
        self.suspects = suspects


class Interpreter:
    """Make one with ``start``. It ends by itself when the supervisor does."""

    def __init__(
        self, process: Process, last_words: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._last_words = last_words
        self._reader = reader
        self._writer = writer
        self._calls: dict[int, asyncio.Future[Ended]] = {}
        self._numbered = 0
        self._pong = asyncio.Event()
        self._innocent = False
        """It is ended on purpose, and for what one call did: the others go on in another process."""
        self._retired = False
        self._listener: asyncio.Task[None] | None = None
        self.python = False
        """It has Python hooks in it."""
        self.alive = True
        self.closed = False
        """It has ended, and nothing of it is left."""

    @classmethod
    async def start(cls, files: Mapping[str, Path], entry_points: Sequence[str]) -> "tuple[Interpreter, Loaded]":
        """Raises ImportDiedError."""
        ours, theirs = socket.socketpair()
        last_words = os.memfd_create("last-words")
        try:
            with theirs:
                package = str(Path(__file__).parent.parent)
                path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "hooks.child",
                    str(theirs.fileno()),
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=last_words,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, "PYTHONPATH": path, "MALLOC_ARENA_MAX": "2"},
                    start_new_session=True,
                )
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE)
        except BaseException as error:
            ours.close()  # Which ends the process, if there is one already.
            os.close(last_words)
            if isinstance(error, OSError):
                raise ImportDiedError("", f"no process for Python hooks: {error}") from error
            raise
        child = cls(process, last_words, reader, writer)
        try:
            return child, await child._load(files, entry_points)
        except BaseException:
            await child.end()
            raise

    async def _load(self, files: Mapping[str, Path], entry_points: Sequence[str]) -> Loaded:
        self.python = bool(files or entry_points)
        self._tell(load={name: str(path) for name, path in files.items()}, entry_points=list(entry_points))
        importing = ""
        while True:
            try:
                async with asyncio.timeout(IMPORT):
                    line = await self._reader.readline()
            except TimeoutError:
                raise ImportDiedError(importing, f"its import did not end within {IMPORT:g} s") from None
            except (OSError, ValueError) as error:
                raise ImportDiedError(importing, str(error)) from error
            match json.loads(line or "null"):
                case {"importing": str(name)}:
                    importing = name
                case {"loaded": list(hooks), "refused": refused}:
                    found = {hook["name"]: tuple(HookMark(**mark) for mark in hook["marks"]) for hook in hooks}
                    self._listener = asyncio.create_task(self._listen(), name="python-hooks")
                    return Loaded(found, tuple((name, why) for name, why in refused))
                case _:
                    raise ImportDiedError(importing, f"its import ended the process: {await self._last()}")

    async def call(self, message: Mapping[str, Any], limit: float) -> Ended:
        """``message``: what is to be done. ``limit``: in seconds.

        Raises NotToldError for what the hook itself did wrong, GoneError when the process ended under it.
        """
        if not self.alive:
            raise GoneError("it had ended before")
        self._numbered += 1
        number = self._numbered
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._calls[number] = future
        try:
            self._tell(call=number, **message)
            async with asyncio.timeout(limit + GRACE):
                return await future
        except TimeoutError:
            # One thread that hangs lets the process answer; one that holds the interpreter's lock does not, and then
            # it may be any of them.
            answers, suspects = await self._answers(), len(self._calls)
            self._innocent = answers
            self._kill()
            if answers or suspects == 1:
                raise HungError(f"did not end within {limit:g} s") from None
            raise GoneError("the process hangs", suspects) from None
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(GRACE, self._end_hanging, future)
            self._calls[-number] = future
            raise
        finally:
            self._calls.pop(number, None)
            if self._retired and not self._calls:
                self._kill()

    def _end_hanging(self, future: "asyncio.Future[Ended]") -> None:
        """A cancelled call that still runs."""
        self._calls = {number: one for number, one in self._calls.items() if one is not future}
        if not future.done():
            self._innocent = True
            self._kill()

    async def _answers(self) -> bool:
        self._pong.clear()
        self._tell(ping=0)
        try:
            async with asyncio.timeout(GRACE):
                await self._pong.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self, **message: Any) -> None:
        if self.alive:
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                match json.loads(line):
                    case {"ended": int(number), "error": error, "output": output, "answer": answer}:
                        self._settle(number, error, Ended(output, answer))
                    case _:
                        self._pong.set()
        except (OSError, ValueError):
            self._kill()
        self.alive = False
        waiting = [future for future in self._calls.values() if not future.done()]
        why = "" if self._innocent else await self._last()
        for future in waiting:
            if not future.done():
                future.set_exception(GoneError(f"it ended the process: {why}", 0 if self._innocent else len(waiting)))
                future.exception()  # Also if nobody asks for it any more.
        await self.end()

    def _settle(self, number: int, error: str, ended: Ended) -> None:
        future = self._calls.get(number) or self._calls.get(-number)
        if future is None or future.done():
            return
        if error:
            future.set_exception(NotToldError(error))
            future.exception()
        else:
            future.set_result(ended)

    async def _last(self) -> str:
        """How it ended, in words."""
        self._kill()
        code = await self._process.wait()
        said = os.pread(self._last_words, 4096, 0).decode(errors="replace").strip()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return how + (f": {said.splitlines()[-1]}" if said and code > 0 else "")

    def retire(self) -> None:
        """Another one takes its place: it ends when the calls that it has are over."""
        self._retired = True
        if not self._calls:
            self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """End it now, with all that it started. Idempotent."""
        self.alive = False
        self._innocent = True
        self._writer.close()
        if not self.python:
            with contextlib.suppress(TimeoutError):  # It has executables to end, of which only it knows.
                async with asyncio.timeout(GRACE + 1):
                    await self._process.wait()
        self._kill()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._listener is not None and self._listener is not asyncio.current_task():
            await asyncio.wait([self._listener])
        await self._process.wait()
        if not self.closed:
            self.closed = True
            os.close(self._last_words)
