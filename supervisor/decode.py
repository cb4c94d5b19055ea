"""Docker's JSON, read into our own types: the only place that knows its field names and its sentences.

Pure, and never raises on what it does not know: engines of several versions speak here, and an odd field of one
container must not blind the supervisor to all others.
"""

import datetime as dt
import json
import re
import signal as signals
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from supervisor.engine import LABEL_CONSOLE, LABEL_HASH, LABEL_UNIT, EngineInfo, Heard
from units.events import (
    ContainerCreated,
    ContainerDestroyed,
    ContainerDied,
    ContainerKilled,
    ContainerOomed,
    ContainerStarted,
    ContainerStopped,
    EngineFact,
    HealthReported,
    Observed,
)
from units.health import Health
from units.quantities import Seconds
from units.storage import REQUIRES, ContextFacts
from units.unit import ContainerId, Failure, Look, UnitName, Via

ACTIONS = ("create", "start", "kill", "die", "stop", "oom", "destroy", "health_status")
"""The actions that say something to us; to be filtered for at the engine, so that exec probes never reach us."""

UNKNOWN_EXIT = 255
"""What engines themselves report for a death that they did not see."""

_PLAIN: Final[Mapping[str, Callable[[UnitName, ContainerId], EngineFact]]] = {
    "stop": ContainerStopped,
    "oom": ContainerOomed,
    "destroy": ContainerDestroyed,
}
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LOADED = re.compile(r"^Loaded image(?: ID)?: (\S+)", re.MULTILINE)
_EXITED = re.compile(r"^Exited \((-?\d+)\)")
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)$")

_SENTENCES: Final = (
    ("is already in use by container", Failure.NAME_TAKEN),
    ("no such image", Failure.IMAGE_MISSING),
    ("cannot join network of a non running container", Failure.CONFLICT),
    ("is not running", Failure.NOT_RUNNING),
    ("invalid signal", Failure.OTHER),
    ("unable to find user", Failure.UNRECOVERABLE),
    ("cannot unmarshal", Failure.UNRECOVERABLE),
    ("invalid mode", Failure.UNRECOVERABLE),
)
"""What 20.10 and 26.1 say, in lower case; their status is 500 for half of it. A signal that the engine does not know
leaves a running container behind, so it must not count as a refusal for good."""
_BY_STATUS: Final = {304: Failure.CONFLICT, 404: Failure.NOT_FOUND, 409: Failure.CONFLICT}
_SPECIAL: Final = {
    ("create", 400): Failure.UNRECOVERABLE,
    ("create", 404): Failure.UNRECOVERABLE,
    ("start", 400): Failure.UNRECOVERABLE,
    ("start", 404): Failure.UNRECOVERABLE,
    ("pull", 400): Failure.UNRECOVERABLE,
    ("pull", 404): Failure.IMAGE_MISSING,
}


def event(raw: Any) -> Heard:
    """One message of ``/events``. Actions carry text after a colon: ``health_status: healthy``."""
    actor = _map(_map(raw).get("Actor"))
    attributes = _map(actor.get("Attributes"))
    action, _, detail = _text(_map(raw).get("Action")).partition(": ")
    container = ContainerId(_text(actor.get("ID")))
    unit = UnitName(_text(attributes.get(LABEL_UNIT)))
    at = _number(_map(raw).get("timeNano"), 0)
    fact = _fact(action, detail, unit, container, attributes) if unit and container else None
    if isinstance(fact, ContainerStarted):
        fact = replace(fact, at=at / 1e9)
    return Heard(
        fact=fact,
        kind=action if fact is not None else "other",
        at=at,
        key=f"{action}:{detail}:{container[:12]}",
    )


def _fact(
    action: str, detail: str, unit: UnitName, container: ContainerId, attributes: Mapping[str, Any]
) -> EngineFact | None:
    variant = _text(attributes.get(LABEL_CONSOLE))
    match action:
        case "create":
            return ContainerCreated(unit, container, _text(attributes.get(LABEL_HASH)), variant)
        case "start":
            return ContainerStarted(unit, container, variant=variant)
        case "kill":
            return ContainerKilled(unit, container, signal_number(_text(attributes.get("signal"))))
        case "die":
            return ContainerDied(unit, container, _number(attributes.get("exitCode"), UNKNOWN_EXIT))
        case "health_status":
            health = _health(detail)
            return HealthReported(unit, container, health) if health is not Health.NONE else None
        case _:
            plain = _PLAIN.get(action)
            return plain(unit, container) if plain else None


