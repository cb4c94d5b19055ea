"""System Docker's process, with real daemons. Run as a program, this is the supervisor that the tests kill."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from supervisor.dockerd.command_line import plan
from supervisor.dockerd.system_docker import DaemonState, SystemDocker
from tests.bed import engines, images
from tests.bed.bed import Bed, InsideProcess
from tests.bed.engines import REPOSITORY
from tests.bed.http import Docker
from units.quantities import Seconds

PATIENCE = 90.0  # seconds
GRACE = "20\n"  # seconds, as the supervisor is told


class Host:
    """A bed, and what a supervisor in it says."""

    def __init__(self, bed: Bed, version: str) -> None:
        self.bed = bed
        self.binaries = engines.find(version)
        self.docker = Docker(bed.dir / "s.sock")
        self.pidfile = bed.dir / "s.pid"
        self.supervisor: InsideProcess | None = None
        self._said = b""

    def boot(self, *args: str, loop: str = "uvloop") -> None:
        """Start a supervisor; what its states are is asked with `heard`."""
        self._said = b""
        with (self.bed.dir / "supervisor.log").open("a") as log:
            self.supervisor = self.bed.popen(
                [sys.executable, "-m", "tests.engine.test_system_docker", loop, self.bed.dir, *args],
                cwd=REPOSITORY,
                env={"PATH": self.binaries.path, "CGROUP": self.bed.cgroup},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def heard(self) -> dict[str, Any]:
        """Wait for the next state."""
        assert self.supervisor is not None
        assert self.supervisor.stdout is not None
        pipe = self.supervisor.stdout.fileno()
        while b"\n" not in self._said:
            assert select.select([pipe], [], [], PATIENCE)[0], "the supervisor says nothing"
            more = os.read(pipe, 65536)
            assert more, (self.bed.dir / "supervisor.log").read_text()
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        state: dict[str, Any] = json.loads(line)
        return state

    def phases(self, count: int) -> list[str]:
        return [self.heard()["phase"] for _ in range(count)]

    def serving(self) -> int:
        """Wait for a started daemon that answers; returns its pid in the bed."""
        assert self.heard()["phase"] == "starting"
        state = self.heard()
        assert state["phase"] == "running", state
        self.answers()
        return int(state["pid"])

    def answers(self) -> None:
        until = time.monotonic() + PATIENCE
        while not self.docker.ping():
            assert time.monotonic() < until, (self.bed.dir / "docker.log").read_text()[-4000:]
            time.sleep(0.02)

    def stop(self, grace: str = GRACE) -> None:
        """Ask the supervisor to stop the daemon, and wait for its own end."""
        assert self.supervisor is not None
        assert self.supervisor.stdin is not None
        self.supervisor.stdin.write(grace)
        self.supervisor.stdin.flush()
        assert self.supervisor.wait(PATIENCE) == 0, (self.bed.dir / "supervisor.log").read_text()

    def kill_supervisor(self) -> None:
        assert self.supervisor is not None
        self.supervisor.kill()
        self.supervisor.wait(PATIENCE)

    def kill(self, pid: int, sign: str = "KILL") -> None:
        self.bed.run(["kill", f"-{sign}", str(pid)])

    def running(self) -> set[str]:
        """The programs in the bed that an engine consists of."""
        listed = self.bed.run(["ps", "-eo", "comm="]).stdout.split()
        return {name for name in listed if name.startswith(("dockerd", "containerd"))}

    def mounts(self) -> list[str]:
        """What is mounted in the bed's directory, without the bed's own mounts."""
        table = self.bed.run(["cat", "/proc/self/mountinfo"]).stdout
        places = [line.split()[4] for line in table.splitlines()]
        return [place for place in places if place.startswith(f"{self.bed.dir}/")]


@pytest.fixture
def host(engine_version: str) -> Iterator[Host]:
    with Bed() as bed:
        yield Host(bed, engine_version)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_killed_daemon_comes_back_and_a_stop_leaves_nothing(host: Host, loop: str) -> None:
    host.boot(loop=loop)
    pid = host.serving()
    host.kill(pid)
    lost = host.heard()
    assert (lost["phase"], lost["exit_code"], lost["pid"]) == ("lost", -signal.SIGKILL, None)
    assert lost["reason"].startswith(f"dockerd (pid {pid}) was killed by SIGKILL: ")
    assert lost["reason"].endswith("; restarting in 0.2 s")
    assert len(lost["output"]) == 20
    assert host.serving() != pid
    host.stop()
    assert host.phases(2) == ["stopping", "stopped"]
    assert host.running() == set()
    assert host.mounts() == []
    assert not host.pidfile.exists()


def test_a_daemon_outlives_its_supervisor_and_is_adopted(host: Host) -> None:
    host.boot()
    pid = host.serving()
    host.kill_supervisor()
    assert host.docker.ping()
    host.boot()
    adopted = host.heard()
    assert (adopted["phase"], adopted["pid"]) == ("running", pid)
    assert host.docker.ping()
    host.kill(pid)
    lost = host.heard()
    assert (lost["phase"], lost["exit_code"]) == ("lost", None)
    assert lost["reason"].endswith("; restarting now")
    assert host.serving() != pid
    host.kill_supervisor()
    host.boot()
    assert host.heard()["phase"] == "running"
    host.stop()
    assert host.phases(2) == ["stopping", "stopped"]
    assert (host.running(), host.mounts(), host.pidfile.exists()) == (set(), [], False)


def test_containers_live_on_while_the_daemon_is_stopped(host: Host) -> None:
    """Unmounting the host's network namespace must not harm the containers in it."""
    host.boot()
    host.serving()
    host.docker.load(images.busybox_tar(host.bed.dir / "busybox.tar"))
    for name, network in (("hosted", "host"), ("alone", "none")):
        stay = {"Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": network}}
        host.docker.run(name, "busybox:demo", stay)
    before = {name: host.docker.inspect(name)["State"]["Pid"] for name in ("hosted", "alone")}
    host.stop()
    assert host.running() == {"containerd-shim"}
    host.boot()
    host.serving()
    assert {name: host.docker.inspect(name)["State"]["Pid"] for name in before} == before
    for name in before:
        assert host.docker.post(f"/containers/{name}/restart?t=0")[0] == 204
        assert host.docker.inspect(name)["State"]["Running"]
    host.stop()


