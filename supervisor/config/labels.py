"""Reads the labels of RancherOS, Compose and Dockwarden that matter here. Pure."""

from collections.abc import Mapping

from supervisor.config.compose_references import read_on_failure
from supervisor.config.health_labels import PREFIX, RELINK, engine_check, read_health
from supervisor.config.service_draft import Reader, ServiceBuilder
from supervisor.config.tree import Node
from units.bounded import quoted
from units.labels import LABEL_CONSOLE, LABEL_HASH, LABEL_UNIT
from units.records import replace
from units.spec import CONSOLE, Dependency, Kind, OnFailure, Rebuild, UnitName, Via
from units.tables.storage import REQUIRES

AFTER = "io.rancher.os.after"
BEFORE = "io.rancher.os.before"
CREATE_ONLY = "io.rancher.os.createonly"
DETACH = "io.rancher.os.detach"
CONSOLE_NAME = "io.rancher.os.console"
REBUILD = "io.docker.compose.rebuild"
RELOAD = "io.rancher.os.reloadconfig"

EXACT = {
    CREATE_ONLY: ("true", "false"),
    DETACH: ("true", "false"),
    REBUILD: ("always", "false"),
    RELOAD: ("true", "false"),
}
"""Labels that RancherOS compared as strings: only these values count."""


def restart_seconds(key: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        value = draft.shapes.seconds(node, path, getattr(draft.restart, key))
        draft.restart = replace(draft.restart, **{key: value})  # type: ignore[arg-type]

    return read


def read_jitter(draft: ServiceBuilder, node: Node, path: str) -> None:
    value = draft.shapes.number(node, path, draft.restart.jitter)
    if value > 1:
        draft.shapes.wrong(node, path, "a fraction from 0 to 1")
    draft.restart = replace(draft.restart, jitter=min(1.0, value))


def read_burst(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.restart = replace(draft.restart, burst=draft.shapes.integer(node, path, draft.restart.burst))


def read_timeout(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.stop = replace(draft.stop, timeout=draft.shapes.seconds(node, path, draft.stop.timeout))


def read_signal(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.stop = replace(draft.stop, signal=draft.shapes.signal(node, path, draft.stop.signal))


def read_enabled(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.enabled = draft.shapes.boolean(node, path, default=True)


def read_pull(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.pull = draft.shapes.boolean(node, path, default=True)


def read_deadline(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.deadline = draft.shapes.seconds(node, path)


RESTART: Mapping[str, Reader] = {
    **{key: restart_seconds(key) for key in ("delay", "max_delay", "reset", "interval", "probe")},
    "jitter": read_jitter,
    "burst": read_burst,
}


OWN: Mapping[str, Reader] = {
    **{f"dockwarden.restart.{key}": reader for key, reader in RESTART.items()},
    "dockwarden.stop.timeout": read_timeout,
    "dockwarden.stop.signal": read_signal,
    "dockwarden.on_dependency_failure": read_on_failure,
    "dockwarden.enabled": read_enabled,
    "dockwarden.pull": read_pull,
    "dockwarden.deadline": read_deadline,
    REQUIRES: lambda *_: None,
}
"""Labels that only Dockwarden reads: not part of the hash, so changing one does not re-create the container."""


def read_own_labels(draft: ServiceBuilder, path: str) -> None:
    for key, value in draft.labels.items():
        node = draft.label_places[key]
        below = f"{path}.labels.{key}"
        if key in {LABEL_UNIT, LABEL_HASH, LABEL_CONSOLE}:
            draft.shapes.report.problem(node.place, below, "is set by dockwarden itself", "remove it")
        elif key.startswith(PREFIX) or key == RELINK:
            continue
        elif key.startswith("dockwarden."):
            _read_own(draft, key, Node(value, node.place, value), below)
        elif key in EXACT and value not in EXACT[key]:
            said = f"{quoted(value)} is ignored; only {' and '.join(EXACT[key])} count"
            draft.shapes.report.warning(node.place, below, said)
    _read_health(draft, path)
    draft.edges.extend(soft(target, Via.AFTER) for target in listed(draft.labels.get(AFTER, "")))
    draft.before = listed(draft.labels.get(BEFORE, ""))
    draft.rebuild = {"always": Rebuild.ALWAYS, "false": Rebuild.NEVER}.get(
        draft.labels.get(REBUILD, ""), Rebuild.CHANGED
    )


def _read_own(draft: ServiceBuilder, key: str, node: Node, path: str) -> None:
    reader = OWN.get(key)
    if reader is None:
        draft.shapes.report.problem(node.place, path, "unknown label", draft.shapes.report.guess(key, OWN))
    else:
        reader(draft, node, path)


def _read_health(draft: ServiceBuilder, path: str) -> None:
    def complain(key: str, what: str, hint: str) -> None:
        # What is missing is told where the labels begin.
        places = draft.label_places
        place = next((node for label, node in places.items() if label.startswith(key)), next(iter(places.values())))
        draft.shapes.report.problem(place.place, f"{path}.labels.{key}", what, hint)

    wishes = read_health(draft.labels, complain)
    draft.heal, draft.checks, draft.relink = wishes.heal, wishes.checks, wishes.relink
    if not wishes.engine_check and (declared := draft.config.get("Healthcheck")):
        ours = engine_check(declared)
        draft.checks = (*draft.checks, *([ours] if ours else []))
        draft.config["Healthcheck"] = {"Test": ["NONE"]}


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def soft(target: str, via: Via) -> Dependency:
    return Dependency(UnitName(target), via, hard=False, on_failure=OnFailure.PROCEED)


def console_name(unit: str, labels: Mapping[str, str]) -> str:
    """The name of the console that a service defines; empty for other services. ``console`` itself needs no label."""
    if kind_of(labels) is not Kind.SERVICE:
        return ""
    return labels.get(CONSOLE_NAME, "") or ("default" if unit == CONSOLE else "")


def kind_of(labels: Mapping[str, str]) -> Kind:
    """String comparisons, as RancherOS made them: only ``true`` and only ``false`` count."""
    if labels.get(CREATE_ONLY) == "true":
        return Kind.VOLUME
    if labels.get(DETACH) == "false":
        return Kind.ONESHOT
    return Kind.SERVICE
