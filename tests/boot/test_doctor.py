"""``dockwarden doctor`` and ``support`` on real engines: well, dead, frozen, and with everything wrong that can be."""

import json
import os
import re
import signal
import sys
import tarfile
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.bed.leftovers import traces
from tests.boot.watched import LIVES, WatchedHost

CANARY = "canary7f3a9c51e2d4"
BOUND = 20.0
"""Seconds: the promise, on a machine that others use too."""


@pytest.fixture(scope="module")
def engine_host(engine_version: str) -> Iterator[WatchedHost]:
    with Bed() as bed:
        yield WatchedHost(bed, engine_version)
    assert traces(bed.ident) == []


@pytest.fixture
def host(engine_host: WatchedHost) -> Iterator[WatchedHost]:
    """A watch that runs, on an engine without containers."""
    engine_host.log.clear()
    engine_host.watch("--listen", "", "--notify-webhook", f"http://127.0.0.1:9/{CANARY}hook")
    engine_host.wait_for_line("the watch looks on", lambda line: line.get("event") == "engine.back")
    yield engine_host
    if engine_host.engine.process is None:
        engine_host.engine.start()
    assert engine_host.end() == 0
    for row in engine_host.docker.get("/containers/json?all=1")[1]:
        engine_host.docker.delete(f"/containers/{row['Id']}?force=1&v=1")


def ask(host: WatchedHost, *words: str) -> Any:
    """As a person on that host would."""
    command = [sys.executable, "-m", "supervisor", "--run-dir", str(host.run_dir), *words]
    return host.bed.run(command, cwd=REPOSITORY, env={"PATH": host.binaries.path}, check=False)


def ids(host: WatchedHost, *options: str) -> tuple[int, list[str]]:
    """Of all but the notes, which say how old this machine is."""
    done = ask(host, "doctor", "--json", *options)
    found = json.loads(done.stdout)["findings"]
    return done.returncode, [one["id"] for one in found if one["severity"] != "note"]


LOGS = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}


def test_a_sound_host_has_nothing_to_complain_of(host: WatchedHost) -> None:
    """Neither errors nor warnings, and the exit code says so."""
    host.make("web", HostConfig=LOGS)
    assert ids(host) == (0, [])


def test_a_dead_engine_is_named(host: WatchedHost) -> None:
    """In bounded time, and nothing else is said for want of an engine."""
    host.engine.kill()
    began = time.monotonic()
    assert ids(host) == (1, ["DW-E04"])
    assert time.monotonic() - began < BOUND


@pytest.mark.long
def test_a_frozen_engine_is_named(host: WatchedHost) -> None:
    """It takes the connection and never answers: the doctor does."""
    process = host.engine.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert ids(host) == (1, ["DW-E05"])
        assert time.monotonic() - began < BOUND
    finally:
        process.send_signal(signal.SIGCONT)
        os.kill(process.pid, signal.SIGCONT)  # nsenter stops itself when what it waits for is stopped.


def test_each_thing_that_is_wrong_is_found_once(host: WatchedHost) -> None:
    """A planted set leads to exactly its ids."""
    host.make("mistyped", wants=False, Labels={"dockwarden.enabel": "true"}, HostConfig=LOGS)
    host.make("chatty", HostConfig={"LogConfig": {"Type": "json-file", "Config": {}}})
    unit = {"dockwarden.unit": "other"}
    host.make("mastered", wants=False, Labels=unit, HostConfig={**LOGS, "RestartPolicy": {"Name": "always"}})
    host.make("owner", wants=False, HostConfig=LOGS)
    friend = {**LOGS, "NetworkMode": f"container:{host.docker.inspect('owner')['Id']}"}
    host.make("orphan", wants=False, HostConfig=friend)
    host.docker.delete("/containers/owner?force=1")
    host.make("0123456789ab_web", wants=False, start=False, HostConfig=LOGS)
    config = host.dir / "wrong.yml"
    config.write_text(
        "#cloud-config\nrancher:\n  services:\n"
        "    one: {image: i, links: [two]}\n    two: {image: i, links: [one]}\n    six: {image: i, links: [nobody]}\n"
    )
    (host.run_dir / "control.sock").chmod(0o666)
    wanted = ["DW-C04", "DW-F02", "DW-F03", "DW-C01", "DW-C02", "DW-C07", "DW-E12", "DW-S08"]
    assert ids(host, "--config", str(config)) == (1, wanted)


