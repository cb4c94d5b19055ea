"""Podman's Docker socket says some things in its own words, and some not at all: then they are looked up."""

import asyncio
from pathlib import Path

import pytest

from supervisor.engine.api_version import as_numbers
from supervisor.engine.podman import filters, is_podman, translated
from supervisor.runtime import engine_watch
from tests.podman_fake import FakePodman
from tests.pure.test_members import Watched, watched
from units.events import ContainerDied, Event, HealthReported, SnapshotTaken
from units.health import Health


@pytest.mark.parametrize(
    ("version", "podman"),
    [
        ({"Components": [{"Name": "Podman Engine"}]}, True),
        ({"Components": [{"Name": "Engine"}, {"Name": "containerd"}]}, False),
        ({"Components": {"Name": "Podman"}}, False),
        ({"Components": [None, {"Name": 1}]}, False),
        ([], False),
        (None, False),
    ],
)
def test_podman_is_known_by_its_version(version: object, podman: bool) -> None:
    assert is_podman(version) is podman


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ({"Action": "health_status", "HealthStatus": "unhealthy"}, "health_status: unhealthy"),
        ({"Action": "health_status: healthy", "HealthStatus": "unhealthy"}, "health_status: healthy"),
        ({"Action": "health_status"}, "health_status"),
        ({"Action": "health_status", "HealthStatus": 1}, "health_status"),
        ({"Action": "died"}, "die"),
        ({"Action": "die"}, "die"),
        ({"Action": "remove"}, "destroy"),
        ({"Action": "start"}, "start"),
    ],
)
def test_its_words_become_docker_s(message: dict[str, object], action: str) -> None:
    assert translated(message)["Action"] == action


def test_what_is_no_message_stays_none() -> None:
    assert translated(None) is None
    assert translated([1]) == [1]


def test_deaths_are_asked_for_in_all_words() -> None:
    assert filters({"event": ["die", "start"], "type": ["container"]}) == {
        "event": ["die", "start", "died"],
        "type": ["container"],
    }


def podman(version: str) -> FakePodman:
    fake = FakePodman(version=version)
    fake.add("web", **{"dockwarden.unit": "web"})
    fake.named("web")["Config"]["Healthcheck"] = {"Test": ["CMD", "true"]}
    fake.named("web")["State"]["Health"] = {"Status": "healthy"}
    return fake


def unhealthy(facts: list[Event]) -> bool:
    """Told by the stream, or seen by a look that came at once."""
    heard = any(isinstance(one, HealthReported) and one.health is Health.UNHEALTHY for one in facts)
    seen = (each for one in facts if isinstance(one, SnapshotTaken) for each in one.containers)
    return heard or any(one.health is Health.UNHEALTHY for one in seen)


@pytest.mark.parametrize("version", ["4.3.1", "5.4.2"])
def test_a_verdict_is_known_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """From the event, else by an inspect; no periodic look is waited for."""
    monkeypatch.setattr(engine_watch, "GAP", 0.01)
    fake = podman(version)

    async def main(one: Watched) -> None:
        one.watch.look_every(3600)  # type: ignore[arg-type]
        await asyncio.sleep(0.3)
        fake.check("web", "unhealthy")
        await one.until(lambda: unhealthy(one.facts))
        fake.die("web")
        await one.until(lambda: any(isinstance(each, ContainerDied) for each in one.facts))

    one = watched(tmp_path, fake, main)
    warned = [line for line in one.logged.entries if line["log_level"] == "warning"]
    assert [line["event"] for line in warned] == ["engine.podman"]
    assert as_numbers(warned[0]["version"]) == as_numbers(version)


@pytest.mark.parametrize("version", ["4.3.1", "5.4.2"])
def test_periodic_looks_inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The list tells no health."""
    monkeypatch.setattr(engine_watch, "GAP", 0.01)
    fake = podman(version)

    async def main(one: Watched) -> None:
        fake.named("web")["State"]["Health"] = {"Status": "unhealthy"}  # And nothing is told.
        await one.until(lambda: unhealthy(one.facts))

    watched(tmp_path, fake, main)
