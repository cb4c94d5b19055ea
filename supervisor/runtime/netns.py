"""Opens sockets in another process's network namespace, to probe a container from within.

A socket stays in the namespace it was made in, so only its making needs a visit. That takes a few system calls of the
calling thread, and needs root and the engine's view of processes.
"""

import ctypes
import os
import socket
import time
from pathlib import Path

from supervisor.engine.port import ContainerAddress

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


STARTED_WITHIN = 1.5
"""Seconds between an engine's stamp of a start and the kernel's of the process."""


def socket_of(where: ContainerAddress, container: str, family: int = socket.AF_INET) -> socket.socket:
    """A TCP socket in the network of a container.

    Raises OSError: no such process, not that container's (ESRCH), or no permission.
    """
    pid = where.pid
    with Path(f"/proc/{pid}/ns/net").open("rb") as there, Path("/proc/thread-self/ns/net").open("rb") as here:
        # Checked while the namespace is open: a reused pid must not lead into a wrong one.
        apart = os.fstat(there.fileno()).st_ino != os.fstat(here.fileno()).st_ino
        kept = _in_sandbox(there.fileno(), where.sandbox)
        if not (_in_cgroup(pid, container) or kept or (apart and _as_old(pid, where.started))):
            raise ProcessLookupError(3, f"process {pid} does not belong to container {container[:12]}")
        _enter(there.fileno())
        try:
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        finally:
            _enter(here.fileno())


def _in_cgroup(pid: int, container: str) -> bool:
    """Not where an engine runs without cgroups."""
    return container in Path(f"/proc/{pid}/cgroup").read_text()


def _in_sandbox(namespace: int, sandbox: str) -> bool:
    """Whether this is the namespace that the engine has kept for the container, where its files are seen from here."""
    try:
        kept = Path(sandbox).stat() if sandbox else None
    except OSError:
        return False
    found = os.fstat(namespace)
    return kept is not None and (kept.st_dev, kept.st_ino) == (found.st_dev, found.st_ino)


def _as_old(pid: int, started: float) -> bool:
    """Whether the process was started when the container's first one was: a pid that is used again is younger."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return started > 0 and abs(time.time() - age - started) < STARTED_WITHIN


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
