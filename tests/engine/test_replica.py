"""A container that is made anew is the same again: many shapes, made, made anew, and compared, on real engines."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import structlog

from supervisor.config.foreign_labels import WatchPolicy, spec_of
from supervisor.engine.discovery import AllContainers
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError
from supervisor.runtime.recreate import Recreations
from tests.bed import images
from tests.bed.bed import Bed, Engine
from tests.bed.http import Docker
from tests.bed.leftovers import traces
from tests.long import long_but
from tests.simulation.running import Memory
from units.quantities import Seconds
from units.spec import ContainerId
from units.unit import Failure

IMAGE = "shapes:1"
LIVES = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done"]
SILENT = structlog.wrap_logger(None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50))


@dataclass(frozen=True)
class Shape:
    """What a create call may look like, beside image and command."""

    config: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Networks to be connected after the create, and how."""
    first: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The network of the create, and how."""


MEGA = 1024 * 1024
SHAPES: dict[str, Shape] = {
    "plain": Shape(),
    "words": Shape({"Env": ["A=1", "B=two words"], "Labels": {"a": "b", "com.docker.compose.project": "p"}}),
    "entrypoint": Shape({"Entrypoint": ["sh", "-c"], "Cmd": [LIVES[2]]}),
    "user": Shape({"User": "nobody", "WorkingDir": "/tmp"}),
    "terminal": Shape({"Tty": True, "OpenStdin": True, "AttachStdin": False}),
    "stop": Shape({"StopSignal": "SIGINT", "StopTimeout": 3}),
    "names": Shape({"Hostname": "host-of-mine", "Domainname": "example.test"}),
    "check": Shape({"Healthcheck": {"Test": ["CMD", "true"], "Interval": 5 * 10**9, "Retries": 2}}),
    "no-check": Shape({"Healthcheck": {"Test": ["NONE"]}}),
    "ports": Shape(
        {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}},
        {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}], "53/udp": [{"HostPort": ""}]}},
    ),
    "binds": Shape({}, {"Binds": ["/etc:/mnt/etc:ro", "cache:/cache", "/tmp:/mnt/tmp:rshared"]}),
    "mounts": Shape(
        {},
        {
            "Mounts": [
                {"Type": "volume", "Source": "data", "Target": "/data", "ReadOnly": True},
                {"Type": "volume", "Target": "/unnamed"},
                {"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": MEGA}},
                {"Type": "bind", "Source": "/etc", "Target": "/mnt/e", "ReadOnly": True},
            ]
        },
    ),
    "anonymous": Shape({"Volumes": {"/mine": {}}}),
    "bare-bind": Shape({}, {"Binds": ["/bare"]}),
    "mac": Shape({"MacAddress": "02:42:ac:11:00:66"}),
    "eth0": Shape({}, {"Sysctls": {"net.ipv4.conf.eth0.log_martians": "1"}}),
    "tmpfs": Shape({}, {"Tmpfs": {"/run": "size=1m"}, "ShmSize": 8 * MEGA}),
    "limits": Shape(
        {},
        {
            "Memory": 64 * MEGA,
            "MemorySwap": 128 * MEGA,
            "MemoryReservation": 32 * MEGA,
            "PidsLimit": 50,
            "CpuShares": 77,
        },
    ),
    "cpu": Shape({}, {"CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0"}),
    "ulimits": Shape({}, {"Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}]}),
    "sysctls": Shape({}, {"Sysctls": {"net.ipv4.ip_forward": "0"}}),
    "caps": Shape({}, {"CapAdd": ["NET_ADMIN"], "CapDrop": ["MKNOD"]}),
    "security": Shape({}, {"SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": True, "Tmpfs": {"/tmp": ""}}),
    "privileged": Shape({}, {"Privileged": True}),
    "devices": Shape(
        {}, {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": "rwm"}]}
    ),
    "logs": Shape({}, {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}}),
    "policy": Shape({}, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
    "always": Shape({}, {"RestartPolicy": {"Name": "unless-stopped"}}),
    "itself": Shape({"Volumes": {"/kept": {}}}, {"AutoRemove": True}),
    "init": Shape({}, {"Init": True}),
    "dns": Shape(
        {}, {"Dns": ["192.0.2.1"], "DnsSearch": ["test"], "DnsOptions": ["ndots:2"], "ExtraHosts": ["db:192.0.2.9"]}
    ),
    "groups": Shape({}, {"GroupAdd": ["999", "nogroup"], "OomScoreAdj": 100}),
    "host-network": Shape({}, {"NetworkMode": "host"}),
    "no-network": Shape({}, {"NetworkMode": "none"}),
    "joined": Shape({}, {"NetworkMode": "container:peer"}),
    "joined-pid": Shape({}, {"PidMode": "container:peer"}),
    "host-pid": Shape({}, {"PidMode": "host", "IpcMode": "host", "UTSMode": "host"}),
    "shared-ipc": Shape({}, {"IpcMode": "shareable"}),
    "linked": Shape({}, {"Links": ["peer:database"]}),
    "taker": Shape({}, {"VolumesFrom": ["donor:ro"]}),
    "network": Shape(
        {},
        {"NetworkMode": "one"},
        first={"one": {"Aliases": ["web", "www"], "IPAMConfig": {"IPv4Address": "10.77.1.9"}}},
    ),
    "networks": Shape(
        {},
        {"NetworkMode": "one"},
        networks={"two": {"Aliases": ["inner"], "IPAMConfig": {"IPv4Address": "10.77.2.9"}}, "three": {}},
        first={"one": {}},
    ),
}


@pytest.fixture(scope="module")
def engine(engine_version: str) -> Iterator[Engine]:
    with Bed() as bed:
        engine = bed.engine(engine_version, bridge=True).start()
        docker = Docker(engine.socket)
        archive = images.busybox_tar(bed.dir / "i.tar", IMAGE, env={"FROM": "image"}, labels={"of": "image"})
        docker.load(archive)
        for number, name in enumerate(("one", "two", "three"), 1):
            ipam = {"Config": [{"Subnet": f"10.77.{number}.0/24"}]}
            status, answer = docker.post("/networks/create", {"Name": name, "IPAM": ipam, "CheckDuplicate": True})
            assert status == 201, answer
        for name in ("peer", "donor"):
            make(docker, name, Shape({}, {"Binds": ["donated:/donated"]} if name == "donor" else {}))
        yield engine
    assert traces(bed.ident) == []


def make(docker: Docker, name: str, shape: Shape) -> str:
    body = {"Image": IMAGE, "Cmd": LIVES, **shape.config, "HostConfig": dict(shape.host)}
    if shape.first:
        body["NetworkingConfig"] = {"EndpointsConfig": shape.first}
    status, made = docker.post(f"/containers/create?name={name}", body)
    assert status == 201, made
    for network, endpoint in shape.networks.items():
        status, answer = docker.post(f"/networks/{network}/connect", {"Container": name, "EndpointConfig": endpoint})
        assert status == 200, answer
    status, answer = docker.post(f"/containers/{name}/start")
    assert status == 204, answer
    return str(made["Id"])


async def unheard(_container: ContainerId) -> None:
    """Nobody waits for it."""


def anew(engine: Engine, container: str, *, grace: float = 5.0) -> str:
    async def main() -> str:
        adapter = DockerEngine(f"unix://{engine.socket}", lens=AllContainers(partial(spec_of, wants=WatchPolicy())))
        try:
            recreations = Recreations(adapter, Memory(), SILENT)
            return await recreations.recreate(ContainerId(container), {}, Seconds(grace), unheard)
        finally:
            await adapter.close()

    return asyncio.run(main())


OWN = (
    "Id",
    "Created",
    "State",
    "Path",
    "Args",
    "ResolvConfPath",
    "HostnamePath",
    "HostsPath",
    "LogPath",
    "GraphDriver",
)
"""What the engine makes for each container itself."""
GIVEN = (
    "EndpointID",
    "Gateway",
    "IPAddress",
    "IPPrefixLen",
    "MacAddress",
    "NetworkID",
    "DNSNames",
    "GlobalIPv6Address",
)
"""What a network gives out."""


def described(found: dict[str, Any]) -> dict[str, Any]:
    """An inspect without what must differ; anonymous volumes are named now, and are the same volumes."""
    text = json.dumps(found).replace(found["Id"][:12], "ID")
    told: dict[str, Any] = {key: value for key, value in json.loads(text).items() if key not in OWN}
    networks = told.pop("NetworkSettings")["Networks"]
    told["networks"] = {
        name: {key: value for key, value in one.items() if key not in GIVEN} for name, one in networks.items()
    }
    host = told["HostConfig"]
    named = {f"{one['Name']}:{one['Destination']}" for one in told["Mounts"] if one["Type"] == "volume"}
    host["Binds"] = sorted({bind for bind in host["Binds"] or () if ":" in bind} - named) or None
    for mount in host.get("Mounts") or ():
        mount.pop("Source", None)
    told["Mounts"] = sorted(
        (
            {key: one.get(key) for key in ("Type", "Name", "Source", "Destination", "RW", "Propagation")}
            for one in told["Mounts"]
        ),
        key=lambda one: str(one["Destination"]),
    )
    told.pop("RestartCount", None)
    return told


USUAL = (
    *("plain", "entrypoint", "stop", "check", "ports", "mounts", "anonymous", "mac"),
    *("limits", "policy", "joined", "linked", "taker", "networks"),
)
"""Of each kind one; the others are long."""


@pytest.mark.parametrize("name", long_but(*USUAL, values=SHAPES))
def test_it_is_the_same_again(engine: Engine, name: str) -> None:
    docker, shape = Docker(engine.socket), SHAPES[name]
    old = make(docker, f"it-{name}", shape)
    before = docker.inspect(old)
    new = anew(engine, old)
    after = docker.inspect(new)
    assert new != old
    assert after["State"]["Running"]
    assert described(after) == described(before)
    names = [row["Names"] for row in docker.get("/containers/json?all=1")[1]]
    assert not any(old[:12] in text for row in names for text in row)
    docker.delete(f"/containers/{new}?force=1")


def test_what_is_in_an_anonymous_volume_stays(engine: Engine) -> None:
    """Also in one of a container that removes itself, and its volumes, when it stops."""
    docker = Docker(engine.socket)
    for name in ("anonymous", "itself"):
        place = next(iter(SHAPES[name].config["Volumes"]))
        old = make(docker, f"keeps-{name}", SHAPES[name])
        _, made = docker.post(f"/containers/{old}/exec", {"Cmd": ["sh", "-c", f"echo mine >{place}/note"]})
        docker.raw("POST", f"/exec/{made['Id']}/start", {})
        new = anew(engine, anew(engine, old))
        _, made = docker.post(f"/containers/{new}/exec", {"Cmd": ["cat", f"{place}/note"], "AttachStdout": True})
        assert b"mine" in docker.raw("POST", f"/exec/{made['Id']}/start", {})[1]
        docker.delete(f"/containers/{new}?force=1")


def test_a_new_one_that_does_not_start_leaves_all_as_it_was(engine: Engine) -> None:
    """Its port is taken by somebody else in the moment it would be free."""
    docker = Docker(engine.socket)
    old = make(docker, "unlucky", Shape({}, {"Binds": ["/tmp/gone-later:/mnt/x"]}))
    docker.raw("POST", "/volumes/prune")

    async def main() -> None:
        adapter = DockerEngine(f"unix://{engine.socket}", lens=AllContainers(partial(spec_of, wants=WatchPolicy())))
        real = adapter.start

        async def refuse(container: ContainerId) -> None:
            if container != old:
                found = docker.inspect(container)
                raise EngineError(Failure.OTHER, f"start {found['Name']}: refused")
            await real(container)

        adapter.start = refuse  # type: ignore[method-assign]
        try:
            with pytest.raises(EngineError, match="refused"):
                await Recreations(adapter, Memory(), SILENT).recreate(ContainerId(old), {}, Seconds(2), unheard)
        finally:
            await adapter.close()

    asyncio.run(main())
    found = docker.inspect("unlucky")
    assert (found["Id"], found["State"]["Running"]) == (old, True)
    assert len([row for row in docker.get("/containers/json?all=1")[1] if "/unlucky" in row["Names"][0]]) == 1


@pytest.mark.long
@pytest.mark.parametrize("step", ["renamed", "created", "stopped", "running"])
def test_one_that_was_cut_off_is_finished_by_the_next(engine: Engine, step: str) -> None:
    """Killed after each step: one container of that name runs afterwards, and no other is left."""
    docker, name = Docker(engine.socket), f"cut-{step}"
    old = make(docker, name, Shape({"Labels": {"mine": "yes"}}))
    docker.post(f"/containers/{old}/rename?name={old[:12]}_{name}")
    if step != "renamed":
        docker.post(f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": LIVES, "Labels": {"mine": "yes"}})
    if step in {"stopped", "running"}:
        docker.post(f"/containers/{old}/stop?t=1")
    if step == "running":
        docker.post(f"/containers/{name}/start")
    store = Memory()
    store.state = {"recreations": {name: {"old": old, "running": True}}}

    async def main() -> None:
        adapter = DockerEngine(f"unix://{engine.socket}", lens=AllContainers(partial(spec_of, wants=WatchPolicy())))
        try:
            await Recreations(adapter, store, SILENT).finish()
        finally:
            await adapter.close()

    asyncio.run(main())
    found = docker.inspect(name)
    assert found["State"]["Running"]
    assert (found["Id"] == old) == (step != "running")
    assert store.state == {"recreations": {}}
    rows = [row for row in docker.get("/containers/json?all=1")[1] if name in row["Names"][0]]
    assert len(rows) == 1