def test_a_daemon_that_does_not_end_is_killed(host: Host) -> None:
    host.boot()
    host.kill(host.serving(), "STOP")
    host.stop("0.3\n")
    assert host.phases(2) == ["stopping", "stopped"]
    assert not host.running() & {"dockerd"}


@pytest.mark.parametrize("holder", ["init", "sleep", "dead"])
def test_a_stale_pid_file_hinders_nothing(host: Host, holder: str) -> None:
    """Every dockerd refuses to start when its pid file names any living process."""
    if holder == "init":
        pid = 1
    else:
        sleeper = host.bed.popen(["sleep", "1000"])
        pid = sleeper.inner_pid
        if holder == "dead":
            sleeper.kill()
            sleeper.wait(PATIENCE)
    host.pidfile.write_text(str(pid))
    host.boot()
    assert host.serving() != pid
    host.stop()
    if holder == "sleep":
        assert sleeper.poll() is None


def test_another_daemon_on_our_pid_file_is_left_alone(host: Host) -> None:
    foreign = host.bed.engine(host.binaries.version, name="foreign")
    foreign._pid_file = host.pidfile
    foreign.start()
    host.boot()
    assert host.phases(2) == ["starting", "running"]
    lost = host.heard()
    assert (lost["phase"], lost["exit_code"]) == ("lost", 1)
    assert str(host.pidfile) in lost["output"][-1]
    host.stop()
    assert foreign.docker.ping()
    assert host.pidfile.exists()


def test_a_daemon_that_cannot_start_is_tried_ever_more_slowly_until_stopped(host: Host) -> None:
    host.boot("--no-such-option")
    pauses = []
    for _ in range(4):
        assert host.phases(2) == ["starting", "running"]
        lost = host.heard()
        assert lost["exit_code"] == 1
        assert any("unknown flag: --no-such-option" in line for line in lost["output"]), lost
        pauses.append(lost["reason"].rpartition("; ")[2])
    assert pauses == ["restarting in 0.2 s", "restarting in 0.4 s", "restarting in 0.8 s", "restarting in 1.6 s"]
    host.stop()
    assert host.heard()["phase"] == "stopped"


def test_the_configuration_of_user_docker_is_not_read(host: Host) -> None:
    """`data-root` both in a configuration file and on the command line is fatal for every dockerd."""
    host.bed.run(["sh", "-c", 'echo \'{"data-root": "/elsewhere"}\' > /etc/docker/daemon.json'])
    host.boot()
    host.serving()
    host.stop()


async def supervise(directory: Path, args: list[str]) -> None:
    made = plan(
        [
            *("-H", f"unix://{directory}/s.sock", "--pidfile", f"{directory}/s.pid", "-g", f"{directory}/s"),
            *("--exec-root", f"{directory}/s.x", "--bridge", "none", "--iptables=false"),
            *("--cgroup-parent", os.environ["CGROUP"], "--exec-opt", "native.cgroupdriver=cgroupfs"),
            *("--storage-driver", "overlay2"),
        ],
        args,
        os.environ,
    )
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
    docker = SystemDocker(made, log, tell, directory / "docker.log")
    docker.check()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(docker.run())
        grace = await asyncio.to_thread(sys.stdin.readline)
        # Twice at once, because a second request to stop must neither fail nor return early.
        await asyncio.gather(docker.stop(Seconds(float(grace))), docker.stop(Seconds(float(grace))))


def tell(state: DaemonState) -> None:
    print(json.dumps(asdict(state)), flush=True)


if __name__ == "__main__":
    run = {"asyncio": asyncio.run, "uvloop": uvloop.run}[sys.argv[1]]
    run(supervise(Path(sys.argv[2]), sys.argv[3:]))
