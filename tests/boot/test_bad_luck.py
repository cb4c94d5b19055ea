"""Bad input and bad luck: a clear message, the documented exit code, and nothing else disturbed."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from script.demohost.host import UNITS, VERSION, demo_host
from tests.bed import images
from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.boot.host import PATIENCE, Host

BAD = {
    "not YAML": ("#cloud-config\nrancher: [", 78, ["not YAML"]),
    "not a mapping": ("#cloud-config\n- a\n", 78, ["expected a mapping, found a list"]),
    "wrong types": (
        "#cloud-config\nrancher:\n  services:\n    aa: {image: [x], restart: 3}\n",
        78,
        ["rancher.services.aa.image: expected a text, found a list", "rancher.services.aa.restart"],
    ),
    "unknown keys": (
        "#cloud-config\nrancher:\n  servces: {}\n  services:\n    aa: {imag: x, image: y}\n",
        78,
        [
            ":3:3: rancher.servces: unknown key; did you mean 'services'?",
            ":5:10: rancher.services.aa.imag: unknown key",
        ],
    ),
    "unknown unit": (
        "#cloud-config\nrancher:\n  services:\n    web: {image: x, links: [db]}\n",
        78,
        [":4:5:", "there is no unit 'db'"],
    ),
    "cycle": (
        "#cloud-config\nrancher:\n  services:\n    aa: {image: x, links: [bb]}\n    bb: {image: x, links: [aa]}\n",
        78,
        ["aa -> bb -> aa"],
    ),
}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "supervisor", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_refused_by_validate(name: str, tmp_path: Path) -> None:
    """Exit code 78, and all problems with their places."""
    text, code, wanted = BAD[name]
    config = tmp_path / "c.yml"
    config.write_text(text)
    ended = run("config", "validate", config)
    assert ended.returncode == code, ended
    assert all(part in ended.stdout for part in wanted), ended.stdout


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path, what is wrong with it, and the way out."""
    ended = run("boot", "--config", tmp_path / "no.yml", "--state-dir", tmp_path / "s", "--run-dir", tmp_path / "r")
    assert ended.returncode == 78
    assert f"{tmp_path}/no.yml: cannot be read: No such file or directory" in ended.stdout


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one


LUCKLESS = """
    ghost:
      image: nowhere:never
      net: host
      stop_signal: SIGKILL
      restart: always
      labels: {io.rancher.os.scope: system}
    deaf:
      image: busybox:demo
      command: [/no/such/command]
      net: host
      restart: always
      labels: {io.rancher.os.scope: system}
    squatted:
      image: busybox:demo
      command: sleep 1000
      net: host
      restart: always
      labels: {io.rancher.os.scope: system, io.rancher.os.after: console}
    broken:
      image: busybox:demo
      command: sh -c 'exit 7'
      net: host
      labels: {io.rancher.os.scope: system, io.rancher.os.detach: "false"}
    held:
      image: busybox:demo
      command: sleep 1000
      net: host
      depends_on: {broken: {condition: service_completed_successfully}}
      labels: {io.rancher.os.scope: system}
"""


def test_units_without_luck_hold_up_nobody(bed: Bed) -> None:
    """A missing image, a missing command, a taken name, a failed oneshot: states with a reason; all others start."""
    engine = bed.engine(VERSION).start()
    host = demo_host(bed, extra=LUCKLESS)
    host.docker = engine.docker
    for archive in host.images.iterdir():
        engine.docker.load(archive)
    foreign = engine.docker.run(
        "squatted", "busybox:demo", {"Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "host"}}
    )
    host.boot("--engine", f"unix://{engine.socket}")
    units = host.wait(
        "each in its state",
        lambda units: (
            (units["ghost"]["state"], units["deaf"]["state"], units["squatted"]["state"])
            == ("image-missing", "failed", "failed")
        ),
    )
    assert "/no/such/command" in units["deaf"]["reason"]
    assert "taken by a container that is not ours" in units["squatted"]["reason"]
    units = host.wait_up(*UNITS)
    assert units["broken"]["reason"].startswith("exit code 7")
    assert units["held"]["state"] == "waiting"
    assert units["held"]["reason"].startswith("waiting for broken (held: it is failed: exit code 7")
    kept = host.docker.inspect("squatted")
    assert (kept["Id"], kept["State"]["Running"]) == (foreign, True)
    engine.docker.load(images.busybox_tar(bed.dir / "late.tar", "nowhere:never", cmd=["sleep", "1000"]))
    assert host.cli("start", "ghost").returncode == 0
    host.wait_up("ghost")
    assert host.end() == 0
    assert host.docker.inspect(foreign)["State"]["Running"]
    engine.terminate()


def test_a_second_supervisor_says_who_holds_the_run_dir(bed: Bed) -> None:
    """Exit code 75 and the pid; the first one goes on undisturbed."""
    host = demo_host(bed)
    first = host.boot()
    host.wait_up(*UNITS)
    second = host.boot()
    assert second.wait(PATIENCE) == 75
    host.wait_for_line(
        "the refusal", lambda line: line["event"] == "boot.refused" and f"pid {first.inner_pid}" in line["reason"]
    )
    host.process = first
    assert host.units()["console"]["restarts"] == 0
    assert host.end() == 0


def refusal(host: Host, *options: str) -> tuple[int, str]:
    code = host.boot(*options).wait(PATIENCE)
    line = host.wait_for_line("the refusal", lambda line: line["event"] == "boot.refused")
    return code, str(line["reason"])


def test_no_dockerd_is_told_before_anything_starts(bed: Bed) -> None:
    """Exit code 69, where it was looked for, and what to do."""
    host = demo_host(bed)
    text = host.config.read_text().replace(str(host.binaries.path), "/nowhere").replace('"dockerd"', '"no-dockerd"')
    host.config.write_text(text)
    code, reason = refusal(host)
    assert code == 69, reason
    assert "install docker.io or set rancher.system_docker.args" in reason


def test_an_engine_that_is_too_old_is_refused(bed: Bed) -> None:
    """Exit code 69 and both versions."""
    host = demo_host(bed)
    path = bed.dir / "old.sock"
    body = b'{"Version": "19.3", "ApiVersion": "1.40", "MinAPIVersion": "1.12"}'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=_answer, args=(listening, body), daemon=True).start()
        code, reason = refusal(host, "--engine", f"unix://{path}")
    assert code == 69, reason
    assert "API 1.40" in reason
    assert "1.41" in reason


