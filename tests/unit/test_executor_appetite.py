"""How much an executor takes of a mailbox, with workers that a test makes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from taskpath.runtime.bus import Delivery
from taskpath.runtime.buses.memory import MemoryInbox
from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.calls import Answer
from taskpath_services.executor.appetite import (
    MOST_PARCELS,
    PATIENCE_SECONDS,
    PROBE_SECONDS,
    Appetite,
)
from tests.support.executors import DurableBus, turns

MAILBOX = topology.executor_mailbox("default")


class Workers:
    """Workers of whom a test says how busy they are."""

    def __init__(self) -> None:
        self.has_room = True
        self.free = 100
        self.may_probe = True
        self.surplus = 0
        self.spared = 0
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def spare(self) -> bool:
        had, self.surplus = self.surplus, 0
        self.spared += had
        return had > 0

    def become(self, *, has_room: bool, free: int) -> None:
        """They have become more or less busy."""
        self.has_room, self.free = has_room, free
        self._changed.set()


class Inbox(MemoryInbox):
    """Notes how much is asked for: nothing, while it is paused."""

    asked: list[int]

    async def pause(self) -> Sequence[Delivery]:  # type: ignore[override]
        self.asked.append(0)
        return await super().pause()

    async def resume(self, prefetch: int) -> None:
        self.asked.append(prefetch)
        await super().resume(prefetch)


class Table:
    """An appetite, and what it is about."""

    def __init__(self, bus: DurableBus, inbox: Inbox) -> None:
        self.bus = bus
        self.clock = ManualClock()
        self.workers = Workers()
        self.asked = inbox.asked
        self.declined: list[Delivery] = []
        self.appetite = Appetite(bus, self.clock, self.workers, MAILBOX, inbox, self.declined.append)

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock, and lets happen what is due."""
        await turns(10)
        for _ in range(round(seconds / PATIENCE_SECONDS)):
            self.clock.move(PATIENCE_SECONDS)
            await turns(10)


@asynccontextmanager
async def table() -> AsyncIterator[Table]:
    bus = DurableBus()
    opened = await bus.consume(MAILBOX)
    opened.__class__ = Inbox
    assert isinstance(opened, Inbox)
    opened.asked = []
    yield Table(bus, opened)
    await bus.stop()


async def test_as_many_are_asked_for_as_there_are_workers() -> None:
    async with table() as it:
        it.appetite.ate(2, 40)
        for free, messages in ((0, 1), (19, 1), (60, 3), (1_000, 8)):
            it.workers.free = free
            assert it.appetite.messages == messages
            assert 1 <= it.appetite.parcels <= MOST_PARCELS
        await it.appetite.room()
        assert it.asked == []


async def test_a_moment_without_room_changes_nothing() -> None:
    async with table() as it:
        it.workers.become(has_room=False, free=0)
        waiting = asyncio.ensure_future(it.appetite.room())
        await turns()
        it.workers.become(has_room=True, free=5)
        await waiting
        assert it.asked == []


async def test_a_longer_one_stops_the_flow_until_there_is_room_for_some() -> None:
    async with table() as it:
        it.workers.become(has_room=False, free=0)
        waiting = asyncio.ensure_future(it.appetite.room())
        await it.pass_time(PATIENCE_SECONDS)
        assert it.asked == [0]
        it.workers.become(has_room=True, free=2)
        await waiting
        assert it.asked[-1] == 2
        # When there is room for more, more is asked for.
        it.workers.become(has_room=True, free=50)
        await it.appetite.room()
        assert it.asked[-1] == MOST_PARCELS


async def test_what_waits_is_spared_while_the_mailbox_is_empty_and_somebody_else_reads_it() -> None:
    async with table() as it:
        await it.bus.consume(MAILBOX)
        it.workers.become(has_room=False, free=0)
        it.workers.surplus = 7
        waiting = asyncio.ensure_future(it.appetite.room())
        await it.pass_time(0.3)
        assert it.workers.spared == 7
        # There is no worker yet: what was given up is left to others.
        it.workers.become(has_room=True, free=0)
        await it.pass_time(5)
        assert not waiting.done()
        it.workers.become(has_room=True, free=1)
        await waiting


async def test_nothing_is_spared_while_nobody_else_has_room() -> None:
    async with table() as it:
        other = await it.bus.consume(MAILBOX)
        await other.pause()
        it.workers.become(has_room=False, free=0)
        it.workers.surplus = 7
        waiting = asyncio.ensure_future(it.appetite.room())
        await it.pass_time(5)
        assert it.workers.spared == 0
        await other.resume(1)
        await it.pass_time(PROBE_SECONDS)
        assert it.workers.spared == 7
        waiting.cancel()


async def test_while_others_have_work_some_more_is_taken_that_may_be_for_other_workers() -> None:
    async with table() as it:
        await it.bus.send(MAILBOX, Answer(call=1))
        it.workers.become(has_room=False, free=0)
        it.workers.surplus = 1
        waiting = asyncio.ensure_future(it.appetite.room())
        await it.pass_time(PROBE_SECONDS / 2)
        assert not waiting.done()
        await it.pass_time(PROBE_SECONDS)
        assert waiting.done()
        assert it.asked[-1] == 1
        assert it.workers.spared == 0


async def test_but_not_if_too_much_waits_already() -> None:
    async with table() as it:
        await it.bus.send(MAILBOX, Answer(call=1))
        it.workers.become(has_room=False, free=0)
        it.workers.may_probe = False
        waiting = asyncio.ensure_future(it.appetite.room())
        await it.pass_time(5)
        assert not waiting.done()
        waiting.cancel()
