"""A call whose answer does not come is sent again, on a bus that outlives those who answer."""

from __future__ import annotations

import asyncio

import pytest

from taskpath.runtime import caller
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller, answer
from taskpath.runtime.clock import SystemClock
from taskpath_proto import topology
from taskpath_proto.calls import Call
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import ClaimPartition, PartitionClaimed, ReadValue, ValueRead
from taskpath_proto.values import Inline
from tests.support.executors import DurableBus

ASKED = ReadValue(id="i", value=Inline("1"))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "UNANSWERED", 0.01)


async def test_whoever_takes_the_place_of_one_that_has_ended_answers_it() -> None:
    bus = DurableBus()
    await bus.start()
    asking = Caller(bus, SystemClock(), "test")
    await asking.start()
    asked = asyncio.ensure_future(asking.ask(topology.QUERIES, ASKED, ValueRead))
    inbox = await bus.consume(topology.QUERIES)
    first = await inbox.take(1)
    first.ack()
    await inbox.close()
    inbox = await bus.consume(topology.QUERIES)
    (call,) = first.messages
    (repeat,) = (await inbox.take(1)).messages
    assert isinstance(call, Call)
    assert isinstance(repeat, Call)
    assert not call.again
    assert repeat.again
    assert (call.call, call.reply_to, call.deadline) == (repeat.call, repeat.reply_to, repeat.deadline)
    await bus.send(repeat.reply_to, answer(repeat, ValueRead("1")))
    assert await asked == ValueRead("1")
    await asking.stop()
    await bus.stop()


@pytest.mark.parametrize("durable", [True, False])
async def test_a_claim_is_made_once_and_on_a_bus_of_one_process_so_is_everything(durable: bool) -> None:
    bus = DurableBus() if durable else MemoryBus()
    await bus.start()
    asking = Caller(bus, SystemClock(), "test")
    await asking.start()
    mailbox = topology.storage_mailbox(0)
    with pytest.raises(TaskpathError) as failed:
        if durable:
            await asking.ask(mailbox, ClaimPartition(0, "test"), PartitionClaimed, timeout=0.2)
        else:
            await asking.ask(mailbox, ASKED, ValueRead, timeout=0.2)
    assert failed.value.code is ErrorCode.UNAVAILABLE
    assert await bus.depth(mailbox) == 1
    await asking.stop()
    await bus.stop()
