"""The storage service: which parts it has, and in which order they start and stop."""

from __future__ import annotations

import structlog

from taskpath.runtime.bus import Bus
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_services.storage.arrivals import Arrivals
from taskpath_services.storage.commits import Commits
from taskpath_services.storage.following import Following
from taskpath_services.storage.index.reconcile import reconcile
from taskpath_services.storage.mailbox import Counters, Mailbox
from taskpath_services.storage.patience import Patience
from taskpath_services.storage.queries import Queries
from taskpath_services.storage.stores import index_of, records_of

log = structlog.get_logger("taskpath.storage")


class StorageService(Service):
    """Keeps what happens, and answers what is asked.

    Args:
        bus: how it is reached.
        clock: the time.
        settings: which stores it uses, and how many partitions there are.
    """

    def __init__(self, bus: Bus, clock: Clock, settings: Settings) -> None:
        super().__init__("storage")
        self.counters = Counters()
        self._records = records_of(settings)
        self._index = index_of(settings)
        self._clock = clock
        self._partitions = settings.partitions
        self._patience = Patience(clock)
        arrivals = Arrivals()
        following = Following(self._index, clock, self._patience)
        self._commits = Commits(self._records, following, arrivals, clock, self._patience)
        queries = Queries(bus, clock, self._records, self._index, self._commits, arrivals, settings.max_value)
        mailboxes = [
            Mailbox(partition, bus, clock, self._records, self._commits, self.counters)
            for partition in range(settings.partitions)
        ]
        self._parts: list[Service] = [following, *mailboxes, queries]

    async def on_start(self) -> None:
        """Opens the stores, brings the index in line, then opens the mailboxes.

        Raises:
            SettingsError: the records began with another number of partitions.
        """
        await self._records.open()
        await self._index.open()
        partitions = await self._records.begin(self._partitions, self._clock.now())
        if partitions != self._partitions:
            raise SettingsError(
                f"TASKPATH_PARTITIONS is {self._partitions}; expected is {partitions}, with which these "
                "records were begun."
            )
        wrong = await reconcile(self._records, self._index)
        if wrong:
            log.info("index reconciled", instances=wrong)
        for part in self._parts:
            await part.start()
            self.spawn(part.wait(), part.name)

    async def on_stop(self) -> None:
        """Lets the batches that are under way end, closes the mailboxes, then the stores."""
        self._patience.end()
        for part in reversed(self._parts):
            await part.stop()
        await self._commits.close()
        await self._index.close()
        await self._records.close()
