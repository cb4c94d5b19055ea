"""``dockwarden watch`` on real engines: who holds on to what is over reaches it again, and nobody else is touched."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bed import compose as compose_programs
from tests.bed.bed import Bed
from tests.bed.leftovers import traces
from tests.boot.host import Units
from tests.boot.watched import IMAGE, LIVES, SERVES, WatchedHost
from tests.long import long_but, named

Shares = dict[str, Any]


@pytest.fixture(scope="module")
def engine_host(engine_version: str) -> Iterator[WatchedHost]:
    with Bed() as bed:
        yield WatchedHost(bed, engine_version)
    assert traces(bed.ident) == []


@pytest.fixture
def host(engine_host: WatchedHost) -> Iterator[WatchedHost]:
    """An engine without containers, and no watch yet."""
    engine_host.log.clear()
    yield engine_host
    if engine_host.process is not None and engine_host.process.poll() is None:
        assert engine_host.end() == 0
    for row in engine_host.docker.get("/containers/json?all=1")[1]:
        engine_host.docker.delete(f"/containers/{row['Id']}?force=1&v=1")


def crash(host: WatchedHost, name: str) -> None:
    """It dies, and its engine's restart policy, if it has one, brings it back."""
    host.bed.run(["kill", "-KILL", str(host.docker.inspect(name)["State"]["Pid"])])


def killed(host: WatchedHost, name: str) -> None:
    """Killed through the engine, and started by a person."""
    host.docker.post(f"/containers/{name}/kill")
    host.docker.post(f"/containers/{name}/wait")
    host.docker.post(f"/containers/{name}/start")


def restarted(host: WatchedHost, name: str) -> None:
    host.docker.post(f"/containers/{name}/restart?t=3")


def recreated(host: WatchedHost, name: str) -> None:
    """As everybody does it: removed, and made with the same command."""
    found = host.docker.inspect(name)
    host.docker.delete(f"/containers/{name}?force=1")
    config, policy = found["Config"], found["HostConfig"]["RestartPolicy"]
    host.make(name, config["Cmd"][2], Labels=config["Labels"], HostConfig={"RestartPolicy": policy})


def replaced(host: WatchedHost, name: str) -> None:
    """As Portainer's "Recreate" does it: the old one is renamed, and removed when the new one runs."""
    found = host.docker.inspect(name)
    host.docker.post(f"/containers/{name}/stop?t=1")
    host.docker.post(f"/containers/{name}/rename?name={name}-old")
    config, policy = found["Config"], found["HostConfig"]["RestartPolicy"]
    host.make(name, config["Cmd"][2], Labels=config["Labels"], HostConfig={"RestartPolicy": policy})
    host.docker.delete(f"/containers/{name}-old?force=1")


CAUSES = [killed, restarted, recreated, replaced]


def owner(host: WatchedHost) -> None:
    host.make("vpn", SERVES, HostConfig={"RestartPolicy": {"Name": "always"}})


def sees_owner(host: WatchedHost) -> bool:
    """In the pid namespace of the owner one sees its server."""
    return "httpd" in host.execute("app", "ps")


KINDS: dict[str, tuple[Shares, Callable[[WatchedHost], bool]]] = {
    "net": ({"NetworkMode": "container:vpn"}, lambda host: host.reaches("app")),
    "pid": ({"PidMode": "container:vpn"}, sees_owner),
}


@pytest.mark.parametrize("cause", long_but(replaced, values=CAUSES), ids=named)
@pytest.mark.parametrize("kind", KINDS)
def test_who_shares_is_brought_back(host: WatchedHost, kind: str, cause: Callable[[WatchedHost, str], None]) -> None:
    """Once for each cause, and it really gets through."""
    shares, well = KINDS[kind]
    owner(host)
    host.make("app", HostConfig=shares)
    host.watch()
    host.wait_up("vpn", "app")
    assert well(host)
    cause(host, "vpn")
    host.wait("app is back", lambda units: units["app"]["restarts"] >= 1 and units["app"]["state"] == "ready")
    assert well(host)
    assert host.units()["app"]["restarts"] == 1
    line = host.told("unit.transition", unit="app", restart="relink")
    assert len(line) == 1


