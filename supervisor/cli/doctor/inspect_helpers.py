"""Helpers of the doctor's checks: read fields of an inspect, list names in a sentence. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.cli.doctor.facts import Facts, SupervisorFacts
from supervisor.http.reach import Reach

SHOWN = 5
"""Names in one sentence."""


def mapping_of(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def host_config(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping_of(one.get("HostConfig"))


def labels_of(one: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in mapping_of(mapping_of(one.get("Config")).get("Labels")).items()}


def name_of(one: Mapping[str, Any]) -> str:
    return str(one.get("Name") or "?").lstrip("/")


def runs(one: Mapping[str, Any]) -> bool:
    return mapping_of(one.get("State")).get("Running") is True


def started_of(one: Mapping[str, Any]) -> float:
    """Seconds since 1970; stored beside the inspect, whose stamp is text."""
    value = one.get("started", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def joins_of(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        kind, colon, held = str(host_config(one).get(key) or "").partition(":")
        if kind == "container" and colon:
            yield {"NetworkMode": "network", "PidMode": "pid namespace", "IpcMode": "ipc namespace"}[key], held


def containers_by_id(facts: Facts) -> dict[str, Mapping[str, Any]]:
    return {str(one.get("Id")): one for one in facts.engine.containers}


def units_of(facts: Facts) -> Iterator[Mapping[str, Any]]:
    units = facts.supervisor.status.get("units")
    yield from (unit for unit in (units if isinstance(units, list) else ()) if isinstance(unit, dict))


def unit_of(unit: Mapping[str, Any]) -> str:
    return f"unit {unit.get('name')}"


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more


def in_bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def elsewhere(one: SupervisorFacts) -> bool:
    """Whether it answers but its process is not visible: it runs in another pid namespace, such as a container's."""
    return one.reach is Reach.SERVES and not one.pid_lives
