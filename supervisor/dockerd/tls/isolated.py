"""Has the certificates looked after by a child: a supervisor would carry ``cryptography`` around for months."""

import asyncio
import json
import os
import sys
from pathlib import Path

from supervisor.dockerd.tls.settings import REFUSED, UNUSABLE, TlsError, TlsFiles, TlsSettings, UnusableError

PACKAGE = str(Path(__file__).resolve().parents[1])
"""Where a child finds us, wherever we run."""
PATIENCE = 30.0
"""Seconds for the child: a key is made within a tenth of one, but small boards are slow and busy at boot."""


async def materialize_apart(settings: TlsSettings, root: Path = Path("/")) -> TlsFiles:
    """``tls_files.materialize`` in a child of ours. Raises TlsError."""
    asked = json.dumps({"settings": settings.as_dict(), "root": str(root)}).encode()
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "supervisor.dockerd.tls.files"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": PACKAGE},
        )
    except OSError as error:
        raise UnusableError(
            [f"cannot run {sys.executable} to look after the certificates: {error.strerror}"]
        ) from error
    try:
        async with asyncio.timeout(PATIENCE):
            answer, errors = await child.communicate(asked)
    except TimeoutError:
        raise UnusableError([f"the certificates were not ready within {PATIENCE:g} s: look at the disk"]) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return _read(child.returncode, answer, errors)


def _read(code: int | None, answer: bytes, errors: bytes) -> TlsFiles:
    """The child's word. Raises TlsError."""
    try:
        told = json.loads(answer)
        if code in {REFUSED, UNUSABLE}:
            raise (UnusableError if code == UNUSABLE else TlsError)(map(str, told["problems"]))
        return TlsFiles.from_dict(told)
    except (ValueError, KeyError, TypeError) as error:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        raise UnusableError([f"no certificates: the child that makes them ended with {code}: {last[0]}"]) from error
