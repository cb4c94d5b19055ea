"""A Docker API client of a few lines, for tests.

Tests must not look at an engine through the client that the product uses: a mistake in it would hide itself.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

API = "v1.41"  # the newest version that every engine of the tests serves, but Docker 29: that says which
Body = Mapping[str, Any] | bytes | None


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Docker:
    """Calls one engine; each call has a connection of its own, so an engine may come and go in between."""

    def __init__(self, path: Path, *, api: str = "", timeout: float = 120) -> None:
        self.path = path
        self._api = api
        self._timeout = timeout

    def raw(self, method: str, path: str, body: Body = None) -> tuple[int, bytes]:
        """Call and return the status and the body as it came; a body of bytes is sent as a tar."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        self._api = self._api or self._spoken()
        return self._ask(method, f"/{self._api}{path}", sent, kind)

    def _spoken(self) -> str:
        """Docker 29 serves nothing below its lowest version."""
        lowest = str((decoded(self._ask("GET", "/version", None, "application/json")[1]) or {}).get("MinAPIVersion"))
        numbers = [int(part) for part in lowest.split(".") if part.isdecimal()]
        return f"v{lowest}" if numbers > [1, 41] else API

    def _ask(self, method: str, target: str, sent: bytes | str | None, kind: str) -> tuple[int, bytes]:
        connection = UnixConnection(self.path, self._timeout)
        try:
            connection.request(method, target, sent, {"Content-Type": kind})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Body = None) -> tuple[int, Any]:
        status, answer = self.raw(method, path, body)
        return status, decoded(answer)

    def get(self, path: str) -> tuple[int, Any]:
        return self.call("GET", path)

    def post(self, path: str, body: Body = None) -> tuple[int, Any]:
        return self.call("POST", path, body)

    def delete(self, path: str) -> tuple[int, Any]:
        return self.call("DELETE", path)

    def ping(self) -> bool:
        """Say whether the engine answers; no socket, a stale one, and a broken answer all mean no."""
        try:
            return self.get("/_ping")[0] == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def load(self, tar: Path) -> None:
        """Load a `docker save` archive."""
        self._expect(*self.post("/images/load?quiet=1", tar.read_bytes()))

    def import_root(self, tar: Path, tag: str) -> None:
        """Make an image of a bare root file system, as `docker import` does."""
        repository, _, label = tag.partition(":")
        query = urlencode({"fromSrc": "-", "repo": repository, "tag": label or "latest"})
        self._expect(*self.post(f"/images/create?{query}", tar.read_bytes()))

    def run(self, name: str, image: str, config: Mapping[str, Any] | None = None) -> str:
        """Create and start a container; returns its id."""
        body = {"Image": image, **(config or {})}
        created = self._expect(*self.post(f"/containers/create?name={quote(name)}", body))
        self._expect(*self.post(f"/containers/{name}/start"))
        return str(created["Id"])

    def wait(self, name: str) -> int:
        """Wait until a container has stopped; returns its exit code."""
        return int(self._expect(*self.post(f"/containers/{name}/wait"))["StatusCode"])

    def logs(self, name: str) -> str:
        """All that a container without a terminal wrote, both streams in their order."""
        status, answer = self.raw("GET", f"/containers/{name}/logs?stdout=1&stderr=1")
        self._expect(status, answer)
        return demultiplexed(answer).decode()

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._expect(*self.get(f"/containers/{name}/json"))
        return found

    @staticmethod
    def _expect(status: int, answer: Any) -> Any:
        if status >= http.HTTPStatus.BAD_REQUEST or reports_error(answer):
            raise RuntimeError(f"the engine said {status}: {answer}")
        return answer


def decoded(answer: bytes) -> Any:
    """JSON, or a list if it is a stream of JSON lines, else text (some refusals are text)."""
    text = answer.decode(errors="replace")
    try:
        return json.loads(text) if text else None
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return text


def reports_error(answer: Any) -> bool:
    """Loading and importing answer 200 and tell of failure in a later line."""
    lines = answer if isinstance(answer, list) else [answer]
    return any(isinstance(line, dict) and "errorDetail" in line for line in lines)


def demultiplexed(stream: bytes) -> bytes:
    """Strip the 8-byte headers (stream, 3 zeros, length) from the frames of a log."""
    parts = []
    at = 0
    while at + 8 <= len(stream):
        length = int.from_bytes(stream[at + 4 : at + 8], "big")
        parts.append(stream[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(parts)
