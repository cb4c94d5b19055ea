"""Where things are on a host: directories, files in them, sockets. Light: the command line loads it.

What a module alone writes and reads, it names itself.
"""

import os
from collections.abc import Mapping
from pathlib import Path

RUN_DIR = Path("/run/dockwarden")
SOCKET, READING_SOCKET = "control.sock", "control-ro.sock"
"""In the run directory: for what may do everything, and for what may only look."""
PID_FILE = "dockwarden.pid"

STATE_DIR = Path("/var/lib/dockwarden")
WATCH_STATE_DIR = Path("/var/lib/dockwarden-watch")
"""Of its own: what is known of a host's units by name is no knowledge of another engine's."""
STATE_FILE, CHOICES_FILE, RECORDS_FILE = "state.json", "choices.json", "records"
"""In the state directory, as the following ones."""
STATE_LOCK, LAST_CONFIG, RECREATIONS_FILE = "state.lock", "last-config.json", "recreations.json"
HOOKS_OFF, IMAGE_STAMPS, SYSTEM_DOCKER_LOG = "hooks-off", "images", "system-docker.log"
TLS_DIR = STATE_DIR / "tls"
"""Where the CA is, and its key, which no engine needs."""

CONFIG = Path("/var/lib/rancher/conf")
HOOKS = Path("/etc/dockwarden/hooks.d")

SYSTEM_DOCKER_URL = "unix:///var/run/system-docker.sock"
DOCKER_URL = "unix:///var/run/docker.sock"


def run_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The supervisor's that is meant where none is named."""
    return Path(environ.get("DOCKWARDEN_RUN_DIR") or RUN_DIR)


def usable(path: str) -> bool:
    """Whether a socket is there, and ours to use."""
    return os.access(path, os.R_OK | os.W_OK)
