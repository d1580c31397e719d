"""The WebSocket of a real gateway: what a client sees of an instance, whatever happens on the way."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from taskpath_proto import topology
from taskpath_proto.commands import Cancel, Execute
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.queries import ListInstances, ReadInstance, ReadLogs
from taskpath_proto.records import (
    InstanceProgress,
    InstanceStatus,
    Mode,
    Rollup,
    TaskChange,
    TaskStatus,
    Upstream,
)
from taskpath_proto.values import Inline
from taskpath_services.gateway.lists import LOOK
from taskpath_services.gateway.watches import LINGER
from tests.support.gateway import Client, Running, running

OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


async def test_a_watcher_gets_the_state_and_then_every_change(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.change("i", TaskChange(path="#.list", status=OK, bound=1, left=2, attempt=1, duration=7))
    async with gateway.client() as client:
        await client.send("watchWorkflowInstance", id="i", requestId=7)
        ack, description, statuses, status = await client.of(
            "ack", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"
        )
        assert ack == {"type": "ack", "requestId": 7, "revision": 2}
        assert [task["path"] for task in description["tasks"]] == ["#.list", "#.resize", "#.publish"]
        assert description["tasks"][2]["children"][1] == {
            "name": "mail",
            "description": "",
            "path": "#.publish.mail",
            "children": [],
            "foreach": True,
        }
        assert statuses["statuses"]["#.list"] == {
            "status": "ok",
            "stale": False,
            "executionTime": None,
            "duration": 7,
            "attempt": 1,
        }
        assert [packet["revision"] for packet in (description, statuses, status)] == [2, 2, 2]
        assert [packet.get("more") for packet in (description, statuses, status)] == [True, True, None]
        gateway.system.change(
            "i",
            TaskChange(path="#.publish.cdn", status=QUEUED),
            status=InstanceStatus.WORKING,
            progress=InstanceProgress(total=3, done=1, fraction=0.33),
        )
        changed, status = await client.of("setTasksStatuses", "setWorkflowStatus")
        assert list(changed["statuses"]) == ["#.publish.cdn"]
        assert (changed["baseRevision"], changed["revision"], changed["more"]) == (2, 3, True)
        assert status == {
            "type": "setWorkflowStatus",
            "id": "i",
            "revision": 3,
            "baseRevision": 2,
            "status": "working",
            "progress": {"total": 3, "done": 1, "failed": 0, "running": 0, "fraction": 0.33},
        }


async def test_what_happens_while_the_instance_is_read_is_not_missed(gateway: Running) -> None:
    gateway.system.create("i")
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def reading(query: Any) -> None:
        asked.set()
        await go_on.wait()

    gateway.system.reading = reading
    async with gateway.client() as client:
        await client.send("watchWorkflowInstance", id="i")
        await asked.wait()
        gateway.system.change("i", TaskChange(path="#.list", status=OK))
        go_on.set()
        _, _, statuses, _ = await client.of(
            "ack", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"
        )
        assert statuses["statuses"]["#.list"]["status"] == "ok"
        await gateway.settle()
        await client.silent()


async def test_busy_instances_are_conflated_and_the_end_goes_out_at_once(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.watch("i")
        for number in range(200):
            gateway.system.change("i", TaskChange(path="#.list", status=RUNNING, duration=number))
            await gateway.settle()
        sent = [(await client.next())["statuses"]["#.list"]["duration"] for _ in range(4)]
        assert sent == [0, 1, 2, 3], "a few changes after quiet go out at once"
        await client.silent()
        await gateway.pass_time(0.2)
        held, *_ = await client.of("setTasksStatuses")
        assert held["statuses"]["#.list"]["duration"] == 199
        assert (held["baseRevision"], held["revision"]) == (5, 201)
        for number in range(10):
            gateway.system.change("i", TaskChange(path="#.list", duration=1_000 + number))
            await gateway.settle()
        gateway.system.change("i", TaskChange(path="#.list", status=OK), status=InstanceStatus.DONE)
        await gateway.settle()
        while (packet := await client.next())["type"] != "setWorkflowStatus":
            last = packet
        assert last["statuses"]["#.list"]["status"] == "ok"
        assert packet["status"] == "done"


async def test_a_gap_leads_to_a_resync(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.watch("i")
        gateway.system.change("i", TaskChange(path="#.list", status=QUEUED), publish=False)
        gateway.system.change("i", TaskChange(path="#.publish.cdn", status=QUEUED))
        resync, description, statuses, status = await client.of(
            "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"
        )
        assert "revision 3" in resync["reason"]
        assert {packet["revision"] for packet in (description, statuses, status)} == {3}
        assert statuses["statuses"]["#.list"]["status"] == "queued"
        reads = await gateway.system.heard(ReadInstance, 2)
        assert reads[-1].min_revision == 3
        gateway.system.change("i", TaskChange(path="#.list", status=OK))
        changed, *_ = await client.of("setTasksStatuses")
        assert (changed["baseRevision"], changed["revision"]) == (3, 4)


async def test_an_older_epoch_is_not_heard_and_a_new_one_that_goes_back_is_read(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.watch("i")
        stray = gateway.system.change("i", TaskChange(path="#.list", status=FAILED))
        await client.of("setTasksStatuses")
        gateway.system.create("i")
        gateway.system.epoch = 2
        gateway.system.change("i", TaskChange(path="#.list", status=OK))
        await client.of("resync", "workflowDescription")
        (statuses,) = await client.of("setTasksStatuses")
        assert statuses["statuses"]["#.list"]["status"] == "ok"
        await client.of("setWorkflowStatus")
        stray.revision, stray.base_revision = 3, 2
        gateway.system.publish(stray)
        await gateway.settle()
        await client.silent()


async def test_lost_events_lead_to_a_resync(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.watch("i")
        for number in range(10_100):
            gateway.system.change("i", TaskChange(path="#.list", duration=number))
        (resync,) = await client.of("resync")
        assert "lost" in resync["reason"]
        packets = await client.of("workflowDescription", "setTasksStatuses", "setWorkflowStatus")
        assert packets[1]["statuses"]["#.list"]["duration"] == 10_099


async def test_since_gives_only_what_changed_after_it(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.change("i", TaskChange(path="#.list", status=OK, bound=1, left=2))
    gateway.system.change("i", TaskChange(path="#.publish.cdn", status=OK, bound=3, left=4))
    async with gateway.client() as client:
        _, statuses, _ = await client.watch("i", since=2)
        assert "#.list" not in statuses["statuses"]
        assert "#.publish.cdn" in statuses["statuses"]
        assert (statuses["baseRevision"], statuses["revision"]) == (2, 3)
        _, statuses, status = await client.watch("i", since=3)
        assert "#.list" not in statuses["statuses"]
        assert status["revision"] == 3


async def test_who_comes_back_is_told_what_was_missed_removed_items_included(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.change(
        "i", TaskChange(path="#.resize", status=OK, count=3), TaskChange(path="#.list", status=OK)
    )
    async with gateway.client() as client:
        await client.watch("i")
    gateway.system.change("i", TaskChange(path="#.resize", count=1), removed=("#.resize[1]", "#.resize[2]"))
    async with gateway.client() as client:
        _, statuses, _ = await client.watch("i", since=2)
        assert statuses["removed"] == ["#.resize[1]", "#.resize[2]"]
        assert set(statuses["statuses"]) == {"#.resize", "#.resize[0]"}
    assert len(await gateway.system.heard(ReadInstance)) == 1
    async with gateway.client() as client:
        await gateway.settle()
        for _ in range(2):
            gateway.clock.move(LINGER)
            await gateway.settle()
            await client.of("heartbeat")
        assert topology.instance_key("i") not in gateway.bus.bindings
        await client.send("watchWorkflowInstance", id="i", since=2)
        await client.of("ack", "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus")


async def test_another_gateway_tells_what_was_missed_if_nothing_was_removed_since(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.change("i", TaskChange(path="#.resize", count=3))
    gateway.system.change("i", TaskChange(path="#.resize", count=2), removed=("#.resize[2]",))
    gateway.system.change(
        "i", TaskChange(path="#.resize", status=RUNNING), TaskChange(path="#.list", status=OK)
    )
    async with gateway.client() as client:
        _, statuses, status = await client.watch("i", since=3)
        assert set(statuses["statuses"]) == {"#.list", "#.resize", "#.resize[0]", "#.resize[1]"}
        assert (statuses["baseRevision"], status["revision"]) == (3, 4)
        await client.send("watchWorkflowInstance", id="i", since=2)
        await client.of("ack", "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus")


async def test_since_beyond_the_server_leads_to_a_resync(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.send("watchWorkflowInstance", id="i", since=99)
        _, resync, _, statuses, _ = await client.of(
            "ack", "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"
        )
        assert "99" in resync["reason"]
        assert "#.list" in statuses["statuses"]


async def test_items_that_come_and_are_named_are_encoded_once_for_all(gateway: Running) -> None:
    gateway.system.create("i", status=InstanceStatus.WORKING)
    error = ErrorInfo(ErrorCode.EXECUTION_FAILED, "no disk")

    async def counted(name: str) -> float:
        async with gateway.http.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}_total "))

    async with gateway.client() as one, gateway.client() as other, gateway.client() as third:
        clients = (one, other, third)
        for client in clients:
            await client.watch("i", paths=["#.resize[*]", "#.list"])
        gateway.system.change(
            "i",
            TaskChange(path="#.resize", status=QUEUED, count=1_500),
            TaskChange(path="#.list", status=FAILED, error=error),
        )
        for client in clients:
            assert (await client.next())["type"] == "executionError"
            seen: dict[str, Any] = {}
            more = True
            while more:
                packet = await client.next()
                more = packet.get("more", False)
                seen |= packet.get("statuses", {})
            assert set(seen) == {"#.list", *(f"#.resize[{n}]" for n in range(1_500))}
        encoded = await counted("taskpath_gateway_frames_encoded")
        assert encoded > 1
        assert await counted("taskpath_gateway_frames_sent") == 3 * encoded


async def test_an_instance_has_one_watch_however_many_look_at_it(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as first, gateway.client() as second, gateway.client() as third:
        await first.watch("i")
        await second.watch("i")
        await third.watch("i", paths=["#.publish"])
        assert len(await gateway.system.heard(ReadInstance)) == 1
        gateway.system.change("i", TaskChange(path="#.list", status=OK))
        gateway.system.change("i", TaskChange(path="#.publish.cdn", status=OK))
        for client in (first, second):
            (packet,) = await client.of("setTasksStatuses")
            assert set(packet["statuses"]) == {"#.list", "#.publish.cdn"}
        (packet,) = await third.of("setTasksStatuses")
        assert set(packet["statuses"]) == {"#.publish.cdn"}


async def test_a_long_foreach_is_a_rollup_and_its_items_can_be_named(gateway: Running) -> None:
    gateway.system.create("i")
    items = [TaskChange(path=f"#.resize[{n}]", status=OK, bound=2, left=3) for n in range(1_500)]
    gateway.system.change(
        "i",
        TaskChange(path="#.resize", status=RUNNING, count=1_500, rollup=Rollup(total=1_500, ok=1_500)),
        *items,
    )
    async with gateway.client() as client, gateway.client() as other:
        description, statuses, _ = await client.watch("i")
        assert description["tasks"][1]["count"] == 1_500
        assert statuses["statuses"]["#.resize"]["rollup"]["ok"] == 1_500
        assert not [path for path in statuses["statuses"] if "[" in path]
        _, statuses, _ = await other.watch("i", paths=["#.resize[1499]"])
        assert set(statuses["statuses"]) == {"#.resize[1499]"}
        gateway.system.change("i", *[TaskChange(path=f"#.resize[{n}]", status=RUNNING) for n in range(1_500)])
        (moved,) = await client.of("setWorkflowStatus")
        assert moved["revision"] == 3, "nothing is seen of it, but the revision has risen"
        (packet,) = await other.of("setTasksStatuses")
        assert packet["statuses"]["#.resize[1499]"]["status"] == "running"
        assert len(packet["statuses"]) == 1


async def test_a_reader_that_stalls_costs_bounded_memory_and_delays_nobody(gateway: Running) -> None:
    gateway.system.create("i")
    message = "x" * 30_000
    async with gateway.client() as reader:
        await reader.watch("i")
        stalled = await _stalled_watcher(gateway, "i")
        sessions = list(gateway.gateway._sockets._open)
        assert len(sessions) == 2
        for number in range(400):
            gateway.system.change(
                "i",
                TaskChange(
                    path="#.list",
                    status=FAILED,
                    duration=number,
                    error=ErrorInfo(ErrorCode.EXECUTION_FAILED, message),
                ),
            )
            gateway.system.write("i", "#.list", message)
            await gateway.pass_time(0.1)
            while (packet := await reader.next())["type"] != "setTasksStatuses":
                pass
            assert packet["statuses"]["#.list"]["duration"] == number
        assert max(session.outbox._size for session in sessions) < 600 * 1024
        last = await _drain(stalled, "duration", 399)
        assert last["statuses"]["#.list"]["duration"] == 399
        stalled.close()


async def test_commands_are_sent_on_and_answered(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.send(
            "executeTask",
            id="i",
            taskPath="#.list",
            mode="stale",
            upstream="run",
            argument=[1, 2],
            requestId="a",
        )
        assert await client.next() == {"type": "ack", "requestId": "a", "revision": 1}
        await client.send("executeAllTasks", id="i", argument=None, requestId="b", idempotencyKey="k")
        await client.send("cancel", id="i", taskPath="#.resize[*]", requestId="c")
        assert {(await client.next())["requestId"] for _ in range(2)} == {"b", "c"}
        first, second = await gateway.system.heard(Execute, 2)
        assert first == Execute(
            id="i", path="#.list", mode=Mode.STALE, upstream=Upstream.RUN, argument=Inline("[1, 2]")
        )
        assert (second.path, second.argument, second.key) == ("#", Inline("null"), "k")
        (cancelled,) = await gateway.system.heard(Cancel)
        assert cancelled.path == "#.resize[*]"
        gateway.system.refusal = TaskpathError(ErrorCode.ALREADY_RUNNING, "It runs.", path="#.list")
        await client.send("executeAllTasks", id="i", requestId="d")
        assert await client.next() == {
            "type": "appError",
            "requestId": "d",
            "error": {"code": "ALREADY_RUNNING", "message": "It runs.", "path": "#.list"},
        }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('"x"', "object"),
        ('{"id":"i"}', "`type`"),
        ('{"type":"dance"}', "watchWorkflowInstance"),
        ('{"type":"cancel"}', "`id`"),
        ('{"type":"cancel","id":7}', "`$.id`"),
        ('{"type":"cancel","id":"i","task":"#"}', "`task`"),
        ('{"type":"cancel","id":"i","taskPath":"list"}', "begins with #"),
        ('{"type":"executeTask","id":"i","taskPath":"#","mode":"some"}', "mode"),
        ('{"type":"executeTask","id":"i","taskPath":"#","argument":NaN}', "JSON"),
        ('{"type":"executeTask","id":"i","taskPath":"#","argument":[1e999]}', "range"),
        ('{"type":"cancel","id":"i","id":"j"}', "twice"),
        ('{"type":"cancel","id":"i","taskPath":[' + "]}", "taskPath"),
        (
            '{"type":"executeTask","id":"i","taskPath":"#","argument":' + "[" * 50_000 + "]" * 50_000 + "}",
            "deep",
        ),
        ('{"type":"watchWorkflowInstance","id":"i","since":-1}', "since"),
        ('{"type":"watchWorkflowInstance","id":"i","paths":["#..a"]}', "#..a"),
        ('{"type":"watchWorkflowInstance","id":"i","paths":["#.nowhere"]}', "#.nowhere"),
        ('{"type":"watchWorkflowInstance","id":"other"}', "other"),
        ('{"type":"watchInstances","limit":201}', "200"),
        ('{"type":"executeAllTasks","id":"other"}', "other"),
    ],
)
async def test_a_bad_packet_is_answered_and_the_connection_lives(
    gateway: Running, text: str, says: str
) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.socket.send_str(text)
        packet = await client.next()
        assert packet["type"] == "appError"
        assert says in packet["error"]["message"]
        assert "Traceback" not in packet["error"]["message"]
        await client.silent()


async def test_a_bad_packet_keeps_its_request_id(gateway: Running) -> None:
    async with gateway.client() as client:
        await client.send("dance", requestId="mine")
        assert (await client.next())["requestId"] == "mine"
        await client.send("cancel", id="i", wrong=1, requestId=5)
        assert (await client.next())["requestId"] == 5


async def test_binary_and_broken_text_frames_are_answered(gateway: Running) -> None:
    async with gateway.client() as client:
        await client.socket.send_bytes(b"{}")
        assert (await client.next())["error"]["code"] == "INVALID_REQUEST"
        await client.socket.send_frame(b'{"type":"auth","token":"\xff"}', aiohttp.WSMsgType.TEXT)
        assert (await client.next())["error"]["code"] == "INVALID_REQUEST"
        await client.silent()


async def test_a_frame_over_a_megabyte_closes_the_connection(gateway: Running) -> None:
    async with gateway.client() as client:
        start = '{"type":"auth","token":"'
        await client.socket.send_str(start + "x" * (1024 * 1024 - len(start) - 2) + '"}')
        assert (await client.next())["type"] == "ack"
        await client.socket.send_str(start + "x" * (1024 * 1024 - len(start) - 1) + '"}')
        message = await client.socket.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)


async def test_heartbeats_tell_the_last_revisions(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.create("j")
    async with gateway.client() as client:
        await client.watch("i")
        await client.watch("j")
        gateway.system.change("i", TaskChange(path="#.list", status=OK))
        await client.of("setTasksStatuses")
        await gateway.pass_time(15.1)
        assert await client.next() == {"type": "heartbeat", "revisions": {"i": 2, "j": 1}}


async def test_unwatched_means_silent(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.watch("i")
        await client.send("unwatchWorkflowInstance", id="i", requestId=1)
        await client.of("ack")
        gateway.system.change("i", TaskChange(path="#.list", status=OK))
        await gateway.settle()
        await client.silent()


async def test_a_deleted_instance_is_said_to_be_and_watched_no_more(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.watch("i")
        gateway.system.delete("i")
        assert await client.next() == {"type": "instanceDeleted", "id": "i"}
        await client.send("watchWorkflowInstance", id="i")
        assert (await client.next())["error"]["code"] == "UNKNOWN_INSTANCE"


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


async def test_the_live_list_is_the_first_page_and_what_changes_in_it(gateway: Running) -> None:
    for number in range(3):
        gateway.system.create(f"i{number}", created_at=number + 1)
    async with gateway.client() as client:
        await client.send("watchInstances", status="inactive", limit=3, requestId=1)
        _, page = await client.of("ack", "instancesChanged")
        assert [item["id"] for item in page["items"]] == ["i2", "i1", "i0"]
        assert page["removed"] == []
        gateway.system.change("i1", status=InstanceStatus.WORKING)
        assert await client.next() == {"type": "instancesChanged", "items": [], "removed": ["i1"]}
        gateway.system.create("i3", created_at=9)
        gateway.system.change("i3", updated_at=9)
        gateway.system.change("i2", progress=InstanceProgress(total=5))
        await gateway.settle()
        await gateway.pass_time(0.3)
        packet = await client.next()
        assert [item["id"] for item in packet["items"]] == ["i3", "i2"]
        assert packet["items"][1]["progress"]["total"] == 5
        gateway.system.delete("i0")
        await gateway.pass_time(0.3)
        assert (await client.next())["removed"] == ["i0"]
        await client.send("unwatchInstances", requestId=2)
        await client.of("ack")
    await gateway.settle()
    assert topology.INDEX not in gateway.bus.bindings


async def test_a_live_list_follows_the_index_and_not_the_events(gateway: Running) -> None:
    gateway.system.create("i")
    asked = gateway.system.asked
    async with gateway.client() as client:
        await client.send("watchInstances", requestId=1)
        await client.of("ack", "instancesChanged")
        gateway.bus.publish(
            gateway.system.change("i", status=InstanceStatus.WORKING, publish=False),
            topology.instance_key("i"),
        )
        await gateway.settle()
        assert len([query for query in asked if isinstance(query, ListInstances)]) == 1
        gateway.system.tell()
        (changed,) = await client.of("instancesChanged")
        assert changed["items"][0]["status"] == "working"


async def test_a_live_list_is_looked_at_though_nobody_says_that_it_changed(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        await client.send("watchInstances", requestId=1)
        await client.of("ack", "instancesChanged")
        gateway.system.change("i", status=InstanceStatus.WORKING, publish=False)
        await gateway.settle()
        gateway.clock.move(LOOK)
        (changed,) = await client.of("instancesChanged")
        assert changed["items"][0]["status"] == "working"


async def test_an_empty_list_is_a_page_too(gateway: Running) -> None:
    async with gateway.client() as client:
        await client.send("watchInstances")
        await client.of("ack")
        assert await client.next() == {"type": "instancesChanged", "items": [], "removed": []}


async def test_the_subprotocol_is_picked_and_foreign_origins_are_refused(gateway: Running) -> None:
    async with gateway.http.ws_connect("/ws", protocols=("taskpath", "taskpath.token.x")) as socket:
        assert socket.protocol == "taskpath"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await gateway.http.ws_connect("/ws", headers=headers)
        assert refused.value.status == 403
    async with gateway.http.ws_connect("/ws", headers={"Origin": gateway.gateway.url}) as socket:
        assert (await Client(socket).next())["type"] == "hello"


async def test_stopping_says_goodbye() -> None:
    async with running() as gateway, gateway.http.ws_connect("/ws") as socket:
        client = Client(socket)
        await client.next()
        stopping = asyncio.ensure_future(gateway.gateway.stop())
        message = await client.socket.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        await stopping


async def _stalled_watcher(gateway: Running, id: str) -> sockets.socket:
    """A client that asks for an instance and its logs and then reads nothing."""
    loop = asyncio.get_running_loop()
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, (host, int(port)))
    await loop.sock_sendall(
        raw,
        f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
    )
    text = msgspec.json.encode(
        {"type": "watchWorkflowInstance", "id": id, "logs": True, "requestId": "stalled"}
    )
    await loop.sock_sendall(raw, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    seen = b""
    while b"setWorkflowStatus" not in seen:
        seen += await loop.sock_recv(raw, 4096)
    return raw


async def _drain(raw: sockets.socket, field: str, value: int) -> Any:
    """Reads frames until one says this; that it came after log lines were dropped is checked on the way."""
    loop = asyncio.get_running_loop()
    buffer = b""
    dropped = 0

    async def read(count: int) -> bytes:
        nonlocal buffer
        while len(buffer) < count:
            async with asyncio.timeout(10):
                buffer += await loop.sock_recv(raw, 1 << 20)
        part, buffer = buffer[:count], buffer[count:]
        return part

    while True:
        head = await read(2)
        length = head[1]
        if length == 126:
            length = int.from_bytes(await read(2), "big")
        elif length == 127:
            length = int.from_bytes(await read(8), "big")
        payload = await read(length)
        if head[0] & 0x0F != 1:
            continue
        packet = msgspec.json.decode(payload)
        dropped += packet.get("dropped", 0)
        if packet["type"] == "setTasksStatuses" and packet["statuses"].get("#.list", {}).get(field) == value:
            assert dropped > 100
            return packet
