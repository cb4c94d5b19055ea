"""Every kind of tie and every cause, on real engines: who holds on to a unit really gets through to it again."""

from collections.abc import Callable, Iterator

import pytest

from tests.bed import capabilities, images
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.host import Host, Units, system_docker
from tests.long import long_but

CONFIG = """#cloud-config
rancher:
  system_docker: {docker}
  services:
    owner:
      image: busybox:demo
      command: >-
        sh -c 'echo >/shared/$$HOSTNAME; httpd -f -p 8080 -h /etc & trap "exit 0" TERM;
        while :; do [ -e /tmp/hog ] && rm /tmp/hog && exec tail /dev/zero; sleep 0.1; done'
      net: bridge
      ipc: shareable
      mem_limit: 16m
      memswap_limit: 16m
      volumes: [/shared, /tmp/same:/same]
      restart: always
    by-net: &taker
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: container:owner
      restart: always
    by-pid: {{<<: *taker, net: none, pid: container:owner}}
    by-ipc: {{<<: *taker, net: none, ipc: container:owner}}
    by-link: {{<<: *taker, net: bridge, links: [owner:web]}}
    by-volumes: {{<<: *taker, net: none, volumes_from: [owner]}}
    by-wish: {{<<: *taker, net: none, depends_on: {{owner: {{condition: service_started, restart: true}}}}}}
    by-order: {{<<: *taker, net: none, depends_on: [owner]}}
    friend: {{<<: *taker, net: container:by-link, pid: container:by-pid}}
"""
RUN = ("by-net", "by-pid", "by-ipc", "by-wish", "friend")
"""Whose tie is to a run of the owner's, or to one that has such a tie."""
MADE = ("by-link",)
"""Whose tie is to the owner's container. The volumes of that one are the new one's: who takes them has them still."""


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
        docker = system_docker(bed.dir, bed.cgroup, host.binaries.path, runtime, bridge=True)
        host.config.write_text(CONFIG.format(docker=docker))
        images.busybox_tar(host.images / "images.tar.gz")
        host.boot()
        yield host
        assert host.end() == 0
    assert traces(bed.ident) == []


@pytest.fixture
def host(shared: Host) -> Host:
    shared.wait_up()
    shared.forgive()
    return shared


def says(host: Host, name: str, command: str) -> str:
    _, made = host.docker.post(f"/containers/{name}/exec", {"Cmd": ["sh", "-c", command], "AttachStdout": True})
    _, answer = host.docker.raw("POST", f"/exec/{made['Id']}/start", {})
    return answer.decode(errors="replace")


def gets_through(host: Host) -> dict[str, bool]:
    """Each taker, and whether what it takes is there."""
    short = host.containers()["owner"]["id"][:12]
    ask = "wget -qO- http://{}:8080/os-release"
    own = "readlink /proc/1/ns/ipc"
    return {
        "by-net": "busybox" in says(host, "by-net", ask.format("127.0.0.1")),
        "by-pid": "httpd" in says(host, "by-pid", "ps"),
        "by-ipc": says(host, "by-ipc", own)[-16:] == says(host, "owner", own)[-16:],
        "by-link": "busybox" in says(host, "by-link", ask.format("web")),
        "by-volumes": short in says(host, "by-volumes", "ls /shared"),
        "friend": "httpd" in says(host, "friend", "ps"),
    }


def crash(host: Host) -> None:
    host.bed.run(["kill", "-KILL", str(host.containers()["owner"]["pid"])])


def oom(host: Host) -> None:
    says(host, "owner", "touch /tmp/hog")


def restart(host: Host) -> None:
    host.docker.post("/containers/owner/restart?t=3")


def recreate(host: Host) -> None:
    host.docker.delete("/containers/owner?force=1")


def wait_restarted(host: Host, before: dict[str, int], *names: str) -> None:
    """Until each of these was restarted once and is ready."""

    def settled(units: Units) -> bool:
        return all((units[one]["restarts"] - before[one], units[one]["state"]) == (1, "ready") for one in names)

    host.wait(f"{names} are back", settled)


@pytest.mark.every_engine
@pytest.mark.parametrize(
    "cause", long_but(restart, values=[crash, oom, restart]), ids=lambda cause: str(cause.__name__)
)
def test_a_new_run_of_the_owner(host: Host, cause: Callable[[Host], None]) -> None:
    """Who lives in it, or wished so, is started again, once; links and volumes are as good as before."""
    assert all(gets_through(host).values()), gets_through(host)
    before = host.restarts()
    cause(host)
    wait_restarted(host, before, "owner", *RUN)
    assert all(gets_through(host).values()), gets_through(host)
    after = host.restarts()
    assert [name for name in after if after[name] != before[name] + (name in {"owner", *RUN})] == []


@pytest.mark.every_engine
def test_a_new_container_of_the_owner(host: Host) -> None:
    """Everybody but who only waited for its first start is made anew or started again, once; the friend after both."""
    before = host.restarts()
    recreate(host)
    wait_restarted(host, before, *RUN, *MADE)
    assert all(gets_through(host).values()), gets_through(host)
    after = host.restarts()
    assert (after["by-order"], after["by-volumes"]) == (before["by-order"], before["by-volumes"])


def test_a_restart_of_the_engine_touches_nobody(host: Host) -> None:
    """With live-restore everything lives on, and nothing is stale."""
    before = {name: one["started"] for name, one in host.containers().items()}
    since = len(host.log)
    host.bed.run(["kill", "-KILL", str(host.engine_pid())])
    host.wait_for_line("and back", lambda line: line.get("event") == "engine.back", since=since)
    host.wait_up()
    assert {name: one["started"] for name, one in host.containers().items()} == before
    assert all(gets_through(host).values()), gets_through(host)
