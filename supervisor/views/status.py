"""The world as plain JSON values, as ``dockwarden status`` and the control API show it. Pure."""

import os
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from supervisor.engine.port import UserDockerReport
from supervisor.logs.timestamps import as_iso
from supervisor.version import VERSION
from units.health import Health
from units.quantities import NEVER, Instant
from units.records import dataclass
from units.spec import CONSOLE, USER_DOCKER, Kind, OnUnhealthy, Switchable, UnitSpec
from units.switch.record import SwitchOutcome
from units.tables.console import dirty, persistent
from units.tables.storage import contexts
from units.unit import Beyond, Phase, StoppedBy, Unit
from units.words import duration
from units.world import World, is_ours


@dataclass(frozen=True, slots=True)
class Context:
    """Facts for ``status`` that are not in the world."""

    mode: str
    """``embedded``: the engine is a child of ours; ``attached``: it was started by another program."""
    url: str
    to_wall: Callable[[Instant], float]
    """Seconds since 1970 of a moment of the monotonic clock."""
    started: float
    """When this supervisor started, seconds since 1970."""
    enabled: Mapping[Switchable, str] = field(default_factory=dict)
    """The choices for the next boot."""
    user_docker: UserDockerReport | None = None
    version: str = VERSION
    pid: int = field(default_factory=os.getpid)


def status(world: World, context: Context) -> dict[str, Any]:
    said = host(world, context)
    boss = said.pop("supervisor")
    units = [unit_row(world.units[name], context.to_wall, world.away) for name in sorted(world.units)]
    return {**said, "units": units, "supervisor": boss}


def host(world: World, context: Context) -> dict[str, Any]:
    """All but the units."""
    return {
        "engine": engine(world, context),
        "console": consoles(world, context),
        "storage": storage(world, context),
        "user_docker": user_docker(world, context),
        "switch": switch_row(world, context),
        "supervisor": {
            "version": context.version,
            "pid": context.pid,
            "started": as_iso(context.started),
            "draining": world.draining,
            "configuration": world.reload.value,
            "troubles": [{"of": of.value, "reason": reason} for of, reason in sorted(world.troubles.items())],
        },
    }


def engine(world: World, context: Context) -> dict[str, Any]:
    """How the engine serves, and the engine itself as a unit is shown."""
    unit = world.engine
    return {
        "url": context.url,
        "mode": context.mode,
        "up": world.serving,
        "version": world.engine_version or None,
        "reason": world.engine_reason,
        "daemon": f"{unit.phase}: {unit.reason}" if is_ours(unit) else None,
        "daemon_pid": unit.pid,
        "unit": unit_row(unit, context.to_wall),
    }


def consoles(world: World, context: Context) -> dict[str, Any] | None:
    """The consoles, and which one is running."""
    unit = world.units.get(CONSOLE)
    if unit is None:
        return None
    return {
        "current": unit.spec.variant if unit.phase.up else None,
        "enabled": context.enabled.get(Switchable.CONSOLE, unit.spec.variant),
        "consoles": [_console_row(name, spec, unit, world) for name, spec in sorted(world.consoles.items())],
    }


def _console_row(name: str, spec: UnitSpec, unit: Unit, world: World) -> dict[str, Any]:
    chosen = name == unit.spec.variant
    parked = world.parked.get(name)
    container = unit.container if chosen else (parked.container if parked else None)
    aside = "parked" if parked else "removed" if name in world.pruned else "available"
    return {
        "name": name,
        "state": unit.phase.value if chosen else aside,
        "persistent": persistent(spec),
        "dirty": dirty(unit) if chosen else bool(parked and parked.config_hash not in {"", spec.config_hash}),
        "container_id": container,
        "image": spec.image,
    }


def storage(world: World, context: Context) -> dict[str, Any] | None:
    """The storage context of user Docker, and the possible ones."""
    docker = world.units.get(USER_DOCKER)
    if docker is None:
        return None
    return {
        "current": docker.spec.context,
        "attached": docker.place.container if docker.place and docker.alive else None,
        "enabled": context.enabled.get(Switchable.STORAGE, docker.spec.context),
        "contexts": [{"name": name, "state": world.units[name].phase.value} for name in contexts(world.units)],
    }


def user_docker(world: World, context: Context) -> dict[str, Any] | None:
    unit, report = world.units.get(USER_DOCKER), context.user_docker
    if unit is None or report is None:
        return None
    return {
        "state": unit.phase.value,
        "context": unit.spec.context,
        "engine": unit.spec.engine or None,
        "version": report.version or None,
        "binary": report.binary or None,
        "trouble": report.trouble or None,
        "exit_code": report.exit_code,
        "output": list(report.output),
    }


def switch_row(world: World, context: Context) -> dict[str, Any]:
    """The switch in progress, and how the last one ended."""
    now, last = world.switch, world.switched
    return {
        "now": None
        if now is None
        else {
            "of": now.of.value,
            "origin": now.origin,
            "target": now.target,
            "step": now.step.value,
            "since": as_iso(context.to_wall(now.since)),
            "why": now.why or None,
        },
        "last": None if last is None else outcome_row(last, context.to_wall),
    }


def outcome_row(outcome: SwitchOutcome, to_wall: Callable[[Instant], float]) -> dict[str, Any]:
    return {
        "of": outcome.of.value,
        "origin": outcome.origin,
        "target": outcome.target,
        "result": outcome.result.value,
        "why": outcome.why or None,
        "ended": as_iso(to_wall(outcome.ended)),
        "steps": [{"step": step, "seconds": round(seconds, 3)} for step, seconds in outcome.spent],
    }


