"""A secret of the configuration does not get out of a running host: not by log, metrics, API, hooks, files or errors.

A canary of its own stands wherever a secret may, and units fail so that the engine quotes as much of it as it can. What
a container itself prints is its own affair, and no canary is printed here.
"""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import count

import pytest

from script.demohost.host import demo_host
from tests.bed import engines
from tests.bed.bed import Bed
from tests.bed.http import Docker
from tests.bed.leftovers import traces
from tests.boot.host import Host

CANARY = "canary5b81e07d"


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one
    assert traces(one.ident) == []


def services() -> str:
    places = count()

    def canary() -> str:
        """Another one each time: the leak says which place it is from."""
        return f"{CANARY}n{next(places)}"

    return f"""
    quoted:
      image: busybox:demo
      command: ["PASSWORD={canary()}", "{canary()}"]
      net: host
      environment: {{DB_PASSWORD: "{canary()}", GREETING: "{canary()}", URL: "http://u:{canary()}@h/"}}
      labels:
        io.rancher.os.scope: system
        com.example.token: "{canary()}"
        com.example.note: "{canary()}"
    named:
      image: busybox:demo
      command: ["--db={(secret := canary())}"]
      net: host
      environment: ["API_KEY=--db={secret}"]
      labels: {{io.rancher.os.scope: system}}
    mounted:
      image: busybox:demo
      command: "true"
      net: host
      devices: ["/dev/token={canary()}"]
      labels: {{io.rancher.os.scope: system}}
    checked:
      image: busybox:demo
      command: sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'
      net: host
      labels:
        io.rancher.os.scope: system
        dockwarden.health.http: "http://u:{canary()}@127.0.0.1:9/{canary()}"
        dockwarden.health.header.X-Token: "{canary()}"
        dockwarden.health.mine.exec: "false --token {canary()}"
        dockwarden.health.interval: 500ms
        dockwarden.health.retries: "1"
        dockwarden.health.start_period: 100ms
        dockwarden.health.action: none
    pulled:
      image: "127.0.0.1:9/none:1"
      net: host
      environment: {{REGISTRY_AUTH: "{canary()}"}}
      labels: {{io.rancher.os.scope: system}}
"""


@pytest.mark.long
def test_no_canary_gets_out(bed: Bed) -> None:
    """Looked for in all that a running host tells anybody, and in what the command line says of a wrong file."""
    engine = bed.engine(engines.system_version()).start()
    host = demo_host(bed, extra=services())
    host.docker = Docker(engine.socket)
    host.layers.append(bed.dir / "user.yml")
    host.layers[-1].write_text(
        "#cloud-config\nrancher:\n"
        f"  environment: {{HTTP_PROXY: 'http://u:{CANARY}env@proxy:1'}}\n"
        f"  registry_auths: {{r.example: {{auth: {CANARY}auth}}}}\n"
        f"  docker: {{tls: false, ca_key: '{CANARY}key', environment: ['HTTP_PROXY=http://u:{CANARY}proxy@p:1'],\n"
        f"           extra_args: [--label, 'token={CANARY}arg', '--log-opt=splunk-token={CANARY}opt']}}\n"
    )
    log = host.dir / "dockwarden.log"
    host.boot(
        *("--engine", f"unix://{engine.socket}", "--log-level", "debug"),
        *("--log-target", "stdout", "--log-target", f"file:{log}"),
        *("--notify-webhook", f"http://127.0.0.1:9/{CANARY}hook?key={CANARY}query"),
        *("--notify-command", f"/bin/false --token {CANARY}command"),
    )
    host.wait(
        "all have failed as they should",
        lambda units: (
            all(
                units[name]["state"] in {"failed", "crash-loop", "image-missing", "backoff"}
                for name in ("quoted", "named", "mounted", "pulled")
            )
            and units["checked"]["health"] == "unhealthy"
        ),
    )
    said = everything(host) | {"file": log.read_text(), "wrong file": wrong_file(host)}
    assert host.end() == 0
    engine.terminate()
    said |= {path.name: path.read_text() for path in (host.dir / "state").rglob("*") if path.is_file()}
    assert "state.json" in said
    copy = host.dir / "state/last-config.json"  # Of the files with the secrets, so nobody else may read it, either.
    assert CANARY in said.pop(copy.name)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    said["log"] = "\n".join(host.log)
    assert {
        name: sorted(set(re.findall(f".{{0,60}}{CANARY}\\w*", text))) for name, text in said.items() if CANARY in text
    } == {}
    assert "[redacted]" in said["log"]
    assert "[redacted]" in said["why quoted"]


def everything(host: Host) -> dict[str, str]:
    """What can be read of a running host."""
    control = Docker(host.run_dir / "control.sock", api="v1")
    said = {path: str(control.raw("GET", path)[1]) for path in ("/status", "/units", "/events", "/hooks", "/version")}
    for unit in ("quoted", "named", "mounted", "checked", "pulled"):
        said[f"why {unit}"] = host.cli("why", unit).stdout
        said[f"api why {unit}"] = str(control.raw("GET", f"/units/{unit}/why")[1])
    for words in (("status",), ("logs", "--level", "debug"), ("events", "--json"), ("restart", "quoted")):
        done = host.cli(*words)
        said[" ".join(words)] = done.stdout + done.stderr
    return said | {path: host.get(path) for path in ("/metrics", "/healthz", "/readyz")}


def wrong_file(host: Host) -> str:
    """Complaints about values that are wrong in a secret place."""
    wrong = host.dir / "wrong.yml"
    wrong.write_text(
        "#cloud-config\nrancher:\n  services:\n"
        f"    one: {{image: i, environment: {{PASSWORD: [{CANARY}a]}}, restart: 'token={CANARY}b'}}\n"
        f"    two: {{image: i, labels: {{dockwarden.health.http: 'ftp://u:{CANARY}c@h', x.token: [{CANARY}d]}}}}\n"
        f"    three: {{image: i, environment: '{CANARY}e', labels: {{dockwarden.health.exec: \"it's {CANARY}f\"}}}}\n"
    )
    done = host.cli("config", "validate", str(wrong))
    assert done.returncode == 78, done.stdout
    elsewhere = ("--run-dir", host.dir / "r2", "--state-dir", host.dir / "s2", "--engine", f"unix://{host.dir}/none")
    command = [sys.executable, "-m", "supervisor", "boot", "--config", str(wrong), *map(str, elsewhere), "--listen", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as boot:
        assert boot.stdout is not None
        lines: list[str] = []
        while not lines or "host.trouble" not in lines[-1]:
            lines.append(boot.stdout.readline())
            assert lines[-1], "".join(lines)
        boot.terminate()
        lines += boot.stdout
    return done.stdout + done.stderr + "".join(lines)
