"""The volumes that a new container goes on with: nobody is moved from a full volume to an empty one. Pure.

An engine makes an anonymous volume for each place that a definition or its image declares and nothing fills. Where the
predecessor has one, the new container gets the same one, by name. Where the predecessor itself is gone, those who took
volumes from it still have them, and what it was last seen with is remembered.
"""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from supervisor.engine.decode import as_map, as_text
from units.unit import anonymous


def with_volumes(body: Mapping[str, Any], found: Any, given: Collection[str] = ()) -> dict[str, Any]:
    """A create's body with the predecessor's own volumes at all places that the body itself does not fill.

    Args:
        body: Of the create call, as it was defined.
        found: An inspect of the predecessor.
        given: Places that those in ``VolumesFrom`` fill.
    """
    kept = {
        place: mount
        for place, mount in _volumes(found)
        if place not in _taken(given) and (place in declared(body) or _is_own(place, mount, found))
    }
    return _placed(body, kept)


def with_volumes_of_takers(
    body: Mapping[str, Any],
    name: str,
    takers: Iterable[Any],
    *,
    image: Collection[str] = (),
    given: Collection[str] = (),
) -> dict[str, Any]:
    """A create's body over the volumes that others took from the container of this name, which is gone.

    Args:
        body: Of the create call, as it was defined.
        name: What the takers call it.
        takers: Inspects of containers, the one whose volumes count first.
        image: Places that its image declares.
        given: Places that those in its own ``VolumesFrom`` fill.
    """
    wanted = (declared(body) | _taken(image)) - _taken(given)
    kept: dict[str, Mapping[str, Any]] = {}
    for taker in takers:
        host = as_map(as_map(taker).get("HostConfig"))
        if name in donors(host):
            filled = frozenset(_filled(host))
            for place, mount in _volumes(taker):
                if place in wanted and place not in filled:
                    kept.setdefault(place, mount)
    return _placed(body, {place: {**mount, "RW": True} for place, mount in kept.items()})


def with_remembered(
    body: Mapping[str, Any], volumes: Iterable[tuple[str, str]], given: Collection[str] = ()
) -> dict[str, Any]:
    """A create's body with these volumes, at places that neither it fills nor those in ``VolumesFrom``."""
    left = {_place(place): {"Name": name} for place, name in volumes}
    return _placed(body, {place: mount for place, mount in left.items() if place not in _taken(given)})


def donors(host: Any) -> list[str]:
    """The containers that it has volumes from."""
    return [as_text(entry).partition(":")[0] for entry in _listed(host, "VolumesFrom")]


def places(found: Any) -> frozenset[str]:
    """Where a container has something mounted."""
    return frozenset(as_text(as_map(mount).get("Destination")) for mount in _listed(found, "Mounts"))


def declared(body: Any) -> frozenset[str]:
    """Places for which an engine would make an anonymous volume. A bind without a source is one, too."""
    host = as_map(as_map(body).get("HostConfig"))
    nameless = (as_map(mount).get("Target") for mount in _listed(host, "Mounts") if _nameless(as_map(mount)))
    bare = (entry for entry in _listed(host, "Binds") if ":" not in as_text(entry))
    return _taken((*as_map(as_map(body).get("Volumes")), *nameless, *bare))


def _placed(body: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A volume that the definition asks for without a name gets its name there, others are binds."""
    host = dict(as_map(body.get("HostConfig")))
    left = {place: mount for place, mount in volumes.items() if place not in frozenset(_filled(host))}
    mounts = []
    for mount in _listed(host, "Mounts"):
        kept = left.pop(_place(mount.get("Target")), None) if _nameless(as_map(mount)) else None
        mounts.append(mount if kept is None else {**mount, "Source": kept["Name"]})
    if mounts:
        host["Mounts"] = mounts
    binds = [entry for entry in _listed(host, "Binds") if ":" in as_text(entry) or _place(entry) not in left]
    binds += [
        f"{mount['Name']}:{place}" + ("" if mount.get("RW", True) else ":ro") for place, mount in sorted(left.items())
    ]
    if binds or "Binds" in host:
        host["Binds"] = binds or None
    return {**body, "HostConfig": host}


def _volumes(found: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for mount in _listed(found, "Mounts"):
        if as_map(mount).get("Type") == "volume" and as_text(as_map(mount).get("Name")):
            yield _place(as_map(mount).get("Destination")), as_map(mount)


def _is_own(place: str, mount: Mapping[str, Any], found: Any) -> bool:
    """An anonymous volume of its own, not one that others gave it; also one that we had carried over before."""
    if not anonymous(as_text(mount.get("Name"))):
        return False
    return place in declared(as_map(found).get("Config")) or place in frozenset(
        _filled(as_map(as_map(found).get("HostConfig")), nameless=True)
    )


def _filled(host: Mapping[str, Any], *, nameless: bool = False) -> Iterator[str]:
    """Places that a definition fills itself. ``nameless``: also with a volume without a name."""
    for entry in _listed(host, "Binds"):
        parts = as_text(entry).split(":")
        if nameless or len(parts) > 1:
            yield _place(parts[1] if len(parts) > 1 else parts[0])
    for mount in _listed(host, "Mounts"):
        if nameless or not _nameless(as_map(mount)):
            yield _place(as_map(mount).get("Target"))
    yield from map(_place, as_map(host.get("Tmpfs")))


def _nameless(mount: Mapping[str, Any]) -> bool:
    return mount.get("Type") == "volume" and not mount.get("Source")


def _listed(value: Any, key: str) -> list[Any]:
    found = as_map(value).get(key)
    return found if isinstance(found, list) else []


def _taken(found: Iterable[Any]) -> frozenset[str]:
    return frozenset(map(_place, found))


def _place(path: Any) -> str:
    """As engines write it in ``Mounts``: ``/data/`` is ``/data``."""
    return posixpath.normpath(as_text(path) or "/")
