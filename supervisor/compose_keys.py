"""The keys of a compose service, and the labels that are ours: each knows where in a create body it belongs. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.shapes import Shapes
from supervisor.tree import Node, nearest
from units.unit import (
    Condition,
    Dependency,
    OnFailure,
    Policy,
    Rebuild,
    RestartPolicy,
    Seconds,
    StopPolicy,
    UnitName,
    Via,
)

CONDITIONS = {
    "service_started": Condition.STARTED,
    "service_healthy": Condition.HEALTHY,
    "service_completed_successfully": Condition.COMPLETED,
    **{condition.value: condition for condition in Condition},
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service is read in."""

    environment: Mapping[str, str]
    """``rancher.environment``."""
    containers: Mapping[str, str]
    """Container name of each unit, for keys that name another container."""
    restart: RestartPolicy
    stop: StopPolicy
    pull: bool
    env_files: Mapping[str, str]
    """Text of each ``env_file``, by path as written."""


@dataclass
class Draft:
    """A service being read."""

    name: str
    around: Surroundings
    shapes: Shapes
    config: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=lambda: {"RestartPolicy": {"Name": "no"}})
    labels: dict[str, str] = field(default_factory=dict)
    label_places: dict[str, Node] = field(default_factory=dict)
    edges: list[Dependency] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    image: str = ""
    container: str = ""
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    stop: StopPolicy = field(default_factory=StopPolicy)
    on_failure: OnFailure | None = None
    before: list[str] = field(default_factory=list)
    rebuild: Rebuild = Rebuild.CHANGED
    enabled: bool = True
    pull: bool = True
    deadline: Seconds = Seconds(0)

    def needs(self, target: str, via: Via, condition: Condition = Condition.STARTED) -> None:
        self.edges.append(Dependency(UnitName(target), via, condition))

    def container_of(self, unit: str) -> str:
        return self.around.containers.get(unit, unit)


Reader = Callable[[Draft, Node, str], None]


