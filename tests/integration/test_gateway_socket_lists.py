"""Live lists of instances over the WebSocket of a real gateway."""

from __future__ import annotations

from taskpath_proto import topology
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import (
    InstanceProgress,
    InstanceStatus,
    TaskStatus,
)
from taskpath_services.gateway.lists import LOOK
from tests.support.gateway import Running

OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


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
