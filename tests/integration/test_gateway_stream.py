"""Server-sent events of a real gateway: the same packets as over the WebSocket, and an end."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import ReadInstance
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_services.gateway import stream
from tests.support.events import Event, events
from tests.support.gateway import Running, running

OK, RUNNING = TaskStatus.OK, TaskStatus.RUNNING
DONE, WORKING, INACTIVE = InstanceStatus.DONE, InstanceStatus.WORKING, InstanceStatus.INACTIVE
STATE = ["workflowDescription", "setTasksStatuses", "setWorkflowStatus"]


class Reading:
    """A stream that is read event by event."""

    def __init__(self, found: AsyncIterator[Event]) -> None:
        self._found = found

    async def of(self, *types: str) -> list[Event]:
        """The next events, whose packets have these types."""
        read = [await anext(self._found) for _ in types]
        assert [event.packet["type"] for event in read] == list(types)
        return read

    async def rest(self) -> list[Event]:
        """All further events: the stream ends."""
        return [event async for event in self._found]


@asynccontextmanager
async def reading(gateway: Running, path: str, **headers: str) -> AsyncIterator[Reading]:
    async with gateway.http.get(f"/api/v1/instances/{path}", headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        yield Reading(events(response))


async def test_it_brings_the_packets_and_ends_with_the_instance(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    async with reading(gateway, "i/events") as stream:
        state = await stream.of(*STATE)
        assert [event.id for event in state] == ["", "", "1"], "only the last packet of a revision moves it"
        assert [event.packet.get("more", False) for event in state] == [True, True, False]
        gateway.system.change("i", TaskChange(path="#.list", status=RUNNING))
        (changed,) = await stream.of("setTasksStatuses")
        assert (changed.id, changed.packet["statuses"]["#.list"]["status"]) == ("2", "running")
        gateway.system.change("i", TaskChange(path="#.list", status=OK), status=DONE)
        changed, ended = await stream.rest()
        assert (ended.id, ended.packet["status"]) == ("3", "done")
        assert changed.packet["more"]


async def test_last_event_id_resumes(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    gateway.system.change("i", TaskChange(path="#.list", status=OK, bound=1, left=2))
    gateway.system.change("i", TaskChange(path="#.publish.cdn", status=RUNNING))
    async with reading(gateway, "i/events", **{"Last-Event-ID": "2"}) as stream:
        _, changed, status = await stream.of(*STATE)
        assert "#.list" not in changed.packet["statuses"]
        assert changed.packet["statuses"]["#.publish.cdn"]["status"] == "running"
        assert (status.packet["baseRevision"], status.id) == (2, "3")


async def test_who_has_everything_of_what_has_ended_is_told_not_to_come_back(gateway: Running) -> None:
    gateway.system.create("i", status=DONE)
    gateway.system.change("i", name="n")
    url = "/api/v1/instances/i/events"
    async with gateway.http.get(url, headers={"Last-Event-ID": "2"}) as response:
        assert response.status == 204
    async with reading(gateway, "i/events", **{"Last-Event-ID": "1"}) as stream:
        assert [event.packet["type"] for event in await stream.rest()] == STATE


async def test_a_revision_that_was_lost_since_leads_to_a_resync(gateway: Running) -> None:
    gateway.system.create("i", status=DONE)

    async def reads(query: Any) -> None:
        if isinstance(query, ReadInstance) and query.min_revision > 5:
            raise TaskpathError(ErrorCode.UNAVAILABLE, "Storage did not get that far in time; try again.")

    gateway.system.reading = reads
    async with reading(gateway, "i/events", **{"Last-Event-ID": "9"}) as stream:
        assert [event.packet["type"] for event in await stream.rest()] == ["resync", *STATE]
    async with gateway.http.get("/api/v1/instances/i/events?minRevision=9") as response:
        assert response.status == 503


async def test_a_state_before_the_wanted_revision_is_not_the_end(gateway: Running) -> None:
    gateway.system.create("i", status=DONE)
    async with gateway.client() as client:
        await client.watch("i")
        gateway.system.change("i", TaskChange(path="#.list", status=RUNNING), status=WORKING, publish=False)
        async with reading(gateway, "i/events?minRevision=2") as stream:
            (*_, status) = await stream.of(*STATE)
            assert (status.packet["revision"], status.packet["status"]) == (1, "done")
            gateway.system.change("i", status=DONE)
            await stream.of("resync")
            assert [event.packet["type"] for event in await stream.rest()] == STATE


async def test_what_rests_with_a_part_of_it_run_is_an_end_and_what_never_ran_is_none(
    gateway: Running,
) -> None:
    gateway.system.create("i", started_at=5)
    async with reading(gateway, "i/events") as stream:
        assert (await stream.rest())[-1].packet["status"] == "inactive"
    gateway.system.create("j")
    async with reading(gateway, "j/events") as stream:
        await stream.of(*STATE)
        gateway.system.change("j", name="n")
        await stream.of("setWorkflowStatus")
        gateway.system.change("j", TaskChange(path="#.list", status=RUNNING), status=WORKING, started_at=7)
        await stream.of("setTasksStatuses", "setWorkflowStatus")
        gateway.system.change("j", TaskChange(path="#.list", status=OK), status=INACTIVE)
        assert (await stream.rest())[-1].packet["status"] == "inactive"


async def test_follow_goes_on_after_the_end(gateway: Running) -> None:
    gateway.system.create("i", status=DONE)
    async with reading(gateway, "i/events?follow=1") as stream:
        await stream.of(*STATE)
        gateway.system.change("i", status=WORKING)
        assert (await stream.of("setWorkflowStatus"))[0].packet["status"] == "working"


async def test_paths_and_logs_are_chosen(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    chosen = "i/events?paths=%23.publish&logs=%23.list"
    async with reading(gateway, chosen) as stream, reading(gateway, "i/events?logs=1&paths=%23") as logs:
        _, statuses, _ = await stream.of(*STATE)
        assert set(statuses.packet["statuses"]) == {"#.publish", "#.publish.cdn", "#.publish.mail"}
        _, statuses, _ = await logs.of(*STATE)
        assert statuses.packet["statuses"] == {}
        gateway.system.write("i", "#.publish", "not this")
        gateway.system.write("i", "#.list", "this")
        (line,) = await stream.of("taskLogs")
        assert (line.packet["taskPath"], line.packet["lines"][0]["text"]) == ("#.list", "this")
        both = await logs.of("taskLogs", "taskLogs")
        assert [event.packet["lines"][0]["text"] for event in both] == ["not this", "this"]


async def test_heartbeats_tell_the_last_revision(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    async with reading(gateway, "i/events") as stream:
        await stream.of(*STATE)
        await gateway.pass_time(15.1)
        assert (await stream.of("heartbeat"))[0].packet["revisions"] == {"i": 1}


async def test_a_deleted_instance_is_an_end(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    async with reading(gateway, "i/events") as stream:
        await stream.of(*STATE)
        gateway.system.delete("i")
        assert [event.packet for event in await stream.rest()] == [{"type": "instanceDeleted", "id": "i"}]


async def test_an_ephemeral_instance_shows_how_it_ended_before_and_after_it_is_gone(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING, ephemeral=True)
    async with reading(gateway, "i/events?follow=1") as stream:
        await stream.of(*STATE)
        gateway.system.change("i", TaskChange(path="#.list", status=OK), status=DONE)
        gateway.system.delete("i", DONE)
        statuses, status, gone = await stream.rest()
        assert statuses.packet["statuses"]["#.list"]["status"] == "ok"
        assert status.packet["status"] == "done"
        assert gone.packet == {"type": "instanceDeleted", "id": "i", "status": "done"}
    async with reading(gateway, "i/events") as stream:
        assert [event.packet for event in await stream.rest()] == [gone.packet]


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("none/events", {}, 404, "UNKNOWN_INSTANCE"),
        ("i/events?paths=%23.no", {}, 404, "CANNOT_FIND_TASK"),
        ("i/events?paths=list", {}, 400, "INVALID_PATH"),
        ("i/events?logs=list", {}, 400, "INVALID_PATH"),
        ("i/events?follow=maybe", {}, 400, "INVALID_REQUEST"),
        ("i/events?since=3", {}, 400, "INVALID_REQUEST"),
        ("i/events", {"Last-Event-ID": "x"}, 400, "INVALID_REQUEST"),
        ("i/events", {"Last-Event-ID": "-1"}, 400, "INVALID_REQUEST"),
        ("i/events", {"Last-Event-ID": "9" * 400}, 400, "INVALID_REQUEST"),
    ],
)
async def test_what_cannot_be_streamed_is_refused_as_any_call_is(
    gateway: Running, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    gateway.system.create("i")
    async with gateway.http.get(f"/api/v1/instances/{path}", headers=headers) as response:
        assert response.status == status
        assert (await response.json())["error"]["code"] == code


async def test_a_stream_that_is_not_read_costs_bounded_memory_and_ends(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALLED_SECONDS", 0.2)
    gateway.system.create("i", status=WORKING)
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    with sockets.create_connection((host, int(port))) as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.sendall(b"GET /api/v1/instances/i/events?logs=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        streams = gateway.gateway._streams
        while not streams._open:
            await gateway.settle()
        (stalled,) = streams._open
        most = 0
        number = 0
        while stalled in streams._open:
            gateway.system.write("i", "#.list", *(["x" * 10_000] * 20))
            number += 1
            await gateway.pass_time(0.05)
            most = max(most, stalled._outbox._size)
        assert most < 1024 * 1024
        assert number > 5
    async with gateway.client() as client:
        await client.watch("i")


async def test_stopping_ends_streams() -> None:
    async with running() as gateway:
        gateway.system.create("i", status=WORKING)
        async with gateway.http.get("/api/v1/instances/i/events") as response:
            found = events(response)
            for _ in STATE:
                await anext(found)
            stopping = asyncio.ensure_future(gateway.gateway.stop())
            assert [event async for event in found] == []
            await stopping


async def test_a_stream_is_described_as_what_it_is(gateway: Running) -> None:
    async with gateway.http.get("/api/v1/openapi.json") as response:
        document = msgspec.json.decode(await response.read())
    operation = document["paths"]["/api/v1/instances/{id}/events"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"text/event-stream"}
    assert {parameter["name"] for parameter in operation["parameters"]} == {
        "id", "paths", "logs", "follow", "minRevision", "Last-Event-ID",
    }  # fmt: skip
