"""Reads that wait for what they ask for: over the bus, with real files."""

from __future__ import annotations

import asyncio

import pytest

from taskpath_proto import topology
from taskpath_proto.calls import Answer, Call
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import (
    LoadInstance,
    ReadInstance,
)
from taskpath_proto.records import TaskChange
from taskpath_services.storage.queries import FIRST_LOOK
from tests.support.storage import MAILBOX, System, changed, created


async def test_a_read_waits_for_its_revision(system: System) -> None:
    await system.publish(created())
    asked = asyncio.ensure_future(system.view(ReadInstance("a", min_revision=3)))
    await system.clock.asleep(20)
    await system.publish(changed(2))
    assert not asked.done()
    await system.publish(changed(3, TaskChange(path="#.one", attempt=1)))
    assert [task.attempt for task in (await asked).tasks] == [1]


async def test_a_revision_that_does_not_come_in_time(system: System) -> None:
    await system.publish(created())
    asked = asyncio.ensure_future(system.view(ReadInstance("a", min_revision=3)))
    await system.clock.asleep(20)
    system.clock.move(19.6)
    with pytest.raises(TaskpathError, match=r"at revision 1; 3 did not come in time") as caught:
        await asked
    assert caught.value.code is ErrorCode.UNAVAILABLE


async def test_an_unknown_instance_is_waited_for_a_little(system: System) -> None:
    asked = asyncio.ensure_future(system.view(ReadInstance("a", min_revision=1)))
    await system.clock.asleep(FIRST_LOOK)
    await system.publish(created())
    assert (await asked).instance is not None
    asked = asyncio.ensure_future(system.view(ReadInstance("nope", min_revision=1)))
    await system.clock.asleep(FIRST_LOOK)
    system.clock.move(2)
    assert (await asked).instance is None


async def test_a_deletion_ends_the_wait(system: System) -> None:
    await system.publish(created())
    asked = asyncio.ensure_future(system.view(ReadInstance("a", min_revision=9)))
    await system.clock.asleep(20)
    await system.publish(InstanceDeleted("a", 0, 1, 2))
    assert (await asked).instance is None
    assert (await system.view(ReadInstance("a", min_revision=9))).instance is None


@pytest.mark.parametrize("mailbox", [MAILBOX, topology.QUERIES])
async def test_a_call_whose_deadline_has_passed_is_dropped(system: System, mailbox: str) -> None:
    replies = await system.bus.consume(topology.reply_queue("mine"))
    now = system.clock.now()
    body = LoadInstance("a") if mailbox == MAILBOX else ReadInstance("a")
    for number, deadline in ((1, now - 1), (2, now + 20_000)):
        await system.bus.send(mailbox, Call(body, topology.reply_queue("mine"), number, deadline))
    answers = (await replies.take()).messages
    assert [message.call for message in answers if isinstance(message, Answer)] == [2]
