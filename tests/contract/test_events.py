"""REST, row by row: server-sent events, and what the API says of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from tests.contract.world import STATE, World
from tests.support.events import Event

ONE = [{"name": "a", "do": "echo", "log": ["said"]}, {"name": "b", "do": "echo"}]


async def all_of(stream: AsyncIterator[Event]) -> list[Event]:
    """Everything until the end."""
    return [event async for event in stream]


@pytest.mark.contract("rest.events", "rest.events-end")
async def test_what_happens_comes_as_events_until_the_end(system: World) -> None:
    id = (await system.create([*ONE, system.hold("wait")], execute=True))["id"]
    async with system.events(id) as stream:
        seen = [await anext(stream) for _ in STATE]
        assert tuple(event.packet["type"] for event in seen) == STATE
        system.go()
        seen += await all_of(stream)
    description = await system.describe()
    for event in seen:
        name = {"taskLogs": "TaskLogs"}.get(event.packet["type"]) or (
            event.packet["type"][0].upper() + event.packet["type"][1:]
        )
        description.fits(event.packet, {"$ref": f"#/components/schemas/{name}"})
        if not event.packet.get("more", False) and "revision" in event.packet:
            assert event.id == str(event.packet["revision"])
    assert (seen[-1].packet["type"], seen[-1].packet["status"]) == ("setWorkflowStatus", "done")


@pytest.mark.contract("rest.events-resume")
async def test_a_stream_goes_on_from_the_last_event(system: World) -> None:
    id = (await system.run(ONE))["id"]
    async with system.events(id) as stream:
        last = int((await all_of(stream))[-1].id)
    await system.execute(id, "#.b")
    async with system.events(id, last=last) as stream:
        seen = [event.packet for event in await all_of(stream)]
    assert [packet["baseRevision"] for packet in seen] == [last] * len(seen)
    changed = {path for packet in seen for path in packet.get("statuses", ())}
    assert changed == {"#.b"}
    end = seen[-1]["revision"]
    headers = {"Last-Event-ID": str(end)}
    async with system.http.get(f"/api/v1/instances/{id}/events", headers=headers) as response:
        assert response.status == 204, (
            "everything was seen, and nothing will come: it tells a browser to stop"
        )


@pytest.mark.contract("rest.events-filters")
async def test_a_stream_is_of_the_paths_and_logs_that_are_wanted(system: World) -> None:
    id = (await system.create([*ONE, system.hold("wait")]))["id"]
    async with system.events(id, "?paths=%23.b&logs=1") as stream:
        for _ in STATE:
            await anext(stream)
        await system.start(id)
        system.go()
        seen = [event.packet for event in await all_of(stream)]
    assert {path for packet in seen for path in packet.get("statuses", ())} == {"#.b"}
    lines = [(p["taskPath"], line["text"]) for p in seen if p["type"] == "taskLogs" for line in p["lines"]]
    assert lines == [("#.a", "said")]


@pytest.mark.contract("rest.events-end", "status.inactive")
async def test_a_stream_that_follows_goes_on_and_one_of_a_part_ends(system: World) -> None:
    id = (await system.create(ONE))["id"]
    async with system.events(id) as stream, system.events(id, "?follow=1") as following:
        await system.start(id, "#.a")
        end = (await all_of(stream))[-1].packet
        assert (end["type"], end["status"]) == ("setWorkflowStatus", "inactive")
        await system.start(id, "#.b")
        async for event in following:
            if event.packet.get("status") == "done":
                break


@pytest.mark.contract("rest.tombstone")
async def test_a_stream_of_an_ephemeral_instance_shows_how_it_ended(system: World) -> None:
    id = (await system.create([system.hold("wait")], ephemeral=True, execute=True))["id"]
    async with system.events(id, "?follow=1") as stream:
        await anext(stream)
        system.go()
        seen = [event.packet for event in await all_of(stream)]
    assert [packet["status"] for packet in seen if packet["type"] == "setWorkflowStatus"][-1] == "done"
    assert seen[-1] == {"type": "instanceDeleted", "id": id, "status": "done"}
    async with system.events(id) as stream:
        assert [event.packet for event in await all_of(stream)] == [seen[-1]]


@pytest.mark.contract("rest.openapi")
async def test_the_description_is_openapi_and_complete(system: World) -> None:
    document = (await system.describe()).document
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"]
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        assert validator_for(schema, Draft202012Validator) is Draft202012Validator
        Draft202012Validator.check_schema(schema)
    for reference in (await system.describe()).references():
        assert reference.removeprefix("#/components/schemas/") in schemas
    names = set[str]()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert method in ("get", "post", "put", "patch", "delete")
            names.add(operation["operationId"])
            assert operation["summary"]
            parts = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert parts == {part.split("}")[0] for part in path.split("{")[1:]}
            for parameter in operation.get("parameters", ()):
                Draft202012Validator.check_schema(parameter["schema"])
            success = next(status for status in operation["responses"] if status.startswith("2"))
            assert operation["responses"][success]["description"]
    assert len(names) == sum(len(operations) for operations in document["paths"].values())


CONTRACT = {
    "/workflows": "get", "/instances": "get post", "/instances/{id}": "get patch delete",
    "/realms/{realm}/instances": "delete", "/instances/{id}/execute": "post",
    "/instances/{id}/cancel": "post", "/instances/{id}/tasks/{path}": "get",
    "/instances/{id}/tasks/{path}/result": "get", "/instances/{id}/tasks/{path}/contextUpdaters": "put",
    "/instances/{id}/tasks/{path}/logs": "get", "/instances/{id}/events": "get", "/executors": "get",
    "/openapi.json": "get",
}  # fmt: skip


@pytest.mark.contract("rest.openapi")
async def test_the_description_has_the_calls_of_the_contract(system: World) -> None:
    document: Any = (await system.describe()).document
    found = {path: " ".join(operations) for path, operations in document["paths"].items()}
    expected = {f"/api/v1{path}": methods for path, methods in CONTRACT.items()}
    expected |= dict.fromkeys(("/healthz", "/readyz", "/metrics"), "get")
    assert {path: set(methods.split()) for path, methods in found.items()} == {
        path: set(methods.split()) for path, methods in expected.items()
    }
