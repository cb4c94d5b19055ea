"""Layout of a graph: the positions of boxes and lines. Pure, and the same for the same graph.

In layers (Sugiyama's method): a unit stands right of its dependencies, as far left as possible; a line that passes a
layer gets its own place in it; within a layer everything is sorted by the positions of its neighbours.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Name = str
Ends = tuple[Name, Name]

SWEEPS = 8
"""Times that all layers are sorted by their neighbours, to and fro; it changes nothing long before."""
ROWS = 6
"""Boxes of units without edges that stand below one another, before a column is begun."""

_Slot = tuple[str, ...]
"""A unit ``(name,)``, or the passage of an edge through a layer ``(source, target, layer)``."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """In pixels."""

    box: float = 34
    across: float = 96
    """Between two layers, for the lines."""
    between: float = 14
    """Between two boxes of a layer."""
    passage: float = 6
    """Height of a line's place in a layer that it passes."""
    margin: float = 10


@dataclass(frozen=True, slots=True)
class Box:
    """Left upper corner and size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes, and ``lines`` from a unit (its left side) to its dependency (its right side)."""

    boxes: Mapping[Name, Box]
    lines: Mapping[Ends, tuple[tuple[float, float], ...]]
    width: float
    height: float


def layout(widths: Mapping[Name, float], edges: Iterable[Ends], sizes: Sizes = Sizes()) -> Layout:
    """Place boxes of these widths. Edges go from a unit to its dependency; one that closes a cycle is straight."""
    given = sorted({ends for ends in edges if ends[0] != ends[1] and ends[0] in widths and ends[1] in widths})
    tied = sorted({name for ends in given for name in ends})
    loose = sorted(set(widths) - set(tied))
    forward = _without_cycles(tied, given)
    layers = _sorted(_slots(_depths(tied, forward), forward), forward)
    boxes: dict[Name, Box] = {}
    middles: dict[_Slot, float] = {}
    lefts: list[tuple[float, float]] = []
    x = sizes.margin
    heights = _heights(layers, forward, sizes)
    for layer in layers:
        width = max(widths[slot[0]] for slot in layer if len(slot) == 1)
        lefts.append((x, x + width))
        for slot in layer:
            middles[slot] = heights[slot]
            if len(slot) == 1:
                boxes[slot[0]] = Box(x, heights[slot] - sizes.box / 2, width, sizes.box)
        x += width + sizes.across
    lines = {ends: _line(ends, ends in forward, boxes, middles, lefts) for ends in given}
    bottom = max((middle + sizes.box / 2 for middle in heights.values()), default=0.0)
    right = max((box.x + box.width for box in boxes.values()), default=0.0)
    right, bottom = _place_loose(loose, widths, boxes, (right, bottom), sizes)
    return Layout(boxes, lines, right + sizes.margin, bottom + sizes.margin)


def _without_cycles(names: Sequence[Name], edges: Sequence[Ends]) -> frozenset[Ends]:
    """The edges without those that lead back to where a walk along them came from."""
    after: dict[Name, list[Name]] = {name: [] for name in names}
    for source, target in edges:
        after[source].append(target)
    done: set[Name] = set()
    back: set[Ends] = set()
    for start in names:
        path: dict[Name, None] = {}
        stack: list[tuple[Name, int]] = [(start, 0)]
        while stack:
            here, number = stack.pop()
            if number == 0:
                if here in done:
                    continue
                path[here] = None
            if number == len(after[here]):
                done.add(here)
                path.pop(here, None)
                continue
            stack.append((here, number + 1))
            there = after[here][number]
            if there in path:
                back.add((here, there))
            elif there not in done:
                stack.append((there, 0))
    return frozenset(set(edges) - back)


def _depths(names: Sequence[Name], edges: frozenset[Ends]) -> dict[Name, int]:
    """Length of the longest way down to a unit that needs nothing."""
    depths = dict.fromkeys(names, 0)
    for _ in names:
        changed = False
        for source, target in edges:
            if depths[source] <= depths[target]:
                depths[source] = depths[target] + 1
                changed = True
        if not changed:
            break
    return depths


def _slots(depths: Mapping[Name, int], edges: frozenset[Ends]) -> list[list[_Slot]]:
    layers: list[list[_Slot]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for name in sorted(depths):
        layers[depths[name]].append((name,))
    for source, target in sorted(edges):
        for depth in range(depths[target] + 1, depths[source]):
            layers[depth].append((source, target, str(depth)))
    return layers


def _neighbours(layers: Sequence[Sequence[_Slot]], edges: frozenset[Ends]) -> tuple[dict[_Slot, list[_Slot]], ...]:
    """Of each slot those in the layer before it, and those in the layer after it."""
    depth = {slot: number for number, layer in enumerate(layers) for slot in layer}
    before: dict[_Slot, list[_Slot]] = {slot: [] for slot in depth}
    after: dict[_Slot, list[_Slot]] = {slot: [] for slot in depth}
    for source, target in sorted(edges):
        low, high = depth[(target,)], depth[(source,)]
        way: list[_Slot] = [(target,), *((source, target, str(i)) for i in range(low + 1, high)), (source,)]
        for left, right in itertools.pairwise(way):
            before[right].append(left)
            after[left].append(right)
    return before, after


def _sorted(layers: list[list[_Slot]], edges: frozenset[Ends]) -> list[list[_Slot]]:
    """Fewer crossings: each slot goes to the mean place of its neighbours, layer by layer. The best order seen."""
    before, after = _neighbours(layers, edges)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, after)
    for sweep in range(SWEEPS):
        numbers = range(1, len(layers)) if sweep % 2 == 0 else range(len(layers) - 2, -1, -1)
        beside, step = (before, -1) if sweep % 2 == 0 else (after, 1)
        for number in numbers:
            place = {slot: i for i, slot in enumerate(layers[number + step])}
            own = {slot: float(i) for i, slot in enumerate(layers[number])}
            wish = {
                slot: sum(place[one] for one in beside[slot]) / len(beside[slot]) if beside[slot] else own[slot]
                for slot in layers[number]
            }
            layers[number].sort(key=lambda slot: (wish[slot], slot))
        if (count := _crossings(layers, after)) < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return best