def signal_number(text: str) -> int:
    """``9``, ``KILL`` and ``SIGKILL`` alike; 0 for what is no signal. Engines say the number."""
    if text.isdecimal():
        return int(text)
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    return int(signals.Signals[name]) if name in signals.Signals.__members__ else 0


def observed(row: Any) -> Observed | None:
    """One row of ``/containers/json``; ``None`` for a container that is not ours.

    A row tells exit code and health only in its sentence: ``Exited (137) 2 minutes ago``, ``Up 3 minutes (healthy)``.
    """
    labels = _map(_map(row).get("Labels"))
    names = _map(row).get("Names")
    state = _text(_map(row).get("State"))
    status = _text(_map(row).get("Status"))
    exited, health = _EXITED.match(status), _HEALTH.search(status)
    return _ours(
        labels,
        container=ContainerId(_text(_map(row).get("Id"))),
        name=_own_name(names if isinstance(names, list) else []),
        running=state in {"running", "paused"},
        created=state == "created",
        exit_code=int(exited[1]) if exited else 0,
        health=Health(health[1]) if health else Health.NONE,
    )


def inspected(found: Any, now: float) -> Observed | None:
    """One answer of ``/containers/ID/json``. ``now``: seconds since 1970, the clock that the engine stamps with."""
    config, state = _map(_map(found).get("Config")), _map(_map(found).get("State"))
    running = state.get("Running") is True
    return _ours(
        _map(config.get("Labels")),
        container=ContainerId(_text(_map(found).get("Id"))),
        name=name_of(found),
        running=running,
        created=state.get("Status") == "created",
        exit_code=0 if running else _number(state.get("ExitCode"), 0),
        oom=state.get("OOMKilled") is True,
        health=_health_of(found),
        ran_for=_age(_text(state.get("StartedAt")), now) if running else Seconds(0),
        started=_moment(_text(state.get("StartedAt"))) if running else 0.0,
        look=ties(found),
    )


JOINS = (("NetworkMode", Via.NET), ("PidMode", Via.PID), ("IpcMode", Via.IPC))


def ties(found: Any) -> Look:
    """What an inspected container holds on to. Engines keep the id of a container that is joined, whatever was said."""
    host, mounts = _map(_map(found).get("HostConfig")), _map(found).get("Mounts")
    modes = [(via, _text(host.get(key)).partition(":")) for key, via in JOINS]
    placed = [_map(mount) for mount in (mounts if isinstance(mounts, list) else ())]
    filled = ((_text(one.get("Destination")), _text(one.get("Name")) or _text(one.get("Source"))) for one in placed)
    return Look(
        holds=tuple((via, ContainerId(held)) for via, (kind, _, held) in modes if kind == "container" and held),
        mounts=tuple(sorted(filled)),
        own_places=frozenset(_own_places(host)),
        address=_text(_map(_map(found).get("NetworkSettings")).get("IPAddress")),
        created=_moment(_text(_map(found).get("Created"))),
    )


def _own_places(host: Mapping[str, Any]) -> Iterator[str]:
    binds, mounts = host.get("Binds"), host.get("Mounts")
    for bind in binds if isinstance(binds, list) else ():
        parts = _text(bind).split(":")
        yield parts[1] if len(parts) > 1 else parts[0]
    for mount in mounts if isinstance(mounts, list) else ():
        yield _text(_map(mount).get("Target"))


def declares_health(found: Any) -> bool:
    """Whether an inspected container has a health check; an image's own is part of it from its creation on."""
    test = _map(_map(_map(found).get("Config")).get("Healthcheck")).get("Test")
    return isinstance(test, list) and bool(test) and test[0] != "NONE"


def context(found: Any) -> ContextFacts:
    """One answer of ``/containers/ID/json``, as a storage context is looked at."""
    config, state = _map(_map(found).get("Config")), _map(_map(found).get("State"))
    host = _map(_map(found).get("HostConfig"))
    added = host.get("CapAdd")
    return ContextFacts(
        name=name_of(found),
        container=_text(_map(found).get("Id")),
        running=state.get("Running") is True,
        pid=_number(state.get("Pid"), 0),
        started=_text(state.get("StartedAt")),
        privileged=host.get("Privileged") is True,
        capabilities=frozenset(
            _text(name).upper().removeprefix("CAP_") for name in (added if isinstance(added, list) else ())
        ),
        namespaces=tuple(
            (name, _text(host.get(key)) or "private")
            for name, key in (("network", "NetworkMode"), ("pid", "PidMode"), ("ipc", "IpcMode"))
        ),
        requires=_text(_map(config.get("Labels")).get(REQUIRES)),
    )


