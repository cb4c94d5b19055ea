"""Access to the control API: opens its unix sockets, and reads the client's credentials from the kernel."""

import errno
import grp
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.os_errors import cannot
from units.records import dataclass

EVERYBODY = "everybody"
"""As a group: every local user."""
_CREDENTIALS = struct.Struct("3i")
"""Linux' ``struct ucred``: pid, uid, gid."""


class ControlError(Exception):
    """A socket cannot be opened; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Access:
    """The users besides root that may use the control API, from the command line."""

    group: str = ""
    """A group with full access."""
    readers: str = ""
    """A group, or ``everybody``, with read-only access on a socket of its own; empty: none."""
    listen: str = ""
    """``HOST:PORT`` of read-only access without authentication; empty: none."""

    @property
    def writers(self) -> str:
        """The users with full access, in words."""
        return f"root and the members of the group {self.group}" if self.group else "root"


@dataclass(frozen=True, slots=True)
class Peer:
    """The client's credentials from the kernel; a negative uid means a TCP client."""

    uid: int
    pid: int
    program: str
    """Its name in ``/proc``, which it can set itself; empty when it has ended."""


def open_door(path: Path, group: str) -> tuple[socket.socket, int]:
    """A listening unix socket and its inode: mode 0600, with a group 0660, for everybody 0666. Raises ControlError."""
    try:
        number = _group_number(group)
        return _open(path, group, number), path.lstat().st_ino
    except OSError as error:
        raise ControlError(_way_out(error, path)) from error


def shut(path: Path) -> None:
    """Remove the stale socket of a killed supervisor if this one does not use it."""
    with suppress(ControlError, OSError):
        _clear_away(path)


def _open(path: Path, group: str, number: int) -> socket.socket:
    _clear_away(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The umask, not a chmod afterwards: before it anybody could connect. A thread that makes a file just now gets
    # it as private as the socket, which harms nobody.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    try:
        if number >= 0:
            _give(path, group, number)
        if group:
            path.chmod(0o666 if group == EVERYBODY else 0o660)
    except BaseException:
        listener.close()
        path.unlink(missing_ok=True)
        raise
    listener.setblocking(False)
    return listener


def _give(path: Path, group: str, number: int) -> None:
    try:
        os.chown(path, -1, number)
    except PermissionError as error:
        raise ControlError(
            f"cannot change the group of {path} to {group}: run as root, or as a member of it (SupplementaryGroups=)"
        ) from error


def _group_number(group: str) -> int:
    """Its gid, or -1 for none. Raises ControlError."""
    if group in {"", EVERYBODY}:
        return -1
    if group.isascii() and group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ControlError(f"there is no group '{group}': create it, or name another one") from None


def peer_of(transport: Any) -> Peer:
    """The credentials of the peer; ``Peer(-1, 0, "")`` if unknown."""
    pid, uid = _credentials(transport)
    return Peer(uid, pid, _program(pid) if pid else "")


def uid_of(transport: Any) -> int | None:
    uid = _credentials(transport)[1]
    return None if uid < 0 else uid


def _credentials(transport: Any) -> tuple[int, int]:
    """Pid and uid as they were when it connected."""
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.family != socket.AF_UNIX:
        return 0, -1
    try:
        told = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return 0, -1
    pid, uid, _gid = _CREDENTIALS.unpack(told)
    return pid, uid


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n")
    except OSError:
        return ""


def _clear_away(path: Path) -> None:
    """Remove a dead supervisor's socket, on which nothing answers."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path} exists and is not a socket: remove it, or choose another --run-dir")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise ControlError(f"another process answers on {path}: stop it, or choose another --run-dir")


def _way_out(error: OSError, path: Path) -> str:
    if "too long" in str(error):
        return f"{path} is longer than a unix socket's name may be (107 bytes): choose a shorter --run-dir"
    return cannot(f"open {path}", error, "choose another --run-dir", {errno.ENOENT: "create its directory, or {}"})
