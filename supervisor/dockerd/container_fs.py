"""Reads a container's file system through /proc: its mounts, and the engines in it."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from supervisor.dockerd.rooted_path import within
from supervisor.engine.port import EngineError
from units.records import replace
from units.tables.storage import ContextFacts, wanted
from units.unit import Failure

ENGINES = "/opt/engines"
"""Where named engines are looked for: ``<name>/bin/dockerd``."""
SHIPPED = "shipped"
"""The named engine that serves when the context brings none."""
OWN = ("/usr/local/bin", "/opt/bin")
"""Where a context's own engine is looked for first: a file that an operator put there has precedence."""
ORDINARY = ("/usr/bin", "/usr/sbin")
ANSWER = 5.0
"""Seconds for ``--version``."""


def same_mounts(one: int, other: int) -> bool:
    """Whether two processes see the same file systems."""
    try:
        return os.readlink(f"/proc/{one}/ns/mnt") == os.readlink(f"/proc/{other}/ns/mnt")  # noqa: PTH115
    except OSError:
        return False


def filesystem_of(pid: int, path: str) -> str:
    """Type of the file system that a process sees at a path; empty if unknown."""
    best, kind = "", ""
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        place = before.split(" ")[4].replace("\\040", " ")
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, after.split(" ")[0]
    return kind


def mounted(pid: int, path: str) -> bool:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split(" ")[4].replace("\\040", " ") == path.rstrip("/") for line in lines)


def look_into(facts: ContextFacts, data_root: str) -> ContextFacts:
    """Add facts from the context's file system."""
    absent = tuple(
        what
        for what in wanted(facts.requires)
        if not (mounted(facts.pid, what) if what.startswith("/") else installed(facts.pid, what))
    )
    on = filesystem_of(facts.pid, data_root)
    return replace(facts, absent=absent, data_root=data_root, data_root_on=on)


def installed(pid: int, name: str) -> bool:
    places = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/bin")
    return any(inside(pid, f"{place}/{name}") is not None for place in places)


def inside(pid: int, path: str) -> Path | None:
    """An executable file of a process's file system, as we can reach it; else ``None``."""
    found = within(Path(f"/proc/{pid}/root"), path)
    return found if found.is_file() and os.access(found, os.X_OK) else None


def engines_in(pid: int) -> list[dict[str, str]]:
    """Named engines of a context, and its own one under an empty name."""
    found = [{"name": "", "binary": own}] if (own := _own(pid)) else []
    with contextlib.suppress(OSError):
        names = sorted(entry.name for entry in within(Path(f"/proc/{pid}/root"), ENGINES).iterdir())
        found += [
            {"name": name, "binary": f"{ENGINES}/{name}/bin/dockerd"}
            for name in names
            if inside(pid, f"{ENGINES}/{name}/bin/dockerd")
        ]
    return found


def _own(pid: int) -> str:
    """The context's own engine. A ``docker`` in the places for own engines counts too, if it is an engine."""
    for place in (*OWN, *ORDINARY):
        if inside(pid, f"{place}/dockerd"):
            return f"{place}/dockerd"
        if place in OWN and inside(pid, f"{place}/docker") and _is_engine(pid, f"{place}/docker"):
            return f"{place}/docker"
    return ""


def _is_engine(pid: int, docker: str) -> bool:
    """Up to 1.11 engine and client were one program; today's ``docker`` is a client, and knows no ``daemon``."""
    command = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--", docker, "daemon", "--help"]
    try:
        done = subprocess.run(  # noqa: S603 - to run what a person dropped there is the purpose
            command, capture_output=True, timeout=ANSWER, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return (done.returncode == 0 and b"--data-root" in done.stdout + done.stderr) or b"--graph" in done.stdout


def find_engine(pid: int, name: str) -> str:
    """The engine to run, as a path in the context's file system. Raises EngineError, which lists the engines."""
    known = engines_in(pid)
    if name:
        for one in known:
            if one["name"] == name:
                return one["binary"]
        there = ", ".join(one["name"] for one in known if one["name"]) or "none"
        raise EngineError(
            Failure.ABSENT,
            f"there is no engine '{name}' (no executable {ENGINES}/{name}/bin/dockerd); there are: {there}",
        )
    for one in known:
        if not one["name"] or one["name"] == SHIPPED:
            return one["binary"]
    if known:
        return known[-1]["binary"]
    raise EngineError(
        Failure.ABSENT,
        f"the storage context has no dockerd in {', '.join((*OWN, *ORDINARY))} or below {ENGINES}: install one there",
    )


async def try_out(pid: int, binary: str) -> tuple[str, ...]:
    """Run ``dockerd --version``: an engine for which that fails will not serve."""
    path = f"{Path(binary).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    command: Sequence[str] = ("nsenter", f"--mount=/proc/{pid}/ns/mnt", "--", binary, "--version")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": path},
    )
    try:
        async with asyncio.timeout(ANSWER):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return (f"{binary} --version timed out after {ANSWER:g} s",)
    if process.returncode:
        last = output.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        return (f"{binary} --version failed with {process.returncode}: {last[0]}",)
    return ()
