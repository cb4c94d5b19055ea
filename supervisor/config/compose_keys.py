"""The keys of a compose service, each with the function that writes it into the create body. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from supervisor.config.compose_references import (
    namespace,
    read_depends_on,
    read_external_links,
    read_links,
    read_log_driver,
    read_on_failure,
    read_volumes_from,
)
from supervisor.config.labels import read_signal, read_timeout
from supervisor.config.ports import ports
from supervisor.config.service_draft import (
    Reader,
    ServiceBuilder,
    config_text,
    env_file_path,
    flag,
    host_integer,
    host_size,
    host_text,
    host_texts,
    words,
)
from supervisor.config.tree import EACH, Node
from units.bounded import LARGEST, whole
from units.records import replace
from units.spec import Policy, Via


def read_image(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.image = draft.shapes.text(node, path)
    draft.config["Image"] = draft.image


def read_labels(draft: ServiceBuilder, node: Node, path: str) -> None:
    for key, value in draft.shapes.pairs(node, path):
        draft.labels[key] = "" if value.value is None else draft.shapes.text(value, f"{path}.{key}")
        draft.label_places[key] = value


def read_environment(draft: ServiceBuilder, node: Node, path: str) -> None:
    """A list keeps its order; a map is sorted, so that moving a line does not re-create the container."""
    pairs = draft.shapes.pairs(node, path)
    if isinstance(node.value, dict):
        pairs.sort(key=lambda pair: pair[0])
    for key, value in pairs:
        text = "" if value.value is None else draft.shapes.text(value, f"{path}.{key}")
        found = {} if text else _taken(draft, value, key, path)
        draft.env.update(found)
        if not found and value.value is not None:
            draft.env[key] = text


def _taken(draft: ServiceBuilder, node: Node, key: str, path: str) -> dict[str, str]:
    """As ``looked_up``, as far as the configuration may grow by it."""
    environment, report = draft.around.environment, draft.shapes.report
    if key.endswith("*") and not report.grows(node.place, path, len(environment)):
        return {}
    found = looked_up(environment, draft.name, key)
    size = sum(EACH + len(value) for value in found.values())
    return found if report.grows(node.place, path, size) else {}


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


def read_env_file(draft: ServiceBuilder, node: Node, path: str) -> None:
    """``K=V`` a line, a bare ``K`` is looked up; a later file wins, and ``environment`` over all of them."""
    for item, below in draft.shapes.items(node, path):
        text = draft.around.env_files.get(env_file_path(item))
        if text is None:
            draft.shapes.report.problem(item.place, below, f"cannot be read: {item.text}")
            continue
        if not draft.shapes.report.grows(item.place, below, len(text)):
            continue
        for line in text.splitlines():
            key, equals, value = line.strip().partition("=")
            if not key or key.startswith("#"):
                continue
            draft.env.update({key: value} if equals else _taken(draft, item, key, below))


def read_volumes(draft: ServiceBuilder, node: Node, path: str) -> None:
    binds: list[str] = []
    bare: dict[str, dict[str, str]] = {}
    for item, below in draft.shapes.items(node, path):
        parts = item.text.split(":")
        inner = parts[1] if len(parts) > 1 else parts[0]
        if parts[0].startswith((".", "~")) or not inner.startswith("/"):
            said = f"not an absolute path: {item.text}"
            draft.shapes.report.problem(item.place, below, said, "as in /path, /host:/path[:mode] or name:/path[:mode]")
        elif len(parts) > 3 or not all(parts):
            said = f"not a volume: {item.text}"
            draft.shapes.report.problem(item.place, below, said, "as in /path, /host:/path[:mode] or name:/path[:mode]")
        elif len(parts) == 1:
            bare[inner] = {}
        else:
            binds.append(item.text)
    if binds:
        draft.host["Binds"] = binds
    if bare:
        draft.config["Volumes"] = bare


def read_restart(draft: ServiceBuilder, node: Node, path: str) -> None:
    text = "no" if node.value is False else draft.shapes.text(node, path, "no")
    policy, colon, retries = text.partition(":")
    most = whole(retries, 0, LARGEST) if colon and policy == Policy.ON_FAILURE else 0
    if policy not in set(Policy) or most is None or (colon and policy != Policy.ON_FAILURE):
        draft.shapes.report.problem(
            node.place,
            path,
            f"expected no, on-failure[:N], always or unless-stopped, found {node.kind}",
            draft.shapes.report.guess(policy, set(Policy)),
        )
        return
    draft.restart = replace(draft.restart, policy=Policy(policy), max_retries=most)


def read_ports(draft: ServiceBuilder, node: Node, path: str) -> None:
    bindings: dict[str, list[dict[str, str]]] = {}
    for item, below in draft.shapes.items(node, path, single=False):
        found = ports(item.text)
        if found is None:
            said = f"not a port mapping: {item.text}"
            draft.shapes.report.problem(item.place, below, said, "as in 8080:80, 127.0.0.1:53:53/udp or 80")
            continue
        for inner, ip, outer in found:
            bindings.setdefault(inner, []).append({"HostIp": ip, "HostPort": outer})
    draft.host["PortBindings"] = bindings
    draft.config.setdefault("ExposedPorts", {}).update({inner: {} for inner in bindings})


def read_expose(draft: ServiceBuilder, node: Node, path: str) -> None:
    exposed: dict[str, dict[str, str]] = {}
    for item, below in draft.shapes.items(node, path):
        found = ports(item.text) if ":" not in item.text else None
        if found is None:
            draft.shapes.report.problem(item.place, below, f"not a port: {item.text}", "as in 80, 53/udp or 9000-9009")
        else:
            exposed.update({inner: {} for inner, _, _ in found})
    draft.config.setdefault("ExposedPorts", {}).update(exposed)


def read_devices(draft: ServiceBuilder, node: Node, path: str) -> None:
    devices = []
    for entry in draft.shapes.texts(node, path):
        outer, _, rest = entry.partition(":")
        inner, _, rights = rest.partition(":")
        if inner and not rights and set(inner) <= set("rwm"):
            inner, rights = "", inner
        devices.append({"PathOnHost": outer, "PathInContainer": inner or outer, "CgroupPermissions": rights or "rwm"})
    draft.host["Devices"] = devices


def read_ulimits(draft: ServiceBuilder, node: Node, path: str) -> None:
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


def read_extra_hosts(draft: ServiceBuilder, node: Node, path: str) -> None:
    if isinstance(node.value, dict):
        draft.host["ExtraHosts"] = [
            f"{key}:{draft.shapes.text(child, f'{path}.{key}')}" for key, child in node.value.items()
        ]
    else:
        draft.host["ExtraHosts"] = draft.shapes.texts(node, path)


def read_log_opt(draft: ServiceBuilder, node: Node, path: str) -> None:
    options = {
        key: draft.shapes.text(child, f"{path}.{key}") for key, child in draft.shapes.mapping(node, path).items()
    }
    draft.host.setdefault("LogConfig", {})["Config"] = options


TIMES = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}


def read_healthcheck(draft: ServiceBuilder, node: Node, path: str) -> None:
    fields = draft.shapes.mapping(node, path, ("test", "retries", "disable", *TIMES))
    check: dict[str, Any] = {
        name: int(draft.shapes.seconds(fields[key], f"{path}.{key}") * 1e9)
        for key, name in TIMES.items()
        if key in fields
    }
    if "retries" in fields:
        check["Retries"] = draft.shapes.integer(fields["retries"], f"{path}.retries")
    if "test" in fields:
        check["Test"] = health_test(draft, fields["test"], f"{path}.test")
    if "disable" in fields and draft.shapes.boolean(fields["disable"], f"{path}.disable"):
        check = {"Test": ["NONE"]}
    draft.config["Healthcheck"] = check


def health_test(draft: ServiceBuilder, node: Node, path: str) -> list[str]:
    """A text is run by a shell; a list begins with CMD or CMD-SHELL; ``NONE`` disables the image's own check."""
    if not isinstance(node.value, list):
        text = draft.shapes.text(node, path)
        return ["NONE"] if text == "NONE" else ["CMD-SHELL", text]
    test = draft.shapes.texts(node, path)
    if test != ["NONE"] and (len(test) < 2 or test[0] not in {"CMD", "CMD-SHELL"}):
        said = "a list begins with CMD or CMD-SHELL and goes on with a command, or is [NONE]"
        draft.shapes.report.problem(node.place, path, said, "as in [CMD, curl, -f, localhost]")
    return test


def read_stop_signal(draft: ServiceBuilder, node: Node, path: str) -> None:
    read_signal(draft, node, path)
    draft.config["StopSignal"] = draft.stop.signal


def read_container_name(draft: ServiceBuilder, node: Node, path: str) -> None:
    draft.container = draft.shapes.text(node, path, draft.name)
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", draft.container):
        draft.shapes.report.problem(
            node.place, path, f"not a container name: {draft.container}", "two or more of a-z, 0-9, _, . and -"
        )


def not_here(instead: str) -> Reader:
    def read(draft: ServiceBuilder, node: Node, path: str) -> None:
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
    "memswap_limit": host_size("MemorySwap", least=-1),
    "on_dependency_failure": read_on_failure,
    "oom_score_adj": host_integer("OomScoreAdj", least=-1000),
    "read_only": flag("host", "ReadonlyRootfs"),
    "security_opt": host_texts("SecurityOpt"),
    "stdin_open": flag("config", "OpenStdin"),
    "stop_grace_period": read_timeout,
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
