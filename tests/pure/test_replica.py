"""The create call of a container that is made anew, as far as versions of the API differ."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from supervisor.config.foreign_labels import WatchPolicy, spec_of
from supervisor.engine.decode import portrait, ties
from supervisor.engine.discovery import AllContainers
from supervisor.engine.docker import DockerEngine
from supervisor.engine.replica import OPTION, keeps_name, replica
from supervisor.runtime.recreate import Recreations
from tests.docker_29 import FakeDocker
from tests.simulation.running import SILENT, Memory
from units.quantities import Seconds
from units.spec import ContainerId

ID = "ab" * 32
MAC, OTHER = "02:42:ac:11:00:66", "9e:00:00:00:00:01"


def found(config: dict[str, Any] | None = None, networks: dict[str, Any] | None = None, **host: Any) -> dict[str, Any]:
    return {
        "Id": ID,
        "Name": "/web",
        "Image": "sha256:1",
        "State": {"Running": True},
        "Config": {"Image": "image", "Hostname": ID[:12], **(config or {})},
        "HostConfig": {"NetworkMode": "one", **host},
        "NetworkSettings": {"Networks": networks if networks is not None else {"one": {}}},
    }


def made(container: dict[str, Any], dialect: str, names: dict[ContainerId, str] | None = None) -> tuple[Any, Any]:
    wanted = replica(container, {}, names or {}, dialect=dialect)
    return json.loads(wanted.body), {name: json.loads(text) for name, text in wanted.networks}


def endpoints(body: Any) -> Any:
    return body["NetworkingConfig"]["EndpointsConfig"]


def test_the_mac_address_is_the_endpoints() -> None:
    """From 1.44 on; a create of 1.52 or later ignores the one of the container without a word."""
    body, _ = made(found({"MacAddress": MAC}), "1.53")
    assert ("MacAddress" in body, endpoints(body)) == (False, {"one": {"MacAddress": MAC}})
    body, _ = made(found({"MacAddress": MAC}), "1.41")
    assert (body["MacAddress"], endpoints(body)) == (MAC, {"one": {}})


def test_further_networks_are_in_the_create_with_their_mac_addresses() -> None:
    """A connect takes none before 1.54. One that is made of the IP address was not asked for."""
    networks = {
        "one": {"MacAddress": "02:42:0a:4d:01:09", "IPAddress": "10.77.1.9"},
        "two": {"MacAddress": OTHER, "IPAddress": "10.77.2.9", "Aliases": ["inner", ID[:12]]},
        "three": {"MacAddress": "02:42:0a:4d:03:02", "IPAddress": "10.77.3.2"},
    }
    body, later = made(found(networks=networks), "1.44")
    assert (endpoints(body), later) == (
        {"one": {}, "two": {"Aliases": ["inner"], "MacAddress": OTHER}, "three": {}},
        {},
    )
    body, later = made(found(networks=networks), "1.43")
    assert (endpoints(body), later) == ({"one": {}}, {"two": {"Aliases": ["inner"]}, "three": {}})


def test_the_gateway_priority_is_kept() -> None:
    body, _ = made(found(networks={"one": {"GwPriority": 0}, "two": {"GwPriority": 7}}), "1.48")
    assert endpoints(body) == {"one": {}, "two": {"GwPriority": 7}}


def test_sysctls_of_a_device_are_an_option_of_its_endpoint() -> None:
    """From 1.48 on they are refused elsewhere. Which network a device belongs to is sure for two of them only."""
    sysctls = {"net.ipv4.conf.eth0.log_martians": "1", "net.ipv4.ip_forward": "0", "net.ipv6.conf.eth1.forwarding": "1"}
    both = {"one": {"DriverOpts": {OPTION: "net.ipv4.conf.IFNAME.forwarding=1", "a": "b"}}, "two": {}}
    body, _ = made(found(networks=both, Sysctls=sysctls), "1.48")
    assert body["HostConfig"]["Sysctls"] == {"net.ipv4.ip_forward": "0"}
    first = "net.ipv4.conf.IFNAME.forwarding=1,net.ipv4.conf.IFNAME.log_martians=1"
    assert endpoints(body) == {
        "one": {"DriverOpts": {OPTION: first, "a": "b"}},
        "two": {"DriverOpts": {OPTION: "net.ipv6.conf.IFNAME.forwarding=1"}},
    }
    body, _ = made(found(networks={"one": {}}, Sysctls=sysctls), "1.48")
    assert "net.ipv6.conf.eth1.forwarding" in body["HostConfig"]["Sysctls"]
    assert made(found(networks=both, Sysctls=sysctls), "1.47")[0]["HostConfig"]["Sysctls"] == sysctls


def test_an_id_is_nobodys_wish() -> None:
    """Its own, and one of an earlier container, as host name, as alias, and as Podman's variable."""
    old = ContainerId("cd" * 32)
    container = found(
        {"Hostname": old[:12], "Env": [f"HOSTNAME={ID[:12]}", "HOSTNAME=mine", "A=1"]},
        {"one": {"Aliases": ["web", ID[:12], old[:12]]}},
    )
    body, _ = made(container, "1.41", {old: "web"})
    assert ("Hostname" in body, body["Env"], endpoints(body)) == (
        False,
        ["HOSTNAME=mine", "A=1"],
        {"one": {"Aliases": ["web"]}},
    )


