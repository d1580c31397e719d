"""Connections that are lost, brokers that are killed, and what is left then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath.runtime.buses.rabbitmq import RabbitBus, subscription
from taskpath.runtime.buses.rabbitmq.link import asked
from taskpath.runtime.buses.rabbitmq.parcels import MOST_MESSAGES
from taskpath.runtime.caller import Caller, answer
from taskpath.runtime.clock import SystemClock
from taskpath_proto import topology
from taskpath_proto.calls import Call
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import ReadValue, ValueRead
from taskpath_proto.values import Inline
from tests.support.proxy import proxy_to
from tests.support.rabbit import control, message, numbers, rabbit_bus, take
from tests.support.servers import Keeper, RabbitMQ

MAILBOX = topology.executor_mailbox("default")
OWNER = topology.scheduler_mailbox(0)
ASKED = ReadValue(id="i", value=Inline("1"))


@pytest.fixture
async def url(rabbitmq: RabbitMQ) -> str:
    return await asyncio.to_thread(rabbitmq.new_vhost)


@pytest.fixture(scope="module")
def own(keeper: Keeper) -> Iterator[RabbitMQ]:
    """A broker that a test may hurt."""
    server = RabbitMQ(keeper)
    server.start()
    yield server
    server.kill()


async def until_back(bus: RabbitBus) -> None:
    """Returns when both connections are there again."""
    mailbox = topology.executor_mailbox("back")
    inbox = await bus.consume(mailbox)
    while True:
        try:
            await bus.send(mailbox, message(0))
            break
        except BusLost:
            await (await bus.consume(mailbox)).close()
    await inbox.close()


async def test_what_was_confirmed_survives_a_broker_that_is_killed(own: RabbitMQ) -> None:
    async with rabbit_bus(own.url) as bus:
        for number in range(5):
            await bus.send(OWNER, message(number))
        for sending in [bus.send(OWNER, message(number)) for number in range(5, 100)]:
            await sending
        inbox = await bus.consume(OWNER, exclusive=True)
        for delivery in await take(inbox, 2):
            delivery.ack()
        await take(inbox, 98)
        events = await bus.subscribe("k")
        waiting = [asyncio.ensure_future(end.take()) for end in (inbox, events)]
        await bus.depth(OWNER)  # what was acknowledged before has arrived
        await asyncio.to_thread(own.kill)
        for each in waiting:
            with pytest.raises(BusLost):
                await each
        for again in (inbox.take(), events.take(), events.bind("other"), bus.send(OWNER, message(100))):
            with pytest.raises(BusLost):
                await again
        assert not bus.connected
        await inbox.close()
        await events.close()
        opening = asyncio.ensure_future(bus.consume(OWNER, exclusive=True))
        await asyncio.to_thread(own.launch)
        await asyncio.to_thread(own.wait_ready)
        inbox = await opening
        taken = await take(inbox, 98)
        assert numbers(taken) == list(range(2, 100))
        assert all(delivery.redelivered for delivery in taken[:-1])
        await until_back(bus)
        events = await bus.subscribe("k")
        told = InstanceDeleted(id="i", partition=0, epoch=1, revision=1)
        await bus.publish(told, "k")
        assert await events.take() == [told]


async def test_a_connection_that_is_cut_comes_back(url: str) -> None:
    async with proxy_to(url) as proxy, rabbit_bus(proxy.url) as bus:
        await bus.send(MAILBOX, message(1))
        inbox = await bus.consume(MAILBOX)
        (delivery,) = await take(inbox, 1)
        assert not delivery.redelivered
        proxy.cut()
        with pytest.raises(BusLost):
            await inbox.take()
        delivery.ack()  # which comes too late
        again = await bus.consume(MAILBOX)
        (delivery,) = await take(again, 1)
        assert numbers([delivery]) == [1]
        assert delivery.redelivered
        delivery.ack()
        await until_back(bus)
        assert bus.connected
        assert proxy.accepted == 4


async def test_what_is_being_sent_when_the_connection_goes_is_lost_to_its_sender(url: str) -> None:
    async with proxy_to(url) as proxy, rabbit_bus(proxy.url) as bus:
        await bus.send(MAILBOX, message(1))
        proxy.stall()
        # More than one parcel: the others wait behind the first.
        sending = [bus.send(MAILBOX, message(number)) for number in range(2, 2 * MOST_MESSAGES)]
        publishing = bus.publish(InstanceDeleted(id="i", partition=0, epoch=1, revision=1), "storage.0", "k")
        proxy.cut()
        for each in (*sending, publishing):
            with pytest.raises(BusLost):
                await each
        await until_back(bus)
        await bus.send(MAILBOX, message(1_000_000))
        inbox = await bus.consume(MAILBOX)
        seen = numbers(await take(inbox, 1))
        while seen[-1] != 1_000_000:
            seen += numbers(await take(inbox, 1))
        assert seen == sorted(seen)


async def test_a_confirm_that_does_not_come_is_not_waited_for_without_end(url: str) -> None:
    async with proxy_to(url) as proxy, rabbit_bus(proxy.url, confirm=0.2) as bus:
        await bus.send(MAILBOX, message(0))
        inbox = await bus.consume(MAILBOX)
        proxy.stall()
        with pytest.raises(BusLost):
            await bus.send(MAILBOX, message(1))
        proxy.go_on()
        await until_back(bus)
        assert proxy.accepted == 3  # what was sent may still arrive there, and nothing may pass it
        await bus.send(MAILBOX, message(2))
        seen: list[int] = []
        while 2 not in seen:
            seen += numbers(await take(inbox, 1))  # its connection has lived on
        assert seen in ([0, 2], [0, 1, 2])


async def test_a_subscription_of_which_nobody_knows_what_is_bound_is_over(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "asked", partial(asked, seconds=0.2))
    async with proxy_to(url) as proxy, rabbit_bus(proxy.url) as bus:
        opened = await bus.subscribe("k")
        taking = asyncio.ensure_future(opened.take())
        proxy.stall()
        with pytest.raises(BusLost):
            await opened.bind("l")
        with pytest.raises(BusLost):
            await taking
        proxy.go_on()
        await opened.close()


async def test_a_broker_short_of_memory_still_takes_acknowledgements(own: RabbitMQ) -> None:
    async with rabbit_bus(own.url, confirm=0.2) as bus:
        await bus.send(MAILBOX, message(1))
        inbox = await bus.consume(MAILBOX)
        (delivery,) = await take(inbox, 1)
        await control(own, "set_vm_memory_high_watermark", "0.000001")
        try:
            with pytest.raises(BusLost):
                while True:
                    await bus.send(topology.executor_mailbox("other"), message(2))
            delivery.ack()
            assert await bus.depth(MAILBOX) == 0
            await inbox.close()
        finally:
            await control(own, "set_vm_memory_high_watermark", "0.4")
        await until_back(bus)
        await bus.send(MAILBOX, message(3))
        again = await bus.consume(MAILBOX)
        assert numbers(await take(again, 1)) == [3]


async def test_a_broker_that_is_away_at_the_start_is_waited_for(url: str) -> None:
    async with proxy_to(url) as proxy:
        proxy.refusing = True
        bus = RabbitBus(proxy.url, name="test", partitions=1)
        with capture_logs() as logs:
            starting = asyncio.ensure_future(bus.start())
            await proxy.tried.wait()
            with pytest.raises(BusLost):
                await bus.send(MAILBOX, message(1))
            with pytest.raises(BusLost):
                await bus.depth(MAILBOX)
            proxy.refusing = False
            await starting
        assert "guest:guest" not in str(logs)
        await bus.send(MAILBOX, message(1))
        assert await bus.depth(MAILBOX) == 1
        await bus.stop()


async def test_a_bus_stops_while_the_broker_is_away(url: str) -> None:
    async with proxy_to(url) as proxy:
        bus = RabbitBus(proxy.url, name="test", partitions=1)
        await bus.start()
        inbox = await bus.consume(MAILBOX)
        proxy.refusing = True
        proxy.cut()
        with pytest.raises(BusLost):
            await inbox.take()
        opening = asyncio.ensure_future(bus.consume(MAILBOX))
        await bus.stop()
        with pytest.raises(BusClosed):
            await opening
        with pytest.raises(BusClosed):
            await bus.send(MAILBOX, message(1))


async def test_what_was_sent_before_the_stop_goes_out(url: str) -> None:
    async with rabbit_bus(url) as bus:
        sending = [bus.send(MAILBOX, message(number)) for number in range(50)]
        await bus.stop()
        for each in sending:
            await each
    async with rabbit_bus(url) as bus:
        inbox = await bus.consume(MAILBOX)
        assert numbers(await take(inbox, 50)) == list(range(50))


async def test_a_caller_outlives_its_connection(url: str) -> None:
    async with proxy_to(url) as proxy, rabbit_bus(proxy.url) as bus, rabbit_bus(url) as other:
        caller = Caller(bus, SystemClock(), "test")
        await caller.start()
        queries = await other.consume(topology.QUERIES)

        async def asked() -> Call:
            delivery = await queries.take(1)
            delivery.ack()
            (call,) = delivery.messages
            assert isinstance(call, Call)
            return call

        asking = asyncio.ensure_future(caller.ask(topology.QUERIES, ASKED, ValueRead))
        old = await asked()
        proxy.refusing = True
        proxy.cut()
        for each in (asking, caller.ask(topology.QUERIES, ASKED, ValueRead)):
            with pytest.raises(TaskpathError) as failed:
                await each
            assert failed.value.code is ErrorCode.UNAVAILABLE
        proxy.refusing = False
        await until_back(bus)
        await other.send(old.reply_to, answer(old, ValueRead("old")))
        asking = asyncio.ensure_future(caller.ask(topology.QUERIES, ASKED, ValueRead))
        new = await asked()
        await other.send(new.reply_to, answer(new, ValueRead("new")))
        assert await asking == ValueRead("new")
        await caller.stop()


async def test_a_broker_that_goes_while_it_greets_is_tried_again(url: str) -> None:
    """As one that is killed, or still starts: the stream ends within its first frame, or just behind it."""
    whole = await greeting_of(url)
    async with proxy_to(url) as proxy:
        proxy.cut_short += [1, whole, whole + 1]
        async with rabbit_bus(proxy.url) as bus:
            await until_back(bus)
        assert not proxy.cut_short
        assert proxy.accepted == 3 + 2


async def greeting_of(url: str) -> int:
    """How many bytes the first frame of the broker has."""
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    writer.write(b"AMQP\0\0\x09\x01")
    head = await reader.readexactly(7)
    writer.close()
    await writer.wait_closed()
    return len(head) + int.from_bytes(head[3:], "big") + 1


async def test_a_stream_that_ends_is_a_lost_connection_however_the_client_says_so() -> None:
    async def greets(error: BaseException) -> None:
        raise error

    for error in (StopAsyncIteration(), EOFError(), ConnectionResetError(), RuntimeError("closed")):
        with pytest.raises(BusLost):
            await asked(greets(error))
