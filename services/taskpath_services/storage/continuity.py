"""Continuity: whether the records still have what was committed.

A server that does not sync each write may come back without the last of them. What goes on shows that by a
gap; of what has ended nobody would say anything any more. So when the records have fallen back, the owners of
the instances that it concerns are asked to say anew all that there is, and what was deleted is deleted again.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.events import InstanceDeleted, WantSnapshot
from taskpath_services.storage.commits import Commits
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.contract import Fallen, RecordStore

log = structlog.get_logger("taskpath.storage")

EVERY: Final = 2.0
"""Seconds between two looks."""


class Continuity(Service):
    """Looks whether the records have fallen back, and has them put right.

    Args:
        bus: where owners are.
        clock: paces the looks.
        records: the record store.
        commits: the way of deletions into the stores.
        partitions: how many mailboxes share the instances.
    """

    def __init__(
        self, bus: Bus, clock: Clock, records: RecordStore, commits: Commits, partitions: int
    ) -> None:
        super().__init__("storage continuity")
        self._bus = bus
        self._clock = clock
        self._records = records
        self._commits = commits
        self._partitions = partitions

    async def on_start(self) -> None:
        """Begins to look."""
        self.spawn(self._look(), "look")

    async def _look(self) -> None:
        open_: list[Fallen] = []
        while True:
            await self._clock.sleep(EVERY)
            try:
                open_ += await self._records.fallen_back()
                if open_:
                    log.error("the records have lost what was committed", instances=len(open_))
                    await self._put_right(open_)
                    open_.clear()
            except StoreUnavailable:
                continue  # whoever commits says so
            except BusLost as error:
                log.warning("owners cannot be asked", reason=str(error))
            except BusClosed:
                return

    async def _put_right(self, fallen: list[Fallen]) -> None:
        deletions: list[InstanceDeleted] = []
        asked: list[asyncio.Future[None]] = []
        for one in fallen:
            partition = topology.partition_of(one.id, self._partitions)
            if one.deleted:
                deletions.append(InstanceDeleted(one.id, partition, one.epoch, one.revision))
            else:
                mailbox = topology.scheduler_mailbox(partition)
                asked.append(asyncio.ensure_future(self._bus.send(mailbox, WantSnapshot(one.id))))
        for each in asked:
            await each
        if deletions:
            await self._commits.commit(deletions)
