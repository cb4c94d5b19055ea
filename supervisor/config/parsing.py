"""Turns a merged configuration into typed settings, and reports all its problems at once. Pure."""

import hashlib
import json
from collections.abc import Callable, Mapping

from supervisor.config.compose import canonical, interpolated, read_service, unit_spec
from supervisor.config.fields import Validators
from supervisor.config.labels import RESTART
from supervisor.config.service_draft import BuildContext, ServiceBuilder
from supervisor.config.settings import (
    TLS_ARGS,
    Settings,
    SupervisorSettings,
    SystemDockerSettings,
    UserDockerSettings,
)
from supervisor.config.tree import ConfigError, Node, ProblemReport, lookup
from supervisor.logs.redaction import worth_hiding
from units.bounded import quoted
from units.quantities import Seconds
from units.records import replace
from units.spec import CONSOLE, SYSTEM_DOCKER, USER_DOCKER, Kind, Policy, RestartPolicy, StopPolicy, UnitName, UnitSpec
from units.tables.storage import placed

NOT_YET = "accepted, but ignored by this version"

TOP = ("rancher", "hostname", "default_hostname", "ssh_authorized_keys", "write_files", "runcmd", "bootcmd", "mounts")
RANCHER = (
    "services", "environment", "system_docker", "supervisor", "bootstrap", "autoformat", "services_include",
    "repositories", "cloud_init", "modules", "debug", "log", "rm_usr", "disable", "ssh", "state", "bootstrap_docker",
    "docker", "network", "default_network", "force_console_rebuild", "upgrade", "console", "cloud_init_services",
    "no_sharedroot", "recovery", "registry_auths", "defaults", "resize_device", "sysctl", "restart_services",
    "hypervisor_service", "shutdown_timeout", "http_load_retries", "preload_wait", "password",
)  # fmt: skip
ACTED_ON = ("services", "environment", "system_docker", "supervisor", "docker", "console")
DOCKER = (
    "args", "extra_args", "environment", "tls", "tls_args", "server_cert", "server_key", "ca_cert", "ca_key",
    "storage_context", "exec", "engine", "bridge", "bip", "config_file", "containerd", "debug", "exec_root", "group",
    "graph", "data_root", "host", "live_restore", "log_driver", "log_opts", "pid_file", "registry_mirror", "restart",
    "selinux_enabled", "storage_driver", "userland_proxy", "insecure_registry",
)  # fmt: skip
DOCKER_ACTED_ON = ("args", "extra_args", "environment")
USUAL = {"graph": "/var/lib/docker", "data_root": "/var/lib/docker"}
SYSTEM_USUAL = {"graph": "/var/lib/system-docker", "data_root": "/var/lib/system-docker", "bridge": "none"}
"""Values that change nothing."""
OUT_OF_SIGHT = {
    "graph": "--data-root",
    "data_root": "--data-root",
    "storage_driver": "--storage-driver",
    "config_file": "--config-file",
    "bip": "--bip",
    "bridge": "--bridge",
}
"""Keys that are not acted on, with which data or addresses would be lost sight of; and the options that are."""
TLS_FILES = ("ca_cert", "ca_key", "server_cert", "server_key")
USER_DOCKER_ACTED_ON = (*DOCKER_ACTED_ON, "storage_context", "engine", "tls", "tls_args", *TLS_FILES)
SERVING = Seconds(60)
"""Longest time from the start of user Docker until it must serve."""


