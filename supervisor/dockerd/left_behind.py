"""What a dockerd leaves that was killed: its containers, their shims, a containerd, proxies of ports; found by looks.

All of it is told from what is not ours by words that only this dockerd gave (its exec root, its containerd namespace,
the ids below its data root), and never by a name or a number alone.
"""

import json
import os
import re
import signal as signals
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from supervisor.dockerd.command_line import DaemonPlan, data_root_of
from supervisor.dockerd.process import dockerd_command, started_at
from supervisor.dockerd.rooted_path import within
from supervisor.engine.decode import signal_number
from units.records import dataclass

MACHINE_CONTAINERD = "/run/containerd/containerd.sock"
"""A dockerd takes the one that listens there, when there is one, for its own."""
USUAL_PATIENCE, MOST_READ = 10.0, 4 * 2**20
ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Lair:
    """Where a dockerd keeps what outlives it, in the file system of its context."""

    data_root: str
    exec_root: str
    namespace: str
    address: str = ""
    """Of a containerd that is not its own."""

    @property
    def socket(self) -> str:
        return f"{self.exec_root}/containerd/containerd.sock"

    @property
    def containerd_pid(self) -> str:
        return f"{self.exec_root}/containerd/containerd.pid"


def lair_of(how: DaemonPlan) -> Lair:
    namespace, address = how.option("--containerd-namespace"), how.option("--containerd")
    return Lair(str(how.data_root), str(how.exec_root), namespace, address)


def keeps_running(how: DaemonPlan, root: Path | None) -> bool:
    """Whether its containers are to outlive it: live-restore, by its command line or its file of options."""
    if (said := how.flag("--live-restore")) is not None:
        return said
    if root is None:
        return False
    try:
        with within(root, how.options).open("rb") as file:
            told = json.loads(file.read(MOST_READ))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("live-restore") is True


@dataclass(frozen=True, slots=True)
class Process:
    """One process as it was seen; its start time tells it from a successor of its number."""

    pid: int
    start: str
    argv: tuple[str, ...] = ()
    cgroups: str = ""

    @property
    def name(self) -> str:
        return self.argv[0].rpartition("/")[2] if self.argv else ""

    def word(self, *names: str) -> str:
        """The value of one of these options."""
        pairs = zip(self.argv, self.argv[1:], strict=False)
        return next((value for name, value in pairs if name.lstrip("-") in names), "")

    def send(self, sign: int) -> None:
        try:
            held = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if started_at(self.pid) == self.start:
                signals.pidfd_send_signal(held, sign)
        except OSError:
            pass
        finally:
            os.close(held)


@dataclass(frozen=True, slots=True)
class Container:
    """A container whose processes live. ``patience``: seconds that it has from its stop signal to SIGKILL."""

    ident: str
    name: str
    main: Process
    processes: tuple[Process, ...]
    signal: int = signals.SIGTERM
    patience: float = USUAL_PATIENCE


@dataclass(frozen=True, slots=True)
class Left:
    containers: tuple[Container, ...] = ()
    servants: tuple[Process, ...] = ()
    """Shims, containerd, docker-proxy: without containers they are of no use."""

    def __bool__(self) -> bool:
        return bool(self.containers or self.servants)

    def __str__(self) -> str:
        names = ", ".join(one.name for one in self.containers[:5]) + (", …" if len(self.containers) > 5 else "")
        return f"{len(self.containers)} containers ({names})" if names else f"{len(self.servants)} processes"


def find(lair: Lair, context: int | None) -> Left:
    """All that is left of the dockerd that was there. ``context``: a process in the file system of its context."""
    living = tuple(processes())
    taken = _mounts_of_living(lair, living)
    servants = tuple(one for one in living if serves(one, lair) and _view(one.pid, "mnt") not in taken)
    views = {_view(one.pid, "mnt") for one in servants}
    if context is not None:
        views.add(_view(context, "mnt"))
    proxies = tuple(one for one in living if one.name == "docker-proxy" and _view(one.pid, "mnt") in views - taken)
    roots = [one.pid for one in servants]
    if context is not None and not taken:
        roots.insert(0, context)
    return Left(tuple(_containers(lair, living, servants, roots)), (*servants, *proxies))


def processes() -> Iterator[Process]:
    """All that live here, but threads of the kernel and zombies: those have no command line."""
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):  # noqa: PTH208
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes()
            cgroups = Path(f"/proc/{pid}/cgroup").read_text(errors="replace") if argv else ""
        except OSError:
            continue
        if argv:
            words = argv[:MOST_READ].decode(errors="replace").split("\0")
            yield Process(pid, started_at(pid), tuple(words[:64]), cgroups)


