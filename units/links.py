"""Dependencies between units: the graph, the start order, and which graphs are refused."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TypeAlias

from units.quantities import Seconds
from units.records import dataclass
from units.spec import SYSTEM_DOCKER, Dependency, OnFailure, UnitName, UnitSpec, Via

MOST_CYCLES = 20
"""Cycles that are told."""

Edges: TypeAlias = dict[UnitName, list[Dependency]]
"""What each unit needs."""


@dataclass(frozen=True, slots=True)
class Links:
    """The graph that is in force, both ways."""

    leaders: Mapping[UnitName, tuple[Dependency, ...]]
    """What a unit needs."""
    followers: Mapping[UnitName, tuple[UnitName, ...]]
    """The units that depend on it."""

    def downstream(self, name: UnitName) -> tuple[UnitName, ...]:
        """The indirect dependents of a unit, without the direct ones."""
        direct = self.followers.get(name, ())
        seen = dict.fromkeys(direct)
        queue = list(direct)
        for here in queue:
            for further in self.followers.get(here, ()):
                if further not in seen and further != name:
                    seen[further] = None
                    queue.append(further)
        return tuple(queue[len(direct) :])

    def upstream(self, name: UnitName) -> tuple[UnitName, ...]:
        """What it needs, and what those need, and so on."""
        seen = {name}
        queue = [name]
        for here in queue:
            for edge in self.leaders.get(here, ()):
                if edge.target not in seen:
                    seen.add(edge.target)
                    queue.append(edge.target)
        return tuple(queue[1:])


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """What became of the wanted edges. With errors there is no graph to run."""

    links: Links
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def check(specs: Iterable[UnitSpec]) -> LinkCheck:
    """Build the graph: unknown hard targets and hard cycles are errors, soft ones are dropped with a warning."""
    by_name = {spec.name: spec for spec in specs}
    errors: list[str] = []
    warnings: list[str] = []
    edges: Edges = {name: [] for name in by_name}
    wanted = [(spec.name, edge) for spec in by_name.values() for edge in spec.dependencies]
    for name, edge in wanted:
        if edge.target not in by_name:
            said = f"{name}: {edge.via}: there is no unit '{edge.target}'"
            if edge.target == SYSTEM_DOCKER:
                said = f"{name}: {edge.via}: {SYSTEM_DOCKER} is no unit; every unit waits for it anyway: leave it out"
            (errors if edge.hard else warnings).append(said if edge.hard else f"{said}; ignored")
        elif edge.hard:
            edges[name].append(edge)
    errors.extend(f"cycle: {' -> '.join(path)}; break one of these edges" for path in _cycles(edges))
    followers = {name: list(them) for name, them in _both_ways(edges).followers.items()}
    for name, edge in wanted:
        if edge.hard or edge.target not in by_name or errors:
            continue
        if _leads(edges, followers, edge.target, name):
            loop = " -> ".join((name, *_path(edges, edge.target, name)))
            warnings.append(f"{name}: {edge.via} {edge.target}: closes the cycle {loop}; ignored")
        else:
            edges[name].append(edge)
            followers[edge.target].append(name)
    return LinkCheck(_both_ways(edges), tuple(errors), tuple(warnings))


def _both_ways(edges: Edges) -> Links:
    followers: dict[UnitName, dict[UnitName, None]] = {name: {} for name in edges}
    for name, wanted in edges.items():
        for edge in wanted:
            followers[edge.target][name] = None
    return Links(
        {name: tuple(wanted) for name, wanted in edges.items()},
        {name: tuple(them) for name, them in followers.items()},
    )


def _cycles(edges: Edges) -> list[tuple[UnitName, ...]]:
    """Cycles that together have each edge of a cycle, the first few; each begins with its first unit by name."""
    edges = _knotted(edges)
    found: list[tuple[UnitName, ...]] = []
    told: set[tuple[UnitName, UnitName]] = set()
    for name in sorted(edges):
        for edge in edges[name]:
            if (name, edge.target) in told or len(found) >= MOST_CYCLES:
                continue
            if path := _path(edges, edge.target, name):
                found.append((name, *path))
                told.update(pairwise(found[-1]))
    return found


def _knotted(edges: Edges) -> Edges:
    """The edges between units that need others and are needed, time and again: without a cycle there are none."""
    followers = _both_ways(edges).followers
    leaders = {name: tuple(dict.fromkeys(edge.target for edge in wanted)) for name, wanted in edges.items()}
    gone: set[UnitName] = set()
    for ahead, behind in ((leaders, followers), (followers, leaders)):
        left = {name: sum(other not in gone for other in ahead[name]) for name in edges}
        ends = [name for name, many in left.items() if not many and name not in gone]
        for name in ends:
            gone.add(name)
            for other in behind[name]:
                left[other] -= 1
                if not left[other] and other not in gone:
                    ends.append(other)
    return {
        name: [edge for edge in wanted if edge.target not in gone] for name, wanted in edges.items() if name not in gone
    }


def _leads(edges: Edges, followers: Mapping[UnitName, list[UnitName]], start: UnitName, end: UnitName) -> bool:
    """Whether there is a way. Searched from both ends in turn: in a long chain one of them is soon exhausted."""
    onward, back = [start], [end]
    seen, met = {start}, {end}
    for here, there in zip(onward, back, strict=False):
        if here in met or there in seen:
            return True
        for edge in edges[here]:
            if edge.target not in seen:
                seen.add(edge.target)
                onward.append(edge.target)
        for name in followers[there]:
            if name not in met:
                met.add(name)
                back.append(name)
    return not seen.isdisjoint(met)


def _path(edges: Edges, start: UnitName, end: UnitName) -> tuple[UnitName, ...]:
    """A shortest way along the edges, both ends included; empty when there is none."""
    came: dict[UnitName, UnitName] = {start: start}
    queue = [start]
    for here in queue:
        if here == end:
            steps = [end]
            while steps[-1] != start:
                steps.append(came[steps[-1]])
            return tuple(reversed(steps))
        for edge in edges[here]:
            if edge.target not in came:
                came[edge.target] = here
                queue.append(edge.target)
    return ()


def start_order(links: Links) -> list[UnitName]:
    """All units, each after what it needs; ties by name."""
    order: dict[UnitName, None] = {}
    for first in sorted(links.leaders):
        under_way = [(first, iter(_by_name(links, first)))] if first not in order else []
        while under_way:  # Not by recursion: a chain may be longer than Python's stack.
            name, needed = under_way[-1]
            further = next((target for target in needed if target not in order), None)
            if further is not None:
                under_way.append((further, iter(_by_name(links, further))))
            else:
                order[name] = None
                under_way.pop()
    return list(order)


def _by_name(links: Links, name: UnitName) -> list[UnitName]:
    return sorted(edge.target for edge in links.leaders[name])


KILL_RESERVE = Seconds(5)
"""Of a shutdown's total, kept back for the SIGKILLs at its end."""


