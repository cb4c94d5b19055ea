"""The support bundle: collected, redacted twice, and written. Nothing raw goes in.

A member contains only what is known to be harmless (names, states, numbers, our own labels), not everything minus known
secrets. Each is then scrubbed of all values that stood in an environment, a command, or behind a key that suggests a
secret.
"""

import io
import json
import re
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from supervisor.cli.doctor import checks, collect, report
from supervisor.cli.doctor.collect import DoctorScope
from supervisor.cli.doctor.facts import Facts
from supervisor.config import loader
from supervisor.config.tree import Node, ProblemReport
from supervisor.http.client import BudgetClient, UnansweredError
from supervisor.logs.redaction import Scrubber, known_labels, secrets_of, told
from supervisor.logs.secret_hints import GONE
from supervisor.state.paths import SOCKET
from supervisor.views.text import clean

BUDGET = 30.0
"""Seconds for all that is asked of the supervisor."""
ENGINE = (
    *("ServerVersion", "Driver", "CgroupDriver", "CgroupVersion", "LoggingDriver", "KernelVersion", "OperatingSystem"),
    *("Architecture", "NCPU", "MemTotal", "DockerRootDir", "LiveRestoreEnabled", "DefaultRuntime", "SystemTime"),
    *("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images", "Warnings"),
    *("MemoryLimit", "PidsLimit", "OomKillDisable", "IPv4Forwarding", "SecurityOptions", "Debug", "NFd", "NGoroutines"),
)
STATE = ("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode", "StartedAt", "FinishedAt")
HOST = (
    *(
        "NetworkMode",
        "PidMode",
        "IpcMode",
        "UTSMode",
        "RestartPolicy",
        "AutoRemove",
        "Privileged",
        "Memory",
        "PidsLimit",
    ),
    *("Links", "VolumesFrom", "OomScoreAdj", "CgroupParent", "Runtime"),
)
HIDDEN = frozenset({"command", "entrypoint", "test", "healthcheck", "environment", "content"})
"""Keys of a configuration below which anything may stand."""
WORD = re.compile(r"[A-Za-z0-9_+/=.~-]{10,}")


