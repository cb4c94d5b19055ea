"""Finds out the facts that ``findings`` judges, with the standard library only, and every wait bounded.

It must work on the worst day: without a supervisor, without an engine, with either of them hanging. So nothing here
raises for what is wrong with the host, and what could not be found out is left out.
"""

import argparse
import ctypes
import fcntl
import os
import platform
import re
import resource
import shlex
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from supervisor.cli.doctor.facts import (
    ConfigFacts,
    ConfigProblem,
    DirectoryFacts,
    EngineFacts,
    Facts,
    HostFacts,
    StateFacts,
    SupervisorFacts,
)
from supervisor.cli.options import CONFIG
from supervisor.http.client import BudgetClient, UnansweredError
from supervisor.http.reach import Reach
from supervisor.logs.timestamps import started
from supervisor.os_errors import why
from supervisor.state.lock import PID_FILE
from supervisor.version import VERSION
from units.records import dataclass

MOST = 500
"""Containers that are looked at."""
UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of adjtimex(2)."""
CGROUP2, TMPFS = "cgroup2", "tmpfs"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at. ``engine`` and ``state_dir``: None for what the host itself says."""

    run_dir: Path
    engine: str | None = None
    state_dir: Path | None = None
    config: tuple[Path, ...] = ()


def gather(wanted: Wanted) -> Facts:
    """All facts; takes at most about 20 s when everything hangs, and a fraction of one when nothing does."""
    supervisor = supervisor_facts(wanted.run_dir)
    url = wanted.engine or _engine_of(supervisor, wanted)
    engine = engine_facts(url)
    booting = bool(wanted.config) or _mode(supervisor) == "embedded"
    state_dir = wanted.state_dir or _state_dir(supervisor, booting=booting)
    directories = [("run directory", wanted.run_dir), ("state directory", state_dir)]
    if root := str(engine.info.get("DockerRootDir") or ""):
        directories.append(("engine's data", Path(root)))
    return Facts(
        engine,
        supervisor,
        host_facts(boots_engine=booting and not wanted.engine and _mode(supervisor) != "attached"),
        tuple(directory_facts(role, path) for role, path in directories),
        state_facts(state_dir / "state.json"),
        config_facts(wanted.config) if wanted.config else None,
    )


def _engine_of(supervisor: SupervisorFacts, wanted: Wanted) -> str:
    """The supervisor knows best; then its command line; then whether this host boots one."""
    told = supervisor.status.get("engine")
    if isinstance(told, dict) and told.get("url"):
        return str(told["url"])
    if wanted.config:
        return "unix:///var/run/system-docker.sock"
    return os.environ.get("DOCKER_SOCK") or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _mode(supervisor: SupervisorFacts) -> str:
    told = supervisor.status.get("engine")
    return str(told.get("mode")) if isinstance(told, dict) else ""


def _state_dir(supervisor: SupervisorFacts, *, booting: bool) -> Path:
    """As the running supervisor was told, else its default."""
    for pid, command in supervisor.others:
        if pid == supervisor.pid and (said := re.search(r"--state-dir[= ](\S+)", command)):
            return Path(said[1])
    return Path("/var/lib/dockwarden" if booting else "/var/lib/dockwarden-watch")


# The engine.


def engine_facts(url: str) -> EngineFacts:
    path = Path(url.removeprefix("unix://"))
    if not path.is_absolute():
        return EngineFacts(url, Reach.NO_URL, "only unix sockets are understood")
    engine = BudgetClient(path)
    try:
        engine.raw("/_ping")
        version = engine.get("/version")
        asked = time.time()
        info = engine.get("/v1.41/info")
        answered = time.time()
    except UnansweredError as error:
        return EngineFacts(url, error.reach, error.said)
    if not isinstance(version, dict) or not isinstance(info, dict):
        return EngineFacts(url, Reach.NONSENSE, "what answers is no engine")
    seen, mute = _containers(engine)
    stamp = started(info.get("SystemTime"))
    # Within the call it may have looked at its clock at any time.
    ahead = 0.0 if asked <= stamp <= answered else stamp - (answered if stamp > answered else asked)
    return EngineFacts(
        url,
        Reach.SERVES,
        version=version,
        info=info,
        containers=seen,
        mute=mute,
        unnamed_volumes=_unnamed(engine),
        ahead=ahead if stamp else None,
    )


