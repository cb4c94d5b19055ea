"""Checks before the start: configuration, dependencies, state directory; and how a start is refused."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.config.isolated import ConfigRefusedError, ConfigUnreadError, read_apart, read_for_boot
from supervisor.config.settings import Reading, Settings
from supervisor.engine.address import Address, AddressError, resolve
from supervisor.os_errors import cannot
from supervisor.state import paths
from supervisor.state.atomic import replace
from supervisor.state.paths import STATE_DIR, WATCH_STATE_DIR

PROBE = ".probe"


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


def read_settings(paths: tuple[Path, ...], last: Path | None = None) -> Settings:
    """All of the configuration; a good one is kept at ``last``. Raises BootError."""
    with _as_boot_error():
        return read_apart(paths, kernel_command_line(), last)


def settings_for_boot(paths: tuple[Path, ...], last: Path) -> Reading:
    """The configuration, or what a host can boot with instead. Raises BootError: there is nothing."""
    with _as_boot_error():
        return read_for_boot(paths, kernel_command_line(), last)


@contextlib.contextmanager
def _as_boot_error() -> Iterator[None]:
    try:
        yield
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


def open_state(state_dir: Path) -> str:
    """Why nothing can be kept in the state directory, as a sentence; empty when all is well.

    A host that has booted before comes up without saving. Raises BootError for a directory that is not there and cannot
    be made: a mistyped one, as those that are used unasked are no reason to stay down.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(state_dir / PROBE, b"x" * 4096, durable=False)
        (state_dir / PROBE).unlink()
    except OSError as error:
        said = cannot(f"keep anything in {state_dir}", error, "choose another --state-dir")
        if not state_dir.is_dir() and state_dir not in {STATE_DIR, WATCH_STATE_DIR}:
            raise BootError(Exit.STATE, said) from error
        return f"{said}; until then nothing that happens is remembered over a restart of the supervisor"
    return ""


def find_engine(named: str | None, environ: Mapping[str, str], log: FilteringBoundLogger) -> Address:
    """The engine that is meant; what is said in vain is logged.

    A socket that is not there may come; one that we may not use will not change its mind. Raises BootError.
    """
    try:
        found = resolve(named, environ, paths.usable)
    except AddressError as error:
        raise BootError(Exit.ENGINE, str(error)) from error
    for variable, reason in found.unused:
        log.warning("variable.unused", variable=variable, reason=reason)
    path = found.address.path
    if path and Path(path).exists() and not paths.usable(path):
        raise BootError(
            Exit.PERMISSION, f"permission denied on the engine's socket {path}: run as root or join its group"
        )
    return found.address
