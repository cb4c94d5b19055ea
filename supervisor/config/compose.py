"""Turns one compose service into one unit: substitutes variables, reads keys, builds the create body. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from supervisor.config.compose_keys import KEYS
from supervisor.config.fields import Validators
from supervisor.config.labels import RELOAD, console_name, kind_of, read_own_labels, soft
from supervisor.config.service_draft import BuildContext, ServiceBuilder
from supervisor.config.tree import EACH, Node
from units.bounded import LONGEST_NAME, quoted
from units.labels import LABEL_CONSOLE, LABEL_HASH, LABEL_UNIT
from units.records import replace
from units.spec import CONSOLE, Kind, Rebuild, UnitName, UnitSpec, Via

PROJECT = "os"

VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<braced>[A-Za-z_][\w/]*)(?:(?P<op>:?-)(?P<default>[^${}]*))?\}|(?P<bare>[A-Za-z_]\w*)"
    r"|(?P<odd>\{))"
)


def interpolated(node: Node, unit: str, around: BuildContext, shapes: Validators, path: str) -> Node:
    """The tree with ``${VAR}``, ``$VAR``, ``${VAR:-default}`` and ``$$`` replaced in every text."""
    if isinstance(node.value, dict):
        return replace(
            node, value={k: interpolated(v, unit, around, shapes, f"{path}.{k}") for k, v in node.value.items()}
        )
    if isinstance(node.value, list):
        return replace(
            node, value=[interpolated(v, unit, around, shapes, f"{path}[{i}]") for i, v in enumerate(node.value)]
        )
    if not isinstance(node.value, str) or "$" not in node.value or shapes.report.full:
        return node

    text = node.value

    def put(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        if found["odd"]:
            said = f"not a variable: {text[found.start() : found.start() + 40]}"
            shapes.report.problem(node.place, path, said, "as in ${NAME} or ${NAME:-default}; $$ is a dollar sign")
            return ""
        name = found["braced"] or found["bare"]
        value = around.environment.get(f"{unit}/{name}", around.environment.get(name))
        if not shapes.report.grows(node.place, path, EACH + len(value or "")):
            return ""
        if value is None or (not value and found["op"] == ":-"):
            if found["op"] is None:
                shapes.report.warning(
                    node.place, path, f"{name} is not set in rancher.environment; using an empty value"
                )
            return found["default"] or ""
        return value

    text = VARIABLE.sub(put, text)
    return replace(node, value=text, text=text)


def read_service(name: str, node: Node, path: str, around: BuildContext, shapes: Validators) -> ServiceBuilder:
    """Read all keys into the draft; errors are reported, and their keys left out."""
    draft = ServiceBuilder(
        name, around, shapes, restart=around.restart, stop=around.stop, pull=around.pull, container=name
    )
    node = interpolated(node, name, around, shapes, path)
    entries = shapes.mapping(node, path, KEYS)
    for key, read in KEYS.items():
        if key in entries and entries[key].value is not None:
            read(draft, entries[key], f"{path}.{key}")
    if not draft.image:
        shapes.report.problem(node.place, path, "has no image", "every service needs one")
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        hint = f"use a-z, 0-9, _, . and -, at most {LONGEST_NAME}"
        shapes.report.problem(node.place, path, f"not a valid unit name: {quoted(name)}", hint)
    elif len(draft.container) < 2:
        said = "container names have at least two characters"
        shapes.report.problem(node.place, path, said, "set container_name")
    read_own_labels(draft, path)
    return draft


def unit_spec(draft: ServiceBuilder, before: list[str]) -> UnitSpec:
    """``before``: units that said they come before this one."""
    edges = [*draft.edges, *(soft(target, Via.BEFORE) for target in before)]
    if draft.on_failure is not None:
        edges = [replace(edge, on_failure=draft.on_failure) for edge in edges]
    config_hash = hash_of(draft)
    console = console_name(draft.name, draft.labels)
    name = CONSOLE if console else UnitName(draft.name)
    labels = {
        **draft.labels,
        "io.docker.compose.project": PROJECT,
        "io.docker.compose.service": draft.name,
        "io.docker.compose.name": draft.container,
        "io.docker.compose.config-hash": config_hash,
        LABEL_UNIT: name,
        LABEL_HASH: config_hash,
        **({LABEL_CONSOLE: console} if console else {}),
    }
    return UnitSpec(
        name=name,
        kind=Kind.CONSOLE if console else kind_of(draft.labels),
        variant=console,
        image=draft.image,
        body=canonical({**body_of(draft, labels), "StopSignal": draft.stop.signal}),
        config_hash=config_hash,
        dependencies=tuple(dict.fromkeys(edges)),
        restart=draft.restart,
        stop=draft.stop,
        # Users keep files in a persistent console: a changed definition only marks it dirty, and is applied on request.
        rebuild=Rebuild.NEVER if console and draft.rebuild is not Rebuild.ALWAYS else draft.rebuild,
        container_name=draft.container if draft.container != name else "",
        reloads=draft.labels.get(RELOAD) == "true",
        pull=draft.pull,
        enabled=draft.enabled,
        deadline=draft.deadline,
        heal=draft.heal,
        checks=draft.checks,
        relink=draft.relink,
    )


def body_of(draft: ServiceBuilder, labels: Mapping[str, str]) -> dict[str, Any]:
    """The create body, but for the stop signal, which may come from elsewhere than the service's own keys.

    It never has a restart policy for the engine: two supervisors would conflict.
    """
    config = {**draft.config, "Labels": dict(labels), "HostConfig": draft.host}
    if draft.env:
        config["Env"] = [f"{key}={value}" for key, value in draft.env.items()]
    return config


SETS = ("Binds", "VolumesFrom", "CapAdd", "CapDrop", "SecurityOpt", "Dns", "DnsSearch", "Devices", "Ulimits")
"""Lists whose order is irrelevant: swapping two lines must not re-create the container."""


def hash_of(draft: ServiceBuilder) -> str:
    """The hash of the definition, as 16 hex digits: a changed one means that the container is re-created."""
    labels = {key: value for key, value in draft.labels.items() if not key.startswith("dockwarden.")}
    body = body_of(draft, labels)
    host = {key: sorted(value, key=canonical) if key in SETS else value for key, value in draft.host.items()}
    bindings: dict[str, list[dict[str, str]]] = draft.host.get("PortBindings", {})
    host["PortBindings"] = {port: sorted(outer, key=canonical) for port, outer in bindings.items()}
    counted = canonical({**body, "HostConfig": host, "container_name": draft.container})
    return hashlib.sha256(counted.encode()).hexdigest()[:16]


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
