"""Groups and headlines for a chain of records: which belong together, and which rounds are shown once. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.views.text import clean
from units.words import HOST_FACTS, duration, split_fact

ALIKE = 3
"""Up to this many equal rounds in a row are shown one by one; of more, the first and the last."""

Event = Mapping[str, Any]
SPANS = frozenset({"probe", "calm", "deadline"})
"""Inputs in seconds."""

HOST = {
    "engine.lost": "the engine was lost",
    "engine.awaited": "the engine was not up yet",
    "engine.back": "the engine answered",
    "supervisor.started": "a supervisor started",
    "config.read": "the configuration was read",
    "config.refused": "the configuration was refused",
    "shutdown.asked": "shutdown requested",
    "shutdown.hurried": "shutdown hurried",
    "snapshot.taken": "snapshot taken",
    "supervisor.notice": "notice",
}


def blocks(chain: Sequence[Event]) -> Iterator[list[Event]]:
    """The records of one fact stand together."""
    block: list[Event] = []
    for event in chain:
        if block and _fact(event) != _fact(block[0]):
            yield block
            block = []
        block.append(event)
    if block:
        yield block


def _fact(event: Event) -> tuple[object, ...]:
    """Records of one fact have its number in common, and the moment: another supervisor counts from 1 again."""
    return event.get("taken"), event.get("time")


def _shape(block: Sequence[Event]) -> tuple[object, ...]:
    """What makes two blocks look alike: everything but times and numbers."""
    keys = ("event", "unit", "rule", "before", "after", "on", "exit_code")
    return tuple(tuple(event.get(key) for key in keys) for event in block)


def fold(told: list[list[Event]]) -> Iterator[tuple[list[Event], int]]:
    """Each block, and how many rounds after it are left out: a round is one or several blocks that come again alike."""
    shapes = [_shape(block) for block in told]
    at = 0
    while at < len(told):
        size, times = _rounds(shapes, at)
        if times <= ALIKE:
            yield told[at], 0
            at += 1
            continue
        for i in range(size):
            yield told[at + i], times - 2 if i == size - 1 else 0
        at += size * (times - 1)  # On with the last round.
        for i in range(size):
            yield told[at + i], 0
        at += size


def _rounds(shapes: Sequence[object], at: int) -> tuple[int, int]:
    """The size of the most repeated round that begins here, and how often it repeats."""
    best = (1, 1)
    for size in range(1, 5):
        times = 1
        while (
            shapes[at : at + size] == shapes[at + size * times : at + size * (times + 1)]
            and len(shapes[at + size * times : at + size * (times + 1)]) == size
        ):
            times += 1
        if size * times > best[0] * best[1] and times > ALIKE:
            best = size, times
    return best


def headline(block: Sequence[Event], name: str) -> str:
    first = block[0]
    if not first.get("unit"):
        said = HOST.get(str(first.get("event")), str(first.get("event")))
        reason = clean(first.get("reason", ""))
        return f"{said}: {reason}" if reason else said
    fact, unit = clean(first.get("fact", "")), clean(first.get("unit", ""))
    said, root = split_fact(fact)
    if not root and fact.partition(" ")[0] not in HOST_FACTS:
        root = unit
    return f"{root}: {said}" if root and root != name else said


def inputs_in_words(inputs: Event) -> str:
    """The inputs of a decision, in order."""
    left = {str(key): value for key, value in inputs.items()}
    told: list[str] = []

    def take(*keys: str) -> list[Any] | None:
        return [left.pop(key) for key in keys] if all(key in left for key in keys) else None

    if (found := take("ran_for", "good_run")) is not None:
        told.append(f"ran for {_span(found[0])} (a good run: {_span(found[1])})")
    if (found := take("exit_code")) is not None:
        told.append(f"exit code {found[0]}")
    if (found := take("failures")) is not None:
        told.append(f"failure {found[0]} in a row")
    if (found := take("helped", "flapping_at", "window")) is not None:
        told.append(f"restarted {counted(found[0], 'time')} in {duration(float(found[2]))} (flapping at {found[1]})")
    if (found := take("restarts", "burst", "interval")) is not None:
        told.append(f"{counted(found[0], 'restart')} in {duration(float(found[2]))} (limit {found[1] or 'none'})")
    if (found := take("base_delay", "jitter", "drawn", "delay")) is not None:
        told.append(f"delay {duration(found[0])}, with jitter {duration(found[3])}")
        left.pop("jitter", None)
    told += [
        f"{clean(key).replace('_', ' ')} {_span(value) if key in SPANS else _value(value)}"
        for key, value in left.items()
        if value not in {"", 0}
    ]
    return "; ".join(told)


def counted(count: object, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else clean(value)


def _span(span: object) -> str:
    """A span in words, or the text that stands for one."""
    if not isinstance(span, int | float):
        return clean(span)
    return duration(float(span))
