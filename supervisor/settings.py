"""A merged configuration to typed settings: parsed once, and never looked up by a string again. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from supervisor.compose import interpolated, read_service, unit_spec
from supervisor.draft import Draft, Surroundings
from supervisor.own_labels import RESTART
from supervisor.shapes import Shapes
from supervisor.tree import ConfigError, Node, Place, Problem, Report, lookup
from units.unit import Policy, RestartPolicy, Seconds, StopPolicy, UnitSpec

__all__ = ["ConfigError", "Settings", "SupervisorSettings", "SystemDockerSettings", "env_files", "parse"]

NOT_YET = "accepted, and not acted on yet"

TOP = ("rancher", "hostname", "default_hostname", "ssh_authorized_keys", "write_files", "runcmd", "bootcmd", "mounts")
RANCHER = (
    "services", "environment", "system_docker", "supervisor", "bootstrap", "autoformat", "services_include",
    "repositories", "cloud_init", "modules", "debug", "log", "rm_usr", "disable", "ssh", "state", "bootstrap_docker",
    "docker", "network", "default_network", "force_console_rebuild", "upgrade", "console", "cloud_init_services",
    "no_sharedroot", "recovery", "registry_auths", "defaults", "resize_device", "sysctl", "restart_services",
    "hypervisor_service", "shutdown_timeout", "http_load_retries", "preload_wait", "password",
)  # fmt: skip
ACTED_ON = ("services", "environment", "system_docker", "supervisor")
DOCKER = (
    "args", "extra_args", "environment", "tls", "tls_args", "server_cert", "server_key", "ca_cert", "ca_key",
    "storage_context", "exec", "engine", "bridge", "bip", "config_file", "containerd", "debug", "exec_root", "group",
    "graph", "data_root", "host", "live_restore", "log_driver", "log_opts", "pid_file", "registry_mirror", "restart",
    "selinux_enabled", "storage_driver", "userland_proxy", "insecure_registry",
)  # fmt: skip
DOCKER_ACTED_ON = ("args", "extra_args", "environment")


@dataclass(frozen=True, slots=True)
class SystemDockerSettings:
    """``rancher.system_docker``. Empty ``args`` mean the built-in ones."""

    args: tuple[str, ...] = ()
    extra_args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """``rancher.supervisor``: the defaults of every unit, and what concerns all of them."""

    restart: RestartPolicy = RestartPolicy()
    stop: StopPolicy = StopPolicy()
    shutdown_total: Seconds = Seconds(60)
    snapshot_period: Seconds = Seconds(30)
    pull: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """All that this version acts on."""

    units: tuple[UnitSpec, ...] = ()
    system_docker: SystemDockerSettings = SystemDockerSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where each unit was defined."""


def parse(root: Node, report: Report, env_files: Mapping[str, str] | None = None) -> Settings:
    """Settings of a merged tree. Raises ConfigError with every problem, those already in the report too."""
    shapes = Shapes(report)
    top = shapes.mapping(root, "", TOP)
    _not_yet(report, top, "", ("rancher",))
    rancher = shapes.mapping(top["rancher"], "rancher", RANCHER) if "rancher" in top else {}
    _not_yet(report, rancher, "rancher.", ACTED_ON)
    environment = _environment(shapes, rancher.get("environment"), "rancher.environment")
    supervisor = _supervisor(shapes, rancher.get("supervisor"))
    system_docker = _system_docker(shapes, rancher.get("system_docker"))
    services = rancher.get("services")
    nodes = shapes.mapping(services, "rancher.services") if services is not None else {}
    units = _units(shapes, nodes, environment, supervisor, env_files or {})
    if report.problems:
        raise ConfigError(report.problems)
    places = {name: services.keys.get(name, node.place) for name, node in nodes.items()} if services else {}
    return Settings(units, system_docker, supervisor, environment, tuple(report.warnings), places)


def _not_yet(report: Report, entries: Mapping[str, Node], prefix: str, acted_on: tuple[str, ...]) -> None:
    for key, node in entries.items():
        if key not in acted_on:
            report.warning(node.place, f"{prefix}{key}", NOT_YET)


def _environment(shapes: Shapes, node: Node | None, path: str) -> dict[str, str]:
    if node is None:
        return {}
    return {
        key: "" if value.value is None else shapes.text(value, f"{path}.{key}")
        for key, value in shapes.pairs(node, path)
    }


def _system_docker(shapes: Shapes, node: Node | None) -> SystemDockerSettings:
    if node is None:
        return SystemDockerSettings()
    path = "rancher.system_docker"
    entries = shapes.mapping(node, path, DOCKER)
    _not_yet(shapes.report, entries, f"{path}.", DOCKER_ACTED_ON)
    read = {key: tuple(shapes.words(entries[key], f"{path}.{key}")) for key in ("args", "extra_args") if key in entries}
    return SystemDockerSettings(
        read.get("args", ()),
        read.get("extra_args", ()),
        _environment(shapes, entries.get("environment"), f"{path}.environment"),
    )


Setter = Callable[[SupervisorSettings, Shapes, Node, str], SupervisorSettings]


def _restart(now: SupervisorSettings, shapes: Shapes, node: Node, path: str) -> SupervisorSettings:
    draft = _draft(now, shapes)
    entries = shapes.mapping(node, path, (*RESTART, "policy"))
    for key, child in entries.items():
        if key == "policy":
            policy = "no" if child.value is False else shapes.choice(child, f"{path}.policy", list(Policy), "no")
            draft.restart = replace(draft.restart, policy=Policy(policy))
        else:
            RESTART[key](draft, child, f"{path}.{key}")
    return replace(now, restart=draft.restart)