def parse(root: Node, report: ProblemReport, env_files: Mapping[str, str] | None = None) -> Settings:
    """Settings of a merged tree. Raises ConfigError with every problem, those already in the report too."""
    shapes = Validators(report)
    top = shapes.mapping(root, "", TOP)
    _not_yet(report, top, "", ("rancher",))
    rancher = shapes.mapping(top["rancher"], "rancher", RANCHER) if "rancher" in top else {}
    _not_yet(report, rancher, "rancher.", ACTED_ON)
    environment = _environment(shapes, rancher.get("environment"), "rancher.environment")
    supervisor = _supervisor(shapes, rancher.get("supervisor"))
    system_docker = _system_docker(shapes, rancher.get("system_docker"))
    services = rancher.get("services")
    nodes = shapes.mapping(services, "rancher.services") if services is not None else {}
    found = _units(shapes, nodes, environment, supervisor, env_files or {})
    consoles = tuple(spec for spec in found if spec.name == CONSOLE)
    units = [spec for spec in found if spec.name != CONSOLE]
    if consoles:
        units.append(_console(shapes, consoles, rancher.get("console")))
    docker = _user_docker(shapes, rancher.get("docker"))
    if docker is not None:
        units.append(user_docker_spec(docker, supervisor.restart))
    if USER_DOCKER in nodes:
        shapes.report.problem(
            nodes[USER_DOCKER].place,
            f"rancher.services.{USER_DOCKER}",
            "the name is reserved for user Docker",
            "use another one",
        )
    if SYSTEM_DOCKER in nodes:
        shapes.report.problem(
            nodes[SYSTEM_DOCKER].place,
            f"rancher.services.{SYSTEM_DOCKER}",
            "the name is reserved for System Docker, in which units run",
            "use another one",
        )
    places = {name: services.keys.get(name, node.place) for name, node in nodes.items()} if services else {}
    if docker is not None:
        places[USER_DOCKER] = rancher["docker"].place
    if report.problems:
        linked = Settings(tuple(units), places=places)
        raise ConfigError((*report.problems, *linked.link_problems()[0]))
    warnings = tuple(report.warnings)
    specs = (*units, *consoles)
    secrets = worth_hiding((json.loads(spec.body) for spec in specs), {spec.name for spec in specs})
    return Settings(tuple(units), system_docker, supervisor, environment, warnings, places, consoles, docker, secrets)


def _console(shapes: Validators, consoles: tuple[UnitSpec, ...], node: Node | None) -> UnitSpec:
    """The configured console; if none is configured ``default``, else the first that is defined."""
    by_name = {spec.variant: spec for spec in consoles}
    usual = by_name.get("default", consoles[0])
    if node is None or node.value is None:
        return usual
    name = shapes.text(node, "rancher.console")
    if name not in by_name:
        there = f"(available: {', '.join(sorted(by_name))})"
        said = f"no service defines the console {quoted(name)} {there}; {usual.variant} is used until one does"
        shapes.report.warning(node.place, "rancher.console", said)
    return by_name.get(name, usual)


def _refuse_shared_consoles(shapes: Validators, specs: Mapping[str, UnitSpec], nodes: Mapping[str, Node]) -> None:
    """``specs``: by the name of their service."""
    first: dict[str, str] = {}
    for name, spec in specs.items():
        if spec.name == CONSOLE and first.setdefault(spec.variant, name) != name:
            shapes.report.problem(
                nodes[name].place,
                f"rancher.services.{name}",
                f"two services define the console '{spec.variant}'",
                "give one of them another label io.rancher.os.console",
            )


def _user_docker(shapes: Validators, node: Node | None) -> UserDockerSettings | None:
    if node is None:
        return None
    path = "rancher.docker"
    entries = shapes.mapping(node, path, DOCKER) if node.value is not None else {}
    _not_yet(shapes.report, _in_sight(shapes, entries, path, USUAL), f"{path}.", USER_DOCKER_ACTED_ON)
    context = shapes.text(entries["storage_context"], f"{path}.storage_context") if "storage_context" in entries else ""
    engine = shapes.text(entries["engine"], f"{path}.engine") if "engine" in entries else ""
    return UserDockerSettings(
        _daemon(shapes, entries, path),
        context or CONSOLE,
        engine,
        tls="tls" in entries and shapes.boolean(entries["tls"], f"{path}.tls"),
        tls_args=tuple(shapes.words(entries["tls_args"], f"{path}.tls_args")) if "tls_args" in entries else TLS_ARGS,
        pem={key: shapes.text(entries[key], f"{path}.{key}") for key in TLS_FILES if key in entries},
    )


def user_docker_spec(docker: UserDockerSettings, restart: RestartPolicy) -> UnitSpec:
    """The unit ``user-docker``. The storage context is not part of its hash: a switch does not make it stale."""
    daemon = docker.daemon
    tls = {"args": docker.tls_args, "pem": dict(docker.pem)} if docker.tls else None
    body = canonical(
        {
            "args": daemon.args,
            "extra_args": daemon.extra_args,
            "environment": dict(daemon.environment),
            **({"tls": tls} if tls else {}),
        }
    )
    spec = UnitSpec(
        name=USER_DOCKER,
        kind=Kind.USER_DOCKER,
        image="",
        body=body,
        config_hash=hashlib.sha256(body.encode()).hexdigest()[:16],
        restart=replace(restart, policy=Policy.ALWAYS),
        stop=StopPolicy("SIGTERM", Seconds(30)),
        pull=False,
        deadline=SERVING,
        engine=docker.engine,
    )
    return placed(spec, UnitName(docker.storage_context))