def unit_row(unit: Unit, to_wall: Callable[[Instant], float], away: Instant | None = None) -> dict[str, Any]:
    """``away``: since when the engine does not serve, so that nothing is known of the unit."""
    return {
        "name": unit.name,
        "kind": unit.spec.kind.value,
        "state": unit.phase.value,
        "health": unit.health.value,
        "checks": {name or "HEALTHCHECK": health.value for name, health in unit.reports.items()},
        "flapping": unit.flapping,
        "container_id": unit.container,
        "restarts": unit.restarts,
        "since": None if unit.since == NEVER else as_iso(to_wall(unit.since)),
        "reason": last_known(unit, to_wall, away),
        "unknown_since": None if away is None else as_iso(to_wall(away)),
        "cause": unit.cause,
        "wanted": unit.wanted,
        "touched": touched(unit),
        "exit_code": unit.exit_code,
        "image": unit.spec.image,
    }


def last_known(unit: Unit, to_wall: Callable[[Instant], float], away: Instant | None) -> str:
    """Its reason, and why it may be so no longer."""
    if away is None:
        return shown_reason(unit)
    return f"unknown since {as_iso(to_wall(away))}, the engine does not answer; last known: {_reason(unit)}"


def _reason(unit: Unit) -> str:
    """Its state's, and why it is not in another container: that may last for long, and other news come meanwhile."""
    return f"{unit.reason}; {unit.kept}" if unit.kept and unit.kept not in unit.reason else unit.reason


def touched(unit: Unit) -> bool:
    """Whether it is managed: a foreign container without labels is only watched."""
    spec = unit.spec
    return spec.kind is not Kind.FOREIGN or spec.relink or spec.heal.action is not OnUnhealthy.NONE


BEYOND: dict[Beyond, str] = {
    Beyond.RESTARTING: "restarting: its engine's restart policy is at work",
    Beyond.REMOVING: "removing: the engine is removing its container",
    Beyond.DEAD: "dead: the engine failed to remove its container, and cannot start it",
}


def shown_reason(unit: Unit) -> str:
    """Its reason, and before that what its engine says of its container beside up and down."""
    if unit.unread:
        return f"unknown: {unit.unread}; last known: {_reason(unit)}"
    word = "" if unit.phase.up else BEYOND.get(unit.beyond, "")
    master = f"left to {unit.spec.master}" if unit.spec.master else ""
    return "; ".join(part for part in (word, _reason(unit), master) if part)


NEXT: dict[Phase, str] = {
    Phase.INACTIVE: "nothing happens by itself: it is not wanted; start it with `dockwarden start {name}`",
    Phase.WAITING: "it starts when this is up: {reason}; see `dockwarden why` of that unit",
    Phase.PULLING: "the engine has pulled {image}, or reports an error",
    Phase.CREATING: "the engine creates its container",
    Phase.CLEARING: "what its last run left has ended; its containers get their stop signal and their time",
    Phase.STARTING: "the engine starts it",
    Phase.RUNNING: "its process ends",
    Phase.READY: "its process ends, its health check fails, or `dockwarden stop {name}`",
    Phase.PAUSED: "a person lets it go on (`docker unpause {name}`); until then nothing is done about it",
    Phase.DRAINING: "it is stopped after the units that depend on it",
    Phase.STOPPING: "its process ends, or is killed when its stop timeout is over",
    Phase.EXITED: "within 1 s it is known whether a person stopped it",
    Phase.BACKOFF: "restarted when its delay is over; at once with `dockwarden start {name}`, not at all with"
    " `dockwarden stop {name}` (an engine does not tell of a `docker stop` of what does not run)",
    Phase.CRASH_LOOP: "retried every {probe}; at once with `dockwarden reset-failed {name}`",
    Phase.IMAGE_MISSING: "load or tag {image}; retried at once with `dockwarden reset-failed {name}`",
    Phase.COMPLETED: "nothing: it is done; run it again with `dockwarden restart {name}`",
    Phase.FAILED: "fix what its reason says, then run `dockwarden reset-failed {name}`",
}
"""What would change a unit's state, and what a person can do."""

NEXT_OF_ENGINE: dict[Phase, str] = {
    Phase.ABSENT: "dockerd is found running, or started",
    Phase.CONNECTING: "the engine answers; it is asked again every 2 s",
    Phase.STARTING: "it answers on its socket, or its process ends",
    Phase.SERVING: "its process ends, or it no longer answers",
    Phase.HUNG: "it answers again, or its process ends; an engine of ours is restarted as soon as it has ended",
    Phase.LOST: "an engine of ours is started again when its delay is over, another one is asked again every 2 s",
    Phase.CRASH_LOOP: "it is tried again every {probe:g} s; its log says why it ends",
    Phase.STOPPING: "its process ends, or is killed when its grace is over",
    Phase.STOPPED: "nothing: the host goes down",
    Phase.FAILED: "nothing: the host goes down without it; find out what holds the process (disk, mount)",
}
"""The same of System Docker."""


def what_next(unit: Unit, world: World) -> str:
    """What would change the unit's state, in a sentence."""
    if unit.spec.kind is Kind.SYSTEM_DOCKER:
        return NEXT_OF_ENGINE[unit.phase].format(probe=unit.spec.restart.probe)
    if world.draining:
        return "the host goes down; nothing is started any more"
    if not world.serving and unit.phase is not Phase.INACTIVE:
        return f"the engine must answer first ({world.engine_reason})"
    if unit.phase is Phase.INACTIVE and unit.stopped_by is StoppedBy.CONFIG:
        return "it comes back when the configuration defines it again"
    if unit.phase is Phase.RUNNING and unit.health is not Health.NONE:
        return f"its health check passes (it is {unit.health}), or its process ends"
    return NEXT[unit.phase].format(
        name=unit.name, reason=unit.reason, image=unit.spec.image, probe=duration(unit.spec.restart.probe)
    )
