"""The client as a program of its own: its pipes, its imports."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.bed.engines import REPOSITORY
from tests.harness import EndlessEngine
from tests.pure.story import spec
from tests.pure.test_client import Play, Stage, play, run_dir

__all__ = ["play", "run_dir"]


def program(run_dir: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "supervisor", "--run-dir", str(run_dir), *words]


def test_a_reader_that_leaves_is_no_error(play: Play) -> None:
    """`dockwarden events -f | head` ends quietly."""

    async def scene(run: Stage) -> None:
        process = await asyncio.create_subprocess_exec(
            *program(run.harness.run_dir, "logs", "web", "-f"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]
        assert await process.stderr.read() == b""
        assert await process.wait() == 0

    play(scene, spec("web"), engine=EndlessEngine)


def test_an_answer_that_cannot_be_written_is_told(play: Play) -> None:
    """A full disk behind the shell's redirection is exit code 1 and a sentence, not a traceback."""

    async def scene(run: Stage) -> None:
        with Path("/dev/full").open("w") as full:  # noqa: ASYNC230 - a device
            process = await asyncio.create_subprocess_exec(
                *program(run.harness.run_dir, "status"),
                stdout=full,
                stderr=subprocess.PIPE,
                cwd=REPOSITORY,
                env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            )
            _, said = await process.communicate()
        assert said.startswith(b"dockwarden: cannot write the answer: No space left on device\n")
        assert process.returncode == 1

    play(scene, spec("web"))


def test_the_client_starts_without_the_daemon_s_modules() -> None:
    """It must answer before they would even be loaded."""
    heavy = {"asyncio", "aiohttp", "aiodocker", "uvloop", "structlog", "prometheus_client", "yaml"}
    slow = {"http.client", "email", "dataclasses", "inspect", "difflib", "cryptography"}
    code = "import sys, supervisor.__main__ as main; main.parser(['units']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert (heavy | slow) & set(loaded.stdout.split()) == set()
