"""Asks a supervisor over its control socket and reads the answer, blocking.

Only the standard library, and little of it: a command must have answered before ``http.client`` would be loaded.
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

from supervisor.engine.http1 import Lines, Response, WireError

SOCKET, READING = "control.sock", "control-ro.sock"
PATIENCE = 15.0
"""Seconds for an answer that needs no wait."""
LONGEST_LINE = 4 * 1024 * 1024
NOT_FOUND = 404


class UnreachableError(Exception):
    """No supervisor answers; the text says why and what to do."""


class RefusedError(Exception):
    """The supervisor answered with an error."""

    def __init__(self, code: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.code = code
        self.hint = hint


class Client:
    """One supervisor, by its run directory. All calls raise UnreachableError or RefusedError."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / SOCKET

    def get(self, *path: str, wait: float = 0, **query: object) -> Any:
        """``wait``: seconds that the answer may take, if it is one that comes late."""
        return self._ask("GET", target(path, query), PATIENCE + wait)

    def post(self, *path: str, wait: float = 0, **query: object) -> Any:
        return self._ask("POST", target(path, {"wait": wait, **query}), PATIENCE + wait)

    def stream(self, *path: str, **query: object) -> Iterator[dict[str, Any]]:
        """JSON lines until the supervisor ends them."""
        for line in self.lines(target(path, query)):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UnreachableError(f"no sensible answer on {self.path}: {error}") from error

    def lines(self, asked: str, headers: str = "") -> Iterator[bytes]:
        """Lines until the supervisor ends them, without their ends and without empty ones."""
        lines, come = Lines(LONGEST_LINE), []  # type: tuple[Lines, list[bytes]]
        try:
            with _Exchange(self.path, None) as exchange:
                response = Response(lambda part: come.extend(lines.feed(part)))
                exchange.send("GET", asked, headers)
                refusal = bytearray()
                while not response.done:
                    exchange.receive(response)
                    if response.status not in {0, 200}:
                        refusal += b"".join(come)
                        come.clear()
                        continue
                    yield from come
                    come.clear()
                if response.status != 200:
                    _refuse(response.status, bytes(refusal))
        except (OSError, ValueError, WireError) as error:
            raise UnreachableError(f"the supervisor on {self.path} cut the stream: {why(error)}") from error

    def _ask(self, method: str, asked: str, timeout: float) -> Any:
        body = bytearray()
        response = Response(body.extend)
        try:
            with _Exchange(self.path, timeout) as exchange:
                exchange.send(method, asked)
                while not response.done:
                    exchange.receive(response)
            if response.status not in {200, 202}:
                _refuse(response.status, bytes(body))
            return json.loads(body)
        except TimeoutError:
            said = f"the supervisor on {self.path} does not answer within {timeout:g} s: see its log"
            raise UnreachableError(said) from None
        except (OSError, ValueError, WireError) as error:
            raise UnreachableError(f"no sensible answer on {self.path}: {why(error)}") from error


class _Exchange:
    """One request and its answer on a connection of their own."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        """Raises UnreachableError."""
        self._timeout = timeout
        try:
            self._socket = _connected(path, timeout)
        except PermissionError as error:
            # Who may not do everything may look, perhaps.
            try:
                self._socket = _connected(path.with_name(READING), timeout)
            except OSError:
                raise UnreachableError(no_answer(path, error)) from error
        except OSError as error:
            raise UnreachableError(no_answer(path, error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, method: str, asked: str, headers: str = "") -> None:
        head = f"{method} {asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        self._socket.sendall(head.encode("ascii"))

    def receive(self, response: Response) -> None:
        """The next piece, or the end. Raises OSError or WireError."""
        if piece := self._socket.recv(65536):
            response.feed(piece)
        else:
            response.end()


def _connected(path: Path, timeout: float | None) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect(str(path))
    except BaseException:
        made.close()
        raise
    return made


def target(path: tuple[str, ...], query: dict[str, object]) -> str:
    asked = {key: value for key, value in query.items() if value is not None}
    return "/v1/" + "/".join(quote(part, safe="") for part in path) + (f"?{urlencode(asked)}" if asked else "")


def _refuse(code: int, body: bytes) -> None:
    try:
        said = json.loads(body)
        error, hint = str(said["error"]), str(said.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        error, hint = f"HTTP {code}: {body[:200].decode(errors='replace')}", ""
    raise RefusedError(code, error, hint)


def no_answer(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"no permission on {path}: run as root (sudo dockwarden ...){_or_join(path)}"
    return f"no supervisor answers on {path}: {why(error)}; start one with 'dockwarden boot'"


def _or_join(path: Path) -> str:
    """The group to be in, if there is one that would help."""
    import grp  # noqa: PLC0415 - only who is not let in pays for it

    try:
        found = path.stat()
        name = grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return ""
    return f", or as a member of the group {name}" if found.st_mode & 0o060 == 0o060 and found.st_gid else ""


def why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
