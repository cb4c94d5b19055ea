"""``dockwarden boot`` as a program on a real dockerd, as the person on call meets it."""

import json
import re
import signal
from collections.abc import Iterator

import pytest

from script.demohost.host import UNITS, demo_host, with_user
from script.demohost.story import STEPS, USER_STEPS
from tests.bed import engines
from tests.bed.bed import Bed
from tests.bed.http import Docker
from tests.bed.leftovers import traces
from tests.boot.host import PATIENCE
from tests.long import long_but

MORE = """
    hog:
      image: busybox:demo
      command: sh -c 'sleep 1; exec tail /dev/zero'
      net: host
      mem_limit: 16m
      restart: on-failure:1
      labels: {io.rancher.os.scope: system}
    heir:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: container:ntp
      restart: always
      labels: {io.rancher.os.scope: system}
"""
STUBBORN = """
    stubborn:
      image: busybox:demo
      command: sh -c 'trap "" TERM; while :; do sleep 60 & wait $$!; done'
      net: host
      restart: always
      labels: {io.rancher.os.scope: system}
"""
NEWCOMER = STUBBORN.replace("stubborn", "newcomer").replace('trap ""', 'trap "exit 0"')


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one
    assert traces(one.ident) == []


@pytest.mark.every_engine
@pytest.mark.parametrize("skipped", ["flaky"])
def test_the_demo_story(bed: Bed, engine_version: str, skipped: str) -> None:
    """Boot, kill, remove, stop, adopt, crash of the engine, metrics, shutdown: each step is seen on each engine."""
    host = demo_host(bed, engine_version)
    for title, act in STEPS:
        if skipped not in title:  # It waits for twenty seconds, and the demo itself shows it.
            act(host)


@pytest.mark.long
def test_the_demo_story_of_the_user(bed: Bed) -> None:
    """Consoles, storage context and engine switched live, a FUSE file system served, seen by the real client."""
    host = with_user(demo_host(bed, "20.10" if "20.10" in engines.default_versions() else engines.system_version()))
    host.boot()
    host.wait_up("console", "storage", "user-docker")
    for _title, act in USER_STEPS:
        act(host)
    assert host.end() == 0


@pytest.mark.long
@pytest.mark.every_engine
def test_an_oom_kill_is_told_apart(bed: Bed, engine_version: str) -> None:
    """The reason names the kernel and the memory, and the metric's label is oom."""
    host = demo_host(bed, engine_version, extra=MORE)
    host.boot()
    host.wait("hog is oom-killed", lambda units: units["hog"]["restarts"] == 1 or units["hog"]["state"] == "failed")
    units = host.wait("hog has used up its retries", lambda units: units["hog"]["state"] == "failed")
    assert "OOM-killed" in units["hog"]["reason"]
    assert 'dockwarden_unit_restarts_total{reason="oom",unit="hog"} 1.0' in host.get("/metrics")
    assert host.end() == 0


def test_what_ran_is_in_step_after_a_second_boot(bed: Bed, engine_version: str) -> None:
    """After a shutdown: oneshots run again, the ephemeral console is a new container, the others are the same ones."""
    host = demo_host(bed, engine_version)
    host.boot()
    host.wait_up(*UNITS)
    before = host.containers()
    assert host.end() == 0
    host.boot()
    host.wait_up(*UNITS)
    after = host.containers()
    assert after["console"]["id"] != before["console"]["id"]
    assert after["syslog"]["id"] == before["syslog"]["id"]
    assert after["network"]["id"] == before["network"]["id"]
    assert after["network"]["started"] != before["network"]["started"]
    assert host.end() == 0


@pytest.mark.parametrize("sign", long_but(signal.SIGTERM, values=[signal.SIGTERM, signal.SIGINT]))
def test_a_shutdown_keeps_the_order(bed: Bed, engine_version: str, sign: signal.Signals) -> None:
    """Who depends on others ends before them, whichever signal asks."""
    host = demo_host(bed, engine_version)
    host.boot()
    host.wait_up(*UNITS)
    assert host.end(sign=sign) == 0
    ended = [
        line["unit"]
        for line in map(json.loads, (line for line in host.log if line.startswith("{")))
        if line["event"] == "unit.transition" and line["after"] == "inactive" and line["before"] == "stopping"
    ]
    assert ended.index("flaky") < ended.index("console") < ended.index("syslog")
    said = (host.dir / "state/system-docker.log").read_text()
    assert "Daemon shutdown complete" in said
    assert "Error shutting down http server" not in said, "26.1 waited 5 s for our event stream"


