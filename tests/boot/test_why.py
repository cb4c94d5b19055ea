"""Each restart on a real engine has exactly one decision; ``why`` tells it, also after the supervisor was killed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bed import capabilities, engines, images
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.host import Host, Units, system_docker

CONFIG = """#cloud-config
rancher:
  system_docker: {docker}
  services:
    vpn: &sleeper
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: none
      restart: always
    app:
      <<: *sleeper
      net: container:vpn
    other:
      <<: *sleeper
      depends_on: [vpn]
    hog:
      image: busybox:demo
      command: sh -c 'until test -f /tmp/hog; do sleep 0.1; done; rm /tmp/hog; exec tail /dev/zero'
      mem_limit: 16m
      stop_signal: SIGKILL
      restart: always
    weak:
      image: busybox:demo
      command: sh -c 'touch /tmp/well; trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      restart: always
      healthcheck: {{test: test -f /tmp/well, interval: 1s, retries: 1}}
"""
RULES = {
    "exit": {"restart.immediate", "restart.backoff", "restart.crash-loop"},
    "oom": {"restart.immediate", "restart.backoff", "restart.out-of-memory"},
    "unhealthy": {"heal.restart"},
    "relink": {"relink.net"},
    "manual": {"ask.restart"},
}
"""Which decisions may lead to a restart for this reason."""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """What is decided does not depend on the engine: the newest will do."""
    with Bed() as bed:
        host = Host(bed, engines.system_version(), "")
        runtime: tuple[str, ...] = ()
        if lacking := capabilities.missing():
            wrapper = bed.dir / "runc-caps"
            capabilities.write_wrapper(wrapper, host.binaries.runc, lacking)
            runtime = ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")
        docker = system_docker(bed.dir, bed.cgroup, host.binaries.path, runtime)
        host.config.write_text(CONFIG.format(docker=docker))
        images.busybox_tar(host.images / "images.tar.gz")
        host.boot()
        host.wait_up()
        yield host
        assert host.end() == 0
    assert traces(bed.ident) == []


def execute(host: Host, name: str, *command: str) -> None:
    _, made = host.docker.post(f"/containers/{name}/exec", {"Cmd": list(command)})
    host.docker.raw("POST", f"/exec/{made['Id']}/start", {})


def crash(host: Host) -> None:
    host.bed.run(["kill", "-KILL", str(host.docker.inspect("other")["State"]["Pid"])])


def docker_kill(host: Host) -> None:
    host.docker.post("/containers/other/kill")


def oom(host: Host) -> None:
    execute(host, "hog", "touch", "/tmp/hog")


def sicken(host: Host) -> None:
    execute(host, "weak", "rm", "/tmp/well")


def lose_parent(host: Host) -> None:
    host.docker.post("/containers/vpn/kill")


def ask(host: Host) -> None:
    assert host.cli("restart", "other").returncode == 0


TROUBLE: tuple[tuple[Callable[[Host], None], tuple[str, ...]], ...] = (
    (crash, ("other",)),
    (oom, ("hog",)),
    (sicken, ("weak",)),
    (lose_parent, ("vpn", "app")),
    (ask, ("other",)),
    (docker_kill, ("other",)),
    (lose_parent, ("vpn", "app")),
)
"""What befalls the host, and who is restarted for it."""


def counts(units: Units) -> dict[str, int]:
    return {name: unit["restarts"] for name, unit in units.items()}


def befall(host: Host, trouble: Callable[[Host], None], names: tuple[str, ...]) -> None:
    before = counts(host.units())
    trouble(host)
    host.wait(
        f"{names} restarted and well after {trouble.__name__}",
        lambda units: all(
            units[name]["restarts"] == before[name] + (name in names) and units[name]["state"] == "ready"
            for name in units
        ),
    )


def records(host: Host) -> list[dict[str, Any]]:
    return [json.loads(line) for line in host.cli("events", "--json").stdout.splitlines()]


def judge(host: Host) -> list[dict[str, Any]]:
    """Each restart that was counted names a decision of its own; the decisions that led to them."""
    told = records(host)
    decisions = {one["seq"]: one for one in told if one["event"] == "unit.decision"}
    restarts = [one for one in told if one["event"] == "unit.transition" and one.get("restart")]
    numbers = [one["decision"] for one in restarts]
    assert len(numbers) == len(set(numbers)) == sum(counts(host.units()).values())
    for one in restarts:
        decision = decisions[one["decision"]]
        assert (decision["unit"], decision["restart"]) == (one["unit"], one["restart"]), (decision, one)
        assert decision["rule"] in RULES[one["restart"]], decision
        assert decision["seq"] < one["seq"]
    return [decisions[number] for number in numbers]


@pytest.mark.long
def test_each_restart_has_exactly_one_decision(host: Host) -> None:
    """Killed, killed through the engine, out of memory, unhealthy, without its network, asked: by the counters, too."""
    before = len(judge(host))
    for trouble, names in TROUBLE:
        befall(host, trouble, names)
    origins = judge(host)
    assert len(origins) - before == sum(len(names) for _, names in TROUBLE)
    assert {one["restart"] for one in origins} == set(RULES)
    page = host.get("/metrics")
    counted = [line for line in page.splitlines() if line.startswith("dockwarden_unit_restarts_total{")]
    assert sum(float(line.split()[-1]) for line in counted) == len(origins)


def test_why_crosses_units_and_outlives_the_supervisor(host: Host) -> None:
    """After kill -9 and adoption the chain still begins with the other one's fall, and what comes after joins it."""
    befall(host, lose_parent, ("vpn", "app"))
    chain = json.loads(host.cli("why", "app", "--json").stdout)["chain"]
    assert any(one.get("rule") == "relink.net" and one["inputs"]["tie"] == "net of vpn" for one in chain)
    before = records(host)
    # The file lags a moment behind: wait until it has the last record.
    file = host.dir / "state" / "records"
    host.wait("records are written", lambda _: f'"seq":{before[-1]["seq"]},' in file.read_text())
    restarts = counts(host.units())
    # The file has System Docker, too.
    host.wait_until_kept("counters", lambda units: counts(units).items() >= restarts.items())
    host.kill9()
    host.boot()
    host.wait_up()
    befall(host, lose_parent, ("vpn", "app"))
    judge(host)
    after = records(host)
    assert after[: len(before)] == before
    told = host.cli("why", "app", "--json", "--since", "1d")
    rules = [one.get("rule") or one["event"] for one in json.loads(told.stdout)["chain"]]
    assert rules.count("relink.net") == sum(one.get("rule") == "relink.net" for one in after) >= 2
    assert rules.count("supervisor.started") == 2
    assert "did not end by itself" in host.cli("why", "app", "--since", "1d").stdout
    chart = json.loads(host.cli("plot", "--json").stdout)
    assert {unit["unit"]: unit["found"] for unit in chart["units"]} == dict.fromkeys(host.units(), True)