def test_a_crash_that_the_engine_answers(host: WatchedHost) -> None:
    """The owner's restart policy does its work; who lived in its network is started again after it."""
    owner(host)
    host.make("app", HostConfig={"NetworkMode": "container:vpn"})
    host.watch()
    host.wait_up("vpn", "app")
    crash(host, "vpn")
    host.wait("app is back", lambda units: units["app"]["restarts"] == 1 and units["app"]["state"] == "ready")
    assert host.reaches("app")
    assert host.docker.inspect("vpn")["RestartCount"] == 1


def test_what_does_not_ask_is_not_touched(host: WatchedHost) -> None:
    owner(host)
    quiet = host.make("quiet", wants=False, HostConfig={"NetworkMode": "container:vpn"})
    host.make("app", HostConfig={"NetworkMode": "container:vpn"})
    host.watch()
    host.wait_up("vpn", "app", "quiet")
    started = host.docker.inspect("quiet")["State"]["StartedAt"]
    recreated(host, "vpn")
    host.wait("app is back", lambda units: units["app"]["restarts"] == 1 and units["app"]["state"] == "ready")
    found = host.docker.inspect("quiet")
    assert (found["Id"], found["State"]["StartedAt"]) == (quiet, started)


@pytest.mark.long
@pytest.mark.parametrize("cause", [recreated, replaced], ids=named)
def test_a_legacy_link_follows(host: WatchedHost, cause: Callable[[WatchedHost, str], None]) -> None:
    """Its container is made anew, and linked to the new one under the alias of before."""
    owner(host)
    app = host.make("app", HostConfig={"Links": ["vpn:tunnel"]})
    host.watch()
    host.wait_up("vpn", "app")
    cause(host, "vpn")
    host.wait("app is back", lambda units: units["app"]["restarts"] == 1 and units["app"]["state"] == "ready")
    found = host.docker.inspect("app")
    assert found["Id"] != app
    assert found["HostConfig"]["Links"] == ["/vpn:/app/tunnel"]


@pytest.mark.long
def test_a_paused_container_is_left_paused(host: WatchedHost) -> None:
    """Also one that is found paused and unhealthy; when it goes on, its next check decides."""
    check = {"Test": ["CMD-SHELL", "test -f /tmp/well"], "Interval": 10**9, "Timeout": 10**9, "Retries": 1}
    host.make("web", "touch /tmp/well; while :; do sleep 1; done", Healthcheck=check)
    host.watch()
    host.wait("web is healthy", lambda units: units["web"]["health"] == "healthy")
    started = host.docker.inspect("web")["State"]["StartedAt"]
    host.docker.post("/containers/web/pause")
    host.wait("it is seen", lambda units: units["web"]["state"] == "paused")
    host.kill9()
    host.watch()
    host.wait("it is found", lambda units: units["web"]["state"] == "paused")
    host.docker.post("/containers/web/unpause")
    host.wait("it goes on", lambda units: units["web"]["state"] == "ready")
    assert host.docker.inspect("web")["State"]["StartedAt"] == started
    host.docker.post("/containers/web/pause")
    host.wait("it is seen again", lambda units: units["web"]["state"] == "paused")
    assert host.cli("stop", "web", check=True).returncode == 0
    assert host.docker.inspect("web")["State"]["Running"] is False


def test_a_dry_run_says_and_does_nothing(host: WatchedHost) -> None:
    owner(host)
    app = host.make("app", HostConfig={"NetworkMode": "container:vpn"})
    host.watch("--dry-run")
    host.wait_up("vpn", "app")
    recreated(host, "vpn")
    line = host.wait_for_line("what would be done", lambda line: line.get("event") == "dry-run.would")
    assert (line["unit"], line["what"]) == ("app", "would recreate it")
    assert host.docker.inspect("app")["Id"] == app


def test_what_went_stale_while_nobody_watched_is_healed(host: WatchedHost) -> None:
    """Also when the owner's container is another one: whose it was is kept over our own absence."""
    owner(host)
    host.make("app", HostConfig={"NetworkMode": "container:vpn"})
    ident = host.docker.inspect("vpn")["Id"]
    host.watch()
    host.wait_up("vpn", "app")
    path = host.dir / "state/names.json"
    host.wait("the names are kept", lambda _: path.exists() and ident in path.read_text())
    host.kill9()
    recreated(host, "vpn")
    assert not host.reaches("app")
    host.log.clear()
    host.watch()
    host.wait("app is back", lambda units: units["app"]["restarts"] == 1 and units["app"]["state"] == "ready")
    assert host.reaches("app")


