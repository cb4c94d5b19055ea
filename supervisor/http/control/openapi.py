"""Builds the control API's OpenAPI 3.1 document from the routes and the types of the answers. Pure.

Loaded on the first request for it.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from supervisor.http.control.operations import PATH, Operation, Parameter
from supervisor.http.control.types import Form, Problem
from supervisor.http.server import Route
from supervisor.version import VERSION
from units.health import Health
from units.spec import Kind
from units.unit import Phase

ENUMERATIONS: Mapping[str, type[StrEnum]] = {"state": Phase, "health": Health, "kind": Kind}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}

Schema = dict[str, Any]


def describe(routes: Sequence[Route], operations: Mapping[str, Operation]) -> dict[str, Any]:
    """The whole document. Raises KeyError for a route without a description."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = operations[f"{route.method} {route.path}"]
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dockwarden",
            "version": VERSION,
            "description": "HTTP over the unix socket control.sock in the supervisor's run directory.",
        },
        "servers": [{"url": "http://dockwarden"}],
        "paths": paths,
        "components": {"schemas": schemas.made},
    }


class Schemas:
    """JSON schemas of types; each dataclass is made once, and referred to."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        if kind in PLAIN:
            return {"type": PLAIN[kind]}
        if is_dataclass(kind):
            return self._record(kind)
        origin, parts = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.of(parts[0]) | _form(parts[1])
        if origin is Literal:
            return {"enum": list(parts)}
        if origin is tuple:
            return {"type": "array", "items": self.of(parts[0])}
        if origin is dict:
            return {"type": "object"} | ({} if parts[1] is Any else {"additionalProperties": self.of(parts[1])})
        if origin in {Union, types.UnionType}:
            return {"anyOf": [{"type": "null"} if part is types.NoneType else self.of(part) for part in parts]}
        raise TypeError(f"no schema for {kind}")

    def _record(self, kind: Any) -> Schema:
        name = kind.__name__
        if name not in self.made:
            hints = get_type_hints(kind, include_extras=True)
            said = (kind.__doc__ or "").strip()
            self.made[name] = {"type": "object"} | (
                {} if said.startswith(f"{name}(") or not said else {"description": said}
            )
            self.made[name] |= {
                "properties": {field.name: self.of(hints[field.name]) for field in fields(kind)},
                "required": [field.name for field in fields(kind) if field.default is MISSING],
            }
        return {"$ref": f"#/components/schemas/{name}"}


def _form(form: Form) -> Schema:
    if form.of:
        return {"enum": [value.value for value in ENUMERATIONS[form.of]]}
    return {"format": form.format}


def _operation(route: Route, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    taken = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    body = _content(operation, schemas)
    good = {code: {"description": operation.summary, "content": body} for code in (200, *operation.also)}
    bad = {code: _refusal(code, schemas) for code in sorted({400, 403, 503, *operation.codes})}
    return {
        "operationId": _identifier(route),
        "summary": operation.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True} | _said(PATH[name], schemas) for name in taken),
            *({"name": one.name, "in": "query"} | _said(one, schemas) for one in operation.query),
        ],
        "responses": {str(code): answer for code, answer in (good | bad).items()},
    }


def _identifier(route: Route) -> str:
    parts = route.path.removeprefix("/v1/").replace(".", "/").split("/")
    return "_".join([route.method.lower(), *(part.strip("{}") for part in parts)])


def _content(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    if not operation.stream:
        return {operation.media: {"schema": schemas.of(operation.answer)}}
    # OpenAPI 3.1 has no words for a stream: each line, or each event's data, is of this type.
    line = {"type": "string", "x-line": schemas.of(operation.answer)}
    return {"application/x-ndjson": {"schema": line}} | (
        {"text/event-stream": {"schema": line}} if operation.events else {}
    )


def _refusal(code: int, schemas: Schemas) -> dict[str, Any]:
    return {
        "description": HTTPStatus(code).phrase,
        "content": {"application/json": {"schema": schemas.of(Problem)}},
    }


def _said(parameter: Parameter, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.of(parameter.type)
    if parameter.bounds is not None:
        schema |= {"minimum": parameter.bounds[0], "maximum": parameter.bounds[1]}
    if parameter.choices:
        schema |= {"enum": list(parameter.choices)}
    if parameter.forms:
        schema |= {"anyOf": list(parameter.forms)}
    if parameter.default is not None:
        schema |= {"default": parameter.default}
    return {"description": parameter.says, "schema": schema}
