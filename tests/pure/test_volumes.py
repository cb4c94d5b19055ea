"""Which volumes a container that is made anew goes on with."""

from typing import Any

from supervisor.engine.volumes import with_remembered, with_volumes, with_volumes_of_takers

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


def mount(name: str, place: str, **more: Any) -> dict[str, Any]:
    return {"Type": "volume", "Name": name, "Source": f"/v/{name}", "Destination": place, "RW": True, **more}


def found(*mounts: dict[str, Any], declares: tuple[str, ...] = (), **host: Any) -> dict[str, Any]:
    return {"Config": {"Volumes": {place: {} for place in declares}}, "HostConfig": host, "Mounts": list(mounts)}


def body(*places: str, **host: Any) -> dict[str, Any]:
    return {"Image": "i", "Volumes": {place: {} for place in places}, "HostConfig": host}


def binds(made: dict[str, Any]) -> Any:
    return made["HostConfig"].get("Binds")


def test_an_anonymous_volume_goes_on_by_name() -> None:
    """That of the definition, of the image, and one that was carried over before: all but what the definition fills."""
    before = found(mount(ONE, "/data"), mount(TWO, "/of-image"), declares=("/data", "/of-image"))
    assert binds(with_volumes(body("/data/"), before)) == [f"{ONE}:/data", f"{TWO}:/of-image"]
    again = found(mount(ONE, "/data"), mount(TWO, "/of-image"), Binds=[f"{ONE}:/data", f"{TWO}:/of-image"])
    assert binds(with_volumes(body("/data"), again)) == [f"{ONE}:/data", f"{TWO}:/of-image"]
    filled = body("/data", Binds=["/srv:/data"], Tmpfs={"/of-image": ""})
    assert binds(with_volumes(filled, before)) == ["/srv:/data"]


def test_what_others_give_is_theirs() -> None:
    """The places of those in VolumesFrom follow them, and what a former one gave is not the container's own."""
    before = found(mount(ONE, "/mine"), mount(TWO, "/theirs"), declares=("/mine",), VolumesFrom=["holder"])
    assert binds(with_volumes(body("/mine", VolumesFrom=["holder"]), before, {"/theirs"})) == [f"{ONE}:/mine"]
    assert binds(with_volumes(body("/mine"), before)) == [f"{ONE}:/mine"]
    both = found(mount(TWO, "/theirs"), declares=("/theirs",))
    assert binds(with_volumes(body("/theirs", VolumesFrom=["holder"]), both, {"/theirs"})) is None


def test_a_place_that_is_declared_gets_whatever_volume_was_there() -> None:
    """A named one, too; not a directory of the host, which is no volume."""
    before = found(mount("data", "/data"), {"Type": "bind", "Source": "/x", "Destination": "/x", "RW": True})
    assert binds(with_volumes(body("/data", "/x"), before)) == ["data:/data"]
    assert binds(with_volumes(body(), before)) is None


def test_a_bind_and_a_mount_without_a_source_are_anonymous_volumes() -> None:
    before = found(
        mount(ONE, "/a"),
        mount(TWO, "/b", RW=False),
        Binds=["/a"],
        Mounts=[{"Type": "volume", "Target": "/b", "ReadOnly": True}],
    )
    made = with_volumes(body(Binds=["/a"], Mounts=[{"Type": "volume", "Target": "/b", "ReadOnly": True}]), before)
    assert made["HostConfig"] == {
        "Binds": [f"{ONE}:/a"],
        "Mounts": [{"Type": "volume", "Target": "/b", "ReadOnly": True, "Source": TWO}],
    }


def test_a_holder_that_is_gone_is_made_over_what_its_takers_hold() -> None:
    """At the places that it or its image declares, and that neither a taker fills itself nor another one gives."""
    taker = found(
        mount(ONE, "/data", RW=False), mount(TWO, "/own"), mount(THREE, "/of-image"), VolumesFrom=["holder:ro"]
    )
    stranger = found(mount("9" * 64, "/data"), VolumesFrom=["other"])
    made = with_volumes_of_takers(body("/data"), "holder", [stranger, taker], image={"/of-image"})
    assert binds(made) == [f"{ONE}:/data", f"{THREE}:/of-image"]
    own = found(mount(ONE, "/data"), VolumesFrom=["holder"], Binds=["mine:/data"])
    assert binds(with_volumes_of_takers(body("/data"), "holder", [own])) is None
    assert binds(with_volumes_of_takers(body("/data"), "holder", [taker], given={"/data"})) is None


def test_what_a_removed_container_had_is_remembered() -> None:
    """As far as neither its definition fills the place nor others give something there."""
    had = (("/data", ONE), ("/filled", TWO), ("/given", THREE))
    made = with_remembered(body("/data", Binds=["/srv:/filled"]), had, {"/given"})
    assert binds(made) == ["/srv:/filled", f"{ONE}:/data"]
    assert with_remembered(body("/data"), ()) == body("/data")


def test_of_several_takers_the_first_one_counts() -> None:
    takers = [found(mount(name, "/data"), VolumesFrom=["holder"]) for name in (ONE, TWO)]
    assert binds(with_volumes_of_takers(body("/data"), "holder", takers)) == [f"{ONE}:/data"]


def test_nonsense_from_an_engine_is_nothing() -> None:
    nothing: tuple[Any, ...] = (
        {},
        [],
        None,
        {"Mounts": [None, 7, {}], "HostConfig": [], "Config": {"Volumes": 3}},
    )
    for odd in nothing:
        assert with_volumes(body("/data"), odd) == body("/data")
        assert with_volumes_of_takers(body("/data"), "holder", [odd]) == body("/data")
