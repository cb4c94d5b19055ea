"""Maps an engine's HTTP status and message to a Failure. Pure."""

import re
from typing import Any, Final

from supervisor.engine.access import plain
from supervisor.engine.decode import as_map, as_text
from units.bounded import from_json
from units.unit import Failure

_SENTENCES: Final = (
    ("is already in use by container", Failure.NAME_TAKEN),
    ("id already in use", Failure.HELD),
    ("container with id exists", Failure.HELD),
    ("no space left on device", Failure.EXHAUSTED),
    ("disk quota exceeded", Failure.EXHAUSTED),
    ("cannot allocate memory", Failure.EXHAUSTED),
    ("too many open files", Failure.EXHAUSTED),
    ("error while dialing", Failure.EXHAUSTED),  # So says gRPC when containerd is away, and the next two when it
    ("error reading from server", Failure.EXHAUSTED),  # went in the middle of a call.
    ("transport is closing", Failure.EXHAUSTED),
    ("no such image", Failure.IMAGE_MISSING),
    ("cannot join network of a non running container", Failure.CONFLICT),
    ("namespace path: lstat /proc/", Failure.CONFLICT),
    ("is not running", Failure.NOT_RUNNING),
    ("invalid signal", Failure.OTHER),
    ("address already in use", Failure.OTHER),  # A fixed address that another container has, which may go.
    ("already exists in network", Failure.OTHER),
    ("bind source path does not exist", Failure.ABSENT),
    ("unable to find user", Failure.UNRECOVERABLE),
    ("cannot unmarshal", Failure.UNRECOVERABLE),
    ("invalid mode", Failure.UNRECOVERABLE),
)
"""What 20.10 and 26.1 say, in lower case; their status is 500 for half of it. A signal that the engine does not know
leaves a running container behind, so it must not count as a refusal for good; nor must the sudden end of the process
whose namespace was just to be joined."""
SPEECH = "client version "
"""How an engine begins to refuse the version of the API. That is the engine's matter and no unit's: another engine has
taken its place, and the next connection asks which version it serves."""
STARTS = ("start", "restart")
_STALE_ENDPOINT: Final = re.compile(r"endpoint with name (\S+) already exists in network (\S+)")
_BY_STATUS: Final = {
    304: Failure.CONFLICT,
    401: Failure.REFUSED,
    403: Failure.REFUSED,
    404: Failure.NOT_FOUND,
    405: Failure.REFUSED,
    409: Failure.CONFLICT,
}
_SPECIAL: Final = {
    ("create", 400): Failure.UNRECOVERABLE,
    ("create", 404): Failure.UNRECOVERABLE,
    ("start", 400): Failure.UNRECOVERABLE,
    ("start", 404): Failure.UNRECOVERABLE,
    ("restart", 400): Failure.UNRECOVERABLE,
    ("restart", 404): Failure.UNRECOVERABLE,
    ("pull", 400): Failure.UNRECOVERABLE,
    ("pull", 404): Failure.IMAGE_MISSING,
}


def trouble(line: Any) -> str:
    """The error in a line of ``/images/create`` or ``/images/load``; empty if there is none."""
    told = as_map(line)
    if "error" not in told and "errorDetail" not in told:
        return ""
    return (
        as_text(as_map(told.get("errorDetail")).get("message"))
        or as_text(told.get("error"))
        or "an error without a message"
    )


def sentence(body: str) -> str:
    """The message of an error's body: JSON, or plain text when the API version itself is refused."""
    try:
        said = from_json(body)
    except ValueError:
        said = None
    return as_text(as_map(said).get("message")) or plain(body).strip()


def stale_endpoint(message: str) -> tuple[str, str] | None:
    """The network and the name of an endpoint that an ended run has left, which prevents a start."""
    found = _STALE_ENDPOINT.search(message)
    return None if found is None else (found[2], found[1])


def failure(status: int, message: str, what: str, subject: str = "") -> Failure:
    """The Failure that an error answer stands for.

    Args:
        status: Of HTTP; 0 when the refusal came in the middle of a stream.
        message: The engine's message.
        what: The call's name, as in the metrics: ``create``, ``start``, ``signal``.
        subject: The container of the call. "No such container" may also mean one that it joins, which may
            come back.
    """
    said = message.lower()
    if "no such container" in said:
        if what not in STARTS or subject.lower() in said.rpartition("no such container")[2]:
            return Failure.OTHER if what == "create" else Failure.NOT_FOUND
        # The container stores the id of the one to join, which never exists again.
        return Failure.STALE if re.search("[0-9a-f]{64}", said) else Failure.OTHER
    if re.search("cannot link to a non running container: /?[0-9a-f]{12}_", said):
        return Failure.STALE  # It links to one that has made room for its successor.
    if re.search("task .*already exists", said):
        return Failure.HELD
    if status == 400 and said.startswith(SPEECH):
        return Failure.UNREACHABLE
    for words, meaning in _SENTENCES:
        if words in said:
            return meaning
    return _SPECIAL.get((what, status)) or _BY_STATUS.get(status, Failure.OTHER)
