"""The story of ``script/demo --check``: what a newcomer would try, each step seen or not."""

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from script.demohost.host import UNITS
from tests.bed import engines, leftovers
from tests.bed.bed import Bed
from tests.boot.host import Host, HostError

KILLS = 8
"""More than the start limit allows within a minute."""


@dataclass
class Story:
    """Steps in order; the first that is not seen ends it."""

    host: Host
    seen: int = 0
    failed: list[str] = field(default_factory=list)

    def step(self, title: str, act: Callable[[Host], str]) -> None:
        if self.failed:
            return
        began = time.monotonic()
        try:
            told = act(self.host)
        except (HostError, AssertionError, KeyError) as error:
            self.failed.append(title)
            print(f"  ✗ {title}: {error}", flush=True)
            return
        self.seen += 1
        print(f"  ✓ {title:<44} {time.monotonic() - began:6.2f} s  {told}", flush=True)


def tell(bed: Bed, host: Host) -> bool:
    """Play it; whether every step was seen."""
    story = Story(host)
    for title, act in (*STEPS[:-1], *USER_STEPS, STEPS[-1]):
        story.step(title, act)
    ident = bed.ident
    bed.close()
    story.step("nothing is left behind", lambda _: _nothing_left(ident))
    print(f"\n{story.seen} of {len(STEPS) + len(USER_STEPS) + 1} steps seen", flush=True)
    return not story.failed


def boot(host: Host) -> str:
    host.boot()
    units = host.wait_up(*UNITS)
    return f"{len(units)} units up"


def order(host: Host) -> str:
    began = {name: one["started"] for name, one in host.containers().items()}
    assert began["syslog"] < began["network"] < began["console"], began
    assert all(one["policy"] in {"no", ""} for one in host.containers().values())
    return "syslog, network, console"


def kill(host: Host) -> str:
    before = host.units()["console"]
    host.docker.post("/containers/console/kill")
    after = host.wait(
        "console back",
        lambda units: units["console"]["restarts"] == before["restarts"] + 1 and units["console"]["state"] == "ready",
    )
    reason = str(after["console"]["reason"])
    assert "SIGKILL" in reason, reason
    return reason


def removed(host: Host) -> str:
    before = host.units()["ntp"]["container_id"]
    host.docker.delete("/containers/ntp?force=1")
    host.wait(
        "ntp made anew", lambda units: units["ntp"]["state"] == "ready" and units["ntp"]["container_id"] != before
    )
    return "docker rm -f, and it has a new container"


def stop(host: Host) -> str:
    host.docker.post("/containers/syslog/stop?t=3")
    units = host.wait("syslog stays stopped", lambda units: units["syslog"]["state"] == "inactive")
    return str(units["syslog"]["reason"])


def adoption(host: Host) -> str:
    before, engine = host.containers(), host.engine_pid()
    restarts = {name: unit["restarts"] for name, unit in host.units().items()}
    # The file is written a moment after each change; a kill in between would be a story of its own.
    same = [name for name in before if name != "flaky"]
    host.wait_until_kept(
        "the stop and the counters",
        lambda units: (
            units["syslog"]["phase"] == "inactive" and all(units[name]["restarts"] == restarts[name] for name in same)
        ),
    )
    host.kill9()
    host.boot()
    host.wait(
        "adopted", lambda units: units["console"]["state"] == "ready" and units["network"]["state"] == "completed"
    )
    after = host.containers()
    assert [after[name] for name in same] == [before[name] for name in same], "a container was touched"
    assert host.engine_pid() == engine, "the engine was touched"
    units = host.units()
    assert units["syslog"]["state"] == "inactive", "a person's stop was forgotten"
    assert all(units[name]["restarts"] == restarts[name] for name in same), "counters were lost"
    return "engine and units untouched, the stop and the counters kept"


def start_again(host: Host) -> str:
    assert host.cli("start", "syslog").returncode == 0
    return str(host.wait_up("syslog")["syslog"]["reason"])


