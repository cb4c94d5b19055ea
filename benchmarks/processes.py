"""Programs that are measured, or measured against: built and started here, and ended with the benchmark."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = Path(__file__).resolve().parent / "c"
PATIENCE = 30.0
"""Seconds until a program that does not come up counts as broken."""
POLL = 0.02


class BenchmarkError(Exception):
    """Nothing can be measured, or what was measured means nothing."""


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory that goes with the benchmark. Short, because a unix socket's path may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="dwb-", dir="/tmp") as name:
        yield Path(name)


def build(name: str, directory: Path) -> Path:
    """Compile one of ``c/``: static, so that it also runs in an empty container."""
    program = directory / name
    try:
        subprocess.run(
            ["gcc", "-static", "-O2", "-Wall", "-o", program, SOURCES / f"{name}.c"],
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise BenchmarkError("gcc is needed, with a static libc (Debian: gcc libc6-dev)") from None
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"{name}.c: {error.stderr}") from error
    return program


def module(name: str, *args: str | Path, checkout: Path = REPOSITORY) -> list[str | Path]:
    """The command line of a Python module of this repository, or of another checkout of it."""
    there: list[str | Path] = [] if checkout == REPOSITORY else ["env", f"--chdir={checkout}"]
    return [*there, sys.executable, "-m", name, *args]


@contextlib.contextmanager
def running(args: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that is killed at the end, also when we are killed. Everything that it says goes to ``log``."""
    with log.open("a") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *args],
            cwd=REPOSITORY,
            # An installed program is compiled already; its caches are kept here, too.
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(what: str, condition: Callable[[], bool], tell: Callable[[], str] = str) -> None:
    """Poll until ``condition`` holds. Raises BenchmarkError, with what ``tell`` says of the reason."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise BenchmarkError(f"{what}: not within {PATIENCE:g} s {tell()}")
        time.sleep(POLL)


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


class FakeEngine:
    """``c/fake_engine.c``: several engines in one process, each on a socket of its own."""

    def __init__(self, program: Path, directory: Path, names: Sequence[str]) -> None:
        self.sockets = {name: directory / f"{name}.sock" for name in names}
        self._numbers = {name: number for number, name in enumerate(names)}
        self._process = subprocess.Popen(
            [program, *self.sockets.values()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def die(self, engine: str, container: str) -> int:
        """Nanoseconds from its death to the order to start it again."""
        took = self._order(f"die {self._numbers[engine]} {container}")
        if took < 0:
            raise BenchmarkError(f"{container} does not run, so it cannot die")
        return took

    def storm(self, engine: str, count: int) -> tuple[int, int]:
        """Nanoseconds from the deaths of so many to the last order to start one of them again, and to the first."""
        self._say(f"storm {self._numbers[engine]} {count}")
        last, first = map(int, self._answer().split())
        if last < 0:
            raise BenchmarkError(f"fewer than {count} containers run, so they cannot die")
        return last, first

    def count_running(self, engine: str) -> int:
        return self._order(f"running {self._numbers[engine]}")

    def count_listeners(self, engine: str) -> int:
        return self._order(f"listeners {self._numbers[engine]}")

    def _order(self, line: str) -> int:
        self._say(line)
        return int(self._answer())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise BenchmarkError(f"nobody started a container again within {PATIENCE:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the fake engine ended with {self._process.wait()}")
        return line.strip()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def fake_engine(directory: Path, names: Sequence[str]) -> Iterator[FakeEngine]:
    engine = FakeEngine(build("fake_engine", directory), directory, names)
    try:
        yield engine
    finally:
        engine.close()


Services = Mapping[str, Mapping[str, object]]
"""``rancher.services`` of a cloud-config."""


def boot_command(
    engine: Path,
    directory: Path,
    services: Services,
    listen: str = "127.0.0.1:0",
    checkout: Path = REPOSITORY,
) -> list[str | Path]:
    """Write a supervisor's configuration and return its command line: as a user would start it."""
    images = directory / "images"
    images.mkdir(parents=True)
    config = directory / "cloud-config.yml"
    config.write_text(json.dumps({"rancher": {"services": services}}))  # JSON is YAML
    return module(
        "supervisor",
        "boot",
        *("--config", config, "--engine", f"unix://{engine}"),
        *("--state-dir", directory / "state", "--run-dir", directory / "run", "--images", images),
        *("--listen", listen, "--log-format", "json"),
        checkout=checkout,
    )
