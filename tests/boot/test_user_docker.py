"""What a user dockerd leaves that was killed, on real engines: it is ended, and all comes back as its policy says."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.bed import bundles, images
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.consoles import console_host, user_docker
from tests.boot.host import LOOK_PAUSE, PATIENCE, Host, HostError, Units
from tests.boot.test_switch import settled, switch, user_engines
from tests.long import long_but

POLICIES = ("no", "on-failure", "always", "unless-stopped")
TOLD = 'trap "echo bye >>/data/$0; exit 0" TERM; echo up >>/data/$0; while :; do sleep 60 & wait $!; done'


@pytest.fixture(params=long_but("26.1", values=["20.10", "26.1"]))
def host(request: pytest.FixtureRequest, engine_version: str) -> Iterator[Host]:
    """User Docker is each engine in turn, by a program that can be taken away."""
    with Bed() as bed:
        host = console_host(bed, engine_version)
        bundle = f"/opt/engines/{request.param}"
        both = f"{bed.dir}/engines:/opt/engines\n        - {bundles.bundle(str(request.param))}:{bundle}:ro"
        text = host.config.read_text().replace(f"{bed.dir}/engines:/opt/engines:ro", both)
        host.config.write_text(text.replace("  docker:\n", "  docker:\n    engine: own\n", 1))
        dockerd(host).parent.mkdir(parents=True)
        dockerd(host).write_text(f'#!/bin/sh\nPATH={bundle}/bin:$PATH exec {bundle}/bin/dockerd "$@"\n')
        dockerd(host).chmod(0o755)
        host.boot()
        host.wait("console and user Docker up", settled)
        user_docker(host).load(images.busybox_tar(host.dir / "user.tar"))
        (host.dir / "mnt" / "data").mkdir()
        yield host
    assert traces(bed.ident) == []


def dockerd(host: Host) -> Path:
    """The program of the engine that was chosen."""
    return host.dir / "engines/own/bin/dockerd"


def run_all(host: Host) -> None:
    """A container of each policy, one that ignores its signal, and one that a person stopped."""
    docker = user_docker(host)
    binds = [f"{host.dir}/mnt/data:/data"]
    for name in POLICIES:
        kept = {"Binds": binds, "RestartPolicy": {"Name": name}}
        docker.run(f"c-{name}", "busybox:demo", {"Cmd": ["sh", "-c", TOLD, f"c-{name}"], "HostConfig": kept})
    deaf = {"Cmd": ["sh", "-c", 'trap "" TERM; while :; do sleep 60; done'], "StopTimeout": 1}
    docker.run("deaf", "busybox:demo", deaf | {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}})
    docker.run("stopped", "busybox:demo", deaf | {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}})
    docker.post("/containers/stopped/stop")


def until(what: str, holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > ends:
            raise HostError(f"not seen: {what}")
        time.sleep(LOOK_PAUSE)


def states(host: Host) -> dict[str, str]:
    """What user Docker says of each container."""
    try:
        _, rows = user_docker(host).get("/containers/json?all=1")
    except OSError:
        return {}
    return {row["Names"][0].lstrip("/"): row["State"] for row in rows}


def kill_dockerd(host: Host) -> None:
    host.bed.run(["/bin/busybox", "kill", "-9", user_engines(host)[0].split()[0]])


def user_shims(host: Host) -> list[str]:
    return [line for line in host.processes() if "containerd-shim" in line and "-namespace user-docker" in line]


def said(host: Host, name: str) -> list[str]:
    return (host.dir / "mnt" / "data" / name).read_text().split()


def restarted(times: int, units: Units) -> bool:
    return units["user-docker"]["restarts"] == times and settled(units)


AS_THEIR_POLICIES_SAY = {
    "c-no": "exited",
    "c-on-failure": "running",
    "c-always": "running",
    "c-unless-stopped": "running",
    "deaf": "running",
    "stopped": "exited",
}


def test_all_comes_back_as_its_policy_says(host: Host) -> None:
    """After the death of dockerd, also twice in a row: gracefully ended, started again, and owned by the new one."""
    run_all(host)
    for times in (1, 2):
        kill_dockerd(host)
        host.wait("back", partial(restarted, times))
        until("all as their policies say", lambda: states(host) == AS_THEIR_POLICIES_SAY)
        assert said(host, "c-always") == ["up", *["bye", "up"] * times]
        assert said(host, "c-no") == ["up", "bye"]
        assert len(user_shims(host)) == 4
    cleared = host.wait_for_line("told", lambda line: line["event"] == "user_docker.cleared")
    assert set(cleared["containers"]) == set(AS_THEIR_POLICIES_SAY) - {"stopped"}


def test_the_host_goes_down_with_what_a_dead_dockerd_left(host: Host) -> None:
    """Its program is gone, so it stays down: SIGTERM of the supervisor ends its containers gracefully all the same."""
    run_all(host)
    program = dockerd(host)
    kept = program.read_text()
    program.write_text("#!/bin/sh\nexit 3\n")
    kill_dockerd(host)
    host.wait("it does not come back", lambda units: units["user-docker"]["state"] in {"backoff", "crash-loop"})
    assert host.end() == 0
    assert [said(host, f"c-{name}")[-1] for name in POLICIES] == ["bye"] * 4
    assert user_shims(host) == []
    done = host.wait_for_line("the end", lambda line: line["event"] == "shutdown.done")
    assert done["left_running"] is False
    program.write_text(kept)
    host.boot()
    host.wait("up again", settled)
    until("all as their policies say", lambda: states(host) == AS_THEIR_POLICIES_SAY)


@pytest.mark.long
def test_pid_files_that_name_somebody_else_are_no_obstacle(host: Host) -> None:
    """Pids are used again after a reboot: those of docker.pid and containerd.pid may be anybody's."""
    host.cli("stop", "user-docker", check=True)
    host.wait("down", lambda units: units["user-docker"]["state"] == "inactive")
    for path in ("docker.pid", "docker/containerd/containerd.pid"):
        (host.dir / "crun" / path).write_text(f"{host.engine_pid()}")
    host.cli("start", "user-docker", check=True)
    host.wait("up", settled)
    stale = [json.loads(line) for line in host.log if '"user_docker.stale_pidfile"' in line]
    assert {line["path"] for line in stale} >= {"/var/run/docker/containerd/containerd.pid"}


