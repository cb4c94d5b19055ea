"""Podman's Docker socket: what it says in other words than Docker, put into Docker's. Pure.

Podman 4.0 to 5.8 (4.3.1, 5.4.2 and 5.8.6 were run): ``health_status`` comes without the verdict behind it; from 5.x on
the verdict is a field of the event, before it only an inspect has it. 4.x filters deaths by the word ``died``. The list
tells no health, and ``stop`` is not always told.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from supervisor.engine.decode import as_map, as_text
from supervisor.engine.port import EngineMessage
from units.records import replace

HEALTH: Final = "health_status"
UNSEEN: Final = "a stop that is not told looks like an exit; without a verdict in its events health is inspected"
"""What cannot be seen through its socket, as a sentence."""
_ACTIONS: Final = {"died": "die", "remove": "destroy", "exec_died": "exec_die"}


def is_podman(version: Any) -> bool:
    """By the answer of ``/version``."""
    parts = as_map(version).get("Components")
    return any(
        "podman" in as_text(as_map(part).get("Name")).lower() for part in (parts if isinstance(parts, list) else ())
    )


def filters(asked: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Filters of the event stream, with the words of all its releases."""
    theirs = {docker: podman for podman, docker in _ACTIONS.items()}
    found = {key: list(values) for key, values in asked.items()}
    found["event"] = [*found.get("event", ()), *(theirs[one] for one in found.get("event", ()) if one in theirs)]
    return found


def translated(message: Any) -> Any:
    """A message of ``/events`` as Docker would say it."""
    told = as_map(message)
    action, colon, detail = as_text(told.get("Action")).partition(": ")
    action = _ACTIONS.get(action, action)
    if action == HEALTH and not detail:
        detail = as_text(told.get("HealthStatus"))
        colon = ": " if detail else ""
    return {**told, "Action": f"{action}{colon}{detail}"} if told else message


def doubted(heard: EngineMessage, message: Any) -> EngineMessage:
    """With the wish to look, where the message has not said what it is about."""
    silent = as_text(as_map(message).get("Action")) == HEALTH
    return replace(heard, doubt=f"{HEALTH} without a verdict") if silent and heard.fact is None else heard
