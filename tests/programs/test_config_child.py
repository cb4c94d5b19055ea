"""The configuration as a child reads it is the configuration as we would read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import supervisor
from supervisor import child
from supervisor.config import isolated, loader
from supervisor.config.isolated import ConfigRefusedError, ConfigUnreadError, read_apart
from supervisor.version import VERSION

GOOD = """\
#cloud-config
rancher:
  services:
    web: {image: "busybox:1", restart: always, labels: {io.rancher.os.after: db}}
    db: {image: "busybox:1", health_cmd: x}
"""


def a_file(folder: Path, text: str) -> Path:
    path = folder / "cloud-config.yml"
    path.write_text(text)
    return path


def test_a_child_reads_what_we_would_read(tmp_path: Path) -> None:
    """Also what the kernel's command line says."""
    path = a_file(tmp_path, GOOD.replace(", health_cmd: x", ""))
    kernel = "quiet rancher.supervisor.pull=never"
    assert read_apart([path], kernel) == loader.read([path], kernel)


def test_every_problem_comes_back(tmp_path: Path) -> None:
    path = a_file(tmp_path, GOOD.replace("image", "imago"))
    with pytest.raises(ConfigRefusedError) as caught:
        read_apart([path], "")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["4", "4", "5", "5", "5"]


def test_a_child_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(
        ConfigUnreadError, match="the child process that reads the configuration ended with 1: no output"
    ):
        read_apart([a_file(tmp_path, GOOD)], "")


def test_where_no_child_can_be_run_it_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same outcome, also of a bad one."""
    monkeypatch.setattr("sys.executable", "/no/such/python")
    path = a_file(tmp_path, GOOD.replace(", health_cmd: x", ""))
    assert read_apart([path], "") == loader.read([path])
    with pytest.raises(ConfigRefusedError, match="imago"):
        read_apart([a_file(tmp_path, GOOD.replace("image", "imago"))], "")


def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "cloud-config.yml"
    os.mkfifo(fifo)
    monkeypatch.setattr(isolated, "PATIENCE", 0.5)
    with pytest.raises(ConfigUnreadError, match=r"reading the configuration timed out after 0\.5 s"):
        read_apart([fifo], "")


def test_a_child_finds_us_and_nothing_else() -> None:
    """From any directory; and no room of ours stands before a module of Python's that has its name."""
    told = subprocess.run(
        [*child.command("supervisor"), "version"],
        cwd="/",
        env={**child.environment(), "DOCKWARDEN_RUN_DIR": "/nowhere"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert told.stdout.startswith(f"dockwarden {VERSION}\n")
    found = "import http, supervisor; print(http.__file__ != supervisor.http.__file__, supervisor.__file__)"
    python = [sys.executable, "-P", "-c", found.replace("http, supervisor", "http, supervisor.http")]
    said = subprocess.run(python, cwd="/", env=child.environment(), capture_output=True, check=True, text=True).stdout
    assert said.split() == ["True", str(Path(supervisor.__file__))]
