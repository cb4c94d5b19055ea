"""Consoles, storage contexts and user Docker on real engines: each claim seen from outside."""

import json
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import engines, images
from tests.bed.bed import Bed
from tests.bed.http import Docker, demultiplexed
from tests.bed.inside import BedError
from tests.bed.leftovers import traces
from tests.boot.consoles import console_host, user_docker, user_socket
from tests.boot.host import Host, Units
from tests.long import long_but
from units.switch.record import SwitchStep

VERSION = engines.system_version()
WORK = ["sh", "-c", 'trap "exit 0" TERM; while :; do sleep 60 & wait $!; done']
STEPS = [step.value for step in SwitchStep if step not in {SwitchStep.REVERTING, SwitchStep.RESTORING}]


@pytest.fixture
def host(engine_version: str) -> Iterator[Host]:
    """System Docker is each engine in turn; user Docker is the machine's own."""
    with Bed() as bed:
        host = console_host(bed, engine_version)
        host.boot()
        host.wait("console and user Docker up", settled)
        yield host
    assert traces(bed.ident) == []


def settled(units: Units) -> bool:
    return {units["console"]["state"], units["user-docker"]["state"]} == {"ready"}


def status(host: Host) -> dict[str, object]:
    found: dict[str, object] = json.loads(host.cli("status", "--json", check=True).stdout)
    return found


