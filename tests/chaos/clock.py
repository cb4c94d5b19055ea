"""The clock on the wall as a supervisor sees it, made to jump with Debian's libfaketime. Nothing else is fooled."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bed import engines

PACKAGE = "libfaketime"


def library() -> Path:
    """Downloaded the first time, and unpacked into the cache."""
    unpacked = engines.made_once(engines.cache_directory() / "faketime", _fetch)
    return next(unpacked.rglob("libfaketime.so.1"))


def _fetch(target: Path) -> None:
    subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=target.parent, check=True, capture_output=True)
    engines.unpack(list(target.parent.glob("*.deb")), target)


class WallClock:
    """Jumps for every supervisor that is started with this environment."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self._ahead = 0
        self.jump(0)

    @property
    def env(self) -> Mapping[str, str]:
        """Time that only goes on is not touched, nor are programs that the supervisor starts fooled any less."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> int:
        """By so much, forth or back; by how much it is wrong now."""
        self._ahead += seconds
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._ahead:+d}\n")
        new.rename(self._file)
        return self._ahead