def _draft(now: SupervisorSettings, shapes: Shapes) -> Draft:
    around = Surroundings({}, {}, now.restart, now.stop, now.pull, {})
    return Draft("", around, shapes, restart=now.restart, stop=now.stop)


def _stop(now: SupervisorSettings, shapes: Shapes, node: Node, path: str) -> SupervisorSettings:
    stop = now.stop
    for key, child in shapes.mapping(node, path, ("timeout", "signal")).items():
        if key == "timeout":
            stop = replace(stop, timeout=shapes.seconds(child, f"{path}.timeout", stop.timeout))
        else:
            stop = replace(stop, signal=shapes.signal(child, f"{path}.signal", stop.signal))
    return replace(now, stop=stop)


def _shutdown(now: SupervisorSettings, shapes: Shapes, node: Node, path: str) -> SupervisorSettings:
    for child in shapes.mapping(node, path, ("total",)).values():
        now = replace(now, shutdown_total=shapes.seconds(child, f"{path}.total", now.shutdown_total))
    return now


def _period(now: SupervisorSettings, shapes: Shapes, node: Node, path: str) -> SupervisorSettings:
    period = shapes.seconds(node, path, now.snapshot_period)
    if period < 1:
        shapes.wrong(node, path, "at least 1s")
    return replace(now, snapshot_period=period)


def _pull(now: SupervisorSettings, shapes: Shapes, node: Node, path: str) -> SupervisorSettings:
    return replace(now, pull=shapes.choice(node, path, ("missing", "never"), "missing") == "missing")


SUPERVISOR: Mapping[str, Setter] = {
    "restart": _restart,
    "stop": _stop,
    "shutdown": _shutdown,
    "snapshot_period": _period,
    "pull": _pull,
}


def _supervisor(shapes: Shapes, node: Node | None) -> SupervisorSettings:
    now = SupervisorSettings()
    if node is not None:
        for key, child in shapes.mapping(node, "rancher.supervisor", SUPERVISOR).items():
            now = SUPERVISOR[key](now, shapes, child, f"rancher.supervisor.{key}")
    return now


def _units(
    shapes: Shapes,
    nodes: Mapping[str, Node],
    environment: Mapping[str, str],
    supervisor: SupervisorSettings,
    env_files: Mapping[str, str],
) -> tuple[UnitSpec, ...]:
    containers = {name: _container_name(name, node, environment) for name, node in nodes.items()}
    around = Surroundings(environment, containers, supervisor.restart, supervisor.stop, supervisor.pull, env_files)
    drafts = [read_service(name, node, f"rancher.services.{name}", around, shapes) for name, node in nodes.items()]
    _refuse_shared_names(shapes, drafts, nodes)
    before: dict[str, list[str]] = {}
    for draft in drafts:
        for target in draft.before:
            before.setdefault(target, []).append(draft.name)
        _warn_of_scope(shapes, draft, nodes[draft.name])
    for target in before.keys() - nodes.keys():
        for name in before[target]:
            shapes.report.warning(
                nodes[name].place, f"rancher.services.{name}.labels", f"before: there is no unit '{target}'; ignored"
            )
    return tuple(unit_spec(draft, before.get(draft.name, [])) for draft in drafts)


def env_files(root: Node) -> list[tuple[Node, str]]:
    """Each ``env_file`` that a service names, with its dotted key. What is wrong is left for ``parse`` to tell."""
    quiet = Shapes(Report())
    environment = _environment(quiet, lookup(root, "rancher.environment"), "")
    services = lookup(root, "rancher.services")
    found: list[tuple[Node, str]] = []
    for name, node in quiet.mapping(services, "").items() if services is not None else ():
        named = _early(name, node, "env_file", environment)
        if named is not None:
            found.extend(quiet.items(named, f"rancher.services.{name}.env_file"))
    return found


def _container_name(name: str, node: Node, environment: Mapping[str, str]) -> str:
    named = _early(name, node, "container_name", environment)
    return named.text if named is not None and named.text else name


def _early(name: str, node: Node, key: str, environment: Mapping[str, str]) -> Node | None:
    """One key of a service, before the service is read; ``read_service`` will complain of it."""
    named = lookup(node, key)
    around = Surroundings(environment, {}, RestartPolicy(), StopPolicy(), pull=True, env_files={})
    return None if named is None else interpolated(named, name, around, Shapes(Report()), "")


def _refuse_shared_names(shapes: Shapes, drafts: list[Draft], nodes: Mapping[str, Node]) -> None:
    first: dict[str, str] = {}
    for draft in drafts:
        other = first.setdefault(draft.container, draft.name)
        if other != draft.name:
            shapes.report.problem(
                nodes[draft.name].place,
                f"rancher.services.{draft.name}",
                f"its container would be called {draft.container}, as that of {other}",
                "set another container_name",
            )


def _warn_of_scope(shapes: Shapes, draft: Draft, node: Node) -> None:
    scope = draft.labels.get("io.rancher.os.scope", "system")
    if scope != "system":
        shapes.report.warning(
            node.place,
            f"rancher.services.{draft.name}.labels.io.rancher.os.scope",
            f"'{scope}' means user Docker, which this version does not run; the unit runs on System Docker",
        )