def switch(host: Host, what: str, name: str, *options: str) -> str:
    done = host.cli(what, "switch", name, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def foo(host: Host) -> str:
    """What a container of the user sees of the context's /foo."""
    docker = user_docker(host)
    docker.run("look", "busybox:demo", {"Cmd": ["cat", "/foo/who"], "HostConfig": {"Binds": ["/foo:/foo"]}})
    assert docker.wait("look") == 0
    said = docker.logs("look")
    docker.delete("/containers/look?force=1")
    return said


def load_image(host: Host) -> None:
    user_docker(host).load(images.busybox_tar(host.dir / "user.tar"))


def consoles(host: Host) -> dict[str, bool]:
    """Every console's container by name, and whether it runs."""
    return {name: seen["running"] for name, seen in host.containers().items() if name.endswith("console")}


def running(host: Host) -> list[str]:
    return [name for name, runs in consoles(host).items() if runs]


def user_engines(host: Host) -> list[str]:
    return [line for line in host.processes() if "/vld" not in line and "dockerd --storage-driver" in line]


def assert_whole(host: Host) -> None:
    """One console, the one that the choice says, user Docker in it, and no second engine."""
    host.wait("console and user Docker up", settled)
    said = status(host)["console"]
    assert isinstance(said, dict)
    assert said["current"] == said["enabled"] in {"default", "other"}
    assert running(host) == [{"default": "console", "other": "other-console"}[said["current"]]]
    assert len(user_engines(host)) == 1
    assert foo(host) == said["current"]


def test_what_the_user_sees_follows_console_and_context(host: Host) -> None:
    """A volume of the user shows the context's files; what should run again does, what a person stopped does not."""
    load_image(host)
    docker = user_docker(host)
    for name, policy in (("always", "always"), ("stopped", "unless-stopped"), ("once", "no")):
        docker.run(name, "busybox:demo", {"Cmd": WORK, "HostConfig": {"RestartPolicy": {"Name": policy}}})
    docker.post("/containers/stopped/stop")
    assert foo(host) == "default"
    switch(host, "storage", "gluster")
    assert foo(host) == "gluster"
    switch(host, "console", "other")
    assert foo(host) == "gluster"
    switch(host, "storage", "console")
    assert foo(host) == "other"
    runs = {name: docker.inspect(name)["State"]["Running"] for name in ("always", "stopped", "once")}
    assert runs == {"always": True, "stopped": False, "once": False}
    switch(host, "console", "default")
    assert_whole(host)
    assert docker.inspect("always")["State"]["Running"]


def test_the_user_s_socket_and_mounts_are_as_people_know_them(host: Host) -> None:
    """Group docker may use the socket; what is mounted below /mnt of the context is seen by a container that runs."""
    seen = user_socket(host).stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (0, 999, 0o660)
    load_image(host)
    docker = user_docker(host)
    docker.run("long", "busybox:demo", {"Cmd": WORK, "HostConfig": {"Binds": ["/mnt:/mnt:rslave"]}})
    mount = "mkdir -p /mnt/late && mount -t tmpfs none /mnt/late && echo seen >/mnt/late/file"
    run_in(host.docker, "console", "sh", "-c", mount)
    assert run_in(docker, "long", "cat", "/mnt/late/file").strip() == "seen"
    run_in(host.docker, "console", "umount", "/mnt/late")


def run_in(docker: Docker, container: str, *command: str) -> str:
    """``docker exec``, to its end."""
    asked = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
    _, made = docker.post(f"/containers/{container}/exec", asked)
    _, answer = docker.raw("POST", f"/exec/{made['Id']}/start", {})
    _, end = docker.get(f"/exec/{made['Id']}/json")
    said = demultiplexed(answer).decode()
    assert end["ExitCode"] == 0, said
    return said


@pytest.mark.long
def test_a_persistent_console_is_found_as_it_was_left(host: Host) -> None:
    """And an ephemeral one is not: the first keeps its container and its files, the second is made anew."""
    switch(host, "console", "other")
    left = host.containers()["other-console"]["id"]
    host.docker.post("/containers/other-console/exec", {})
    first = host.containers()["console"]["id"]
    switch(host, "console", "default")
    switch(host, "console", "other")
    now = host.containers()
    assert now["other-console"]["id"] == left
    assert now["console"]["id"] != first
    host.kill9()
    host.boot()
    host.wait("up again", settled)
    assert host.containers()["other-console"]["id"] == left
    assert host.cli("console", "current").stdout.strip() == "other"


@pytest.mark.long
def test_a_console_is_made_anew_when_asked(host: Host) -> None:
    """In a new container with a new file system; the old one is gone only then."""
    switch(host, "console", "other")
    old = host.containers()["other-console"]["id"]
    done = host.cli("console", "recreate")
    assert done.returncode == 0, done.stderr
    assert host.containers()["other-console"]["id"] != old
    host.wait(
        "the old one is gone",
        lambda units: (
            settled(units) and [name for name in host.containers() if "other-console" in name] == ["other-console"]
        ),
    )


@pytest.mark.long
def test_a_changed_or_missing_definition_takes_no_console_away(host: Host) -> None:
    """A changed one shows as dirty, a missing one is no change: the container is the same, and runs on."""
    load_image(host)
    switch(host, "console", "other")
    kept = host.containers()["other-console"]
    text = host.config.read_text()
    host.config.write_text(text.replace("io.rancher.os.console: other", "changed: yes, io.rancher.os.console: other"))
    host.kill9()
    host.boot()
    host.wait("up", settled)
    assert host.containers()["other-console"] == kept
    assert "definition changed" in host.cli("console", "list").stdout
    start, end = text.index("    other-console:"), text.index("    broken-console:")
    host.config.write_text(text[:start] + text[end:])
    host.kill9()
    host.boot()
    host.wait("up", settled)
    assert host.containers()["other-console"] == kept
    assert host.cli("console", "current").stdout.strip() == "other"


def test_a_chosen_console_that_does_not_run_lets_default_in(host: Host) -> None:
    """Nobody is locked out; the choice stays what it was, and the log says what happened."""
    assert host.cli("console", "enable", "broken").returncode == 0
    assert host.end() == 0
    host.boot()
    notice = host.wait_for_line("told", lambda line: line["event"] == "supervisor.notice")
    assert "switching to the console default" in notice["reason"]
    host.wait("up", lambda units: settled(units) and running(host) == ["console"])
    said = status(host)["console"]
    assert isinstance(said, dict)
    assert (said["current"], said["enabled"]) == ("default", "broken")


@pytest.mark.long
def test_a_console_that_falls_over_changes_nothing(host: Host) -> None:
    """The old one is back and serves; the answer says why; so does the metric."""
    load_image(host)
    refused = host.cli("console", "switch", "broken")
    assert refused.returncode == 1
    assert "the console default was restored" in refused.stderr
    assert "exit code 1" in refused.stderr
    assert_whole(host)
    page = host.get("/metrics")
    assert 'dockwarden_switches_total{of="console",result="rolled-back"} 1.0' in page
    assert "dockwarden_user_docker_up 1.0" in page
    assert host.containers()["broken-console"]["running"] is False


@pytest.mark.parametrize("step", long_but("draining", values=STEPS))
def test_a_supervisor_killed_at_any_step_leaves_a_whole_host(host: Host, step: str) -> None:
    """The next one brings up the old console or the new one, and user Docker in it."""
    load_image(host)
    switch(host, "console", "other")
    switch(host, "console", "default")
    kept = host.containers()["other-console"]["id"]
    begun, reached = len(host.log), {"event": "switch.step", "step": step, "target": "other"}
    host.cli("console", "switch", "other", "--no-wait")
    host.wait_for_line(f"step {step}", lambda line: reached.items() <= line.items(), since=begun)
    host.kill9()
    host.boot()
    assert_whole(host)
    assert host.containers()["other-console"]["id"] == kept


def test_only_one_switch_at_a_time_and_nothing_else_in_between(host: Host) -> None:
    """The second one, and a person's stop, are told which switch is under way."""
    host.cli("console", "switch", "other", "--no-wait")
    second = host.cli("storage", "switch", "gluster")
    if "under way" not in second.stderr:
        pytest.skip("the first one was over already")
    assert "a switch of the console from default to other" in second.stderr
    host.wait_for_line("its end", lambda line: line["event"] == "switch.ended" and line["result"] == "done")
    unknown = host.cli("console", "switch", "nix")
    assert "there are: broken, default, other" in unknown.stderr
    bad = host.cli("storage", "switch", "plain")
    assert "set privileged: true" in bad.stderr
    assert "nothing was changed" in bad.stderr
    none = host.cli("engine", "switch", "nix")
    assert "there is no engine 'nix'" in none.stderr


@pytest.mark.long
def test_somebody_in_the_console_is_not_thrown_out_unasked(host: Host) -> None:
    """A switch names who works there, and goes on with --force."""
    _, made = host.docker.post("/containers/console/exec", {"Cmd": ["sleep", "600"], "Tty": True, "AttachStdin": True})
    host.docker.post(f"/exec/{made['Id']}/start", {"Detach": True, "Tty": True})
    refused = host.cli("console", "switch", "other")
    assert refused.returncode == 1
    assert "users are logged in to the console (sleep, pid" in refused.stderr
    switch(host, "console", "other", "--force")


FAKES = {
    "crashing": ("echo no such flag >&2; exit 2", "refused"),
    "hanging": ("exec sleep 600", "refused"),
    "lying": ('[ "$1" = --version ] && exit 0; echo "unknown flag: $1" >&2; exit 125', "rolled-back"),
}


@pytest.mark.parametrize("name", long_but("lying", values=FAKES))
def test_an_engine_that_does_not_serve_changes_nothing(host: Host, name: str) -> None:
    """Refused before anything stops where that can be found out; else the engine of before serves again."""
    load_image(host)
    script, result = FAKES[name]
    program = host.dir / "engines" / name / "bin" / "dockerd"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    assert "there is no engine" in host.cli("engine", "switch", name).stderr  # It is not executable yet.
    program.chmod(0o755)
    said = host.cli("engine", "switch", name)
    assert said.returncode == 1
    assert ("was restored" in said.stderr) is (result == "rolled-back")
    assert {"crashing": "no such flag", "hanging": "timed out after 5 s", "lying": "unknown flag"}[name] in said.stderr
    assert_whole(host)


@pytest.mark.long
def test_user_docker_follows_its_context_once(host: Host) -> None:
    """A console that was killed, and one that was made anew, is the one that user Docker then runs in."""
    load_image(host)
    host.docker.post("/containers/console/kill")
    followed = {"event": "unit.transition", "restart": "context", "unit": "user-docker"}
    host.wait_for_line("it followed", lambda line: followed.items() <= line.items())
    host.wait("serving", settled)
    assert foo(host) == "default"
    host.docker.delete("/containers/console?force=1")
    host.wait("twice", lambda units: units["user-docker"]["restarts"] == 2 and settled(units))
    assert foo(host) == "default"
    assert_whole(host)


def test_user_docker_outlives_supervisor_and_engine(host: Host) -> None:
    """The next supervisor adopts it, a crash of System Docker leaves it alone, and after its own it is back."""
    pid = user_engines(host)[0].split()[0]
    host.kill9()
    host.boot()
    host.wait("adopted", settled)
    assert user_engines(host)[0].split()[0] == pid
    host.bed.run(["/bin/busybox", "kill", "-9", str(host.engine_pid())])
    host.wait_for_line("the engine is back", lambda line: line["event"] == "system_docker.lost")
    host.wait("up", settled)
    assert user_engines(host)[0].split()[0] == pid
    host.bed.run(["/bin/busybox", "kill", "-9", pid])
    host.wait("back", lambda units: units["user-docker"]["restarts"] == 1 and settled(units))
    host.kill9()
    host.boot()
    host.wait("adopted again", settled)
    said = status(host)["user_docker"]
    assert isinstance(said, dict)
    assert said["exit_code"] in {-signal.SIGKILL, None}
    assert len(said["output"]) == 20


@pytest.mark.long
def test_only_who_has_a_certificate_gets_in_over_tls() -> None:
    """And a key that is not the certificate's keeps user Docker down, with a sentence that says so."""
    with Bed() as bed:
        host = console_host(bed, VERSION)
        text = host.config.read_text().replace("  docker:\n", "  docker:\n    tls: true\n", 1)
        host.config.write_text(text)
        host.boot()
        host.wait("up", settled)
        kept, client = host.dir / "state" / "tls", host.dir / "client"
        made = host.cli("tls", "generate", "--ca-dir", str(kept), "--dir", str(client))
        assert made.returncode == 0, made.stderr
        docker = engines.program("docker")
        ask = [docker, "-H", "tcp://127.0.0.1:2376", "--tlsverify", "--tlscacert", str(client / "ca.pem")]
        mine = ["--tlscert", str(client / "cert.pem"), "--tlskey", str(client / "key.pem")]
        assert "Server Version" in host.inside(*ask, *mine, "info")
        assert host.process is not None
        assert "cryptography" not in Path(f"/proc/{host.process.outer_pid}/maps").read_text(), "10 MB for months"
        with pytest.raises(BedError, match="certificate"):
            host.inside(*ask, "info")
        bad = {"ca_cert": (kept / "ca.pem").read_text(), "server_cert": (kept / "server-cert.pem").read_text()}
        bad["server_key"] = (client / "key.pem").read_text()
        host.config.write_text(text.replace("    tls: true\n", f"    tls: true\n    <<: {json.dumps(bad)}\n", 1))
        assert host.end() == 0
        host.boot()
        units = host.wait("it stays down", lambda units: units["user-docker"]["state"] == "failed")
        assert "rancher.docker.server_key: does not belong to" in units["user-docker"]["reason"]


@pytest.mark.long
def test_user_docker_comes_and_goes_with_the_configuration(engine_version: str) -> None:
    """Read again, the configuration wants a user Docker, and then none; wrong options show its own last words."""
    with Bed() as bed:
        host = console_host(bed, engine_version)
        text = host.config.read_text()
        start, end = text.index("  docker:"), text.index("  services:")
        without = text[:start] + text[end:]
        host.config.write_text(without)
        host.boot()
        host.wait_up("console")
        assert host.process is not None
        host.config.write_text(text)
        host.process.send_signal(signal.SIGHUP)
        host.wait("it came", lambda units: "user-docker" in units and settled(units))
        assert "API listen on" in host.cli("logs", "user-docker").stdout
        host.config.write_text(text.replace("--userland-proxy=false", "--no-such-option"))
        host.process.send_signal(signal.SIGHUP)
        units = host.wait("it fails", lambda units: units["user-docker"]["state"] == "crash-loop")
        assert "no-such-option" in units["user-docker"]["reason"]
        host.config.write_text(without)
        host.process.send_signal(signal.SIGHUP)
        host.wait("it went", lambda units: units["user-docker"]["state"] == "inactive")
        assert host.end() == 0


REPLACED = re.compile("[0-9a-f]{12}_")


def at_rest(host: Host) -> bool:
    """No container that was replaced is left, and each process that holds a container has one that runs."""
    containers = host.containers()
    shims = [line for line in host.processes() if "containerd-shim" in line]
    return not any(map(REPLACED.match, containers)) and len(shims) == sum(one["running"] for one in containers.values())


@pytest.mark.long
def test_nothing_leaks(host: Host, pytestconfig: pytest.Config) -> None:
    """Sixteen switches leave the same mounts, processes and containers; fifty in the long run."""

    def counted() -> tuple[int, int, int]:
        mounts = len(host.inside("/bin/busybox", "cat", "/proc/self/mountinfo").splitlines())
        return mounts, len(host.processes()), len(host.containers())

    def round_trip() -> None:
        switch(host, "console", "other")
        switch(host, "storage", "gluster")
        switch(host, "console", "default")
        switch(host, "storage", "console")

    round_trip()
    host.wait("nothing is on its way out", lambda _: at_rest(host))
    before = counted()
    for _ in range(12 if pytestconfig.getoption("--every-engine") else 4):
        round_trip()
    # A removed container's last process may take a moment to go.
    host.wait("as it was before", lambda _: counted() == before)
    assert host.end() == 0
