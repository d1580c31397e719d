"""The bus contract, over every implementation of it.

One room: who makes another bus reads from top to bottom what it has to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from taskpath.runtime.bus import Bus, BusClosed, Delivery, Inbox, Subscription
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.buses.rabbitmq import RabbitBus
from taskpath_proto import topology
from taskpath_proto.calls import Answer
from taskpath_proto.codec import Message
from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import ValueRead
from tests.support.executors import turns
from tests.support.servers import RabbitMQ

MAILBOX = topology.executor_mailbox("default")
STORAGE = topology.storage_mailbox(0)


@pytest.fixture(params=["memory", "rabbitmq"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    bus: Bus
    if request.param == "memory":
        bus = MemoryBus()
    else:
        server: RabbitMQ = request.getfixturevalue("rabbitmq")
        bus = RabbitBus(await asyncio.to_thread(server.new_vhost), name="conformance", partitions=1)
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


async def take_exactly(inbox: Inbox, count: int) -> list[Delivery]:
    """Deliveries of so many messages together, which a broker may bring one by one."""
    taken: list[Delivery] = []
    while (missing := count - sum(len(delivery.messages) for delivery in taken)) > 0:
        taken.append(await inbox.take(missing))
    return taken


async def see(subscription: Subscription, last: int) -> list[int]:
    """The events up to one."""
    seen: list[int] = []
    while not seen or seen[-1] != last:
        seen += numbers(await subscription.take())
    return seen


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
    first = (await inbox.take(3)).messages
    assert 0 < len(first) <= 3
    taken = await take_exactly(inbox, 10 - len(first))
    assert numbers(taken[-1].messages)[-1] == 9
    assert not any(delivery.redelivered for delivery in taken)


async def test_what_was_not_acknowledged_comes_back_in_its_old_order(bus: Bus) -> None:
    for number in range(6):
        await bus.send(MAILBOX, message(number))
    first = await bus.consume(MAILBOX)
    for delivery in await take_exactly(first, 2):
        delivery.ack()
    await take_exactly(first, 3)
    await first.close()
    second = await bus.consume(MAILBOX)
    again = await take_exactly(second, 3)
    assert [number for delivery in again for number in numbers(delivery.messages)] == [2, 3, 4]
    assert all(delivery.redelivered for delivery in again)
    fresh = await second.take()
    assert numbers(fresh.messages) == [5]  # a broker may have sent it to the first, and says so


async def test_what_is_acknowledged_out_of_order_does_not_take_others_along(bus: Bus) -> None:
    for number in range(5):
        await bus.send(MAILBOX, message(number))
    first = await bus.consume(MAILBOX)
    deliveries = [await first.take(1) for _ in range(5)]
    for delivery in (deliveries[3], deliveries[1], deliveries[3]):
        delivery.ack()
    await first.close()
    second = await bus.consume(MAILBOX)
    assert await take_all(second, 3) == [0, 2, 4]
    assert await bus.depth(MAILBOX) == 0


async def test_what_was_sent_at_once_keeps_its_order_and_is_all_there(bus: Bus) -> None:
    sent = [bus.send(MAILBOX, message(number)) for number in range(3_000)]
    for each in sent:
        await each
    inbox = await bus.consume(MAILBOX)
    assert await take_all(inbox, 3_000) == list(range(3_000))


async def test_calls_and_events_for_one_mailbox_keep_their_order(bus: Bus) -> None:
    storage = await bus.consume(STORAGE, exclusive=True)
    sent: list[Awaitable[None]] = []
    for number in range(0, 60, 3):
        sent.append(bus.publish(event(number), STORAGE, topology.instance_key("i")))
        sent.append(bus.publish(event(number + 1, "j"), STORAGE, topology.instance_key("j")))
        sent.append(bus.send(STORAGE, message(number + 2)))
    assert await take_all(storage, 60) == list(range(60))
    for each in sent:
        await each


async def test_the_depth_of_a_mailbox_is_what_nobody_has_taken(bus: Bus) -> None:
    assert await bus.depth(MAILBOX) == 0
    for number in range(3):
        await bus.send(MAILBOX, message(number))
    assert await bus.depth(MAILBOX) == 3
    inbox = await bus.consume(MAILBOX)
    await take_exactly(inbox, 3)
    assert await bus.depth(MAILBOX) == 0


async def test_the_readers_of_a_mailbox_are_those_that_have_not_paused(bus: Bus) -> None:
    assert await bus.readers(MAILBOX) == 0
    first = await bus.consume(MAILBOX)
    await bus.consume(MAILBOX)
    assert await bus.readers(MAILBOX) == 2
    await first.pause()
    assert await bus.readers(MAILBOX) == 1
    await first.resume(prefetch=1)
    assert await bus.readers(MAILBOX) == 2


async def test_a_consumer_holds_no_more_than_its_prefetch(bus: Bus) -> None:
    if not bus.durable:
        return  # nothing is fetched before it is taken
    for number in range(5):
        await bus.send(MAILBOX, message(number))
    inbox = await bus.consume(MAILBOX, prefetch=2)
    held = await take_exactly(inbox, 2)
    other = await bus.consume(MAILBOX)
    assert await take_all(other, 3) == [2, 3, 4]
    held[0].ack()


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


async def test_a_pause_leaves_what_comes_to_others(bus: Bus) -> None:
    paused = await bus.consume(MAILBOX)
    for number in range(3):
        await bus.send(MAILBOX, message(number))
    (held,) = await take_exactly(paused, 1)
    fetched = await paused.pause()
    assert list(await paused.pause()) == []
    other = await bus.consume(MAILBOX)
    for number in range(3, 6):
        await bus.send(MAILBOX, message(number))
    given = [number for delivery in fetched for number in numbers(delivery.messages)]
    assert given + await take_all(other, 5 - len(given)) == [1, 2, 3, 4, 5]
    for delivery in (held, *fetched):
        delivery.ack()
    await other.close()
    await paused.resume(prefetch=1)
    await bus.send(MAILBOX, message(6))
    assert await take_all(paused, 1) == [6]
    await paused.close()
    with pytest.raises(BusClosed):
        await paused.pause()


@pytest.mark.parametrize("patience", [1, 3, 10])
async def test_who_is_cancelled_while_it_pauses_or_goes_on_keeps_what_it_holds(
    bus: Bus, patience: int
) -> None:
    inbox = await bus.consume(MAILBOX, prefetch=1)
    await bus.send(MAILBOX, message(1))
    (held,) = await take_exactly(inbox, 1)

    async def interrupted(step: Awaitable[object]) -> None:
        stepping = asyncio.ensure_future(step)
        await turns(patience)
        stepping.cancel()
        await asyncio.wait([stepping])

    await interrupted(inbox.pause())
    await interrupted(inbox.resume(prefetch=5))
    assert list(await inbox.pause()) == []
    other = await bus.consume(MAILBOX)
    await bus.send(MAILBOX, message(2))
    assert await take_all(other, 1) == [2]
    held.ack()
    await inbox.close()
    await bus.send(MAILBOX, message(3))
    assert await take_all(other, 1) == [3]


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


async def test_nothing_runs_ahead_when_a_mailbox_is_handed_over(bus: Bus) -> None:
    """The next owner gets what its predecessor did not acknowledge before anything that came later."""
    mailbox = topology.scheduler_mailbox(0)
    owner = await bus.consume(mailbox, exclusive=True)
    successors = [await bus.consume(mailbox, exclusive=True) for _ in range(2)]
    for number in range(30):
        await bus.send(mailbox, message(number))
    for delivery in await take_exactly(owner, 10):
        delivery.ack()
    sending = asyncio.gather(*(bus.send(mailbox, message(number)) for number in range(30, 60)))
    await owner.close()
    await sending
    first = await take_exactly(successors[0], 20)
    for delivery in first[:-1]:
        delivery.ack()
    unfinished = numbers(first[-1].messages)
    await successors[0].close()
    done = [number for delivery in first[:-1] for number in numbers(delivery.messages)]
    assert done + unfinished == list(range(10, 30))
    rest = await take_all(successors[1], 60 - unfinished[0])
    assert rest == list(range(unfinished[0], 60))


async def test_a_cancelled_take_loses_nothing(bus: Bus) -> None:
    inbox = await bus.consume(MAILBOX)
    waiting = asyncio.ensure_future(inbox.take())
    sending = asyncio.ensure_future(bus.send(MAILBOX, message(0)))
    waiting.cancel()
    await asyncio.wait({waiting, sending})
    await inbox.close()
    other = await bus.consume(MAILBOX)
    assert await take_all(other, 1) == [0]


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
    mine = await bus.subscribe(topology.instance_key("i"), topology.INDEX)
    await bus.publish(event(1), topology.instance_key("i"), topology.INDEX)
    await bus.publish(event(2), topology.INDEX)
    seen: list[int] = []
    while len(seen) < 2:
        seen += numbers(await mine.take())
    assert seen == [1, 2]


async def test_events_published_at_once_reach_each_subscriber_in_order(bus: Bus) -> None:
    """On a broker they are one parcel, so that others come along."""
    storage = await bus.consume(STORAGE, exclusive=True)
    mine, others = await bus.subscribe(topology.instance_key("i")), await bus.subscribe("instance.j")
    published = [
        bus.publish(event(number, id), STORAGE, topology.instance_key(id), topology.INDEX)
        for number in range(50)
        for id in ("i", "j", "k")
    ]
    stored = await take_all(storage, 150)
    assert stored == [number for number in range(50) for _ in range(3)]
    for each in published:
        await each
    for subscription, id in ((mine, "i"), (others, "j")):
        seen: list[int] = []
        while len(seen) < 50:
            for one in await subscription.take():
                assert isinstance(one, InstanceDeleted)
                if one.id == id:
                    seen.append(one.revision)
        assert seen == list(range(50))
        assert not subscription.lost()


async def test_binding_and_unbinding(bus: Bus) -> None:
    mine = await bus.subscribe()
    await bus.publish(event(1), topology.instance_key("i"))
    await mine.bind(topology.instance_key("i"), topology.instance_key("end"))
    await bus.publish(event(2), topology.instance_key("i"))
    assert await see(mine, 2) == [2]
    await mine.unbind(topology.instance_key("i"))
    await bus.publish(event(3), topology.instance_key("i"))
    await bus.publish(event(4), topology.instance_key("end"))
    assert await see(mine, 4) == [4]


async def test_a_slow_subscriber_loses_the_oldest_and_knows_it(bus: Bus) -> None:
    mine = await bus.subscribe("k", limit=3)
    told = await bus.subscribe("k")
    for number in range(5):
        await bus.publish(event(number), "k")
    await see(told, 4)
    await told.bind("any")  # by now what was on its way before has come
    await mine.bind("any")
    assert await see(mine, 4) == [2, 3, 4]
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
    connected = [bus.connected]
    await bus.stop()
    assert [*connected, bus.connected] == [True, False]
    with pytest.raises(BusClosed):
        await taking
    with pytest.raises(BusClosed):
        await seeing
    with pytest.raises(BusClosed):
        await bus.send(MAILBOX, message(1))
    for late in (bus.consume(MAILBOX), bus.subscribe("k"), bus.depth(MAILBOX), bus.readers(MAILBOX)):
        with pytest.raises(BusClosed):
            await late
    await bus.stop()


async def test_what_a_paused_inbox_had_fetched_comes_back_when_it_is_closed(bus: Bus) -> None:
    first = await bus.consume(MAILBOX)
    for number in range(3):
        await bus.send(MAILBOX, message(number))
    await first.take(1)
    await first.pause()
    await first.close()
    second = await bus.consume(MAILBOX)
    assert sorted(await take_all(second, 3)) == [0, 1, 2]
    with pytest.raises(BusClosed):
        await first.pause()
    with pytest.raises(BusClosed):
        await first.resume(prefetch=1)
