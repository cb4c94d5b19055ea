"""The points at which hooks are called: input and answer of each, as a Protocol that answers five questions.

When is it called, after what, what cancels it, may it be called twice, what does failure do?
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from typing import Any, ClassVar, Protocol, TypeAlias

from hooks.happenings import LONGEST, Happened
from units.records import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """Something is about to be done."""

    point: ClassVar[str] = ""
    at: float
    """Seconds since 1970."""
    cause: str
    """The id that log, journal and ``why`` have for it."""
    reason: str
    """Why it is about to be done."""
    unit: str
    """For a switch: what is switched (``console``, ``storage`` or ``engine``)."""

    def as_dict(self) -> dict[str, Any]:
        return {"point": self.point, **asdict(self)}

    def as_json(self) -> str:
        return json.dumps(self.as_dict())

    def environment(self) -> Mapping[str, str]:
        """For a small script."""
        told = {one.name: getattr(self, one.name) for one in fields(self)} | {"point": self.point}
        return {f"DOCKWARDEN_{key.upper()}": _plain(value) for key, value in told.items()}


@dataclass(frozen=True, slots=True)
class Starting(Asked):
    """A unit is about to be started."""

    point: ClassVar[str] = "before_start"
    image: str
    container: str
    """First 12 characters of its id; empty: it is made first, with what is contributed now."""
    restarts: int


@dataclass(frozen=True, slots=True)
class Stopping(Asked):
    """A unit is about to be sent its stop signal."""

    point: ClassVar[str] = "before_stop"
    container: str
    by: str
    """Who wants it: ``person``, ``config``, ``health``, ``shutdown``; empty: it is started again afterwards."""
    shutdown: bool
    """The host shuts down: a veto is logged, and ignored."""


@dataclass(frozen=True, slots=True)
class Switching(Asked):
    """A switch has been checked, and is about to begin."""

    point: ClassVar[str] = "before_switch"
    target: str
    """What is to be chosen."""
    force: bool


@dataclass(frozen=True, slots=True)
class Veto:
    """No, and why. Not for ever: what is wanted is asked for again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """Yes, and with this in the container, if one is made now."""

    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    """As in the configuration: ``SOURCE:TARGET`` or ``SOURCE:TARGET:ro``."""


Answer: TypeAlias = Veto | Contribution | None
"""None: yes."""


class OnEvent(Protocol):
    """Called for an event (``@on``).

    When: soon after it happened; nothing waits for it, so the unit may have moved on meanwhile.
    After what: the orders that the event led to are on their way, and its line is in the log; one event after the
    other, in the order in which they happened.
    Cancelled by what: its limit, a reload that finds it gone, the end of the supervisor.
    May it be called twice: yes, when another Python hook had to be ended by force while it ran; ``cause`` and ``at``
    tell a repetition. Events are lost when 256 wait for it, and at the end of the supervisor.
    What does failure do: it is counted, and logged with what was printed; after 5 in a row the hook rests for 60 s,
    and what happens meanwhile waits for it. No unit is touched.
    """

    def __call__(self, event: Happened, /) -> Any: ...


class BeforeStart(Protocol):
    """Asked before a start (``@gate("before_start")``). May veto, and contribute environment and mounts.

    When: before a container is made, or before one that is there is started; once for making and starting together. For
    a unit that runs and needs a new container: before that is made, while it runs.
    After what: all units that it waits for are up, and its back-off is over. Its image may still have to be pulled.
    Cancelled by what: its limit. A stop that is asked meanwhile comes after its answer.
    May it be called twice: yes, for each start, again after a pull, and for one that was vetoed: 5 s later, then 10,
    up to 60.
    What does failure do: the start goes on, with a warning; ``strict`` makes it a veto. A veto is no crash: the unit
    is in ``backoff`` with the reason, or runs on in its present container; its restart budget is not charged.
    """

    def __call__(self, asked: Starting, /) -> Any: ...


class BeforeStop(Protocol):
    """Asked before a stop signal (``@gate("before_stop")``). May veto.

    When: before the first signal of a stop, for any reason; not before SIGKILL, not before stops within a switch.
    After what: after all that depends on the unit has ended, where the order of a shutdown says so.
    Cancelled by what: its limit. The unit's stop timeout begins with the signal; a shutdown's total deadline runs on.
    May it be called twice: yes; after a veto what still wants the stop asks again, health and re-link after 30 s.
    What does failure do: the stop goes on, with a warning; ``strict`` makes it a veto. After a veto the unit runs on as
    wanted, and the reason says so. When the host shuts down a veto is logged and ignored.
    """

    def __call__(self, asked: Stopping, /) -> Any: ...


class BeforeSwitch(Protocol):
    """Asked before a console, a storage context or an engine is switched (``@gate("before_switch")``). May veto.

    When: once, as the last of the checks, before anything is touched.
    After what: after the image is there, and room, and no user is at a terminal (or ``--force``).
    Cancelled by what: its limit, and the time that checking may take in all.
    May it be called twice: yes, for each switch that is asked for.
    What does failure do: the switch goes on, with a warning; ``strict`` makes it a veto. A veto refuses the switch,
    with the reason.
    """

    def __call__(self, asked: Switching, /) -> Any: ...


KINDS: tuple[type[Asked], ...] = (Starting, Stopping, Switching)
POINTS: Mapping[str, type[Asked]] = {kind.point: kind for kind in KINDS}
"""What a gate is given, by the point that it stands at."""


def answer_of(told: Any) -> Answer:
    """What a gate's answer means, from JSON. Raises ValueError for one that means nothing."""
    match told:
        case None:
            return None
        case {"veto": str(reason)}:
            return Veto(reason)
        case dict() if told.keys() <= {"environment", "mounts"}:
            environment, mounts = told.get("environment", {}), told.get("mounts", [])
            if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
                raise ValueError("'environment' has to be names and texts")
            if bad := [key for key in environment if not key or "=" in key or "\0" in key + environment[key]]:
                raise ValueError(f"no name of a variable: '{bad[0]}'")
            if not isinstance(mounts, list | tuple) or not all(_is_mount(mount) for mount in mounts):
                raise ValueError("'mounts' has to be a list of /SOURCE:/TARGET or /SOURCE:/TARGET:ro")
            return Contribution(environment, tuple(mounts))
        case _:
            raise ValueError(f"an answer that means nothing: {str(told)[:80]}")


def _is_mount(mount: object) -> bool:
    parts = mount.split(":") if isinstance(mount, str) else []
    return len(parts) in {2, 3} and bool(parts[0]) and parts[1].startswith("/") and parts[2:] in ([], ["ro"], ["rw"])


def sample(point: str, unit: str, at: float) -> Asked:
    """A question to try a gate with. Raises KeyError for a point that is none."""
    kind = POINTS[point]
    common: dict[str, Any] = {"at": at, "cause": "test", "unit": unit}
    common |= {"reason": "a test asked for by 'dockwarden hooks test'"}
    special: dict[str, dict[str, Any]] = {
        "before_start": {"image": "test", "container": "", "restarts": 0},
        "before_stop": {"container": "0" * 12, "by": "person", "shutdown": False},
        "before_switch": {"target": "test", "force": False},
    }
    return kind(**common, **special[point])


def _plain(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("\0", "")[:LONGEST]
