"""Finds the docker-compose programs that tests run: the system's own, and other releases', unpacked beside it.

1.29 (Debian 12) is a Python program and runs only where it is installed; those from 2 on are one static file.
"""

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.bed import engines

SUITES: Mapping[str, str] = {"2.26": "trixie", "2.40": "forky"}
OWN = Path("/usr/bin/docker-compose")
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"


def program(version: str) -> Path:
    """The program of a version (``2.40``), downloaded the first time. Raises EngineUnavailableError."""
    if own_version() == version:
        return OWN
    return engines.made_once(engines.cache_directory() / "compose" / version, lambda new: _fetch(version, new))


@cache
def own_version() -> str:
    """The first two numbers of the system's own; empty if there is none."""
    return version_of(OWN) if OWN.exists() else ""


def version_of(program: Path) -> str:
    said = subprocess.run([program, "version", "--short"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+\.\d+)\.", said)
    return found[1] if found else ""


def _fetch(version: str, target: Path) -> None:
    if version not in SUITES:
        raise engines.EngineUnavailableError(f"compose {version}: the system has {own_version()}, Debian {SUITES}")
    root = target.parent / "root"
    engines.unpack(engines.download(SUITES[version], target.parent / "apt", ("docker-compose",)), root)
    if (told := version_of(root / PLUGIN)) != version:
        raise engines.EngineUnavailableError(f"compose {version}: Debian {SUITES[version]} now has {told}")
    (root / PLUGIN).rename(target)
