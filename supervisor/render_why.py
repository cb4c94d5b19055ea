"""The page of ``dockwarden why``: the chain from the first fact to the present state, for whoever is woken at night.

One block for each moment: when, what happened (with the engine's own stamp), what was decided and from what, and what
became of the unit. Rounds that look alike are told once. Nothing is wider than 80 columns unless the terminal is.
"""

import re
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.render import BOLD, COLOURS, DIM, YELLOW, Screen, clean, clock, lasted, seconds, since

WIDEST = 100
NARROW = 80
ALIKE = 3
"""So many rounds in a row that look alike are told one by one; of more, the first and the last."""

Event = Mapping[str, Any]


def show(screen: Screen, answer: Event) -> None:
    _show_state(screen, answer)
    screen.line()
    if not answer["chain"]:
        screen.line("Nothing has happened to it, as far as records reach back.")
        return
    screen.line(screen.paint("How it came to this, oldest first:", BOLD))
    if answer.get("earlier"):
        screen.line(screen.paint(f"({answer['earlier']} earlier records: --since 1d shows more)", DIM))
    name = str(answer["unit"]["name"])
    for block, times in fold(list(blocks(answer["chain"]))):
        screen.line()
        _show_block(screen, block, name)
        if times:
            screen.line(screen.paint(f"              ... and {times} more rounds like this, until:", YELLOW))
    screen.line()
    state = clean(answer["unit"]["state"])
    said = f"{'now':<14}{screen.paint(state, COLOURS.get(state))}"
    screen.line(said)
    _wrap(screen, 14, "next: ", f"{clean(answer['next'])}{_next_try(answer)}")


def _show_state(screen: Screen, answer: Event) -> None:
    unit = answer["unit"]
    state, name = clean(unit["state"]), clean(unit["name"])
    when = f" since {clock(unit['since'])} ({since(unit['since'])})" if unit["since"] else ""
    screen.line(f"{screen.paint(name, BOLD)} is {screen.paint(state, COLOURS.get(state))}{when}")
    _field(screen, "because", unit["reason"])
    _field(screen, "meaning", answer["meaning"])
    _field(screen, "next", f"{clean(answer['next'])}{_next_try(answer)}")
    exited = "" if unit["exit_code"] is None else f", last exit code {unit['exit_code']}"
    container = f", container {clean(unit['container_id'])[:12]}" if unit["container_id"] else ""
    health = "" if unit["health"] == "none" else f", health {clean(unit['health'])}"
    count = unit["restarts"]
    _field(screen, "facts", f"{count} restart{'' if count == 1 else 's'}{exited}{health}{container}")
    for one in answer.get("waits_for", ()):
        _field(screen, "waits", f"{clean(one['unit'])} is {clean(one['state'])}: {clean(one['reason'])}")
    for check in answer.get("checks", ()):
        said = " ".join(clean(check["output"]).split())
        _field(screen, "check", f"{clock(check['time'])} {clean(check['check'])} {clean(check['outcome'])}: {said}")
    for line in answer.get("output", ()):
        _field(screen, "it wrote", line)


def _field(screen: Screen, head: str, said: object) -> None:
    _wrap(screen, 2, f"{head:<9}", clean(said))


def _wrap(screen: Screen, indent: int, head: str, said: str, colour: str | None = None) -> None:
    """``head`` and then text that is broken at words; what follows stands under the text."""
    width = min(max(screen.width, NARROW), WIDEST) if screen.width else NARROW
    start = " " * indent + head
    lines = textwrap.wrap(said, max(width - len(start), 30), break_on_hyphens=False) or [""]
    for i, line in enumerate(lines):
        lead = start if i == 0 else " " * len(start)
        screen.line((lead + screen.paint(line, colour)).rstrip())


def _next_try(answer: Event) -> str:
    at = seconds(answer.get("next_try"))
    if at is None:
        return ""
    left = at - time.time()
    return f" (next try in {lasted(left)})" if left >= 1 else " (next try within a second)"


# Blocks: what one fact led to.


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
    """Records of one fact have its number in common, and the moment: another supervisor counts anew."""
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
    """The size of the round that begins here and comes again most, and how often it comes."""
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


# One block.

WORDS = {
    "ContainerDied": "its container died",
    "ContainerStarted": "its container was started",
    "ContainerCreated": "its container was made",
    "ContainerDestroyed": "its container was removed",
    "ContainerKilled": "its container was sent a signal",
    "ContainerOomed": "the kernel killed a process of it for lack of memory",
    "ContainerStopped": "its container was stopped through the engine",
    "RetryDue": "the time for another try had come",
    "VerdictDue": "nothing more was heard of its end",
    "DeadlineDue": "the time it had was over",
    "LookDue": "it was looked at again",
    "StartAsked": "somebody asked for a start",
    "StopAsked": "somebody asked for a stop",
    "RestartAsked": "somebody asked for a restart",
    "ResetAsked": "somebody asked to forget its failures",
    "EngineLost": "the engine was lost",
    "EngineBack": "the engine answered again",
    "SnapshotTaken": "all containers were looked at",
    "HealthReported": "its health was reported",
    "StartFailed": "the engine did not start it",
    "CreateFailed": "the engine did not make its container",
    "PullFailed": "its image could not be fetched",
    "ImagePulled": "its image was fetched",
    "ConfigRead": "the configuration was read",
    "ShutdownAsked": "the host was asked to go down",
}
HOST = {
    "engine.lost": "the engine was lost",
    "engine.awaited": "the engine was not there yet",
    "engine.back": "the engine answered",
    "supervisor.started": "a supervisor started",
    "config.read": "the configuration was read",
    "config.refused": "the configuration was refused",
    "shutdown.asked": "the host was asked to go down",
    "shutdown.hurried": "the host goes down in a hurry",
    "snapshot.taken": "all containers were looked at",
    "supervisor.notice": "notice",
}


