"""Builds the create call that re-creates a container with its configuration, and only its references replaced. Pure.

An inspect has almost all fields of a create, in other places and mixed with generated values. Left out are generated
values (a host name or an alias that is the id, assigned addresses), and fields that are not allowed for a container in
another one's network. What newer versions of the API take at another place is moved there.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from supervisor.engine.api_version import as_numbers
from supervisor.engine.decode import as_map, as_text, id_of, name_of
from supervisor.engine.names import SHORT, lasting
from supervisor.engine.port import Replica
from supervisor.engine.volumes import with_volumes
from units.spec import ContainerId

JOINING = ("Hostname", "Domainname", "ExposedPorts", "MacAddress")
"""Fields that an engine refuses with another container's network."""
KEPT = ("IPAMConfig", "Links", "DriverOpts", "GwPriority")
"""What was asked of an endpoint; all else in it was assigned."""
ENDPOINTS, SYSCTLS = as_numbers("1.44"), as_numbers("1.48")
"""From when on a create takes all endpoints, each with its MAC address; and refuses sysctls of a network's device."""
OPTION = "com.docker.network.endpoint.sysctls"


def replica(
    found: Any,
    joins: Mapping[ContainerId, ContainerId],
    names: Mapping[ContainerId, str],
    *,
    given: Collection[str] = (),
    renamed: bool = False,
    dialect: str = "",
) -> Replica:
    """The create call for a container with the same configuration.

    Args:
        found: An answer of ``/containers/ID/json``.
        joins: Containers whose namespaces it joins, and their replacements.
        names: Names of removed containers: a reference by id becomes one by name.
        given: Mount points of the containers in ``VolumesFrom``: these volumes are not its own.
        renamed: Its image's name means another image now, or none: the container's own image is used, by id.
        dialect: The version of the API that ``found`` is in.
    """
    ids = _Ids(found, names)
    host = _host(found, joins, names)
    config = _config(found, host, ids, renamed=renamed)
    first = {"default": "bridge"}.get(mode := as_text(host.get("NetworkMode")), mode)
    endpoints = _endpoints(found, first, ids)
    spoken = as_numbers(dialect)
    if spoken >= ENDPOINTS:
        _move_macs(found, config, endpoints, first)
    if spoken >= SYSCTLS:
        _move_sysctls(host, endpoints, first)
    body = with_volumes({**config, "HostConfig": host}, found, given)
    at_once = endpoints if spoken >= ENDPOINTS else {name: one for name, one in endpoints.items() if name == first}
    if at_once:
        body["NetworkingConfig"] = {"EndpointsConfig": at_once}
    return Replica(
        name=name_of(found),
        body=json.dumps(body),
        networks=tuple((name, json.dumps(one)) for name, one in endpoints.items() if name not in at_once),
        running=as_map(as_map(found).get("State")).get("Running") is True,
        fleeting=host.get("AutoRemove") is True,
        dialect=dialect,
    )


class _Ids:
    """The short ids of the container and of all known ones: an engine's, or an earlier copy's, are nobody's wish."""

    def __init__(self, found: Any, names: Mapping[ContainerId, str]) -> None:
        self._short = {id_of(found)[:SHORT], *(container[:SHORT] for container in names)}

    def __contains__(self, text: object) -> bool:
        return text in self._short


def fullest(newest: Any, usual: Any) -> dict[str, Any]:
    """Merges two inspects of one container, in the engine's newest API version and in ours: each has fields of its own.

    Older versions omit newer fields (start interval, annotations). Newer ones do not tell a requested MAC address.
    """
    config = dict(as_map(as_map(newest).get("Config")))
    if asked := as_text(as_map(as_map(usual).get("Config")).get("MacAddress")):
        config["MacAddress"] = asked
    return {**as_map(newest), "Config": config}


def keeps_name(found: Any, rows: Any) -> bool:
    """Whether its image's name means its image still: a list has the image's id there when it does not."""
    listed = (as_map(row) for row in rows if id_of(row) == id_of(found))
    return all(as_text(row.get("Image")) != as_text(as_map(found).get("Image")) for row in listed)


def _config(found: Any, host: Mapping[str, Any], ids: _Ids, *, renamed: bool) -> dict[str, Any]:
    config = dict(as_map(as_map(found).get("Config")))
    if renamed:
        config["Image"] = as_text(as_map(found).get("Image"))
    if not config.get("Entrypoint"):  # If left out, the image's would be used.
        config["Entrypoint"] = [""]
    # In the host's network an engine writes down the host's name at the create, and keeps it: so do we.
    if config.get("Hostname") in ids or as_text(host.get("UTSMode")) == "host":
        config.pop("Hostname", None)
    if config.get("Env"):  # Podman writes the host name down here, too.
        config["Env"] = [pair for pair in config["Env"] if as_text(pair).removeprefix("HOSTNAME=") not in ids]
    mode = as_text(host.get("NetworkMode"))
    if mode.startswith("container:"):
        for key in JOINING:
            config.pop(key, None)
    return config


