"""Decodes Docker's JSON into our own types: the only module that knows its field names and messages.

Pure, and never raises for unknown values: engine versions differ, and an odd field of one container must not hide all
others.
"""

import re
import signal as signals
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from supervisor.engine.names import lasting
from supervisor.engine.port import EngineInfo, EngineMessage
from supervisor.logs.timestamps import seconds, started
from units.bounded import LARGEST, short_name, shortened, whole
from units.events import (
    ContainerCreated,
    ContainerDestroyed,
    ContainerDied,
    ContainerKilled,
    ContainerOomed,
    ContainerPaused,
    ContainerStarted,
    ContainerStopped,
    ContainerUnpaused,
    EngineFact,
    HealthReported,
    Observed,
)
from units.health import Health
from units.labels import LABEL_CONSOLE, LABEL_HASH, LABEL_UNIT
from units.quantities import Seconds
from units.records import dataclass
from units.spec import ContainerId, UnitName, Via
from units.tables.storage import REQUIRES, ContextFacts
from units.unit import Beyond, Look

ACTIONS = ("create", "start", "kill", "die", "stop", "pause", "unpause", "oom", "destroy", "health_status")
"""The actions that matter; filtered by the engine, so that events of exec probes are never sent."""

LONGEST_STOP = 10**9
"""Seconds, some thirty years: engines count nanoseconds in 64 bits."""
UNSAID = Seconds(60)
"""Of a HEALTHCHECK that says neither its interval nor its timeout, until it answers."""
LONGEST_CHECK = 3600
"""Seconds between two answers of a HEALTHCHECK, or to one: longer ones are not waited for."""
UNREADABLE_EVENT = "an event cannot be read"
"""Nobody knows what it told: only the containers themselves do."""
UNKNOWN_EXIT = 255
"""What engines themselves report for a death that they did not see."""

_PLAIN: Final[Mapping[str, Callable[[UnitName, ContainerId], EngineFact]]] = {
    "stop": ContainerStopped,
    "pause": ContainerPaused,
    "unpause": ContainerUnpaused,
    "oom": ContainerOomed,
    "destroy": ContainerDestroyed,
}
_BEYOND: Final[Mapping[str, Beyond]] = {one.value: one for one in Beyond}
_HEALTHS: Final[Mapping[str, Health]] = {one.value: one for one in Health}
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LOADED = re.compile(r"^Loaded image(?: ID)?: (\S+)", re.MULTILINE)
_EXITED = re.compile(r"^Exited \((-?[0-9]{1,10})\)")
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)$")


@dataclass(frozen=True, slots=True)
class ContainerSummary:
    """The fields of an inspected container that decisions depend on."""

    name: str
    container: ContainerId
    image: str
    labels: Mapping[str, str]
    joins: tuple[tuple[Via, str], ...] = ()
    """Containers whose namespaces it joins: ids, or names where the engine stores those."""
    links: tuple[str, ...] = ()
    """Names of the containers in its legacy links."""
    volumes_from: tuple[str, ...] = ()
    policy: str = ""
    """The engine's own restart policy."""
    stop_signal: str = ""
    stop_timeout: int | None = None
    """In whole seconds."""


def event(raw: Any, *, by_name: bool = False) -> EngineMessage:
    """One message of ``/events``. Actions carry text after a colon: ``health_status: healthy``.

    ``by_name``: the unit is called as the container is, not as a label says.
    """
    message = as_map(raw)
    actor = as_map(message.get("Actor"))
    attributes = as_map(actor.get("Attributes"))
    action, _, detail = as_text(message.get("Action")).partition(": ")
    container = ContainerId(as_text(actor.get("ID")))
    unit = UnitName(short_name(as_text(attributes.get("name" if by_name else LABEL_UNIT))))
    at = max(number(message.get("timeNano"), 0), 0)
    fact = _fact(action, detail, unit, container, attributes, at=at) if unit and container else None
    kind = action if fact is not None else "other"
    key = f"{action[:40]}:{detail[:40]}:{container[:12]}"
    doubt = action if action == "rename" else "" if action and container else UNREADABLE_EVENT
    return EngineMessage(fact, kind, at, key, doubt)


