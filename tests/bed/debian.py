"""A console image of the machine's own release, made of its packages, without a registry and without an engine.

It is a minimal system with a package manager, and has bindfs, a file system in user space, for storage containers.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from tests.bed import engines, images

PACKAGES = ("bindfs", "iproute2", "procps")
TAG = "debian-console:demo"
SCRIPTS = Path("/usr/share/debootstrap/scripts")
SHOWN = 4000
"""Characters of what a failed command said."""
RECIPE = 2
"""Counted up when what follows makes another image of the same packages."""
DROPPED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")


def debian_tar() -> Path:
    """An archive for ``docker load``; built the first time (half a minute, and a download of 60 MB)."""
    suite = codename()
    mark = hashlib.sha256(repr((RECIPE, PACKAGES, suite, TAG)).encode()).hexdigest()[:12]
    made = engines.cache_directory() / "images" / f"{suite}-{mark}.tar"
    return engines.made_once(made, lambda new: _build(suite, new.parent / "root", new))


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
    debootstrap(suite, root, own_mirror(), f"--components={components}", f"--include={','.join(PACKAGES)}")
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


def debootstrap(suite: str, root: Path, mirror: str, *options: str) -> None:
    """Make a minimal root of a release. Raises EngineUnavailableError.

    In namespaces of its own: what it starts and mounts goes with it, also when it is interrupted.
    """
    script = [] if (SCRIPTS / suite).exists() else [str(SCRIPTS / "sid")]
    apart = ["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private"]
    done = subprocess.run(
        [*apart, "debootstrap", "--variant=minbase", *options, suite, root, mirror, *script],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": engines.SYSTEM_PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"} | proxies(),
    )
    if done.returncode:
        said = f"{done.stdout[-SHOWN:]}{done.stderr[-SHOWN:]}"
        raise engines.EngineUnavailableError(f"debootstrap of {suite} failed: {said}")


def proxies() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
