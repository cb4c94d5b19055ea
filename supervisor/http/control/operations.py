"""The descriptions of all requests of the control API: purpose, parameters, answers; one entry per route.

Loaded on the first request for the OpenAPI document.
"""

from dataclasses import dataclass
from typing import Any

from supervisor.http.control import story_types, types
from supervisor.http.control.commands import ASKS
from supervisor.http.control.logs import LEVELS
from supervisor.http.control.request import LONGEST_WAIT
from supervisor.http.control.waits import GOALS
from units.spec import Switchable

LAST = 9_999_999_999
"""Seconds since 1970; in the year 2286."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of the query's, or one that stands in the path."""

    name: str
    says: str
    type: Any = str
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    forms: tuple[dict[str, str], ...] = ()
    """What a text may look like, in JSON Schema's words: one of these."""
    default: object = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, described."""

    summary: str
    answer: Any
    """The type of its answer; of one line of it, if ``stream``."""
    query: tuple[Parameter, ...] = ()
    codes: tuple[int, ...] = ()
    """Errors besides 400, 403 and 503."""
    stream: bool = False
    """Lines of JSON."""
    events: bool = False
    """Or, if asked so, server-sent events."""
    media: str = "application/json"
    """Type of its answer's content."""
    also: tuple[int, ...] = ()
    """Codes of a good answer besides 200."""


PATH = {
    "name": Parameter("name", "name of a unit, a console, a storage context or an engine"),
    "verb": Parameter("verb", "the action", choices=tuple(ASKS)),
    "of": Parameter("of", "what can be switched", choices=tuple(Switchable)),
    "event": Parameter("event", "name of an event"),
}
"""What the parts in braces of the paths stand for."""

COUNT = (0, 999_999_999_999_999)
FOLLOW = Parameter("follow", "keep streaming new entries", bool)
SINCE = Parameter(
    "since",
    "since when: a span such as 10m or 2h ago, an ISO time, or seconds since 1970",
    forms=(
        {"pattern": r"^([0-9]{1,9}(s|m|min|h|d|w))+$"},
        {"format": "date-time"},
        {"pattern": r"^([0-9]{1,10})(?:\.([0-9]*))?$"},
    ),
)
WAIT = Parameter("wait", "seconds to wait for the outcome", float, (0, LONGEST_WAIT), default=0)

OPERATIONS: dict[str, Operation] = {
    "GET /v1/status": Operation("Everything at a glance", types.Status),
    "GET /v1/units": Operation("All units", tuple[types.Unit, ...]),
    "GET /v1/units/{name}": Operation("One unit", types.Unit, codes=(404,)),
    "GET /v1/units/{name}/why": Operation(
        "Why a unit is in its state, and what would change it", story_types.Why, (SINCE,), codes=(404,)
    ),
    "GET /v1/units/{name}/timeline.svg": Operation(
        "The same as a picture", str, (SINCE,), codes=(404,), media="image/svg+xml"
    ),
    "GET /v1/boot": Operation("How the host came up", story_types.Boot),
    "GET /v1/boot.svg": Operation("The same as a picture", str, media="image/svg+xml"),
    "GET /v1/units/{name}/wait": Operation(
        "Wait until a unit reaches a state",
        types.Waited,
        (
            Parameter("for", "the state to wait for", choices=tuple(GOALS), default="ready"),
            Parameter("timeout", "longest wait in seconds", float, (0, LONGEST_WAIT), default=0),
        ),
        codes=(404,),
    ),
    "GET /v1/units/{name}/logs": Operation(
        "What a unit's container wrote",
        story_types.OutputLine,
        (Parameter("tail", "the last so many lines", int, COUNT, default=100), FOLLOW),
        codes=(404, 409),
        stream=True,
    ),
    "GET /v1/events": Operation(
        "Recent events, and new ones",
        story_types.Event | story_types.Dropped,
        (
            FOLLOW,
            Parameter("unit", "only this unit"),
            Parameter("after", "only records after this seq", int, COUNT),
            Parameter("tail", "the last so many records", int, COUNT),
        ),
        codes=(404,),
        stream=True,
        events=True,
    ),
    "GET /v1/logs": Operation(
        "What was done and what containers wrote, in the order of their times",
        story_types.LogLine | story_types.Event | story_types.LogMark,
        (
            FOLLOW,
            Parameter("unit", "only this unit"),
            Parameter("since", "nothing before this time, in seconds since 1970", float, (0, LAST)),
            Parameter("until", "nothing after this time; it ends there, also with follow", float, (0, LAST)),
            Parameter("tail", "the last so many lines", int, COUNT),
            Parameter("level", "lowest of the records", choices=tuple(LEVELS), default="info"),
            Parameter("output", "without the records", bool),
        ),
        codes=(404,),
        stream=True,
    ),
    "GET /v1/graph": Operation("Dependencies between units, with their state", story_types.Graph),
    "GET /v1/version": Operation("The supervisor's version", types.Version),
    "GET /v1/openapi.json": Operation("This description", dict[str, Any]),
    "GET /v1/storage/{name}/check": Operation(
        "Whether a unit could be the storage context", types.Fit, codes=(404, 409)
    ),
    "GET /v1/engines": Operation("The engines that user Docker can run", types.Engines, codes=(409,)),
    "GET /v1/hooks": Operation("The host's hooks and their statistics", tuple[types.Hook, ...]),
    "POST /v1/hooks/reload": Operation("Read the hooks' directory again", tuple[types.Hook, ...]),
    "POST /v1/hooks/enable/{name}": Operation("Enable a hook", types.HookSwitched, codes=(404, 500)),
    "POST /v1/hooks/disable/{name}": Operation("Disable a hook", types.HookSwitched, codes=(404, 500)),
    "POST /v1/hooks/test/{event}": Operation(
        "Call hooks with a made-up event, or ask the gates of a point",
        tuple[types.HookTold, ...],
        (Parameter("unit", "the unit it is about"),),
        codes=(404,),
    ),
    "POST /v1/units/{name}/{verb}": Operation(
        "Start, stop or restart a unit, or clear its failures", types.Asked, (WAIT,), codes=(404, 409)
    ),
    "POST /v1/switch/{of}/{name}": Operation(
        "Switch to another console, storage context or engine, as one transaction",
        types.Switched,
        (
            WAIT,
            Parameter("force", "also while users are logged in to the console", bool),
            Parameter("anew", "re-create the current console", bool),
            Parameter("empty", "also when the container of that console was removed: in a new, empty one", bool),
        ),
        codes=(404, 409),
        also=(202,),
    ),
    "POST /v1/enable/{of}/{name}": Operation("Choose what the next boot uses", types.Enabled, codes=(404, 409)),
}