def _containers(engine: BudgetClient) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """Those that could be inspected, and the names of those that could not in time."""
    try:
        rows = engine.get("/v1.41/containers/json?all=1")
    except UnansweredError:
        return (), ("the list of containers",)
    seen: list[Mapping[str, Any]] = []
    mute: list[str] = []
    for row in (rows if isinstance(rows, list) else ())[:MOST]:
        try:
            found = engine.get(f"/v1.41/containers/{quote(str(row['Id']))}/json", 2.0)
            seen.append({**found, "started": started(found["State"]["StartedAt"])})
        except UnansweredError as error:
            if error.reach is Reach.HANGS:  # Else it has gone meanwhile.
                mute.append(str((row.get("Names") or [row["Id"][:12]])[0]).lstrip("/"))
        except (KeyError, TypeError):
            continue
    return tuple(seen), tuple(mute)


def _unnamed(engine: BudgetClient) -> tuple[str, ...]:
    try:
        answer = engine.get("/v1.41/volumes?filters=" + quote('{"dangling":["true"]}'))
        names = [str(one["Name"]) for one in answer.get("Volumes") or ()]
    except (UnansweredError, AttributeError, KeyError, TypeError):
        return ()
    return tuple(name for name in names if re.fullmatch("[0-9a-f]{64}", name))


# The supervisor.


def supervisor_facts(run_dir: Path) -> SupervisorFacts:
    path = run_dir / "control.sock"
    reach, said, status = Reach.SERVES, "", {}
    try:
        answer = BudgetClient(path).get("/v1/status")
        status = answer if isinstance(answer, dict) else {}
    except UnansweredError as error:
        reach, said = error.reach, error.said
    try:
        told = path.lstat()
        mode, owner = stat.S_IMODE(told.st_mode), told.st_uid
    except OSError:
        mode, owner = 0o600, 0
    pid, held = _lock(run_dir / PID_FILE)
    return SupervisorFacts(
        run_dir=str(run_dir),
        reach=reach,
        said=said,
        mode=mode,
        owner=owner,
        pid=pid,
        held=held,
        pid_lives=pid > 0 and Path(f"/proc/{pid}").exists(),
        status=status,
        own_version=VERSION,
        others=tuple(_supervisors()),
        files=_files_of(pid) if held else None,
    )


def _lock(path: Path) -> tuple[int, bool | None]:
    """Whose it is, and whether it is held: asked with a shared lock, given back at once."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return 0, False
    except OSError:
        return 0, None
    try:
        first = os.pread(fd, 64, 0).decode(errors="replace").partition("\n")[0]
        pid = int(first) if first.isdecimal() else 0
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return pid, True
        return pid, False
    finally:
        os.close(fd)


def _supervisors() -> Iterator[tuple[int, str]]:
    """Processes of our own view that are supervisors."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if is_supervisor(words):
            yield int(entry.name), shlex.join(filter(None, words))


def is_supervisor(words: Sequence[str]) -> bool:
    """Whether a command line is that of one: ``dockwarden boot``, or ``python -P -OO -m supervisor boot``."""
    program = [Path(word).name for word in words[:2]]
    module = next((words[i + 1] for i, word in enumerate(words[1:6], 1) if word == "-m" and i + 1 < len(words)), "")
    return ("dockwarden" in program or module == "supervisor") and not {"boot", "watch"}.isdisjoint(words[1:10])


def _files_of(pid: int) -> int | None:
    try:
        limits = Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return None
    found = re.search(r"^Max open files\s+(\d+)", limits, re.MULTILINE)
    return int(found[1]) if found else None


# Files.


