"""Hooks on a real engine: what they are told, what gates hold back, and that the worst of them hold up nobody."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from hooks.marks import LIMIT
from tests.bed import capabilities, images
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.host import Host, system_docker

VERSION = "20.10"
CONFIG = """#cloud-config
rancher:
  system_docker: {docker}
  services:
    web: &sleeper
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: none
      restart: always
      labels: {{dockwarden.restart.burst: "1000", dockwarden.restart.reset: "0s"}}
    gated: {{<<: *sleeper, environment: [COLOUR=red]}}
"""
HOOKS = """
import os, time, urllib.request
from pathlib import Path
from hooks import Contribution, Veto, gate, on

HERE = Path("{here}")

@on("unit.restarted", unit="web")
def note(event):
    with open(HERE / "notes", "a") as notes:
        notes.write(f"{{event.unit}} {{event.reason}}\\n")
    print("noted", event.unit)

@gate("before_start", unit="gated")
def contribute(asked):
    return Contribution({{"COLOUR": "blue", "ZONE": "a"}}, ("/etc:/shown:ro",))

@gate("before_start", unit="gated")
async def held(asked):
    return Veto("held back") if (HERE / "hold").exists() else None

@gate("before_stop", unit="gated")
def keep(asked):
    return Veto("in use") if (HERE / "keep").exists() else None
"""
HOSTILE = '''
import os, socket, threading, time
from hooks import on

@on("unit.*")
def sleeps(event): time.sleep(1000)

@on("unit.*")
async def blocks(event):
    while True: pass

@on("unit.*")
def raises(event): raise SystemExit(3)

@on("unit.*")
def exits(event): os._exit(1)

@on("unit.*")
def floods(event):
    while True: print("x" * 1000)

@on("unit.*")
def asks(event):
    """Re-enters the supervisor: a hundred questions for each event."""
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect("{socket}")
            control.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            while control.recv(65536): pass
'''


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Bed() as bed:
        host = Host(bed, VERSION, "")
        runtime: tuple[str, ...] = ()
        if lacking := capabilities.missing():
            wrapper = bed.dir / "runc-caps"
            capabilities.write_wrapper(wrapper, host.binaries.runc, lacking)
            runtime = ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")
        host.config.write_text(CONFIG.format(docker=system_docker(bed.dir, bed.cgroup, host.binaries.path, runtime)))
        images.busybox_tar(host.images / "images.tar.gz")
        folder = bed.dir / "hooks.d"
        folder.mkdir(mode=0o755)
        put(folder / "site.py", HOOKS.format(here=bed.dir))
        host.boot("--hooks", str(folder))
        yield host
        assert host.end() == 0
    assert traces(bed.ident) == []


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def kill(host: Host, name: str) -> float:
    """Seconds until it runs again."""
    before = host.units()[name]["restarts"]
    began = time.monotonic()
    host.docker.post(f"/containers/{name}/kill", None)
    host.wait(f"{name} again", lambda units: units[name]["restarts"] > before and units[name]["state"] == "ready")
    return time.monotonic() - began


def hook(host: Host, name: str) -> dict[str, Any]:
    rows = json.loads(host.cli("hooks", "list", "--json", check=True).stdout)
    return next(row for row in rows if row["name"] == name)


def test_a_vetoed_start_waits_with_its_reason_and_holds_up_no_other(host: Host) -> None:
    host.wait_up()
    host.cli("stop", "gated", check=True)
    (host.dir / "hold").touch()
    host.cli("start", "gated", "--no-wait")
    units = host.wait("vetoed", lambda units: "vetoed" in units["gated"]["reason"])
    restarts = units["gated"]["restarts"]
    kill(host, "web")
    assert units["gated"]["state"] == "backoff"
    assert units["gated"]["reason"].startswith("vetoed by site.py:held: held back; next try in ")
    (host.dir / "hold").unlink()
    host.cli("start", "gated", check=True)
    units = host.wait_up("gated")
    assert units["gated"]["restarts"] == restarts


def test_what_a_gate_contributed_is_in_the_container(host: Host) -> None:
    host.wait_up("gated")
    _, made = host.docker.get("/containers/gated/json")
    assert {"COLOUR=blue", "ZONE=a"} <= set(made["Config"]["Env"])
    assert [(mount["Destination"], mount["RW"]) for mount in made["Mounts"]] == [("/shown", False)]


@pytest.mark.long
def test_a_vetoed_stop_leaves_it_up(host: Host) -> None:
    host.wait_up("gated")
    (host.dir / "keep").touch()
    said = host.cli("stop", "gated")
    assert said.returncode == 1
    assert "it is ready: not stopped: vetoed by site.py:keep: in use" in said.stderr
    (host.dir / "keep").unlink()
    host.cli("stop", "gated", check=True)
    host.wait("stopped", lambda units: units["gated"]["state"] == "inactive")
    host.cli("start", "gated", check=True)
    host.wait_up("gated")


def test_a_hook_is_told_and_can_be_switched_off(host: Host) -> None:
    host.wait_up("web")
    before = hook(host, "site.py:note")["runs"]
    kill(host, "web")
    host.wait("told", lambda _: hook(host, "site.py:note")["runs"] > before)
    assert hook(host, "site.py:note")["last_output"] == "noted web"
    assert (host.dir / "notes").read_text().startswith("web restarted after: killed by SIGKILL (exit code 137)")
    host.cli("hooks", "disable", "site.py:note", check=True)
    before = hook(host, "site.py:note")["runs"]
    kill(host, "web")
    assert hook(host, "site.py:note")["state"] == "off"
    assert hook(host, "site.py:note")["runs"] == before
    host.cli("hooks", "enable", "site.py:note", check=True)
    said = host.cli("hooks", "test", "before_start", "--unit", "gated").stdout
    assert "site.py:contribute: go on, with COLOUR, ZONE, /etc:/shown:ro" in said


@pytest.mark.long
def test_hostile_hooks_leave_supervision_untouched(host: Host) -> None:
    """Ten deaths among hooks that sleep, block, raise, exit, flood and re-enter: each is mended, in time."""
    host.wait_up("web")
    put(host.dir / "hooks.d/hostile.py", HOSTILE.format(socket=host.run_dir / "control.sock"))
    host.cli("hooks", "reload", check=True)
    took = [kill(host, "web") for _ in range(10)]
    assert median(took) < LIMIT, f"each would take longer if a hook could block the loop: {took}"
    units = host.units()
    assert (units["web"]["state"], units["gated"]["state"]) == ("ready", "ready")
    host.wait("charged", lambda _: hook(host, "hostile.py:exits")["failed"] > 0)
    (host.dir / "hooks.d/hostile.py").unlink()
    host.cli("hooks", "reload", check=True)
    assert "hostile" not in host.cli("hooks", "list").stdout
