"""Which version of the API is spoken, and that all calls speak it: against a fake of Docker 29."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli.doctor.engine_facts import engine_facts
from supervisor.engine.api_version import Speech, as_numbers, speech, too_old, untried
from supervisor.engine.docker import DockerEngine
from supervisor.engine.port import EngineError, EngineMessage
from supervisor.http.reach import Reach
from tests.docker_29 import FakeDocker
from units.events import ContainerDied
from units.spec import ContainerId
from units.unit import Failure


@pytest.mark.parametrize(
    ("lowest", "highest", "calls", "events"),
    [
        ("1.12", "1.41", "1.41", "1.41"),  # 20.10
        ("1.24", "1.45", "1.41", "1.41"),  # 26.1
        ("1.24", "1.51", "1.41", "1.41"),  # 28.5
        ("1.44", "1.52", "1.44", "1.52"),  # 29.0
        ("1.40", "1.55", "1.41", "1.52"),  # 29.6
        ("1.53", "1.60", "1.53", "1.53"),  # some day
        ("", "1.41", "1.41", "1.41"),
        ("nonsense", "1.41", "1.41", "1.41"),
        ("1.44\r\nHost: x", "1.52", "1.41", "1.52"),
    ],
)
def test_calls_speak_low_and_the_stream_speaks_exactly(lowest: str, highest: str, calls: str, events: str) -> None:
    """The lowest version that both know; the stream 1.52 where it is served."""
    assert speech(lowest, highest) == Speech(calls, events, highest)


@pytest.mark.parametrize(
    ("highest", "old", "new"),
    [("1.40", True, False), ("1.41", False, False), ("1.55", False, False), ("1.57", False, True), ("?", True, False)],
)
def test_only_an_engine_that_is_too_old_cannot_be_used(highest: str, old: bool, new: bool) -> None:
    """1.9 is older than 1.41; an engine that says nonsense is too old; one that is newer than any tried is told."""
    assert (too_old(highest), untried(highest)) == (old, new)
    assert as_numbers("1.9") < as_numbers("1.41")
    assert as_numbers("1." + "9" * 10_000) == (1, 999_999_999)


MAC = {"NetworkingConfig": {"EndpointsConfig": {"n": {"MacAddress": "02:42:ac:11:00:66"}}}}


@pytest.mark.parametrize(
    ("asks", "highest", "spoken"),
    [
        ({"Image": "image"}, "1.53", "1.44"),
        ({"HostConfig": {"Annotations": {"a": "b"}}}, "1.53", "1.44"),
        ({"Healthcheck": {"StartInterval": 5}}, "1.51", "1.44"),
        ({"Healthcheck": {"StartInterval": 0}}, "1.51", "1.41"),
        ({"HostConfig": {"Mounts": [{"VolumeOptions": {"Subpath": "x"}}]}}, "1.51", "1.45"),
        ({"HostConfig": {"Mounts": [{"Type": "image"}]}}, "1.51", "1.48"),
        ({"HostConfig": {"Mounts": [{"Type": "image"}]}}, "1.45", "1.45"),
        ({"NetworkingConfig": {"EndpointsConfig": {"n": {"GwPriority": 1}}}}, "1.53", "1.48"),
        ({"NetworkingConfig": {"EndpointsConfig": {"n": {}, "m": {}}}}, "1.51", "1.44"),
        ({"HostConfig": {"Binds": ["/a:/b:ro"]}}, "1.51", "1.44"),
        ({"HostConfig": {"Binds": ["/a:/b:rslave,ro", "/c:/d"]}}, "1.51", "1.44"),
        ({"HostConfig": {"Binds": ["/a:/b:ro"]}}, "1.43", "1.43"),
        ({"HostConfig": {"Binds": ["/ro:/ro", "/a:/b:rw", "v:/ro:z"]}}, "1.51", "1.41"),
        ({"HostConfig": {"Mounts": [{"Type": "bind", "ReadOnly": True}]}}, "1.51", "1.44"),
        ({"HostConfig": {"Mounts": [{"Type": "volume", "ReadOnly": True}, None]}}, "1.51", "1.41"),
        (MAC, "1.51", "1.44"),
        (MAC, "1.41", "1.41"),
        ({"Labels": {"x": "GwPriority Annotations"}, "HostConfig": None}, "1.51", "1.41"),
    ],
)
def test_a_create_speaks_the_version_that_serves_what_it_asks_for(asks: Any, highest: str, spoken: str) -> None:
    """An older one would drop it without a word; what this engine does not serve at all cannot be helped."""
    lowest = "1.44" if highest == "1.53" else "1.12"
    assert speech(lowest, highest).create(json.dumps(asks)) == spoken


def meet(
    path: Path, docker: FakeDocker, main: Callable[[DockerEngine, FakeDocker], Coroutine[Any, Any, None]]
) -> list[str]:
    async def met() -> None:
        async with asyncio.timeout(10), docker.serve(path / "x.sock") as url:
            engine = DockerEngine(url)
            try:
                await main(engine, docker)
            finally:
                await engine.close()

    asyncio.run(met())
    return docker.requests


async def first_events(engine: DockerEngine, count: int, since: int | None = None) -> list[EngineMessage]:
    heard: list[EngineMessage] = []
    enough = asyncio.Event()

    def hear(message: EngineMessage) -> None:
        heard.append(message)
        if len(heard) >= count:
            enough.set()

    async with engine.events(since) as hand_over:
        reading = asyncio.ensure_future(hand_over(hear))
        await enough.wait()
        reading.cancel()
    return heard


def test_docker_29_is_spoken_to_as_it_asks_for(tmp_path: Path) -> None:
    """Nothing below its lowest version; the stamps of its events are exact."""

    async def main(engine: DockerEngine, docker: FakeDocker) -> None:
        await engine.info()
        container = docker.add("web", **{"dockwarden.unit": "web"})
        (seen,) = await engine.snapshot(thorough=True)
        assert (seen.container, seen.running) == (container, True)
        assert await engine.create("more", "{}") in docker.containers
        await engine.start(ContainerId(container))
        docker.die("web", 7)
        told = await first_events(engine, 1, since=docker._ring[-1]["timeNano"])
        assert [(each.fact, each.at) for each in told] == [
            (ContainerDied(seen.unit, seen.container, 7), docker._ring[-1]["timeNano"])
        ]

    asked = meet(tmp_path, FakeDocker(), main)
    spoken = {line.split("/")[1] for line in asked}
    assert spoken == {"version", "v1.44", "v1.52"}
    assert [line for line in asked if "/v1.52/" in line] == [line for line in asked if "/events" in line]


def test_another_engine_is_asked_again(tmp_path: Path) -> None:
    """What was spoken with the old one is refused; with the next connection it is another version, up and down."""

    async def main(engine: DockerEngine, docker: FakeDocker) -> None:
        docker.add("web", **{"dockwarden.unit": "web"})
        for version, lowest, highest in (
            ("20.10.24", "1.12", "1.41"),
            ("29.2.1", "1.44", "1.53"),
            ("26.1", "1.24", "1.41"),
        ):
            docker.become(version, lowest, highest)
            for call in (engine.start(ContainerId("web")), engine.create("x", "{}"), engine.snapshot(thorough=False)):
                with pytest.raises(EngineError, match=r"client version .* is too") as caught:
                    await call
                assert caught.value.failure is Failure.UNREACHABLE
            await engine.info()
            assert len(await engine.snapshot(thorough=True)) == 1

    docker = FakeDocker()

    async def begun(engine: DockerEngine, docker: FakeDocker) -> None:
        await engine.info()
        await main(engine, docker)

    meet(tmp_path, docker, begun)


def test_stamps_below_1_52_are_rounded_and_still_known(tmp_path: Path) -> None:
    """An engine that serves no 1.52 and rounds is read all the same."""

    async def main(engine: DockerEngine, docker: FakeDocker) -> None:
        await engine.info()
        docker.add("web", **{"dockwarden.unit": "web"})
        docker.start("web")
        (told,) = await first_events(engine, 1, since=0)
        assert abs(told.at - docker._ring[0]["timeNano"]) <= 256
        assert told.kind == "start"

    meet(tmp_path, FakeDocker("29.0", "1.44", "1.51"), main)


def test_the_doctor_speaks_it_too(tmp_path: Path) -> None:
    """An engine that serves nothing below 1.44 serves."""

    async def main(engine: DockerEngine, docker: FakeDocker) -> None:
        docker.add("web")
        facts = await asyncio.to_thread(engine_facts, engine.url, {})
        assert facts.reach is Reach.SERVES, facts.said
        assert [found["Name"] for found in facts.containers] == ["/web"]

    meet(tmp_path, FakeDocker(), main)