def _host(found: Any, joins: Mapping[ContainerId, ContainerId], names: Mapping[ContainerId, str]) -> dict[str, Any]:
    host = dict(as_map(as_map(found).get("HostConfig")))
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        kind, colon, held = as_text(host.get(key)).partition(":")
        if kind == "container" and colon:
            host[key] = f"container:{_successor(held, joins, names)}"
    host["VolumesFrom"] = [_donor(entry, joins, names) for entry in host.get("VolumesFrom") or ()] or None
    host["Links"] = [_link(entry) for entry in host.get("Links") or ()] or None
    if as_text(host.get("NetworkMode")).startswith("container:"):
        host["Links"] = None
    return host


def _successor(held: str, joins: Mapping[ContainerId, ContainerId], names: Mapping[ContainerId, str]) -> str:
    return joins.get(ContainerId(held)) or names.get(ContainerId(held)) or held


def _donor(entry: Any, joins: Mapping[ContainerId, ContainerId], names: Mapping[ContainerId, str]) -> str:
    held, colon, mode = as_text(entry).partition(":")
    return _successor(held, joins, names) + colon + mode


def _link(entry: Any) -> str:
    """``/db:/app/alias`` -> ``db:alias``. The one it means may have made room for its successor."""
    target, _, alias = as_text(entry).partition(":")
    return f"{lasting(target.lstrip('/'))}:{alias.rpartition('/')[2]}"


def _endpoints(found: Any, first: str, ids: _Ids) -> dict[str, dict[str, Any]]:
    """By the network's name; the first one by what the container itself calls it, which may be its id."""
    networks = as_map(as_map(as_map(found).get("NetworkSettings")).get("Networks"))
    endpoints = {}
    for name, endpoint in networks.items():
        if name in {"host", "none"}:
            continue
        told = as_map(endpoint)
        kept = {key: told[key] for key in KEPT if told.get(key)}
        aliases = [alias for alias in told.get("Aliases") or () if alias not in ids]
        called = first if first and as_text(told.get("NetworkID")).startswith(first) else name
        endpoints[called] = {**kept, **({"Aliases": aliases} if aliases else {})}
    return endpoints


def _move_macs(found: Any, config: dict[str, Any], endpoints: Mapping[str, dict[str, Any]], first: str) -> None:
    """Into the endpoints. Of further networks an inspect does not tell an address that was asked for from a random one.

    One that is made of the IP address (engines before 28) was not asked for, and would be another one's some day.
    """
    asked = config.pop("MacAddress", "")
    if asked and first in endpoints:
        endpoints[first]["MacAddress"] = asked
    told = as_map(as_map(as_map(found).get("NetworkSettings")).get("Networks"))
    for name, endpoint in endpoints.items():
        mac = as_text(as_map(told.get(name)).get("MacAddress"))
        if name != first and mac and mac != _derived(as_text(as_map(told.get(name)).get("IPAddress"))):
            endpoint["MacAddress"] = mac


def _derived(address: str) -> str:
    """The MAC address that engines before 28 make of an IPv4 address."""
    parts = [int(part) for part in address.split(".") if part.isdecimal()]
    return "02:42:" + ":".join(f"{part:02x}" for part in parts)


def _move_sysctls(host: dict[str, Any], endpoints: Mapping[str, dict[str, Any]], first: str) -> None:
    """Those of a network's device become an option of its endpoint; which device is which is sure for two networks."""
    others = [name for name in endpoints if name != first]
    devices = {"eth0": first, **({"eth1": others[0]} if len(others) == 1 else {})}
    for key, value in dict(as_map(host.get("Sysctls"))).items():
        found = re.fullmatch(r"(net\.\w+\.\w+\.)(eth[01])(\..+)", key)
        endpoint = endpoints.get(devices.get(found[2], "")) if found else None
        if found is None or endpoint is None:
            continue
        host["Sysctls"] = {other: kept for other, kept in host["Sysctls"].items() if other != key}
        options = dict(as_map(endpoint.get("DriverOpts")))
        said = f"{found[1]}IFNAME{found[3]}={value}"
        endpoint["DriverOpts"] = {**options, OPTION: ",".join(filter(None, (options.get(OPTION), said)))}
