"""The table of the doctor's checks: each row has a permanent id, a severity, a function of the facts, and a fix. Pure.

Rules of the table. An id is never reused. A check reads the facts only, reports each finding in one sentence, and
reports nothing about facts that could not be collected. A finding that explains others suppresses them: an engine that
does not answer gives no findings about containers.
"""

import re
from collections.abc import Iterator, Sequence

from supervisor.cli.doctor import engine_checks, host_checks, unit_checks
from supervisor.cli.doctor.facts import CheckRow, Facts, Finding, Hit, Severity, SupervisorFacts
from supervisor.cli.doctor.inspect_helpers import (
    elsewhere,
    mapping_of,
)
from supervisor.http.reach import Reach

FEWEST_FILES = 1024
"""Open files that a supervisor of some hundred units needs."""


def examine(facts: Facts, rows: Sequence[CheckRow] | None = None) -> list[Finding]:
    """All findings, the worst first, then by id."""
    found = [
        Finding(row.id, row.severity, row.title, hit[0], hit[1], hit[2] if len(hit) == 3 and hit[2] else row.fix)
        for row in (TABLE if rows is None else rows)
        for hit in row.look(facts)
    ]
    order = list(Severity)
    return sorted(found, key=lambda one: (order.index(one.severity), one.id, one.place, one.what))


