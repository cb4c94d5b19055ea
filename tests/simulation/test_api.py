"""Whatever is asked of the control socket: the answer is one that its description names, and supervision goes on."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import urllib3
from hypothesis import HealthCheck, given, settings
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from supervisor.http.client import Client
from supervisor.http.control.operations import OPERATIONS, PATH
from tests.harness import Harness, short_directory
from tests.pure.story import needs, spec

SHORT = 0.02
"""Seconds: the longest wait that is asked for here."""


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("dockwarden", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, path: Path) -> None:
        super().__init__("dockwarden")
        self._path = path

    def _new_conn(self) -> _Connection:
        return _Connection(self._path)


class UnixAdapter(HTTPAdapter):
    """Requests over the control socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._pool = _Pool(path)

    def get_connection_with_tls_context(self, *_args: Any, **_options: Any) -> _Pool:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


@contextmanager
def served() -> Iterator[Harness]:
    """A supervisor of simulated units, in a thread of its own, as its clients see it."""
    made: list[Harness] = []
    up, over = threading.Event(), threading.Event()

    async def run(run_dir: Path) -> None:
        specs = (spec("web", needs("db")), spec("db"), spec("a/b"))
        async with Harness(run_dir, *specs) as harness:
            made.append(harness)
            up.set()
            await asyncio.to_thread(over.wait)

    with short_directory() as run_dir:
        thread = threading.Thread(target=lambda: asyncio.run(run(run_dir)), daemon=True)
        thread.start()
        assert up.wait(20)
        try:
            yield made[0]
        finally:
            over.set()
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with served() as made:
        yield made


@pytest.fixture(scope="module")
def session(harness: Harness) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.mount("http://dockwarden", UnixAdapter(harness.control.path))
        yield made


@pytest.fixture(scope="module")
def schema(session: requests.Session) -> Any:
    return schemathesis.openapi.from_dict(session.get("http://dockwarden/v1/openapi.json").json())


def bounded(case: schemathesis.Case[Any]) -> schemathesis.Case[Any]:
    """Streams that end and waits that are short; every second request is about a unit that there is."""
    query = dict(case.query or {})
    query.pop("follow", None)
    for key in ("wait", "timeout"):
        if isinstance(query.get(key), int | float) and query[key] > SHORT:
            query[key] = SHORT
    case.query = query
    path = dict(case.path_parameters or {})
    if "name" in path and len(str(path["name"])) % 2:
        path["name"] = "web"
    case.path_parameters = path
    return case


def may_be_wrong(name: str) -> bool:
    """There are values that its description rules out; any text may be a unit's name."""
    return bool(OPERATIONS[name].query) or any(PATH[part[1:-1]].choices for part in name.split("/") if part[0] == "{")


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in sorted(OPERATIONS)
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or may_be_wrong(name)
    ],
)
def test_the_description_is_kept_to(name: str, mode: GenerationMode, schema: Any, session: requests.Session) -> None:
    """Requests that fit the description, and such that just do not: each answer is one that it allows."""
    method, path = name.split()
    operation = schema[path][method]

    @settings(max_examples=20, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        # 503 is an answer of ours, and a described one: there is no user Docker, no state directory.
        answer = bounded(case).call_and_validate(
            base_url="http://dockwarden", session=session, excluded_checks=[not_a_server_error]
        )
        assert answer.status_code in {200, 202, 400, 404, 405, 409, 503}

    check()


def test_supervision_went_on(harness: Harness) -> None:
    """After all that a unit is stopped and started as ever."""
    client = Client(harness.control.path.parent)
    assert client.post("units", "web", "stop", wait=5)["unit"]["state"] == "inactive"
    assert client.post("units", "web", "start", wait=5)["unit"]["state"] == "ready"