def _fact(
    action: str, detail: str, unit: UnitName, container: ContainerId, attributes: Mapping[str, Any], *, at: int
) -> EngineFact | None:
    """``at``: the engine's stamp in nanoseconds."""
    match action:
        case "create":
            console = as_text(attributes.get(LABEL_CONSOLE))
            return ContainerCreated(unit, container, as_text(attributes.get(LABEL_HASH)), console)
        case "start":
            console = as_text(attributes.get(LABEL_CONSOLE))
            return ContainerStarted(unit, container, variant=console, at=at / 1e9)
        case "kill":
            return ContainerKilled(unit, container, signal_number(as_text(attributes.get("signal"))))
        case "die":
            return ContainerDied(unit, container, number(attributes.get("exitCode"), UNKNOWN_EXIT))
        case "health_status":
            health = _health(detail)
            return HealthReported(unit, container, health) if health is not Health.NONE else None
        case _:
            plain = _PLAIN.get(action)
            return plain(unit, container) if plain else None


def signal_number(text: str) -> int:
    """The number of ``9``, ``KILL`` or ``SIGKILL``; 0 for an unknown signal. Engines report numbers."""
    if (number := whole(text, 0, 255)) is not None:
        return number
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    return int(signals.Signals[name]) if name in signals.Signals.__members__ else 0


def observed(row: Any, *, by_name: bool = False) -> Observed | None:
    """One row of ``/containers/json``; ``None`` for a foreign container.

    A row has exit code and health only in its status text: ``Exited (137) 2 minutes ago``, ``Up 3 minutes (healthy)``.
    """
    labels = as_map(as_map(row).get("Labels"))
    names = as_map(row).get("Names")
    state = as_text(as_map(row).get("State"))
    status = as_text(as_map(row).get("Status"))
    exited, health = _EXITED.match(status), _HEALTH.search(status)
    return _ours(
        labels,
        by_name=by_name,
        container=ContainerId(as_text(as_map(row).get("Id"))),
        name=_own_name(names if isinstance(names, list) else []),
        running=state in {"running", "paused"},
        created=state == "created",
        beyond=_BEYOND.get(state, Beyond.NOTHING),
        exit_code=int(exited[1]) if exited else 0,
        health=_HEALTHS[health[1]] if health else Health.NONE,
    )


def inspected(found: Any, now: float, *, by_name: bool = False) -> Observed | None:
    """One answer of ``/containers/ID/json``. ``now``: seconds since 1970, the clock that the engine stamps with."""
    found = as_map(found)
    config, state = as_map(found.get("Config")), as_map(found.get("State"))
    beyond = _BEYOND.get(as_text(state.get("Status")), Beyond.NOTHING)
    running = state.get("Running") is True and beyond is not Beyond.RESTARTING  # Which engines call running, too.
    return _ours(
        as_map(config.get("Labels")),
        by_name=by_name,
        container=ContainerId(as_text(found.get("Id"))),
        name=name_of(found),
        running=running,
        created=state.get("Status") == "created",
        beyond=beyond,
        exit_code=0 if running else number(state.get("ExitCode"), 0),
        oom=state.get("OOMKilled") is True,
        health=_health_of(found),
        ran_for=_age(state.get("StartedAt"), now) if running else Seconds(0),
        started=started(state.get("StartedAt")) if running else 0.0,
        pid=number(state.get("Pid"), 0) if running else 0,
        look=ties(found),
    )


JOINS = (("NetworkMode", Via.NET), ("PidMode", Via.PID), ("IpcMode", Via.IPC))


def ties(found: Any) -> Look:
    """What an inspected container refers to. Engines store the id of a joined container, even if a name was given."""
    found = as_map(found)
    host, mounts = as_map(found.get("HostConfig")), found.get("Mounts")
    placed = [as_map(mount) for mount in (mounts if isinstance(mounts, list) else ())]
    filled = (
        (as_text(one.get("Destination")), as_text(one.get("Name")) or as_text(one.get("Source"))) for one in placed
    )
    return Look(
        holds=tuple(_holds(host)),
        mounts=tuple(sorted(filled)),
        own_places=frozenset(_own_places(host)),
        address=_bridge_address(as_map(found.get("NetworkSettings"))),
        created=started(found.get("Created")),
        failed=shortened(as_text(as_map(found.get("State")).get("Error"))),
        check_within=_check_within(as_map(found.get("Config")).get("Healthcheck")),
    )