def _view(pid: int, kind: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")  # noqa: PTH115
    except OSError:
        return ""


def _mounts_of_living(lair: Lair, living: Iterable[Process]) -> set[str]:
    """Mount namespaces in which a dockerd lives over the same data: what is there is that one's."""
    commands = ((one.pid, dockerd_command(one.pid, "dockerd")) for one in living if one.name == "dockerd")
    return {_view(pid, "mnt") for pid, command in commands if command and data_root_of(command) == lair.data_root}


def serves(one: Process, lair: Lair) -> bool:
    """Whether it is this dockerd's containerd, or a shim of it; one in a container of its own is another dockerd's."""
    if one.name.startswith(("containerd-shim", "docker-containerd-shim")):
        fits = one.word("namespace") == lair.namespace
        fits = fits and one.word("address") in {lair.socket, lair.address, MACHINE_CONTAINERD} - {""}
    else:
        fits = one.name in {"containerd", "docker-containerd"}
        fits = fits and one.word("config") == f"{lair.exec_root}/containerd/containerd.toml"
    return fits and _view(one.pid, "pid") == _view(os.getpid(), "pid")


def is_containerd(pid: int, lair: Lair) -> bool:
    """Whether this process is the containerd of that dockerd; the number in a pid file may be anybody's by now."""
    return any(one.pid == pid and "shim" not in one.name and serves(one, lair) for one in processes())


def _containers(
    lair: Lair, living: Sequence[Process], servants: Sequence[Process], roots: Sequence[int]
) -> Iterator[Container]:
    """Those with a process, by the id in the names of its cgroups: also one that has lost its shim."""
    known: dict[str, Path | None] = {one.word("id"): None for one in servants if ID.fullmatch(one.word("id"))}
    for root in reversed(roots):
        place = within(Path(f"/proc/{root}/root"), f"{lair.data_root}/containers")
        try:
            known |= {name: place / name for name in os.listdir(place) if ID.fullmatch(name)}  # noqa: PTH208
        except OSError:
            continue
    members: dict[str, list[Process]] = {}
    shims = {one.pid for one in servants}
    # Another engine may live on the same data.
    others = {one.word("id") for one in living if "containerd-shim" in one.name and one.pid not in shims}
    known = {ident: place for ident, place in known.items() if ident not in others}
    for one in living:
        for ident in {found for found in ID.findall(one.cgroups) if found in known}:
            if one.pid not in shims:
                members.setdefault(ident, []).append(one)
    for ident, found in members.items():
        yield described(ident, found, known[ident])


def described(ident: str, found: Sequence[Process], place: Path | None) -> Container:
    """With its own stop signal and time, as its dockerd kept them."""
    kept: Mapping[str, object] = {}
    if place is not None:
        try:
            with (place / "config.v2.json").open("rb") as file:
                read = json.loads(file.read(MOST_READ))
            kept = read if isinstance(read, dict) else {}
        except (OSError, ValueError, RecursionError):
            pass  # Then it gets what is usual.
    config, state = (part if isinstance(part := kept.get(key), dict) else {} for key in ("Config", "State"))
    oldest = min(found, key=lambda one: int(one.start or 0))
    main = next((one for one in found if one.pid == state.get("Pid")), oldest)
    name = str(kept.get("Name", "")).lstrip("/")[:100] or ident[:12]
    return Container(ident, name, main, tuple(found), _signal(config.get("StopSignal")), _patience(config))


RTMIN, LAST_SIGNAL = 34, 64


def _signal(said: object) -> int:
    """As Docker reads it: a number, or a name with or without ``SIG``; systemd's is ``SIGRTMIN+3``."""
    text = str(said or "SIGTERM")[:20].upper().removeprefix("SIG")
    if (more := text.removeprefix("RTMIN+")) != text and more.isascii() and more.isdecimal():
        return min(RTMIN + int(more), LAST_SIGNAL)
    return signal_number(text) or signals.SIGTERM


def _patience(config: Mapping[str, object]) -> float:
    said = config.get("StopTimeout")
    if not isinstance(said, int):
        return USUAL_PATIENCE
    return float(min(said, 10**6)) if said >= 0 else float("inf")


def thaw(process: Process) -> None:
    """Let a paused one go on, so that a signal reaches it."""
    for line in process.cgroups.splitlines():
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if kinds == "freezer":
            _write_if(Path(f"/sys/fs/cgroup/freezer{path}/freezer.state"), "THAWED", unless="THAWED")
        elif not kinds:
            for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                _write_if(Path(f"{mount}{path}/cgroup.freeze"), "0", unless="0")


def _write_if(file: Path, word: str, *, unless: str) -> None:
    try:
        if file.read_text().strip() != unless:
            file.write_text(word)
    except OSError:
        pass  # Of another kind of cgroup, or gone.
