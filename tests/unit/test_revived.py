"""Starting over after the bus was lost: actors, and callers."""

from __future__ import annotations

import asyncio

import pytest

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Inbox
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller, answer
from taskpath.runtime.clock import ManualClock
from taskpath.runtime.revived import FIRST_DELAY, Revived
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.calls import Answer, Call
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import ReadLogs, ReadValue, ValueRead
from taskpath_proto.values import Inline

MAILBOX = topology.executor_mailbox("default")
ASKED = ReadValue(id="i", value=Inline("1"))


def message(number: int) -> Message:
    return Answer(call=number, body=ValueRead(str(number)))


class Reader(Service):
    """Takes what comes, acknowledges even numbers, and notes everything."""

    def __init__(self, bus: Bus, seen: asyncio.Queue[tuple[Reader, int]]) -> None:
        super().__init__("reader")
        self._bus = bus
        self._seen = seen
        self._inbox: Inbox | None = None
        self.stopped = False

    async def on_start(self) -> None:
        self._inbox = await self._bus.consume(MAILBOX)
        self.spawn(self._read(self._inbox), "read")

    async def on_stop(self) -> None:
        self.stopped = True
        if self._inbox is not None:
            await self._inbox.close()

    async def _read(self, inbox: Inbox) -> None:
        try:
            while True:
                delivery = await inbox.take(1)
                (one,) = delivery.messages
                assert isinstance(one, Answer)
                if one.call == 13:
                    raise LookupError("13")
                if one.call % 2 == 0:
                    delivery.ack()
                self._seen.put_nowait((self, one.call))
        except BusClosed:
            return


async def test_an_actor_that_lost_the_bus_is_replaced_by_a_new_one() -> None:
    bus, clock = MemoryBus(), ManualClock()
    seen: asyncio.Queue[tuple[Reader, int]] = asyncio.Queue()
    revived = Revived("reader", lambda: Reader(bus, seen), clock)
    await revived.start()
    for number in (1, 2):
        await bus.send(MAILBOX, message(number))
    first, number = await seen.get()
    assert [number, (await seen.get())[1]] == [1, 2]
    clock.move(60)
    await bus.lose()
    with pytest.raises(BusLost):
        await bus.send(MAILBOX, message(4))
    bus.restore()
    second, number = await seen.get()
    assert second is not first
    assert number == 1  # which the first had not acknowledged
    assert first.stopped
    assert revived.actor is second
    assert revived.ready
    await revived.stop()
    assert second.stopped


async def test_one_that_is_lost_again_and_again_waits_before_it_tries_again() -> None:
    clock = ManualClock()
    starts: asyncio.Queue[int] = asyncio.Queue()

    class Doomed(Service):
        async def on_start(self) -> None:
            starts.put_nowait(clock.now())
            raise BusLost("refused")

    revived = Revived("doomed", lambda: Doomed("doomed"), clock)
    starting = asyncio.ensure_future(revived.start())
    began = await starts.get()
    delays = []
    for _ in range(8):
        waited = 0.0
        while starts.empty():
            clock.move(FIRST_DELAY / 2)
            waited += FIRST_DELAY / 2
            for _ in range(10):
                await asyncio.sleep(0)  # noqa: TID251 - lets the actor be made, waits for no time
        began, last = await starts.get(), began
        delays.append((began - last) / 1000)
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    starting.cancel()
    await asyncio.wait([starting])


async def test_what_else_ends_an_actor_ends_what_keeps_it() -> None:
    bus = MemoryBus()
    revived = Revived("reader", lambda: Reader(bus, asyncio.Queue()), ManualClock())
    await revived.start()
    await bus.send(MAILBOX, message(13))
    with pytest.raises(LookupError):
        await revived.wait()
    assert not revived.ready
    await revived.stop()


async def test_it_stops_while_the_bus_is_away() -> None:
    bus = MemoryBus()
    revived = Revived("reader", lambda: Reader(bus, asyncio.Queue()), ManualClock())
    await revived.start()
    await bus.lose()
    await revived.stop()
    await revived.wait()
    await bus.stop()


async def test_a_caller_fails_what_was_asked_and_asks_again_when_the_bus_is_back() -> None:
    bus = MemoryBus()
    caller = Caller(bus, ManualClock(), "test")
    await caller.start()
    queries = await bus.consume(topology.QUERIES)
    asking = asyncio.ensure_future(caller.ask(topology.QUERIES, ASKED, ValueRead))
    (asked,) = (await queries.take()).messages
    await bus.lose()
    with pytest.raises(TaskpathError) as failed:
        await asking
    assert failed.value.code is ErrorCode.UNAVAILABLE
    with pytest.raises(TaskpathError) as failed:
        await caller.ask(topology.QUERIES, ReadLogs(id="i", path="#", after=0, limit=1), ValueRead)
    assert failed.value.code is ErrorCode.UNAVAILABLE
    assert "broker" in failed.value.info.message

    bus.restore()
    queries = await bus.consume(topology.QUERIES)
    again = (await queries.take()).messages
    assert again == [asked]  # it was not acknowledged; nobody waits for its answer
    assert isinstance(asked, Call)
    await bus.send(asked.reply_to, answer(asked, ValueRead("old")))
    asking = asyncio.ensure_future(caller.ask(topology.QUERIES, ASKED, ValueRead))
    (asked,) = (await queries.take()).messages
    assert isinstance(asked, Call)
    await bus.send(asked.reply_to, answer(asked, ValueRead("new")))
    assert await asking == ValueRead("new")
    assert caller.ready
    await caller.stop()
    await bus.stop()
