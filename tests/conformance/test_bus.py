"""The bus contract, over every implementation of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from taskpath.runtime.bus import Bus, BusClosed, Inbox
from taskpath.runtime.buses.memory import MemoryBus
from taskpath_proto import topology
from taskpath_proto.calls import Answer
from taskpath_proto.codec import Message
from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import ValueRead

MAILBOX = topology.executor_mailbox("default")
STORAGE = topology.storage_mailbox(0)


@pytest.fixture(params=["memory"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    bus = {"memory": MemoryBus}[request.param]()
    await bus.start()
    yield bus
    await bus.stop()


def message(number: int) -> Message:
    return Answer(call=number, body=ValueRead(str(number)))


def event(number: int, id: str = "i") -> InstanceDeleted:
    return InstanceDeleted(id=id, partition=0, epoch=1, revision=number)


def numbers(messages: object) -> list[int]:
    assert isinstance(messages, (list, tuple))
    return [one.call if isinstance(one, Answer) else one.revision for one in messages]


async def take_all(inbox: Inbox, count: int) -> list[int]:
    taken: list[int] = []
    while len(taken) < count:
        delivery = await inbox.take()
        taken += numbers(delivery.messages)
        delivery.ack()
    return taken


async def test_messages_come_in_the_order_they_were_sent(bus: Bus) -> None:
    for number in range(100):
        await bus.send(MAILBOX, message(number))
    inbox = await bus.consume(MAILBOX)
    assert await take_all(inbox, 100) == list(range(100))


async def test_take_waits_for_a_message(bus: Bus) -> None:
    inbox = await bus.consume(MAILBOX)
    taking = asyncio.ensure_future(inbox.take())
    await bus.send(MAILBOX, message(1))
    assert numbers((await taking).messages) == [1]


async def test_take_respects_its_bound(bus: Bus) -> None:
    for number in range(10):
        await bus.send(MAILBOX, message(number))
    inbox = await bus.consume(MAILBOX)
    first = await inbox.take(3)
    assert numbers(first.messages) == [0, 1, 2]
    assert not first.redelivered


async def test_what_was_not_acknowledged_comes_back_in_its_old_order(bus: Bus) -> None:
    for number in range(6):
        await bus.send(MAILBOX, message(number))
    first = await bus.consume(MAILBOX)
    done = await first.take(2)
    done.ack()
    await first.take(2)
    await first.take(1)
    await first.close()
    second = await bus.consume(MAILBOX)
    again = await second.take(3)
    assert numbers(again.messages) == [2, 3, 4]
    assert again.redelivered
    again.ack()
    fresh = await second.take()
    assert numbers(fresh.messages) == [5]
    assert not fresh.redelivered


async def test_an_acknowledgement_after_closing_changes_nothing(bus: Bus) -> None:
    await bus.send(MAILBOX, message(1))
    first = await bus.consume(MAILBOX)
    delivery = await first.take()
    await first.close()
    delivery.ack()
    second = await bus.consume(MAILBOX)
    assert numbers((await second.take()).messages) == [1]


async def test_consumers_share_a_mailbox(bus: Bus) -> None:
    one, other = await bus.consume(MAILBOX), await bus.consume(MAILBOX)
    first, second = asyncio.ensure_future(one.take(1)), asyncio.ensure_future(other.take(1))
    await bus.send(MAILBOX, message(1))
    await bus.send(MAILBOX, message(2))
    assert sorted(numbers((await first).messages) + numbers((await second).messages)) == [1, 2]


async def test_of_exclusive_consumers_one_is_active(bus: Bus) -> None:
    mailbox = topology.scheduler_mailbox(0)
    active, waiting = (
        await bus.consume(mailbox, exclusive=True),
        await bus.consume(mailbox, exclusive=True),
    )
    taking = asyncio.ensure_future(waiting.take())
    await bus.send(mailbox, message(1))
    delivery = await active.take()
    assert numbers(delivery.messages) == [1]
    assert not taking.done()
    await active.close()
    handed_over = await taking
    assert numbers(handed_over.messages) == [1]
    assert handed_over.redelivered


async def test_a_cancelled_take_loses_nothing(bus: Bus) -> None:
    inbox = await bus.consume(MAILBOX)
    other = await bus.consume(MAILBOX)
    waiting = asyncio.ensure_future(inbox.take())
    taking = asyncio.ensure_future(other.take())
    await bus.send(MAILBOX, message(0))
    waiting.cancel()
    await asyncio.wait({waiting, taking}, return_when=asyncio.ALL_COMPLETED)
    assert numbers(taking.result().messages) == [0]


async def test_an_event_reaches_the_mailbox_and_the_subscribers_of_its_keys(bus: Bus) -> None:
    storage = await bus.consume(STORAGE, exclusive=True)
    mine = await bus.subscribe(topology.instance_key("i"))
    others = await bus.subscribe(topology.instance_key("other"))
    published = bus.publish(event(1), STORAGE, topology.instance_key("i"))
    delivery = await storage.take()
    assert numbers(delivery.messages) == [1]
    delivery.ack()
    await published
    assert numbers(await mine.take()) == [1]
    await bus.publish(event(2, "other"), topology.instance_key("other"))
    assert numbers(await others.take()) == [2]


async def test_an_event_for_a_mailbox_that_nobody_reads_yet_waits_there(bus: Bus) -> None:
    published = bus.publish(event(1), STORAGE)
    storage = await bus.consume(STORAGE, exclusive=True)
    delivery = await storage.take()
    assert numbers(delivery.messages) == [1]
    delivery.ack()
    await published


async def test_a_bus_that_is_not_durable_shows_an_event_only_when_it_is_stored(bus: Bus) -> None:
    if bus.durable:
        return
    storage = await bus.consume(STORAGE, exclusive=True)
    mine = await bus.subscribe(topology.instance_key("i"))
    published = bus.publish(event(1), STORAGE, topology.instance_key("i"))
    seen = asyncio.ensure_future(mine.take())
    delivery = await storage.take()
    assert not published.done()
    assert not seen.done()
    delivery.ack()
    await published
    assert numbers(await seen) == [1]


async def test_a_subscriber_with_two_of_the_keys_sees_an_event_once(bus: Bus) -> None:
    mine = await bus.subscribe(topology.instance_key("i"), topology.ALL_INSTANCES)
    await bus.publish(event(1), topology.instance_key("i"), topology.ALL_INSTANCES)
    await bus.publish(event(2), topology.ALL_INSTANCES)
    seen: list[int] = []
    while len(seen) < 2:
        seen += numbers(await mine.take())
    assert seen == [1, 2]


async def test_binding_and_unbinding(bus: Bus) -> None:
    mine = await bus.subscribe()
    await bus.publish(event(1), topology.instance_key("i"))
    await mine.bind(topology.instance_key("i"), topology.instance_key("end"))
    await bus.publish(event(2), topology.instance_key("i"))
    assert numbers(await mine.take()) == [2]
    await mine.unbind(topology.instance_key("i"))
    await bus.publish(event(3), topology.instance_key("i"))
    await bus.publish(event(4), topology.instance_key("end"))
    assert numbers(await mine.take()) == [4]


async def test_a_slow_subscriber_loses_the_oldest_and_knows_it(bus: Bus) -> None:
    mine = await bus.subscribe("k", limit=3)
    for number in range(5):
        await bus.publish(event(number), "k")
    seen: list[int] = []
    while not seen or seen[-1] != 4:
        seen += numbers(await mine.take())
    assert seen == [2, 3, 4]
    assert mine.lost()
    assert not mine.lost()


async def test_an_answer_to_a_caller_that_is_gone_is_no_error(bus: Bus) -> None:
    queue = topology.reply_queue("gone")
    await bus.send(queue, message(1))
    inbox = await bus.consume(queue)
    await bus.send(queue, message(2))
    assert numbers((await inbox.take()).messages) == [2]
    await inbox.close()
    await bus.send(queue, message(3))


async def test_closing_wakes_whoever_waits(bus: Bus) -> None:
    inbox = await bus.consume(MAILBOX)
    subscription = await bus.subscribe("k")
    taking, seeing = asyncio.ensure_future(inbox.take()), asyncio.ensure_future(subscription.take())
    await bus.send(topology.executor_mailbox("other"), message(1))
    await bus.stop()
    with pytest.raises(BusClosed):
        await taking
    with pytest.raises(BusClosed):
        await seeing
    with pytest.raises(BusClosed):
        await bus.send(MAILBOX, message(1))
    await bus.stop()