def write(wanted: DoctorScope, file: IO[bytes]) -> list[str]:
    """A tar.gz. Returns the names of its members. Raises OSError when it cannot be written."""
    facts = collect.gather(wanted)
    tree, places = _config(wanted.config)
    scrubber = Scrubber(_secrets(facts, tree), _harmless(facts))
    names: list[str] = []
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in _members(wanted, facts, tree, places, scrubber):
            member = tarfile.TarInfo(f"dockwarden-support/{name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
            archive.addfile(member, io.BytesIO(content))
            names.append(name)
    return names


def _members(
    wanted: DoctorScope, facts: Facts, tree: Any, places: Any, scrubber: Scrubber
) -> Iterator[tuple[str, bytes]]:
    def as_json(value: Any) -> bytes:
        return json.dumps(scrubber.tree(value), indent=2, default=str).encode() + b"\n"

    found = checks.examine(facts)
    yield "doctor.txt", scrubber.text(report.as_text(facts, found)).encode()
    yield "doctor.json", as_json([one.as_dict() for one in found])
    yield "versions.json", as_json({**collect.versions(facts), "engine_version": _version(facts)})
    yield "host.json", as_json(_host(facts))
    yield "config.json", as_json({"files": places, "merged": _shown(tree)})
    yield "engine-info.json", as_json({key: facts.engine.info[key] for key in ENGINE if key in facts.engine.info})
    yield "containers.json", as_json([_container(one) for one in facts.engine.containers])
    yield "metrics.txt", scrubber.text(_metrics(facts)).encode()
    if facts.supervisor.status:
        yield "status.json", as_json(facts.supervisor.status)
        yield from _asked(Path(wanted.run_dir), facts, scrubber, as_json)


def _asked(run_dir: Path, facts: Facts, scrubber: Scrubber, as_json: Any) -> Iterator[tuple[str, bytes]]:
    """The supervisor's answers; where one is missing, the error."""
    supervisor = BudgetClient(run_dir / SOCKET, BUDGET)
    try:
        lines = supervisor.raw("/v1/events", 10.0).splitlines()
        events = b"".join(json.dumps(scrubber.tree(json.loads(line))).encode() + b"\n" for line in lines if line)
    except (UnansweredError, ValueError) as error:
        events = scrubber.text(f"{error}\n").encode()
    yield "events.ndjson", events
    for number, unit in enumerate(_unit_names(facts)):
        try:
            why = supervisor.get(f"/v1/units/{quote(unit, safe='')}/why")
        except UnansweredError as error:
            why = {"error": error.said}
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", clean(scrubber.text(unit)))[:60]
        why.pop("output", None)  # Container output may contain anything: left out.
        yield f"why/{number:03}-{safe}.json", as_json(why)


def _unit_names(facts: Facts) -> list[str]:
    units = facts.supervisor.status.get("units")
    return [str(unit["name"]) for unit in (units if isinstance(units, list) else ()) if isinstance(unit, dict)]


def _version(facts: Facts) -> dict[str, Any]:
    known = ("Version", "ApiVersion", "MinAPIVersion", "GitCommit", "Os", "Arch", "KernelVersion", "BuildTime")
    return {key: facts.engine.version[key] for key in known if key in facts.engine.version}


def _host(facts: Facts) -> dict[str, Any]:
    one, host = facts.supervisor, facts.host
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(host.now)),
        "engine": {"url": facts.engine.url, "reach": facts.engine.reach, "said": facts.engine.said},
        "supervisor": {
            "run_dir": one.run_dir,
            "reach": one.reach,
            "said": one.said,
            "mode": f"{one.mode:04o}",
            "pid": one.pid,
            "held": one.held,
            "files": one.files,
            "others": one.others,
        },
        "cgroup": host.cgroup,
        "controllers": sorted(host.controllers),
        "synchronised": host.synchronised,
        "forwards": host.forwards,
        "overlay": host.overlay,
        "dockerd": host.dockerd,
        "directories": [{name: getattr(d, name) for name in d.__slots__} for d in facts.directories],
    }


def _container(one: Mapping[str, Any]) -> dict[str, Any]:
    """An inspect without commands, environment values, options of mounts, and foreign labels."""
    config, host, state = (_map(one.get(key)) for key in ("Config", "HostConfig", "State"))
    log = _map(host.get("LogConfig"))
    health = _map(state.get("Health"))
    return {
        "id": one.get("Id"),
        "name": str(one.get("Name") or "").lstrip("/"),
        "image": config.get("Image"),
        "created": one.get("Created"),
        "restarts": one.get("RestartCount"),
        "state": {key: state[key] for key in STATE if key in state}
        | ({"Error": state["Error"]} if "Error" in state else {}),
        "health": {"Status": health.get("Status"), "FailingStreak": health.get("FailingStreak")} if health else None,
        "host": {key: host[key] for key in HOST if key in host},
        "log": {"Type": log.get("Type"), "options": sorted(_map(log.get("Config")))},
        "environment": sorted(str(entry).partition("=")[0] for entry in config.get("Env") or ()),
        "labels": known_labels(_map(config.get("Labels"))),
        "mounts": [
            {key: mount.get(key) for key in ("Type", "Name", "Source", "Destination", "RW", "Propagation")}
            for mount in one.get("Mounts") or ()
        ],
        "networks": sorted(_map(_map(one.get("NetworkSettings")).get("Networks"))),
    }


def _config(paths: tuple[Path, ...]) -> tuple[Any, list[str]]:
    """The merged configuration as plain values, and its files."""

    def plain(node: Node) -> Any:
        match node.value:
            case dict():
                return {key: plain(child) for key, child in node.value.items()}
            case list():
                return [plain(child) for child in node.value]
            case _:
                return node.value

    if not paths:
        return {}, []
    try:
        report = ProblemReport()
        return plain(loader.merge(loader.gather(paths, collect.command_line(), report).nodes(report))), [
            str(path) for path in paths
        ]
    except RecursionError:
        return {}, [f"{path}: too deep to be read" for path in paths]