def _answer(listening: socket.socket, body: bytes) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_no_permission_on_the_socket_is_no_riddle(bed: Bed) -> None:
    """Exit code 77, for somebody who is not root."""
    host = demo_host(bed)
    engine = bed.engine(VERSION).start()
    engine.socket.chmod(0o600)
    for name in ("state", "run"):
        (bed.dir / name).mkdir()
        (bed.dir / name).chmod(0o777)
    nobody = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    python = [sys.executable, "-m", "supervisor", "boot", "--config", str(host.config)]
    where = [
        "--state-dir",
        str(bed.dir / "state"),
        "--run-dir",
        str(bed.dir / "run"),
        "--engine",
        f"unix://{engine.socket}",
    ]
    ended = bed.run([*nobody, *python, *where], cwd=REPOSITORY, check=False)
    assert ended.returncode == 77, ended
    assert "permission denied on the engine's socket" in ended.stdout
    engine.terminate()


@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_a_host_comes_up_with_a_state_dir_that_cannot_be_written(bed: Bed, options: str) -> None:
    """Read-only or full: all units are up, and log and status name the directory and the way out."""
    host = demo_host(bed)
    state = bed.dir / "state"
    state.mkdir(exist_ok=True)
    bed.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", state])
    if options != "ro":
        bed.run(["/bin/busybox", "sh", "-c", f"dd if=/dev/zero of={state}/full bs=4k count=1"])
    host.boot()
    line = host.wait_for_line("the trouble", lambda line: line["event"] == "host.trouble")
    assert (line["of"], str(state) in line["reason"], "--state-dir" in line["reason"]) == ("state", True, True)
    host.wait_up(*UNITS)
    assert [trouble["of"] for trouble in troubles(host)] == ["state"]
    assert host.end() == 0


def troubles(host: Host) -> list[dict[str, str]]:
    status = json.loads(host.cli("status", "--json").stdout)
    return list(status["supervisor"]["troubles"])


def test_a_host_comes_up_with_a_wrong_configuration(bed: Bed) -> None:
    """Without the unit that is wrong, else with the last good one; a mended one ends the trouble."""
    host = demo_host(bed)
    good = host.config.read_text()
    host.config.write_text(good.replace("  services:\n", "  services:\n    odd: {imagee: x}\n", 1))
    process = host.boot()
    line = host.wait_for_line("the trouble", lambda line: line["event"] == "host.trouble")
    assert line["reason"].endswith("so the host runs without odd")
    host.wait_up(*UNITS)
    assert troubles(host) == [{"of": "configuration", "reason": line["reason"]}]
    host.config.write_text(good)
    process.send_signal(signal.SIGHUP)
    host.wait_for_line("the end of it", lambda line: line["event"] == "config.read")
    assert troubles(host) == []
    assert host.end() == 0
    host.config.write_text("rancher: [")
    host.boot()
    host.wait_for_line("the last good one", lambda line: "runs with the last good one" in line.get("reason", ""))
    host.wait_up(*UNITS)
    assert host.end() == 0


def test_a_taken_port_is_told_before_anything_starts(bed: Bed) -> None:
    """Exit code 1, the port, and the way out; no engine was started."""
    host = demo_host(bed)
    code = "import socket, time; s = socket.create_server(('127.0.0.1', 9779)); print(1, flush=True); time.sleep(1000)"
    squatter = bed.popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert squatter.stdout is not None
    assert squatter.stdout.readline()
    refused, reason = refusal(host)
    assert refused == 1, reason
    assert "127.0.0.1:9779: address already in use" in reason
    assert "--listen" in reason
    squatter.kill()
    squatter.wait(PATIENCE)
    assert host.processes() == []
