"""Looks at the supervisor of a run directory, its lock and its process; none of them has to be there."""

import fcntl
import os
import re
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from supervisor.cli.doctor.facts import SupervisorFacts
from supervisor.http.client import BudgetClient, UnansweredError
from supervisor.http.reach import Reach
from supervisor.state.paths import PID_FILE, SOCKET
from supervisor.version import VERSION


def supervisor_facts(run_dir: Path) -> SupervisorFacts:
    path = run_dir / SOCKET
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
    """The pid in the lock file, and whether the lock is held: tested with a shared lock, released at once."""
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
    """Supervisor processes that are visible in /proc."""
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
    """Whether it is a supervisor's command line: ``dockwarden boot``, or ``python -P -OO -m supervisor boot``."""
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
