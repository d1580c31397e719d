"""What gateway and storage do when the bus is lost and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskpath_proto import topology
from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.events import WantSnapshot
from taskpath_proto.queries import PutBlob, ReadInstance
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_services.gateway.watches import AGAIN_AT_ONCE
from tests.support.gateway import Running
from tests.support.storage import System, changed, created

WORKING = InstanceStatus.WORKING


async def back(gateway: Running) -> None:
    """The bus is there again, and so are owner and storage."""
    gateway.bus.restore()
    await gateway.system.open()


async def test_a_watcher_is_told_to_start_over_and_gets_what_it_missed(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    async with gateway.client() as client:
        await client.watch("i")
        await gateway.bus.lose()
        gateway.system.change("i", TaskChange(path="#.list", status=TaskStatus.OK), publish=False)
        await gateway.settle()
        await client.silent()
        await back(gateway)
        await gateway.pass_time(2)
        resync, _, statuses, status = await client.of(
            "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"
        )
        assert "connection" in resync["reason"]
        assert statuses["statuses"]["#.list"]["status"] == "ok"
        assert status["revision"] == 2
        gateway.system.change("i", TaskChange(path="#.publish.cdn", status=TaskStatus.RUNNING))
        (changed,) = await client.of("setTasksStatuses")
        assert changed["revision"] == 3


async def test_events_of_instances_that_nobody_watches_are_ignored(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    gateway.system.create("j", status=WORKING)
    async with gateway.client() as client:
        await client.watch("i")
        other = gateway.system.change("j", TaskChange(path="#.list", status=TaskStatus.OK), publish=False)
        gateway.bus.publish(other, topology.instance_key("i"))  # as a broker does with a parcel of both
        await gateway.settle()
        await client.silent()


async def test_calls_are_unavailable_while_the_broker_is_away(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    await gateway.bus.lose()
    for method, path in (
        ("GET", "/instances/i"),
        ("POST", "/instances"),
        ("GET", "/instances"),
        ("DELETE", "/instances/i"),
    ):
        body = {"workflow": "album"} if method == "POST" else {}
        answer = await gateway.call(method, path, 503, **body)
        assert answer["error"]["code"] == "UNAVAILABLE"
        assert "broker" in answer["error"]["message"]
    async with gateway.client() as client:
        for packet in ({"type": "watchWorkflowInstance", "id": "i"}, {"type": "watchInstances"}):
            await client.send(**packet, requestId="w")
            (error,) = await client.of("appError")
            assert error["error"]["code"] == "UNAVAILABLE"
        await back(gateway)
        await gateway.settle()
        await gateway.call("GET", "/instances/i")
        await client.watch("i")


async def test_watches_are_read_again_a_few_at_once(gateway: Running) -> None:
    several = 3 * AGAIN_AT_ONCE
    reading = most = 0
    go = asyncio.Event()

    async def hold(query: object) -> None:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await go.wait()
        reading -= 1

    async with gateway.client() as client:
        for number in range(several):
            gateway.system.create(f"i{number}", status=WORKING)
            await client.watch(f"i{number}")
        await gateway.bus.lose()
        gateway.system.reading = hold
        await back(gateway)
        await gateway.settle()
        go.set()
        told = set[str]()
        while len(told) < several:
            if (packet := await client.next())["type"] == "setWorkflowStatus":
                told.add(packet["id"])
        assert most == AGAIN_AT_ONCE


async def test_a_live_list_is_asked_for_again(gateway: Running) -> None:
    gateway.system.create("i", status=WORKING)
    async with gateway.client() as client:
        await client.send("watchInstances", requestId="l")
        await client.of("ack", "instancesChanged")
        await gateway.bus.lose()
        gateway.system.create("j", status=WORKING)
        await back(gateway)
        await gateway.pass_time(1)
        (changed,) = await client.of("instancesChanged")
        assert [item["id"] for item in changed["items"]] == ["j"]


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(tmp_path)
    await system.start()
    yield system
    await system.stop()


async def test_storage_starts_over_and_finds_what_it_had_committed(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.one", attempt=1)))
    epoch = (await system.claim()).epoch
    system.clock.move(60)
    await system.bus.lose()
    system.bus.restore()
    await system.publish(changed(2, TaskChange(path="#.one", attempt=1)))
    await system.publish(changed(3, TaskChange(path="#.one", attempt=2), epoch=epoch))
    assert system.service.counters.refused == 1  # its epoch is over, as it was before
    assert (await system.view(ReadInstance("a", min_revision=3))).tasks[0].attempt == 2
    assert (await system.claim()).epoch > epoch
    assert system.service.ready


async def test_a_gap_asks_the_owner_for_everything(system: System) -> None:
    owner = await system.bus.consume(topology.scheduler_mailbox(0))
    await system.publish(created())
    await system.publish(changed(3, TaskChange(path="#.one", attempt=1)))
    assert (await owner.take()).messages == [WantSnapshot("a")]


async def test_a_large_value_does_not_go_through_a_mailbox(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, object]] = []
    send = system.bus.send

    def noting(mailbox: str, message: Message) -> asyncio.Future[None]:
        sent.append((mailbox, message.body if isinstance(message, Call) else message))
        return send(mailbox, message)

    monkeypatch.setattr(system.bus, "send", noting)
    await system.publish(created())
    text = '"' + "x" * 200_000 + '"'
    value = await system.put("#.one", "argument", 1, text)
    assert await system.read(value) == text
    (place,) = [mailbox for mailbox, body in sent if isinstance(body, PutBlob)]
    assert topology.is_reply_queue(place)
    assert place != system.caller._queue
