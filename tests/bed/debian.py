"""A console image of the machine's own release, made of its packages, without a registry and without an engine.

It is a minimal system with a package manager, and has bindfs, a file system in user space, for storage containers.
"""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from tests.bed import engines, images

PACKAGES = ("bindfs", "iproute2", "procps")
TAG = "debian-console:demo"
RECIPE = 2
"""Counted up when what follows makes another image of the same packages."""
DROPPED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")


def debian_tar() -> Path:
    """An archive for ``docker load``; built the first time (half a minute, and a download of 60 MB)."""
    suite = codename()
    mark = hashlib.sha256(repr((RECIPE, PACKAGES, suite, TAG)).encode()).hexdigest()[:12]
    made = engines.cache_directory() / "images" / f"{suite}-{mark}.tar"
    with engines.locked(made.with_suffix(".lock")):
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
                new = Path(scratch) / "image.tar"
                _build(suite, Path(scratch) / "root", new)
                new.rename(made)
    return made


def codename() -> str:
    told = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return told["VERSION_CODENAME"].strip('"')


def own_mirror() -> str:
    """Where the machine's own packages come from."""
    listed = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"]
    for line in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines():
        site, _, suite = line.partition(" ")
        if suite == codename():
            return site
    raise engines.EngineUnavailableError("apt knows no source of this release's packages")


def _build(suite: str, root: Path, target: Path) -> None:
    components = "main" if engines.is_debian() else "main,universe"
    command = ["debootstrap", "--variant=minbase", f"--components={components}", f"--include={','.join(PACKAGES)}"]
    done = subprocess.run(
        [*command, suite, root, own_mirror()],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": engines.SYSTEM_PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"} | proxies(),
    )
    if done.returncode:
        raise engines.EngineUnavailableError(f"debootstrap of {suite} failed:\n{done.stdout[-2000:]}{done.stderr}")
    for part in DROPPED:
        subprocess.run(["find", root / part, "-mindepth", "1", "-delete"], check=False, capture_output=True)
    (root / "etc/machine-id").write_text("")
    with (root / "etc/group").open("a") as groups:
        groups.write("docker:x:999:\n")
    layer = subprocess.run(
        ["tar", "--sort=name", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-c", "."],
        check=True,
        capture_output=True,
    ).stdout
    config = {"Cmd": ["bash"], "Env": [f"PATH={images.default_path()}"]}
    images.write_compressed(target, images.docker_archive(TAG, config, [layer]))


def proxies() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