@pytest.mark.long
def test_a_chain_goes_in_order_and_each_once(host: WatchedHost) -> None:
    """Five, by three kinds of ties; one cause for all."""
    owner(host)
    host.make("bb", HostConfig={"NetworkMode": "container:vpn"})
    host.make("cc", HostConfig={"PidMode": "container:bb"})
    host.make("dd", HostConfig={"PidMode": "container:cc"})
    host.make("ee", HostConfig={"NetworkMode": "container:vpn", "PidMode": "container:dd"})
    host.watch()
    names = ("bb", "cc", "dd", "ee")
    host.wait_up("vpn", *names)
    restarted(host, "vpn")
    host.wait(
        "all are back", lambda units: all((units[n]["restarts"], units[n]["state"]) == (1, "ready") for n in names)
    )
    assert host.reaches("ee")
    causes = {line["cause"] for line in host.told("unit.transition", restart="relink")}
    assert len(causes) == 1


SICK = {"Test": ["CMD", "test", "-f", "/tmp/well"], "Interval": 200_000_000, "Retries": 1, "StartPeriod": 0}


def test_an_unhealthy_container_is_restarted(host: WatchedHost) -> None:
    """By autoheal's label, with autoheal's own stop timeout, within its engine's one call."""
    host.make("web", f"touch /tmp/well; {LIVES}", wants=False, Labels={"autoheal": "true"}, Healthcheck=SICK)
    host.watch(env={"AUTOHEAL_DEFAULT_STOP_TIMEOUT": "2"})
    host.wait_up("web")
    host.execute("web", "rm", "/tmp/well")
    host.wait("web is well again", lambda units: units["web"]["restarts"] == 1 and units["web"]["state"] == "ready")
    assert "unhealthy: HEALTHCHECK failed" in host.cli("why", "web").stdout


def test_labels_that_make_no_sense_are_named_and_the_container_is_watched(host: WatchedHost) -> None:
    host.make("web", Labels={"dockwarden.health.action": "resart", "dockwarden.stop.timeout": "soon"})
    host.watch()
    host.wait_up("web")
    for label, problem in (
        ("health.action", "'resart': expected restart,"),
        ("stop.timeout", "'soon': expected a dur"),
    ):
        line = host.wait_for_line(label, partial(_names, f"dockwarden.{label}"))
        assert line["problem"].startswith(problem)
    assert len(host.told("label.ignored")) == 2


def _names(label: str, line: dict[str, Any]) -> bool:
    return line.get("label") == label


def test_it_ends_without_touching_anything(host: WatchedHost) -> None:
    host.make("web")
    host.watch()
    host.wait_up("web")
    started = host.docker.inspect("web")["State"]["StartedAt"]
    assert host.end() == 0
    assert (
        host.docker.inspect("web")["State"] | {"StartedAt": started, "Running": True}
        == host.docker.inspect("web")["State"]
    )


def test_a_start_that_its_engine_gave_up_is_made_up_for(host: WatchedHost) -> None:
    """An owner that is down when its engine tries keeps a container down for good; it comes back with its owner."""
    owner(host)
    host.make("app", HostConfig={"NetworkMode": "container:vpn", "RestartPolicy": {"Name": "always"}})
    host.watch()
    host.wait_up("vpn", "app")
    host.docker.post("/containers/vpn/stop?t=1")
    host.wait("vpn is down", lambda units: units["vpn"]["state"] == "inactive")
    crash(host, "app")
    host.wait("app is down", lambda units: units["app"]["state"] == "inactive")
    host.docker.post("/containers/vpn/start")
    host.wait("app is back", lambda units: units["app"]["state"] == "ready")
    assert host.reaches("app")


COMPOSE = """
version: "2.4"
services:
  vpn:
    image: {image}
    command: {serves}
    labels: {{dockwarden.enable: "true", generation: "{generation}"}}
  app:
    image: {image}
    command: {lives}
    network_mode: service:vpn
    labels: {{dockwarden.enable: "true"}}
  other:
    image: {image}
    command: {lives}
    labels: {{dockwarden.enable: "true"}}
"""


NO_RECREATE = "this docker-compose (1.29) cannot make anything anew on engines that have dropped ContainerConfig"