def test_a_link_to_one_that_made_room_means_its_name() -> None:
    container = found(Links=["/0123456789ab_db:/web/database", "/peer:/web/peer"])
    assert made(container, "1.41")[0]["HostConfig"]["Links"] == ["db:database", "peer:peer"]
    assert portrait(container).links == ("db", "peer")


def test_newer_fields_are_kept() -> None:
    check = {"Test": ["CMD", "true"], "StartInterval": 10**9}
    body, _ = made(found({"Healthcheck": check}, Annotations={"a": "b"}), "1.44")
    assert (body["Healthcheck"], body["HostConfig"]["Annotations"]) == (check, {"a": "b"})


def test_an_image_is_named_while_the_name_means_it() -> None:
    """A list says so: no image has to be asked for."""
    assert keeps_name(found(), [{"Id": "other", "Image": "sha256:1"}, {"Id": ID, "Image": "image"}])
    assert not keeps_name(found(), [{"Id": ID, "Image": "sha256:1"}])
    assert json.loads(replica(found(), {}, {}, renamed=True).body)["Image"] == "sha256:1"


def test_an_address_is_the_bridges_where_no_other_is_told() -> None:
    """From 1.52 on an inspect has it at its network only."""
    settings = {"Networks": {"bridge": {"IPAddress": "172.17.0.9"}, "one": {"IPAddress": "10.0.0.1"}}}
    assert ties({"NetworkSettings": settings}).address == "172.17.0.9"
    assert ties({"NetworkSettings": {**settings, "IPAddress": "172.17.0.2"}}).address == "172.17.0.2"


@pytest.mark.parametrize(("lowest", "highest"), [("1.44", "1.53"), ("1.40", "1.57"), ("1.24", "1.51")])
def test_a_container_of_docker_29_is_the_same_again(tmp_path: Path, lowest: str, highest: str) -> None:
    """MAC addresses, gateway priority, sysctls, annotations, start interval; and no image is asked for."""
    docker = FakeDocker(lowest=lowest, highest=highest)
    old = docker.add("web")
    check = {"Test": ["CMD", "true"], "StartInterval": 10**9}
    docker.containers[old] |= {
        "Config": {"Image": "image", "Labels": {}, "MacAddress": MAC, "Healthcheck": check, "Env": ["A=1"]},
        "HostConfig": {
            "NetworkMode": "one",
            "Annotations": {"a": "b"},
            "Sysctls": {"net.ipv4.conf.eth0.log_martians": "1", "net.ipv4.ip_forward": "0"},
        },
        "NetworkSettings": {
            "Networks": {
                "one": {"MacAddress": MAC, "IPAddress": "10.77.1.9", "GwPriority": 5},
                "two": {"MacAddress": OTHER, "IPAddress": "10.77.2.9"},
            }
        },
    }

    async def nothing(_made: ContainerId) -> None: ...

    async def main() -> str:
        async with docker.serve(tmp_path / "s.sock") as url:
            engine = DockerEngine(url, lens=AllContainers(partial(spec_of, wants=WatchPolicy())))
            try:
                recreations = Recreations(engine, Memory(), SILENT)
                return await recreations.recreate(ContainerId(old), {}, Seconds(1), nothing)
            finally:
                await engine.close()

    new = asyncio.run(main())
    assert list(docker.containers) == [new]
    made = docker.containers[new]
    assert (made["Name"], made["State"]["Running"], made["Config"]["MacAddress"]) == ("/web", True, MAC)
    assert (made["Config"]["Healthcheck"], made["HostConfig"]["Annotations"]) == (check, {"a": "b"})
    assert made["HostConfig"]["Sysctls"] == {"net.ipv4.ip_forward": "0"}
    assert made["NetworkSettings"]["Networks"] == {
        "one": {
            "GwPriority": 5,
            "MacAddress": MAC,
            "DriverOpts": {OPTION: "net.ipv4.conf.IFNAME.log_martians=1"},
        },
        "two": {"MacAddress": OTHER},
    }
    assert not [asked for asked in docker.requests if "/images/" in asked]
