"""Reads the configuration in a child process, so that the supervisor does not keep 1.5 MB of YAML parser in memory."""

import json
import pickle
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supervisor import child
from supervisor.config.settings import ConfigError, Reading, Settings
from units.records import replace

REFUSED = 78
"""Sysexits' EX_CONFIG: its output is the problems."""
PATIENCE = 60.0
"""Seconds for the child: it needs a fifth of one, but small boards are slow and busy at boot."""


class ConfigRefusedError(Exception):
    """The configuration is invalid; the text lists all problems, one per line."""


class ConfigUnreadError(Exception):
    """The child could not be run, or its output is not valid; the text says why."""


def read_apart(paths: Sequence[Path], kernel: str, last: Path | None = None) -> Settings:
    """All of the configuration, read in a child of ours. Blocks. A good one is kept at ``last``.

    Raises:
        ConfigRefusedError: it has problems.
        ConfigUnreadError: it could not be read at all.
    """
    return _ask({"how": "strict", **_asked(paths, kernel, last)}).settings


def read_for_boot(paths: Sequence[Path], kernel: str, last: Path) -> Reading:
    """As ``read_apart``, but what has problems is replaced by the last good one, else by what of it makes sense.

    Raises:
        ConfigRefusedError: there is nothing to boot with.
        ConfigUnreadError: it could not be read at all, and there is no last good one.
    """
    asked = _asked(paths, kernel, last)
    try:
        return _ask({"how": "boot", **asked})
    except ConfigUnreadError as error:
        try:
            kept = _ask({"how": "last", **asked})
        except (ConfigUnreadError, ConfigRefusedError):
            raise error from None
        return replace(kept, said=f"{error}; {kept.said}")


def answer(asked: Mapping[str, Any]) -> Reading:
    """What is asked of the child. Raises ConfigError."""
    from supervisor.config import loader  # noqa: PLC0415 - with it comes the parser that a child is there for

    paths, last = [Path(path) for path in asked["paths"]], Path(asked["last"]) if asked["last"] else None
    if asked["how"] == "strict" or last is None:
        return loader.strict_settings(paths, asked["kernel"], last)
    if asked["how"] == "boot":
        return loader.boot_settings(paths, asked["kernel"], last)
    return loader.last_settings(last)


def _asked(paths: Sequence[Path], kernel: str, last: Path | None) -> dict[str, Any]:
    return {"paths": [str(path) for path in paths], "kernel": kernel, "last": str(last or "")}


def _ask(asked: dict[str, Any]) -> Reading:
    """Of a child; where none can be run, here."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, with a module of ours
            child.command("supervisor.config"),
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=PATIENCE,
            env=child.environment(),
            check=False,
        )
    except OSError:  # No process left, or no permission on our own interpreter: that must not keep a host down.
        return _answer_here(asked)
    except subprocess.TimeoutExpired:
        raise ConfigUnreadError(f"reading the configuration timed out after {PATIENCE:g} s: check the disk") from None
    if done.returncode == REFUSED:
        raise ConfigRefusedError(done.stdout.decode(errors="replace"))
    try:
        found = pickle.loads(done.stdout)  # noqa: S301 - by our own child, over our own pipe
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        said = f"ended with {done.returncode}: {child.last_words(done.stderr)}"
        raise ConfigUnreadError(f"the child process that reads the configuration {said}") from error
    assert isinstance(found, Reading)
    return found


def _answer_here(asked: dict[str, Any]) -> Reading:
    try:
        return answer(asked)
    except ConfigError as error:
        raise ConfigRefusedError(str(error)) from error
