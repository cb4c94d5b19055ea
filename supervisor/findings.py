"""What can be wrong with a host, as one table: each row an id that never changes, and a look at facts. Pure.

Rules of the table. An id is given once and never again for something else. A look asks the facts only, tells each thing
in one sentence, and says nothing of what was not found out. Where one finding explains others, the others keep silent:
an engine that does not answer has no containers to complain of.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any

from supervisor.foreign import ENABLE, LASTING, REPLACED, STOP_TIMEOUT
from supervisor.health_labels import PREFIX, RELINK, WrongValueError, boolean, read_health, seconds
from supervisor.own_labels import OWN
from supervisor.tree import nearest
from units.records import dataclass

OLDEST_API = (1, 41)
SKEW = 2.0
"""Seconds between two clocks on one machine that need an explanation."""
AHEAD = 60.0
"""Seconds that a stamp may lie in the future before the clock must have been set back."""
FULL, NEARLY = 0.01, 0.10
"""Free fractions of a file system."""
ROOM = 1 << 30
"""Bytes: a file system with more free is not nearly full, however large it is."""
FEWEST_FILES = 1024
"""Open files that a supervisor of some hundred units needs."""
SHOWN = 5
"""Names in one sentence."""


class Severity(StrEnum):
    """``error``: something does not work. ``warning``: something will not. ``note``: good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Reach(StrEnum):
    """How far a call to a unix socket got."""

    SERVES = "serves"
    MISSING = "missing"
    NO_SOCKET = "no socket"
    DENIED = "no permission"
    REFUSED = "refused"
    HANGS = "hangs"
    NONSENSE = "nonsense"
    NO_URL = "no unix socket's URL"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    url: str
    reach: Reach
    said: str = ""
    """What came instead of an answer."""
    version: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    containers: tuple[Mapping[str, Any], ...] = ()
    """Each as an inspect shows it."""
    mute: tuple[str, ...] = ()
    """Containers that the engine did not answer about in time."""
    unnamed_volumes: tuple[str, ...] = ()
    """Volumes without a name of their own that no container uses."""
    ahead: float | None = None
    """Seconds by which its clock is ahead of ours."""


@dataclass(frozen=True, slots=True)
class SupervisorFacts:
    run_dir: str
    reach: Reach
    said: str = ""
    mode: int = 0o600
    """Of its socket."""
    owner: int = 0
    pid: int = 0
    """As its lock file says; 0 for none."""
    held: bool | None = None
    """Whether somebody holds the lock; None when we could not ask."""
    pid_lives: bool = False
    status: Mapping[str, Any] = field(default_factory=dict)
    own_version: str = ""
    others: tuple[tuple[int, str], ...] = ()
    """Processes that are supervisors: pid, and how they were called."""
    files: int | None = None
    """Its soft limit of open files."""


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    role: str
    path: str
    exists: bool
    is_directory: bool = True
    writable: bool = True
    free: int = 0
    size: int = 0
    """Bytes."""
    files_free: int = 0
    files: int = 0
    """Inodes; 0 in all where a file system does not count them."""


