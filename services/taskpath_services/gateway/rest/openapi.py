"""The description of the API, OpenAPI 3.1, made of the types that decode the calls and encode the answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec

from taskpath_proto.errors import ErrorCode
from taskpath_proto.packets import ErrorResponse, TaskState
from taskpath_services.gateway.errors import STATUSES
from taskpath_services.gateway.rest.route import EVENT_STREAM, JSON, NoBody, Route

Schema: TypeAlias = dict[str, Any]
AnyRoute: TypeAlias = Route[Any, Any, Any]

_REF: Final = "#/components/schemas/{name}"
_ANYWHERE: Final = (ErrorCode.INVALID_REQUEST, ErrorCode.FORBIDDEN, ErrorCode.UNAVAILABLE)
_PARTS: Final[Mapping[str, tuple[str, Schema]]] = {
    "id": ("The instance.", {"type": "string"}),
    "path": (
        "The task, such as `#.import.resize[17]`, percent-encoded: `%23.import.resize%5B17%5D`.",
        {"type": "string", "maxLength": 1000},
    ),
    "realm": ("The tenant or group.", {"type": "string", "minLength": 1, "maxLength": 200}),
}


def describe(routes: Iterable[AnyRoute], events: Iterable[type[msgspec.Struct]], version: str) -> Schema:
    """The document.

    Args:
        routes: all calls.
        events: the packets that come as events of a stream.
        version: of this software.
    """
    routes, events = list(routes), list(events)
    components = _components(routes, events)
    # States are encoded once for many packets, so the packet's type has text in their place.
    components["SetTasksStatuses"]["properties"]["statuses"] = {
        "type": "object",
        "additionalProperties": _ref(TaskState),
    }
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, events)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Taskpath",
            "version": version,
            "description": "Background workflows, and their progress live. Times are in ms since epoch, "
            "durations in ms.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components},
    }


def _components(routes: list[AnyRoute], events: list[type[msgspec.Struct]]) -> Schema:
    types: list[Any] = [ErrorResponse, TaskState, *events]
    for route in routes:
        types.extend(route.answers)
        if route.body is not NoBody:
            types.append(route.body)
    _, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF)
    for component in components.values():
        _explain(component)
    return components


def _operation(route: AnyRoute, events: list[type[msgspec.Struct]]) -> Schema:
    operation: Schema = {
        "summary": route.does,
        "operationId": _operation_id(route),
        "responses": _responses(route, events),
    }
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not NoBody:
        operation["requestBody"] = {
            "required": not route.optional,
            "content": {JSON: {"schema": _ref(route.body)}},
        }
    return operation


def _parameters(route: AnyRoute) -> list[Schema]:
    found: list[Schema] = []
    for name in re.findall(r"{(\w+)", route.path):
        what, schema = _PARTS[name]
        found.append({"name": name, "in": "path", "required": True, "description": what, "schema": schema})
    query = msgspec.json.schema(route.query)
    definitions = query.get("$defs", {})
    query = definitions[route.query.__name__]
    _explain(query)
    for name, schema in query["properties"].items():
        schema = _inlined(schema, definitions)
        what = schema.pop("description", "")
        found.append({"name": name, "in": "query", "required": False, "description": what, "schema": schema})
    headers = dict(route.headers)
    if route.keyed:
        headers["Idempotency-Key"] = "A call that comes again with the same key is not carried out again."
    for name, what in headers.items():
        found.append({"name": name, "in": "header", "description": what, "schema": {"type": "string"}})
    return found


def _inlined(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema of a parameter without references: an absent one is no null."""
    if "$ref" in schema:
        return {**definitions[schema["$ref"].rpartition("/")[2]]}
    options = [_inlined(one, definitions) for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**(options[0] if len(options) == 1 else {"anyOf": options}), **rest}


def _responses(route: AnyRoute, events: list[type[msgspec.Struct]]) -> Schema:
    success: Schema = {"description": HTTPStatus(route.status).phrase}
    if route.answers:
        options = [_ref(answer) for answer in route.answers]
        success["content"] = {
            route.media: {"schema": options[0] if len(options) == 1 else {"anyOf": options}}
        }
    elif route.media == EVENT_STREAM:
        success["description"] = "Events; the data of each is one of the packets."
        success["content"] = {
            route.media: {"schema": {"type": "string"}, "x-packets": [_ref(event) for event in events]}
        }
    elif route.status == HTTPStatus.OK:
        success["content"] = {route.media: {"schema": {} if route.media == JSON else {"type": "string"}}}
    responses: Schema = {str(route.status): success}
    by_status: dict[int, list[ErrorCode]] = {}
    for code in dict.fromkeys((*_ANYWHERE, *route.refuses)):
        by_status.setdefault(STATUSES[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": ", ".join(codes),
            "content": {JSON: {"schema": _ref(ErrorResponse)}},
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            responses[str(status)]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return responses


def _operation_id(route: AnyRoute) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/api/v1"))
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _ref(kind: type[msgspec.Struct]) -> Schema:
    return {"$ref": _REF.format(name=kind.__name__)}


def _explain(schema: Schema) -> None:
    """Takes a docstring apart: its first paragraph describes the type, what is said of a field the field."""
    text = schema.get("description")
    if text is None:
        return
    head, _, attributes = text.partition("Attributes:")
    schema["description"] = _plain(head.split("\n\n")[0])
    for name, what in re.findall(r"^ {4,}(\w+): (.+(?:\n {12,}.+)*)", attributes, re.MULTILINE):
        words = name.split("_")
        field = words[0] + "".join(word.title() for word in words[1:])
        described = schema.get("properties", {}).get(field)
        if described is not None and "$ref" not in described:
            described["description"] = _plain(what)


def _plain(text: str) -> str:
    return " ".join(re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", text).replace("``", "`").split())