def _show_block(screen: Screen, block: Sequence[Event], name: str) -> None:
    first = block[0]
    stamp = f"[engine {clock(first['engine_time'])}]" if first.get("engine_time") else ""
    at = clock(first.get("time"))
    head = _headline(block, name)
    _wrap(screen, 0, f"{at:<14}", f"{head} {stamp}".rstrip())
    whose = name
    for event in block:
        unit = clean(event.get("unit", ""))
        if unit and unit != whose:
            screen.line(f"            {screen.paint(unit, BOLD)}:")
        whose = unit or whose
        _show_event(screen, event)


def _headline(block: Sequence[Event], name: str) -> str:
    first = block[0]
    if not first.get("unit"):
        said = HOST.get(str(first.get("event")), str(first.get("event")))
        reason = clean(first.get("reason", ""))
        return f"{said}: {reason}" if reason else said
    fact, _, of = clean(first.get("fact", "")).partition(" of ")
    word, _, rest = fact.partition(" ")
    said = WORDS.get(word, word)
    root = of or clean(first.get("unit", ""))
    if root != name and said.startswith("its "):
        said = f"{root}'s {said.removeprefix('its ')}"
    elif root != name and word in WORDS:
        said = f"{said} (of {root})" if of else said
    return f"{said}: {_fields(rest)}" if rest else said


def _fields(said: str) -> str:
    """``exit_code=3 oom`` as words."""
    return re.sub(r"\b([a-z_]+)=", lambda found: found[1].replace("_", " ") + " ", said)


def _show_event(screen: Screen, event: Event) -> None:
    kind = str(event.get("event"))
    if kind == "unit.decision":
        _show_decision(screen, event)
    elif kind == "unit.transition":
        after = clean(event.get("after"))
        arrow = f"{clean(event.get('before'))} -> {after}"
        again = f" (restart {event.get('restarts')}: {clean(event.get('restart'))})" if event.get("restart") else ""
        _wrap(screen, 14, "", f"{arrow}{again}: {clean(event.get('reason', ''))}", COLOURS.get(after))
    elif kind.startswith("switch."):
        _wrap(screen, 14, f"{clean(event.get('rule'))}  ", clean(event.get("reason", "")))
    elif event.get("unit") and event.get("reason"):
        _wrap(screen, 14, "", clean(event["reason"]))


def _show_decision(screen: Screen, event: Event) -> None:
    rule, outcome = clean(event.get("rule")), clean(event.get("outcome"))
    _wrap(screen, 14, "decided ", f"{rule}: {outcome}", BOLD)
    told = inputs_in_words(event.get("inputs", {}))
    if told:
        _wrap(screen, 14, "   from ", told, DIM)


def inputs_in_words(inputs: Event) -> str:
    """What a decision was made from, in the order in which it was said."""
    left = {str(key): value for key, value in inputs.items()}
    told: list[str] = []

    def take(*keys: str) -> list[Any] | None:
        return [left.pop(key) for key in keys] if all(key in left for key in keys) else None

    if (found := take("ran_for", "good_run")) is not None:
        told.append(f"ran for {lasted_short(found[0])} (a good run: {lasted_short(found[1])})")
    if (found := take("exit_code")) is not None:
        told.append(f"exit code {found[0]}")
    if (found := take("failures")) is not None:
        told.append(f"failure {found[0]} in a row")
    if (found := take("helped", "flapping_at", "window")) is not None:
        told.append(f"helped {found[0]} times in {lasted(float(found[2]))} (flapping at {found[1]})")
    if (found := take("restarts", "burst", "interval")) is not None:
        told.append(f"{found[0]} restarts in {lasted(float(found[2]))} (limit {found[1] or 'none'})")
    if (found := take("base_delay", "jitter", "drawn", "delay")) is not None:
        told.append(f"delay {found[0]:g} s, with jitter {found[3]:g} s")
        left.pop("jitter", None)
    told += [f"{clean(key).replace('_', ' ')} {_value(value)}" for key, value in left.items() if value not in {"", 0}]
    return "; ".join(told)


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else clean(value)


def lasted_short(span: object) -> str:
    """Below a minute with the fraction that decides."""
    value = float(str(span))
    return f"{value:.3g} s" if value < 60 else lasted(value)
