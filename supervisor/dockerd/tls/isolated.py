"""Makes and checks certificates in a child process, so that the supervisor does not keep ``cryptography`` in memory."""

import asyncio
import json
import sys
from pathlib import Path

from supervisor import child
from supervisor.dockerd.tls.settings import REFUSED, UNUSABLE, TlsError, TlsFiles, TlsSettings, UnusableError
from supervisor.os_errors import why

PATIENCE = 30.0
"""Seconds for the child: a key is made within a tenth of one, but small boards are slow and busy at boot."""


async def materialize_apart(settings: TlsSettings, root: Path = Path("/")) -> TlsFiles:
    """``tls_files.materialize`` in a child of ours. Raises TlsError."""
    asked = json.dumps({"settings": settings.as_dict(), "root": str(root)}).encode()
    try:
        process = await asyncio.create_subprocess_exec(
            *child.command("supervisor.dockerd.tls.files"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child.environment(),
        )
    except OSError as error:
        raise UnusableError([f"cannot run {sys.executable} to make the certificates: {why(error)}"]) from error
    try:
        async with asyncio.timeout(PATIENCE):
            answer, errors = await process.communicate(asked)
    except TimeoutError:
        raise UnusableError([f"making the certificates timed out after {PATIENCE:g} s: check the disk"]) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(process.returncode, answer, errors)


def _read(code: int | None, answer: bytes, errors: bytes) -> TlsFiles:
    """Parse the child's answer. Raises TlsError."""
    try:
        told = json.loads(answer)
        if code in {REFUSED, UNUSABLE}:
            raise (UnusableError if code == UNUSABLE else TlsError)(map(str, told["problems"]))
        return TlsFiles.from_dict(told)
    except (ValueError, KeyError, TypeError) as error:
        said = f"ended with {code}: {child.last_words(errors)}"
        raise UnusableError([f"no certificates: the child process that makes them {said}"]) from error