class Compose:
    """A project, and a real docker-compose."""

    def __init__(self, host: WatchedHost, program: Path) -> None:
        self.host = host
        self.program = program
        self.dir = host.dir / "project"
        self.dir.mkdir(exist_ok=True)

    def write(self, generation: int) -> None:
        words = {
            "serves": json.dumps(["sh", "-c", SERVES.replace("$", "$$")]),
            "lives": json.dumps(["sh", "-c", LIVES.replace("$", "$$")]),
        }
        text = COMPOSE.format(image=IMAGE, generation=generation, **words)
        (self.dir / "docker-compose.yml").write_text(text)

    def begin(self, *names: str) -> str:
        """Bring it up under a watch; the id of the container that nothing shall befall."""
        self.write(1)
        self("up", "-d")
        self.host.watch()
        self.host.wait_up(*names)
        *_, app, other = names
        assert self.host.reaches(app)
        return str(self.host.docker.inspect(other)["Id"])

    def __call__(self, *words: str) -> str:
        env = {"DOCKER_HOST": f"unix://{self.host.socket}", "PATH": os.environ["PATH"], "HOME": str(self.dir)}
        done = subprocess.run(
            [self.program, *words],
            cwd=self.dir,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def compose(host: WatchedHost) -> Compose:
    """1.29, where it is Debian's."""
    if not compose_programs.own_version().startswith("1."):
        pytest.skip("docker-compose 1.29 is in Debian 12 only")
    return Compose(host, compose_programs.OWN)


@pytest.mark.parametrize("version", long_but(values=compose_programs.SUITES))
def test_a_project_of_compose_v2(host: WatchedHost, version: str) -> None:
    """Whatever it makes anew and whatever it leaves behind: all are together again, and it finds nothing to do."""
    compose = Compose(host, compose_programs.program(version))
    names = ("project-vpn-1", "project-app-1", "project-other-1")
    other = compose.begin(*names)
    compose.write(2)
    compose("up", "-d")
    host.wait("app is with the new vpn", lambda units: well(units, names) and host.reaches("project-app-1"))
    assert "Recreate" not in compose("up", "-d")
    assert host.docker.inspect("project-other-1")["Id"] == other
    compose("rm", "--stop", "--force", "vpn")
    compose("up", "-d", "--no-deps", "vpn")
    host.wait("app is with the newest vpn", lambda units: well(units, names) and host.reaches("project-app-1"))
    assert len(re.findall("^[0-9a-f]{64}$", compose("ps", "-q"), re.MULTILINE)) == 3
    assert host.docker.inspect("project-other-1")["Id"] == other


def well(units: Units, names: Iterable[str]) -> bool:
    return all(name in units and units[name]["state"] == "ready" for name in names)


@pytest.mark.long
@pytest.mark.every_engine  # On one of them it is skipped.
def test_a_project_whose_compose_recreates_the_owner(host: WatchedHost, compose: Compose) -> None:
    """``up -d`` makes the owner anew and calls its friend up to date, which it is not. We wait till it is through."""
    if host.engine.version != "20.10":
        pytest.skip(NO_RECREATE)
    names = ("project_vpn_1", "project_app_1", "project_other_1")
    other = compose.begin(*names)
    compose.write(2)
    assert "project_app_1 is up-to-date" in compose("up", "-d")
    assert host.told("container.recreated") == []
    assert not host.reaches("project_app_1")
    host.wait_for_line("app is made anew", lambda line: line.get("event") == "container.recreated")
    host.wait_up(*names)
    assert host.reaches("project_app_1")
    assert "Recreating" not in compose("up", "-d")
    assert host.docker.inspect("project_other_1")["Id"] == other


@pytest.mark.long
def test_a_service_that_its_compose_recreates_alone(host: WatchedHost, compose: Compose) -> None:
    """``rm`` and ``up --no-deps`` leave the friend behind; we make it anew, and Compose knows it as its own."""
    compose.begin("project_vpn_1", "project_app_1", "project_other_1")
    compose("rm", "--stop", "--force", "vpn")
    compose("up", "-d", "--no-deps", "vpn")
    host.wait(
        "app is back",
        lambda units: units["project_app_1"]["restarts"] >= 1 and units["project_app_1"]["state"] == "ready",
    )
    assert host.reaches("project_app_1")
    # It is told when the old one is gone, which is after the new one runs.
    host.wait_for_line("app was made anew", lambda line: line.get("event") == "container.recreated")
    assert [line["name"] for line in host.told("container.recreated")] == ["project_app_1"]
    assert len(json.loads(json.dumps(compose("ps", "-q").split()))) == 3
