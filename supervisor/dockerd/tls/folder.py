"""A directory of keys and certificates: locked while it is changed, files replaced atomically and never deleted.

All functions block.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from supervisor.dockerd.rooted_path import within
from supervisor.dockerd.tls.settings import UnusableError
from supervisor.os_errors import cannot
from supervisor.state.atomic import replace_in

SECRET, PUBLIC = 0o600, 0o644
LIMIT = 1 << 20
"""Bytes of a file: more is no certificate."""


class Folder:
    """A directory of certificates, open and locked for one writer at a time.

    Files are replaced atomically, and get the directory's owner, so that root can make a user's.
    """

    def __init__(self, fd: int, shown: Path, flags: int) -> None:
        self.shown = shown
        """Its path as messages name it."""
        self._fd = fd
        self._reading = os.O_RDONLY | os.O_NONBLOCK | flags

    def read(self, name: str) -> str:
        """A file's text; empty when it is not there. Raises TlsError."""
        try:
            with os.fdopen(os.open(name, self._reading, dir_fd=self._fd), "rb") as file:
                return file.read(LIMIT).decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise _trouble("read", self.shown / name, error) from error

    def write(self, name: str, text: str, mode: int) -> bool:
        """Replace a file if its content differs. True when something changed. Raises TlsError."""
        try:
            if self.read(name) == text and not self._loose(name, mode):
                return False
            owner = _owner(os.fstat(self._fd))
            replace_in(self._fd, name, text.encode(), mode, owner=owner)
        except OSError as error:
            raise _trouble("write", self.shown / name, error) from error
        return True

    def _loose(self, name: str, mode: int) -> bool:
        try:
            return bool(os.stat(name, dir_fd=self._fd).st_mode & 0o777 & ~mode)
        except FileNotFoundError:
            return False

    def has(self, name: str) -> bool:
        try:
            os.lstat(name, dir_fd=self._fd)
        except FileNotFoundError:
            return False
        return True

    def tighten(self, name: str) -> None:
        """Make an existing key readable by its owner only. Raises TlsError."""
        try:
            if self._loose(name, SECRET):
                os.chmod(name, SECRET, dir_fd=self._fd)
        except OSError as error:
            raise _trouble("protect", self.shown / name, error) from error

    def put_aside(self, *names: str) -> tuple[str, ...]:
        """Rename existing files instead of overwriting them. Raises TlsError.

        Keys first: if interrupted, the remaining certificates still show which CA they belong to.
        """
        mark = hashlib.sha256("\n".join(map(self.read, names)).encode()).hexdigest()[:8]
        renamed = []
        for name in names:
            if self.has(name):
                stem, dot, suffix = name.rpartition(".")
                aside = f"{stem}-{mark}{dot}{suffix}"
                try:
                    os.replace(name, aside, src_dir_fd=self._fd, dst_dir_fd=self._fd)
                except OSError as error:
                    raise _trouble("rename", self.shown / name, error) from error
                renamed.append(aside)
        return tuple(renamed)


@contextlib.contextmanager
def opened(directory: Path, root: Path = Path("/")) -> Iterator[Folder]:
    """Open a directory as a process with that root would, making it (0700) if need be. Raises TlsError."""
    place = directory if root == Path("/") else within(root, str(directory))
    try:
        _make(place)
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _trouble("use", directory, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        # A link in another file system would be followed in ours.
        yield Folder(fd, directory, 0 if root == Path("/") else os.O_NOFOLLOW)
    finally:
        os.close(fd)


def _make(place: Path) -> None:
    missing = [one for one in (place, *place.parents) if not one.exists()]
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            one.mkdir(0o700 if one == place else 0o755)
            fd = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if (owner := _owner(one.parent.stat())) is not None:
                    os.fchown(fd, *owner)
            finally:
                os.close(fd)


def _owner(like: os.stat_result) -> tuple[int, int] | None:
    """The directory's owner, for new files, where we may set it."""
    return (like.st_uid, like.st_gid) if os.geteuid() == 0 and like.st_uid != 0 else None


def _trouble(verb: str, path: Path, error: OSError) -> UnusableError:
    advice = {errno.EISDIR: "move it away", errno.ELOOP: "put the file itself there, not a link to it"}
    return UnusableError([cannot(f"{verb} {path}", error, "choose another directory", advice)])
