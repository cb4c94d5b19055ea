"""The doctor's checks of the host: directories, file systems, clocks, the kernel. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from supervisor.cli.doctor.facts import Facts, Hit
from supervisor.cli.doctor.inspect_helpers import elsewhere, host_config, in_bytes, listed, name_of, runs, started_of
from supervisor.http.reach import Reach

SKEW = 2.0
"""Seconds between two clocks on one machine that need an explanation."""
AHEAD = 60.0
"""Seconds that a stamp may lie in the future before the clock must have been set back."""
FULL = 0.01
NEARLY = 0.10
"""Free fractions of a file system."""
ROOM = 1 << 30
"""Bytes: a file system with more free is not nearly full, however large it is."""


def lost_directory(facts: Facts) -> Iterator[Hit]:
    running = facts.supervisor.held or facts.supervisor.reach is Reach.SERVES
    for one in facts.directories:
        unknown = one.role == "state directory" and elsewhere(facts.supervisor)
        if not one.exists and running and not unknown:
            yield one.path, f"the {one.role} does not exist, and the supervisor is running"


def no_directory(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.exists and not one.is_directory:
            yield one.path, f"the {one.role} is not a directory"


def read_only(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.exists and one.is_directory and not one.writable and facts.host.root:
            yield one.path, f"the {one.role} is not writable"


def disk_full(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.size and one.free < one.size * FULL:
            yield one.path, f"the {one.role} has {in_bytes(one.free)} of {in_bytes(one.size)} free"


def disk_filling(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.size and one.size * FULL <= one.free < min(one.size * NEARLY, ROOM):
            yield one.path, f"the {one.role} has {in_bytes(one.free)} of {in_bytes(one.size)} free"


def few_inodes(facts: Facts) -> Iterator[Hit]:
    for one in facts.directories:
        if one.files and one.files_free < one.files * NEARLY / 2:
            yield one.path, f"the {one.role} has {one.files_free} of {one.files} inodes free"


def bad_state(facts: Facts) -> Iterator[Hit]:
    if facts.state is not None and facts.state.trouble:
        yield facts.state.path, facts.state.trouble


def set_aside(facts: Facts) -> Iterator[Hit]:
    if facts.state is not None and facts.state.set_aside:
        yield facts.state.path, f"damaged earlier, moved aside as {listed(facts.state.set_aside)}"


def clock_unkept(facts: Facts) -> Iterator[Hit]:
    if facts.host.synchronised is False:
        yield "clock", "the kernel reports it as unsynchronised (STA_UNSYNC)"


def clocks_differ(facts: Facts) -> Iterator[Hit]:
    ahead = facts.engine.ahead
    if ahead is not None and abs(ahead) > SKEW:
        yield facts.engine.url, f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"


def clock_set_back(facts: Facts) -> Iterator[Hit]:
    late = [name_of(one) for one in facts.engine.containers if started_of(one) > facts.host.now + AHEAD]
    if late:
        yield listed(late), "start time is in the future: the clock was set back since"


def no_cgroup(facts: Facts) -> Iterator[Hit]:
    if facts.host.cgroup == "none":
        yield "/sys/fs/cgroup", "no cgroup hierarchy mounted are mounted: no engine can start a container"


def few_controllers(facts: Facts) -> Iterator[Hit]:
    missing = sorted({"memory", "pids"} - facts.host.controllers)
    if missing and facts.host.cgroup != "none":
        yield "/sys/fs/cgroup", f"missing {' and '.join(missing)}: limits are ignored, and OOM kills go unnoticed"


def old_cgroup(facts: Facts) -> Iterator[Hit]:
    if facts.host.cgroup in {"v1", "hybrid"}:
        yield "/sys/fs/cgroup", f"cgroup {facts.host.cgroup}; newer engines and systemd drop support for it"


def no_overlay(facts: Facts) -> Iterator[Hit]:
    if not facts.host.overlay and facts.engine.info.get("Driver") != "overlay2":
        yield "/proc/filesystems", "this kernel has no overlay file system (module not loaded?)"


def no_forwarding(facts: Facts) -> Iterator[Hit]:
    bridged = [name_of(one) for one in facts.engine.containers if _is_bridged(one)]
    if facts.host.forwards is False and bridged:
        yield "net.ipv4.ip_forward", f"0: containers on a bridge have no outside network ({listed(bridged)})"


def _is_bridged(one: Mapping[str, Any]) -> bool:
    mode = str(host_config(one).get("NetworkMode") or "")
    return runs(one) and mode not in {"none", "host", ""} and not mode.startswith("container:")
