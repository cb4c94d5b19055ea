"""Engine bundles: an engine with all its libraries, which runs in any file system that has a shell.

A user's engine runs in the mount namespace of a console or a storage container, and a busybox console has no libraries.
A bundle is built for one place, ``/opt/engines/<version>``, and bound read-only into whoever is to run it.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.bed import engines

PREFIX = "/opt/engines"
PROGRAMS = ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy", "docker")
OPTIONAL = frozenset({"docker"})
"""The client is a package of its own in newer releases."""
INIT = ("docker-init", "tini-static")
FIREWALL = ("iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore")


def bundle(version: str) -> Path:
    """The directory to bind at ``/opt/engines/<version>``; built the first time."""
    return engines.made_once(engines.cache_directory() / "bundles" / version, lambda new: _build(version, new))


def all_bundles() -> Path:
    """The directory to bind at ``/opt/engines``, with a bundle for each engine that tests run."""
    for version in engines.default_versions():
        bundle(version)
    return engines.cache_directory() / "bundles"


def _build(version: str, target: Path) -> None:
    target.mkdir(mode=0o755)
    binaries = engines.find(version)
    place = f"{PREFIX}/{version}"
    for part in ("bin", "lib", "libexec", "xtables"):
        (target / part).mkdir(parents=True)
    programs = [_copy(name, binaries.path, target / "bin") for name in PROGRAMS]
    init = next(found for name in INIT if (found := shutil.which(name, path=binaries.path)))
    shutil.copy2(init, target / "bin" / "docker-init")
    firewall = _copy("xtables-nft-multi", binaries.path, target / "libexec")
    for name in FIREWALL:
        _script(target / "bin" / name, f'exec {place}/libexec/xtables-nft-multi {name} "$@"', place)
    plugins = _plugins()
    for plugin in plugins:
        shutil.copy2(plugin, target / "xtables" / plugin.name)
    dynamic = [one for one in (*programs, firewall) if one is not None and _is_dynamic(one)]
    libraries, loader = _closure([*dynamic, *(target / "xtables").iterdir()])
    for library in libraries:
        shutil.copy2(library, target / "lib" / library.name, follow_symlinks=True)
    shutil.copy2(loader, target / "lib" / loader.name, follow_symlinks=True)
    for program in dynamic:
        _patch(program, "--set-interpreter", f"{place}/lib/{loader.name}", "--set-rpath", f"{place}/lib")
    for library in libraries:
        _patch(target / "lib" / library.name, "--set-rpath", f"{place}/lib")


def _copy(name: str, path: str, directory: Path) -> Path | None:
    found = shutil.which(name, path=path)
    if found is None and name in OPTIONAL:
        return None
    if found is None:
        raise engines.EngineUnavailableError(f"no {name} on {path}; script/setup installs what tests need")
    return Path(shutil.copy2(found, directory / name, follow_symlinks=True))


def _script(path: Path, line: str, place: str) -> None:
    path.write_text(f"#!/bin/sh\nXTABLES_LIBDIR={place}/xtables; export XTABLES_LIBDIR\n{line}\n")
    path.chmod(0o755)


def _plugins() -> list[Path]:
    return sorted(found for root in Path("/usr/lib").glob("*/xtables") for found in root.glob("*.so"))


def _is_dynamic(program: Path) -> bool:
    asked = subprocess.run(["patchelf", "--print-interpreter", program], capture_output=True, check=False)
    return asked.returncode == 0


def _closure(programs: list[Path]) -> tuple[list[Path], Path]:
    """All shared libraries that the programs need, and the loader."""
    libraries: dict[str, Path] = {}
    loader = None
    for program in programs:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for name, path in re.findall(r"^\s*(\S+) => (/\S+)", told, re.MULTILINE):
            libraries[name] = Path(path)
        for path in re.findall(r"^\s*(/\S*ld-linux\S*)", told, re.MULTILINE):
            loader = Path(path)
    if loader is None:
        raise engines.EngineUnavailableError(f"no loader found for {programs}")
    return [path.parent / name for name, path in sorted(libraries.items())], loader


def _patch(file: Path, *changes: str) -> None:
    os.chmod(file, 0o755)  # noqa: PTH101
    subprocess.run(["patchelf", *changes, file], check=True, capture_output=True)
