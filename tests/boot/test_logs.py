"""``dockwarden logs -f`` of a real host: numbered lines, none lost and none twice, whatever is done meanwhile."""

import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from script.demohost.host import demo_host
from tests.bed import engines
from tests.bed.bed import Bed
from tests.bed.engines import REPOSITORY
from tests.bed.http import Docker
from tests.bed.leftovers import traces
from tests.boot.host import PATIENCE, Host, HostError

COUNTER = r"""
    counter:
      image: busybox:demo
      command: >-
        sh -c 'read run < /proc/sys/kernel/random/uuid; i=0;
        trap "echo \$$run end \$$i; exit 0" TERM;
        while :; do i=$$((i+1)); echo $$run line $$i; usleep 20000; done'
      net: host
      restart: always
      environment: {GENERATION: "1"}
      labels: {io.rancher.os.scope: system}
"""


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one
    assert traces(one.ident) == []


class Follower:
    """``dockwarden logs -f --json`` in a process of its own."""

    def __init__(self, host: Host) -> None:
        self.lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        words = ["--run-dir", str(host.run_dir), "logs", "-f", "--json", "counter"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor", *words],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(json.loads(line))
                self._news.notify_all()

    def runs(self) -> dict[str, list[tuple[str, int]]]:
        """What each run of the counter was seen to write, in the order in which it was shown."""
        seen = defaultdict[str, list[tuple[str, int]]](list)
        for line in self.lines:
            if "text" in line:
                run, what, number = line["text"].split()
                seen[run].append((what, int(number)))
        return seen

    def wait_for_runs(self, count: int) -> None:
        """Until that many have been seen, and of the last one some lines."""

        def enough() -> bool:
            runs = list(self.runs().values())
            return len(runs) >= count and len(runs[count - 1]) >= 10

        with self._news:
            if not self._news.wait_for(enough, PATIENCE):
                raise HostError(f"run {count} was not seen: {[len(run) for run in self.runs().values()]}")

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.long
def test_nothing_is_lost_and_nothing_comes_twice(bed: Bed) -> None:
    """Over a restart, a new container, a restart of the engine, and a new supervisor after a kill -9."""
    engine = bed.engine(engines.system_version()).start()
    host = demo_host(bed, extra=COUNTER)
    host.docker = Docker(engine.socket)
    attach = ("--engine", f"unix://{engine.socket}")
    process = host.boot(*attach)
    host.wait_up("counter")
    follower = Follower(host)
    follower.wait_for_runs(1)

    assert host.cli("restart", "counter").returncode == 0
    follower.wait_for_runs(2)

    host.config.write_text(host.config.read_text().replace('GENERATION: "1"', 'GENERATION: "2"'))
    process.send_signal(signal.SIGHUP)
    follower.wait_for_runs(3)

    engine.terminate()
    host.wait_for_line("the loss", lambda line: line["event"] == "engine.lost")
    engine.start()
    host.wait("the engine is back", lambda _: "dockwarden_engine_up 1.0" in host.get("/metrics"))
    assert host.cli("restart", "counter").returncode == 0
    follower.wait_for_runs(4)

    host.kill9()
    host.boot(*attach)
    host.wait_up("counter")
    assert host.cli("restart", "counter").returncode == 0
    follower.wait_for_runs(5)
    follower.end()

    runs = list(follower.runs().values())
    assert len({line["container"] for line in follower.lines if "text" in line}) == 2
    for run in runs[:-1]:
        *lines, (what, last) = run
        assert (what, last) == ("end", len(lines))
    for run in runs:
        numbers = [number for what, number in run if what == "line"]
        assert numbers == list(range(1, len(numbers) + 1))
    stamps = [line["time"] for line in follower.lines if "text" in line]
    assert stamps == sorted(stamps)
    told = [line["after"] for line in follower.lines if line.get("event") == "unit.transition"]
    assert told.count("stopping") == 4  # Each restart, once.
    assert host.end() == 0
    engine.terminate()
