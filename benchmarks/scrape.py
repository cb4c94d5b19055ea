"""What a scrape costs, beside prometheus_client with as many series, and whether a death has to wait for one."""

import contextlib
import http.client
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Rounds, paired, percentile, pooled, table
from benchmarks.processes import (
    REPOSITORY,
    BenchmarkError,
    FakeEngine,
    boot_command,
    fake_engine,
    module,
    running,
    scratch,
    tail,
    wait_for,
)
from benchmarks.reaction import SETTLE, p99, services, wait_until_ready

SIZES = (20, 100, 300)
SCRAPES = 5
"""Of each variant in a round."""
ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2 sends."""
PAUSE = (0.01, 0.03)
"""Seconds between two deaths."""
CALM, SCRAPED = "calm", "scraped all the time"


@dataclass(frozen=True)
class Shown:
    """One process that can be scraped."""

    pid: int
    port: int

    def scrape(self, accept: str = ACCEPT) -> bytes:
        """As Prometheus does, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/metrics", headers={"Accept": accept})
            return connection.getresponse().read()
        finally:
            connection.close()

    def cpu(self) -> float:
        """Seconds that all of its threads have had, also those that ended."""
        return time.clock_gettime((~self.pid << 3) | 2)  # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3)


@dataclass(frozen=True)
class Result:
    cpu: Rounds
    wall: Rounds
    """Milliseconds a scrape."""
    pages: Mapping[str, tuple[int, int]]
    """Series and bytes."""
    deaths: Mapping[int, Mapping[str, Sequence[float]]]
    """Milliseconds from the death to the order, by the number of units."""

    def as_text(self) -> str:
        rows = [
            [
                variant,
                str(paired(self.cpu, variant, _peer(variant))),
                str(paired(self.wall, variant, _peer(variant))),
                *(f"{percentile(pooled(kind, variant), 0.5):.1f}" for kind in (self.cpu, self.wall)),
                *map(str, self.pages[variant]),
            ]
            for variant in self.cpu[0]
        ]
        head = ("scrape", "CPU x client, paired", "wall x client, paired", "CPU ms", "wall ms", "series", "bytes")
        held = [
            [f"{size} units, {how}", *(f"{value:.2f}" for value in (percentile(took, 0.5), p99(took), max(took)))]
            for size, by_how in self.deaths.items()
            for how, took in by_how.items()
        ]
        return "\n\n".join(
            (
                f"scrape (fake engine, {len(self.cpu)} rounds of {SCRAPES})\n{table(head, rows)}",
                table(("die event -> start order", "p50 ms", "p99 ms", "max ms"), held),
            )
        )

    def as_json(self) -> dict[str, Any]:
        return {"unit": "ms", "cpu": self.cpu, "wall": self.wall, "pages": self.pages, "deaths": self.deaths}


def _ours(size: int) -> str:
    return f"dockwarden, {size} units"


def _client(size: int) -> str:
    return f"prometheus_client, as many series as {size} units"


def _peer(variant: str) -> str:
    return next(_client(size) for size in SIZES if variant in {_ours(size), _client(size)})


def measure(rounds: int, deaths: int) -> Result:
    """All of them stand ready at once."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        engine = stack.enter_context(fake_engine(directory, [f"e{size}" for size in SIZES]))
        shown = {_ours(size): stack.enter_context(supervisor(engine, size, directory)) for size in SIZES}
        shown |= {
            _client(size): stack.enter_context(client(shown[_ours(size)].scrape("text/plain"), size, directory))
            for size in SIZES
        }
        time.sleep(SETTLE)
        one_round(shown)
        found = [one_round(shown) for _ in range(rounds)]
        pages = {variant: one.scrape() for variant, one in shown.items()}
        held = {size: dying(engine, f"e{size}", shown[_ours(size)], deaths) for size in SIZES}
    return Result(
        [{variant: [cpu] for variant, (cpu, _) in measured.items()} for measured in found],
        [{variant: walls for variant, (_, walls) in measured.items()} for measured in found],
        {variant: (_series(page), len(page)) for variant, page in pages.items()},
        held,
    )


def _series(page: bytes) -> int:
    return sum(not line.startswith(b"#") for line in page.splitlines())


def one_round(shown: Mapping[str, Shown]) -> dict[str, tuple[float, list[float]]]:
    """CPU of a scrape, and how long each took, in milliseconds."""
    measured = {}
    for variant in random.sample(list(shown), len(shown)):
        one, walls = shown[variant], []
        before = one.cpu()
        for _ in range(SCRAPES):
            begun = time.perf_counter()
            one.scrape()
            walls.append((time.perf_counter() - begun) * 1e3)
        measured[variant] = ((one.cpu() - before) * 1e3 / SCRAPES, walls)
    return measured


def dying(engine: FakeEngine, name: str, shown: Shown, deaths: int) -> dict[str, list[float]]:
    """A unit dies now and then; then the same while one scrape follows the other."""
    calm = [die(engine, name) for _ in range(deaths)]
    with scraping(shown):
        scraped = [die(engine, name) for _ in range(deaths)]
    return {CALM: calm, SCRAPED: scraped}


def die(engine: FakeEngine, name: str) -> float:
    time.sleep(random.uniform(*PAUSE))
    return engine.die(name, "u0") / 1e6


@contextlib.contextmanager
def scraping(shown: Shown) -> Iterator[None]:
    over = threading.Event()

    def scrape() -> None:
        while not over.is_set():
            shown.scrape()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def supervisor(engine: FakeEngine, size: int, directory: Path) -> Iterator[Shown]:
    name, port, log = f"e{size}", free_port(), directory / f"ours{size}.log"
    command = boot_command(engine.sockets[name], directory / f"d{size}", services(size), f"127.0.0.1:{port}")
    with running(command, log) as process:
        wait_until_ready(engine, name, size, log)
        yield _answering(Shown(process.pid, port), log)


@contextlib.contextmanager
def client(page: bytes, size: int, directory: Path) -> Iterator[Shown]:
    port, log = free_port(), directory / f"client{size}.log"
    source = directory / f"page{size}"
    source.write_bytes(page)
    with (
        source.open() as said,
        log.open("w") as output,
        subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *module("benchmarks.bare_exposition", str(port))],
            cwd=REPOSITORY,
            stdin=said,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield _answering(Shown(process.pid, port), log)
        finally:
            process.kill()


def _answering(one: Shown, log: Path) -> Shown:
    wait_for("the page", _answers(one), lambda: tail(log))
    return one


def _answers(one: Shown) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            return bool(one.scrape())
        except OSError:
            return False

    return answers


def free_port() -> int:
    """Nobody's, at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if not isinstance(port, int):
        raise BenchmarkError("no port")
    return port
