"""The disabled hooks: one empty file each, which survives restarts."""

from pathlib import Path
from urllib.parse import quote, unquote


class SwitchedOff:
    """``folder`` is made when the first hook is switched off."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> frozenset[str]:
        try:
            return frozenset(unquote(path.name) for path in self._folder.iterdir())
        except OSError:
            return frozenset()

    def add(self, name: str) -> None:
        """Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file(name).touch()

    def remove(self, name: str) -> None:
        """Raises OSError."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / quote(name, safe="@+ ")
