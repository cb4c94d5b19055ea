"""What is kept of user Docker's process in the state directory: its record, the end of its last run, its log."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.left_behind import Lair
from supervisor.dockerd.process import last_lines, open_log, started_at
from supervisor.state import atomic
from units.records import dataclass


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What a later supervisor must know to take the process up: written before anything else can go wrong."""

    pid: int
    start: str
    """The process's start time, in the kernel's own ticks: a pid alone may be another's by then."""
    container: str
    context: str
    engine: str
    config_hash: str
    socket: str
    data_root: str
    exec_root: str = ""
    namespace: str = ""
    containerd: str = ""
    binary: str = ""

    @property
    def lair(self) -> Lair | None:
        """``None``: it was written by a version that did not note it."""
        return Lair(self.data_root, self.exec_root, self.namespace, self.containerd) if self.exec_root else None


def lives(record: ProcessRecord) -> bool:
    return bool(record.start) and started_at(record.pid) == record.start


class RunFiles:
    """A disk that is full keeps no engine down: what cannot be written is missing for a later supervisor only."""

    def __init__(self, state_dir: Path, log: FilteringBoundLogger) -> None:
        self._record = state_dir / "user-docker.json"
        self._end = state_dir / "user-docker.last.json"
        self._output = state_dir / "user-docker.log"
        self._log = log

    def keep(self, record: ProcessRecord) -> None:
        self._write(self._record, asdict(record))

    def recorded(self) -> ProcessRecord | None:
        try:
            return ProcessRecord(**json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep_end(self, record: ProcessRecord, exit_code: int | None, output: Sequence[str]) -> None:
        """How the run ended, with which words, and where it may have left something. Its record goes."""
        self._record.unlink(missing_ok=True)
        self._write(self._end, {"exit_code": exit_code, "output": list(output), "record": asdict(record)})

    def last_end(self) -> tuple[int | None, tuple[str, ...]] | None:
        """``None``: no run has ended yet, or it was not kept."""
        try:
            kept = json.loads(self._end.read_text())
            return kept["exit_code"], tuple(map(str, kept["output"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def lair(self) -> Lair | None:
        """Where the last run kept what may have outlived it."""
        record = self.recorded()
        if record is None:
            try:
                record = ProcessRecord(**json.loads(self._end.read_text())["record"])
            except (OSError, ValueError, TypeError, KeyError):
                return None
        return record.lair

    def open_log(self) -> int:
        """A file descriptor for the output of the next run."""
        return open_log(self._output, self._no_log)

    def output_from(self, start: int) -> tuple[str, ...]:
        """The last lines of the run whose output begins at byte ``start``."""
        return last_lines(self._output, start)

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of all runs."""
        try:
            with self._output.open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - 200 * lines, 0))
                return tuple(file.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ()

    def _write(self, path: Path, content: object) -> None:
        try:
            atomic.replace(path, json.dumps(content).encode(), durable=False)
        except OSError as error:
            self._log.warning("user_docker.no_record", path=str(path), error=str(error))

    def _no_log(self, error: OSError) -> None:
        self._log.warning("user_docker.no_log", path=str(self._output), error=str(error))
