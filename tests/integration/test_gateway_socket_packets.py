"""Packets to a real gateway over the WebSocket: commands, bad ones, and what ends a connection."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from taskpath_proto.commands import Cancel, Execute
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.records import (
    Mode,
    TaskChange,
    TaskStatus,
    Upstream,
)
from taskpath_proto.values import Inline
from tests.support.gateway import Client, Running, running

OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


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
