"""Gauges that are not kept anywhere: read from the world at each scrape, so that they cannot drift from it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from metrics import catalog
from units.console import dirty, persistent
from units.health import Health
from units.kernel import World
from units.machine import Moment, View
from units.quantities import NEVER, Instant
from units.relinking import stale
from units.unit import CONSOLE, USER_DOCKER, Phase, StoppedBy, Switchable, Unit

STEP = 0.05
"""Seconds by which the two clocks may seem to part before it counts as the wall clock being set."""


def shown(world: World) -> list[Unit]:
    """The units of the configuration, and those that left it and have not ended yet."""
    return [unit for unit in world.units.values() if unit.stopped_by is not StoppedBy.CONFIG or unit.busy]


class WorldCollector:
    """``to_wall`` turns an instant into seconds since 1970; ``depth`` is that of the inbox."""

    def __init__(
        self,
        world: Callable[[], World],
        to_wall: Callable[[Instant], float],
        depth: Callable[[], int],
        user_docker: Callable[[], str] = lambda: "",
    ) -> None:
        self._world = world
        self._to_wall = to_wall
        self._depth = depth
        self._user_docker = user_docker
        self._epoch = to_wall(Instant(0))

    def collect(self) -> Iterator[Metric]:
        world = self._world()
        yield from self._units(shown(world))
        yield single(catalog.ENGINE_UP, world.engine_up)
        yield filled(catalog.ENGINE_INFO, [((world.engine_version,), 1)] if world.engine_version else [])
        yield from self._switchable(world)
        yield filled(catalog.STALE_EDGES, _stale_edges(world))
        yield single(catalog.SHUTTING_DOWN, world.draining)
        yield single(catalog.INBOX_DEPTH, self._depth())

    def _units(self, units: list[Unit]) -> Iterator[Metric]:
        epoch = self._steady_epoch()
        yield filled(catalog.UNIT_STATE, (((u.name, p), u.phase is p) for u in units for p in Phase))
        yield filled(catalog.UNIT_DESIRED, (((u.name,), u.wanted) for u in units))
        yield filled(catalog.UNIT_HEALTH, (((u.name, h), u.health is h) for u in units for h in Health))
        yield filled(
            catalog.UNIT_INFO,
            (((u.name, u.spec.kind, u.spec.image, (u.container or "")[:12]), 1) for u in units),
        )
        yield filled(catalog.UNIT_START, (((u.name,), _on_wall(u.started_at, epoch)) for u in units))
        yield filled(catalog.UNIT_MOVED, (((u.name,), _on_wall(u.since, epoch)) for u in units))
        codes = ((u.name, u.exit_code) for u in units)
        yield filled(catalog.UNIT_EXIT_CODE, (((name,), code) for name, code in codes if code is not None))
        loops = (((u.name,), u.budget.looping or u.phase is Phase.CRASH_LOOP) for u in units)
        yield filled(catalog.UNIT_CRASH_LOOP, loops)
        yield filled(catalog.UNIT_FLAPPING, (((u.name,), u.flapping) for u in units))

    def _switchable(self, world: World) -> Iterator[Metric]:
        console, docker = world.units.get(CONSOLE), world.units.get(USER_DOCKER)
        yield filled(catalog.CONSOLE_INFO, _console_info(console))
        place = docker.place if docker is not None and docker.alive else None
        attached = [((place.context, place.container[:12]), 1.0)] if place is not None else []
        yield filled(catalog.CONTEXT_INFO, attached)
        up = docker is not None and docker.phase is Phase.READY
        yield filled(catalog.USER_DOCKER_UP, [((), up)] if docker is not None else [])
        version = self._user_docker() if up else ""
        named = docker.spec.engine if docker is not None else ""
        yield filled(catalog.USER_DOCKER_INFO, [((version, named), 1)] if version else [])
        now = world.switch
        yield filled(catalog.SWITCH_ACTIVE, (((of,), now is not None and now.of is of) for of in Switchable))

    def _steady_epoch(self) -> float:
        """The wall time of instant 0, the same until the clock is set: PromQL's ``changes()`` must see no noise."""
        epoch = self._to_wall(Instant(0))
        if abs(epoch - self._epoch) > STEP:
            self._epoch = epoch
        return self._epoch


def _stale_edges(world: World) -> list[tuple[tuple[str, ...], float]]:
    moment = Moment(Instant(0), 0.0, "")
    view = View(world.units, world.links, world.engine_up, world.draining, world.reloading, moment)
    counts = Counter(one.edge.via for unit in world.units.values() for one in stale(unit, view))
    return [((via,), counts[via]) for via in catalog.TIES]


def _console_info(unit: Unit | None) -> list[tuple[tuple[str, ...], float]]:
    if unit is None or not unit.alive or not unit.spec.variant:
        return []
    kind = "persistent" if persistent(unit.spec) else "ephemeral"
    return [((unit.spec.variant, kind, (unit.container or "")[:12], "dirty" if dirty(unit) else "clean"), 1.0)]


def _on_wall(instant: Instant, epoch: float) -> float:
    return 0 if instant == NEVER else round(instant + epoch, 3)


def single(metric: catalog.Metric, value: float) -> Metric:
    return filled(metric, [((), value)])


def filled(metric: catalog.Metric, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """A gauge with its samples; a truth becomes 1 or 0."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family
