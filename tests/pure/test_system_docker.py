"""The command line that System Docker gets, and what is decided about its process."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import structlog

from supervisor.dockerd.command_line import DEFAULT_ARGS, PATH, DaemonPlan, SystemDockerError, plan
from supervisor.dockerd.system_docker import SystemDocker, check
from supervisor.engine.port import EngineError
from supervisor.runtime.loop import Inbox
from tests.simulation.running import SILENT
from units.engine_events import DaemonAbsent, DaemonEnded, DaemonStarted
from units.events import Event
from units.spec import SYSTEM_DOCKER

ADDED = (
    *("--host", "unix:///var/run/system-docker.sock", "--data-root", "/var/lib/system-docker"),
    *("--exec-root", "/var/run/system-docker", "--pidfile", "/var/run/system-docker.pid"),
    *("--containerd-namespace", "system-docker", "--containerd-plugins-namespace", "plugins.system-docker"),
    *("--config-file", "/var/run/system-docker/daemon.json", "--live-restore"),
)


def test_no_args_are_the_built_in_ones() -> None:
    assert plan([], [], {"A": "b"}) == DaemonPlan(
        argv=("dockerd", *DEFAULT_ARGS, *ADDED),
        environment={"PATH": PATH, "A": "b"},
        socket=Path("/var/run/system-docker.sock"),
        data_root=Path("/var/lib/system-docker"),
        exec_root=Path("/var/run/system-docker"),
        pidfile=Path("/var/run/system-docker.pid"),
        config_file=Path("/var/run/system-docker/daemon.json"),
        own_containerd=True,
    )


def test_rancheros_04s_own_args_are_understood() -> None:
    said = (
        "daemon --log-opt max-size=25m --log-opt max-file=2 -s overlay -b docker-sys --fixed-cidr 172.18.42.1/16"
        " --restart=false -g /var/lib/sd -G root -H unix:///var/run/sd.sock --userland-proxy=false"
    )
    made = plan(said.split(), [], {})
    assert made.argv == (
        *("dockerd", "--log-opt", "max-size=25m", "--log-opt", "max-file=2", "-s", "overlay", "-b"),
        *("docker-sys", "--fixed-cidr", "172.18.42.1/16", "--data-root", "/var/lib/sd", "-G", "root"),
        *("--host", "unix:///var/run/sd.sock", "--userland-proxy=false"),
        *ADDED[4:],
    )
    assert (made.socket, made.data_root) == (Path("/var/run/sd.sock"), Path("/var/lib/sd"))
    assert made.warnings == ("rancher.system_docker.args: dockerd no longer supports --restart=false; ignored",)


@pytest.mark.parametrize(
    "words",
    [
        *(["-g", "/x"], ["-g=/x"], ["-g/x"], ["--graph", "/x"], ["--graph=/x"], ["--data-root=/x"]),
        ["--data-root", "/y", "--data-root", "/x"],
    ],
)
def test_every_spelling_names_the_data_root(words: list[str]) -> None:
    made = plan(["--debug", *words], [], {})
    assert made.data_root == Path("/x")
    assert made.argv[1] == "--debug"
    assert not {"-g", "--graph"} & set(made.argv)


@pytest.mark.parametrize("leading", [["daemon"], ["dockerd"], []])
def test_leading_words_only_name_the_program(leading: list[str]) -> None:
    assert plan(leading, [], {}).argv == plan([], [], {}).argv
    assert plan([*leading, "--debug"], [], {}).argv[:2] == ("dockerd", "--debug")


def test_an_absolute_path_selects_the_binary() -> None:
    made = plan(["/opt/docker/dockerd", "daemon"], ["--debug"], {})
    assert made.argv == ("/opt/docker/dockerd", *DEFAULT_ARGS, "--debug", *ADDED)


def test_the_first_unix_host_is_ours() -> None:
    made = plan(["-H", "tcp://127.0.0.1:2375", "-Hunix:///a.sock"], ["--host=unix:///b.sock"], {})
    assert made.socket == Path("/a.sock")
    assert made.argv[1:7] == (
        *("--host", "tcp://127.0.0.1:2375", "--host", "unix:///a.sock", "--host", "unix:///b.sock"),
    )


def test_a_tcp_host_alone_gets_our_socket_beside_it() -> None:
    made = plan(["-H=tcp://127.0.0.1:2375"], [], {})
    assert made.socket == Path("/var/run/system-docker.sock")
    assert made.argv[1:5] == ("--host", "tcp://127.0.0.1:2375", *ADDED[:2])


@pytest.mark.parametrize("said", ["--live-restore", "--live-restore=false"])
def test_live_restore_is_the_operators_when_said(said: str) -> None:
    assert [word for word in plan([said], [], {}).argv if "live-restore" in word] == [said]


def test_what_the_operator_names_is_not_named_again() -> None:
    made = plan(
        ["-p", "/p", "--exec-root", "/e", "--config-file", "/etc/docker/system-docker.json"],
        ["--containerd=/c.sock", "--containerd-namespace", "n", "--containerd-plugins-namespace", "p.n"],
        {},
    )
    assert (made.pidfile, made.exec_root, made.config_file) == (Path("/p"), Path("/e"), None)
    assert not made.own_containerd
    assert made.argv == (
        *("dockerd", "--pidfile", "/p", "--exec-root", "/e"),
        *("--config-file", "/etc/docker/system-docker.json", "--containerd", "/c.sock"),
        *("--containerd-namespace", "n", "--containerd-plugins-namespace", "p.n"),
        *(*ADDED[:4], "--live-restore"),
    )


def test_an_option_without_its_value_is_refused() -> None:
    with pytest.raises(SystemDockerError, match=r"^rancher\.system_docker\.args: -H needs a value$"):
        plan(["--debug", "-H"], [], {})


def test_what_systemd_tells_us_is_not_told_to_dockerd() -> None:
    told = {"NOTIFY_SOCKET": "/run/systemd/notify", "LISTEN_FDS": "1", "PATH": "/bin", "HTTP_PROXY": "p"}
    assert plan([], [], told).environment == {"PATH": "/bin", "HTTP_PROXY": "p"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no dockerd found on PATH (looked in /nowhere:/else): "),
        (["/opt/dockerd"], "no executable /opt/dockerd: "),
    ],
)
def test_a_missing_binary_is_found_out_before_anything_starts(args: list[str], message: str, tmp_path: Path) -> None:
    made = plan([*args, "--pidfile", f"{tmp_path}/pid"], [], {"PATH": "/nowhere:/else"})
    with pytest.raises(SystemDockerError) as failed:
        check(made, structlog.get_logger())
    assert str(failed.value) == message + "install docker.io or set rancher.system_docker.args"


def test_check_starts_nothing(tmp_path: Path) -> None:
    binary = tmp_path / "dockerd"
    binary.touch(0o755)
    check(plan([str(binary), "--pidfile", f"{tmp_path}/pid"], [], {}), structlog.get_logger())
    assert list(tmp_path.iterdir()) == [binary]


def program(directory: Path, script: str) -> Path:
    """What stands for dockerd: it bears its name, and logs what it is to log."""
    path = directory / "dockerd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


async def taken(inbox: Inbox, count: int) -> list[Event]:
    async with asyncio.timeout(10):
        while inbox.depth < count:  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)
    return [inbox.take().event for _ in range(count)]


def daemon(tmp_path: Path, script: str) -> tuple[SystemDocker, Inbox]:
    argv = [str(program(tmp_path, script)), "--pidfile", f"{tmp_path}/pid", "--exec-root", f"{tmp_path}/x"]
    made = plan([*argv, "--config-file", "/none"], [], {"PATH": "/usr/bin:/bin"})
    inbox = Inbox(lambda: 0.0)
    return SystemDocker(made, inbox, SILENT, tmp_path / "log"), inbox


def test_a_process_tells_its_start_and_its_end(tmp_path: Path) -> None:
    """Its exit code, and the last line that it logged."""

    async def run() -> list[Event]:
        docker, inbox = daemon(tmp_path, "echo one; echo no space left; exit 3")
        docker.look()
        await docker.start()
        return await taken(inbox, 3)

    absent, started, ended = asyncio.run(run())
    assert absent == DaemonAbsent(SYSTEM_DOCKER)
    assert isinstance(started, DaemonStarted)
    assert ended == DaemonEnded(SYSTEM_DOCKER, started.pid, 3, "no space left")


def test_a_signal_reaches_it_and_its_end_has_the_signals_exit_code(tmp_path: Path) -> None:
    async def run() -> list[Event]:
        docker, inbox = daemon(tmp_path, "exec sleep 100")
        await docker.start()
        docker.signal("SIGKILL")
        events = await taken(inbox, 2)
        with pytest.raises(EngineError, match="no process of System Docker lives"):
            docker.signal("SIGTERM")
        return events

    _, ended = asyncio.run(run())
    assert isinstance(ended, DaemonEnded)
    assert ended.exit_code == 137


def test_a_start_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    async def run() -> None:
        docker, _ = daemon(tmp_path, "")
        (tmp_path / "dockerd").unlink()
        await docker.start()

    with pytest.raises(EngineError, match=r"^no executable .*/dockerd: install docker\.io"):
        asyncio.run(run())


def test_nothing_is_told_of_a_process_that_is_no_longer_watched(tmp_path: Path) -> None:
    """It is left to the next supervisor."""

    async def run() -> int:
        docker, inbox = daemon(tmp_path, "exec sleep 100")
        await docker.start()
        (started,) = await taken(inbox, 1)
        assert isinstance(started, DaemonStarted)
        docker.close()
        os.kill(started.pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, started.pid, 0)
        await asyncio.sleep(0)
        return inbox.depth

    assert asyncio.run(run()) == 0
