"""The command line that System Docker gets, and what is decided about its process."""

from pathlib import Path

import pytest
import structlog

from supervisor.dockerd.command_line import DEFAULT_ARGS, PATH, DaemonPlan, SystemDockerError, plan
from supervisor.dockerd.process import describe_exit
from supervisor.dockerd.system_docker import DaemonPhase, DaemonState, SystemDocker, next_pause
from units.quantities import Seconds

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


def test_pauses_double_to_a_minute_and_a_good_run_ends_them() -> None:
    pauses = [Seconds(0)]
    for _ in range(11):
        pauses.append(next_pause(pauses[-1], Seconds(9.9)))
    assert pauses == [0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]
    assert next_pause(Seconds(60), Seconds(10)) == Seconds(0)


def test_ends_are_told_in_words() -> None:
    assert [describe_exit(code) for code in (0, 1, -9, None)] == [
        "exited with code 0",
        "exited with code 1",
        "was killed by SIGKILL",
        "ended (exit code unknown: not a child of this supervisor)",
    ]


def system_docker(made: DaemonPlan, shown: list[DaemonState], directory: Path) -> SystemDocker:
    return SystemDocker(made, structlog.get_logger(), shown.append, directory / "docker.log")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no dockerd found on PATH (looked in /nowhere:/else): "),
        (["/opt/dockerd"], "no executable /opt/dockerd: "),
    ],
)
def test_a_missing_binary_is_found_out_before_anything_starts(args: list[str], message: str, tmp_path: Path) -> None:
    shown: list[DaemonState] = []
    made = plan([*args, "--pidfile", f"{tmp_path}/pid"], [], {"PATH": "/nowhere:/else"})
    with pytest.raises(SystemDockerError) as failed:
        system_docker(made, shown, tmp_path).check()
    assert str(failed.value) == message + "install docker.io or set rancher.system_docker.args"
    assert [(state.phase, state.reason) for state in shown] == [(DaemonPhase.FAILED, str(failed.value))]


def test_check_starts_nothing(tmp_path: Path) -> None:
    binary = tmp_path / "dockerd"
    binary.touch(0o755)
    shown: list[DaemonState] = []
    system_docker(plan([str(binary), "--pidfile", f"{tmp_path}/pid"], [], {}), shown, tmp_path).check()
    assert shown == []
    assert list(tmp_path.iterdir()) == [binary]
