"""Runs the pure tests on newer Pythons, each in the root of a newer Debian release: ``python -m script.pythons``.

``python -m script.pythons [VERSION...]``, as root; ``make`` before the versions only makes the roots. A root is made
once, with debootstrap, in the cache, from the mirror and the package index that this machine itself uses.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.bed import debian, engines
from tests.bed.engines import REPOSITORY

SUITES: Final[Mapping[str, tuple[str, ...]]] = {"3.13": ("trixie",), "3.14": ("forky", "sid")}
"""The releases that may have it, the steadier one first."""
PACKAGES: Final = "python3,python3-venv,ca-certificates,git"
TOOLS: Final = (
    "pytest",
    "pytest-xdist",
    "pytest-randomly",
    "hypothesis",
    "PyYAML",
    "cryptography",
    "nox",
    "schemathesis",
)
"""What the pure tests import, beside the dependencies of the program itself."""
WHEELS: Final = Path("/wheels")
"""In the root, until they are installed."""
SHOWN: Final = 4000
"""Characters of what a failed command said."""


class UnavailableError(Exception):
    """There is no root with this Python; the text says why."""


def root_of(version: str) -> Path:
    """The directory of a root with this Python and with all that the tests import; made the first time."""

    def make(new: Path) -> None:
        _bootstrap(version, new)
        _install(version, new)

    return engines.made_once(engines.cache_directory() / "pythons" / version, make)


def _bootstrap(version: str, root: Path) -> None:
    """The first release that has this Python."""
    found = []
    for suite in SUITES[version]:
        shutil.rmtree(root, ignore_errors=True)
        include, keyring = f"--include={PACKAGES}", f"--keyring={engines.KEYRING}"
        try:
            debian.debootstrap(suite, root, engines.mirror(), include, keyring)
        except engines.EngineUnavailableError as error:
            found.append(str(error))
            continue
        said = subprocess.run(["chroot", root, "python3", "--version"], capture_output=True, text=True, check=True)
        if said.stdout.split()[1].startswith(f"{version}."):
            return
        found.append(f"{suite}: it has {said.stdout.strip()}")
    raise UnavailableError(f"no Python {version}: {'; '.join(found)}")


def _install(version: str, root: Path) -> None:
    """The dependencies, downloaded by this machine's pip, from wherever it is told to take them."""
    wheels = root / WHEELS.relative_to("/")
    only = ("--only-binary=:all:", "--python-version", version)
    download = [sys.executable, "-m", "pip", "download", "-q", *only, "-d", str(wheels), *_dependencies(), *TOOLS]
    done = subprocess.run(download, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    _expect(version, "pip download", done)
    for step in (
        ["python3", "-m", "venv", "/venv"],
        ["/venv/bin/python", "-m", "pip", "install", "-q", "--no-index", "-f", str(WHEELS), *_dependencies(), *TOOLS],
    ):
        _expect(version, " ".join(step[:5]), run_in(root, step))
    shutil.rmtree(wheels)


def _expect(version: str, what: str, done: "subprocess.CompletedProcess[str]") -> None:
    """Raises UnavailableError."""
    if done.returncode:
        raise UnavailableError(f"Python {version}: {what}: {done.stdout[-SHOWN:]}")


def _dependencies() -> list[str]:
    import tomllib  # noqa: PLC0415 - only here

    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        return list(tomllib.load(file)["project"]["dependencies"])


def run_in(root: Path, command: list[str], *, aloud: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run a program in a root, in namespaces of its own, which take their mounts and processes with them."""
    for place in (str(REPOSITORY), "/proc", "/dev", "/tmp"):
        (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
    lines = [
        'root=$1; shift; mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"',
        'mount -t tmpfs tmpfs "$root/tmp"; cp -L /etc/hosts "$root/etc/"',
        f'mount --bind "{REPOSITORY}" "$root{REPOSITORY}"',
        f'exec chroot "$root" /usr/bin/env -C "{REPOSITORY}" "$@"',
    ]
    script = "set -e\n" + "\n".join(lines)
    kept = {name: value for name, value in os.environ.items() if name.startswith("HYPOTHESIS")}
    environment = kept | {"PATH": engines.SYSTEM_PATH, "HOME": str(Path.home()), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [
            "unshare",
            "-m",
            "-p",
            "-f",
            "--kill-child",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            root,
            *command,
        ],
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=None if aloud else subprocess.PIPE,
        stderr=None if aloud else subprocess.STDOUT,
        text=True,
        check=False,
    )


def main(versions: list[str]) -> int:
    failed = []
    only_make = versions[:1] == ["make"]
    for version in versions[only_make:] or list(SUITES):
        try:
            root = root_of(version)
        except UnavailableError as error:
            print(error, file=sys.stderr)
            failed.append(version)
            continue
        if only_make:
            continue
        print(f"--- Python {version}", flush=True)
        tests = ["/venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-n", "2"]
        if run_in(root, [*tests, "tests/pure"], aloud=True).returncode:
            failed.append(version)
    if failed:
        print(f"failed: Python {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
