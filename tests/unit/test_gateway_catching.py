"""Catching up with storage: nobody is told by an answer to a question that was asked before he came."""

from __future__ import annotations

import asyncio

import pytest

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller, answer
from taskpath.runtime.clock import SystemClock
from taskpath_proto import topology
from taskpath_proto.calls import Call
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import AllCommitted, AskCommitted
from taskpath_services.gateway import catching
from taskpath_services.gateway.reads import Reads


async def settle() -> None:
    """Everything that can go on without time has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)  # noqa: TID251  (not for time: other tasks get their turns)


async def test_those_who_come_while_a_question_is_open_share_the_next() -> None:
    bus = MemoryBus()
    await bus.start()
    caller = Caller(bus, SystemClock(), "test")
    await caller.start()
    inbox = await bus.consume(topology.storage_mailbox(0))
    service = catching.Catching(Reads(caller), 1)
    await service.start()
    first = asyncio.ensure_future(service.up("a"))
    asked = await inbox.take()
    others = [asyncio.ensure_future(service.up(id)) for id in ("a", "b", "c")]
    await settle()
    for waiting in (first, *others):
        assert not waiting.done()
    (call,) = asked.messages
    assert isinstance(call, Call)
    assert call.body == AskCommitted(0)
    await bus.send(call.reply_to, answer(call, AllCommitted()))
    await first
    asked.ack()
    (call,) = (await inbox.take()).messages
    assert isinstance(call, Call)
    assert not any(waiting.done() for waiting in others)
    others[0].cancel()
    await bus.send(call.reply_to, answer(call, AllCommitted()))
    await asyncio.gather(*others[1:])
    await service.stop()
    await caller.stop()
    await bus.stop()


async def test_who_waits_for_a_question_that_is_not_answered_waits_no_longer_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = MemoryBus()
    await bus.start()
    caller = Caller(bus, SystemClock(), "test")
    await caller.start()
    service = catching.Catching(Reads(caller), 1)
    await service.start()
    first = asyncio.ensure_future(service.up("a"))
    await settle()
    monkeypatch.setattr(catching, "READ_SECONDS", 0.01)
    with pytest.raises(TaskpathError) as late:
        await service.up("a")
    assert late.value.code is ErrorCode.UNAVAILABLE
    assert not first.done()
    await service.stop()
    with pytest.raises(asyncio.CancelledError):
        await first
    await caller.stop()
    await bus.stop()