def _in_sight(
    shapes: Validators, entries: Mapping[str, Node], path: str, usual: Mapping[str, str]
) -> Mapping[str, Node]:
    """The entries without those with which an engine would come up beside its data, which are refused."""
    for key in OUT_OF_SIGHT.keys() & entries.keys():
        if entries[key].text.rstrip("/") != usual.get(key, "") and entries[key].value not in {None, ""}:
            lost = "addresses of containers" if key in {"bip", "bridge"} else "data: containers, images and volumes"
            shapes.report.problem(
                entries[key].place,
                f"{path}.{key}",
                f"not acted on by this version: the engine would come up without it, and lose sight of its {lost}",
                f"say it as extra_args: [{OUT_OF_SIGHT[key]}={entries[key].text}]",
            )
    return {key: node for key, node in entries.items() if key not in OUT_OF_SIGHT}


def _not_yet(report: ProblemReport, entries: Mapping[str, Node], prefix: str, acted_on: tuple[str, ...]) -> None:
    for key, node in entries.items():
        if key not in acted_on:
            report.warning(node.place, f"{prefix}{key}", NOT_YET)


def _environment(shapes: Validators, node: Node | None, path: str) -> dict[str, str]:
    if node is None:
        return {}
    return {
        key: "" if value.value is None else shapes.text(value, f"{path}.{key}")
        for key, value in shapes.pairs(node, path)
    }


def _system_docker(shapes: Validators, node: Node | None) -> SystemDockerSettings:
    if node is None:
        return SystemDockerSettings()
    path = "rancher.system_docker"
    entries = shapes.mapping(node, path, DOCKER)
    _not_yet(shapes.report, _in_sight(shapes, entries, path, SYSTEM_USUAL), f"{path}.", DOCKER_ACTED_ON)
    return _daemon(shapes, entries, path)


def _daemon(shapes: Validators, entries: Mapping[str, Node], path: str) -> SystemDockerSettings:
    read = {key: tuple(shapes.words(entries[key], f"{path}.{key}")) for key in ("args", "extra_args") if key in entries}
    return SystemDockerSettings(
        read.get("args", ()),
        read.get("extra_args", ()),
        _environment(shapes, entries.get("environment"), f"{path}.environment"),
    )


Setter = Callable[[SupervisorSettings, Validators, Node, str], SupervisorSettings]


def _restart(now: SupervisorSettings, shapes: Validators, node: Node, path: str) -> SupervisorSettings:
    draft = _draft(now, shapes)
    entries = shapes.mapping(node, path, (*RESTART, "policy"))
    for key, child in entries.items():
        if key == "policy":
            policy = "no" if child.value is False else shapes.choice(child, f"{path}.policy", list(Policy), "no")
            draft.restart = replace(draft.restart, policy=Policy(policy))
        else:
            RESTART[key](draft, child, f"{path}.{key}")
    return replace(now, restart=draft.restart)


def _draft(now: SupervisorSettings, shapes: Validators) -> ServiceBuilder:
    around = BuildContext({}, {}, now.restart, now.stop, now.pull, {})
    return ServiceBuilder("", around, shapes, restart=now.restart, stop=now.stop)


def _stop(now: SupervisorSettings, shapes: Validators, node: Node, path: str) -> SupervisorSettings:
    stop = now.stop
    for key, child in shapes.mapping(node, path, ("timeout", "signal")).items():
        if key == "timeout":
            stop = replace(stop, timeout=shapes.seconds(child, f"{path}.timeout", stop.timeout))
        else:
            stop = replace(stop, signal=shapes.signal(child, f"{path}.signal", stop.signal))
    return replace(now, stop=stop)


def _shutdown(now: SupervisorSettings, shapes: Validators, node: Node, path: str) -> SupervisorSettings:
    for child in shapes.mapping(node, path, ("total",)).values():
        now = replace(now, shutdown_total=shapes.seconds(child, f"{path}.total", now.shutdown_total))
    return now


