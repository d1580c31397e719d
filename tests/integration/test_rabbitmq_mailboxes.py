"""What stands at the broker: queues, parcels, routing keys."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from pamqp.commands import Basic
from structlog.testing import capture_logs

from taskpath.runtime.bus import BusLost, Undelivered
from taskpath.runtime.buses.rabbitmq import RabbitBus
from taskpath.runtime.buses.rabbitmq.declaring import arguments_of
from taskpath.runtime.buses.rabbitmq.fragments import MOST_BYTES as FRAGMENT
from taskpath.runtime.buses.rabbitmq.parcels import MOST_BYTES
from taskpath.runtime.settings import SettingsError
from taskpath_proto import topology
from taskpath_proto.codec import encode_message, join_parcel
from taskpath_proto.events import InstanceDeleted
from tests.support.proxy import proxy_to
from tests.support.rabbit import channel_to, message, numbers, queues_of, rabbit_bus, take
from tests.support.servers import RabbitMQ

MAILBOX = topology.executor_mailbox("default")
STORAGE = topology.storage_mailbox(0)


@pytest.fixture
async def url(rabbitmq: RabbitMQ) -> str:
    return await asyncio.to_thread(rabbitmq.new_vhost)


def event(id: str, number: int = 1, size: int = 0) -> InstanceDeleted:
    return InstanceDeleted(id=id, partition=0, epoch=1, revision=number, realm="x" * size)


async def test_the_whole_topology_is_there_when_the_bus_has_started(rabbitmq: RabbitMQ, url: str) -> None:
    async with rabbit_bus(url, partitions=2) as bus:
        await bus.send(MAILBOX, message(1))
        queues = await queues_of(rabbitmq, url)
    assert set(queues) == {"scheduler.0", "scheduler.1", "storage.0", "storage.1", MAILBOX, "queries"}
    for name, queue in queues.items():
        assert queue["durable"]
        if name == topology.QUERIES:
            continue
        arguments: dict[str, Any] = {"x-queue-type": "quorum"}
        if name != MAILBOX:
            arguments["x-single-active-consumer"] = True
        assert queue["arguments"] == arguments


@pytest.mark.parametrize(
    ("version", "limit"), [("3.10.8", None), ("3.13.7", None), ("4.0.2", -1), ("10.1", -1), ("", None)]
)
def test_only_a_broker_that_knows_no_limit_is_told_of_none(version: str, limit: int | None) -> None:
    """Up to 3.x a limit of -1 means that a message is dropped when it comes back for the first time."""
    assert arguments_of(MAILBOX, version).get("x-delivery-limit") == limit


async def test_what_an_operator_has_declared_is_taken_as_it_is(rabbitmq: RabbitMQ, url: str) -> None:
    theirs: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": 7}
    async with channel_to(url) as channel:
        await channel.queue_declare(MAILBOX, durable=True, arguments=theirs)
        await channel.queue_declare(STORAGE, durable=True)
    async with rabbit_bus(url) as bus:
        inbox = await bus.consume(MAILBOX)
        await bus.send(MAILBOX, message(1))
        await take(inbox, 1)
        await bus.publish(event("i"), STORAGE)
        assert await bus.depth(STORAGE) == 1
        assert (await queues_of(rabbitmq, url))[MAILBOX]["arguments"] == theirs


async def test_systems_with_prefixes_share_a_virtual_host_and_nothing_else(
    rabbitmq: RabbitMQ, url: str
) -> None:
    async with rabbit_bus(url + "?prefix=one.") as one, rabbit_bus(url + "?prefix=two.") as two:
        seen = await two.subscribe("instance.i")
        await one.send(MAILBOX, message(1))
        await one.publish(event("i", 1), STORAGE, "instance.i")
        assert await two.depth(MAILBOX) == await two.depth(STORAGE) == 0
        await two.publish(event("i", 2), STORAGE, "instance.i")
        assert await seen.take() == [event("i", 2)]
        queues = set(await queues_of(rabbitmq, url))
    assert f"one.{MAILBOX}" in queues
    assert all(name.startswith(("one.", "two.")) for name in queues)


async def test_volatile_queues_go_with_their_readers(rabbitmq: RabbitMQ, url: str) -> None:
    async with rabbit_bus(url) as bus:
        before = set(await queues_of(rabbitmq, url))
        replies = await bus.consume(topology.reply_queue("test"))
        events = await bus.subscribe("k")
        assert len(await queues_of(rabbitmq, url)) == len(before) + 3
        await replies.close()
        await events.close()
        assert set(await queues_of(rabbitmq, url)) == before


async def test_what_is_sent_at_once_goes_in_few_parcels(url: str) -> None:
    async with rabbit_bus(url) as bus:
        for sending in [bus.send(MAILBOX, message(number)) for number in range(2_500)]:
            await sending
        assert await bus.depth(MAILBOX) <= 4
        for sending in [bus.send("executor.big", message(n, MOST_BYTES // 4)) for n in range(12)]:
            await sending
        assert await bus.depth("executor.big") >= 3
        inbox = await bus.consume("executor.big")
        assert numbers(await take(inbox, 12)) == list(range(12))


async def test_a_message_larger_than_a_parcel_or_a_frame_arrives(url: str) -> None:
    async with rabbit_bus(url) as bus:
        inbox = await bus.consume(MAILBOX)
        await bus.send(MAILBOX, message(1, 3 * 1024 * 1024))
        (delivery,) = await take(inbox, 1)
        assert delivery.messages == [message(1, 3 * 1024 * 1024)]
        with pytest.raises(ValueError, match="larger"):
            await bus.send(MAILBOX, message(2, 17 * 1024 * 1024))
        await bus.send(MAILBOX, message(3))
        assert numbers(await take(inbox, 1)) == [3]


async def test_large_answers_go_in_fragments(rabbitmq: RabbitMQ, url: str) -> None:
    queue = topology.reply_queue("test")
    async with rabbit_bus(url) as bus, rabbit_bus(url) as other:
        inbox = await bus.consume(queue)
        sizes = [3 * FRAGMENT + 5, 2 * FRAGMENT, 17, 20 * 1024 * 1024]
        sending = [
            sender.send(queue, message(number, size))
            for number, size in enumerate(sizes)
            for sender in (bus, other)
        ]
        taken = [one for delivery in await take(inbox, len(sending)) for one in delivery.messages]
        assert sorted(taken, key=str) == sorted(
            [message(number, size) for number, size in enumerate(sizes) for _ in range(2)], key=str
        )
        for each in sending:
            await each
        await inbox.close()
        await bus.send(queue, message(1, 2 * FRAGMENT))  # nobody is there any more


async def test_one_parcel_reaches_the_subscribers_of_all_its_keys(url: str) -> None:
    async with rabbit_bus(url) as bus:
        subscriptions = [await bus.subscribe(topology.instance_key(f"i{n}")) for n in range(3)]
        events = [event(f"i{number}") for number in range(200)]
        for publishing in [bus.publish(one, STORAGE, topology.instance_key(one.id)) for one in events]:
            await publishing
        assert await bus.depth(STORAGE) == 1
        for subscription in subscriptions:
            assert await subscription.take() == events


async def test_parcels_that_cannot_be_read_are_dropped_once_and_for_all(url: str) -> None:
    newer = encode_message(message(2)).replace(b"Answer", b"Future")
    async with rabbit_bus(url) as bus, channel_to(url) as channel:
        inbox = await bus.consume(MAILBOX)
        with capture_logs() as logs:
            for body in (b"\xc1", b"", newer, join_parcel([newer, encode_message(message(3))])):
                await channel.basic_publish(body, routing_key=MAILBOX, properties=Basic.Properties())
            (delivery,) = await take(inbox, 1)
            assert delivery.messages == [message(3)]
            delivery.ack()
            await inbox.close()
            other = await bus.consume(MAILBOX)
            await bus.send(MAILBOX, message(4))
            assert numbers(await take(other, 1)) == [4]
        assert len([line for line in logs if line["log_level"] == "error"]) == 4


async def test_what_no_queue_takes_is_refused_and_the_mailbox_declared_again(url: str) -> None:
    async with rabbit_bus(url) as bus, channel_to(url) as channel:
        await bus.send(MAILBOX, message(1))
        inbox = await bus.consume(MAILBOX)
        await take(inbox, 1)
        await channel.queue_delete(MAILBOX)
        with pytest.raises(BusLost):
            await inbox.take()
        first, second = bus.send(MAILBOX, message(2)), bus.send(MAILBOX, message(3))
        with pytest.raises(Undelivered):
            await first
        with pytest.raises(Undelivered):
            await second
        await bus.send(MAILBOX, message(4))
        await channel.queue_delete(STORAGE)
        with pytest.raises(Undelivered):
            await bus.publish(event("i"), STORAGE, topology.instance_key("i"))
        await bus.publish(event("i"), STORAGE, topology.instance_key("i"))
        storage = await bus.consume(STORAGE, exclusive=True)
        (delivery,) = await take(storage, 1)
        assert delivery.messages == [event("i")]
        await bus.publish(event("i"), topology.EXECUTORS)  # nobody has to listen
        inbox = await bus.consume(MAILBOX)
        assert numbers(await take(inbox, 1)) == [4]


async def test_a_subscriber_that_does_not_read_is_told_what_the_broker_dropped(url: str) -> None:
    """What does not fit into the connection waits at the broker, where there is room for 50."""
    async with (
        proxy_to(url) as proxy,
        rabbit_bus(proxy.url) as stuck,
        rabbit_bus(url) as other,
    ):
        mine = await stuck.subscribe("k", limit=50)
        await other.publish(event("first"), "k")
        assert await mine.take() == [event("first")]
        assert not mine.lost()
        mine._limit, mine._events = 1_000, deque()  # so that none is dropped on this side
        proxy.stall()
        for number in range(1, 801):
            await other.publish(event("i", number, 32 * 1024), "k")
        proxy.go_on()
        seen: list[int] = []
        lost = False
        while not (lost and seen and seen[-1] == 800):
            seen += [one.revision for one in await mine.take() if isinstance(one, InstanceDeleted)]
            lost = mine.lost() or lost
        assert seen == sorted(seen)
        assert seen[-50:] == list(range(751, 801))


async def test_a_loss_wakes_a_subscriber_without_events(url: str) -> None:
    async with rabbit_bus(url) as bus, channel_to(url) as channel:
        mine = await bus.subscribe("k")
        losses = f"{mine._queue}.losses"
        await channel.basic_publish(b"", routing_key=losses, properties=Basic.Properties())
        assert await mine.take() == []
        assert mine.lost()
        assert not mine.lost()
        await channel.basic_publish(b"", routing_key=losses, properties=Basic.Properties())
        assert await mine.take() == []
        assert mine.lost()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("amqp://guest:hunter2@127.0.0.1:{port}/", "password"),
        ("amqp://guest:guest@127.0.0.1:{port}/nowhere", "virtual host"),
    ],
)
async def test_a_broker_that_refuses_us_ends_the_start(rabbitmq: RabbitMQ, wrong: str, said: str) -> None:
    with capture_logs() as logs:
        bus = RabbitBus(wrong.format(port=rabbitmq.port), name="test", partitions=1)
        with pytest.raises(SettingsError, match=said) as refused:
            await bus.start()
        await bus.stop()
    assert "hunter2" not in f"{refused.value}{logs}"


@pytest.mark.parametrize("wrong", ["amqp://", "http://host", "amqp://h:p@[", "amqp://h/?prefix=" + "x" * 200])
def test_a_wrong_address_is_said_to_be_wrong(wrong: str) -> None:
    with pytest.raises(SettingsError):
        RabbitBus(wrong, name="test", partitions=1)
