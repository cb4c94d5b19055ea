"""Runs a module of ours in a child, for what a supervisor would else carry around for months: command, environment."""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
"""Where a child finds us, wherever we run."""


def command(module: str) -> list[str]:
    """``-P``: the directory that we were started in is no place for modules."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Ours, but modules come from where ours come from."""
    return {**os.environ, "PYTHONPATH": ROOT}


def last_words(errors: bytes) -> str:
    """Of what a child wrote to its standard error, the line that says most."""
    return (errors.decode(errors="replace").strip().splitlines()[-1:] or ["no output"])[0]
