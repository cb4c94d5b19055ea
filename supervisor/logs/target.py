"""Where log lines can go, as the pipeline sees it."""

from typing import Protocol

from supervisor.logs.formats import Line


class Target(Protocol):
    """Where lines go. Takes each at once and never waits for whoever reads them."""

    name: str
    """As on the command line."""
    trouble: str
    """Why lines do not get there at present; empty: they do."""

    def tell(self, line: Line) -> None: ...

    def flush(self, patience: float = 0.0) -> None:
        """Hand over what waits, as far as it is taken; ``patience`` is in seconds."""
        ...

    @property
    def behind(self) -> int:
        """Lines that wait."""
        ...

    def newly_lost(self) -> int:
        """How many lines were lost since this was last asked; 0 as long as nobody could be told."""
        ...

    def reopen(self) -> None:
        """Somebody moved the file away, or started another daemon."""
        ...
