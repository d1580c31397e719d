"""Group commit: what all partitions deliver while a commit is under way goes into the next one.

The records come first, then the index, and only then is a batch done. While the index follows one group, the
records take the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from taskpath.runtime.clock import Clock
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_services.storage.arrivals import Arrivals
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.gathering import Gathering
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, InstanceIndex
from taskpath_services.storage.records.contract import Outcome, RecordStore, Write
from taskpath_services.storage.waiting import first_of

T = TypeVar("T")

log = structlog.get_logger("taskpath.storage")

MAX_GROUP: Final = 2_000
"""Writes in one commit; the batch that passes it is not cut."""

FIRST_DELAY: Final = 0.1
LAST_DELAY: Final = 5.0
"""Seconds between two tries while a store is away; the delay doubles from the first to the last."""


class Commits:
    """Commits batches of writes to both stores.

    A store that is away loses nothing: the group is tried again until it is committed.

    Args:
        records: the record store.
        index: the index.
        arrivals: told of what is committed.
        clock: for the time of the commit and the delays between tries.
    """

    def __init__(self, records: RecordStore, index: InstanceIndex, arrivals: Arrivals, clock: Clock) -> None:
        self._records = records
        self._index = index
        self._arrivals = arrivals
        self._clock = clock
        self._recording: Gathering[Write, Outcome] = Gathering(self._record, MAX_GROUP)
        self._indexing: Gathering[IndexChange | IndexDeletion, None] = Gathering(self._follow, MAX_GROUP)
        self._draining = asyncio.Event()
        self.retries = 0

    async def commit(self, batch: Sequence[Write]) -> list[Outcome]:
        """Commits a batch, in its order, and says what became of each write.

        Raises:
            StoreUnavailable: only while draining.
        """
        outcomes = await self._recording.do(batch)
        steps = index_steps(batch, outcomes)
        if steps:
            await self._indexing.do(steps)
        return outcomes

    def drain(self) -> None:
        """From now on a store that is away is not waited for: its group fails, unacknowledged."""
        self._draining.set()

    async def close(self) -> None:
        """Gives up what is not committed yet."""
        await self._recording.close()
        await self._indexing.close()

    async def _record(self, group: list[Write]) -> list[Outcome]:
        outcomes = await self._persist("records", lambda: self._records.commit(group, self._clock.now()))
        for write, outcome in zip(group, outcomes, strict=True):
            if outcome in (Outcome.REFUSED, Outcome.CONFLICT):
                continue
            if isinstance(write, InstanceChanged):
                self._arrivals.reached(write.id, write.revision)
            elif isinstance(write, InstanceDeleted):
                self._arrivals.deleted(write.id)
        return outcomes

    async def _follow(self, steps: list[IndexChange | IndexDeletion]) -> list[None]:
        await self._persist("index", lambda: self._index.apply(steps))
        return [None] * len(steps)

    async def _persist(self, store: str, attempt: Callable[[], Awaitable[T]]) -> T:
        delay = FIRST_DELAY
        while True:
            try:
                return await attempt()
            except StoreUnavailable as error:
                if self._draining.is_set():
                    raise
                self.retries += 1
                log.error("store unavailable", store=store, reason=str(error), retry_in=delay)
            await first_of(self._clock.sleep(delay), self._draining.wait())
            delay = min(delay * 2, LAST_DELAY)


def index_steps(batch: Sequence[Write], outcomes: Sequence[Outcome]) -> list[IndexChange | IndexDeletion]:
    """What the index has to follow. A repeat goes along: the records may have had it, and the index not."""
    steps: list[IndexChange | IndexDeletion] = []
    for write, outcome in zip(batch, outcomes, strict=True):
        if outcome in (Outcome.REFUSED, Outcome.CONFLICT):
            continue
        if isinstance(write, InstanceChanged) and write.instance is not None:
            steps.append(IndexChange(write.id, write.revision, write.instance))
        elif isinstance(write, InstanceDeleted):
            steps.append(IndexDeletion(write.id, write.revision))
    return steps
