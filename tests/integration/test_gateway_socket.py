"""The WebSocket of a real gateway: what a client sees of an instance, whatever happens on the way."""

from __future__ import annotations

import asyncio
from typing import Any

from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.queries import ReadInstance
from taskpath_proto.records import (
    InstanceProgress,
    InstanceStatus,
    Rollup,
    TaskChange,
    TaskStatus,
)
from taskpath_services.gateway.watches import LINGER
from tests.support.gateway import Running

OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


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
        encoded = await gateway.counted("frames_encoded")
        assert encoded > 1
        assert await gateway.counted("frames_sent") == 3 * encoded


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
