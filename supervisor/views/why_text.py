"""The text of ``dockwarden why``: the chain from the first event to the present state.

One block for each moment: when, what happened (with the engine's own stamp), what was decided and from what, and what
became of the unit. Rounds that look alike are shown once. Nothing is wider than 80 columns unless the terminal is.
"""

import textwrap
import time
from collections.abc import Sequence

from supervisor.logs.timestamps import seconds
from supervisor.views.text import BOLD, COLOURS, DIM, YELLOW, Screen, clean, clock, lasted, since
from supervisor.views.why_blocks import Event, blocks, fold, headline, inputs_in_words

WIDEST = 100
NARROW = 80


def show(screen: Screen, answer: Event) -> None:
    _show_state(screen, answer)
    screen.line()
    if not answer["chain"]:
        screen.line("No events recorded for it.")
        return
    screen.line(screen.paint("What happened, oldest first:", BOLD))
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
        _field(screen, "output", line)


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


def _show_block(screen: Screen, block: Sequence[Event], name: str) -> None:
    first = block[0]
    stamp = f"[engine {clock(first['engine_time'])}]" if first.get("engine_time") else ""
    at = clock(first.get("time"))
    head = headline(block, name)
    _wrap(screen, 0, f"{at:<14}", f"{head} {stamp}".rstrip())
    whose = name
    for event in block:
        unit = clean(event.get("unit", ""))
        if unit and unit != whose:
            screen.line(f"            {screen.paint(unit, BOLD)}:")
        whose = unit or whose
        _show_event(screen, event)


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