def _crossings(layers: Sequence[Sequence[_Slot]], after: Mapping[_Slot, Sequence[_Slot]]) -> int:
    count = 0
    for left, right in itertools.pairwise(layers):
        place = {slot: i for i, slot in enumerate(right)}
        ends = [sorted(place[one] for one in after[slot]) for slot in left]
        flat = [end for group in ends for end in group]
        count += sum(flat[i] > later for i in range(len(flat)) for later in flat[i + 1 :])
    return count


def _heights(layers: Sequence[Sequence[_Slot]], edges: frozenset[Ends], sizes: Sizes) -> dict[_Slot, float]:
    """The middle of each slot: as near to its neighbours' as its layer's order and the boxes allow."""
    before, after = _neighbours(layers, edges)
    middles: dict[_Slot, float] = {}
    for layer in layers:
        _stack(layer, dict.fromkeys(layer, 0.0), middles, sizes)
    for sweep in range(SWEEPS):
        beside = before if sweep % 2 == 0 else after
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wishes = {
                slot: sum(middles[one] for one in beside[slot]) / len(beside[slot]) if beside[slot] else middles[slot]
                for slot in layer
            }
            _stack(layer, wishes, middles, sizes)
    top = min((middle - _tall(slot, sizes) / 2 for slot, middle in middles.items()), default=0.0)
    return {slot: middle - top + sizes.margin for slot, middle in middles.items()}


def _stack(layer: Sequence[_Slot], wishes: Mapping[_Slot, float], middles: dict[_Slot, float], sizes: Sizes) -> None:
    """In their order and without overlap, each group that touches centred on what its members wish."""
    groups: list[tuple[list[_Slot], list[float], float]] = []  # slots, their offsets from the group's start, the start
    for slot in layer:
        members, offsets, start = [slot], [0.0], wishes[slot]
        while groups:
            upper, above, begin = groups[-1]
            gap = _apart(upper[-1], members[0], sizes)
            if begin + above[-1] + gap <= start:
                break
            groups.pop()
            shift = above[-1] + gap
            members, offsets = upper + members, above + [shift + offset for offset in offsets]
            start = sum(wishes[one] - offset for one, offset in zip(members, offsets, strict=True)) / len(members)
        groups.append((members, offsets, start))
    for members, offsets, start in groups:
        for slot, offset in zip(members, offsets, strict=True):
            middles[slot] = start + offset


def _tall(slot: _Slot, sizes: Sizes) -> float:
    return sizes.box if len(slot) == 1 else sizes.passage


def _apart(upper: _Slot, lower: _Slot, sizes: Sizes) -> float:
    return (_tall(upper, sizes) + _tall(lower, sizes)) / 2 + sizes.between


def _line(
    ends: Ends,
    forward: bool,
    boxes: Mapping[Name, Box],
    middles: Mapping[_Slot, float],
    lefts: Sequence[tuple[float, float]],
) -> tuple[tuple[float, float], ...]:
    source, target = boxes[ends[0]], boxes[ends[1]]
    start = (source.x, source.y + source.height / 2)
    end = (target.x + target.width, target.y + target.height / 2)
    if not forward:
        return start, end
    points = [start]
    passed = sorted((slot for slot in middles if slot[:2] == ends and len(slot) == 3), key=lambda slot: -int(slot[2]))
    for slot in passed:
        left, right = lefts[int(slot[2])]
        points += [(right, middles[slot]), (left, middles[slot])]
    return (*points, end)


def _place_loose(
    names: Sequence[Name],
    widths: Mapping[Name, float],
    boxes: dict[Name, Box],
    corner: tuple[float, float],
    sizes: Sizes,
) -> tuple[float, float]:
    """Units without edges: in rows below the others, as wide as those. Returns the new right and bottom."""
    right, bottom = corner
    if not names:
        return corner
    width = max(widths[name] for name in names)
    step = width + sizes.between
    columns = max(int((right - sizes.margin + sizes.between) // step), -(-len(names) // ROWS), min(len(names), 3), 1)
    top = bottom + sizes.between * 2 if bottom else sizes.margin
    for number, name in enumerate(names):
        row, column = divmod(number, columns)
        box = Box(sizes.margin + column * step, top + row * (sizes.box + sizes.between), width, sizes.box)
        boxes[name] = box
        right, bottom = max(right, box.x + width), max(bottom, box.y + sizes.box)
    return right, bottom
