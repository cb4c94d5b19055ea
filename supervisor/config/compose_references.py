"""Keys that refer to other units: each adds a dependency, and the other container's name to the body. Pure."""

from supervisor.config.service_draft import Reader, ServiceBuilder
from supervisor.config.tree import Node
from units.spec import Condition, OnFailure, Via

CONDITIONS = {
    "service_started": Condition.STARTED,
    "service_healthy": Condition.HEALTHY,
    "service_completed_successfully": Condition.COMPLETED,
    **{condition.value: condition for condition in Condition},
}


def read_volumes_from(draft: ServiceBuilder, node: Node, path: str) -> None:
    taken = []
    for entry in draft.shapes.texts(node, path):
        if entry.startswith("container:"):
            taken.append(entry.removeprefix("container:"))
            continue
        unit, colon, mode = entry.partition(":")
        draft.needs(unit, Via.VOLUMES)
        taken.append(draft.container_of(unit) + colon + mode)
    draft.host["VolumesFrom"] = taken


def read_links(draft: ServiceBuilder, node: Node, path: str) -> None:
    links = []
    for entry in draft.shapes.texts(node, path):
        unit, _, alias = entry.partition(":")
        draft.needs(unit, Via.LINK)
        links.append(f"{draft.container_of(unit)}:{alias or unit}")
    draft.host["Links"] = [*draft.host.get("Links", []), *links]


def read_external_links(draft: ServiceBuilder, node: Node, path: str) -> None:
    """Containers that are no units; sorted, as their order means nothing."""
    links = []
    for entry in draft.shapes.texts(node, path):
        container, _, alias = entry.partition(":")
        links.append(f"{container}:{alias or container}")
    draft.host["Links"] = [*draft.host.get("Links", []), *sorted(links)]


def namespace(key: str, via: Via) -> Reader:
    """``host``, ``container:UNIT``, and the like."""

    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
        mode = draft.shapes.text(node, path)
        if key in draft.host:
            draft.shapes.report.problem(
                node.place, path, "net and network_mode are the same setting", "remove one of them"
            )
        kind, colon, unit = mode.partition(":")
        if colon and kind in {"container", "service"}:
            draft.needs(unit, via)
            mode = f"container:{draft.container_of(unit)}"
        draft.host[key] = mode

    return read


def read_depends_on(draft: ServiceBuilder, node: Node, path: str) -> None:
    if not isinstance(node.value, dict):
        for unit in draft.shapes.texts(node, path, single=False):
            draft.needs(unit, Via.DEPENDS_ON)
        return
    for unit, child in node.value.items():
        below = f"{path}.{unit}"
        fields = draft.shapes.mapping(child, below, ("condition", "restart", "required"))
        condition = Condition.STARTED
        if "condition" in fields:
            named = draft.shapes.choice(fields["condition"], f"{below}.condition", CONDITIONS, "started")
            condition = CONDITIONS[named]
        restart = "restart" in fields and draft.shapes.boolean(fields["restart"], f"{below}.restart")
        if "required" in fields:
            draft.shapes.report.warning(
                fields["required"].place, f"{below}.required", "accepted, but ignored by this version"
            )
        draft.needs(unit, Via.DEPENDS_ON, condition, restart=restart)


def read_log_driver(draft: ServiceBuilder, node: Node, path: str) -> None:
    driver = draft.shapes.text(node, path)
    draft.host.setdefault("LogConfig", {})["Type"] = driver
    if driver == "syslog" and draft.name != "syslog" and "syslog" in draft.around.containers:
        draft.needs("syslog", Via.LOG_DRIVER)


def read_on_failure(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.on_failure = OnFailure(draft.shapes.choice(node, path, [one.value for one in OnFailure], "hold"))