def shares(links: Links, timeouts: Mapping[UnitName, Seconds], total: Seconds) -> dict[UnitName, Seconds]:
    """Each unit's stop timeout within a shutdown of ``total`` seconds.

    Units stop one after another along a chain of dependencies. Where the longest chain needs more than there is, all
    get less in the same proportion.
    """
    need: dict[UnitName, float] = {}
    for name in reversed(start_order(links)):
        after = max((need[follower] for follower in links.followers[name] if follower in need), default=0.0)
        need[name] = after + timeouts[name]
    longest = max(need.values(), default=0.0)
    room = max(total - KILL_RESERVE, total / 2)
    factor = min(1.0, room / longest) if longest else 1.0
    return {name: Seconds(timeout * factor) for name, timeout in timeouts.items()}


BINDING = frozenset({Via.LINK, Via.NET, Via.PID, Via.IPC, Via.CONTEXT})
"""Edges that count at every start: without its target the engine refuses, or user Docker has nowhere to run."""


def counts(edge: Dependency, *, fresh: bool) -> bool:
    """Whether an edge matters for this start: all do for the first one of a boot, later only what binds."""
    return fresh or edge.via in BINDING or edge.via is Via.VOLUMES


def tolerates(edge: Dependency) -> bool:
    """Whether a failed target lets this dependent go on."""
    return edge.on_failure is OnFailure.PROCEED
