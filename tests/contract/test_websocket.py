"""The WebSocket, row by row."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from tests.contract.world import STATE, Socket, World, merged

ECHO = {"name": "a", "do": "echo"}
CHAIN = [{"name": name, "do": "echo"} for name in "abc"]
MEGABYTE = 1024 * 1024


@pytest.mark.contract("ws.hello", "ws.frames", "ws.subprotocol")
async def test_it_says_hello(system: World) -> None:
    protocols = ("taskpath.token.xyz", "taskpath")
    async with system.http.ws_connect("/ws", protocols=protocols) as socket:
        frame = await socket.receive()
        assert socket.protocol == "taskpath"
    assert frame.type is aiohttp.WSMsgType.TEXT
    assert frame.data.startswith('{"type":"hello"')
    hello = msgspec.json.decode(frame.data)
    assert hello["version"] == 1
    assert hello["session"]


@pytest.mark.contract("ws.request-id")
async def test_the_answer_repeats_the_request_id(system: World) -> None:
    async with system.socket() as socket:
        for request in ("text", 17):
            await socket.send("unwatchInstances", requestId=request)
            assert await socket.next() == {"type": "ack", "requestId": request}
            await socket.send("executeAllTasks", id="none", requestId=request)
            answer = await socket.next()
            assert (answer["type"], answer["requestId"]) == ("appError", request)
            assert answer["error"]["code"] == "UNKNOWN_INSTANCE"
        await socket.send("unwatchInstances")
        assert await socket.next() == {"type": "ack"}


@pytest.mark.contract("ws.watch", "ws.description", "ws.statuses", "ws.workflow-status", "ws.more")
async def test_a_watch_brings_the_state_and_every_change(system: World) -> None:
    tasks = [
        {"name": "list", "do": "range", "count": 2, "context_var": "them", "description": "Find"},
        {"name": "each", "do": "echo", "foreach": "them"},
    ]
    id = (await system.create(tasks))["id"]
    async with system.socket() as socket:
        description, statuses, status = await socket.watch(id)
        assert description["tasks"] == [
            {"name": "list", "description": "Find", "path": "#.list", "children": []},
            {"name": "each", "description": "", "path": "#.each", "children": [], "foreach": True},
        ]
        state = {
            "status": "inactive", "stale": False, "executionTime": None, "duration": None, "attempt": 0
        }  # fmt: skip
        assert statuses["statuses"] == {"#.list": state, "#.each": state}
        assert status["status"] == "inactive"
        assert status["progress"] == {"total": 1, "done": 0, "failed": 0, "running": 0, "fraction": 0.0}
        for packet in (description, statuses, status):
            assert (packet["id"], packet["revision"], packet["baseRevision"]) == (id, 1, 0)
        assert [packet.get("more", False) for packet in (description, statuses, status)] == [
            True,
            True,
            False,
        ]
        await socket.send("executeAllTasks", id=id)
        packets = await socket.until_at_rest(id)
    described = [packet for packet in packets if packet["type"] == "workflowDescription"]
    assert described[-1]["tasks"][1]["count"] == 2, "it is described again when the tree changes"
    states = merged(packets)
    assert {path: one["status"] for path, one in states.items()} == {
        "#.list": "ok", "#.each": "ok", "#.each[0]": "ok", "#.each[1]": "ok",
    }  # fmt: skip
    assert states["#.list"]["attempt"] == 1
    assert states["#.list"]["duration"] >= 0
    end = packets[-1]
    assert (end["status"], end["progress"]["fraction"], end["progress"]["done"]) == ("done", 1.0, 3)


@pytest.mark.contract("ws.base-revision", "ws.more")
async def test_every_packet_continues_what_was_there(system: World) -> None:
    id = (await system.create([{"name": f"t{number}", "do": "echo"} for number in range(50)]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await socket.send("executeAllTasks", id=id)
        have, open_at = 1, None
        for packet in await socket.until_at_rest(id):
            if "revision" not in packet:
                continue
            assert packet["baseRevision"] <= have
            assert packet["revision"] > have
            assert open_at in (None, packet["revision"]), "packets of one revision stand together"
            if packet.get("more", False):
                open_at = packet["revision"]
            else:
                have, open_at = packet["revision"], None
    assert open_at is None
    assert (await system.call("GET", f"/instances/{id}?minRevision={have}"))["revision"] == have


@pytest.mark.contract("ws.watch-since", "ws.resync")
async def test_since_brings_what_changed_after_it(system: World) -> None:
    done = await system.run(CHAIN)
    id, seen = done["id"], done["revision"]
    again = await system.execute(id, "#.c")
    async with system.socket() as socket:
        _, statuses, status = await socket.watch(id, since=seen)
        assert set(statuses["statuses"]) == {"#.c"}
        assert (statuses["baseRevision"], status["revision"]) == (seen, again["revision"])
        _, statuses, _ = await socket.watch(id, since=again["revision"])
        assert statuses["statuses"] == {}
        answer = await socket.ask("watchWorkflowInstance", id=id, since=again["revision"] + 100)
        assert answer["type"] == "ack"
        resync, *fresh = [await socket.next() for _ in range(4)]
        assert (resync["type"], resync["id"]) == ("resync", id)
        assert resync["reason"]
        assert tuple(packet["type"] for packet in fresh) == STATE
        assert set(fresh[1]["statuses"]) == {"#.a", "#.b", "#.c"}
        assert fresh[1]["baseRevision"] == 0


@pytest.mark.contract("ws.watch-paths", "patterns.root", "patterns.wildcards", "patterns.no-match")
async def test_paths_choose_what_is_seen(system: World) -> None:
    tasks = [ECHO, {"name": "group", "subtasks": [{"name": "x", "do": "echo"}, {"name": "y", "do": "echo"}]}]
    id = (await system.create(tasks))["id"]
    async with system.socket() as socket:
        for patterns, expected in (
            (["#.group"], {"#.group", "#.group.x", "#.group.y"}),
            (["#.group.x", "#.a"], {"#.a", "#.group.x"}),
            (["#.*.y"], {"#.group.y"}),
            (["#.group.**"], {"#.group.x", "#.group.y"}),
            (["#"], set()),
        ):
            _, statuses, _ = await socket.watch(id, paths=patterns)
            assert set(statuses["statuses"]) == expected, patterns
        await socket.watch(id, paths=["#.group.y"])
        await socket.send("executeAllTasks", id=id)
        packets = await socket.until_at_rest(id)
        assert set(merged(packets)) == {"#.group.y"}
        answer = await socket.ask("watchWorkflowInstance", id=id, paths=["#.none"])
        assert answer["error"]["code"] == "CANNOT_FIND_TASK"


@pytest.mark.contract("ws.watch-logs")
async def test_logs_come_if_they_are_wanted(system: World) -> None:
    tasks = [{"name": "a", "do": "echo", "log": ["one", "two"]}, {"name": "b", "do": "echo", "log": ["b"]}]
    id = (await system.create(tasks))["id"]
    for logs, expected in ((True, ["one", "two", "b"]), (["#.b"], ["b"]), (False, [])):
        async with system.socket() as socket:
            await socket.watch(id, logs=logs)
            await socket.send("executeAllTasks", id=id)
            packets = [one for one in await socket.until_at_rest(id) if one["type"] == "taskLogs"]
        lines = [line for packet in packets for line in packet["lines"]]
        assert [line["text"] for line in lines] == expected
        for line in lines:
            assert set(line) == {"time", "level", "text", "attempt"}
        for packet in packets:
            assert packet["next"] >= len(packet["lines"])


@pytest.mark.contract("ws.watch-logs-since")
async def test_lines_that_were_missed_come_first(system: World) -> None:
    id = (await system.run([{"name": "a", "do": "echo", "log": ["one", "two", "three"]}]))["id"]
    async with system.socket() as socket:
        await socket.watch(id, logs=True, logsSince={"#.a": 1})
        packet = await socket.until("taskLogs")
        assert ([line["text"] for line in packet["lines"]], packet["next"]) == (["two", "three"], 3)
        await socket.send("executeAllTasks", id=id)
        texts, last = list[str](), 3
        for packet in await socket.until_at_rest(id):
            if packet["type"] == "taskLogs":
                texts += [line["text"] for line in packet["lines"]]
                last = packet["next"]
        assert (texts, last) == (["one", "two", "three"], 6)


@pytest.mark.contract("ws.unwatch")
async def test_unwatched_is_not_sent(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        assert (await socket.ask("unwatchWorkflowInstance", id=id))["type"] == "ack"
        await system.execute(id)
        await socket.send("unwatchInstances", requestId="next")
        assert await socket.next() == {"type": "ack", "requestId": "next"}


@pytest.mark.contract("ws.watch-instances", "ws.unwatch-instances")
async def test_a_live_list(system: World) -> None:
    old = (await system.create([ECHO], name="old"))["id"]
    async with system.socket() as socket:
        assert (await socket.ask("watchInstances", status="inactive", limit=10))["type"] == "ack"
        page = await socket.next()
        assert (page["type"], [item["id"] for item in page["items"]], page["removed"]) == (
            "instancesChanged", [old], [],
        )  # fmt: skip
        assert page["items"][0]["name"] == "old"
        new = (await system.create([ECHO]))["id"]
        change = await socket.until("instancesChanged")
        assert [item["id"] for item in change["items"]] == [new]
        await system.execute(old)
        removed = list[str]()
        while old not in removed:
            removed += (await socket.until("instancesChanged"))["removed"]
        assert (await socket.ask("unwatchInstances"))["type"] == "ack"
        await system.create([ECHO])
        await socket.send("unwatchInstances", requestId="next")
        assert await socket.next() == {"type": "ack", "requestId": "next"}


@pytest.mark.contract("ws.statuses", "ws.retry", "ws.execution-error")
async def test_retries_are_seen_and_the_final_failure_once(system: World) -> None:
    retry = {"attempts": 3, "backoff": 0.15, "jitter": 0.0}
    tasks = [{"name": "slow", "do": "fail-first", "times": 9, "retry": retry, "progress": [0.5, "half way"]}]
    id = (await system.create(tasks))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        for attempts in ((1, 2, 3), (4, 5, 6)):
            await socket.send("executeAllTasks", id=id)
            packets = await socket.until_at_rest(id)
            states = [
                packet["statuses"]["#.slow"] for packet in packets if "#.slow" in packet.get("statuses", {})
            ]
            waiting = [
                one["retry"]
                for one in states
                if one["status"] == "queued" and "nextAt" in one.get("retry", {})
            ]
            assert [(one["try"], one["attempts"]) for one in waiting] == [(2, 3), (3, 3)]
            assert {one["attempt"] for one in states if one["status"] in ("running", "failed")} <= set(
                attempts
            )
            assert (states[-1]["status"], states[-1]["attempt"]) == ("failed", attempts[-1])
            assert states[-1]["error"]["type"] == "ConnectionError"
            (error,) = [packet for packet in packets if packet["type"] == "executionError"]
            assert (error["id"], error["taskPath"], error["error"]["message"]) == (id, "#.slow", "not yet")


@pytest.mark.contract("ws.statuses")
async def test_progress_is_seen(system: World) -> None:
    id = (await system.create([system.hold("wait", progress=[0.25, "a quarter"])]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await socket.send("executeAllTasks", id=id)
        while True:
            state = await socket.statuses("#.wait", "running")
            if "progress" in state:
                break
        assert state["progress"] == {"fraction": 0.25, "message": "a quarter"}
        assert state["executionTime"] is not None
        assert state["duration"] is None


@pytest.mark.contract("ws.rollup", "rest.rollup")
async def test_a_long_foreach_is_a_rollup(system: World) -> None:
    body = {"workflow": "numbers", "data": {"count": 1_500}}
    id = (await system.call("POST", "/instances", 201, body))["id"]
    async with system.socket() as all_, system.socket() as one:
        await all_.watch(id)
        await one.watch(id, paths=["#.double[7]", "#.total"])
        await all_.send("executeAllTasks", id=id)
        states = merged(await all_.until_at_rest(id))
        assert set(states) == {"#.list", "#.double", "#.total"}
        assert states["#.double"]["rollup"] == {
            "total": 1_500, "inactive": 0, "queued": 0, "running": 0, "ok": 1_500, "failed": 0, "skipped": 0,
            "cancelled": 0, "stale": 0,
        }  # fmt: skip
        assert set(merged(await one.until_at_rest(id))) == {"#.double[7]", "#.total"}
    await system.execute(id, "#.list")
    async with system.socket() as socket:
        _, statuses, _ = await socket.watch(id)
        assert statuses["statuses"]["#.double"]["rollup"]["stale"] == 1_500


@pytest.mark.contract("ws.packet-size", "ws.more")
async def test_a_tree_of_ten_thousand_tasks_comes_in_packets_under_a_megabyte(system: World) -> None:
    data = {"count": 10_000, "description": "what this task is for, in some words, ü" * 4}
    id = (await system.call("POST", "/instances", 201, {"workflow": "wide", "data": data}))["id"]
    async with system.http.ws_connect("/ws", max_msg_size=MEGABYTE) as raw:
        socket = Socket(raw)
        await socket.next()
        await socket.send("watchWorkflowInstance", id=id)
        packets = list[Any]()
        while True:
            packet = await socket.next()
            packets.append(packet)
            if packet["type"] == "setWorkflowStatus":
                break
    described = [packet for packet in packets if packet["type"] == "workflowDescription"]
    assert len(described) > 1
    assert [packet.get("continues", False) for packet in described] == [False] + [True] * (len(described) - 1)
    assert all(task["path"] == "#.group" for packet in described for task in packet["tasks"])
    children = [child["path"] for packet in described for child in packet["tasks"][0]["children"]]
    assert children == [f"#.group.task{number}" for number in range(10_000)]
    assert len(merged(packets)) == 10_001
    assert [packet.get("more", False) for packet in packets[1:]] == [True] * (len(packets) - 2) + [False]


@pytest.mark.contract("ws.deleted")
async def test_a_deleted_instance_is_said_to_be(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.call("DELETE", f"/instances/{id}", 204)
        assert await socket.until("instanceDeleted") == {"type": "instanceDeleted", "id": id}


@pytest.mark.contract("rest.patch-data", "ws.description", "ws.resync")
async def test_a_changed_tree_is_described_anew(system: World) -> None:
    id = (await system.run(CHAIN))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.call("PATCH", f"/instances/{id}", 200, {"data": {"$splice": [[1, 1]]}})
        description = await socket.until("workflowDescription")
        assert [task["name"] for task in description["tasks"]] == ["a", "c"]
        statuses = await socket.until("setTasksStatuses")
        assert set(statuses["statuses"]) == {"#.a", "#.c"}
