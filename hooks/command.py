"""Tells a notice by a command: the JSON on its standard input, the main things in its environment."""

import asyncio
import contextlib
import os
import shlex
import signal
from asyncio.subprocess import PIPE, STDOUT, Process

from hooks.notices import Notice, fields
from hooks.notifier import NotToldError

PATIENCE = 10.0
"""Seconds until it and all that it started is killed."""
LAST_WORDS = 1.0
"""Seconds for its output after its end."""
KEPT = 4096
"""Bytes of its output that are kept for the log."""


class CommandReceiver:
    """``arguments``: give it what docker-autoheal gives its script: name, short id, state, stop timeout."""

    kind = "command"

    def __init__(self, command: str, *, arguments: bool = False) -> None:
        """Raises ValueError for a command with an open quote, or none at all."""
        self._words = shlex.split(command)
        if not self._words:
            raise ValueError("expected a command")
        self._arguments = arguments
        self.name = self._words[0]

    async def send(self, notice: Notice) -> None:
        more = [notice.unit, notice.container, notice.state, f"{notice.stop_timeout:g}"] if self._arguments else []
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words,
                *more,
                stdin=PIPE,
                stdout=PIPE,
                stderr=STDOUT,
                env={**os.environ, **fields(notice)},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise NotToldError(f"{getattr(error, 'strerror', None) or error}: {self.name}") from error
        hearing = asyncio.ensure_future(_converse(process, notice.as_json().encode()))
        try:
            async with asyncio.timeout(PATIENCE):
                code = await process.wait()
                # What it left in the background may hold its output open: that is not waited for.
                await asyncio.wait({hearing}, timeout=LAST_WORDS)
        except TimeoutError:
            raise NotToldError(f"did not end within {PATIENCE:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # Also what it has left behind.
            await process.wait()
            await asyncio.wait({hearing})  # Whoever held it open is gone.
        if code:
            said = hearing.result().decode(errors="replace").strip()
            raise NotToldError(f"exit code {code}" + (f": {said}" if said else ""))


async def _converse(process: Process, text: bytes) -> bytes:
    """Its first words; the rest is read, so that it does not hang, and forgotten."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(text)
        await process.stdin.drain()
    process.stdin.close()
    kept = b""
    while part := await process.stdout.read(65536):
        kept = (kept + part)[:KEPT]
    return kept
