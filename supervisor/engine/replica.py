"""Builds the create call that re-creates a container with its configuration, and only its references replaced. Pure.

An inspect has almost all fields of a create, in other places and mixed with generated values. Left out are generated
values (a host name or an alias that is the id, assigned addresses), and fields that are not allowed for a container in
another one's network.
"""

import json
import posixpath
from collections.abc import Collection, Mapping
from typing import Any

from supervisor.engine.decode import as_map, as_text, id_of, name_of
from supervisor.engine.port import Replica
from units.spec import ContainerId

JOINING = ("Hostname", "Domainname", "ExposedPorts", "MacAddress")
"""Fields that an engine refuses with another container's network."""
SHORT = 12
"""Length of the short id that engines use as a name."""


def replica(
    found: Any,
    image_id: str,
    joins: Mapping[ContainerId, ContainerId],
    names: Mapping[ContainerId, str],
    *,
    given: Collection[str] = (),
    dialect: str = "",
) -> Replica:
    """The create call for a container with the same configuration.

    Args:
        found: An answer of ``/containers/ID/json``.
        image_id: The id that its image's name has now; if it differs, the container's own image id is used.
        joins: Containers whose namespaces it joins, and their replacements.
        names: Names of removed containers: a reference by id becomes one by name.
        given: Mount points of the containers in ``VolumesFrom``: these volumes are not its own.
        dialect: The version of the API that ``found`` is in.
    """
    host = _host(found, joins, names, given)
    config = _config(found, image_id, host)
    first = {"default": "bridge"}.get(mode := as_text(host.get("NetworkMode")), mode)
    endpoints = _endpoints(found, first)
    body = {**config, "HostConfig": host}
    if first in endpoints:
        body["NetworkingConfig"] = {"EndpointsConfig": {first: endpoints[first]}}
    return Replica(
        name=name_of(found),
        body=json.dumps(body),
        networks=tuple((name, json.dumps(endpoint)) for name, endpoint in endpoints.items() if name != first),
        running=as_map(as_map(found).get("State")).get("Running") is True,
        fleeting=host.get("AutoRemove") is True,
        dialect=dialect,
    )


def donors(host: Any) -> list[str]:
    """The containers that it has volumes from."""
    return [as_text(entry).partition(":")[0] for entry in as_map(host).get("VolumesFrom") or ()]


def places(found: Any) -> frozenset[str]:
    """Where a container has something mounted."""
    return frozenset(as_text(as_map(mount).get("Destination")) for mount in as_map(found).get("Mounts") or ())


def image_of(found: Any) -> str:
    """The image's name in the container's configuration."""
    return as_text(as_map(as_map(found).get("Config")).get("Image"))


def _config(found: Any, image_id: str, host: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(as_map(as_map(found).get("Config")))
    own = as_text(as_map(found).get("Image"))
    if own and own != image_id:
        config["Image"] = own
    if not config.get("Entrypoint"):  # If left out, the image's would be used.
        config["Entrypoint"] = [""]
    # In the host's network an engine writes down the host's name at the create, and keeps it: so do we.
    if config.get("Hostname") == id_of(found)[:SHORT] or as_text(host.get("UTSMode")) == "host":
        config.pop("Hostname", None)
    mode = as_text(host.get("NetworkMode"))
    if mode.startswith("container:"):
        for key in JOINING:
            config.pop(key, None)
    return config


def _host(
    found: Any,
    joins: Mapping[ContainerId, ContainerId],
    names: Mapping[ContainerId, str],
    given: Collection[str],
) -> dict[str, Any]:
    host = dict(as_map(as_map(found).get("HostConfig")))
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        kind, colon, held = as_text(host.get(key)).partition(":")
        if kind == "container" and colon:
            host[key] = f"container:{_successor(held, joins, names)}"
    host["VolumesFrom"] = [_donor(entry, joins, names) for entry in host.get("VolumesFrom") or ()] or None
    host["Links"] = [_link(entry) for entry in host.get("Links") or ()] or None
    if as_text(host.get("NetworkMode")).startswith("container:"):
        host["Links"] = None
    mounts = [dict(as_map(mount)) for mount in host.get("Mounts") or ()]
    placed = [as_map(mount) for mount in as_map(found).get("Mounts") or ()]
    for mount in mounts:  # A volume without a name was given one by the engine.
        if mount.get("Type") == "volume" and not mount.get("Source"):
            mount["Source"] = next(
                (one.get("Name") for one in placed if one.get("Destination") == _place(mount.get("Target"))), ""
            )
    if mounts:
        host["Mounts"] = mounts
    host["Binds"] = [*(host.get("Binds") or ()), *_anonymous(found, host, placed, given)] or None
    return host


def _anonymous(
    found: Any, host: Mapping[str, Any], placed: list[Mapping[str, Any]], given: Collection[str]
) -> list[str]:
    """Anonymous volumes, the image's own included: reused by name at the same places."""
    declared = {_place(place) for place in as_map(as_map(as_map(found).get("Config")).get("Volumes"))}
    taken = {_place(as_text(entry).split(":")[1]) for entry in host.get("Binds") or () if ":" in as_text(entry)}
    taken |= {_place(as_map(mount).get("Target")) for mount in host.get("Mounts") or ()}
    taken |= {_place(place) for place in given}
    return [
        f"{one['Name']}:{one['Destination']}" + ("" if one.get("RW", True) else ":ro")
        for one in placed
        if one.get("Type") == "volume" and one.get("Destination") in declared and one["Destination"] not in taken
    ]


def _place(path: Any) -> str:
    """As engines write it in ``Mounts``: ``/data/`` is ``/data``."""
    return posixpath.normpath(as_text(path) or "/")


def _successor(held: str, joins: Mapping[ContainerId, ContainerId], names: Mapping[ContainerId, str]) -> str:
    return joins.get(ContainerId(held)) or names.get(ContainerId(held)) or held


def _donor(entry: Any, joins: Mapping[ContainerId, ContainerId], names: Mapping[ContainerId, str]) -> str:
    held, colon, mode = as_text(entry).partition(":")
    return _successor(held, joins, names) + colon + mode


def _link(entry: Any) -> str:
    """``/db:/app/alias`` -> ``db:alias``."""
    target, _, alias = as_text(entry).partition(":")
    return f"{target.lstrip('/')}:{alias.rpartition('/')[2]}"


def _endpoints(found: Any, first: str) -> dict[str, dict[str, Any]]:
    """By the network's name; the first one by what the container itself calls it, which may be its id."""
    networks = as_map(as_map(as_map(found).get("NetworkSettings")).get("Networks"))
    own = id_of(found)[:SHORT]
    endpoints = {}
    for name, endpoint in networks.items():
        if name in {"host", "none"}:
            continue
        told = as_map(endpoint)
        kept = {key: told[key] for key in ("IPAMConfig", "Links", "DriverOpts") if told.get(key)}
        aliases = [alias for alias in told.get("Aliases") or () if alias != own]
        called = first if first and as_text(told.get("NetworkID")).startswith(first) else name
        endpoints[called] = {**kept, **({"Aliases": aliases} if aliases else {})}
    return endpoints
