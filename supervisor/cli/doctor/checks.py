"""The table of the doctor's checks: each row has a permanent id, a severity, a function of the facts, and a fix. Pure.

Rules of the table. An id is never reused. A check reads the facts only, reports each finding in one sentence, and
reports nothing about facts that could not be collected. A finding that explains others suppresses them: an engine that
does not answer gives no findings about containers.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from supervisor.cli.doctor import host_checks, unit_checks
from supervisor.cli.doctor.facts import Facts, Finding, Hit, Row, Severity, SupervisorFacts
from supervisor.cli.doctor.inspect_helpers import (
    elsewhere,
    host_config,
    labels_of,
    listed,
    mapping_of,
    name_of,
)
from supervisor.engine.api_version import API, too_new, too_old
from supervisor.http.reach import Reach

FEWEST_FILES = 1024
"""Open files that a supervisor of some hundred units needs."""


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
        if too_old(highest) or too_new(lowest):
            yield facts.engine.url, f"it serves API {lowest or '?'} to {highest or '?'}, and {API} is needed"


def _mute(facts: Facts) -> Iterator[Hit]:
    if facts.engine.mute:
        yield facts.engine.url, f"no answer about {listed(facts.engine.mute)}, while it answers about others"


def _no_dockerd(facts: Facts) -> Iterator[Hit]:
    if facts.host.boots_engine and facts.host.dockerd is None:
        yield "PATH", "System Docker is to be started, and there is no dockerd"


def _no_live_restore(facts: Facts) -> Iterator[Hit]:
    if facts.engine.info.get("LiveRestoreEnabled") is False and _is_system_docker(facts):
        yield facts.engine.url, "live-restore is off: all units end with the engine, also when it is upgraded"


def _is_system_docker(facts: Facts) -> bool:
    """Whether the engine runs units of ``boot``. On a host that is only watched the operator configures it."""
    return any(labels_of(one).get("dockwarden.unit") for one in facts.engine.containers)


def _endless_logs(facts: Facts) -> Iterator[Hit]:
    endless = []
    for one in facts.engine.containers:
        log = mapping_of(host_config(one).get("LogConfig"))
        if log.get("Type") == "json-file" and not mapping_of(log.get("Config")).get("max-size"):
            endless.append(name_of(one))
    if endless:
        yield listed(endless), "its log (json-file) grows until the disk is full: no max-size"


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
    """``boot`` or ``watch``, with the engine: two supervisors with the same duty conflict."""
    verb = next((word for word in command.split() if word in {"boot", "watch"}), "boot")
    engine = re.search(r"--engine[= ](\S+)", command)
    return f"{verb} --engine {engine[1]}" if engine else verb


def _inherited_lock(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.held and one.pid and not one.pid_lives and not elsewhere(one):
        yield f"{one.run_dir}/dockwarden.pid", f"the lock is held, and its holder, pid {one.pid}, is gone"


def _versions_differ(facts: Facts) -> Iterator[Hit]:
    running = mapping_of(facts.supervisor.status.get("supervisor")).get("version")
    if running and running != facts.supervisor.own_version:
        yield facts.supervisor.run_dir, f"{running} runs, {facts.supervisor.own_version} is installed"


def _lost_engine(facts: Facts) -> Iterator[Hit]:
    seen = mapping_of(facts.supervisor.status.get("engine"))
    if seen and seen.get("up") is False and facts.engine.reach is Reach.SERVES and seen.get("url") == facts.engine.url:
        yield facts.engine.url, f"it answers us, and the supervisor says: {seen.get('reason') or 'down'}"


def _few_files(facts: Facts) -> Iterator[Hit]:
    limit = facts.supervisor.files
    if limit is not None and limit < FEWEST_FILES:
        yield f"pid {facts.supervisor.pid}", f"the supervisor may open {limit} files"


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
    Row("DW-D01", _E, "a directory is gone", host_checks.lost_directory, "restart the supervisor: it makes it again"),
    Row(
        "DW-D02", _E, "no directory", host_checks.no_directory, "move it away, or name another (--state-dir, --run-dir)"
    ),
    Row(
        *("DW-D03", _E, "a directory that cannot be written", host_checks.read_only),
        "mount it writable, or name another (--state-dir, --run-dir)",
    ),
    Row("DW-D04", _E, "a full file system", host_checks.disk_full, "docker system df; docker image prune"),
    Row("DW-D05", _W, "a file system that fills up", host_checks.disk_filling, "docker system df; docker image prune"),
    Row("DW-D06", _W, "few inodes left", host_checks.few_inodes, "docker image prune; docker volume prune"),
    Row(
        *("DW-D07", _E, "the state file is damaged", host_checks.bad_state),
        "restart the supervisor: it puts it aside and begins anew; look at the disk",
    ),
    Row(
        "DW-D08",
        _N,
        "the state file was damaged",
        host_checks.set_aside,
        "look at the disk; then remove what was put aside",
    ),
    Row("DW-T01", _N, "nobody keeps the clock", host_checks.clock_unkept, "run chrony or systemd-timesyncd"),
    Row(
        *("DW-T02", _W, "two clocks on one host", host_checks.clocks_differ),
        "is this the engine of this host? one of the two runs in a time namespace, or elsewhere",
    ),
    Row("DW-T03", _W, "the clock was set back", host_checks.clock_set_back, "restart those containers when it suits"),
    Row("DW-K01", _E, "no cgroups", host_checks.no_cgroup, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
    Row(
        *("DW-K02", _W, "a cgroup controller is missing", host_checks.few_controllers),
        "boot with cgroup_enable=memory; on v2, list it in cgroup.subtree_control of the root",
    ),
    Row("DW-K03", _N, "cgroups of old", host_checks.old_cgroup, "boot with systemd.unified_cgroup_hierarchy=1"),
    Row("DW-K04", _W, "no overlay file system", host_checks.no_overlay, "modprobe overlay"),
    Row("DW-K05", _W, "no packets are forwarded", host_checks.no_forwarding, "sysctl -w net.ipv4.ip_forward=1"),
    Row(
        "DW-C01",
        _W,
        "a label that counts for nothing",
        unit_checks.bad_labels,
        "set it right, and make the container anew",
    ),
    Row("DW-C02", _W, "two masters of one container", unit_checks.two_masters, "docker update --restart=no it"),
    Row("DW-C03", _W, "somebody else heals", unit_checks.rivals, "stop it, or take its containers out of our sight"),
    Row(
        *("DW-C04", _E, "it holds on to a container that is gone", unit_checks.orphans),
        "make it anew (docker compose up -d); dockwarden watch does so by itself",
    ),
    Row(
        "DW-C05",
        _W,
        "it holds on to a run that is over",
        unit_checks.left_behind,
        "docker restart it, once its owner runs",
    ),
    Row(
        "DW-C06",
        _W,
        "a link that leads nowhere",
        unit_checks.stale_links,
        "start what it is linked to, or make it anew",
    ),
    Row(
        *("DW-C07", _W, "a replacement that was cut off", unit_checks.cut_off),
        "if the new one is well: docker rm -f the old one",
    ),
    Row("DW-C08", _N, "volumes that nobody uses", unit_checks.loose_volumes, "docker volume prune"),
    Row(
        *("DW-U01", _E, "a unit is down", unit_checks.in_state("failed", "crash-loop", "image-missing")),
        "dockwarden why UNIT",
    ),
    Row("DW-U02", _W, "a unit is flapping", unit_checks.flapping, "dockwarden why UNIT"),
    Row("DW-U03", _W, "a unit is unhealthy", unit_checks.unhealthy, "dockwarden why UNIT"),
    Row(
        "DW-F01",
        _E,
        "the configuration does not hold",
        unit_checks.config_problem("other"),
        "dockwarden config validate",
    ),
    Row(
        "DW-F02", _E, "units wait for one another", unit_checks.config_problem("cycle"), "take one of these edges away"
    ),
    Row(
        "DW-F03",
        _E,
        "a unit needs one that there is not",
        unit_checks.config_problem("unknown unit"),
        "define it, or drop the edge",
    ),
    Row(
        "DW-F04",
        _N,
        "the configuration is not all acted on",
        unit_checks.config_warnings,
        "dockwarden config validate",
    ),
)
"""All checks. docs/reference/doctor.md lists them; a test compares the two."""
