"""What can happen to a host: each kind of bad luck by name, and where it may strike. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """What is looked after, and by whom."""

    ATTACHED = "attached"
    """``dockwarden boot --engine``: an engine that somebody else starts again when it dies, behind a proxy."""
    EMBEDDED = "embedded"
    """``dockwarden boot``: System Docker is a child of the supervisor."""
    WATCH = "watch"
    """``dockwarden watch``: containers that people made, behind a proxy."""
    USER = "user"
    """``dockwarden boot`` with consoles, a storage container and user Docker, which is an engine of its own."""


class Kind(StrEnum):
    KILL = "kill"
    KILL_ENGINE = "kill-engine"
    KILL_CONTAINERD = "kill-containerd"
    KILL_SUPERVISOR = "kill-supervisor"
    STOP = "stop"
    START = "start"
    RESTART = "restart"
    PAUSE = "pause"
    RENAME = "rename"
    REMOVE = "remove"
    FREEZE = "freeze"
    FREEZE_ENGINE = "freeze-engine"
    FREEZE_CONTAINERD = "freeze-containerd"
    FREEZE_SUPERVISOR = "freeze-supervisor"
    CUT = "cut"
    DELAY = "delay"
    TRUNCATE = "truncate"
    DUPLICATE = "duplicate"
    SWALLOW = "swallow"
    GARBLE = "garble"
    STATE_FULL = "state-full"
    STATE_READ_ONLY = "state-read-only"
    ENGINE_FULL = "engine-full"
    RELOAD = "reload"
    CLOCK = "clock"
    KILL_USER_ENGINE = "kill-user-engine"
    KILL_USER_CONTAINERD = "kill-user-containerd"
    FREEZE_USER_ENGINE = "freeze-user-engine"
    FREEZE_USER_CONTAINERD = "freeze-user-containerd"
    USER_PROGRAM_AWAY = "user-program-away"
    STALE_PID_FILES = "stale-pid-files"
    SWITCH_CONSOLE = "switch-console"
    SWITCH_STORAGE = "switch-storage"
    SWITCH_ENGINE = "switch-engine"


BOOTS = frozenset({Shape.ATTACHED, Shape.EMBEDDED, Shape.USER})
PROXIED = frozenset({Shape.ATTACHED, Shape.WATCH})
ALL = frozenset(Shape)
USER = frozenset({Shape.USER})
WATCHED = frozenset({Shape.WATCH})


@dataclass(frozen=True, slots=True)
class About:
    """``what``: for the reader of a plan."""

    what: str
    shapes: frozenset[Shape] = ALL
    on_unit: bool = False
    """It strikes one unit."""
    lasts: tuple[float, float] = (0, 0)
    """Seconds, at least and at most; both 0: it is over at once."""
    weight: int = 2
    """How often it is drawn, beside the others."""
    outage: bool = False
    """While it lasts, and until the host is calm again, what happens may be told late or never."""


KINDS: dict[Kind, About] = {
    Kind.KILL: About("SIGKILL to a container's main process", on_unit=True, weight=8),
    Kind.KILL_ENGINE: About("SIGKILL to dockerd", weight=2, outage=True),
    Kind.KILL_CONTAINERD: About("SIGKILL to its containerd", weight=2, outage=True),
    Kind.KILL_SUPERVISOR: About("SIGKILL to the supervisor, which is started again", weight=2, outage=True),
    Kind.STOP: About("docker stop", on_unit=True, weight=3),
    Kind.START: About("docker start", on_unit=True, weight=3),
    Kind.RESTART: About("docker restart", on_unit=True, weight=3),
    Kind.PAUSE: About("docker pause, then unpause", on_unit=True, lasts=(1, 6)),
    Kind.RENAME: About("docker rename, and back", on_unit=True, lasts=(0.5, 4)),
    Kind.REMOVE: About("docker rm -f; on a watched host it is made again", on_unit=True),
    Kind.FREEZE: About("SIGSTOP to a container's main process, then SIGCONT", on_unit=True, lasts=(2, 8)),
    Kind.FREEZE_ENGINE: About("the same to dockerd", lasts=(5, 40), outage=True),
    Kind.FREEZE_CONTAINERD: About("the same to containerd", lasts=(5, 40), outage=True),
    Kind.FREEZE_SUPERVISOR: About("the same to the supervisor", lasts=(5, 40), outage=True),
    Kind.CUT: About("the proxy ends all connections, and takes none", PROXIED, lasts=(0.2, 5), outage=True),
    Kind.DELAY: About("the proxy holds every answer back", PROXIED, lasts=(1, 8), outage=True),
    Kind.TRUNCATE: About("the proxy ends each answer after some bytes", PROXIED, lasts=(1, 6), outage=True),
    Kind.DUPLICATE: About("the proxy tells each event twice", PROXIED, lasts=(2, 10)),
    Kind.SWALLOW: About("the proxy keeps events to itself", PROXIED, lasts=(2, 10), outage=True),
    Kind.GARBLE: About("the proxy changes bytes of events", PROXIED, lasts=(1, 6), outage=True),
    Kind.STATE_FULL: About("the state directory is full", lasts=(2, 8)),
    Kind.STATE_READ_ONLY: About("the state directory is read-only", lasts=(2, 8)),
    Kind.ENGINE_FULL: About("the engine's disk is full", lasts=(2, 8), outage=True),
    Kind.RELOAD: About("a changed configuration and SIGHUP", BOOTS),
    Kind.CLOCK: About("the supervisor's clock jumps an hour ahead, then back", lasts=(2, 20), outage=True, weight=1),
    Kind.KILL_USER_ENGINE: About("SIGKILL to the user's dockerd", USER),
    Kind.KILL_USER_CONTAINERD: About("SIGKILL to its containerd", USER),
    Kind.FREEZE_USER_ENGINE: About("SIGSTOP to the user's dockerd, then SIGCONT", USER, lasts=(5, 40)),
    Kind.FREEZE_USER_CONTAINERD: About("the same to its containerd", USER, lasts=(5, 40)),
    Kind.USER_PROGRAM_AWAY: About("the user's dockerd dies while its program is away", USER, lasts=(2, 8)),
    Kind.STALE_PID_FILES: About("the same while its pid files name a process that lives", USER),
    Kind.SWITCH_CONSOLE: About("another console", USER),
    Kind.SWITCH_STORAGE: About("another storage context", USER),
    Kind.SWITCH_ENGINE: About("another engine for the user", USER),
}


def drawable(shape: Shape) -> dict[Kind, About]:
    """What may happen to such a host."""
    return {kind: about for kind, about in KINDS.items() if shape in about.shapes}
