"""A reference to a container means whoever has the name that it had when it was joined."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from supervisor.config.foreign_labels import WatchPolicy, spec_of
from supervisor.engine.discovery import AllContainers
from tests.pure.story import Story
from units import events as fact
from units.commands import RecreateContainer
from units.events import Observed
from units.links import check
from units.spec import ContainerId, UnitName, Via
from units.unit import Phase
from units.world import new_world

KEYS = {Via.NET: "NetworkMode", Via.PID: "PidMode", Via.IPC: "IpcMode"}
STARTED = "2026-11-24T03:07:04Z"


class Host:
    """Containers as an engine tells them, and a core that watches."""

    def __init__(self) -> None:
        self.lens = AllContainers(partial(spec_of, wants=WatchPolicy(everything=True)))
        self.boxes: dict[str, dict[str, Any]] = {}
        self.story = Story(new_world((), check(()).links, watching=True))
        self.ids: Iterator[str] = (f"{number:064x}" for number in range(1, 100))

    def make(self, name: str, **host: Any) -> ContainerId:
        ident = next(self.ids)
        self.boxes[ident] = {
            "Id": ident,
            "Name": f"/{name}",
            "Created": f"2026-11-24T03:{len(self.boxes):02d}:00Z",
            "Config": {"Labels": {}},
            "HostConfig": host,
            "Mounts": [],
            "State": {"Status": "running", "Running": True, "StartedAt": STARTED},
        }
        return ContainerId(ident)

    def stop(self, ident: str) -> None:
        self.boxes[ident]["State"] = {"Status": "exited", "Running": False, "ExitCode": 0}

    def look(self) -> str:
        """A snapshot of them; what came of it."""
        rows = [
            {"Id": ident, "Names": [box["Name"]], "State": box["State"]["Status"], "Labels": {}}
            for ident, box in self.boxes.items()
        ]
        self.lens.prepare(json.loads(json.dumps(rows)))
        seen = (self.lens.inspected(box, 1_795_489_999.0) for box in self.boxes.values())
        told: tuple[Observed, ...] = tuple(one for one in seen if one is not None)
        if not self.story.world.engine_up:
            return self.story.connect(*told)
        return self.story.feed(fact.SnapshotTaken(told, "doubt", self.story.seq))

    def leaders(self, name: str) -> list[str]:
        return [edge.target for edge in self.story.unit(name).spec.dependencies]


def tied(host: Host, via: Via, owner: ContainerId) -> ContainerId:
    if via is Via.VOLUMES:
        return host.make("app", VolumesFrom=[owner])
    return host.make("app", **{KEYS[via]: f"container:{owner}"})


@pytest.mark.parametrize("via", [*KEYS, Via.VOLUMES])
def test_portainer_s_recreate(via: Via) -> None:
    """Stop, rename, create under the name, start, remove the old one: who was tied to it follows at once."""
    host = Host()
    old = host.make("vpn")
    app = tied(host, via, old)
    host.look()
    host.stop(old)
    host.look()
    host.boxes[old]["Name"] = "/vpn-old"
    host.look()
    assert host.leaders("app") == ["vpn-old"], "nobody has the name yet, and this one may be given it back"
    new = host.make("vpn")
    if via is Via.VOLUMES:
        host.boxes[new]["Mounts"] = [{"Destination": "/data", "Name": "anonymous"}]
    told = host.look()
    assert host.leaders("app") == ["vpn"]
    assert host.story.last is not None
    (order,) = (one for one in host.story.last.commands if isinstance(one, RecreateContainer))
    assert (order.unit, order.container) == ("app", app), told
    if via is not Via.VOLUMES:
        assert order.joins == ((old, new),)
    del host.boxes[old]
    host.look()
    host.look()
    assert host.leaders("app") == ["vpn"]
    assert [name for name in host.story.world.units if name.startswith("vpn")] == ["vpn"]


def links(host: Host, ident: str) -> Any:
    return host.lens.relinked(host.boxes[ident])["HostConfig"]["Links"]


@pytest.mark.parametrize("at_last", ["named as before", "gone"])
def test_portainer_s_recreate_with_a_legacy_link(at_last: str) -> None:
    """An engine tells the link by the present name of the old one, and perhaps not at all once that is gone."""
    host = Host()
    old = host.make("vpn")
    app = host.make("app", Links=["/vpn:/app/tunnel"])
    host.look()
    host.stop(old)
    host.boxes[old]["Name"] = "/vpn-old"
    host.boxes[app]["HostConfig"] = {"Links": ["/vpn-old:/app/tunnel"]}
    host.look()
    assert (host.leaders("app"), links(host, app)) == (["vpn-old"], ["/vpn-old:/app/tunnel"])
    host.make("vpn")
    assert "RecreateContainer" in host.look()
    assert (host.leaders("app"), links(host, app)) == (["vpn"], ["/vpn:/app/tunnel"])
    del host.boxes[old]
    if at_last == "gone":
        host.boxes[app]["HostConfig"] = {"Links": None}
    host.look()
    assert (host.leaders("app"), links(host, app)) == (["vpn"], ["/vpn:/app/tunnel"])


def test_a_link_to_one_that_is_just_being_replaced() -> None:
    host = Host()
    old = host.make("vpn")
    app = host.make("app", Links=["/vpn:/app/vpn"])
    host.look()
    host.boxes[old]["Name"] = f"/{old[:12]}_vpn"
    host.boxes[app]["HostConfig"] = {"Links": [f"/{old[:12]}_vpn:/app/vpn"]}
    host.make("vpn")
    host.look()
    assert (host.leaders("app"), links(host, app)) == (["vpn"], ["/vpn:/app/vpn"])


def test_one_that_was_only_renamed_keeps_its_friends() -> None:
    host = Host()
    old = host.make("vpn")
    tied(host, Via.NET, old)
    host.look()
    host.boxes[old]["Name"] = "/wireguard"
    told = host.look()
    assert host.leaders("app") == ["wireguard"]
    assert "Recreate" not in told
    assert "Restart" not in told


def test_a_new_one_that_was_made_under_another_name() -> None:
    """As updaters do that try the new one first: only then does it get the name."""
    host = Host()
    old = host.make("vpn")
    tied(host, Via.NET, old)
    host.look()
    new = host.make("vpn-new")
    host.look()
    host.stop(old)
    host.boxes[old]["Name"] = "/vpn-old"
    host.boxes[new]["Name"] = "/vpn"
    assert "RecreateContainer" in host.look()
    assert host.leaders("app") == ["vpn"]


def test_compose_s_way() -> None:
    """The new one is made as ``<id>_vpn``, and renamed when the old one is gone."""
    host = Host()
    old = host.make("vpn")
    tied(host, Via.NET, old)
    host.look()
    new = host.make(f"{old[:12]}_vpn")
    assert "Recreate" not in host.look()
    host.stop(old)
    host.look()
    del host.boxes[old]
    host.boxes[new]["Name"] = "/vpn"
    assert "RecreateContainer" in host.look()


def test_it_is_known_over_our_own_absence() -> None:
    host = Host()
    old = host.make("vpn")
    tied(host, Via.NET, old)
    host.look()
    names, joined = ({str(key): name for key, name in kept.items()} for kept in (host.lens.names, host.lens.joined))
    assert joined == {old: "vpn"}
    host.boxes[old]["Name"] = "/vpn-old"
    host.stop(old)
    host.make("vpn")
    host.lens = AllContainers(partial(spec_of, wants=WatchPolicy(everything=True)), names, joined)
    host.story = Story(new_world((), check(()).links, watching=True))
    host.look()
    assert host.leaders("app") == ["vpn"]


def test_what_nobody_refers_to_any_more_is_forgotten() -> None:
    host = Host()
    old = host.make("vpn")
    app = tied(host, Via.NET, old)
    host.look()
    del host.boxes[old], host.boxes[app]
    host.look()
    host.lens.forget(())
    assert (dict(host.lens.names), dict(host.lens.joined)) == ({}, {})


def test_a_new_container_is_looked_at_at_once() -> None:
    """Whom it means to others, only a look says."""
    host = Host()
    old = host.make("vpn")
    host.look()
    host.stop(old)
    del host.boxes[old]
    host.look()
    assert host.story.last is not None
    assert list(host.story.last.commands) == [], "what a snapshot tells asks for no other one"
    assert host.story.unit("vpn").phase is Phase.INACTIVE
    host.story.feed(fact.ContainerCreated(UnitName("vpn"), ContainerId("f" * 64)))
    assert host.story.last is not None
    assert "TakeSnapshot" in str(host.story.last.commands)
