"""Opens sockets in another process's network namespace, to probe a container from within.

A socket stays in the namespace it was made in, so only its making needs a visit. That takes a few system calls of the
calling thread, and needs root and the engine's view of processes.
"""

import ctypes
import os
import socket
from pathlib import Path

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def socket_of(pid: int, container: str, family: int = socket.AF_INET) -> socket.socket:
    """A TCP socket in the network of a container whose first process is ``pid``.

    Raises OSError: no such process, not that container's (ESRCH), or no permission.
    """
    with Path(f"/proc/{pid}/ns/net").open("rb") as there, Path("/proc/thread-self/ns/net").open("rb") as here:
        # Checked while the namespace is open: a reused pid must not lead into a wrong one.
        if container not in Path(f"/proc/{pid}/cgroup").read_text():
            raise ProcessLookupError(3, f"process {pid} does not belong to container {container[:12]}")
        _enter(there.fileno())
        try:
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        finally:
            _enter(here.fileno())


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
