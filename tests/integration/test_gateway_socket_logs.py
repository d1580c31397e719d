"""Failures and log lines over the WebSocket of a real gateway."""

from __future__ import annotations

import asyncio
from typing import Any

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.queries import ReadLogs
from taskpath_proto.records import (
    InstanceStatus,
    TaskChange,
    TaskStatus,
)
from tests.support.gateway import Running

OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


async def test_a_final_failure_is_told_with_its_type(gateway: Running) -> None:
    gateway.system.create("i")
    error = ErrorInfo(
        ErrorCode.EXECUTION_FAILED, "no disk", path="#.list", type="OSError", traceback="line 3"
    )
    async with gateway.client() as client:
        await client.watch("i")
        gateway.system.change("i", TaskChange(path="#.list", status=FAILED, error=error))
        told, statuses = await client.of("executionError", "setTasksStatuses")
        expected = {
            "code": "EXECUTION_FAILED",
            "message": "no disk",
            "path": "#.list",
            "type": "OSError",
            "traceback": "line 3",
        }
        assert told == {"type": "executionError", "id": "i", "taskPath": "#.list", "error": expected}
        assert statuses["statuses"]["#.list"]["error"] == expected


async def test_log_lines_follow_those_that_the_client_has(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.write("i", "#.list", "one", "two", "three")
    async with gateway.client() as client:
        await client.watch("i", logs=["#.list"], logsSince={"#.list": 1})
        (packet,) = await client.of("taskLogs")
        assert [line["text"] for line in packet["lines"]] == ["two", "three"]
        assert packet["next"] == 3
        await gateway.settle()
        gateway.system.write("i", "#.list", "four")
        gateway.system.write("i", "#.publish", "unheard")
        (packet,) = await client.of("taskLogs")
        assert packet == {
            "type": "taskLogs",
            "id": "i",
            "taskPath": "#.list",
            "lines": [{"time": 5, "level": "info", "text": "four", "attempt": 1}],
            "next": 4,
        }


async def test_live_lines_of_a_log_that_was_there_before_are_numbered_rightly(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.write("i", "#.list", *[f"old {n}" for n in range(900)])
    async with gateway.client() as client:
        await client.watch("i", logs=True)
        gateway.system.write("i", "#.list", "new")
        gateway.system.write("i", "#.list", "newer")
        gateway.system.write("i", "#.publish", "first")
        gateway.system.write("i", "#.list", "newest", attempt=2)
        got: dict[str, list[str]] = {"#.list": [], "#.publish": []}
        after: dict[str, int] = {}
        while sum(map(len, got.values())) < 4:
            packet = await client.next()
            got[packet["taskPath"]] += [line["text"] for line in packet["lines"]]
            after[packet["taskPath"]] = packet["next"]
        assert got == {"#.list": ["new", "newer", "newest"], "#.publish": ["first"]}
        assert after == {"#.list": 903, "#.publish": 1}


async def test_the_last_lines_of_a_log_come_before_the_end(gateway: Running) -> None:
    gateway.system.create("i", status=InstanceStatus.WORKING)
    gateway.system.write("i", "#.list", "old", publish=False)
    told = asyncio.Event()

    async def reading(query: Any) -> None:
        if isinstance(query, ReadLogs):
            await told.wait()

    gateway.system.reading = reading
    async with gateway.client() as client:
        await client.watch("i", logs=True)
        gateway.system.write("i", "#.list", "new")
        gateway.system.change("i", TaskChange(path="#.list", status=OK), status=InstanceStatus.DONE)
        await gateway.pass_time(0.2)
        await client.silent()
        told.set()
        await gateway.settle()
        await gateway.pass_time(0.1)
        lines, _, end = await client.of("taskLogs", "setTasksStatuses", "setWorkflowStatus")
        assert [line["text"] for line in lines["lines"]] == ["new"]
        assert end["status"] == "done"
        told.clear()
        gateway.system.change("i", TaskChange(path="#.list", status=RUNNING), status=InstanceStatus.WORKING)
        await client.of("setTasksStatuses", "setWorkflowStatus")
        gateway.system.write("i", "#.publish", "one", publish=False)
        gateway.system.write("i", "#.publish", "two")
        gateway.system.change("i", TaskChange(path="#.list", status=OK), status=InstanceStatus.DONE)
        await gateway.pass_time(1.1)
        await client.of("setTasksStatuses", "setWorkflowStatus")
        told.set()
