"""Sends a notice to a command: JSON on its standard input, the main fields in its environment."""

import asyncio
import contextlib
import os
import shlex
import signal
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping, Sequence
from typing import cast

from hooks.errors import NotToldError
from hooks.notices import Notice, fields

PATIENCE = 10.0
"""Seconds until it and all that it started is killed."""
LAST_WORDS = 1.0
"""Seconds for its output after its end."""
KEPT = 4096
"""Bytes of its output that are kept for the log."""
SIP = 0.02
"""Seconds between two pieces of what is not kept; a pipe holds 64 KiB."""


class CommandReceiver:
    """``arguments``: fields of the notice that are given to it as such, as docker-autoheal does."""

    kind = "command"

    def __init__(self, command: str, *, arguments: Sequence[str] = ()) -> None:
        """Raises ValueError for a command with an open quote, or none at all."""
        self._words = shlex.split(command)
        if not self._words:
            raise ValueError("expected a command")
        self._arguments = tuple(arguments)
        self.name = self._words[0]

    async def send(self, notice: Notice) -> None:
        values = [getattr(notice, field) for field in self._arguments]
        more = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        await run_command([*self._words, *more], fields(notice), notice.as_json())


async def run_command(words: Sequence[str], environment: Mapping[str, str], text: str) -> str:
    """Run it with ``environment`` besides our own and ``text`` on its standard input; returns what it printed.

    Raises NotToldError: it could not be started, took longer than PATIENCE, or ended with another code than 0.
    """
    code, said = await outcome(words, environment, text, PATIENCE)
    if code:
        raise NotToldError(f"exit code {code}" + (f": {said}" if said else ""))
    return said


async def outcome(words: Sequence[str], environment: Mapping[str, str], text: str, patience: float) -> tuple[int, str]:
    """As ``run_command``, but whatever code it ends with: returns that, below 0 a signal's, and what it printed.

    Raises NotToldError: it could not be started, or took longer than ``patience`` seconds.
    """
    try:
        process, talk = await _start(words, environment)
    except (OSError, ValueError) as error:
        raise NotToldError(f"{getattr(error, 'strerror', None) or error}: {words[0]}") from error
    try:
        _say(process, text.encode())
        async with asyncio.timeout(patience):
            await talk.exited.wait()
        with contextlib.suppress(TimeoutError):  # What it left in the background may hold its output open.
            async with asyncio.timeout(LAST_WORDS):  # Not wait_for: Python 3.11's can swallow a cancellation.
                await talk.closed.wait()
    except TimeoutError:
        raise NotToldError(f"did not end within {patience:g} s") from None
    finally:
        await _end(process, talk)
    return process.get_returncode() or 0, talk.kept.decode(errors="replace").strip()


async def _start(words: Sequence[str], environment: Mapping[str, str]) -> "tuple[asyncio.SubprocessTransport, _Talk]":
    """Raises OSError, ValueError. Given up in the middle, it ends the whole group; asyncio's own ends one process."""
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            _Talk,
            *words,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, ValueError):
            await _end(*await starting)
        raise


async def _end(process: asyncio.SubprocessTransport, talk: "_Talk") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.get_pid(), signal.SIGKILL)  # Also what it has left behind.
    await talk.closed.wait()
    process.close()


class _Talk(asyncio.SubprocessProtocol):
    """Keeps its first words; the rest is read, so that it does not hang, and forgotten."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.exited = asyncio.Event()
        """Its process has; asyncio's own ``wait`` waits for its output's end, too."""
        self.closed = asyncio.Event()
        """It has exited, and its output is closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.kept += data[: KEPT - len(self.kept)]
        if len(self.kept) >= KEPT:
            # A flood must not become our own work: from here on it is read by sips, until its end.
            pipe = cast("asyncio.ReadTransport", self._process.get_pipe_transport(fd))
            pipe.pause_reading()
            asyncio.get_running_loop().call_later(SIP, self._read_on, pipe)

    def _read_on(self, pipe: asyncio.ReadTransport) -> None:
        if not pipe.is_closing():
            pipe.resume_reading()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.closed.set()


def _say(process: asyncio.SubprocessTransport, text: bytes) -> None:
    pipe = process.get_pipe_transport(0)
    if pipe is None or pipe.is_closing():
        return  # It has ended already, and did not want to hear it.
    with contextlib.suppress(OSError):
        cast("asyncio.WriteTransport", pipe).write(text)
    pipe.close()
