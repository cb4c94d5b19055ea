"""What is installed is what was meant, and what is shipped beside it names things that exist."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from script.manual import PAGE
from supervisor.cli.commands import parser
from supervisor.http.pages.status_page import FILES
from supervisor.version import VERSION
from tests.bed.engines import REPOSITORY

PAGE_FILES = "supervisor/http/pages/static/"
SHIPPED = ("hooks", "metrics", "supervisor", "units")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for a build leaves directories behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source / name)
    for name in (*SHIPPED, "tests", "benchmarks", "packaging"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "-w", folder, source], check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_four_packages_and_the_manual_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == set(SHIPPED)
    data = [name.partition(".data/")[2] for name in names if ".data/" in name]
    assert data == ["data/share/man/man1/dockwarden.1"]


def test_man_can_read_the_manual_page() -> None:
    """Without a warning. That it says what the program says is compared with the diagrams."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    told = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-P-c", PAGE], check=True, capture_output=True, text=True)
    assert told.stderr == ""
    assert "dockwarden" in told.stdout


def test_the_wheel_holds_the_files_of_the_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith(PAGE_FILES)}
    assert held == {f"{PAGE_FILES}{path.name}" for path in FILES.iterdir()}


def test_an_installed_wheel_gives_the_command(wheel: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--target", tmp_path, wheel], check=True, capture_output=True, text=True)
    command: list[str | Path] = [sys.executable, tmp_path / "bin" / "dockwarden", "--run-dir", tmp_path, "version"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    told = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert VERSION in told.stdout, told.stderr


@pytest.mark.parametrize("name", ["dockwarden.service", "dockwarden-watch.service"])
def test_a_systemd_unit_starts_a_command_that_there_is(name: str) -> None:
    text = (REPOSITORY / "packaging/systemd" / name).read_text()
    (line,) = re.findall(r"^ExecStart=\S+/python -P -OO -m supervisor (.*)$", text, re.MULTILINE)
    parser(line.split()).parse_args(line.split())
    assert "Type=notify" in text
    assert "WatchdogSec=" in text


def test_the_image_starts_a_command_that_there_is() -> None:
    text = (REPOSITORY / "packaging/docker/Dockerfile").read_text()
    for found in re.findall(r"^(?:ENTRYPOINT|.*CMD) (\[.*\])$", text, re.MULTILINE):
        words = re.findall(r'"([^"]*)"', found)
        words = words[words.index("supervisor" if words[0] == "python" else "dockwarden") + 1 :]
        parser(words).parse_args(words)
    copied = set(re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE))
    assert copied == set(SHIPPED)
