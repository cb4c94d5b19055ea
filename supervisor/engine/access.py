"""Which calls to an engine are needed for what, and what is lost where somebody in between refuses one. Pure.

Socket proxies and authorization plugins let some calls through and refuse others. A refused call costs the one thing
that needs it; the host runs on without, and says so.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from supervisor.engine.api_version import API
from supervisor.engine.port import EngineInfo
from units.bounded import shortened
from units.records import dataclass

BARRED: Final = "barred"
"""The outcome of a call that somebody between us and the engine refused."""


@dataclass(frozen=True, slots=True)
class Need:
    operation: str
    """The call's name, as in the metrics."""
    calls: tuple[str, ...]
    """Method and path, without the version; ``*`` stands for a name or an id."""
    what: str
    without: str
    """What follows from a refusal, as a sentence's end."""
    settings: str
    """Of Tecnativa's docker-socket-proxy."""


_POST: Final = "`CONTAINERS=1 POST=1`"
NEEDS: Final = (
    Need("info", ("GET /version",), "the API's version", "it is taken from the answer to a ping", "`VERSION=1`"),
    Need(
        *("rootless", ("GET /info",), "whether the engine is rootless, for our own checks"),
        "the engine is taken for an ordinary one",
        "`INFO=1`",
    ),
    Need("ping", ("GET /_ping",), "whether the engine lives", "any answer counts as life", "`PING=1`"),
    Need("events", ("GET /events",), "changes at once", "changes are seen every 5 s only", "`EVENTS=1`"),
    Need("list", ("GET /containers/json",), "all", "no container is seen, and nothing is done", "`CONTAINERS=1`"),
    Need(
        *("inspect", ("GET /containers/*/json",), "labels, networks, exit codes"),
        "containers are known from the list only",
        "`CONTAINERS=1`",
    ),
    Need("logs", ("GET /containers/*/logs",), "`dockwarden logs`", "no output is shown", "`CONTAINERS=1`"),
    Need("start", ("POST /containers/*/start",), "starting", "nothing is started", f"{_POST} or `ALLOW_START=1`"),
    Need(
        *("restart", ("POST /containers/*/restart",), "restarting the unhealthy"),
        "unhealthy containers are not restarted",
        f"{_POST} or `ALLOW_RESTARTS=1`",
    ),
    Need("stop", ("POST /containers/*/stop",), "stopping", "nothing is stopped", f"{_POST} or `ALLOW_RESTARTS=1`"),
    Need(
        *("signal", ("POST /containers/*/kill",), "stopping units of `boot`"),
        "units are not stopped",
        f"{_POST} or `ALLOW_RESTARTS=1`",
    ),
    Need("create", ("POST /containers/create",), "re-creating", "nothing is made anew", _POST),
    Need("rename", ("POST /containers/*/rename",), "re-creating", "nothing is made anew", _POST),
    Need("remove", ("DELETE /containers/*",), "re-creating", "nothing is made anew", _POST),
    Need(
        *("connect", ("POST /networks/*/connect",), "re-creating what has several networks"),
        "further networks are not joined",
        "`NETWORKS=1 POST=1`",
    ),
    Need(
        *("disconnect", ("GET /networks/*", "POST /networks/*/disconnect"), "starts after the engine has lost a run"),
        "an endpoint that it left stays, and its start fails",
        "`NETWORKS=1 POST=1`",
    ),
    Need("image", ("GET /images/*/json",), "re-creating, units of `boot`", "images are not looked at", "`IMAGES=1`"),
    Need(
        *("files", ("GET /containers/*/archive",), "a switch to a console whose container is to be made"),
        "it is not seen beforehand whether user Docker could run there",
        _POST,
    ),
    Need("pull", ("POST /images/create",), "units of `boot`", "images are not pulled", "`IMAGES=1 POST=1`"),
    Need("load", ("POST /images/load",), "`boot --images`", "archives are not loaded", "`IMAGES=1 POST=1`"),
    Need(
        *("exec", ("POST /containers/*/exec", "POST /exec/*/start", "GET /exec/*/json"), "`exec` health checks"),
        "`exec` checks cannot be asked",
        "`CONTAINERS=1 EXEC=1 POST=1`",
    ),
)
JOINING: Final = frozenset({"create", "start", "restart"})
"""Calls that join networks."""
_OF_A_NETWORK: Final = re.compile("endpoint|network|address already in use")
_BY_OPERATION: Final = {need.operation: need for need in NEEDS}


def is_barred(status: int, said: str, operation: str) -> bool:
    """Whether an answer is not the engine's own.

    An engine never asks who we are, and forbids only what cannot be had of a network: an address that somebody has, a
    second endpoint of one name, what Swarm does not let a container join.
    """
    if status != 403:
        return status in {401, 405, 407}
    if "administrative rules" in said or said.startswith("authorization denied"):
        return True
    return operation != "connect" and not (operation in JOINING and _OF_A_NETWORK.search(said.lower()))


def plain(said: str) -> str:
    """A page of HTML, as proxies send them, as one line."""
    if not said.lstrip().startswith("<"):
        return said
    return " ".join(re.sub(r"<[^<>]*>", " ", said[:4096]).split())


def pinged(headers: Mapping[str, str]) -> EngineInfo:
    """What the head of a ping's answer says: enough to speak with an engine whose ``/version`` is refused.

    It names no lowest version, so the highest is spoken, which is served in any case.
    """
    api = headers.get("Api-Version", "")
    served = api if re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", api) else API
    version = re.search(r"Docker/([\w.+-]{1,40})", headers.get("Server", ""))
    return EngineInfo(version[1] if version else "", served, served)


class Barriers:
    """Which calls are refused on the way to the engine: told when one more is, and when one no longer is.

    Args:
        tell: gets the whole of it as a sentence; empty: nothing is refused.
        count: is called with each call's end.
    """

    def __init__(self, tell: Callable[[str], object], count: Callable[[str, str, float], None]) -> None:
        self._tell = tell
        self._count = count
        self._barred: set[str] = set()
        self._mixed: set[str] = set()
        """Let through for some containers and not for others: told as refused, once."""

    def called(self, operation: str, outcome: str, seconds: float) -> None:
        self._count(operation, outcome, seconds)
        if outcome == BARRED and operation not in self._barred:
            self._barred.add(operation)
            self._tell(sentence(self._barred))
        elif outcome == "ok" and operation in self._barred and operation not in self._mixed:
            self._barred.discard(operation)
            self._mixed.add(operation)
            self._tell(sentence(self._barred))


def sentence(barred: set[str]) -> str:
    """What is refused, and what follows."""
    if not barred:
        return ""
    told = "; ".join(
        f"{', '.join(_BY_OPERATION[one].calls)}: {_BY_OPERATION[one].without}"
        for one in sorted(barred & _BY_OPERATION.keys())
    )
    return shortened(f"a proxy or plugin before the engine refuses {told}", 1000)