def directory_facts(role: str, path: Path) -> DirectoryFacts:
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return DirectoryFacts(role, str(path), exists=False)
    if not is_directory:
        return DirectoryFacts(role, str(path), exists=True, is_directory=False)
    try:
        told = os.statvfs(path)
    except OSError:
        return DirectoryFacts(role, str(path), exists=True)
    return DirectoryFacts(
        role=role,
        path=str(path),
        exists=True,
        writable=os.access(path, os.W_OK) and not told.f_flag & os.ST_RDONLY,
        free=told.f_bavail * told.f_frsize,
        size=told.f_blocks * told.f_frsize,
        files_free=told.f_favail,
        files=told.f_files,
    )


def state_facts(path: Path) -> StateFacts:
    from supervisor.state.file import CorruptError, decode  # noqa: PLC0415 - brings structlog, which few commands need

    aside = tuple(sorted(other.name for other in path.parent.glob(f"{path.name}.corrupt-*")))
    try:
        decode(path.read_bytes())
    except FileNotFoundError:
        return StateFacts(str(path), set_aside=aside)
    except PermissionError:
        return StateFacts(str(path))
    except (OSError, CorruptError) as error:
        return StateFacts(str(path), why(error), aside)
    return StateFacts(str(path), set_aside=aside)


def config_facts(paths: Sequence[Path]) -> ConfigFacts:
    from supervisor.config.validate import validate  # noqa: PLC0415 - brings yaml

    try:
        verdict = validate(paths, command_line())
    except RecursionError:
        return ConfigFacts((ConfigProblem(str(paths[0]), "too deep to be read"),))
    problems, warnings = (
        tuple(ConfigProblem(str(one.place), f"{one.path}: {one.message}".removeprefix(": "), one.hint) for one in found)
        for found in (verdict.problems, verdict.warnings)
    )
    return ConfigFacts(problems, warnings)


def command_line() -> str:
    """The kernel's, as ``boot`` reads it."""
    return _read("/proc/cmdline")


# The host.


def host_facts(*, boots_engine: bool = False) -> HostFacts:
    cgroup, controllers = cgroup_facts(_read("/proc/self/mountinfo"), _read("/proc/cgroups"))
    forwards = _read("/proc/sys/net/ipv4/ip_forward").strip()
    return HostFacts(
        now=time.time(),
        root=os.geteuid() == 0,
        cgroup=cgroup,
        controllers=controllers,
        synchronised=_synchronised(),
        forwards=forwards == "1" if forwards else None,
        overlay="\toverlay\n" in _read("/proc/filesystems"),
        dockerd=shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"),
        boots_engine=boots_engine,
    )


def cgroup_facts(mounts: str, listed: str) -> tuple[str, frozenset[str]]:
    """Which hierarchy is mounted, and the controllers that can be used, from mountinfo(5) and /proc/cgroups."""
    unified, old = "", set[str]()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind == CGROUP2:
            unified = unified or before.split()[4]
        elif kind == "cgroup":
            old |= set(options.split(" ")[-1].split(","))
    enabled = {row.split()[0] for row in listed.splitlines() if row.endswith("\t1")}
    if old & enabled:
        return ("hybrid" if unified else "v1"), frozenset(old & enabled)
    if unified:
        return "v2", frozenset(_read(f"{unified}/cgroup.controllers").split())
    return "none", frozenset()


def _synchronised() -> bool | None:
    """``adjtimex`` in its mode 0 only looks; the status word is the sixth of its record (after 4 longs and an int)."""
    record = (ctypes.c_long * 40)()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(record))
    except (OSError, AttributeError):
        return None
    if state < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    return not (record[5] & 0xFFFFFFFF) & UNSYNCHRONISED


def versions(facts: Facts) -> dict[str, str]:
    """What is asked first of anyone who has a problem."""
    engine, info = facts.engine.version, facts.engine.info
    return {
        "dockwarden": VERSION,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "engine": str(engine.get("Version") or "-"),
        "api": str(engine.get("ApiVersion") or "-"),
        "storage driver": str(info.get("Driver") or "-"),
        "cgroup": facts.host.cgroup,
        "cgroup driver": str(info.get("CgroupDriver") or "-"),
        "open files": str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def wanted(args: argparse.Namespace) -> Wanted:
    config = tuple(args.config) or ((CONFIG,) if CONFIG.exists() else ())
    return Wanted(Path(args.run_dir), args.engine, args.state_dir, config)
