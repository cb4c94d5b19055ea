"""The watch's main story on Podman's own Docker socket: unhealthy, restarted, healthy."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bed import images
from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.bed.podman import Podman

IMAGE = "docker.io/library/busybox:podman"
LIVES = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
PATIENCE = 60.0


class Host:
    """Podman, and a watch beside it."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.podman = Podman(bed).start()
        self.podman.docker.load(images.busybox_tar(bed.dir / "busybox.tar", IMAGE))
        self.log = bed.dir / "watch.log"
        self.run_dir = bed.dir / "run"

    def make(self, name: str) -> None:
        check = {"Test": ["CMD-SHELL", "test -e /tmp/well"], "Interval": 3600 * 10**9, "Retries": 1}
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", LIVES], "Labels": {"autoheal": "true"}, "Healthcheck": check}
        host = {"NetworkMode": "host", "CgroupParent": self.bed.cgroup}
        status, made = self.podman.docker.post(f"/containers/create?name={name}", {**body, "HostConfig": host})
        assert status == 201, made
        status, said = self.podman.docker.post(f"/containers/{name}/start")
        assert status == 204, said

    def watch(self) -> None:
        command = [sys.executable, "-m", "supervisor", "watch", "--engine", f"unix://{self.podman.socket}"]
        command += ["--state-dir", str(self.bed.dir / "state"), "--run-dir", str(self.run_dir), "--listen", ""]
        with self.log.open("w") as log:
            self.bed.popen(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT)

    def started(self, name: str) -> str:
        return str(self.podman.docker.inspect(name)["State"]["StartedAt"])

    def told(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def unit(self, name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "supervisor", "--run-dir", str(self.run_dir), "units", "--json"]
        done = self.bed.run(command, cwd=REPOSITORY, check=False)
        units = json.loads(done.stdout) if done.returncode == 0 else []
        return next((one for one in units if one["name"] == name), {})

    def until(self, holds: Callable[[], object], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < until, f"{what}: {self.log.read_text()[-3000:]}"
            time.sleep(0.2)


@pytest.fixture
def host() -> Iterator[Host]:
    with Bed() as bed:
        yield Host(bed)


def test_an_unhealthy_container_is_restarted_and_seen_to_be_well_again(host: Host) -> None:
    host.make("app")
    host.watch()
    host.until(lambda: host.unit("app"), "it is seen")
    (said,) = host.told("engine.podman")
    assert "health is inspected" in said["reason"]
    before = host.started("app")
    assert not host.podman.check("app")
    host.until(lambda: host.started("app") != before, "it is restarted")
    host.until(lambda: host.told("unit.restarted"), "that is told")
    host.podman.run("exec", "app", "touch", "/tmp/well")
    assert host.podman.check("app")
    host.until(lambda: host.unit("app").get("health") == "healthy", "it is well again")
    host.podman.run("kill", "app")
    host.until(lambda: host.unit("app").get("state") not in {"ready", "running"}, "its death is seen")
