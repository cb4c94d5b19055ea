"""The blocking HTTP clients, for commands, the library for programs, and the doctor.

Only the standard library, and little of it: a command must have answered before ``http.client`` would be loaded.
``Client`` calls a supervisor and waits; ``BudgetClient`` calls any peer within a time limit, even if the peer hangs,
sends nonsense or never stops writing.
"""

import errno
import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from supervisor.engine.http1 import Lines, Response, WireError
from supervisor.http.reach import Reach
from supervisor.os_errors import why
from supervisor.state.paths import READING_SOCKET, SOCKET

if TYPE_CHECKING:
    import ssl

PATIENCE = 15.0
"""Seconds for an answer that needs no wait."""
LONGEST_LINE = 4 * 1024 * 1024
LARGEST = 32 << 20
"""Bytes of one answer."""
OK, ACCEPTED, NOT_FOUND = 200, 202, 404
BARRED = frozenset({401, 403, 405, 407})
"""What no engine answers to a GET, but a proxy before it."""


class UnreachableError(Exception):
    """The supervisor does not answer; the text says why and what to do."""


class RefusedError(Exception):
    """The supervisor answered with an error."""

    def __init__(self, code: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.code = code
        self.hint = hint


class UnansweredError(UnreachableError):
    """A call of a ``BudgetClient`` failed."""

    def __init__(self, reach: Reach, said: str) -> None:
        super().__init__(said)
        self.reach = reach
        self.said = said


class Client:
    """One supervisor, by its run directory. All calls raise UnreachableError or RefusedError."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / SOCKET

    def get(self, *path: str, wait: float = 0, **query: object) -> Any:
        """``wait``: additional seconds for an answer that takes long."""
        return self._ask("GET", target(path, query), PATIENCE + wait)

    def post(self, *path: str, wait: float = 0, **query: object) -> Any:
        return self._ask("POST", target(path, {"wait": wait or None, **query}), PATIENCE + wait)

    def stream(self, *path: str, **query: object) -> Iterator[dict[str, Any]]:
        """JSON lines until the supervisor ends them."""
        for line in self.lines(target(path, query)):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UnreachableError(f"invalid answer on {self.path}: {error}") from error

    def lines(self, asked: str, headers: str = "") -> Iterator[bytes]:
        """Lines until the supervisor ends them, without their ends and without empty ones."""
        answer = LineAnswer()
        try:
            with self._connected(None) as exchange:
                exchange.send(request("GET", asked, headers))
                while not answer.done:
                    yield from answer.take(exchange.receive())
        except (OSError, ValueError, WireError) as error:
            raise cut(self.path, error) from error

    def _ask(self, method: str, asked: str, timeout: float) -> Any:
        try:
            with self._connected(timeout) as exchange:
                status, body = exchange.whole(request(method, asked))
            if status not in {OK, ACCEPTED}:
                raise _refusal(status, body)
            return json.loads(body)
        except TimeoutError:
            said = f"the supervisor on {self.path} does not answer within {timeout:g} s: see its log"
            raise UnreachableError(said) from None
        except (OSError, ValueError, WireError) as error:
            raise UnreachableError(f"invalid answer on {self.path}: {why(error)}") from error

    def _connected(self, timeout: float | None) -> "Exchange":
        """Raises UnreachableError."""
        try:
            return Exchange(self.path, timeout)
        except PermissionError as error:
            # A client without full access may have read-only access.
            try:
                return Exchange(self.path.with_name(READING_SOCKET), timeout)
            except OSError:
                raise UnreachableError(no_answer(self.path, error)) from error
        except OSError as error:
            raise UnreachableError(no_answer(self.path, error)) from error


class BudgetClient:
    """Sends GETs to any peer, within ``budget`` seconds for all calls together. All raise UnansweredError."""

    PATIENCE = 3.0
    """Seconds for one answer."""

    def __init__(
        self,
        address: Path | tuple[str, int],
        budget: float = 12.0,
        *,
        base: str = "",
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        """``address``: a unix socket, or host and port; ``base`` comes before each path."""
        self._address = address
        self._base = base
        self._tls = tls
        self._until = time.monotonic() + budget

    def get(self, asked: str, patience: float = PATIENCE) -> Any:
        """The JSON of an answer."""
        try:
            return json.loads(self.raw(asked, patience))
        except ValueError as error:
            raise UnansweredError(Reach.NONSENSE, f"{asked}: not JSON") from error

    def raw(self, asked: str, patience: float = PATIENCE) -> bytes:
        """The body of an answer."""
        try:
            with Exchange(self._address, min(patience, self._until - time.monotonic()), self._tls) as exchange:
                status, body = exchange.whole(request("GET", self._base + asked))
        except TimeoutError:
            raise UnansweredError(Reach.HANGS, f"{asked}: no answer within {patience:g} s") from None
        except OSError as error:
            raise _unanswered(self._address, error) from error
        except WireError as error:
            raise UnansweredError(Reach.NONSENSE, f"{asked}: the answer is not HTTP") from error
        if status != OK:
            raise UnansweredError(Reach.BARRED if status in BARRED else Reach.NONSENSE, f"{asked}: HTTP {status}")
        return body


class Exchange:
    """One request and its answer on a connection of its own."""

    def __init__(
        self, address: Path | tuple[str, int], patience: float | None, tls: "ssl.SSLContext | None" = None
    ) -> None:
        """Connect. ``patience``: seconds for everything until the end of the answer; None: no limit.

        This and all methods raise OSError, and TimeoutError when the time is up.
        """
        self._until = None if patience is None else time.monotonic() + patience
        if isinstance(address, Path):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self._socket = socket.create_connection(address, self._left())
        try:
            self._socket.settimeout(self._left())
            if isinstance(address, Path):
                self._socket.connect(str(address))
            elif tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(content)

    def receive(self) -> bytes:
        """The next piece; empty at the end."""
        self._socket.settimeout(self._left())
        return self._socket.recv(65536)

    def whole(self, content: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request. Raises WireError, too."""
        body = bytearray()
        response = Response(body.extend)
        self.send(content)
        while not response.done:
            _feed(response, self.receive())
            if len(body) > LARGEST:
                raise WireError("the answer is too large")
        return response.status, bytes(body)

    def _left(self) -> float | None:
        """Seconds left. A socket's timeout alone would start again at each byte."""
        if self._until is None:
            return None
        if (left := self._until - time.monotonic()) <= 0:
            raise TimeoutError
        return left


class LineAnswer:
    """The lines of one answer, from pieces of it. Pure: for blocking callers and for those with an event loop."""

    def __init__(self) -> None:
        self._response = Response(self._split)
        self._lines = Lines(LONGEST_LINE)
        self._come: list[bytes] = []
        self._refusal = bytearray()

    @property
    def done(self) -> bool:
        return self._response.done

    def take(self, piece: bytes) -> list[bytes]:
        """The lines that are complete now. ``piece`` is empty at the end. Raises WireError and RefusedError."""
        _feed(self._response, piece)
        come, self._come = self._come, []
        if self._response.status in {0, OK}:
            return come
        self._refusal += b"".join(come)
        if self.done:
            raise _refusal(self._response.status, bytes(self._refusal))
        return []

    def _split(self, part: bytes) -> None:
        self._come += self._lines.feed(part)


def _feed(response: Response, piece: bytes) -> None:
    if piece:
        response.feed(piece)
    else:
        response.end()


def request(method: str, asked: str, headers: str = "") -> bytes:
    return f"{method} {asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode("ascii")


def cut(path: Path, error: Exception) -> UnreachableError:
    return UnreachableError(f"the supervisor on {path} cut the stream: {why(error)}")


def target(path: tuple[str, ...], query: dict[str, object]) -> str:
    asked = {key: value for key, value in query.items() if value is not None}
    # A name from the command line may be no UTF-8: it is sent as it was typed, and the supervisor knows no such unit.
    parts = "/".join(quote(part, safe="", errors="surrogateescape") for part in path)
    return f"/v1/{parts}" + (f"?{urlencode(asked, errors='surrogateescape')}" if asked else "")


def _refusal(code: int, body: bytes) -> RefusedError:
    try:
        said = json.loads(body)
        error, hint = str(said["error"]), str(said.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        error, hint = f"HTTP {code}: {body[:200].decode(errors='replace')}", ""
    return RefusedError(code, error, hint)


def no_answer(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"permission denied on {path}: run as root (sudo dockwarden ...){_or_join(path)}"
    return f"no supervisor answers on {path}: {why(error)}; start one with 'dockwarden boot'"


def _or_join(path: Path) -> str:
    """Advice to join the socket's group, if that gives access."""
    import grp  # noqa: PLC0415 - only who is not let in pays for it

    try:
        found = path.stat()
        name = grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return ""
    return f", or as a member of the group {name}" if found.st_mode & 0o060 == 0o060 and found.st_gid else ""


def _unanswered(address: Path | tuple[str, int], error: OSError) -> UnansweredError:
    if not isinstance(address, Path):
        return UnansweredError(Reach.REFUSED, f"{address[0]}:{address[1]}: {why(error)}")
    if isinstance(error, PermissionError):
        return UnansweredError(Reach.DENIED, f"{address}: permission denied")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UnansweredError(Reach.MISSING, f"{address} does not exist")
    if error.errno in {errno.ECONNREFUSED, errno.ENOTSOCK, errno.EPROTOTYPE}:
        try:
            is_socket = stat.S_ISSOCK(address.stat().st_mode)
        except OSError:
            is_socket = True
        if not is_socket:
            said = f"{address} is {'a directory' if address.is_dir() else 'not a socket'}"
            return UnansweredError(Reach.NO_SOCKET, said)
        return UnansweredError(Reach.REFUSED, f"{address} is a socket, but nothing listens")
    if error.errno in {errno.EAGAIN, errno.EWOULDBLOCK}:  # Its queue of connections is full.
        return UnansweredError(Reach.HANGS, f"{address} takes no more connections")
    return UnansweredError(Reach.NONSENSE, f"{address}: {why(error)}")
