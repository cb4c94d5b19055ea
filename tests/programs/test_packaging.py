"""What is installed is what was meant, and what is shipped beside it names things that exist."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from script.manual import PAGE
from supervisor.cli.commands import parser
from supervisor.http.pages.status_page import FILES, TYPES
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


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and with what it needs, and without this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "dockwarden" not in path.name and path.name != "__pycache__":
            (site / path.name).symlink_to(path)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        folder / "bin/python",
    ]
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True, capture_output=True, text=True
    )
    return folder


def run(installed: Path, program: str, *arguments: str | Path) -> str:
    """What a program of that environment says, in a directory that has nothing of ours."""
    done = subprocess.run(
        [installed / "bin" / program, *arguments],
        cwd=installed,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_wheel_gives_the_command(installed: Path) -> None:
    assert VERSION in run(installed, "dockwarden", "--run-dir", installed, "version")


def test_the_installed_one_is_not_the_checkout(installed: Path) -> None:
    for package in SHIPPED:
        said = run(installed, "python", "-c", f"import {package}; print({package}.__file__)")
        assert Path(said.strip()).is_relative_to(installed), said


CONFIG = """\
#cloud-config
rancher:
  services:
    web: {image: "busybox:1", restart: always}
"""


def test_it_validates_a_configuration_and_its_child_reads_one(installed: Path) -> None:
    """Children are started with our own directory as their path: it has to be the installed one."""
    config = installed / "cloud-config.yml"
    config.write_text(CONFIG)
    run(installed, "dockwarden", "config", "validate", config)
    ask = (
        "import sys; from pathlib import Path; from supervisor import child; from supervisor.config import isolated; "
        "print(child.ROOT); print([one.name for one in isolated.read_apart([Path(sys.argv[1])], '').units])"
    )
    package, names = run(installed, "python", "-c", ask, config).splitlines()
    assert (package, "'web'" in names) == (str(package_of(installed)), True)


def test_its_child_makes_certificates(installed: Path) -> None:
    ask = (
        "import asyncio, sys; from pathlib import Path; from supervisor import child; "
        "from supervisor.dockerd.tls import isolated; "
        "from supervisor.dockerd.tls.settings import TlsSettings; place = Path(sys.argv[1]); "
        "made = asyncio.run(isolated.materialize_apart(TlsSettings(kept=place, directory=place / 'own'), Path('/'))); "
        "print(child.ROOT); print(made.cert)"
    )
    package, made = run(installed, "python", "-c", ask, installed / "tls").splitlines()
    assert (package, Path(made).exists()) == (str(package_of(installed)), True)


def package_of(installed: Path) -> Path:
    (site,) = installed.glob("lib/python*/site-packages")
    return site


SERVE_PAGE = """
import asyncio, urllib.request
import structlog
from supervisor.http.pages.endpoints import serve_pages
from supervisor.http.pages.status_page import TYPES, StatusPage
from supervisor.journal.journal import Journal
from supervisor.views.status import Context
from units.links import check
from units.world import new_world

class Numbers:
    prepared = True

async def main():
    world = new_world([], check([]).links)
    journal = Journal(structlog.get_logger(), float)
    context = Context("attached", "unix://engine", float, started=0.0)
    now = lambda: "2026-01-01T00:00Z"
    page = lambda: StatusPage(
        world=lambda: world, context=lambda: context, journal=journal, checks=lambda _: [], now=now
    )
    pages = await serve_pages("127.0.0.1:0", Numbers(), lambda: world, page)
    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{pages.port}/{path}") as answer:
            return answer.status, len(answer.read())
    for path in ("", *TYPES):
        print(path or "page", *await asyncio.to_thread(get, path))
    await pages.close()

asyncio.run(main())
"""


def test_its_page_is_served_with_its_files(installed: Path) -> None:
    said = [line.split() for line in run(installed, "python", "-c", SERVE_PAGE).splitlines()]
    assert {name: status for name, status, _ in said} == dict.fromkeys(["page", *TYPES], "200")
    assert all(int(length) > 100 for _, _, length in said)


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
