"""System Docker's process under a whole supervisor, with real daemons."""

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed import engines, images
from tests.bed.bed import Bed
from tests.boot import host as booted

PATIENCE = 90.0  # seconds


class Host(booted.Host):
    """A bed, and what its supervisor logs of the engine."""

    def __init__(self, bed: Bed, version: str, *args: str) -> None:
        engine = json.loads(booted.system_docker(bed.dir, bed.cgroup, engines.find(version).path))
        engine["args"] += args
        super().__init__(bed, version, json.dumps({"rancher": {"system_docker": engine}}))
        self._heard = 0

    def heard(self) -> dict[str, Any]:
        """Wait for the engine's next transition."""

        def is_next(line: dict[str, Any]) -> bool:
            return bool(line["event"] == "unit.transition" and line["unit"] == "system-docker")

        found = self.wait_for_line("the engine moved", is_next, since=self._heard)
        self._heard = 1 + next(
            i
            for i, line in enumerate(self.log)
            if i >= self._heard and line.startswith("{") and json.loads(line) == found
        )
        return found

    def phases(self, count: int) -> list[str]:
        return [str(self.heard()["state"]) for _ in range(count)]

    def serving(self) -> int:
        """Wait for a started daemon that answers; returns its pid in the bed."""
        while (state := self.heard()["state"]) != "serving":
            assert state == "starting"
        assert self.docker.ping()
        return self.engine_pid()

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


def test_a_killed_daemon_comes_back_and_a_stop_leaves_nothing(host: Host) -> None:
    host.boot()
    pid = host.serving()
    host.kill(pid)
    lost = host.heard()
    assert (lost["state"], lost["exit_code"], lost["level"]) == ("lost", 128 + signal.SIGKILL, "warning")
    assert lost["reason"].startswith(f"dockerd (pid {pid}) was killed by SIGKILL: ")
    assert host.serving() != pid
    status = json.loads(host.cli("status", "--json", check=True).stdout)["engine"]
    assert (status["unit"]["state"], status["unit"]["restarts"]) == ("serving", 1)
    assert status["daemon_pid"] == host.engine_pid()
    assert host.end() == 0
    assert host.phases(2) == ["stopping", "stopped"]
    assert host.running() == set()
    assert host.mounts() == []
    assert not host.pidfile.exists()


def test_a_daemon_outlives_its_supervisor_and_is_adopted(host: Host) -> None:
    host.boot()
    pid = host.serving()
    host.kill9()
    assert host.docker.ping()
    host.boot()
    assert host.heard()["reason"].startswith(f"dockerd (pid {pid}) adopted")
    assert host.heard()["state"] == "serving"
    host.kill(pid)
    lost = host.heard()
    assert lost["state"] == "lost"
    assert "exit code unknown" in lost["reason"]
    assert host.serving() != pid
    host.kill9()
    host.boot()
    assert host.phases(2) == ["starting", "serving"]
    assert host.end() == 0
    assert host.phases(2) == ["stopping", "stopped"]
    assert (host.running(), host.mounts(), host.pidfile.exists()) == (set(), [], False)


@pytest.mark.long
def test_containers_live_on_while_the_daemon_is_stopped(host: Host) -> None:
    """Unmounting the host's network namespace must not harm the containers in it."""
    host.boot()
    host.serving()
    host.docker.load(images.busybox_tar(host.bed.dir / "busybox.tar"))
    for name, network in (("hosted", "host"), ("alone", "none")):
        stay = {"Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": network}}
        host.docker.run(name, "busybox:demo", stay)
    before = {name: host.docker.inspect(name)["State"]["Pid"] for name in ("hosted", "alone")}
    assert host.end() == 0
    assert host.phases(2) == ["stopping", "stopped"]
    assert host.running() == {"containerd-shim"}
    host.boot()
    host.serving()
    assert {name: host.docker.inspect(name)["State"]["Pid"] for name in before} == before
    for name in before:
        assert host.docker.post(f"/containers/{name}/restart?t=0")[0] == 204
        assert host.docker.inspect(name)["State"]["Running"]
    host.end()


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
    host.end()
    if holder == "sleep":
        assert sleeper.poll() is None


@pytest.mark.long
def test_another_daemon_on_our_pid_file_is_left_alone(host: Host) -> None:
    foreign = host.bed.engine(host.binaries.version, name="foreign")
    foreign._pid_file = host.pidfile
    foreign.start()
    host.boot()
    assert host.heard()["state"] == "starting"
    lost = host.heard()
    assert (lost["state"], lost["exit_code"]) == ("lost", 1)
    assert str(host.pidfile) in lost["reason"]
    host.end()
    assert foreign.docker.ping()
    assert host.pidfile.exists()


@pytest.mark.long
def test_a_daemon_that_cannot_start_is_tried_ever_more_slowly_until_stopped(engine_version: str) -> None:
    with Bed() as bed:
        host = Host(bed, engine_version, "--no-such-option")
        host.boot()
        tries = []
        for _ in range(4):
            assert host.heard()["state"] == "starting"
            lost = host.wait_for_line("lost", lambda line: line["event"] == "system_docker.lost", since=host._heard)
            assert any("unknown flag: --no-such-option" in line for line in lost["output"]), lost
            tries.append(lost["pause"])
            moved = host.heard()
            while moved["state"] != "lost":
                moved = host.heard()
        assert tries[0] == 0
        assert all(0.75 * due <= pause <= 1.25 * due for pause, due in zip(tries[1:], (0.2, 0.4, 0.8), strict=True))
        began = time.monotonic()
        host.end()
        assert host.phases(2)[-1] in {"stopping", "stopped"}
        assert time.monotonic() - began < PATIENCE


@pytest.mark.long
def test_a_daemon_that_stands_still_is_shown_as_hung(host: Host) -> None:
    """Its event stream stays open and nothing is answered; when it goes on, it serves again."""
    host.boot()
    pid = host.serving()
    host.kill(pid, "STOP")
    assert host.heard()["state"] == "hung"
    host.kill(pid, "CONT")
    assert host.heard()["state"] == "serving"
    host.end()


def test_the_configuration_of_user_docker_is_not_read(host: Host) -> None:
    """`data-root` both in a configuration file and on the command line is fatal for every dockerd."""
    host.bed.run(["sh", "-c", 'echo \'{"data-root": "/elsewhere"}\' > /etc/docker/daemon.json'])
    host.boot()
    host.serving()
    host.end()
