"""Health checks: their definitions, and the health that results from their answers. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

from units.quantities import Seconds
from units.records import dataclass, replace


class Health(StrEnum):
    """The result of a check, or of all checks of a unit together. ``NONE``: it has no check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNREADY = "unready"
    """Healthy but not ready: a readiness check fails."""


class CheckKind(StrEnum):
    """What a check is for."""

    LIVENESS = "liveness"
    """When it fails, the unit's action is taken: a restart by default."""
    READINESS = "readiness"
    """When it fails, only units that depend on this one being healthy are held back."""
    STARTUP = "startup"
    """Until it has passed once in a run, no other check of the unit is run; then it is done for this run."""


@dataclass(frozen=True, slots=True)
class Exec:
    """Passes when this command, run in the container, exits with 0. Costs the engine about 70 ms of CPU."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tcp:
    """Passes when a connection is accepted."""

    port: int
    host: str = ""
    """Empty: the container itself."""


@dataclass(frozen=True, slots=True)
class Http:
    """Passes when the answer's status lies in one of the ranges. Redirects are not followed: 302 is a status."""

    port: int
    path: str = "/"
    """With its query; begins with a slash."""
    host: str = ""
    """Empty: the container itself."""
    tls: bool = False
    verify: bool = True
    """Whether the certificate must be good for the host."""
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    """Ranges, both ends included."""
    headers: tuple[tuple[str, str], ...] = ()


Probe: TypeAlias = Exec | Tcp | Http


@dataclass(frozen=True, slots=True)
class Check:
    """One health check, and when it runs."""

    name: str
    probe: Probe
    kind: CheckKind = CheckKind.LIVENESS
    interval: Seconds = Seconds(10)
    """From one check to the next."""
    timeout: Seconds = Seconds(3)
    retries: int = 3
    """Failures in a row that make it unhealthy."""
    start_period: Seconds = Seconds(30)
    """From the start of a run; failures in it are not counted, until the check has passed once."""
    start_interval: Seconds = Seconds(2)
    """In place of ``interval``, in the start period until the check has passed."""
    successes: int = 1
    """Passes in a row that make it healthy."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The result of a check so far in one run."""

    health: Health = Health.STARTING
    misses: int = 0
    """Failures in a row that count."""
    hits: int = 0
    """Passes in a row."""


def judge(check: Check, standing: Standing, *, passed: bool, ran_for: Seconds) -> Standing:
    """Count one result. ``ran_for``: the age of the run when the check ran."""
    if passed:
        hits = min(standing.hits + 1, check.successes)
        health = Health.HEALTHY if hits >= check.successes else standing.health
        return Standing(health, 0, hits)
    if standing.health is Health.STARTING and ran_for < check.start_period:
        return replace(standing, hits=0)
    misses = min(standing.misses + 1, check.retries)
    return Standing(Health.UNHEALTHY if misses >= check.retries else standing.health, misses, 0)


DOUBTFUL = 2
"""Misses in a row."""


def doubted(standing: Standing) -> Health:
    """What is shown of a check that alone says whether a thing serves: after two misses in a row it is not known."""
    doubtful = standing.health is Health.HEALTHY and standing.misses >= DOUBTFUL
    return Health.STARTING if doubtful else standing.health


JITTER = 0.05
"""Each interval is spread by this fraction, up and down, so that hundreds of checks do not run at the same moment."""


def pause(check: Check, standing: Standing, ran_for: Seconds, jitter: float) -> Seconds:
    """The delay to the next check. ``jitter`` is drawn from [0, 1)."""
    starting = standing.health is Health.STARTING and ran_for < check.start_period
    interval = min(check.start_interval, check.interval) if starting else check.interval
    return Seconds(interval * (1 + JITTER * (2 * jitter - 1)))


def first_pause(check: Check, jitter: float) -> Seconds:
    """The delay from the start of a run to the first check, spread over the interval."""
    return Seconds(min(check.start_interval, check.interval) * jitter)


def asked_now(checks: Iterable[Check], standings: Mapping[str, Standing]) -> tuple[Check, ...]:
    """The checks to run now: startup checks until all have passed, then all others."""
    checks = tuple(checks)
    startup = tuple(check for check in checks if check.kind is CheckKind.STARTUP)
    if any(standings.get(check.name, Standing()).health is not Health.HEALTHY for check in startup):
        return startup
    return tuple(check for check in checks if check.kind is not CheckKind.STARTUP)


ENGINE = ""
"""Stands for the engine's own HEALTHCHECK among the checks of a unit."""


PROCESS = "main process"
"""Stands for the life of the main process among the checks of a unit; no check of a person's has a name like that."""


def combine(checks: Iterable[Check], reports: Mapping[str, Health]) -> Health:
    """The health of a unit from all its checks.

    Args:
        checks: Its own checks.
        reports: The results so far by name of the check, with the engine's own HEALTHCHECK.

    A check that has not been asked counts as starting. A readiness check that fails makes the unit unready, no more.
    """
    kinds = {check.name: check.kind for check in checks}
    if not kinds and not reports.keys() & {ENGINE, PROCESS}:
        return Health.NONE
    said = dict.fromkeys(kinds, Health.STARTING) | dict(reports)
    vital = [health for name, health in said.items() if kinds.get(name) is not CheckKind.READINESS]
    for health in (Health.UNHEALTHY, Health.STARTING):
        if health in vital:
            return health
    ready = [health for name, health in said.items() if kinds.get(name) is CheckKind.READINESS]
    if Health.UNHEALTHY in ready:
        return Health.UNREADY
    return Health.STARTING if Health.STARTING in ready else Health.HEALTHY