def test_text_fits_a_terminal_and_leads_out(host: WatchedHost) -> None:
    """80 columns; each finding with its arrow."""
    host.make("mistyped", wants=False, Labels={"dockwarden.enabel": "\x1b[31mred"}, HostConfig=LOGS)
    text = ask(host, "doctor").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "DW-C01" in text
    assert "-> did you mean 'dockwarden.enable'?" in text
    assert "\x1b" not in text


def test_a_canary_never_leaves_the_host(host: WatchedHost) -> None:
    """One of its own wherever a secret may stand: none is in any member; and the file is its owner's alone."""
    places = count()

    def canary() -> str:
        """Another one each time: that one is found out must not hide another."""
        return f"{CANARY}n{next(places)}"

    host.make(
        "web",
        f"echo {canary()}; {LIVES}",
        Env=[f"GREETING={canary()}", f"DB_PASSWORD=pw-{canary()}", f"PEM=-----BEGIN X-----\n{canary()}\n{canary()}"],
        Labels={
            "com.example.note": canary(),
            "dockwarden.health.exec": f"echo failed with {canary()} $GREETING >&2; exit 1",
            "dockwarden.health.retries": "1",
            "dockwarden.health.interval": "500ms",
            "dockwarden.health.start_period": "100ms",
            "dockwarden.health.action": "none",
        },
        HostConfig=LOGS,
    )
    host.wait("its check has failed with canaries in its words", lambda units: units["web"]["health"] == "unhealthy")
    config = host.dir / "secret.yml"
    config.write_text(
        "#cloud-config\n"
        f"ssh_authorized_keys: [ssh-rsa {canary()}]\nwrite_files: [{{path: /x, content: {canary()}}}]\n"
        "rancher:\n"
        f"  environment: {{ANY: {canary()}}}\n"
        f"  docker: {{tls: true, ca_key: '{canary()}', environment: ['HTTP_PROXY=http://u:{canary()}@proxy:3128'],\n"
        f"           extra_args: [--label, 'token={canary()}', '--log-opt=splunk-token={canary()}']}}\n"
        "  services:\n"
        f"    one: {{image: i, command: run --token {canary()} {canary()}, environment: [K={canary()}],\n"
        f"          labels: {{x: '{canary()}'}}, log_opt: {{splunk-token: {canary()}}}, links: [nobody],\n"
        f"          healthcheck: {{test: 'curl http://u:{canary()}@h'}}}}\n"
        f"    two: {{image: i, environment: {{DEEP: '{canary()}', PASSWORD: {{x: '{canary()}'}}}}}}\n"
    )
    file = host.dir / "support.tar.gz"
    done = ask(host, "support", "--output", str(file), "--config", str(config))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        members = {one.name.removeprefix("dockwarden-support/"): archive.extractfile(one) for one in archive}
        contents = {name: content.read().decode() for name, content in members.items() if content is not None}
    leaks = {name: re.findall(f"{CANARY}\\w*", content) for name, content in contents.items() if CANARY in content}
    assert leaks == {}
    assert CANARY not in done.stdout + done.stderr
    assert "GREETING" in contents["containers.json"]
    assert "failed with" in contents["why/000-web.json"]
    assert [one for one in contents["events.ndjson"].splitlines() if json.loads(one).get("unit") == "web"]
    assert ask(host, "support", "--output", str(file)).returncode == 1, "over nobody's file"