def _holds(host: Mapping[str, Any]) -> Iterator[tuple[Via, ContainerId]]:
    for key, via in JOINS:
        mode = as_text(host.get(key))
        if mode.startswith("container:") and len(mode) > len("container:"):
            yield via, ContainerId(mode.removeprefix("container:"))


def _bridge_address(settings: Mapping[str, Any]) -> str:
    """Of the default bridge, where legacy links lead; from 1.52 on only its own entry tells it."""
    return as_text(settings.get("IPAddress") or as_map(as_map(settings.get("Networks")).get("bridge")).get("IPAddress"))


@dataclass(frozen=True, slots=True)
class ListRow:
    """Id, name and labels of a row of ``/containers/json``."""

    container: ContainerId
    name: str
    labels: Mapping[str, str]


def label_row(row: Any) -> ListRow:
    names = as_map(row).get("Names")
    return ListRow(
        ContainerId(as_text(as_map(row).get("Id"))),
        short_name(_own_name(names if isinstance(names, list) else [])),
        _texts(as_map(row).get("Labels")),
    )


def sketch(row: Any) -> ContainerSummary:
    """One row of ``/containers/json``, for a container of which there is no more."""
    one = label_row(row)
    return ContainerSummary(one.name, one.container, as_text(as_map(row).get("Image")), one.labels)


def id_of(found: Any) -> ContainerId:
    return ContainerId(as_text(as_map(found).get("Id")))


def portrait(found: Any) -> "ContainerSummary":
    """One answer of ``/containers/ID/json``, decoded for a foreign container."""
    config, host = as_map(as_map(found).get("Config")), as_map(as_map(found).get("HostConfig"))
    links, donors = host.get("Links"), host.get("VolumesFrom")
    timeout = config.get("StopTimeout")
    return ContainerSummary(
        name=short_name(name_of(found)),
        container=id_of(found),
        image=as_text(config.get("Image")),
        labels=_texts(config.get("Labels")),
        joins=tuple((via, held) for via, held in ties(found).holds),
        links=tuple(
            short_name(lasting(as_text(link).partition(":")[0].lstrip("/")))
            for link in (links if isinstance(links, list) else ())
        ),
        volumes_from=tuple(
            as_text(donor).partition(":")[0] for donor in (donors if isinstance(donors, list) else ()) if as_text(donor)
        ),
        policy=as_text(as_map(host.get("RestartPolicy")).get("Name")),
        stop_signal=as_text(config.get("StopSignal")),
        stop_timeout=min(timeout, LONGEST_STOP) if isinstance(timeout, int) and timeout >= 0 else None,
    )


def _texts(value: Any) -> Mapping[str, str]:
    return {key: as_text(text) for key, text in as_map(value).items()}


def _own_places(host: Mapping[str, Any]) -> Iterator[str]:
    binds, mounts = host.get("Binds"), host.get("Mounts")
    for bind in binds if isinstance(binds, list) else ():
        parts = as_text(bind).split(":")
        yield parts[1] if len(parts) > 1 else parts[0]
    for mount in mounts if isinstance(mounts, list) else ():
        yield as_text(as_map(mount).get("Target"))


def declares_health(found: Any) -> bool:
    """Whether an inspected container has a health check; an image's own is part of it from its creation on."""
    test = as_map(as_map(as_map(found).get("Config")).get("Healthcheck")).get("Test")
    return isinstance(test, list) and bool(test) and test[0] != "NONE"