def _period(now: SupervisorSettings, shapes: Validators, node: Node, path: str) -> SupervisorSettings:
    period = shapes.seconds(node, path, now.snapshot_period)
    if period < 1:
        shapes.wrong(node, path, "at least 1s")
    return replace(now, snapshot_period=period)


def _pull(now: SupervisorSettings, shapes: Validators, node: Node, path: str) -> SupervisorSettings:
    return replace(now, pull=shapes.choice(node, path, ("missing", "never"), "missing") == "missing")


SUPERVISOR: Mapping[str, Setter] = {
    "restart": _restart,
    "stop": _stop,
    "shutdown": _shutdown,
    "snapshot_period": _period,
    "pull": _pull,
}


def _supervisor(shapes: Validators, node: Node | None) -> SupervisorSettings:
    now = SupervisorSettings()
    if node is not None:
        for key, child in shapes.mapping(node, "rancher.supervisor", SUPERVISOR).items():
            now = SUPERVISOR[key](now, shapes, child, f"rancher.supervisor.{key}")
    return now


def _units(
    shapes: Validators,
    nodes: Mapping[str, Node],
    environment: Mapping[str, str],
    supervisor: SupervisorSettings,
    env_files: Mapping[str, str],
) -> tuple[UnitSpec, ...]:
    quiet = Validators(ProblemReport())
    containers = {name: _container_name(name, node, environment, quiet) for name, node in nodes.items()}
    around = BuildContext(environment, containers, supervisor.restart, supervisor.stop, supervisor.pull, env_files)
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
    specs = [unit_spec(draft, before.get(draft.name, [])) for draft in drafts]
    by_service = {draft.name: spec for draft, spec in zip(drafts, specs, strict=True)}
    _refuse_shared_consoles(shapes, by_service, nodes)
    consoles = {name for name, spec in by_service.items() if spec.name == CONSOLE}
    return tuple(_with_console(spec, consoles) for spec in specs)


def _with_console(spec: UnitSpec, consoles: set[str]) -> UnitSpec:
    """References to a console's service become references to the unit ``console``."""
    edges = (replace(edge, target=CONSOLE) if edge.target in consoles else edge for edge in spec.dependencies)
    kept = tuple(dict.fromkeys(edge for edge in edges if edge.target != spec.name))
    return spec if kept == spec.dependencies else replace(spec, dependencies=kept)


def env_files(root: Node) -> list[tuple[Node, str]]:
    """Each ``env_file`` of a service, with its dotted key. Errors are left for ``parse`` to report."""
    quiet = Validators(ProblemReport())
    environment = _environment(quiet, lookup(root, "rancher.environment"), "")
    services = lookup(root, "rancher.services")
    found: list[tuple[Node, str]] = []
    for name, node in quiet.mapping(services, "").items() if services is not None else ():
        named = _early(name, node, "env_file", environment, quiet)
        if named is not None:
            found.extend(quiet.items(named, f"rancher.services.{name}.env_file"))
    return found


def _container_name(name: str, node: Node, environment: Mapping[str, str], quiet: Validators) -> str:
    named = _early(name, node, "container_name", environment, quiet)
    return named.text if named is not None and named.text else name


def _early(name: str, node: Node, key: str, environment: Mapping[str, str], quiet: Validators) -> Node | None:
    """One key of a service, before the service is read; ``read_service`` reports its errors, and ``quiet`` does not."""
    named = lookup(node, key)
    around = BuildContext(environment, {}, RestartPolicy(), StopPolicy(), pull=True, env_files={})
    return None if named is None else interpolated(named, name, around, quiet, "")


def _refuse_shared_names(shapes: Validators, drafts: list[ServiceBuilder], nodes: Mapping[str, Node]) -> None:
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


def _warn_of_scope(shapes: Validators, draft: ServiceBuilder, node: Node) -> None:
    scope = draft.labels.get("io.rancher.os.scope", "system")
    if scope != "system":
        shapes.report.warning(
            node.place,
            f"rancher.services.{draft.name}.labels.io.rancher.os.scope",
            f"'{scope}' means user Docker, which this version does not run; the unit runs on System Docker",
        )
