"""The doctor's checks of containers, of units (from the supervisor's status), and of the configuration. Pure."""

from collections.abc import Callable, Iterator, Mapping

from supervisor.cli.doctor.facts import Facts, Hit
from supervisor.cli.doctor.inspect_helpers import (
    containers_by_id,
    host_config,
    joins_of,
    labels_of,
    mapping_of,
    name_of,
    runs,
    started_of,
    unit_of,
    units_of,
)
from supervisor.config.foreign_labels import ENABLE, LASTING, STOP_TIMEOUT
from supervisor.config.health_labels import PREFIX, RELINK, WrongValueError, boolean, read_health, seconds
from supervisor.config.labels import OWN
from supervisor.config.tree import nearest
from supervisor.engine.names import replaced


def bad_labels(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        for key, what, hint in _label_problems(labels_of(one)):
            yield name_of(one), f"label {key}: {what}", hint


KNOWN_LABELS = frozenset({*OWN, *STOP_TIMEOUT, ENABLE, RELINK}) | {
    f"dockwarden.{name}" for name in ("unit", "config-hash", "console", "demo")
}


def _label_problems(labels: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    read_health(labels, lambda key, what, hint: found.append((key, what, hint)))
    readers: Mapping[str, Callable[[str], object]] = {ENABLE: boolean, **dict.fromkeys(STOP_TIMEOUT, seconds)}
    for key, value in labels.items():
        if key.startswith("dockwarden.") and not key.startswith(PREFIX) and key not in KNOWN_LABELS:
            found.append((key, "unknown label", nearest(key, KNOWN_LABELS)))
        elif key in readers:
            try:
                readers[key](value)
            except WrongValueError as error:
                found.append((key, f"'{value}': expected {error}", ""))
    return found


def two_masters(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        policy = str(mapping_of(host_config(one).get("RestartPolicy")).get("Name") or "no")
        labels = labels_of(one)
        if labels.get("dockwarden.unit") and policy != "no":
            yield name_of(one), f"the engine restarts it too (restart policy {policy})"
        elif labels.get(f"{PREFIX}action") == "stop" and policy in LASTING:
            yield name_of(one), f"the engine starts it again after a health action stops it (restart policy {policy})"


RIVALS = {
    "autoheal": "restarts unhealthy containers",
    "watchtower": "re-creates containers",
    "ouroboros": "re-creates containers",
}


def rivals(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        image = str(mapping_of(one.get("Config")).get("Image") or "").rpartition("/")[2]
        rival = next((name for name in RIVALS if name in image), None)
        if rival and runs(one):
            yield name_of(one), f"{rival} {RIVALS[rival]}, as the supervisor does"


def orphans(facts: Facts) -> Iterator[Hit]:
    by_id = containers_by_id(facts)
    for one in facts.engine.containers:
        for key, held in joins_of(one):
            if held not in by_id and held not in {name_of(other) for other in by_id.values()}:
                yield name_of(one), f"its {key} is that of container {held[:12]}, which is gone"


def left_behind(facts: Facts) -> Iterator[Hit]:
    by_id = containers_by_id(facts)
    for one in facts.engine.containers:
        for key, held in joins_of(one):
            owner = by_id.get(held)
            if owner is not None and runs(one) and not runs(owner):
                yield name_of(one), f"its {key} is that of {name_of(owner)}, which does not run"
            elif owner is not None and runs(one) and started_of(owner) > started_of(one) > 0:
                yield name_of(one), f"its {key} is that of a run of {name_of(owner)} that has ended"


def stale_links(facts: Facts) -> Iterator[Hit]:
    names = {name_of(one) for one in facts.engine.containers} | set(facts.engine.mute)
    for one in facts.engine.containers:
        for link in host_config(one).get("Links") or ():
            target = str(link).partition(":")[0].lstrip("/")
            if target not in names:
                yield name_of(one), f"it links to {target}, which does not exist"


def cut_off(facts: Facts) -> Iterator[Hit]:
    for one in facts.engine.containers:
        if replaced(name_of(one)):
            name = name_of(one).partition("_")[2]
            there = any(name_of(other) == name for other in facts.engine.containers)
            fix = "" if there else f"docker rename {name_of(one)} {name} && docker start {name}"
            yield name_of(one), f"re-creation was interrupted; {name} is {'present' if there else 'missing'}", fix


def loose_volumes(facts: Facts) -> Iterator[Hit]:
    count = len(facts.engine.unnamed_volumes)
    if count:
        yield "volumes", f"{count} anonymous volumes that no container uses; who made them is not known"


def in_state(*states: str) -> Callable[[Facts], Iterator[Hit]]:
    def look(facts: Facts) -> Iterator[Hit]:
        for unit in units_of(facts):
            if unit.get("state") in states:
                yield unit_of(unit), f"{unit['state']}: {unit.get('reason')}", f"dockwarden why {unit.get('name')}"

    return look


def flapping(facts: Facts) -> Iterator[Hit]:
    for unit in units_of(facts):
        if unit.get("flapping"):
            yield unit_of(unit), "restarted too often; giving up for a while", f"dockwarden why {unit.get('name')}"


def unhealthy(facts: Facts) -> Iterator[Hit]:
    for unit in units_of(facts):
        if unit.get("health") == "unhealthy" and not unit.get("flapping"):
            yield unit_of(unit), f"its checks fail: {unit.get('reason')}", f"dockwarden why {unit.get('name')}"


def config_problem(kind: str) -> Callable[[Facts], Iterator[Hit]]:
    def look(facts: Facts) -> Iterator[Hit]:
        for one in facts.config.problems if facts.config else ():
            if _kind(one.text) == kind:
                yield one.place, one.text, one.hint

    return look


def _kind(problem: str) -> str:
    """Recognised by the wording of ``units.links``."""
    return "cycle" if "cycle: " in problem else "unknown unit" if "there is no unit" in problem else "other"


def config_warnings(facts: Facts) -> Iterator[Hit]:
    for one in facts.config.warnings if facts.config else ():
        yield one.place, one.text, one.hint