def context(found: Any) -> ContextFacts:
    """One answer of ``/containers/ID/json``, decoded for a storage context."""
    config, state = as_map(as_map(found).get("Config")), as_map(as_map(found).get("State"))
    host = as_map(as_map(found).get("HostConfig"))
    added = host.get("CapAdd")
    return ContextFacts(
        name=name_of(found),
        container=as_text(as_map(found).get("Id")),
        running=state.get("Running") is True,
        pid=number(state.get("Pid"), 0),
        started=as_text(state.get("StartedAt")),
        privileged=host.get("Privileged") is True,
        capabilities=frozenset(
            as_text(name).upper().removeprefix("CAP_") for name in (added if isinstance(added, list) else ())
        ),
        namespaces=tuple(
            (name, as_text(host.get(key)) or "private")
            for name, key in (("network", "NetworkMode"), ("pid", "PidMode"), ("ipc", "IpcMode"))
        ),
        requires=as_text(as_map(config.get("Labels")).get(REQUIRES)),
    )


def owner(found: Any) -> UnitName | None:
    return UnitName(as_text(as_map(as_map(as_map(found).get("Config")).get("Labels")).get(LABEL_UNIT))) or None


def name_of(found: Any) -> str:
    return as_text(as_map(found).get("Name")).lstrip("/")


def has_terminal(found: Any) -> bool:
    return as_map(as_map(found).get("Config")).get("Tty") is True


def loaded(line: Any) -> list[str]:
    """The image in a line of ``/images/load``: ``Loaded image: name:tag``, or an id when it has no name."""
    return _LOADED.findall(as_text(as_map(line).get("stream")))


def info(version: Any) -> EngineInfo:
    """The answer of ``/version``. Engines before 1.12 name no minimum."""
    told = as_map(version)
    return EngineInfo(as_text(told.get("Version")), as_text(told.get("ApiVersion")), as_text(told.get("MinAPIVersion")))


def _ours(labels: Mapping[str, Any], *, by_name: bool, **fields: Any) -> Observed | None:
    unit = fields["name"] if by_name else as_text(labels.get(LABEL_UNIT))
    if not unit or not fields["container"]:
        return None
    return Observed(
        unit=UnitName(short_name(unit)),
        config_hash=as_text(labels.get(LABEL_HASH)),
        variant=as_text(labels.get(LABEL_CONSOLE)),
        **fields,
    )


def _own_name(names: list[Any]) -> str:
    """The container's own name; legacy links add others: ``/taker/alias``."""
    return next((name[1:] for name in map(as_text, names) if name.startswith("/") and name.count("/") == 1), "")


def _health_of(found: Any) -> Health:
    """A declared check without a result counts as starting; results of a dead container do not count."""
    if not declares_health(found):
        return Health.NONE
    state = as_map(as_map(found).get("State"))
    said = _health(as_text(as_map(state.get("Health")).get("Status"))) if state.get("Running") is True else Health.NONE
    return said if said is not Health.NONE else Health.STARTING


def _check_within(check: Any) -> Seconds:
    """Of a HEALTHCHECK; engines count nanoseconds, and 0 is their default of 30 s."""
    if not check:
        return UNSAID
    asked = (number(as_map(check).get(key), 0) / 1e9 for key in ("Interval", "Timeout"))
    return Seconds(sum(time if 0 < time < LONGEST_CHECK else 30.0 for time in asked))


def _health(text: str) -> Health:
    return _HEALTHS.get(text, Health.NONE)


def _age(stamp: object, now: float) -> Seconds:
    """Seconds since then; never negative, as the wall clock may have been set back. An invalid time counts as now."""
    at = seconds(stamp)
    return Seconds(0 if at is None else max(0.0, now - at))


def as_map(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def as_text(value: Any) -> str:
    """The value if it is a text, else an empty one. Half a surrogate pair, which nothing could write down, is ``?``."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode(errors="replace").decode()


def number(value: Any, otherwise: int) -> int:
    """Event attributes are all text, inspect's fields are numbers. What no engine's integer can be is ``otherwise``."""
    if isinstance(value, str):
        found = whole(value.removeprefix("-"), 0, LARGEST)
        value = -found if found is not None and value.startswith("-") else found
    return value if isinstance(value, int) and abs(value) <= LARGEST else otherwise
