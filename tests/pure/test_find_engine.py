"""A host finds its engine at the start, or says why not; what the environment says in vain is named, once."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from supervisor.config import autoheal
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError
from supervisor.logs.pipeline import Pipeline
from supervisor.mode import Options, Outside
from supervisor.preflight import BootError, Exit, find_engine
from supervisor.watch_app import WatchOptions, watch_mode


def logger() -> tuple[LogCapture, Any]:
    captured = LogCapture()
    return captured, structlog.wrap_logger(None, processors=[captured], wrapper_class=structlog.BoundLogger)


@pytest.mark.parametrize("named", ["ssh://host", "nonsense://x", "unix://relative", "tcp://h:0"])
def test_what_is_no_engine_ends_the_start(named: str) -> None:
    with pytest.raises(BootError, match="--engine: ") as refused:
        find_engine(named, {}, logger()[1])
    assert refused.value.code == Exit.ENGINE


def test_a_socket_that_is_not_ours_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.sock").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BootError, match="permission denied") as refused:
        find_engine(f"unix://{tmp_path}/x.sock", {}, logger()[1])
    assert refused.value.code == Exit.PERMISSION
    assert find_engine(f"unix://{tmp_path}/coming.sock", {}, logger()[1]).path == f"{tmp_path}/coming.sock"


def test_certificates_that_are_missing_end_the_start(tmp_path: Path) -> None:
    """As for any other address that can never be reached."""
    environ = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    address = find_engine("tcp://h", environ, logger()[1])

    async def make() -> None:
        DockerEngine(address)

    with pytest.raises(EngineError, match=r"ca\.pem: No such file"):
        asyncio.run(make())


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, []),
        ({"CURL_TIMEOUT": "", "APPRISE_URL": ""}, []),
        ({"CURL_TIMEOUT": "30", "APPRISE_URL": "x", "DOCKER_HOST": "tcp://h"}, ["CURL_TIMEOUT"]),
        (
            {"DOCKER_SOCK": "tcp://h", "DOCKER_HOST": "tcp://g", "AUTOHEAL_INTERVAL": "5"},
            ["AUTOHEAL_INTERVAL", "DOCKER_HOST"],
        ),
        ({"DOCKER_HOST": "tcp://h", "DOCKER_CERT_PATH": "/c"}, ["DOCKER_CERT_PATH"]),
    ],
)
def test_variables_that_mean_nothing_are_named_at_the_start(
    tmp_path: Path, environ: Mapping[str, str], named: list[str]
) -> None:
    captured, log = logger()
    host = Options(config=(), engine=None, state_dir=tmp_path, run_dir=None)
    wanted = WatchOptions(host, everything=False, dry=False, autoheal=autoheal.read(environ))
    mode = watch_mode(wanted, Outside(environ=environ), log, Pipeline(()))
    told = [line for line in captured.entries if line["event"] == "variable.unused"]
    assert sorted(line["variable"] for line in told) == named
    assert all(line["reason"] and line["log_level"] == "warning" for line in told)
    assert mode.url == ("tcp://h:2375" if environ.get("DOCKER_HOST") or environ.get("DOCKER_SOCK") else mode.url)


ASKS_OTHERS = {"dockwarden.health.http": "http://10.0.0.1:80/"}


@pytest.mark.parametrize(
    ("said", "environ", "labels", "becomes"),
    [
        ({}, {}, {"autoheal": "true", **ASKS_OTHERS}, (True, 0)),
        ({"elsewhere": True}, {}, {"autoheal": "true", **ASKS_OTHERS}, (True, 1)),
        ({"everything": True}, {}, {}, (True, 0)),
        ({}, {"AUTOHEAL_CONTAINER_LABEL": "all"}, {}, (True, 0)),
        ({}, {"AUTOHEAL_CONTAINER_LABEL": "heal"}, {"heal": "true"}, (True, 0)),
        ({}, {}, {}, (False, 0)),
    ],
)
def test_what_a_watch_is_told_counts(
    tmp_path: Path,
    said: dict[str, bool],
    environ: Mapping[str, str],
    labels: Mapping[str, str],
    becomes: tuple[bool, int],
) -> None:
    """From the command line and the environment to a container: whether it is touched, and its checks."""
    lenses: list[Any] = []

    def make_engine(where: Any, *, on_call: Any, lens: Any, hide: Any) -> Any:  # noqa: ARG001
        lenses.append(lens)

    host = Options(config=(), engine=f"unix://{tmp_path}/none", state_dir=tmp_path, run_dir=None)
    wanted = WatchOptions(host, **{"everything": False, "dry": False, **said}, autoheal=autoheal.read(environ))
    outside = Outside(environ=environ, make_engine=make_engine)
    watch_mode(wanted, outside, logger()[1], Pipeline(())).make_engine(lambda *_: None)
    row = {"Id": "a" * 64, "Names": ["/web"], "Labels": labels, "State": "running", "Status": "Up 1 second"}
    lenses[0].prepare([row])
    spec = lenses[0].listed(row).spec
    assert (spec.relink, len(spec.checks)) == becomes