def owner(found: Any) -> UnitName | None:
    return UnitName(_text(_map(_map(_map(found).get("Config")).get("Labels")).get(LABEL_UNIT))) or None


def name_of(found: Any) -> str:
    return _text(_map(found).get("Name")).lstrip("/")


def has_terminal(found: Any) -> bool:
    return _map(_map(found).get("Config")).get("Tty") is True


def loaded(line: Any) -> list[str]:
    """The image that a line of ``/images/load`` tells of: ``Loaded image: name:tag``, or an id when it has no name."""
    return _LOADED.findall(_text(_map(line).get("stream")))


def trouble(line: Any) -> str:
    """The error that a line of ``/images/create`` or ``/images/load`` tells of; empty if it tells of none."""
    told = _map(line)
    if "error" not in told and "errorDetail" not in told:
        return ""
    return _text(_map(told.get("errorDetail")).get("message")) or _text(told.get("error")) or "an error without a word"


def info(version: Any) -> EngineInfo:
    """The answer of ``/version``. Engines before 1.12 name no minimum."""
    told = _map(version)
    return EngineInfo(_text(told.get("Version")), _text(told.get("ApiVersion")), _text(told.get("MinAPIVersion")))


def sentence(body: str) -> str:
    """What the engine said in an error's body: JSON, but plain text when it refuses the API version itself."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    return _text(_map(said).get("message")) or body.strip()


def failure(status: int, message: str, what: str, subject: str = "") -> Failure:
    """What a refused call means.

    Args:
        status: Of HTTP; 0 when the refusal came in the middle of a stream.
        message: The engine's sentence.
        what: The call's name, as in the metrics: ``create``, ``start``, ``signal``.
        subject: The container that was called for. A missing one may also be another that it is to join, and that
            one may come back.
    """
    said = message.lower()
    if "no such container" in said:
        if what == "create" or subject.lower() in said:
            return Failure.OTHER if what == "create" else Failure.NOT_FOUND
        # The engine wrote the id of the container to join into this one, and none will bear that id again.
        return Failure.STALE if what == "start" and re.search("[0-9a-f]{64}", said) else Failure.OTHER
    for words, meaning in _SENTENCES:
        if words in said:
            return meaning
    return _SPECIAL.get((what, status)) or _BY_STATUS.get(status, Failure.OTHER)


def _ours(labels: Mapping[str, Any], **fields: Any) -> Observed | None:
    unit = _text(labels.get(LABEL_UNIT))
    if not unit or not fields["container"]:
        return None
    return Observed(
        unit=UnitName(unit),
        config_hash=_text(labels.get(LABEL_HASH)),
        variant=_text(labels.get(LABEL_CONSOLE)),
        **fields,
    )


def _own_name(names: list[Any]) -> str:
    """A container goes by one name of its own, and by one for each legacy link: ``/taker/alias``."""
    return next((name[1:] for name in map(_text, names) if name.startswith("/") and name.count("/") == 1), "")


def _health_of(found: Any) -> Health:
    """A check that is declared and has said nothing yet counts as starting; what a dead container said is void."""
    if not declares_health(found):
        return Health.NONE
    state = _map(_map(found).get("State"))
    said = _health(_text(_map(state.get("Health")).get("Status"))) if state.get("Running") is True else Health.NONE
    return said if said is not Health.NONE else Health.STARTING


def _health(text: str) -> Health:
    return Health(text) if text in Health.__members__.values() else Health.NONE


def _age(started: str, now: float) -> Seconds:
    """Never negative: a wall clock may have been set back meanwhile. A time that is none counts as just now."""
    try:
        return Seconds(max(0.0, now - dt.datetime.fromisoformat(started).timestamp()))
    except (ValueError, OverflowError):
        return Seconds(0)


def _moment(stamp: str) -> float:
    """Seconds since 1970; 0 for a time that is none."""
    try:
        return max(0.0, dt.datetime.fromisoformat(stamp).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any, otherwise: int) -> int:
    """Event attributes are all text, inspect's fields are numbers."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
