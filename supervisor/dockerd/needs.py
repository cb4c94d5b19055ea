"""What a dockerd needs in the file system that it is to run in, beside its own program. Pure.

Only what would certainly keep it from starting is named: a switch is refused for it before anything is stopped.
"""

from collections.abc import Callable, Collection

from supervisor.dockerd.command_line import DaemonPlan
from supervisor.dockerd.container_fs import ENGINES, ORDINARY, OWN, SHIPPED


def folders(engine: str) -> tuple[str, ...]:
    """Where the program of an engine would be, by precedence."""
    return (f"{ENGINES}/{engine}/bin",) if engine else (*OWN, *ORDINARY, f"{ENGINES}/{SHIPPED}/bin")


def places(how: DaemonPlan, engine: str) -> tuple[str, ...]:
    """The files to look for in a container that does not run."""
    tools = (f"{folder}/iptables" for folder in (*folders(engine), *_path(how)))
    programs = (f"{folder}/dockerd" for folder in folders(engine))
    return tuple(dict.fromkeys((*programs, *tools, how.options)))


def missing(how: DaemonPlan, engine: str, found: Collection[str], name: str) -> tuple[str, ...]:
    """Why it cannot start where only ``found`` of its places are, in words."""
    folder = next((one for one in folders(engine) if f"{one}/dockerd" in found), None)
    if folder is None and engine:
        return (f"there is no engine '{engine}' in {name} (no {ENGINES}/{engine}/bin/dockerd)",)
    if folder is None or how.options in found:
        return ()  # One of another name serves, or its options are not known here.
    return without_tools(how, folder, lambda path: path in found, name)


def without_tools(how: DaemonPlan, folder: str, there: Callable[[str], bool], name: str) -> tuple[str, ...]:
    """The programs that a dockerd of this folder calls at its start, and does not find."""
    unneeded = how.flag("--iptables") is False or how.option("--firewall-backend") == "nftables"
    if unneeded or any(there(f"{place}/iptables") for place in (folder, *_path(how))):
        return ()
    said = f"user Docker cannot start in {name}: there is no iptables on its PATH; install it there,"
    return (f"{said} or set rancher.docker.extra_args: [--iptables=false]",)


def _path(how: DaemonPlan) -> tuple[str, ...]:
    return tuple(one for one in how.environment.get("PATH", "").split(":") if one.startswith("/"))
