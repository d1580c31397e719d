"""The description of the API against the application that serves it."""

from __future__ import annotations

import re

import msgspec

from tests.support.gateway import running

UNDESCRIBED = {
    "/", "/ws", "/i/{instance}", "/workflows", "/workflows/{workflow}", "/executors", "/{file}",
}  # fmt: skip
"""The page and the WebSocket, which are no calls."""


async def test_every_route_is_described_and_every_description_has_a_route() -> None:
    async with running() as gateway:
        async with gateway.http.get("/api/v1/openapi.json") as response:
            document = msgspec.json.decode(await response.read())
        runner = gateway.gateway._runner
        assert runner is not None
        served = {
            (route.method, re.sub(r":[^}]+", "", route.resource.canonical))
            for route in runner.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    described = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    assert {(method, path) for method, path in served if path not in UNDESCRIBED} == described


async def test_queries_and_bodies_are_described_by_what_decodes_them() -> None:
    async with running() as gateway, gateway.http.get("/api/v1/openapi.json") as response:
        document = msgspec.json.decode(await response.read())
    listing = document["paths"]["/api/v1/instances"]["get"]
    limit = next(one for one in listing["parameters"] if one["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert limit["description"] == "How many at most."
    status = next(one for one in listing["parameters"] if one["name"] == "status")
    assert "working" in status["schema"]["enum"]
    create = document["components"]["schemas"]["CreateInstanceBody"]
    assert create["additionalProperties"] is False
    assert create["required"] == ["workflow"]
    assert "default" not in create["properties"]["data"]
    state = document["components"]["schemas"]["TaskState"]
    assert state["properties"]["duration"]["description"] == "how long it took."
