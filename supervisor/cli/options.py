"""The options of the commands that run in the foreground, ``boot`` and ``watch``: one row each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from supervisor.state.paths import CONFIG, DOCKER_URL, HOOKS, STATE_DIR, WATCH_STATE_DIR, run_dir


def count(text: str) -> int:
    """Raises ValueError."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"expected a number from 0 on, not {text!r}")
    return int(text)


class Option(NamedTuple):
    flag: str
    metavar: str = ""
    """Empty: it takes no value."""
    help: str = ""
    default: Any = None
    convert: Callable[[str], Any] = str
    """Raises ValueError, whose text is shown."""
    choices: tuple[str, ...] = ()
    repeat: bool = False
    """Each value counts. Without one, it is the default."""
    dest: str = ""
    """Under which name it is found, where that is not the flag's."""

    @property
    def name(self) -> str:
        return self.dest or self.flag.removeprefix("--").replace("-", "_")


def _running(state_dir: Path) -> tuple[Option, ...]:
    """Options of both commands."""
    listed = "%(default)s"
    return (
        Option("--state-dir", "DIR", f"default: {listed}", state_dir, Path),
        Option("--run-dir", "DIR", "for control.sock and the lock", run_dir(), Path),
        Option(
            "--listen",
            "HOST:PORT",
            f"address of metrics and the status page; '' for none (default: {listed})",
            "127.0.0.1:9779",
        ),
        Option("--metrics-units", "N", f"export per-unit metrics for at most N units (default: {listed})", 1000, count),
        Option("--notify-webhook", "URL", "send notifications to this URL (POST); repeat it", [], repeat=True),
        Option("--notify-apprise", "URL", "send notifications to this Apprise API server; repeat it", [], repeat=True),
        Option("--notify-command", "COMMAND", "run this command for each notification; repeat it", [], repeat=True),
        Option("--hooks", "DIR", f"directory of hooks (default: {listed})", HOOKS, Path),
        Option("--control-group", "GROUP", "group whose members have full access to control.sock", ""),
        Option(
            "--control-readers", "GROUP", "group with read-only access, on control-ro.sock ('everybody': all users)", ""
        ),
        Option("--control-listen", "HOST:PORT", "serve the read-only API on this address (no authentication)", ""),
        Option(
            "--log-target",
            "TARGET",
            "stdout (default), file:PATH[,size=10M][,keep=5], journald, syslog; repeat it",
            [],
            repeat=True,
        ),
        Option(
            "--log-format",
            "FORMAT",
            "default: console on a terminal, else json",
            "auto",
            choices=("auto", "json", "console"),
        ),
        Option("--log-level", "LEVEL", "default: info", "info", choices=("debug", "info", "warning", "error")),
    )


BOOT = (
    Option(
        "--config",
        "FILE_OR_DIR",
        f"cloud-config; repeat it, later ones win (default: {CONFIG})",
        convert=Path,
        repeat=True,
    ),
    Option("--engine", "URL", "attach to this engine (unix:///path, tcp://host:port) instead of starting one"),
    Option("--images", "DIR", "load its images*.tar[.gz|.xz|.zst] first", convert=Path),
    *_running(STATE_DIR),
)
WATCH = (
    Option("--all", dest="everything", help="also containers without an enabling label"),
    Option("--checks-elsewhere", help="let labels of containers name other hosts to ask"),
    Option("--dry-run", dest="dry", help="log what would be done, and change nothing"),
    Option("--engine", "URL", f"unix:///path or tcp://host:port (default: $DOCKER_HOST, or {DOCKER_URL})"),
    *_running(WATCH_STATE_DIR),
)
COMMANDS = {"boot": BOOT, "watch": WATCH}