def engine_crash(host: Host) -> str:
    before = {name: one["pid"] for name, one in host.containers().items() if one["running"] and name != "flaky"}
    pid = host.engine_pid()
    host.inside("/bin/busybox", "kill", "-9", str(pid))
    host.wait_for_line(
        "the engine back",
        lambda line: (
            line["event"] == "system_docker.state" and line.get("phase") == "running" and line.get("pid") != pid
        ),
    )
    host.wait("the engine serves", lambda _: '"up": true' in host.cli("status", "--json").stdout)
    after = {name: one["pid"] for name, one in host.containers().items() if name in before}
    assert after == before, "a unit was restarted"
    return "System Docker is back, no unit was touched"


def crash_loop(host: Host) -> str:
    """Kill it as often as it comes back, until it no longer does; then forgive it."""
    unit = kill_until_it_rests(host)
    assert 'dockwarden_unit_state{state="crash-loop",unit="ntp"} 1.0' in host.get("/metrics")
    assert host.cli("reset-failed", "ntp").returncode == 0
    host.wait_up("ntp")
    return str(unit["reason"]).split("; ")[1]


def kill_until_it_rests(host: Host) -> dict[str, Any]:
    unit = host.units()["ntp"]
    for _ in range(KILLS):
        host.docker.post("/containers/ntp/kill")
        unit = _back_or_resting(host, "ntp", unit["restarts"])
        if unit["state"] == "crash-loop":
            break
    assert unit["state"] == "crash-loop", unit
    return unit


def _back_or_resting(host: Host, name: str, restarts: int) -> dict[str, Any]:
    return host.wait(
        f"{name} back, or left to rest",
        lambda units: (
            units[name]["state"] == "crash-loop"
            or (units[name]["state"] == "ready" and units[name]["restarts"] > restarts)
        ),
    )[name]


def flaky(host: Host) -> str:
    units = host.wait("flaky restarted", lambda units: units["flaky"]["restarts"] >= 1)
    why = host.cli("why", "flaky").stdout
    assert "exit code 3" in why, why
    return str(units["flaky"]["reason"])


def metrics(host: Host) -> str:
    page = host.get("/metrics")
    wanted = 'dockwarden_unit_state{state="ready",unit="console"} 1.0'
    assert wanted in page, f"not on the page: {wanted}"
    assert 'dockwarden_unit_restarts_total{reason="exit",unit="console"} 1.0' in page
    assert "dockwarden_engine_up 1.0" in page
    assert host.get("/readyz") == "ready\n"
    return f"{len(page.splitlines())} lines, ready"


def shutdown(host: Host) -> str:
    code = host.end()
    assert code == 0, f"exit code {code}"
    left = host.processes()
    assert left == [], f"left: {left}"
    files = [path.name for path in (host.socket, host.pidfile, host.run_dir / "control.sock") if path.exists()]
    assert files == [], f"left: {files}"
    return "exit code 0, no process, socket or pid file left"


def _nothing_left(ident: str) -> str:
    traces = leftovers.traces(ident)
    assert traces == [], traces
    return "no process, mount, cgroup or file"


def user_docker(host: Host) -> str:
    """A person's container, with the real client where there is one."""
    host.wait_up("user-docker", "storage")
    docker(host, "load", "-i", str(host.images / "images.tar.gz"))
    docker(host, "run", "-d", "--name", "web", "--restart", "always", "busybox:demo", *WORK)
    docker(host, "run", "-d", "--name", "resting", "--restart", "unless-stopped", "busybox:demo", *WORK)
    docker(host, "stop", "-t", "1", "resting")
    assert seen(host) == "busybox"
    return "docker run -v shows the console's files"


def console_there(host: Host) -> str:
    told = switched(host, "console", "debian")
    assert seen(host) == "debian"
    assert running(host) == ["web"], "restart policies of the user's containers were not kept"
    docker(host, "run", "--rm", "-v", "/root:/root", "busybox:demo", "touch", "/root/kept")
    return told


