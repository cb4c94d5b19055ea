"""Gathers the facts that ``checks`` judges, with the standard library only, and every wait bounded.

It must work without a supervisor, without an engine, and with either of them hanging. So nothing here raises for a
problem of the host; facts that could not be collected are left out.
"""

import argparse
import os
import platform
import re
import resource
from collections.abc import Sequence
from pathlib import Path

from supervisor.cli.doctor.engine_facts import engine_facts
from supervisor.cli.doctor.facts import ConfigFacts, ConfigProblem, Facts, StateFacts, SupervisorFacts
from supervisor.cli.doctor.host_facts import directory_facts, host_facts, text_of
from supervisor.cli.doctor.supervisor_facts import supervisor_facts
from supervisor.os_errors import why
from supervisor.state import paths
from supervisor.version import VERSION
from units.records import dataclass


@dataclass(frozen=True, slots=True)
class DoctorScope:
    """What to look at. ``engine`` and ``state_dir``: None for what the host itself says."""

    run_dir: Path
    engine: str | None = None
    state_dir: Path | None = None
    config: tuple[Path, ...] = ()


def gather(wanted: DoctorScope) -> Facts:
    """All facts; takes at most about 20 s when everything hangs, and a fraction of one when nothing does."""
    supervisor = supervisor_facts(wanted.run_dir)
    engine = engine_facts(wanted.engine or _engine_of(supervisor, wanted), os.environ)
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
        state_facts(state_dir / paths.STATE_FILE),
        config_facts(wanted.config) if wanted.config else None,
    )


def _engine_of(supervisor: SupervisorFacts, wanted: DoctorScope) -> str | None:
    """The engine's URL: from the supervisor, else whether this host boots an engine; else the environment says it."""
    told = supervisor.status.get("engine")
    if isinstance(told, dict) and told.get("url"):
        return str(told["url"])
    if wanted.config:
        return paths.SYSTEM_DOCKER_URL
    return None


def _mode(supervisor: SupervisorFacts) -> str:
    told = supervisor.status.get("engine")
    return str(told.get("mode")) if isinstance(told, dict) else ""


def _state_dir(supervisor: SupervisorFacts, *, booting: bool) -> Path:
    """From the running supervisor's command line, else the default."""
    for pid, command in supervisor.others:
        if pid == supervisor.pid and (said := re.search(r"--state-dir[= ](\S+)", command)):
            return Path(said[1])
    return paths.STATE_DIR if booting else paths.WATCH_STATE_DIR


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
    return text_of("/proc/cmdline")


def versions(facts: Facts) -> dict[str, str]:
    """The versions that every bug report needs."""
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


def wanted(args: argparse.Namespace) -> DoctorScope:
    config = tuple(args.config) or ((paths.CONFIG,) if paths.CONFIG.exists() else ())
    return DoctorScope(Path(args.run_dir), args.engine, args.state_dir, config)