@pytest.mark.long
def test_a_unit_that_died_while_nobody_looked_is_restarted(bed: Bed, engine_version: str) -> None:
    """A container killed while the supervisor was dead is started by the next one, and counted."""
    host = demo_host(bed, engine_version)
    host.boot()
    host.wait_up(*UNITS)
    host.wait_until_kept("ntp is ready", lambda units: units["ntp"]["phase"] == "ready")
    host.kill9()
    host.docker.post("/containers/ntp/kill")
    host.docker.post("/containers/ntp/wait")
    host.boot()
    units = host.wait("ntp back", lambda units: units["ntp"]["state"] == "ready" and units["ntp"]["restarts"] == 1)
    assert units["network"]["state"] == "completed"
    assert host.end() == 0


def test_a_person_s_stop_outlives_the_supervisor(bed: Bed) -> None:
    """Not only kill -9 (the story): also an orderly end, in which all others are stopped too and start again."""
    host = demo_host(bed)
    host.boot()
    host.wait_up(*UNITS)
    host.docker.post("/containers/ntp/stop")
    host.wait("ntp stopped", lambda units: units["ntp"]["state"] == "inactive")
    assert host.end() == 0
    host.boot()
    units = host.wait_up(*(name for name in UNITS if name != "ntp"))
    assert (units["ntp"]["state"], units["ntp"]["reason"]) == ("inactive", "stopped from outside (docker stop)")
    assert host.cli("start", "ntp").returncode == 0
    assert host.end() == 0


@pytest.mark.long
def test_a_shared_network_is_that_of_the_unit_s_container(bed: Bed, engine_version: str) -> None:
    """`net: container:UNIT` waits for the unit, names its container, and an adoption touches neither."""
    host = demo_host(bed, engine_version, extra=MORE)
    host.boot()
    host.wait_up("ntp", "heir")
    before = host.containers()
    assert before["ntp"]["started"] < before["heir"]["started"]
    assert host.docker.inspect("heir")["HostConfig"]["NetworkMode"] == f"container:{before['ntp']['id']}"
    host.kill9()
    host.boot()
    host.wait_up("ntp", "heir")
    assert {name: host.containers()[name] for name in ("ntp", "heir")} == {
        name: before[name] for name in ("ntp", "heir")
    }
    assert host.end() == 0


def test_a_changed_configuration_touches_what_it_changes(bed: Bed) -> None:
    """SIGHUP: a new unit starts, a changed one is made anew, one that is gone stops; a bad file changes nothing."""
    host = demo_host(bed)
    process = host.boot()
    host.wait_up(*UNITS)
    was, before = host.config.read_text(), host.containers()
    host.config.write_text(was.replace("sleep 5 &", "sleep 6 &") + NEWCOMER)
    process.send_signal(signal.SIGHUP)
    host.wait_up("newcomer")
    host.wait("ntp anew", lambda units: units["ntp"]["state"] == "ready" and units["ntp"]["restarts"] == 1)
    after = host.containers()
    assert {name for name in before if after[name]["id"] != before[name]["id"]} == {"ntp"}
    host.config.write_text("#cloud-config\nrancher: [")
    process.send_signal(signal.SIGHUP)
    host.wait_for_line("the refusal", lambda line: line["event"] == "config.refused" and "not YAML" in line["reason"])
    assert host.units()["newcomer"]["state"] == "ready"
    host.config.write_text(was)
    process.send_signal(signal.SIGHUP)
    units = host.wait("newcomer gone", lambda units: units["newcomer"]["state"] == "inactive")
    assert units["newcomer"]["reason"] == "no longer in the configuration"
    assert host.end() == 0


def test_an_attached_engine_is_never_stopped(bed: Bed, engine_version: str) -> None:
    """With --engine, the engine was there before and is there afterwards."""
    engine = bed.engine(engine_version).start()
    host = demo_host(bed, engine_version)
    host.docker = Docker(engine.socket)
    host.boot("--engine", f"unix://{engine.socket}")
    host.wait_up(*UNITS)
    assert host.end() == 0
    assert engine.process is not None
    assert engine.process.poll() is None
    assert not any(one["running"] for one in host.containers().values())
    engine.terminate()


@pytest.mark.long
def test_a_graceful_restart_of_an_attached_engine_takes_no_unit(bed: Bed, engine_version: str) -> None:
    """The engine ends and comes back with live-restore: same processes, and the supervisor says what it saw."""
    engine = bed.engine(engine_version).start()
    host = demo_host(bed, engine_version)
    host.docker = Docker(engine.socket)
    host.boot("--engine", f"unix://{engine.socket}")
    host.wait_up(*UNITS)
    steady = ("syslog", "ntp", "console")
    before = {name: host.containers()[name]["pid"] for name in steady}
    engine.terminate()
    host.wait_for_line("the loss", lambda line: line["event"] == "engine.lost" and "events" in line["reason"])
    assert "engine_up 0.0" in host.get("/metrics")
    engine.start()
    host.wait("the engine is back", lambda _: "dockwarden_engine_up 1.0" in host.get("/metrics"))
    assert {name: host.containers()[name]["pid"] for name in steady} == before
    assert host.end() == 0
    engine.terminate()