def config_text(key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.config[key] = draft.shapes.text(node, path)

    return read


def host_text(key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.text(node, path)

    return read


def host_texts(key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.texts(node, path)

    return read


def host_size(key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.size(node, path)

    return read


def host_integer(key: str, *, least: int | None = 0) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.host[key] = draft.shapes.integer(node, path, least=least)

    return read


def flag(target: str, key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        (draft.config if target == "config" else draft.host)[key] = draft.shapes.boolean(node, path)

    return read


def words(key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.config[key] = draft.shapes.words(node, path)

    return read


def read_image(draft: Draft, node: Node, path: str) -> None:
    draft.image = draft.shapes.text(node, path)
    draft.config["Image"] = draft.image


def read_labels(draft: Draft, node: Node, path: str) -> None:
    for key, value in draft.shapes.pairs(node, path):
        draft.labels[key] = "" if value is None else draft.shapes.text(value, f"{path}.{key}")
        draft.label_places[key] = value or node


def read_environment(draft: Draft, node: Node, path: str) -> None:
    for key, value in draft.shapes.pairs(node, path):
        if value is not None and value.text:
            draft.env[key] = draft.shapes.text(value, f"{path}.{key}")
            continue
        found = looked_up(draft.around.environment, draft.name, key)
        draft.env.update(found)
        if not found and value is not None:
            draft.env[key] = ""


def looked_up(environment: Mapping[str, str], unit: str, key: str) -> dict[str, str]:
    """``unit/KEY`` before ``KEY``; ``KEY*`` takes every name that begins so. Nothing found is nothing set."""
    for wanted in (f"{unit}/{key}", key):
        if wanted.endswith("*"):
            begin = wanted[:-1]
            found = {
                name.rpartition("/")[2]: value
                for name, value in environment.items()
                if name.startswith(begin) and ("/" in name) == ("/" in begin)
            }
        else:
            found = {key: environment[wanted]} if wanted in environment else {}
        if found:
            return found
    return {}


def read_env_file(draft: Draft, node: Node, path: str) -> None:
    for name in draft.shapes.texts(node, path):
        text = draft.around.env_files.get(name)
        if text is None:
            draft.shapes.report.problem(node.place, path, f"cannot be read: {name}")
            continue
        for line in text.splitlines():
            key, equals, value = line.strip().partition("=")
            if key and not key.startswith("#") and equals:
                draft.env.setdefault(key, value)


def read_volumes(draft: Draft, node: Node, path: str) -> None:
    binds: list[str] = []
    bare: dict[str, dict[str, str]] = {}
    for entry in draft.shapes.texts(node, path):
        source, colon, _ = entry.partition(":")
        if not colon:
            bare[source] = {}
        elif source.startswith((".", "~")):
            draft.shapes.report.problem(node.place, path, f"not an absolute path: {entry}", "begin it with /")
        else:
            binds.append(entry)
    if binds:
        draft.host["Binds"] = binds
    if bare:
        draft.config["Volumes"] = bare


def read_volumes_from(draft: Draft, node: Node, path: str) -> None:
    taken = []
    for entry in draft.shapes.texts(node, path):
        if entry.startswith("container:"):
            taken.append(entry.removeprefix("container:"))
            continue
        unit, colon, mode = entry.partition(":")
        draft.needs(unit, Via.VOLUMES)
        taken.append(draft.container_of(unit) + colon + mode)
    draft.host["VolumesFrom"] = taken


def read_links(draft: Draft, node: Node, path: str) -> None:
    links = []
    for entry in draft.shapes.texts(node, path):
        unit, _, alias = entry.partition(":")
        draft.needs(unit, Via.LINK)
        links.append(f"{draft.container_of(unit)}:{alias or unit}")
    draft.host["Links"] = [*draft.host.get("Links", []), *links]


def read_external_links(draft: Draft, node: Node, path: str) -> None:
    links = []
    for entry in draft.shapes.texts(node, path):
        container, _, alias = entry.partition(":")
        links.append(f"{container}:{alias or container}")
    draft.host["Links"] = [*draft.host.get("Links", []), *links]


def namespace(key: str, via: Via) -> Reader:
    """``host``, ``container:UNIT``, and the like."""

    def read(draft: Draft, node: Node, path: str) -> None:
        mode = draft.shapes.text(node, path)
        kind, colon, unit = mode.partition(":")
        if colon and kind in {"container", "service"}:
            draft.needs(unit, via)
            mode = f"container:{draft.container_of(unit)}"
        draft.host[key] = mode

    return read


def read_depends_on(draft: Draft, node: Node, path: str) -> None:
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
        draft.needs(unit, Via.DEPENDS_ON, condition)


def read_restart(draft: Draft, node: Node, path: str) -> None:
    text = "no" if node.value is False else draft.shapes.text(node, path, "no")
    policy, colon, retries = text.partition(":")
    if policy not in set(Policy) or (colon and (policy != Policy.ON_FAILURE or not retries.isdecimal())):
        draft.shapes.report.problem(
            node.place,
            path,
            f"expected no, on-failure[:N], always or unless-stopped, found {node.kind}",
            nearest(policy, set(Policy)),
        )
        return
    draft.restart = replace(draft.restart, policy=Policy(policy), max_retries=int(retries or 0))


def read_ports(draft: Draft, node: Node, path: str) -> None:
    bindings: dict[str, list[dict[str, str]]] = {}
    for index, entry in enumerate(draft.shapes.texts(node, path, single=False)):
        found = ports(entry)
        if found is None:
            draft.shapes.report.problem(
                node.place, f"{path}[{index}]", f"no port mapping: {entry}", "as in 8080:80, 127.0.0.1:53:53/udp or 80"
            )
            continue
        for inner, ip, outer in found:
            bindings.setdefault(inner, []).append({"HostIp": ip, "HostPort": outer})
    draft.host["PortBindings"] = bindings
    draft.config.setdefault("ExposedPorts", {}).update({inner: {} for inner in bindings})


PORT = re.compile(r"(?:(?:\[?([0-9a-fA-F.:]*?)\]?:)?(\d*)(?:-(\d+))?:)?(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")


def ports(entry: str) -> list[tuple[str, str, str]] | None:
    """``(inner/protocol, host address, host port)`` for each port of an entry; ``None`` when it is none."""
    found = PORT.fullmatch(entry)
    if found is None:
        return None
    ip, outer_from, outer_to, inner_from, inner_to, protocol = found.groups()
    inner = range(int(inner_from), int(inner_to or inner_from) + 1)
    outer = (
        [str(port) for port in range(int(outer_from), int(outer_to or outer_from) + 1)]
        if outer_from
        else [""] * len(inner)
    )
    if len(outer) != len(inner) or max(inner, default=0) > 65535:
        return None
    return [(f"{port}/{protocol or 'tcp'}", ip or "", out) for port, out in zip(inner, outer, strict=True)]


def read_expose(draft: Draft, node: Node, path: str) -> None:
    exposed: dict[str, dict[str, str]] = {
        entry if "/" in entry else f"{entry}/tcp": {} for entry in draft.shapes.texts(node, path)
    }
    draft.config.setdefault("ExposedPorts", {}).update(exposed)


def read_devices(draft: Draft, node: Node, path: str) -> None:
    devices = []
    for entry in draft.shapes.texts(node, path):
        outer, _, rest = entry.partition(":")
        inner, _, rights = rest.partition(":")
        devices.append({"PathOnHost": outer, "PathInContainer": inner or outer, "CgroupPermissions": rights or "rwm"})
    draft.host["Devices"] = devices


def read_ulimits(draft: Draft, node: Node, path: str) -> None:
    limits = []
    for name, child in draft.shapes.mapping(node, path).items():
        below = f"{path}.{name}"
        if isinstance(child.value, dict):
            fields = draft.shapes.mapping(child, below, ("soft", "hard"))
            read = {key: draft.shapes.integer(value, f"{below}.{key}", least=-1) for key, value in fields.items()}
            limits.append({"Name": name, "Soft": read.get("soft", 0), "Hard": read.get("hard", read.get("soft", 0))})
        else:
            both = draft.shapes.integer(child, below, least=-1)
            limits.append({"Name": name, "Soft": both, "Hard": both})
    draft.host["Ulimits"] = limits


def read_extra_hosts(draft: Draft, node: Node, path: str) -> None:
    if isinstance(node.value, dict):
        draft.host["ExtraHosts"] = [
            f"{key}:{draft.shapes.text(child, f'{path}.{key}')}" for key, child in node.value.items()
        ]
    else:
        draft.host["ExtraHosts"] = draft.shapes.texts(node, path)


def read_log_driver(draft: Draft, node: Node, path: str) -> None:
    driver = draft.shapes.text(node, path)
    draft.host.setdefault("LogConfig", {})["Type"] = driver
    if driver == "syslog" and draft.name != "syslog" and "syslog" in draft.around.containers:
        draft.needs("syslog", Via.LOG_DRIVER)


def read_log_opt(draft: Draft, node: Node, path: str) -> None:
    options = {
        key: draft.shapes.text(child, f"{path}.{key}") for key, child in draft.shapes.mapping(node, path).items()
    }
    draft.host.setdefault("LogConfig", {})["Config"] = options


def read_healthcheck(draft: Draft, node: Node, path: str) -> None:
    known = ("test", "interval", "timeout", "retries", "start_period", "disable")
    fields = draft.shapes.mapping(node, path, known)
    check: dict[str, Any] = {}
    for key, child in fields.items():
        below = f"{path}.{key}"
        if key == "test":
            text = not isinstance(child.value, list)
            check["Test"] = ["CMD-SHELL", draft.shapes.text(child, below)] if text else draft.shapes.texts(child, below)
        elif key == "retries":
            check["Retries"] = draft.shapes.integer(child, below)
        elif key == "disable":
            if draft.shapes.boolean(child, below):
                check["Test"] = ["NONE"]
        else:
            name = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}[key]
            check[name] = int(draft.shapes.seconds(child, below) * 1e9)
    draft.config["Healthcheck"] = check


def read_stop_signal(draft: Draft, node: Node, path: str) -> None:
    draft.stop = replace(draft.stop, signal=draft.shapes.text(node, path, "SIGTERM"))


def read_stop_grace(draft: Draft, node: Node, path: str) -> None:
    draft.stop = replace(draft.stop, timeout=draft.shapes.seconds(node, path, draft.stop.timeout))


def read_on_failure(draft: Draft, node: Node, path: str) -> None:
    draft.on_failure = OnFailure(draft.shapes.choice(node, path, [one.value for one in OnFailure], "hold"))


def read_container_name(draft: Draft, node: Node, path: str) -> None:
    draft.container = draft.shapes.text(node, path, draft.name)
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", draft.container):
        draft.shapes.report.problem(
            node.place, path, f"no container name: {draft.container}", "two or more of a-z, 0-9, _, . and -"
        )


def not_here(instead: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        draft.shapes.report.problem(node.place, path, "not supported here", instead)

    return read


KEYS: Mapping[str, Reader] = {
    "image": read_image,
    "labels": read_labels,
    "privileged": flag("host", "Privileged"),
    "volumes": read_volumes,
    "uts": host_text("UTSMode"),
    "restart": read_restart,
    "net": namespace("NetworkMode", Via.NET),
    "network_mode": namespace("NetworkMode", Via.NET),
    "pid": namespace("PidMode", Via.PID),
    "ipc": namespace("IpcMode", Via.IPC),
    "command": words("Cmd"),
    "volumes_from": read_volumes_from,
    "env_file": read_env_file,
    "environment": read_environment,
    "ports": read_ports,
    "links": read_links,
    "external_links": read_external_links,
    "cap_add": host_texts("CapAdd"),
    "cap_drop": host_texts("CapDrop"),
    "cgroup_parent": host_text("CgroupParent"),
    "container_name": read_container_name,
    "cpu_quota": host_integer("CpuQuota"),
    "cpu_shares": host_integer("CpuShares"),
    "cpuset": host_text("CpusetCpus"),
    "depends_on": read_depends_on,
    "devices": read_devices,
    "dns": host_texts("Dns"),
    "dns_search": host_texts("DnsSearch"),
    "domainname": config_text("Domainname"),
    "entrypoint": words("Entrypoint"),
    "expose": read_expose,
    "extra_hosts": read_extra_hosts,
    "healthcheck": read_healthcheck,
    "hostname": config_text("Hostname"),
    "log_driver": read_log_driver,
    "log_opt": read_log_opt,
    "mac_address": config_text("MacAddress"),
    "mem_limit": host_size("Memory"),
    "memswap_limit": host_size("MemorySwap"),
    "on_dependency_failure": read_on_failure,
    "oom_score_adj": host_integer("OomScoreAdj", least=-1000),
    "read_only": flag("host", "ReadonlyRootfs"),
    "security_opt": host_texts("SecurityOpt"),
    "stdin_open": flag("config", "OpenStdin"),
    "stop_grace_period": read_stop_grace,
    "stop_signal": read_stop_signal,
    "tty": flag("config", "Tty"),
    "ulimits": read_ulimits,
    "user": config_text("User"),
    "volume_driver": host_text("VolumeDriver"),
    "working_dir": config_text("WorkingDir"),
    "build": not_here("build the image elsewhere and name it with image"),
    "dockerfile": not_here("build the image elsewhere and name it with image"),
    "extends": not_here("use a YAML anchor and <<"),
    "name": not_here("the service's key is its name; container_name names its container"),
}
"""Every key of a service, in the order in which they are read."""


def restart_seconds(key: str) -> Reader:
    def read(draft: Draft, node: Node, path: str) -> None:
        value = draft.shapes.seconds(node, path, getattr(draft.restart, key))
        draft.restart = replace(draft.restart, **{key: value})  # type: ignore[arg-type]

    return read


def read_jitter(draft: Draft, node: Node, path: str) -> None:
    value = draft.shapes.number(node, path, draft.restart.jitter)
    if value > 1:
        draft.shapes.wrong(node, path, "a fraction from 0 to 1")
    draft.restart = replace(draft.restart, jitter=min(1.0, value))


def read_burst(draft: Draft, node: Node, path: str) -> None:
    draft.restart = replace(draft.restart, burst=draft.shapes.integer(node, path, draft.restart.burst))


def read_enabled(draft: Draft, node: Node, path: str) -> None:
    draft.enabled = draft.shapes.boolean(node, path, default=True)


def read_pull(draft: Draft, node: Node, path: str) -> None:
    draft.pull = draft.shapes.boolean(node, path, default=True)


def read_deadline(draft: Draft, node: Node, path: str) -> None:
    draft.deadline = draft.shapes.seconds(node, path)


RESTART: Mapping[str, Reader] = {
    **{key: restart_seconds(key) for key in ("delay", "max_delay", "reset", "interval", "probe")},
    "jitter": read_jitter,
    "burst": read_burst,
}


OWN: Mapping[str, Reader] = {
    **{f"dockwarden.restart.{key}": reader for key, reader in RESTART.items()},
    "dockwarden.stop.timeout": read_stop_grace,
    "dockwarden.stop.signal": read_stop_signal,
    "dockwarden.on_dependency_failure": read_on_failure,
    "dockwarden.enabled": read_enabled,
    "dockwarden.pull": read_pull,
    "dockwarden.deadline": read_deadline,
}
"""Labels that only we read. They are no part of what a container is: changing one makes no container anew."""