@dataclass(frozen=True, slots=True)
class StateFacts:
    path: str
    trouble: str = ""
    set_aside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    place: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    problems: tuple[ConfigProblem, ...] = ()
    warnings: tuple[ConfigProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class HostFacts:
    now: float
    """Seconds since the epoch."""
    root: bool = True
    cgroup: str = "v2"
    """``v2``, ``v1``, ``hybrid`` or ``none``."""
    controllers: frozenset[str] = frozenset({"memory", "pids", "cpu"})
    synchronised: bool | None = None
    """Whether the kernel says that somebody keeps its clock; None where it cannot be asked."""
    forwards: bool | None = None
    """net.ipv4.ip_forward."""
    overlay: bool = True
    dockerd: str | None = "dockerd"
    """Where it is; None when it is nowhere on PATH."""
    boots_engine: bool = False
    """The host starts an engine of its own."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was found out; ``config`` is None where there is none to read."""

    engine: EngineFacts
    supervisor: SupervisorFacts
    host: HostFacts
    directories: tuple[DirectoryFacts, ...] = ()
    state: StateFacts | None = None
    config: ConfigFacts | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    id: str
    severity: Severity
    title: str
    place: str
    what: str
    fix: str

    def as_dict(self) -> dict[str, str]:
        return {name: str(getattr(self, name)) for name in ("id", "severity", "title", "place", "what", "fix")}


Hit = tuple[str, str] | tuple[str, str, str]
"""The place, what is wrong there, and a way out where it is a better one than the row's."""


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    severity: Severity
    title: str
    look: Callable[[Facts], Iterable[Hit]]
    fix: str


def examine(facts: Facts, rows: Sequence[Row] | None = None) -> list[Finding]:
    """All findings, the worst first, then by id."""
    found = [
        Finding(row.id, row.severity, row.title, hit[0], hit[1], hit[2] if len(hit) == 3 and hit[2] else row.fix)
        for row in (TABLE if rows is None else rows)
        for hit in row.look(facts)
    ]
    order = list(Severity)
    return sorted(found, key=lambda one: (order.index(one.severity), one.id, one.place, one.what))


# The engine.


def _reached(*reaches: Reach) -> Callable[[Facts], Iterator[Hit]]:
    def look(facts: Facts) -> Iterator[Hit]:
        if facts.engine.reach in reaches:
            yield facts.engine.url, facts.engine.said

    return look


def _old_engine(facts: Facts) -> Iterator[Hit]:
    if facts.engine.version:
        highest, lowest = (str(facts.engine.version.get(key, "")) for key in ("ApiVersion", "MinAPIVersion"))
        if _numbers(highest) < OLDEST_API or _numbers(lowest) > OLDEST_API:
            yield facts.engine.url, f"it serves API {lowest or '?'} to {highest or '?'}, and 1.41 is needed"


def _mute(facts: Facts) -> Iterator[Hit]:
    if facts.engine.mute:
        yield facts.engine.url, f"no answer about {_names(facts.engine.mute)}, while it answers about others"


def _no_dockerd(facts: Facts) -> Iterator[Hit]:
    if facts.host.boots_engine and facts.host.dockerd is None:
        yield "PATH", "System Docker is to be started, and there is no dockerd"


def _no_live_restore(facts: Facts) -> Iterator[Hit]:
    if facts.engine.info.get("LiveRestoreEnabled") is False and _is_system_docker(facts):
        yield facts.engine.url, "live-restore is off: all units end with the engine, also when it is upgraded"


def _is_system_docker(facts: Facts) -> bool:
    """A host that is only watched has an engine of its operator's choice."""
    return any(_labels(one).get("dockwarden.unit") for one in facts.engine.containers)


def _endless_logs(facts: Facts) -> Iterator[Hit]:
    endless = []
    for one in facts.engine.containers:
        log = _map(_host(one).get("LogConfig"))
        if log.get("Type") == "json-file" and not _map(log.get("Config")).get("max-size"):
            endless.append(_name(one))
    if endless:
        yield _names(endless), "its log (json-file) grows until the disk is full: no max-size"


def _engine_warnings(facts: Facts) -> Iterator[Hit]:
    for said in facts.engine.info.get("Warnings") or ():
        # These two have a row each.
        if "memory limit" not in str(said) and "IPv4 forwarding" not in str(said):
            yield facts.engine.url, str(said).removeprefix("WARNING: ")


def _storage_driver(facts: Facts) -> Iterator[Hit]:
    driver = facts.engine.info.get("Driver")
    if driver in {"vfs", "aufs", "devicemapper", "overlay"}:
        yield facts.engine.url, f"its storage driver is {driver}"


# The supervisor.


def _no_supervisor(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.reach in {Reach.MISSING, Reach.REFUSED} and not one.held:
        last = f"; the last one was pid {one.pid}" if one.pid and not one.pid_lives else ""
        yield one.run_dir, f"nobody answers there ({one.said}){last}"


def _deaf_supervisor(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.reach in {Reach.HANGS, Reach.NONSENSE} or (
        one.reach in {Reach.MISSING, Reach.REFUSED} and one.held and one.pid_lives
    ):
        yield one.run_dir, f"{_process(one)} holds the lock and does not answer ({one.said})"


def _process(one: SupervisorFacts) -> str:
    return f"pid {one.pid}" if one.pid and one.pid_lives else "a process"


def _supervisor_denied(facts: Facts) -> Iterator[Hit]:
    if facts.supervisor.reach is Reach.DENIED:
        yield facts.supervisor.run_dir, facts.supervisor.said


def _control_in_the_way(facts: Facts) -> Iterator[Hit]:
    if facts.supervisor.reach is Reach.NO_SOCKET:
        yield facts.supervisor.run_dir, "control.sock is there and is no socket"


def _open_control(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.reach is Reach.SERVES and one.mode & 0o007:
        yield f"{one.run_dir}/control.sock", f"its mode is {one.mode:04o}: others than its owner may command all units"


def _two_supervisors(facts: Facts) -> Iterator[Hit]:
    by_duty: dict[str, list[int]] = {}
    for pid, command in facts.supervisor.others:
        by_duty.setdefault(_duty(command), []).append(pid)
    for duty, pids in by_duty.items():
        if len(pids) > 1:
            yield "pids " + ", ".join(map(str, sorted(pids))), f"each of them is `dockwarden {duty}`"


def _duty(command: str) -> str:
    """``boot`` or ``watch``, and of which engine: two of the same fight."""
    verb = next((word for word in command.split() if word in {"boot", "watch"}), "boot")
    engine = re.search(r"--engine[= ](\S+)", command)
    return f"{verb} --engine {engine[1]}" if engine else verb


def _elsewhere(one: SupervisorFacts) -> bool:
    """It answers, and its process is not to be seen: it lives in a pid namespace of its own, say a container's."""
    return one.reach is Reach.SERVES and not one.pid_lives


def _inherited_lock(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.held and one.pid and not one.pid_lives and not _elsewhere(one):
        yield f"{one.run_dir}/dockwarden.pid", f"the lock is held, and its holder, pid {one.pid}, is gone"


def _versions_differ(facts: Facts) -> Iterator[Hit]:
    running = _map(facts.supervisor.status.get("supervisor")).get("version")
    if running and running != facts.supervisor.own_version:
        yield facts.supervisor.run_dir, f"{running} runs, {facts.supervisor.own_version} is installed"


def _lost_engine(facts: Facts) -> Iterator[Hit]:
    seen = _map(facts.supervisor.status.get("engine"))
    if seen and seen.get("up") is False and facts.engine.reach is Reach.SERVES and seen.get("url") == facts.engine.url:
        yield facts.engine.url, f"it answers us, and the supervisor says: {seen.get('reason') or 'down'}"


def _few_files(facts: Facts) -> Iterator[Hit]:
    limit = facts.supervisor.files
    if limit is not None and limit < FEWEST_FILES:
        yield f"pid {facts.supervisor.pid}", f"the supervisor may open {limit} files"


# Directories and what is in them.


def _lost_directory(facts: Facts) -> Iterator[Hit]:
    running = facts.supervisor.held or facts.supervisor.reach is Reach.SERVES
    for one in facts.directories:
        unknown = one.role == "state directory" and _elsewhere(facts.supervisor)
        if not one.exists and running and not unknown:
            yield one.path, f"the {one.role} is gone, and the supervisor runs"


def _no_directory(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.exists and not one.is_directory:
            yield one.path, f"the {one.role} is no directory"


def _read_only(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.exists and one.is_directory and not one.writable and facts.host.root:
            yield one.path, f"the {one.role} cannot be written"


def _disk_full(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.size and one.free < one.size * FULL:
            yield one.path, f"the {one.role} has {_bytes(one.free)} of {_bytes(one.size)} left"


def _disk_filling(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.size and one.size * FULL <= one.free < min(one.size * NEARLY, ROOM):
            yield one.path, f"the {one.role} has {_bytes(one.free)} of {_bytes(one.size)} left"


def _few_inodes(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.files and one.files_free < one.files * NEARLY / 2:
            yield one.path, f"the {one.role} has room for {one.files_free} more files of {one.files}"


def _bad_state(facts: Facts) -> Iterator[Hit]:
    if facts.state is not None and facts.state.trouble:
        yield facts.state.path, facts.state.trouble


def _set_aside(facts: Facts) -> Iterator[Hit]:
    if facts.state is not None and facts.state.set_aside:
        yield facts.state.path, f"damaged once, and put aside as {_names(facts.state.set_aside)}"


# The clock.


def _clock_unkept(facts: Facts) -> Iterator[Hit]:
    if facts.host.synchronised is False:
        yield "clock", "the kernel says that nobody keeps it right"


def _clocks_differ(facts: Facts) -> Iterator[Hit]:
    ahead = facts.engine.ahead
    if ahead is not None and abs(ahead) > SKEW:
        yield facts.engine.url, f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"


def _clock_set_back(facts: Facts) -> Iterator[Hit]:
    late = [_name(one) for one in facts.engine.containers if _started(one) > facts.host.now + AHEAD]
    if late:
        yield _names(late), "started in the future: the clock was set back since"


# The kernel.


def _no_cgroup(facts: Facts) -> Iterator[Hit]:
    if facts.host.cgroup == "none":
        yield "/sys/fs/cgroup", "no cgroups are mounted: no engine can start a container"


def _few_controllers(facts: Facts) -> Iterator[Hit]:
    missing = sorted({"memory", "pids"} - facts.host.controllers)
    if missing and facts.host.cgroup != "none":
        yield "/sys/fs/cgroup", f"without {' and '.join(missing)}: limits are ignored, and an OOM kill is not seen"


def _old_cgroup(facts: Facts) -> Iterator[Hit]:
    if facts.host.cgroup in {"v1", "hybrid"}:
        yield "/sys/fs/cgroup", f"cgroup {facts.host.cgroup}; newer engines and systemd are leaving it"


def _no_overlay(facts: Facts) -> Iterator[Hit]:
    if not facts.host.overlay and facts.engine.info.get("Driver") != "overlay2":
        yield "/proc/filesystems", "this kernel does not offer overlay"


def _no_forwarding(facts: Facts) -> Iterator[Hit]:
    bridged = [_name(one) for one in facts.engine.containers if _is_bridged(one)]
    if facts.host.forwards is False and bridged:
        yield "net.ipv4.ip_forward", f"0: no container on a bridge gets out ({_names(bridged)})"


def _is_bridged(one: Mapping[str, Any]) -> bool:
    mode = str(_host(one).get("NetworkMode") or "")
    return _runs(one) and mode not in {"none", "host", ""} and not mode.startswith("container:")


# The containers.


def _bad_labels(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        for key, what, hint in _label_problems(_labels(one)):
            yield _name(one), f"label {key}: {what}", hint


KNOWN_LABELS = frozenset({*OWN, *STOP_TIMEOUT, ENABLE, RELINK}) | {
    f"dockwarden.{name}" for name in ("unit", "config-hash", "console", "demo")
}


def _label_problems(labels: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    read_health(labels, lambda key, what, hint: found.append((key, what, hint)))
    readers: Mapping[str, Callable[[str], object]] = {ENABLE: boolean, **dict.fromkeys(STOP_TIMEOUT, seconds)}
    for key, value in labels.items():
        if key.startswith("dockwarden.") and not key.startswith(PREFIX) and key not in KNOWN_LABELS:
            found.append((key, "unknown label", nearest(key, KNOWN_LABELS)))
        elif key in readers:
            try:
                readers[key](value)
            except WrongValueError as error:
                found.append((key, f"'{value}': expected {error}", ""))
    return found


def _two_masters(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        policy = str(_map(_host(one).get("RestartPolicy")).get("Name") or "no")
        labels = _labels(one)
        if labels.get("dockwarden.unit") and policy != "no":
            yield _name(one), f"the engine restarts it too (restart policy {policy})"
        elif labels.get(f"{PREFIX}action") == "stop" and policy in LASTING:
            yield _name(one), f"what stops it for its health does not last (restart policy {policy})"


RIVALS = {"autoheal": "restarts what is unhealthy", "watchtower": "makes containers anew", "ouroboros": "the same"}


def _rivals(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        image = str(_map(one.get("Config")).get("Image") or "").rpartition("/")[2]
        rival = next((name for name in RIVALS if name in image), None)
        if rival and _runs(one):
            yield _name(one), f"{rival} {RIVALS[rival]}, and so does the supervisor"


def _orphans(facts: Facts) -> Iterator[Hit]:
    by_id = _by_id(facts)
    for one in facts.engine.containers:
        for key, held in _joins(one):
            if held not in by_id and held not in {_name(other) for other in by_id.values()}:
                yield _name(one), f"its {key} is that of container {held[:12]}, which is gone"


def _left_behind(facts: Facts) -> Iterator[Hit]:
    by_id = _by_id(facts)
    for one in facts.engine.containers:
        for key, held in _joins(one):
            owner = by_id.get(held)
            if owner is not None and _runs(one) and not _runs(owner):
                yield _name(one), f"its {key} is that of {_name(owner)}, which does not run"
            elif owner is not None and _runs(one) and _started(owner) > _started(one) > 0:
                yield _name(one), f"its {key} is that of a run of {_name(owner)} that is over"


def _stale_links(facts: Facts) -> Iterator[Hit]:
    names = {_name(one) for one in facts.engine.containers} | set(facts.engine.mute)
    for one in facts.engine.containers:
        for link in _host(one).get("Links") or ():
            target = str(link).partition(":")[0].lstrip("/")
            if target not in names:
                yield _name(one), f"it has a link to {target}, which there is not"


def _cut_off(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        if REPLACED.fullmatch(_name(one)):
            name = _name(one).partition("_")[2]
            there = any(_name(other) == name for other in facts.engine.containers)
            fix = "" if there else f"docker rename {_name(one)} {name} && docker start {name}"
            yield _name(one), f"was being replaced; {name} is {'there' if there else 'missing'}", fix


def _loose_volumes(facts: Facts) -> Iterator[Hit]:
    count = len(facts.engine.unnamed_volumes)
    if count:
        yield "volumes", f"{count} without a name that no container uses"


# The units, as the supervisor sees them.


def _in_state(*states: str) -> Callable[[Facts], Iterator[Hit]]:
    def look(facts: Facts) -> Iterator[Hit]:
        for unit in _units(facts):
            if unit.get("state") in states:
                yield _unit(unit), f"{unit['state']}: {unit.get('reason')}", f"dockwarden why {unit.get('name')}"

    return look


def _flapping(facts: Facts) -> Iterator[Hit]:
    for unit in _units(facts):
        if unit.get("flapping"):
            yield _unit(unit), "helped too often, and left alone for a while", f"dockwarden why {unit.get('name')}"


def _unhealthy(facts: Facts) -> Iterator[Hit]:
    for unit in _units(facts):
        if unit.get("health") == "unhealthy" and not unit.get("flapping"):
            yield _unit(unit), f"its checks fail: {unit.get('reason')}", f"dockwarden why {unit.get('name')}"


# The configuration.


def _config(kind: str) -> Callable[[Facts], Iterator[Hit]]:
    def look(facts: Facts) -> Iterator[Hit]:
        for one in facts.config.problems if facts.config else ():
            if _kind(one.text) == kind:
                yield one.place, one.text, one.hint

    return look


def _kind(problem: str) -> str:
    """``units.links`` says it in these words."""
    return "cycle" if "cycle: " in problem else "unknown unit" if "there is no unit" in problem else "other"


def _config_warnings(facts: Facts) -> Iterator[Hit]:
    for one in facts.config.warnings if facts.config else ():
        yield one.place, one.text, one.hint


# Small words.


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _host(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(one.get("HostConfig"))


def _labels(one: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in _map(_map(one.get("Config")).get("Labels")).items()}


def _name(one: Mapping[str, Any]) -> str:
    return str(one.get("Name") or "?").lstrip("/")


def _runs(one: Mapping[str, Any]) -> bool:
    return _map(one.get("State")).get("Running") is True


def _started(one: Mapping[str, Any]) -> float:
    """Seconds since the epoch; gathered beside the inspect, for a stamp is no number."""
    value = one.get("started", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _joins(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        kind, colon, held = str(_host(one).get(key) or "").partition(":")
        if kind == "container" and colon:
            yield {"NetworkMode": "network", "PidMode": "pid namespace", "IpcMode": "ipc namespace"}[key], held


def _by_id(facts: Facts) -> dict[str, Mapping[str, Any]]:
    return {str(one.get("Id")): one for one in facts.engine.containers}


def _units(facts: Facts) -> Iterator[Mapping[str, Any]]:
    units = facts.supervisor.status.get("units")
    yield from (unit for unit in (units if isinstance(units, list) else ()) if isinstance(unit, dict))


def _unit(unit: Mapping[str, Any]) -> str:
    return f"unit {unit.get('name')}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)) or (0,)


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_AT_ENGINE = "is it the right one (--engine)? start it (systemctl start docker, or dockwarden boot)"

TABLE: tuple[Row, ...] = (
    Row("DW-E01", _E, "the engine's socket is missing", _reached(Reach.MISSING), _AT_ENGINE),
    Row(
        *("DW-E02", _E, "the engine's socket is no socket", _reached(Reach.NO_SOCKET)),
        "remove it (a mount of a missing socket makes a directory), and restart the engine",
    ),
    Row("DW-E03", _E, "no permission on the engine's socket", _reached(Reach.DENIED), "run as root (sudo)"),
    Row("DW-E04", _E, "nobody answers on the engine's socket", _reached(Reach.REFUSED), _AT_ENGINE),
    Row(
        *("DW-E05", _E, "the engine hangs", _reached(Reach.HANGS)),
        "its log says more; with live-restore its restart ends no container: kill -9 its pid, start it",
    ),
    Row(
        *("DW-E06", _E, "no engine answers on that socket", _reached(Reach.NONSENSE)),
        "name the engine's own socket with --engine",
    ),
    Row(
        *("DW-E07", _E, "the engine's URL cannot be used", _reached(Reach.NO_URL)),
        "name a socket: --engine unix:///var/run/docker.sock",
    ),
    Row("DW-E08", _E, "the engine is too old", _old_engine, "install Docker 20.10 or later"),
    Row(
        *("DW-E09", _E, "the engine hangs on a container", _mute),
        "end that container's shim (ps -ef | grep its id), or restart the engine",
    ),
    Row("DW-E10", _E, "there is no dockerd", _no_dockerd, "install one, or attach to one that runs (boot --engine)"),
    Row("DW-E11", _W, "the units end with their engine", _no_live_restore, 'set "live-restore": true'),
    Row(
        *("DW-E12", _W, "a log without an end", _endless_logs),
        'set "log-opts": {"max-size": "25m"} of the engine, and make it anew',
    ),
    Row("DW-E13", _W, "a storage driver of old", _storage_driver, "move to overlay2"),
    Row("DW-E14", _N, "the engine warns", _engine_warnings, "see the engine's documentation"),
    Row(
        *("DW-S01", _E, "no supervisor runs", _no_supervisor),
        "start it: dockwarden boot, or dockwarden watch; or name another --run-dir",
    ),
    Row(
        *("DW-S02", _E, "the supervisor does not answer", _deaf_supervisor),
        "see its log; ending it with kill -9 touches no unit, and the next one takes over",
    ),
    Row("DW-S03", _E, "no permission on the supervisor's socket", _supervisor_denied, "run as root (sudo)"),
    Row(
        *("DW-S04", _E, "something is in the socket's way", _control_in_the_way),
        "remove it, and restart the supervisor",
    ),
    Row("DW-S05", _E, "two supervisors", _two_supervisors, "end all but one: they restart the same containers"),
    Row(
        *("DW-S06", _E, "a lock that outlived its holder", _inherited_lock),
        "a child of it has the file: find it with fuser, and end it",
    ),
    Row("DW-S07", _E, "the supervisor has lost the engine", _lost_engine, "see its log: journalctl -u dockwarden"),
    Row("DW-S08", _W, "the supervisor's socket is open to others", _open_control, "chmod 0600 it"),
    Row("DW-S09", _W, "an older supervisor runs", _versions_differ, "restart it: no unit is touched"),
    Row("DW-S10", _W, "too few open files", _few_files, "set LimitNOFILE=65536 in its systemd unit"),
    Row("DW-D01", _E, "a directory is gone", _lost_directory, "restart the supervisor: it makes it again"),
    Row("DW-D02", _E, "no directory", _no_directory, "move it away, or name another (--state-dir, --run-dir)"),
    Row(
        *("DW-D03", _E, "a directory that cannot be written", _read_only),
        "mount it writable, or name another (--state-dir, --run-dir)",
    ),
    Row("DW-D04", _E, "a full file system", _disk_full, "docker system df; docker image prune"),
    Row("DW-D05", _W, "a file system that fills up", _disk_filling, "docker system df; docker image prune"),
    Row("DW-D06", _W, "few inodes left", _few_inodes, "docker image prune; docker volume prune"),
    Row(
        *("DW-D07", _E, "the state file is damaged", _bad_state),
        "restart the supervisor: it puts it aside and begins anew; look at the disk",
    ),
    Row("DW-D08", _N, "the state file was damaged", _set_aside, "look at the disk; then remove what was put aside"),
    Row("DW-T01", _N, "nobody keeps the clock", _clock_unkept, "run chrony or systemd-timesyncd"),
    Row(
        *("DW-T02", _W, "two clocks on one host", _clocks_differ),
        "is this the engine of this host? one of the two runs in a time namespace, or elsewhere",
    ),
    Row("DW-T03", _W, "the clock was set back", _clock_set_back, "restart those containers when it suits"),
    Row("DW-K01", _E, "no cgroups", _no_cgroup, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
    Row(
        *("DW-K02", _W, "a cgroup controller is missing", _few_controllers),
        "boot with cgroup_enable=memory; on v2, list it in cgroup.subtree_control of the root",
    ),
    Row("DW-K03", _N, "cgroups of old", _old_cgroup, "boot with systemd.unified_cgroup_hierarchy=1"),
    Row("DW-K04", _W, "no overlay file system", _no_overlay, "modprobe overlay"),
    Row("DW-K05", _W, "no packets are forwarded", _no_forwarding, "sysctl -w net.ipv4.ip_forward=1"),
    Row("DW-C01", _W, "a label that counts for nothing", _bad_labels, "set it right, and make the container anew"),
    Row("DW-C02", _W, "two masters of one container", _two_masters, "docker update --restart=no it"),
    Row("DW-C03", _W, "somebody else heals", _rivals, "stop it, or take its containers out of our sight"),
    Row(
        *("DW-C04", _E, "it holds on to a container that is gone", _orphans),
        "make it anew (docker compose up -d); dockwarden watch does so by itself",
    ),
    Row("DW-C05", _W, "it holds on to a run that is over", _left_behind, "docker restart it, once its owner runs"),
    Row("DW-C06", _W, "a link that leads nowhere", _stale_links, "start what it is linked to, or make it anew"),
    Row(
        *("DW-C07", _W, "a replacement that was cut off", _cut_off),
        "if the new one is well: docker rm -f the old one",
    ),
    Row("DW-C08", _N, "volumes that nobody uses", _loose_volumes, "docker volume prune"),
    Row(
        *("DW-U01", _E, "a unit is down", _in_state("failed", "crash-loop", "image-missing")),
        "dockwarden why UNIT",
    ),
    Row("DW-U02", _W, "a unit is flapping", _flapping, "dockwarden why UNIT"),
    Row("DW-U03", _W, "a unit is unhealthy", _unhealthy, "dockwarden why UNIT"),
    Row("DW-F01", _E, "the configuration does not hold", _config("other"), "dockwarden config validate"),
    Row("DW-F02", _E, "units wait for one another", _config("cycle"), "take one of these edges away"),
    Row("DW-F03", _E, "a unit needs one that there is not", _config("unknown unit"), "define it, or drop the edge"),
    Row("DW-F04", _N, "the configuration is not all acted on", _config_warnings, "dockwarden config validate"),
)
"""Everything that is looked at. docs/reference/doctor.md lists it; a test compares the two."""
