"""Reads the configuration in a child process, so that the supervisor does not keep 1.5 MB of YAML parser in memory."""

import json
import pickle
import subprocess
from collections.abc import Sequence
from pathlib import Path

from supervisor import child
from supervisor.config.settings import ConfigError, Settings

REFUSED = 78
"""Sysexits' EX_CONFIG: its output is the problems."""
PATIENCE = 60.0
"""Seconds for the child: it needs a fifth of one, but small boards are slow and busy at boot."""


class ConfigRefusedError(Exception):
    """The configuration is invalid; the text lists all problems, one per line."""


class ConfigUnreadError(Exception):
    """The child could not be run, or its output is not valid; the text says why."""


def read_apart(paths: Sequence[Path], kernel: str) -> Settings:
    """``loader.read`` in a child of ours; where none can be run, here. Blocks. Raises RefusedError, UnreadError."""
    asked = json.dumps({"paths": [str(path) for path in paths], "kernel": kernel}).encode()
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, with a module of ours
            child.command("supervisor.config"),
            input=asked,
            capture_output=True,
            timeout=PATIENCE,
            env=child.environment(),
            check=False,
        )
    except OSError:  # No process left, or no permission on our own interpreter: that must not keep a host down.
        return _read_here(paths, kernel)
    except subprocess.TimeoutExpired:
        raise ConfigUnreadError(f"reading the configuration timed out after {PATIENCE:g} s: check the disk") from None
    if done.returncode == REFUSED:
        raise ConfigRefusedError(done.stdout.decode(errors="replace"))
    try:
        settings = pickle.loads(done.stdout)  # noqa: S301 - by our own child, over our own pipe
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        said = f"ended with {done.returncode}: {child.last_words(done.stderr)}"
        raise ConfigUnreadError(f"the child process that reads the configuration {said}") from error
    assert isinstance(settings, Settings)
    return settings


def _read_here(paths: Sequence[Path], kernel: str) -> Settings:
    from supervisor.config import loader  # noqa: PLC0415 - a child is there to avoid it

    try:
        return loader.read(paths, kernel)
    except ConfigError as error:
        raise ConfigRefusedError(str(error)) from error
