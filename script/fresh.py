"""Tries README's two commands on fresh Debian machines: ``python -m script.fresh [RELEASE...]``.

A machine is a minimal root of a release (``bookworm`` is Debian 12, ``trixie`` 13) with nothing installed by hand, in a
mount namespace of its own, on this machine's kernel and network. It has a clone of what is committed, and is thrown
away afterwards. As root. ``--whole``: all stages of ``script/test``, not only those without an engine.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.bed import debian, engines
from tests.bed.engines import REPOSITORY
from tests.bed.signals import heed_signals

RELEASES: Final = ("bookworm", "trixie")
CLONE: Final = "/root/dockwarden"
DEMO: Final = ("script/demo", "--check")
WITHOUT_ENGINE: Final = ("lint", "layers", "diagrams", "types", "tests")
"""The stages of script/test that are run on each; the others depend on the engine, and the demo has one."""
ENTER: Final = """
set -e
root=$1; shift
mount --bind "$root" "$root"
for place in /dev /proc /sys; do mkdir -p "$root$place"; mount --rbind "$place" "$root$place"; done
mount -t tmpfs tmpfs "$root/run"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}"; touch "$root$1"; fi
  mount --bind -o ro "$1" "$root$1"; shift
done
shift
cd "$root"; mkdir -p old
pivot_root . old
umount -l /old
cd "$1"; shift
exec "$@"
"""
"""Makes a directory the root of a mount namespace, with some of this machine's files in it, and runs a program there.

No process namespace: a sweep of what dead test beds left must see whose beds live.
"""


def base_of(release: str) -> Path:
    """The directory of a minimal root, made the first time."""
    keyring = f"--keyring={engines.KEYRING}"
    return engines.made_once(
        engines.cache_directory() / "fresh" / release,
        lambda new: debian.debootstrap(release, new, engines.mirror(), keyring),
    )


def environment() -> dict[str, str]:
    """A newcomer's, and what this machine's programs are told of where packages come from."""
    told = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_CERT_"))}
    return told | debian.proxies() | {"PATH": engines.SYSTEM_PATH, "HOME": "/root", "LC_ALL": "C.UTF-8"}


def sources(told: Mapping[str, str]) -> Iterator[Path]:
    """The files and directories that pip's configuration and environment name, and the configuration itself."""
    for listed in ("list", "debug"):
        command = [sys.executable, "-m", "pip", "config", listed]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        words = said.replace("'", " ").replace(",", " ").replace("=", " ").split()
        yield from _existing(words if listed == "list" else [word for word in words if word.endswith("pip.conf")])
    yield from _existing(list(told.values()))


def _existing(words: list[str]) -> Iterator[Path]:
    for word in words:
        path = Path(word)
        if word.startswith("file://"):
            path = Path(word.removeprefix("file://")).parent  # an index of links to files beside it
        if path.is_absolute() and path.exists() and path != Path("/root"):
            yield path


def run_in(root: Path, command: tuple[str, ...], log: Path) -> int:
    """Run a program in the clone."""
    told = environment()
    binds = sorted({str(path) for path in sources({key: told[key] for key in told if key not in {"PATH", "HOME"}})})
    entered: list[str] = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        ENTER,
        "sh",
        str(root),
        *binds,
        "--",
        CLONE,
        *command,
    ]
    return run(entered, told, log)


def run(command: list[str], told: dict[str, str], log: Path) -> int:
    """What it says is shown, and kept. What it started ends with us."""
    with log.open("w") as kept:
        process = subprocess.Popen(
            command,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                kept.write(line)
                print(line, end="", flush=True)
            return process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def tried(release: str, stages: tuple[str, ...]) -> bool:
    """Whether both commands end well there, the first one also when it is repeated."""
    cache = engines.cache_directory() / "fresh"
    base = base_of(release)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{release}-") as scratch:
        root = Path(scratch) / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
        for file in ("/etc/hosts", "/etc/resolv.conf"):
            shutil.copyfile(file, root / file.lstrip("/"))
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", REPOSITORY, f"{root}{CLONE}"], check=True)
        well = True
        for number, command in enumerate((DEMO, ("script/test", *stages), DEMO)):
            print(f"\n--- {release}: {shlex.join(command)}", flush=True)
            began = time.monotonic()
            code = run_in(root, command, cache / f"{release}-{number}.log")
            print(
                f"--- {release}: {shlex.join(command)} ended with {code} in {time.monotonic() - began:.0f} s",
                flush=True,
            )
            well &= code == 0
    return well


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m script.fresh", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("releases", nargs="*", default=RELEASES, help=f"default: {' '.join(RELEASES)}")
    parser.add_argument("--whole", action="store_true", help="all stages of script/test")
    options = parser.parse_args(arguments)
    failed = [one for one in options.releases if not tried(one, () if options.whole else WITHOUT_ENGINE)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    heed_signals()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
