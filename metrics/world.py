"""Gauges that are not kept anywhere: read from the world at each scrape, so that they cannot drift from it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from metrics import catalog
from metrics.catalog import Metric
from metrics.exposition import GAP, Template, pattern, plain, stencilled
from metrics.runs import Column, on_wall
from units.deaths import proved
from units.guards import displaced
from units.health import Health
from units.machine import Moment, View
from units.quantities import NEVER, Instant
from units.relinking import stale
from units.restart import good_run
from units.spec import CONSOLE, USER_DOCKER, Switchable
from units.tables.console import dirty, persistent
from units.troubles import Concern
from units.unit import Phase, StoppedBy, Unit
from units.world import World

SHORT = 12
"""Characters that are enough of an id or a digest."""


def _judged(unit: Unit) -> Health:
    """What a frozen container's check comes to is no verdict, and wakes nobody."""
    return Health.STARTING if unit.phase is Phase.PAUSED and unit.health is Health.UNHEALTHY else unit.health


def shown(world: World) -> list[Unit]:
    """The units of the configuration, and those that left it and have not ended yet."""
    return [unit for unit in world.units.values() if unit.stopped_by is not StoppedBy.CONFIG or unit.busy]


def columns(world: World, epoch: float, now: Instant) -> list[Column]:
    """What each unit is, for one scrape. ``epoch``: the wall time of instant 0."""
    view = _view(world)

    def each(metric: Metric, value: Callable[[Unit], float]) -> Column:
        stencil = Template(metric)
        cut: dict[float, str] = {}  # Most units say the same.

        def write(units: Sequence[Unit], names: Sequence[str], _openmetrics: bool) -> str:
            values = [value(unit) for unit in units]
            return stencilled(names, [cut.get(one) or cut.setdefault(one, stencil.one(one)) for one in values])

        return metric, write

    def hot(metric: Metric, value: Callable[[Unit], str]) -> Column:
        stencil = Template(metric)
        return metric, lambda units, names, _: stencilled(names, [stencil.hot(value(unit)) for unit in units])

    return [
        hot(catalog.UNIT_STATE, lambda unit: unit.phase),
        each(catalog.UNIT_DESIRED, lambda unit: unit.wanted),
        hot(catalog.UNIT_HEALTH, _judged),
        (catalog.UNIT_INFO, _infos),
        each(catalog.UNIT_START, lambda unit: on_wall(unit.started_at, epoch)),
        each(catalog.UNIT_MOVED, lambda unit: on_wall(unit.since, epoch)),
        (catalog.UNIT_EXIT_CODE, _exit_codes),
        each(catalog.UNIT_CRASH_LOOP, lambda unit: loops(unit, now)),
        each(catalog.UNIT_FLAPPING, lambda unit: unit.flapping),
        each(catalog.UNIT_STALE, lambda unit: len(stale(unit, view))),
    ]


def _infos(units: Sequence[Unit], names: Sequence[str], _openmetrics: bool) -> str:
    series = pattern(catalog.UNIT_INFO)
    rows = (
        (GAP, unit.spec.kind, unit.spec.image, (unit.container or "")[:SHORT], unit.config_hash[:SHORT])
        for unit in units
    )
    return stencilled(names, [f"{series(*row)}1.0\n" for row in rows])


def _exit_codes(units: Sequence[Unit], names: Sequence[str], _openmetrics: bool) -> str:
    stencil = Template(catalog.UNIT_EXIT_CODE)
    return stencilled(names, ["" if unit.exit_code is None else stencil.one(unit.exit_code) for unit in units])


def loops(unit: Unit, now: Instant) -> bool:
    """Whether it is in a crash loop: also while it runs, until that has lasted."""
    if unit.phase is Phase.CRASH_LOOP or not unit.budget.looping or unit.started_at == NEVER:
        return unit.phase is Phase.CRASH_LOOP or unit.budget.looping
    return now - unit.started_at < good_run(unit.spec.restart, unit.budget, proved=proved(unit))


def host(world: World, user_docker: str, now: Instant, *, openmetrics: bool) -> Iterator[str]:
    """What is no single unit's. ``user_docker``: the version that serves."""

    def write(metric: Metric, *rows: tuple[tuple[str, ...], float]) -> str:
        return plain(metric, rows, openmetrics=openmetrics)

    yield write(catalog.ENGINE_UP, ((), world.serving))
    engine = world.engine
    yield write(catalog.ENGINE_STATE, *(((phase,), engine.phase is phase) for phase in catalog.ENGINE_STATES))
    yield write(catalog.ENGINE_CRASH_LOOP, ((), loops(engine, now)))
    yield write(catalog.ENGINE_INFO, *([((world.engine_version,), 1)] if world.engine_version else []))
    console, docker = world.units.get(CONSOLE), world.units.get(USER_DOCKER)
    yield write(catalog.CONSOLE_INFO, *_console_info(console))
    place = docker.place if docker is not None and docker.alive else None
    attached = [((place.context, place.container[:SHORT]), 1.0)] if place is not None else []
    yield write(catalog.CONTEXT_INFO, *attached)
    yield write(catalog.CONTEXT_UP, *_context_up(docker, world))
    up = docker is not None and docker.phase is Phase.READY
    yield write(catalog.USER_DOCKER_UP, *([((), up)] if docker is not None else []))
    named = docker.spec.engine if docker is not None else ""
    yield write(catalog.USER_DOCKER_INFO, *([((user_docker, named), 1)] if up and user_docker else []))
    switch = world.switch
    yield write(catalog.SWITCH_ACTIVE, *(((of,), switch is not None and switch.of is of) for of in Switchable))
    view = _view(world)
    counts = Counter(one.edge.via for unit in world.units.values() for one in stale(unit, view))
    yield write(catalog.STALE_EDGES, *(((via,), counts[via]) for via in catalog.TIES))
    yield write(catalog.TROUBLE, *(((of,), of in world.troubles) for of in Concern))
    yield write(catalog.ORPHANS, ((), len(world.orphans)))
    yield write(catalog.SHUTTING_DOWN, ((), world.draining))


def _view(world: World) -> View:
    moment = Moment(Instant(0), 0.0, "")
    return View(world.units, world.links, world.engine_up, world.draining, world.reloading, moment)


def _context_up(docker: Unit | None, world: World) -> list[tuple[tuple[str, ...], float]]:
    if docker is None or not docker.spec.context:
        return []
    return [((), docker.alive and not displaced(docker, None, _view(world)))]


def _console_info(unit: Unit | None) -> list[tuple[tuple[str, ...], float]]:
    if unit is None or not unit.alive or not unit.spec.variant:
        return []
    kind = "persistent" if persistent(unit.spec) else "ephemeral"
    return [((unit.spec.variant, kind, (unit.container or "")[:SHORT], "dirty" if dirty(unit) else "clean"), 1.0)]
