"""How the doctor asks: calls to unix sockets that may hang, lie or never end, within a budget of time and bytes."""

import errno
import http.client
import json
import socket
import stat
import time
from pathlib import Path
from typing import Any

from supervisor.http.reach import Reach

PATIENCE = 3.0
"""Seconds for one answer."""
BUDGET = 12.0
"""Seconds for all that is asked of one engine."""
LARGEST = 32 << 20
"""Bytes of one answer."""


class UnansweredError(Exception):
    """A call got no good answer."""

    def __init__(self, reach: Reach, said: str) -> None:
        super().__init__(said)
        self.reach = reach
        self.said = said


class Caller:
    """GETs on a unix socket, which end in time whoever is at the other end."""

    def __init__(self, path: Path, budget: float = BUDGET) -> None:
        self._path = path
        self._until = time.monotonic() + budget

    def get(self, target: str, patience: float = PATIENCE) -> Any:
        """The JSON of an answer. Raises UnansweredError."""
        try:
            return json.loads(self.raw(target, patience))
        except ValueError as error:
            raise UnansweredError(Reach.NONSENSE, f"{target}: no JSON") from error

    def raw(self, target: str, patience: float = PATIENCE) -> bytes:
        """The body of an answer. Raises UnansweredError."""
        until = min(time.monotonic() + patience, self._until)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            try:
                talk.settimeout(_left(until))
                talk.connect(str(self._path))
                talk.sendall(f"GET {target} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n".encode())
                return _answer(_received(talk, until), target)
            except TimeoutError:
                raise UnansweredError(Reach.HANGS, f"{target}: no answer within {patience:g} s") from None
            except OSError as error:
                raise _unanswered(self._path, error) from error


def _left(until: float) -> float:
    """Raises TimeoutError when nothing is."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _received(talk: socket.socket, until: float) -> bytes:
    """All that comes until the other end closes: a timeout of the socket alone would wait for each byte anew."""
    parts, size = [], 0
    while size <= LARGEST:
        talk.settimeout(_left(until))
        if not (part := talk.recv(1 << 16)):
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


class _Received:
    """What http.client takes for a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_: object) -> Any:
        import io  # noqa: PLC0415 - of this one place

        return io.BytesIO(self._content)


def _answer(content: bytes, target: str) -> bytes:
    response = http.client.HTTPResponse(_Received(content))  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read(LARGEST)
    except (http.client.HTTPException, ValueError) as error:
        raise UnansweredError(Reach.NONSENSE, f"{target}: what answers does not speak HTTP") from error
    if response.status != http.client.OK:
        raise UnansweredError(Reach.NONSENSE, f"{target}: HTTP {response.status}")
    return body


def _unanswered(path: Path, error: OSError) -> UnansweredError:
    if isinstance(error, PermissionError):
        return UnansweredError(Reach.DENIED, f"{path}: permission denied")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnansweredError(Reach.MISSING, f"{path} does not exist")
    if error.errno in {errno.ECONNREFUSED, errno.ENOTSOCK, errno.EPROTOTYPE}:
        try:
            is_socket = stat.S_ISSOCK(path.stat().st_mode)
        except OSError:
            is_socket = True
        if not is_socket:
            return UnansweredError(Reach.NO_SOCKET, f"{path} is {'a directory' if path.is_dir() else 'no socket'}")
        return UnansweredError(Reach.REFUSED, f"{path} is a socket, and nobody listens")
    if error.errno in {errno.EAGAIN, errno.EWOULDBLOCK}:  # Its queue of connections is full.
        return UnansweredError(Reach.HANGS, f"{path} takes no more connections")
    return UnansweredError(Reach.NONSENSE, f"{path}: {error.strerror or error}")
