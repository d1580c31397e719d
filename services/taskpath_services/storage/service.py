"""The storage service: which parts it has, and in which order they start and stop."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from prometheus_client import Metric

from taskpath.runtime.bus import Bus
from taskpath.runtime.clock import Clock
from taskpath.runtime.revived import Revived
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings, SettingsError
from taskpath.runtime.sharing import Sharing, new_id
from taskpath_services.storage.arrivals import Arrivals
from taskpath_services.storage.commits import Commits
from taskpath_services.storage.continuity import Continuity
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.figures import figures
from taskpath_services.storage.following import Following
from taskpath_services.storage.history.learning import Learning
from taskpath_services.storage.index.reconcile import reconcile
from taskpath_services.storage.mailbox import Counters, Mailbox
from taskpath_services.storage.patience import Patience
from taskpath_services.storage.queries import Queries
from taskpath_services.storage.stores import index_of, records_of
from taskpath_services.storage.telling import Telling

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
        self._bus = bus
        self._records = records_of(settings)
        self._index = index_of(settings)
        self._clock = clock
        self._partitions = settings.partitions
        self._patience = Patience(clock)
        arrivals = Arrivals()
        self._telling = Telling(bus, clock)
        following = Following(self._index, clock, self._patience, self._telling.changed)
        learning = Learning(self._index, clock)
        self._commits = Commits(self._records, following, learning, arrivals, clock, self._patience)
        queries = Revived(
            "storage queries",
            lambda: Queries(
                bus, clock, self._records, self._index, self._commits, arrivals, settings.max_value
            ),
            clock,
        )

        def mailbox(partition: int) -> Revived[Mailbox]:
            def make() -> Mailbox:
                return Mailbox(partition, bus, clock, self._records, self._commits, self.counters)

            return Revived(f"storage partition {partition}", make, clock)

        self._mailboxes = [mailbox(partition) for partition in range(settings.partitions)]
        self._sharing = Sharing(
            self.name,
            new_id(),
            bus,
            clock,
            settings.partitions,
            lambda: self.owned,
            self._hand_over,
            self._probe,
        )
        self._parts: list[Service] = [self._telling, following, learning, *self._mailboxes, queries]
        if bus.durable:
            # Where everything is one process, the records are a file of this machine.
            self._parts.append(Continuity(bus, clock, self._records, self._commits, settings.partitions))
            self._parts.insert(0, self._sharing)  # and stopped last: others look then for what was owned here

    @property
    def owned(self) -> tuple[int, ...]:
        """The partitions whose events come here."""
        return tuple(
            number
            for number, mailbox in enumerate(self._mailboxes)
            if mailbox.actor is not None and mailbox.actor.owned
        )

    def _hand_over(self, partition: int) -> None:
        actor = self._mailboxes[partition].actor
        if actor is not None:
            actor.hand_over()

    async def _probe(self) -> None:
        for mailbox in self._mailboxes:
            if mailbox.actor is not None and not mailbox.actor.owned:
                await mailbox.actor.probe()

    async def on_start(self) -> None:
        """Opens the stores, brings the index in line, then opens the mailboxes.

        Raises:
            SettingsError: the records began with another number of partitions.
        """
        if not self._bus.durable:
            # Everything is one process; several are prepared for by `taskpath migrate`.
            await self._records.migrate()
            await self._index.migrate()
        await self._records.open()
        await self._index.open()
        partitions = await self._records.begin(self._partitions, self._clock.now())
        if partitions != self._partitions:
            raise SettingsError(
                f"TASKPATH_PARTITIONS is {self._partitions}; expected is {partitions}, with which these "
                "records were begun."
            )
        if not self._bus.durable:
            await self._reconcile()
        for part in self._parts:
            await part.start()
            self.spawn(part.wait(), part.name)
        if self._bus.durable:
            # Other replicas are at work, and nobody waits for a list to be right to the last line.
            self.spawn(self._reconcile(), "reconcile")

    async def _reconcile(self) -> None:
        """Brings the index in line with the records."""
        try:
            walked = await self._patience.until_done("index", lambda: reconcile(self._records, self._index))
        except StoreUnavailable:
            return
        if walked.wrong:
            self._telling.changed()
            log.info("index reconciled", instances=walked.wrong)

    def metrics(self) -> Iterable[Metric]:
        """What storage counts, and how much of the whole this replica has."""
        return [*figures(self.counters), *self._sharing.metrics()]

    async def on_stop(self) -> None:
        """Lets the batches that are under way end, closes the mailboxes, then the stores."""
        self._patience.end()
        for part in reversed(self._parts):
            await part.stop()
        await self._commits.close()
        await self._index.close()
        await self._records.close()