def _shown(tree: Any, key: str = "") -> Any:
    """Only the key ``rancher``: users, files and scripts may hold secrets."""
    if not key and isinstance(tree, dict):
        return {name: _shown(value, name) if name == "rancher" else GONE for name, value in tree.items()}
    if key in HIDDEN:
        return _names_only(tree) if key == "environment" else GONE
    match tree:
        case dict():
            if key == "labels":
                return known_labels(tree)
            return {name: _shown(value, str(name)) for name, value in tree.items()}
        case list():
            return (
                known_labels(dict(str(one).partition("=")[::2] for one in tree))
                if key == "labels"
                else [_shown(one, f"{key}[]") for one in tree]
            )
        case _:
            return tree


def _names_only(environment: Any) -> Any:
    """Without the values of these names, whatever they are."""
    if isinstance(environment, dict):
        return dict.fromkeys(map(str, environment), GONE)
    if isinstance(environment, list):
        return [str(entry).partition("=")[0] for entry in environment]
    return GONE


def _metrics(facts: Facts) -> str:
    """The page that the supervisor serves where its command line says."""
    command = next((said for pid, said in facts.supervisor.others if pid == facts.supervisor.pid), "")
    told_of = re.search(r"--listen[= ](\S+)", command)
    host, _, port = (told_of[1] if told_of else "127.0.0.1:9779").rpartition(":")
    if not port.isdecimal():
        return "nowhere\n"
    try:
        page = BudgetClient((host.strip("[]") or "127.0.0.1", int(port))).raw("/metrics")
    except UnansweredError as error:
        return f"no answer on {host}:{port}: {error}\n"
    return page.decode(errors="replace")


# Secrets.


def _secrets(facts: Facts, tree: Any) -> Iterator[str]:
    """Values that are removed wherever they occur."""
    for one in facts.engine.containers:
        config = _map(one.get("Config"))
        yield from secrets_of(map(str, config.get("Env") or ()))
        labels = _map(config.get("Labels"))
        shown = known_labels(labels)
        yield from _odd_words(str(value) for key, value in labels.items() if shown.get(key) != value)
        yield from _odd_words(map(str, [*(config.get("Cmd") or ()), *(config.get("Entrypoint") or ())]))
        yield from told(config)
        yield from told(_map(one.get("HostConfig")))
    yield from told(tree)
    yield from _odd_words(_below(tree))
    for _, command in facts.supervisor.others:
        yield from re.findall(r"--notify-(?:webhook|command)[= ](\S+)", command)


def _below(tree: Any, key: str = "", *, hidden: bool = False) -> Iterator[str]:
    """The texts of a configuration that are not shown."""
    hidden = hidden or key in HIDDEN or key == "labels"
    match tree:
        case dict():
            for name, value in tree.items():
                yield from _below(value, str(name), hidden=hidden or (not key and name != "rancher"))
        case list():
            for one in tree:
                yield from _below(one, f"{key}[]", hidden=hidden)
        case str() if hidden:
            yield tree


def _odd_words(texts: Iterable[str]) -> Iterator[str]:
    """Words of a command or a label that look like secrets: letters mixed with digits, or very long."""
    for text in texts:
        for word in WORD.findall(text):
            for part in (word, *word.split("=")):
                if len(part) >= 10 and "/" not in part and (re.search(r"\d", part) or len(part) >= 24):
                    yield part


def _harmless(facts: Facts) -> frozenset[str]:
    """Names that must stay for the bundle to be readable."""
    names = {*_unit_names(facts), facts.engine.url}
    for one in facts.engine.containers:
        names |= {str(one.get("Name") or "").lstrip("/"), str(_map(one.get("Config")).get("Image")), str(one.get("Id"))}
    return frozenset(names)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
