"""The packets that a client sends, and what is refused, row by row."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from taskpath_services.gateway import socket as gateway
from tests.contract.conftest import Start
from tests.contract.world import World, merged, task_url

ECHO = {"name": "a", "do": "echo"}
CHAIN = [{"name": name, "do": "echo"} for name in "abc"]
MEGABYTE = 1024 * 1024


@pytest.mark.contract("ws.execute-task", "ws.execute-all", "ws.idempotency-key")
async def test_tasks_are_executed(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        answer = await socket.ask("executeAllTasks", id=id, argument={"x": 1}, idempotencyKey="k")
        assert answer["type"] == "ack"
        assert answer["revision"] > 1
        await system.ended(id)
        assert await socket.ask("executeAllTasks", id=id, argument={"x": 1}, idempotencyKey="k") == answer
        refused = await socket.ask("executeAllTasks", id=id, argument={"x": 2}, idempotencyKey="k")
        assert refused["error"]["code"] == "CONFLICT"
        for fields in (
            {"taskPath": "#.b", "argument": 5, "mode": "all", "upstream": "require"},
            {"taskPath": "#", "mode": "stale"},
        ):
            answer = await socket.ask("executeTask", id=id, **fields)
            assert answer["type"] == "ack"
            await system.ended(id)
    now = await system.ended(id)
    assert [state["attempt"] for state in now["statuses"].values()] == [1, 2, 2]
    assert (await system.task(id, "#.c"))["body"] == 5
    async with system.socket() as socket:
        for fields, code in (
            ({"taskPath": "#.z"}, "CANNOT_FIND_TASK"), ({"taskPath": "z"}, "INVALID_PATH"),
            ({"taskPath": "#", "mode": "some"}, "INVALID_REQUEST"), ({}, "INVALID_REQUEST"),
        ):  # fmt: skip
            assert (await socket.ask("executeTask", id=id, **fields))["error"]["code"] == code


@pytest.mark.contract("ws.cancel", "ws.idempotency-key")
async def test_what_runs_is_cancelled(system: World) -> None:
    id = (await system.create([system.hold("wait"), ECHO]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await socket.send("executeAllTasks", id=id)
        await system.held(socket, "#.wait")
        await socket.send("cancel", id=id, taskPath="#.wait", requestId="c", idempotencyKey="k")
        state = await socket.statuses("#.wait", "cancelled")
        assert state["attempt"] == 1
        answer = await socket.ask("cancel", id=id, taskPath="#.wait", idempotencyKey="k")
        assert answer["type"] == "ack"
        assert (await socket.ask("cancel", id=id))["type"] == "ack"
    assert (await system.ended(id))["status"] == "cancelled"


@pytest.mark.contract("ws.set-context-updaters", "ws.idempotency-key")
async def test_context_updaters_are_set(system: World) -> None:
    id = (await system.run([ECHO, {"name": "see", "do": "context"}]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        fields: dict[str, Any] = {"id": id, "taskPath": "#.a", "updaters": [{"x": {"$set": 1}}]}
        await socket.send("setContextUpdaters", requestId="s", idempotencyKey="k", **fields)
        state = await socket.statuses("#.see", "ok")
        assert state["stale"]
        answer = await socket.ask("setContextUpdaters", **{**fields, "updaters": [{"$x": 1}]})
        assert answer["error"]["code"] == "INVALID_REQUEST"
    await system.execute(id, mode="stale")
    assert (await system.task(id, "#.see"))["body"] == {"x": 1}


@pytest.mark.contract("ws.auth")
async def test_a_token_is_taken(system: World) -> None:
    async with system.socket() as socket:
        assert await socket.ask("auth", token="anything") == {"type": "ack", "requestId": "ask"}


@pytest.mark.contract("ws.bad-packet", "ws.frames")
async def test_a_bad_packet_is_answered_and_the_connection_lives(system: World) -> None:
    id = (await system.create([ECHO]))["id"]
    async with system.socket() as socket:
        for text in (
            "", "{", "[]", "null", '"text"', "{}", '{"type":7}', '{"type":"fly"}', '{"id":"i"}',
            '{"type":"cancel"}', '{"type":"cancel","id":"i","id":"i"}', '{"type":"cancel","id":7}',
            '{"type":"cancel","id":"i","color":"red"}', '{"type":"executeAllTasks","id":"i","argument":NaN}',
            '{"type":"watchWorkflowInstance","id":"i","since":-1}', "[" * 100_000,
        ):  # fmt: skip
            await socket.socket.send_str(text)
            answer = await socket.next()
            assert (answer["type"], answer["error"]["code"]) == ("appError", "INVALID_REQUEST"), text
            assert answer["error"]["message"].endswith(".")
        await socket.socket.send_bytes(b'{"type":"unwatchInstances"}')
        answer = await socket.next()
        assert (answer["type"], answer["error"]["code"]) == ("appError", "INVALID_REQUEST")
        await socket.watch(id)


@pytest.mark.contract("ws.large-frame")
async def test_a_frame_over_a_megabyte_closes_the_connection(system: World) -> None:
    async with system.socket() as socket:
        start = '{"type":"unwatchInstances","x":"'
        await socket.socket.send_str(start + "x" * (MEGABYTE - len(start) - 2) + '"}')
        assert (await socket.next())["type"] == "appError", "a megabyte is still read"
        await socket.socket.send_str("x" * (MEGABYTE + 1))
        frame = await socket.socket.receive()
        assert (frame.type, frame.data) == (aiohttp.WSMsgType.CLOSE, 1009)
    assert await system.call("GET", "//healthz") == {"status": "ok"}


@pytest.mark.contract("ws.heartbeat")
async def test_heartbeats_tell_the_last_revisions(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway.HEARTBEAT_SECONDS <= 15
    # Nobody wants to wait for so long here.
    monkeypatch.setattr(gateway, "HEARTBEAT_SECONDS", 0.05)
    system = await start()
    done = await system.run(CHAIN)
    async with system.socket() as socket:
        await socket.watch(done["id"])
        heartbeat = await socket.until("heartbeat")
        assert heartbeat == {"type": "heartbeat", "revisions": {done["id"]: done["revision"]}}


@pytest.mark.contract("ws.slow-reader", "ws.logs-dropped")
async def test_a_reader_that_stalls_misses_lines_and_delays_nobody(system: World) -> None:
    tasks = [{"name": "talk", "do": "echo", "chatter": 4_000}, {"name": "after", "do": "echo"}]
    id = (await system.create(tasks))["id"]
    async with system.socket() as stalled, system.socket() as reading:
        await stalled.watch(id, logs=True)
        await reading.watch(id, logs=True)
        await reading.send("executeAllTasks", id=id)
        packets = await reading.until_at_rest(id)
        assert packets[-1]["status"] == "done"
        late = await stalled.until_at_rest(id)
        assert {path: one["status"] for path, one in merged(late).items()} == {
            "#.talk": "ok",
            "#.after": "ok",
        }
        logs = [packet for packet in late if packet["type"] == "taskLogs"]
        dropped = sum(packet.get("dropped", 0) for packet in logs)
        assert dropped > 0
        # Watchers see what happens before storage has it: the lines stand before this revision.
        query = f"/logs?after=1000000&minRevision={late[-1]['revision']}"
        written = (await system.call("GET", task_url(id, "#.talk", query)))["next"]
        assert sum(len(packet["lines"]) for packet in logs) + dropped == written
