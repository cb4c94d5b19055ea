"""The only place that replaces a file: the old content or the new one, never half of it.

All functions block: a caller with an event loop calls them in a thread, or without ``durable``.
"""

import contextlib
import os
from pathlib import Path

SECRET = 0o600


def replace(
    path: Path,
    content: bytes,
    mode: int | None = SECRET,
    *,
    durable: bool = True,
    suffix: str = "new",
    before: str = "",
) -> None:
    """Write a file beside it and rename that. Raises OSError; then the old file is intact.

    Args:
        path: in a directory that is there.
        content: all of it.
        mode: of the new file; None: as the process's umask has it.
        durable: it survives a power cut. Not needed for what counts only in this boot of the host.
        suffix: of the file beside it. It is always the same, so that what a power cut leaves does not pile up; only
            where several processes may write at a time each needs one of its own.
        before: as ``replace_in`` takes it.
    """
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        replace_in(fd, path.name, content, mode, durable=durable, suffix=suffix, before=before)
    finally:
        os.close(fd)


def replace_in(
    directory: int,
    name: str,
    content: bytes,
    mode: int | None = SECRET,
    *,
    owner: tuple[int, int] | None = None,
    durable: bool = True,
    suffix: str = "new",
    before: str = "",
) -> None:
    """As ``replace``, in an open directory. ``owner``: user and group that the file is given to.

    ``before``: the name that the file before this one is kept under. Between two renames the directory has only that.
    """
    new = f".{name}.{suffix}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new, dir_fd=directory)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(new, flags, 0o666 if mode is None else mode, dir_fd=directory), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if before:
            with contextlib.suppress(FileNotFoundError):
                os.replace(name, before, src_dir_fd=directory, dst_dir_fd=directory)
        os.replace(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=directory)
        raise
    if durable:
        os.fsync(directory)
