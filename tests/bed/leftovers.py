"""What a bed leaves in the kernel and on disk when it is gone, and how to remove it."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

BEDS = Path("/tmp")
PREFIX = "dw-"
CGROUPS = Path("/sys/fs/cgroup")


def lock_bed(directory: Path) -> int:
    """Mark a bed as alive for as long as this process lives; returns the lock's descriptor."""
    lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def is_dead(directory: Path) -> bool:
    """Say whether a bed's maker is gone; a directory without a lock is no bed (or not yet), and not ours."""
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return not directory.exists()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)


def cgroups(ident: str) -> list[Path]:
    """A bed's cgroups: one in each hierarchy of version 1, or one in version 2's only."""
    name = f"bed-{ident}"
    return sorted({path.resolve() for path in (*CGROUPS.glob(name), *CGROUPS.glob(f"*/{name}"))})


def remove_cgroups(ident: str) -> bool:
    """Remove a bed's cgroups, from the leaves up; False if a task still lives in one."""
    try:
        for root in cgroups(ident):
            for directory, _, _ in os.walk(root, topdown=False):
                with contextlib.suppress(FileNotFoundError):
                    Path(directory).rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def traces(ident: str) -> list[str]:
    """Everything on the machine that still speaks of a bed: processes, mounts, cgroups, files."""
    directory = BEDS / ident
    found = [str(path) for path in (directory, *cgroups(ident)) if path.exists()]
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            found.extend(f"{file} of process {process.name}" for file in speaking_of(process, ident))
    return found


def speaking_of(process: Path, ident: str) -> Iterator[str]:
    for file, word in (
        ("cmdline", f"/{ident}"),
        ("mountinfo", f"/{ident}"),
        ("cgroup", f"/bed-{ident}"),
    ):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if word in (process / file).read_text(errors="replace"):
                yield file


def sweep() -> list[str]:
    """Remove what dead beds left, and nothing of the living; returns their names."""
    directories = {path.name for path in BEDS.glob(f"{PREFIX}*") if path.is_dir()}
    groups = (*CGROUPS.glob(f"bed-{PREFIX}*"), *CGROUPS.glob(f"*/bed-{PREFIX}*"))
    grouped = {path.name.removeprefix("bed-") for path in groups}
    swept = []
    for ident in sorted(directories | grouped):
        directory = BEDS / ident
        if is_dead(directory) and remove_cgroups(ident):
            shutil.rmtree(directory, ignore_errors=True)
            swept.append(ident)
    return swept
