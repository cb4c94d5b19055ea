"""Which version of the engine's API is spoken, and what differs by it: decided at each connection. Pure, and light.

Engines refuse a version below their lowest and above their highest (Docker 29 serves nothing below 1.44), so none can
be pinned. Calls speak low rather than high: an inspect below 1.52 still tells what was asked for. The event stream is
read from 1.52 on where that is served: below it, Docker 29 rounds the stamps of its events.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from units.records import dataclass

API = "1.41"
"""The lowest version that has all we need: every engine from Docker 20.10 on serves it, or a later one."""
STREAM = "1.52"
"""The first version whose events have exact stamps on every engine that serves it."""
TRIED = "1.55"
"""The newest version that an engine was tried with."""


def as_numbers(version: str) -> tuple[int, ...]:
    """To compare; an engine that says nonsense is taken for the oldest."""
    return tuple(int(part[:9]) for part in re.findall("[0-9]+", version[:32])) or (0,)


def too_old(highest: str) -> bool:
    """An engine that serves this version at most cannot be used."""
    return as_numbers(highest) < as_numbers(API)


def untried(highest: str) -> bool:
    return as_numbers(highest) > as_numbers(TRIED)


def higher(*versions: str) -> str:
    return max(versions, key=as_numbers)


@dataclass(frozen=True, slots=True)
class Speech:
    """The versions that one connection speaks."""

    calls: str = API
    events: str = API
    highest: str = API

    def create(self, body: str) -> str:
        """For a create: raised to the version that serves all it asks for, as far as this engine goes."""
        wanted = higher(self.calls, *(since for since, asks in NEEDS if asks(body)))
        return wanted if as_numbers(wanted) <= as_numbers(self.highest) else higher(self.calls, self.highest)


def speech(lowest: str, highest: str) -> Speech:
    """What to speak with an engine that serves these versions; engines before 1.12 name no lowest."""
    calls = higher(API, lowest) if re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", lowest) else API
    streams = as_numbers(highest) >= as_numbers(STREAM)
    return Speech(calls, higher(calls, STREAM) if streams else calls, highest)


def _at(*path: str) -> Callable[[str], bool]:
    """Whether a create's body has something at this path; ``*`` stands for each entry of a list or a mapping."""

    def asks(body: str) -> bool:
        return path[-1] in body and any(_found(json.loads(body), path))

    return asks


def _found(value: Any, path: tuple[str, ...]) -> Iterator[bool]:
    if not path:
        yield bool(value)
    elif path[0] == "*":
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from _found(each, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _found(value[path[0]], path[1:])


def _mounts_image(body: str) -> bool:
    host = json.loads(body).get("HostConfig") if '"image"' in body else None
    mounts = host.get("Mounts") if isinstance(host, Mapping) else None
    return any(isinstance(mount, Mapping) and mount.get("Type") == "image" for mount in mounts or ())


def _binds_read_only(body: str) -> bool:
    host = json.loads(body).get("HostConfig") if '"Binds"' in body or '"ReadOnly"' in body else None
    if not isinstance(host, Mapping):
        return False
    mounts = (mount for mount in host.get("Mounts") or () if isinstance(mount, Mapping))
    return any(mount.get("Type") == "bind" and mount.get("ReadOnly") is True for mount in mounts) or any(
        "ro" in str(bind).rpartition(":")[2].split(",") for bind in host.get("Binds") or ()
    )


def _joins_several(body: str) -> bool:
    told = json.loads(body).get("NetworkingConfig") if "EndpointsConfig" in body else None
    return isinstance(told, Mapping) and len(told.get("EndpointsConfig") or ()) > 1


NEEDS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("1.43", _at("HostConfig", "Annotations")),
    ("1.44", _at("Healthcheck", "StartInterval")),
    ("1.44", _joins_several),
    ("1.44", _binds_read_only),
    ("1.44", _at("NetworkingConfig", "EndpointsConfig", "*", "MacAddress")),
    ("1.45", _at("HostConfig", "Mounts", "*", "VolumeOptions", "Subpath")),
    ("1.48", _mounts_image),
    ("1.48", _at("NetworkingConfig", "EndpointsConfig", "*", "GwPriority")),
)
"""What a create may ask for, and the first version that does not drop it without a word.

A bind that is read-only is so with all that is mounted below it from 1.44 on: the same on every engine that can.
"""
