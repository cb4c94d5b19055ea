"""The API's description says what the API does: each route is in it, and each answer is of the type that it names."""

import asyncio
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from supervisor.engine.port import UserDockerReport
from supervisor.http.control.openapi import Schemas, describe
from supervisor.http.control.operations import OPERATIONS
from supervisor.http.control.story_types import (
    Dropped,
    Event,
)
from supervisor.http.control.types import (
    Status,
)
from supervisor.views.status import Context, status
from tests.harness import Harness
from tests.pure.story import needs, spec
from tests.pure.test_control import ask, lines, play
from units.links import check
from units.quantities import Instant
from units.spec import Kind, Policy, Switchable, UnitName
from units.switch.record import Switch, SwitchOutcome, SwitchResult, SwitchStep
from units.world import fresh_unit, new_world

PATHS = {name.partition(" ")[2] for name in OPERATIONS}


def closed(schema: Any) -> Any:
    """The same, but a field that it does not name is a mistake: the API may grow, our description must grow with it."""
    if isinstance(schema, dict):
        shut = {key: closed(value) for key, value in schema.items()}
        return shut | {"additionalProperties": False} if "properties" in schema else shut
    return [closed(one) for one in schema] if isinstance(schema, list) else schema


def fits(document: dict[str, Any], value: Any, schema: dict[str, Any]) -> None:
    whole = closed(schema | {"components": document["components"]})
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)


def answer_of(document: dict[str, Any], path: str, method: str = "get", code: int = 200) -> dict[str, Any]:
    content = document["paths"][path][method]["responses"][str(code)]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


def test_each_route_is_described_and_nothing_else() -> None:
    """One entry for each route; a new route needs one in ``api_operations``."""

    async def scene(harness: Harness) -> None:
        assert {f"{route.method} {route.path}" for route in harness.control.api.routes} == set(OPERATIONS)
        with pytest.raises(KeyError):
            describe(harness.control.api.routes, {})

    play(scene)


def test_the_description_holds() -> None:
    """It is OpenAPI 3.1, and each reference leads somewhere."""

    async def scene(harness: Harness) -> None:
        code, document = await ask(harness, "GET", "/v1/openapi.json")
        assert code == 200
        for schema in document["components"]["schemas"].values():
            jsonschema_rs.meta.validate(schema)
        names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
        assert len(names) == len(set(names)) == len(OPERATIONS)

    play(scene)


@pytest.mark.parametrize(
    ("method", "path", "asked", "code"),
    [
        ("GET", "/v1/status", "/v1/status", 200),
        ("GET", "/v1/units", "/v1/units", 200),
        ("GET", "/v1/units/{name}", "/v1/units/web", 200),
        ("GET", "/v1/units/{name}", "/v1/units/nope", 404),
        ("GET", "/v1/units/{name}/why", "/v1/units/web/why", 200),
        ("GET", "/v1/units/{name}/why", "/v1/units/job/why", 200),
        ("GET", "/v1/units/{name}/wait", "/v1/units/web/wait?for=ready", 200),
        ("GET", "/v1/units/{name}/wait", "/v1/units/web/wait?for=rain", 400),
        ("GET", "/v1/units/{name}/logs", "/v1/units/web/logs?tail=x", 400),
        ("GET", "/v1/version", "/v1/version", 200),
        ("GET", "/v1/hooks", "/v1/hooks", 200),
        ("GET", "/v1/engines", "/v1/engines", 409),
        ("GET", "/v1/storage/{name}/check", "/v1/storage/web/check", 200),
        ("POST", "/v1/units/{name}/{verb}", "/v1/units/web/restart?wait=5", 200),
        ("POST", "/v1/units/{name}/{verb}", "/v1/units/web/explode", 404),
        ("POST", "/v1/switch/{of}/{name}", "/v1/switch/console/debian?wait=5", 409),
        ("POST", "/v1/enable/{of}/{name}", "/v1/enable/console/debian", 404),
    ],
)
def test_each_answer_is_of_its_type(method: str, path: str, asked: str, code: int) -> None:
    """Not a field more, not one less."""

    async def scene(harness: Harness) -> None:
        harness.engine.sicken_at_start("job")
        _, document = await ask(harness, "GET", "/v1/openapi.json")
        status, told = await ask(harness, method, asked)
        assert status == code
        fits(document, told, answer_of(document, path, method.lower(), code))

    play(scene, spec("web", needs("db")), spec("db"), spec("job", kind=Kind.ONESHOT, policy=Policy.NO))


def test_each_line_of_a_stream_is_of_its_type() -> None:
    """Records and output."""

    async def scene(harness: Harness) -> None:
        _, document = await ask(harness, "GET", "/v1/openapi.json")
        for path, asked in (("/v1/events", "/v1/events"), ("/v1/units/{name}/logs", "/v1/units/web/logs")):
            content = document["paths"][path]["get"]["responses"]["200"]["content"]
            told = await lines(harness, asked)
            assert told
            for line in told:
                fits(document, line, content["application/x-ndjson"]["schema"]["x-line"])

    play(scene, spec("web"))


def test_a_host_s_whole_status_is_of_its_type() -> None:
    """With consoles, user Docker in a storage context, a switch under way and one that is over."""
    console = replace(spec("console", kind=Kind.CONSOLE), variant="default")
    docker = replace(spec("user-docker", kind=Kind.USER_DOCKER), context=UnitName("console"))
    units = [fresh_unit(one, Instant(1), "") for one in (console, docker)]
    now = Instant(5)
    world = replace(
        new_world(units, check([console, docker]).links, [console, replace(console, variant="debian")]),
        switch=Switch(Switchable.CONSOLE, "default", "debian", SwitchStep.CHECKING, now, now, 1),
        switched=SwitchOutcome(
            Switchable.ENGINE, "", "28", SwitchResult.REFUSED, "no", now, 1, (("checking", 0.5),), "a-1"
        ),
    )
    context = Context("embedded", "unix:///x", lambda instant: instant, 1.0, user_docker=UserDockerReport())
    schemas = Schemas()
    schema = schemas.of(Status)
    told = status(world, context)
    assert None not in (told["console"], told["storage"], told["user_docker"], told["switch"]["now"])
    fits({"components": {"schemas": schemas.made}}, told, schema)


def test_a_type_without_a_schema_is_refused() -> None:
    """Rather than described as anything."""
    with pytest.raises(TypeError, match="no schema"):
        Schemas().of(bytes)
    assert Schemas().of(Event | Dropped)["anyOf"][1] == {"$ref": "#/components/schemas/Dropped"}


def test_another_method_is_told_which_there_are() -> None:
    """405 with ``Allow``, on every path."""

    async def scene(harness: Harness) -> None:
        paths = {path.replace("{name}", "web").replace("{of}", "console") for path in PATHS}
        for path in sorted(paths):
            reader, writer = await asyncio.open_unix_connection(str(harness.control.path))
            writer.write(f"PATCH {path} HTTP/1.0\r\n\r\n".encode())
            head = (await reader.read()).partition(b"\r\n\r\n")[0]
            writer.close()
            assert head.startswith(b"HTTP/1.0 405 "), path
            assert b"\r\nAllow: " in head, path

    play(scene, spec("web"))