@pytest.mark.long
def test_killed_twice_just_after_a_switch_leaves_nothing_unowned(host: Host) -> None:
    """The new one is killed while it starts what it found: no container runs that no dockerd knows."""
    run_all(host)
    switch(host, "storage", "gluster")
    for _ in range(2):
        until("a dockerd", lambda: bool(user_engines(host)))
        kill_dockerd(host)
        time.sleep(0.5)
    host.wait("back", settled)
    # Its clean end with the old dockerd, at the switch, was a success.
    wanted = AS_THEIR_POLICIES_SAY | {"c-on-failure": "exited"}
    until(f"{wanted}", lambda: states(host) == wanted)
    assert len(user_shims(host)) == 3


@pytest.mark.long
def test_a_program_that_was_away_for_a_moment_is_found_in_seconds(host: Host) -> None:
    """An upgrade of the engine removes it and puts another one there."""
    run_all(host)
    away = dockerd(host).rename(dockerd(host).with_name("away"))
    kill_dockerd(host)
    failed = {"event": "unit.transition", "unit": "user-docker", "state": "failed"}
    for _ in range(3):
        begun = len(host.log)
        host.wait_for_line("a look", lambda line: failed.items() <= line.items(), since=begun)
    away.rename(dockerd(host))
    put_back = time.monotonic()
    host.wait("up", settled)
    assert time.monotonic() - put_back < 30
    until("all as their policies say", lambda: states(host) == AS_THEIR_POLICIES_SAY)
