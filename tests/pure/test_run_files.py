"""What is kept of user Docker's process outlives a supervisor, and keeps no engine down."""

import os
from pathlib import Path

import structlog
from structlog.testing import capture_logs
from structlog.typing import FilteringBoundLogger

from supervisor.dockerd.run_files import ProcessRecord, RunFiles

RECORD = ProcessRecord(7, "12345", "c0ffee", "console", "", "hash", "/run/docker.sock", "/var/lib/docker")


def log() -> FilteringBoundLogger:
    made: FilteringBoundLogger = structlog.get_logger()
    return made


def test_a_later_supervisor_finds_the_run(tmp_path: Path) -> None:
    RunFiles(tmp_path, log()).keep(RECORD)
    assert RunFiles(tmp_path, log()).recorded() == RECORD


def test_a_later_supervisor_finds_the_end(tmp_path: Path) -> None:
    """And no run any more."""
    files = RunFiles(tmp_path, log())
    assert files.last_end() is None
    files.keep(RECORD)
    files.keep_end(RECORD, -9, ("no space left", "bye"))
    assert (files.last_end(), files.recorded()) == ((-9, ("no space left", "bye")), None)


def test_nonsense_is_as_good_as_nothing(tmp_path: Path) -> None:
    for text in ("", "[]", '{"pid": 7}', "{"):
        (tmp_path / "user-docker.json").write_text(text)
        (tmp_path / "user-docker.last.json").write_text(text)
        files = RunFiles(tmp_path, log())
        assert (files.recorded(), files.last_end()) == (None, None)


def test_what_cannot_be_written_is_said_and_keeps_nothing_down(tmp_path: Path) -> None:
    """Where a file stands in the way of the state directory, the output goes nowhere."""
    blocked = tmp_path / "state"
    blocked.write_text("")
    with capture_logs() as lines:
        files = RunFiles(blocked, log())
        files.keep(RECORD)
        os.close(files.open_log())
    assert [line["event"] for line in lines] == ["user_docker.no_record", "user_docker.no_log"]
    assert files.tail(3) == ()


def test_the_tail_is_of_all_runs(tmp_path: Path) -> None:
    (tmp_path / "user-docker.log").write_text("one\ntwo\nthree\n")
    files = RunFiles(tmp_path, log())
    assert (files.tail(2), files.output_from(4)) == (("two", "three"), ("two", "three"))
