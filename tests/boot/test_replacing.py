"""Containers that are made anew on a real dockerd: what is in their volumes stays, and who can run on does."""

import signal
from collections.abc import Iterator

import pytest

from script.demohost.host import UNITS, demo_host
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.host import Host

EXTRA = """
    db:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: none
      volumes: [/data]
      environment: [TURN=1]
      restart: always
      labels: {io.rancher.os.scope: system}
    holder:
      image: busybox:demo
      volumes: [/kept]
      labels: {io.rancher.os.scope: system, io.rancher.os.createonly: "true"}
    taker:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: none
      volumes_from: [holder]
      restart: always
      labels: {io.rancher.os.scope: system}
"""


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one
    assert traces(one.ident) == []


def run(host: Host, name: str, *words: str) -> bytes:
    _, made = host.docker.post(f"/containers/{name}/exec", {"Cmd": words, "AttachStdout": True})
    return host.docker.raw("POST", f"/exec/{made['Id']}/start", {})[1]


def volumes(host: Host, name: str) -> dict[str, str]:
    return {one["Destination"]: one["Name"] for one in host.docker.inspect(name)["Mounts"]}


def reread(host: Host, old: str, new: str) -> None:
    assert host.process is not None
    host.config.write_text(host.config.read_text().replace(old, new))
    host.process.send_signal(signal.SIGHUP)


def test_volumes_stay_and_who_can_run_on_does(bed: Bed, engine_version: str) -> None:
    host = demo_host(bed, engine_version, extra=EXTRA)
    host.boot()
    host.wait_up(*UNITS, "db", "taker")
    before = volumes(host, "db")
    run(host, "db", "sh", "-c", "echo mine >/data/note")
    reread(host, "TURN=1", "TURN=2")
    host.wait("db anew", lambda units: units["db"]["state"] == "ready" and units["db"]["restarts"] == 1)
    assert b"mine" in run(host, "db", "cat", "/data/note")
    assert volumes(host, "db") == before

    kept, gone = volumes(host, "taker"), host.docker.inspect("holder")["Id"]
    host.docker.delete(f"/containers/{gone}")
    host.wait("holder anew", lambda units: units["holder"]["container_id"] not in {None, gone})
    host.wait("holder at rest", lambda units: units["holder"]["state"] == "completed")
    assert volumes(host, "holder") == kept
    assert host.units()["taker"]["restarts"] == 0

    present = host.docker.inspect("db")["Id"]
    reread(host, "db:\n      image: busybox:demo", "db:\n      image: no.such.registry.test/busybox:none")
    told = host.wait("db runs on", lambda units: "still runs in its present container" in units["db"]["reason"])
    assert (told["db"]["state"], host.docker.inspect("db")["Id"]) == ("ready", present)
    assert host.docker.inspect("db")["State"]["Running"]

    reread(host, "no.such.registry.test/busybox:none", "busybox:demo")
    host.wait("db as it was", lambda units: "still runs" not in units["db"]["reason"])
    names = [row["Names"][0] for row in host.docker.get("/containers/json?all=1")[1]]
    assert [one for one in names if "_db" in one or "_holder" in one] == []
    assert host.end() == 0
