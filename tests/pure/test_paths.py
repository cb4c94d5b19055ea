"""Where a host's things are is said once: commands, daemon and library mean the same places."""

from pathlib import Path

from supervisor.dockerd.command_line import SYSTEM_DOCKER, USER_DOCKER
from supervisor.state import paths


def test_the_run_directory_that_is_meant() -> None:
    assert paths.run_dir({}) == Path("/run/dockwarden")
    assert paths.run_dir({"DOCKWARDEN_RUN_DIR": "/r"}) == Path("/r")


def test_a_dockerd_listens_where_clients_look_for_it() -> None:
    assert (SYSTEM_DOCKER.socket, USER_DOCKER.socket) == (paths.SYSTEM_DOCKER_URL, paths.DOCKER_URL)
