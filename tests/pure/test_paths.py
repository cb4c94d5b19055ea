"""Where a host's things are is said once: commands, daemon and library mean the same places."""

from pathlib import Path

import pytest

from supervisor.dockerd.command_line import SYSTEM_DOCKER, USER_DOCKER
from supervisor.engine.api_version import API, as_numbers, too_new, too_old
from supervisor.state import paths


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "unix:///x"}, "unix:///x"),
        ({"DOCKER_SOCK": "/y", "DOCKER_HOST": "unix:///x"}, "unix:///y"),
        ({"DOCKER_HOST": "tcp://h:1"}, "tcp://h:1"),
    ],
)
def test_the_engine_that_is_meant(environ: dict[str, str], url: str) -> None:
    assert paths.engine_url(environ) == url


def test_the_run_directory_that_is_meant() -> None:
    assert paths.run_dir({}) == Path("/run/dockwarden")
    assert paths.run_dir({"DOCKWARDEN_RUN_DIR": "/r"}) == Path("/r")


def test_a_dockerd_listens_where_clients_look_for_it() -> None:
    assert (SYSTEM_DOCKER.socket, USER_DOCKER.socket) == (paths.SYSTEM_DOCKER_URL, paths.DOCKER_URL)


@pytest.mark.parametrize(
    ("lowest", "highest", "fits"),
    [
        ("1.12", "1.41", True),
        ("1.24", "1.52", True),
        ("1.12", "1.40", False),
        ("1.44", "1.52", False),
        ("?", "?", False),
    ],
)
def test_versions_are_compared_as_numbers(lowest: str, highest: str, fits: bool) -> None:
    """1.9 is older than 1.41; an engine that says nonsense is too old."""
    assert (not too_old(highest) and not too_new(lowest)) is fits
    assert as_numbers("1.9") < as_numbers(API)