def _no_supervisor(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.reach in {Reach.MISSING, Reach.REFUSED} and not one.held:
        last = f"; the last one was pid {one.pid}" if one.pid and not one.pid_lives else ""
        yield one.run_dir, f"no answer ({one.said}){last}"


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
        yield facts.supervisor.run_dir, "control.sock exists and is not a socket"


def _open_control(facts: Facts) -> Iterator[Hit]:
    one = facts.supervisor
    if one.reach is Reach.SERVES and one.mode & 0o007:
        yield (
            f"{one.run_dir}/control.sock",
            f"its mode is {one.mode:04o}: users other than its owner can control all units",
        )


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
        yield f"{one.run_dir}/dockwarden.pid", f"the lock is held, but pid {one.pid}, which took it, has exited"


def _versions_differ(facts: Facts) -> Iterator[Hit]:
    running = mapping_of(facts.supervisor.status.get("supervisor")).get("version")
    if running and running != facts.supervisor.own_version:
        yield facts.supervisor.run_dir, f"running {running}, installed {facts.supervisor.own_version}"


def _lost_engine(facts: Facts) -> Iterator[Hit]:
    seen = mapping_of(facts.supervisor.status.get("engine"))
    if seen and seen.get("up") is False and facts.engine.reach is Reach.SERVES and seen.get("url") == facts.engine.url:
        yield facts.engine.url, f"it answers the doctor, but the supervisor reports: {seen.get('reason') or 'down'}"


def _troubles(facts: Facts) -> Iterator[Hit]:
    told = mapping_of(facts.supervisor.status.get("supervisor")).get("troubles")
    for trouble in told if isinstance(told, list) else ():
        one = mapping_of(trouble)
        yield str(one.get("of", "host")), str(one.get("reason", ""))


def _few_files(facts: Facts) -> Iterator[Hit]:
    limit = facts.supervisor.files
    if limit is not None and limit < FEWEST_FILES:
        yield f"pid {facts.supervisor.pid}", f"the supervisor's limit is {limit} open files"


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_AT_ENGINE = "start it (systemctl start docker, or dockwarden boot), or name another socket with --engine"

TABLE: tuple[CheckRow, ...] = (
    CheckRow("DW-E01", _E, "the engine's socket is missing", engine_checks.reached(Reach.MISSING), _AT_ENGINE),
    CheckRow(
        *("DW-E02", _E, "the engine's socket path is not a socket", engine_checks.reached(Reach.NO_SOCKET)),
        "remove it (a mount of a missing socket makes a directory), and restart the engine",
    ),
    CheckRow(
        "DW-E03",
        _E,
        "permission denied on the engine's socket",
        engine_checks.reached(Reach.DENIED),
        "run as root (sudo)",
    ),
    CheckRow("DW-E04", _E, "nothing listens on the engine's socket", engine_checks.reached(Reach.REFUSED), _AT_ENGINE),
    CheckRow(
        *("DW-E05", _E, "the engine hangs", engine_checks.reached(Reach.HANGS)),
        "see its log; with live-restore containers survive its restart: kill -9 its pid and start it",
    ),
    CheckRow(
        *("DW-E06", _E, "what answers on the engine's socket is not an engine", engine_checks.reached(Reach.NONSENSE)),
        "name the engine's own socket with --engine",
    ),
    CheckRow(
        *("DW-E07", _E, "the engine's address cannot be used", engine_checks.reached(Reach.NO_URL)),
        "name it with --engine: unix:///var/run/docker.sock, or tcp://host:port",
    ),
    CheckRow("DW-E08", _E, "the engine is too old", engine_checks.old_engine, "install Docker 20.10 or later"),
    CheckRow(
        *("DW-E09", _E, "the engine hangs on one container", engine_checks.mute),
        "end that container's shim (ps -ef | grep its id), or restart the engine",
    ),
    CheckRow(
        "DW-E10",
        _E,
        "dockerd not found",
        engine_checks.no_dockerd,
        "install Docker, or attach to a running engine (boot --engine)",
    ),
    CheckRow(
        "DW-E11",
        _W,
        "live-restore is off: units stop with the engine",
        engine_checks.no_live_restore,
        'set "live-restore": true',
    ),
    CheckRow(
        *("DW-E12", _W, "container log without a size limit", engine_checks.endless_logs),
        'set "log-opts": {"max-size": "25m"} in daemon.json, and re-create the container',
    ),
    CheckRow("DW-E13", _W, "deprecated storage driver", engine_checks.storage_driver, "move to overlay2"),
    CheckRow(
        "DW-E14", _N, "the engine reports a warning", engine_checks.engine_warnings, "see the engine's documentation"
    ),
    CheckRow(
        *("DW-E15", _N, "a proxy before the engine refuses what the doctor asks", engine_checks.barred),
        "what could not be asked was not checked; allow it, or name the engine's own socket with --engine",
    ),
    CheckRow(
        *("DW-E16", _E, "runc is too old for the engine", engine_checks.old_runc),
        "install runc 1.2 or later, and restart the engine",
    ),
    CheckRow(
        *("DW-S01", _E, "no supervisor runs", _no_supervisor),
        "start it (dockwarden boot or dockwarden watch), or name another --run-dir",
    ),
    CheckRow(
        *("DW-S02", _E, "the supervisor does not answer", _deaf_supervisor),
        "see its log; kill -9 and a new start are safe: units keep running",
    ),
    CheckRow("DW-S03", _E, "permission denied on the supervisor's socket", _supervisor_denied, "run as root (sudo)"),
    CheckRow(
        *("DW-S04", _E, "a file that is not a socket has the control socket's name", _control_in_the_way),
        "remove it, and restart the supervisor",
    ),
    CheckRow("DW-S05", _E, "two supervisors", _two_supervisors, "stop all but one: they restart the same containers"),
    CheckRow(
        *("DW-S06", _E, "the lock is held by a process other than the supervisor", _inherited_lock),
        "a child process inherited the lock file: find it with fuser, and kill it",
    ),
    CheckRow(
        "DW-S07",
        _E,
        "the supervisor has lost its connection to the engine",
        _lost_engine,
        "see its log: journalctl -u dockwarden",
    ),
    CheckRow("DW-S08", _W, "the control socket is accessible to all users", _open_control, "chmod 0600 it"),
    CheckRow(
        "DW-S09", _W, "the running supervisor is another version", _versions_differ, "restart it: units keep running"
    ),
    CheckRow(
        "DW-S10", _W, "the limit of open files is too low", _few_files, "set LimitNOFILE=65536 in its systemd unit"
    ),
    CheckRow(
        *("DW-S11", _E, "the host has to do without something", _troubles),
        "mend what it says; a configuration is read again at SIGHUP",
    ),
    CheckRow(
        "DW-D01",
        _E,
        "a directory was removed",
        host_checks.lost_directory,
        "restart the supervisor: it creates the directory",
    ),
    CheckRow(
        "DW-D02",
        _E,
        "no directory",
        host_checks.no_directory,
        "move it away, or name another directory (--state-dir, --run-dir)",
    ),
    CheckRow(
        *("DW-D03", _E, "a directory is not writable", host_checks.read_only),
        "mount it read-write, or name another directory (--state-dir, --run-dir)",
    ),
    CheckRow("DW-D04", _E, "file system full", host_checks.disk_full, "docker system df; docker image prune"),
    CheckRow("DW-D05", _W, "file system nearly full", host_checks.disk_filling, "docker system df; docker image prune"),
    CheckRow("DW-D06", _W, "few inodes left", host_checks.few_inodes, "docker image prune"),
    CheckRow(
        *("DW-D07", _E, "the state file is damaged", host_checks.bad_state),
        "restart the supervisor: it moves the file aside and starts with an empty state; check the disk",
    ),
    CheckRow(
        "DW-D08",
        _N,
        "the state file was damaged earlier",
        host_checks.set_aside,
        "check the disk, then remove the file that was moved aside",
    ),
    CheckRow("DW-T01", _N, "clock is not synchronised", host_checks.clock_unkept, "run chrony or systemd-timesyncd"),
    CheckRow(
        *("DW-T02", _W, "the engine's clock differs from the host's", host_checks.clocks_differ),
        "check that this is the engine of this host; one of the two runs in a time namespace or on another machine",
    ),
    CheckRow(
        "DW-T03", _W, "the clock was set back", host_checks.clock_set_back, "restart those containers when convenient"
    ),
    CheckRow(
        "DW-K01", _E, "no cgroup hierarchy mounted", host_checks.no_cgroup, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    ),
    CheckRow(
        *("DW-K02", _W, "a cgroup controller is missing", host_checks.few_controllers),
        "boot with cgroup_enable=memory; on v2, list it in cgroup.subtree_control of the root",
    ),
    CheckRow("DW-K03", _N, "cgroup v1 in use", host_checks.old_cgroup, "boot with systemd.unified_cgroup_hierarchy=1"),
    CheckRow("DW-K04", _W, "overlay file system not available", host_checks.no_overlay, "modprobe overlay"),
    CheckRow("DW-K05", _W, "IP forwarding is off", host_checks.no_forwarding, "sysctl -w net.ipv4.ip_forward=1"),
    CheckRow(
        "DW-C01",
        _W,
        "unknown label ignored",
        unit_checks.bad_labels,
        "correct it, and re-create the container",
    ),
    CheckRow(
        "DW-C02",
        _W,
        "the engine's restart policy conflicts with the supervisor",
        unit_checks.two_masters,
        "docker update --restart=no NAME",
    ),
    CheckRow(
        "DW-C03",
        _W,
        "another tool restarts the same containers",
        unit_checks.rivals,
        "stop it, or exclude its containers (dockwarden.enable=false)",
    ),
    CheckRow(
        *("DW-C04", _E, "it uses the namespace of a container that was removed", unit_checks.orphans),
        "re-create it (docker compose up -d); dockwarden watch does that automatically",
    ),
    CheckRow(
        "DW-C05",
        _W,
        "stale reference: it uses the namespace of its owner's previous run",
        unit_checks.left_behind,
        "docker restart NAME, once its owner runs",
    ),
    CheckRow(
        "DW-C06",
        _W,
        "a link to a container that does not exist",
        unit_checks.stale_links,
        "start the container it links to, or re-create this one",
    ),
    CheckRow(
        *("DW-C07", _W, "interrupted re-creation", unit_checks.cut_off),
        "if the new container is healthy: docker rm -f the old one",
    ),
    CheckRow("DW-C08", _N, "unused volumes", unit_checks.loose_volumes, "look into each: it may be a unit's only copy"),
    CheckRow(
        *("DW-U01", _E, "a unit is down", unit_checks.in_state("failed", "crash-loop", "image-missing")),
        "dockwarden why UNIT",
    ),
    CheckRow("DW-U02", _W, "a unit is flapping", unit_checks.flapping, "dockwarden why UNIT"),
    CheckRow("DW-U03", _W, "a unit is unhealthy", unit_checks.unhealthy, "dockwarden why UNIT"),
    CheckRow(
        "DW-F01",
        _E,
        "the configuration is invalid",
        unit_checks.config_problem("other"),
        "dockwarden config validate",
    ),
    CheckRow("DW-F02", _E, "dependency cycle", unit_checks.config_problem("cycle"), "remove one of these dependencies"),
    CheckRow(
        "DW-F03",
        _E,
        "a unit depends on one that does not exist",
        unit_checks.config_problem("unknown unit"),
        "define it, or remove the dependency",
    ),
    CheckRow(
        "DW-F04",
        _N,
        "part of the configuration is ignored",
        unit_checks.config_warnings,
        "dockwarden config validate",
    ),
)
"""All checks. docs/reference/doctor.md lists them; a test compares the two."""
