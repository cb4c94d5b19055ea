"""Checks before the start: configuration, dependencies, state directory; and how a start is refused."""

import contextlib
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.config.isolated import ConfigRefusedError, ConfigUnreadError, read_apart
from supervisor.config.settings import Settings
from supervisor.config.tree import Problem
from supervisor.state.file import StateError, StateFile
from supervisor.state.paths import STATE_FILE


class Exit:
    """Exit codes of ``dockwarden boot``, after sysexits.h; docs/reference/cli.md lists them."""

    OK = 0
    FAILED = 1
    ENGINE = 69
    STATE = 73
    HELD = 75
    PERMISSION = 77
    CONFIG = 78


class BootError(Exception):
    """The supervisor cannot start; nothing has been touched."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def refuse(log: FilteringBoundLogger, reason: str, code: int) -> int:
    """Log one line that says why the supervisor does not start."""
    log.error("boot.refused", reason=reason, exit_code=code)
    return code


def read_settings(paths: tuple[Path, ...]) -> Settings:
    try:
        return read_apart(paths, kernel_command_line())
    except ConfigRefusedError as error:
        raise BootError(Exit.CONFIG, str(error)) from error
    except ConfigUnreadError as error:
        raise BootError(Exit.FAILED, str(error)) from error


def kernel_command_line() -> str:
    """Only ``rancher.*`` tokens of it matter; a host without /proc has none."""
    try:
        return Path("/proc/cmdline").read_text()
    except OSError:
        return ""


def check_links(settings: Settings) -> tuple[Problem, ...]:
    """The graph's warnings. Raises BootError for an unknown unit or a cycle."""
    problems, warnings = settings.link_problems()
    if problems:
        raise BootError(Exit.CONFIG, "\n".join(map(str, problems)))
    return warnings


def open_state(state_dir: Path, log: FilteringBoundLogger) -> StateFile:
    """Check that the state directory is writable now, not after the first crash."""
    store = StateFile(state_dir / STATE_FILE, log)
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = state_dir / ".probe"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        store.load()
    except (OSError, StateError) as error:
        with contextlib.suppress(OSError):
            (state_dir / ".probe").unlink()
        raise BootError(
            Exit.STATE,
            f"the state directory {state_dir} cannot be used: {error}; make it writable or choose another --state-dir",
        ) from error
    return store
