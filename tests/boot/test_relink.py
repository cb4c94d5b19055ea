"""What shares a namespace, and what is unhealthy, on real engines: the dependent really reaches its peer again."""

from collections.abc import Iterator

import pytest

from tests.bed import capabilities, images
from tests.bed.bed import Bed
from tests.bed.http import Docker
from tests.bed.leftovers import traces
from tests.boot.host import Host, system_docker
from tests.long import long_but

CONFIG = """#cloud-config
rancher:
  system_docker: {docker}
  services:
    vpn:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; httpd -f -p 8080 -h /etc & while :; do sleep 60 & wait $$!; done'
      net: none
      restart: always
    app:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: container:vpn
      restart: always
    weak:
      image: busybox:demo
      command: sh -c 'touch /tmp/well; trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      restart: always
      healthcheck: {{test: test -f /tmp/well, interval: 1s, retries: 1}}
"""


@pytest.fixture(scope="module")
def shared(engine_version: str) -> Iterator[Host]:
    """One for each engine: a test changes nothing of it but how often its units were restarted."""
    with Bed() as bed:
        host = Host(bed, engine_version, "")
        runtime: tuple[str, ...] = ()
        if lacking := capabilities.missing():
            wrapper = bed.dir / "runc-caps"
            capabilities.write_wrapper(wrapper, host.binaries.runc, lacking)
            runtime = ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")
        docker = system_docker(bed.dir, bed.cgroup, host.binaries.path, runtime)
        host.config.write_text(CONFIG.format(docker=docker))
        images.busybox_tar(host.images / "images.tar.gz")
        host.boot()
        yield host
        assert host.end() == 0
    assert traces(bed.ident) == []


@pytest.fixture
def host(shared: Host) -> Host:
    shared.wait_up("vpn", "app", "weak")
    shared.forgive()
    return shared


def reaches(host: Host) -> bool:
    """Whether the app gets an answer through the network that it shares."""
    asked = {"Cmd": ["wget", "-qO-", "http://127.0.0.1:8080/os-release"], "AttachStdout": True}
    _, made = host.docker.post("/containers/app/exec", asked)
    _, answer = host.docker.raw("POST", f"/exec/{made['Id']}/start", {})
    return b"busybox" in answer


def crash(docker: Docker) -> None:
    docker.post("/containers/vpn/kill")


def restart(docker: Docker) -> None:
    docker.post("/containers/vpn/restart?t=3")


def recreate(docker: Docker) -> None:
    docker.delete("/containers/vpn?force=1")


@pytest.mark.parametrize(
    "cause", long_but(crash, values=[crash, restart, recreate]), ids=lambda cause: str(cause.__name__)
)
def test_who_lives_in_another_one_s_network_joins_it_again(host: Host, cause: object) -> None:
    """After a crash, a person's restart, and a new container: once, and it really gets through."""
    assert reaches(host)
    assert callable(cause)
    before = host.restarts()["app"]
    cause(host.docker)
    host.wait(
        "app joined again",
        lambda units: (
            units["app"]["restarts"] == before + 1 and {units["app"]["state"], units["vpn"]["state"]} == {"ready"}
        ),
    )
    assert reaches(host)
    counted = f'dockwarden_unit_restarts_total{{reason="relink",unit="app"}} {before + 1}.0'
    assert counted in host.get("/metrics")


def test_an_unhealthy_unit_is_restarted(host: Host) -> None:
    """Docker shows it as unhealthy for ever; here it is well again."""
    before = host.restarts()["weak"]
    _, made = host.docker.post("/containers/weak/exec", {"Cmd": ["rm", "/tmp/well"]})
    host.docker.raw("POST", f"/exec/{made['Id']}/start", {})
    units = host.wait(
        "weak is well again",
        lambda units: units["weak"]["restarts"] == before + 1 and units["weak"]["state"] == "ready",
    )
    assert units["weak"]["reason"] in {"healthy", "restarted after: unhealthy: HEALTHCHECK failed"}
    assert "unhealthy: HEALTHCHECK failed" in host.cli("why", "weak").stdout
