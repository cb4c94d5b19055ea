"""Finds the engines that tests run: the system's own, and another release's, unpacked beside it.

An engine is named by the first two numbers of its version. Debian's releases each carry one; the packages of
another release are downloaded with a private apt state and unpacked into a cache, so the machine's own
packages and engine stay as they are. An engine that cannot be had is an error, never a skipped test.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SUITES: Mapping[str, str] = {"20.10": "bookworm", "26.1": "trixie", "28.5": "forky"}
USUAL = ("20.10", "26.1")
"""What every test of an engine runs against."""
NEWER = ("28.5", "28.5-from-1.44")
"""What the contract runs against besides; the second one serves no API below 1.44, as Docker 29."""
LOWEST = "-from-"
"""Parts an engine's version from the lowest API that it is to serve."""
PACKAGES = ("docker.io", "containerd", "tini")
MORE_PACKAGES: Mapping[str, tuple[str, ...]] = {"forky": ("tini-static",)}
"""Not runc: a newer release's needs a newer libc, and every engine works with the system's."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "DOCKWARDEN_DEBIAN_MIRROR"


class EngineUnavailableError(Exception):
    """An engine that the tests need is neither installed nor to be downloaded."""


@dataclass(frozen=True)
class Binaries:
    """Where an engine's programs are."""

    version: str
    path: str
    """The value of PATH under which dockerd finds itself, its containerd, its shim, and a runc."""
    lowest_api: str = ""
    """Empty: its own."""

    @property
    def environment(self) -> dict[str, str]:
        lowest = {"DOCKER_MIN_API_VERSION": self.lowest_api} if self.lowest_api else {}
        return {"PATH": self.path, **lowest}

    @property
    def dockerd(self) -> str:
        return program("dockerd", self.path)

    @property
    def runc(self) -> str:
        return program("runc", self.path)


def program(name: str, path: str = SYSTEM_PATH) -> str:
    found = shutil.which(name, path=path)
    if found is None:
        raise EngineUnavailableError(f"no {name} on {path}; script/setup installs what tests need")
    return found


def default_versions() -> tuple[str, ...]:
    """The engines that tests run against: Debian 12's (else the system's) and Debian 13's."""
    if is_debian():
        return USUAL
    return tuple(dict.fromkeys((system_version(), "26.1")))


def drawn(tests: Mapping[str, str]) -> set[str]:
    """Of each test one, on one of its engines, drawn by its name. ``tests``: pytest's node ids, and their engines."""
    by_function: dict[str, dict[str, list[str]]] = {}
    for test, version in tests.items():
        by_function.setdefault(test.partition("[")[0], {}).setdefault(version, []).append(test)
    chosen = set()
    for function, columns in by_function.items():
        # The same place in the order of their names: the same test on different engines.
        rows = zip(*(sorted(columns[version]) for version in sorted(columns)), strict=True)
        for number, row in enumerate(rows):
            chosen.add(row[zlib.crc32(f"{function} {number}".encode()) % len(row)])
    return chosen


def find(version: str) -> Binaries:
    """Find an engine, downloading it the first time."""
    version, _, lowest_api = version.partition(LOWEST)
    if system_version() == version:
        return Binaries(version, SYSTEM_PATH, lowest_api)
    unpacked = made_once(cache_directory() / "engines" / version, lambda new: fetch(version, new))
    return Binaries(version, path_with(unpacked), lowest_api)


def path_with(unpacked: Path) -> str:
    return f"{unpacked}/usr/sbin:{unpacked}/usr/bin:{SYSTEM_PATH}"


def cache_directory() -> Path:
    directory = Path(os.environ.get("DOCKWARDEN_CACHE") or REPOSITORY / ".cache").resolve()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """A file or directory of the cache, made the first time. It is there only when it is whole.

    ``make`` is told where to make it; the directory of that place goes afterwards, with what else lies in it.
    """
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                new = Path(scratch) / target.name
                make(new)
                new.rename(target)
    return target


def unpack(packages: Sequence[Path], target: Path) -> None:
    """What Debian packages contain, with nothing run that they bring."""
    for package in packages:
        subprocess.run(["dpkg", "-x", package, target], check=True)
    target.chmod(0o755)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time fetch; the others then find it done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def system_version() -> str:
    """The version of the installed engine, empty if there is none."""
    found = shutil.which("dockerd", path=SYSTEM_PATH)
    return version_of(found) if found else ""


def version_of(dockerd: str) -> str:
    said = subprocess.run([dockerd, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"version (\d+\.\d+)\.", said)
    if found is None:
        raise EngineUnavailableError(f"{dockerd} --version says: {said!r}")
    return found[1]


@cache
def is_debian() -> bool:
    return "ID=debian" in Path("/etc/os-release").read_text().splitlines()


def fetch(version: str, target: Path) -> None:
    """Download and unpack a release's engine."""
    suite = SUITES.get(version)
    if suite is None:
        raise EngineUnavailableError(f"engine {version}: the system has {system_version()}, Debian {dict(SUITES)}")
    if not KEYRING.exists():
        raise EngineUnavailableError(f"engine {version}: {KEYRING} is missing (package debian-archive-keyring)")
    unpack(download(suite, target.parent / "apt", (*PACKAGES, *MORE_PACKAGES.get(suite, ()))), target)
    if (unpacked := version_of(f"{target}/usr/sbin/dockerd")) != version:
        raise EngineUnavailableError(f"engine {version}: Debian {suite} now has {unpacked}")


def download(suite: str, state: Path, packages: Sequence[str]) -> list[Path]:
    """Download a release's packages with an apt state of their own."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": state / "state",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]
    try:
        for command in (["update"], ["download", *packages]):
            subprocess.run([*apt, *command], cwd=state, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise EngineUnavailableError(f"cannot download {packages} of Debian {suite}: {error.stderr}") from error
    return sorted(state.glob("*.deb"))


def mirror() -> str:
    """The Debian mirror that the machine itself uses, so that tests reach what the machine reaches."""
    if named := os.environ.get(MIRROR_VARIABLE):
        return named
    if is_debian():
        listed = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
        for site in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split():
            if site.rstrip("/").endswith("/debian"):
                return site
    raise EngineUnavailableError(f"this machine knows no Debian mirror; name one in {MIRROR_VARIABLE}")
