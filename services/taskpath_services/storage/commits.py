"""Group commit: what all partitions deliver while a commit is under way goes into the next one.

The records come first, then the index, and only then is a batch done. While the index follows one group, the
records take the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskpath.runtime.clock import Clock
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_services.storage.arrivals import Arrivals
from taskpath_services.storage.following import Following, index_steps
from taskpath_services.storage.gathering import Gathering
from taskpath_services.storage.history.learning import Learning
from taskpath_services.storage.patience import Patience
from taskpath_services.storage.records.contract import Outcome, RecordStore, Write

MAX_GROUP: Final = 2_000
"""Writes in one commit; the batch that passes it is not cut."""


class Commits:
    """Commits batches of writes to both stores.

    A store that is away loses nothing: the group is tried again until it is committed.

    Args:
        records: the record store.
        following: brings what changed into the index.
        learning: sees how long tasks took.
        arrivals: told of what is committed.
        clock: for the time of the commit.
        patience: with a store that is away.
    """

    def __init__(
        self,
        records: RecordStore,
        following: Following,
        learning: Learning,
        arrivals: Arrivals,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._records = records
        self._following = following
        self._learning = learning
        self._arrivals = arrivals
        self._clock = clock
        self._patience = patience
        self._recording: Gathering[Write, Outcome] = Gathering(self._record, MAX_GROUP)

    async def commit(self, batch: Sequence[Write]) -> list[Outcome]:
        """Commits a batch, in its order, and says what became of each write.

        Raises:
            StoreUnavailable: only when the patience has ended.
        """
        outcomes = await self._recording.do(batch)
        await self._following.follow(index_steps(batch, outcomes))
        return outcomes

    async def close(self) -> None:
        """Gives up what is not committed yet."""
        await self._recording.close()

    async def _record(self, group: list[Write]) -> list[Outcome]:
        outcomes = await self._patience.until_done(
            "records", lambda: self._records.commit(group, self._clock.now())
        )
        self._learning.see(group, outcomes)
        for write, outcome in zip(group, outcomes, strict=True):
            if outcome in (Outcome.REFUSED, Outcome.CONFLICT):
                continue
            if isinstance(write, InstanceDeleted) or (
                isinstance(write, InstanceChanged)
                and write.instance is not None
                and write.instance.deleting is True
            ):
                self._arrivals.deleted(write.id)
            elif isinstance(write, InstanceChanged):
                self._arrivals.reached(write.id, write.revision)
        return outcomes