def console_back(host: Host) -> str:
    told = switched(host, "console", "default")
    assert seen(host) == "busybox"
    assert running(host) == ["web"]
    return told


def console_kept(host: Host) -> str:
    switched(host, "console", "debian")
    assert "kept" in docker(host, "run", "--rm", "-v", "/root:/root", "busybox:demo", "ls", "/root")
    switched(host, "console", "default")
    return "a file that was left in it is there"


def broken_console(host: Host) -> str:
    refused = host.cli("console", "switch", "broken")
    assert refused.returncode == 1, refused
    assert seen(host) == "busybox"
    assert running(host) == ["web"]
    return refused.stderr.partition("for: ")[2].partition(";")[0]


def storage_there(host: Host) -> str:
    told = switched(host, "storage", "storage")
    assert "from FUSE" in docker(host, "run", "--rm", "-v", "/mnt/files:/files", "busybox:demo", "cat", "/files/note")
    assert running(host) == ["web"]
    return f"{told}; a container reads a file system in user space"


def storage_back(host: Host) -> str:
    told = switched(host, "storage", "console")
    assert seen(host) == "busybox"
    return told


def engine_there(host: Host) -> str:
    """Another version on the same data, and the containers are there."""
    other = next((name for name in engines.default_versions() if f"{name}." not in user_version(host)), "")
    if not other:
        return "there is only one engine on this machine"
    switched(host, "engine", other)
    assert running(host) == ["web"]
    return user_version(host)


def docker(host: Host, *arguments: str) -> str:
    """The real client, on the user's socket."""
    client = shutil.which("docker", path=engines.SYSTEM_PATH)
    assert client is not None, "there is no docker client on this machine"
    command = [client, "-H", f"unix://{host.dir}/user-run/docker.sock", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


WORK = ("sh", "-c", 'trap "exit 0" TERM; while :; do sleep 60 & wait $!; done')


def seen(host: Host) -> str:
    """Which system a container of the user sees as its context."""
    files = docker(host, "run", "--rm", "-v", "/etc:/context:ro", "busybox:demo", "ls", "/context").split()
    return "debian" if "debian_version" in files else "busybox"


def running(host: Host) -> list[str]:
    return docker(host, "ps", "--format", "{{.Names}}").split()


def user_version(host: Host) -> str:
    return docker(host, "version", "--format", "{{.Server.Version}}").strip()


def switched(host: Host, what: str, name: str) -> str:
    done = host.cli(what, "switch", name)
    assert done.returncode == 0, done.stderr
    taken = sum(float(line.split()[1]) for line in done.stdout.splitlines()[1:])
    return f"{done.stdout.splitlines()[0]}, in {taken:.2f} s"


USER_STEPS: tuple[tuple[str, Callable[[Host], str]], ...] = (
    ("user Docker serves in the console", user_docker),
    ("the console becomes Debian, live", console_there),
    ("and busybox again", console_back),
    ("a persistent console is as it was left", console_kept),
    ("a console that falls over changes nothing", broken_console),
    ("the storage context becomes the storage container", storage_there),
    ("and the console again", storage_back),
    ("another engine on the same data", engine_there),
)

STEPS: tuple[tuple[str, Callable[[Host], str]], ...] = (
    ("the host boots", boot),
    ("units started in order", order),
    ("a killed console is back", kill),
    ("a removed unit is made anew", removed),
    ("a person's stop is respected", stop),
    ("kill -9 of the supervisor: all is adopted", adoption),
    ("a person's start", start_again),
    ("kill -9 of System Docker", engine_crash),
    ("a crash loop is seen, and forgiven", crash_loop),
    ("a flaky service restarts, and why", flaky),
    ("the metrics say the same", metrics),
    ("the host goes down", shutdown),
)
