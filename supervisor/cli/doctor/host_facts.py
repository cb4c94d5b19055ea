"""Looks at the host: its kernel, cgroups, clock, and the directories that are needed. Nothing here raises."""

import ctypes
import os
import shutil
import stat
import time
from pathlib import Path

from supervisor.cli.doctor.facts import DirectoryFacts, HostFacts

UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of adjtimex(2)."""


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


def host_facts(*, boots_engine: bool = False) -> HostFacts:
    cgroup, controllers = cgroup_facts(text_of("/proc/self/mountinfo"), text_of("/proc/cgroups"))
    forwards = text_of("/proc/sys/net/ipv4/ip_forward").strip()
    return HostFacts(
        now=time.time(),
        root=os.geteuid() == 0,
        cgroup=cgroup,
        controllers=controllers,
        synchronised=_synchronised(),
        forwards=forwards == "1" if forwards else None,
        overlay="\toverlay\n" in text_of("/proc/filesystems"),
        dockerd=shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"),
        boots_engine=boots_engine,
    )


def cgroup_facts(mounts: str, listed: str) -> tuple[str, frozenset[str]]:
    """The mounted cgroup hierarchy and its usable controllers, from mountinfo(5) and /proc/cgroups."""
    unified, old = "", set[str]()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind == "cgroup2":
            unified = unified or before.split()[4]
        elif kind == "cgroup":
            old |= set(options.split(" ")[-1].split(","))
    enabled = {row.split()[0] for row in listed.splitlines() if row.endswith("\t1")}
    if old & enabled:
        return ("hybrid" if unified else "v1"), frozenset(old & enabled)
    if unified:
        return "v2", frozenset(text_of(f"{unified}/cgroup.controllers").split())
    return "none", frozenset()


def _synchronised() -> bool | None:
    """``adjtimex`` with mode 0 only reads; the status is the sixth field of its record (after 4 longs and an int)."""
    record = (ctypes.c_long * 40)()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(record))
    except (OSError, AttributeError):
        return None
    if state < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    return not (record[5] & 0xFFFFFFFF) & UNSYNCHRONISED


def text_of(path: str) -> str:
    """Of a file; nothing where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