def test_what_one_sees(bed: Bed) -> None:
    """Status, units, events, logs, why and version answer, as text and as JSON, and agree."""
    host = demo_host(bed)
    host.boot()
    host.wait_up(*UNITS)
    status = json.loads(host.cli("status", "--json").stdout)
    assert set(status) >= {"engine", "units"}
    keys = {"name", "kind", "state", "health", "container_id", "restarts", "since", "reason"}
    assert all(set(unit) >= keys for unit in status["units"])
    assert [unit["name"] for unit in json.loads(host.cli("units", "--json").stdout)] == [
        unit["name"] for unit in status["units"]
    ]
    assert "the network is up" in host.cli("logs", "network").stdout
    assert re.search(r"network .*running -> completed", host.cli("events").stdout)
    assert "exit code 0" in host.cli("why", "network").stdout
    assert json.loads(host.cli("why", "network", "--json").stdout)
    assert host.cli("restart", "console").returncode == 0
    assert host.units()["console"]["restarts"] == 1
    assert host.cli("status", "nonsense").returncode == 2
    assert host.cli("why", "consle").returncode == 4
    assert (host.run_dir / "control.sock").stat().st_mode & 0o777 == 0o600
    assert host.end() == 0
    assert host.cli("status").returncode == 3


def test_a_second_signal_hurries(bed: Bed) -> None:
    """The first SIGTERM would wait for a unit that ignores it; the second one kills it, and all ends well."""
    host = demo_host(bed, extra=STUBBORN)
    process = host.boot()
    host.wait_up(*UNITS, "stubborn")
    process.terminate()
    host.wait_for_line("the shutdown", lambda line: line["event"] == "shutdown.asked")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    last = host.wait_for_line("its end", lambda line: line.get("unit") == "stubborn" and line["after"] == "inactive")
    assert (last["before"], last["on"]) == ("stopping", "ContainerDied")
    assert host.processes() == []


@pytest.mark.long
def test_a_third_signal_leaves_at_once(bed: Bed) -> None:
    """Exit code 1; what still ran runs on, and the next boot finds it."""
    host = demo_host(bed, extra=STUBBORN)
    process = host.boot()
    host.wait_up(*UNITS, "stubborn")
    process.terminate()
    host.wait_for_line("the shutdown", lambda line: line["event"] == "shutdown.asked")
    for _ in range(2):
        process.terminate()
    assert process.wait(PATIENCE) in {0, 1}
    host.boot()
    host.wait_up(*UNITS, "stubborn")
    assert host.end() == 0


@pytest.mark.long
def test_the_supervisor_goes_on_with_a_full_state_dir(bed: Bed) -> None:
    """A disk that fills up later is a line in the log and a metric; units are supervised as before."""
    host = demo_host(bed)
    state = bed.dir / "state"
    state.mkdir()
    bed.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", state])
    host.boot()
    host.wait_up(*UNITS)
    bed.run(["/bin/busybox", "sh", "-c", f"dd if=/dev/zero of={state}/full bs=1k count=512 2>/dev/null; true"])
    host.docker.post("/containers/console/kill")
    host.wait("console back", lambda units: units["console"]["restarts"] == 1)
    host.wait_for_line("the complaint", lambda line: line["event"] == "state.not-written")
    bed.run(["rm", f"{state}/full"])
    host.wait_for_line("its end", lambda line: line["event"] == "state.written-again")
    assert host.end() == 0


SIDECAR = """
    sidecar:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: container:console
      restart: always
      labels: {io.rancher.os.scope: system}
"""


@pytest.mark.long
def test_who_joins_an_ephemeral_unit_follows_it_at_the_next_boot(bed: Bed, engine_version: str) -> None:
    """The console is a new container at each boot; what shares its network is made anew with it, not stranded."""
    host = demo_host(bed, engine_version, extra=SIDECAR)
    host.boot()
    host.wait_up(*UNITS, "sidecar")
    before = host.containers()
    assert host.end() == 0
    host.boot()
    host.wait_up(*UNITS, "sidecar")
    after = host.containers()
    assert after["console"]["id"] != before["console"]["id"]
    assert host.docker.inspect("sidecar")["HostConfig"]["NetworkMode"] == f"container:{after['console']['id']}"
    assert host.end() == 0
