"""The doctor's checks of the engine. Pure."""

from collections.abc import Callable, Iterator

from supervisor.cli.doctor.facts import Facts, Hit
from supervisor.cli.doctor.inspect_helpers import host_config, labels_of, listed, mapping_of, name_of
from supervisor.engine.api_version import API, as_numbers, too_old
from supervisor.http.reach import Reach


def reached(*reaches: Reach) -> Callable[[Facts], Iterator[Hit]]:
    def look(facts: Facts) -> Iterator[Hit]:
        if facts.engine.reach in reaches:
            yield facts.engine.url, facts.engine.said

    return look


def old_engine(facts: Facts) -> Iterator[Hit]:
    if facts.engine.version:
        highest = str(facts.engine.version.get("ApiVersion", ""))
        if too_old(highest):
            yield facts.engine.url, f"it serves API {highest or '?'} at most, and {API} is needed"


def mute(facts: Facts) -> Iterator[Hit]:
    if facts.engine.mute:
        yield facts.engine.url, f"inspect of {listed(facts.engine.mute)} timed out; others were answered"


def barred(facts: Facts) -> Iterator[Hit]:
    if facts.engine.barred:
        yield facts.engine.url, f"a proxy or plugin before the engine refuses GET {', GET '.join(facts.engine.barred)}"


def no_dockerd(facts: Facts) -> Iterator[Hit]:
    if facts.host.boots_engine and facts.host.dockerd is None:
        yield "PATH", "System Docker is to be started, and dockerd not found"


def no_live_restore(facts: Facts) -> Iterator[Hit]:
    if facts.engine.info.get("LiveRestoreEnabled") is False and _is_system_docker(facts):
        yield facts.engine.url, "live-restore is off: all units stop whenever the engine stops or is upgraded"


def _is_system_docker(facts: Facts) -> bool:
    """Whether the engine runs units of ``boot``. On a host that is only watched the operator configures it."""
    return any(labels_of(one).get("dockwarden.unit") for one in facts.engine.containers)


def endless_logs(facts: Facts) -> Iterator[Hit]:
    endless = []
    for one in facts.engine.containers:
        log = mapping_of(host_config(one).get("LogConfig"))
        if log.get("Type") == "json-file" and not mapping_of(log.get("Config")).get("max-size"):
            endless.append(name_of(one))
    if endless:
        yield listed(endless), "its log (json-file) has no max-size and grows until the disk is full"


OWN_ROWS = ("memory limit", "IPv4 forwarding", "cgroup v1")
"""Words of warnings of which the host has a finding of its own: one trouble is told once."""


def engine_warnings(facts: Facts) -> Iterator[Hit]:
    for said in facts.engine.info.get("Warnings") or ():
        if not any(words in str(said) for words in OWN_ROWS):
            yield facts.engine.url, str(said).removeprefix("WARNING: ")


def storage_driver(facts: Facts) -> Iterator[Hit]:
    driver = facts.engine.info.get("Driver")
    if driver in {"vfs", "aufs", "devicemapper", "overlay"}:
        yield facts.engine.url, f"its storage driver is {driver}"


TIME_NAMESPACE, FIRST_RUNC = "29.5", "1.2"
"""From this version on containers get a time namespace of their own, which needs that runc."""


def old_runc(facts: Facts) -> Iterator[Hit]:
    parts = facts.engine.version.get("Components")
    versions = {
        str(mapping_of(part).get("Name")): str(mapping_of(part).get("Version"))
        for part in (parts if isinstance(parts, list) else ())
    }
    engine, runc = str(facts.engine.version.get("Version", "")), versions.get("runc", "")
    if runc and as_numbers(engine) >= as_numbers(TIME_NAMESPACE) and as_numbers(runc) < as_numbers(FIRST_RUNC):
        yield facts.engine.url, f"Docker {engine} needs runc {FIRST_RUNC}, and has {runc}: no container can be started"
