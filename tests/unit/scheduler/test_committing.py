"""How an owner follows how far storage is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taskpath.runtime.bus import BusLost
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import ManualClock
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import AllCommitted
from taskpath_services.scheduler.committing import AGAIN, STRIDE, Committing
from tests.support.executors import turns


class Storage(Caller):
    """Answers what is asked of storage when the test says so."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(MemoryBus(), clock, "test")
        self.asked: list[asyncio.Future[Any]] = []
        self.refuses: TaskpathError | None = None

    async def ask(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.append(asyncio.get_running_loop().create_future())
        if self.refuses is not None:
            raise self.refuses
        return await self.asked[-1]


async def test_what_was_published_after_a_question_is_not_stored_by_its_answer() -> None:
    clock = ManualClock()
    storage = Storage(clock)
    committing = Committing(storage, clock, 0)
    committing.published(STRIDE)
    await committing.near()
    await turns()
    committing.published(1)
    stored = committing.stored()
    await turns()
    assert len(storage.asked) == 2
    storage.asked[0].set_result(AllCommitted())
    await turns()
    assert (committing.behind, stored.done()) == (True, False)
    storage.asked[1].set_result(AllCommitted())
    await stored
    assert (committing.behind, stored.done()) == (False, True)
    await committing.close()


async def test_while_the_bus_is_away_it_is_asked_again_now_and_then() -> None:
    clock = ManualClock()
    storage = Storage(clock)
    storage.refuses = TaskpathError(ErrorCode.UNAVAILABLE, "The broker is away.")
    committing = Committing(storage, clock, 0)
    committing.published(1)
    stored = committing.stored()
    await turns()
    assert len(storage.asked) == 1
    clock.move(AGAIN)
    await turns()
    assert len(storage.asked) == 2
    assert not stored.done()
    await committing.close()


async def test_an_owner_whose_partition_was_claimed_starts_over() -> None:
    clock = ManualClock()
    storage = Storage(clock)
    storage.refuses = TaskpathError(ErrorCode.CONFLICT, "Another owner has claimed it.")
    committing = Committing(storage, clock, 0)
    committing.published(1)
    with pytest.raises(BusLost):
        await committing.stored()
