"""Words for people: durations, the names of facts, and the word that a mistyped one may have been. Pure."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache


def duration(seconds: float) -> str:
    """A span as text, rounded: ``0.2 s``, ``60 s``, ``5 min``, ``3 min 20 s``, ``2 d 4 h``."""
    if seconds <= 60:
        return f"{max(seconds, 0.0):.3g} s"
    left = round(seconds)
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])


FACTS: Mapping[str, str] = {
    "ContainerDied": "died",
    "ContainerStarted": "started",
    "ContainerCreated": "container created",
    "ContainerDestroyed": "container removed",
    "ContainerKilled": "signal sent",
    "ContainerOomed": "OOM kill",
    "ContainerPaused": "paused",
    "ContainerUnpaused": "unpaused",
    "ContainerStopped": "stopped through the engine",
    "ContainerLooked": "container inspected",
    "ContextLost": "storage context lost",
    "HealthReported": "health reported",
    "PeerChanged": "dependency changed",
    "ImagePulled": "image pulled",
    "PullFailed": "image pull failed",
    "CreateFailed": "create failed",
    "SuccessorMade": "its new container is made",
    "SuccessorFailed": "its new container could not be made",
    "StartFailed": "start failed",
    "SignalFailed": "stop failed",
    "LeftCleared": "nothing is left of the last run",
    "ClearFailed": "clearing failed",
    "RetryDue": "retry due",
    "KillDue": "stop timeout over",
    "VerdictDue": "no stop followed",
    "DeadlineDue": "deadline over",
    "LookDue": "checked again",
    "StartAsked": "start requested",
    "StopAsked": "stop requested",
    "RestartAsked": "restart requested",
    "ResetAsked": "reset-failed requested",
    "StopRevoked": "stop came from the engine's shutdown",
    "SpecChanged": "definition changed",
    "DrainAsked": "stop for shutdown",
    "HurryAsked": "immediate shutdown",
    "SnapshotTaken": "snapshot taken",
    "EngineLost": "engine lost",
    "EngineBack": "engine back",
    "ConfigRead": "configuration read",
    "ConfigRefused": "configuration refused",
    "TroubleTold": "trouble of the host",
    "ShutdownAsked": "shutdown requested",
    "ShutdownHurried": "shutdown hurried",
    "SwitchAsked": "switch requested",
    "SwitchChecked": "switch checked",
    "ChoiceKept": "choice saved",
    "ChoiceLost": "choice not saved",
    "SwitchDue": "switch step timed out",
    "UnitsMoved": "units changed",
}
"""The facts of ``units.events`` in words, for log, page, timeline and ``why``. The class names stay in JSON only."""


HOST_FACTS = frozenset(
    name for name in FACTS if name.startswith(("Engine", "Snapshot", "Config", "Shutdown", "Trouble"))
)
_FREE_TEXT = re.compile(r"\b(output|message|reason|problems|why|said)=")


def split_fact(fact: str) -> tuple[str, str]:
    """Words for a record's ``fact``, and the unit that it names when that is another one than the record's.

    ``ContainerDied exit_code=137 oom of vpn`` gives ``died (exit code 137, OOM)`` and ``vpn``.
    """
    said, root = fact, ""
    if not _FREE_TEXT.search(fact):  # Such a text may itself have an "of" in it.
        said, _, root = fact.partition(" of ")
    name, _, fields = said.partition(" ")
    free = _FREE_TEXT.search(fields)
    own = free.end() if free else len(fields)  # What follows stays as it is: secrets are found by their "name=".
    head = re.sub(r"(^| )([a-z_]+)=", lambda found: f"{found[1] and ', '}{found[2].replace('_', ' ')} ", fields[:own])
    fields = head + fields[own:]
    words = FACTS.get(name, name)
    fields = re.sub(r" oom$", ", OOM", fields)
    return f"{words} ({fields})" if fields else words, root


@lru_cache(maxsize=256)
def fact_in_words(fact: str) -> str:
    """A record's ``fact`` for people: ``vpn: died (exit code 137)``."""
    words, root = split_fact(fact)
    return f"{root}: {words}" if root else words


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """``did you mean 'image'?``; empty when no known word is near. ``most``: so many guesses at most."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

    close = get_close_matches(word[:100], list(known), most)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""
