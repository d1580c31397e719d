"""The actor of one partition: commits its events, acknowledges them, and answers its owner in between.

It knows nothing of what came before: when the bus is lost, another one starts over, here or in a replica, and
what was committed and not acknowledged is found to be there already. Of several replicas that wait at a
mailbox the broker gives it to one, until that hands it over: it finishes its batch and closes its end, so
that nobody runs ahead of what is not committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog

from taskpath.runtime.bus import Bus, BusClosed, Delivery, Inbox
from taskpath.runtime.caller import answer
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.calls import Call, Response
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten, Probe, WantSnapshot
from taskpath_proto.queries import (
    AllCommitted,
    AskCommitted,
    ClaimPartition,
    InstanceLoaded,
    LoadInstance,
    PartitionClaimed,
)
from taskpath_services.storage.commits import Commits
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.contract import Outcome, RecordStore, Write

log = structlog.get_logger("taskpath.storage")

MAX_BATCH: Final = 2_000
"""Messages taken at once."""


class Counters(msgspec.Struct):
    """What storage counts of all partitions."""

    applied: int = 0
    repeated: int = 0
    refused: int = 0
    gaps: int = 0
    conflicts: int = 0


class Mailbox(Service):
    """Consumes the mailbox of one partition.

    A batch is acknowledged when all its events are in the stores. While a store is away, the batch waits; if
    this process ends meanwhile, the batch comes back.

    Args:
        partition: whose mailbox.
        bus: where it is.
        clock: for deadlines and epochs.
        records: the record store, for the owner's calls.
        commits: the way of events into the stores.
        counters: of all partitions.
    """

    def __init__(
        self,
        partition: int,
        bus: Bus,
        clock: Clock,
        records: RecordStore,
        commits: Commits,
        counters: Counters,
    ) -> None:
        super().__init__(f"storage partition {partition}")
        self._partition = partition
        self._mailbox = topology.storage_mailbox(partition)
        self._bus = bus
        self._clock = clock
        self._records = records
        self._commits = commits
        self._counters = counters
        self.owned = False
        """Whether the mailbox is this one's, as far as it has been given anything."""
        self._inbox: Inbox | None = None
        self._consuming: asyncio.Task[None] | None = None
        self._epoch = 0
        self._busy = False
        self._leaving = asyncio.Event()
        self._stopping = False

    async def on_start(self) -> None:
        """Opens the mailbox."""
        inbox = await self._open()
        self._consuming = self.spawn(self._work(inbox), "consume")

    async def on_stop(self) -> None:
        """Finishes the batch that is under way and gives up the mailbox."""
        self._stopping = True
        self._leaving.set()
        if self._busy and self._consuming is not None:
            await asyncio.wait([self._consuming])
        if self._inbox is not None:
            await self._inbox.close()

    def hand_over(self) -> None:
        """Gives up the mailbox when the batch in hand is finished, and waits for it again."""
        self._leaving.set()

    async def probe(self) -> None:
        """Wakes whoever the mailbox belongs to: a broker does not tell its consumer."""
        if self._bus.durable:
            await self._bus.send(self._mailbox, Probe(self._partition))

    async def _open(self) -> Inbox:
        inbox = self._inbox = await self._bus.consume(self._mailbox, exclusive=True)
        await self.probe()
        return inbox

    async def _work(self, inbox: Inbox) -> None:
        try:
            while True:
                try:
                    await self._consume(inbox)
                finally:
                    self.owned = False
                if self._stopping:
                    return
                # Closing, and not cancelling the consumer, lets nobody run ahead of what is not acknowledged.
                await inbox.close()
                self._leaving.clear()
                inbox = await self._open()
        except BusClosed:
            return
        except StoreUnavailable:
            # Only at the end: the batch is not acknowledged and comes back to whoever is next.
            if not self._stopping:
                raise
        finally:
            if self._stopping and self._inbox is not None:
                await self._inbox.close()

    async def _consume(self, inbox: Inbox) -> None:
        """Commits what comes, until the mailbox is to be given up."""
        leaving = asyncio.ensure_future(self._leaving.wait())
        taking: asyncio.Future[Delivery] | None = None
        try:
            while True:
                taking = asyncio.ensure_future(inbox.take(MAX_BATCH))
                await asyncio.wait({leaving, taking}, return_when=asyncio.FIRST_COMPLETED)
                if self._leaving.is_set():
                    return  # what has just been taken goes back when the inbox is closed
                self._busy = self.owned = True
                await self._process(taking.result())
                self._busy = False
        finally:
            await _ended(leaving, taking)

    async def _process(self, delivery: Delivery) -> None:
        """Commits the events of a batch; a call is answered when those before it are committed."""
        events: list[Write] = []
        for message in delivery.messages:
            if isinstance(message, (InstanceChanged, InstanceDeleted, LogsWritten)):
                events.append(message)
                continue
            if isinstance(message, Probe):
                continue
            await self._commit(events)
            events = []
            if isinstance(message, Call):
                await self._answer(message)
            else:
                log.error("unexpected message", mailbox=self._mailbox, type=_type(message))
        await self._commit(events)
        delivery.ack()

    async def _commit(self, events: Sequence[Write]) -> None:
        if not events:
            return
        outcomes = await self._commits.commit(events)
        counters = self._counters
        behind: set[str] = set()
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome is Outcome.APPLIED:
                counters.applied += 1
            elif outcome is Outcome.REPEATED:
                counters.repeated += 1
            elif outcome is Outcome.REFUSED:
                counters.refused += 1
                if isinstance(event, (InstanceChanged, InstanceDeleted)):
                    self._epoch = max(self._epoch, event.epoch + 1)  # claimed when another replica was here
                log.warning("event refused", mailbox=self._mailbox, **_facts(event))
            elif outcome is Outcome.GAP:
                counters.gaps += 1
                behind.add(event.id)
                log.error("gap", mailbox=self._mailbox, **_facts(event))
            else:
                # Its owner has a bug. What came first stays, and the mailbox goes on for everyone else.
                counters.conflicts += 1
                behind.add(event.id)
                log.error("two changes of one revision differ", mailbox=self._mailbox, **_facts(event))
        for id in behind:
            # A change is missing, or contradicts another: its owner says anew all that there is.
            await self._bus.send(topology.scheduler_mailbox(self._partition), WantSnapshot(id))

    async def _answer(self, call: Call) -> None:
        if call.deadline < self._clock.now():
            return
        result: Response | TaskpathError
        try:
            result = await self._respond(call)
        except StoreUnavailable as error:
            log.warning("store unavailable", reason=str(error))
            result = TaskpathError(ErrorCode.UNAVAILABLE, "Storage cannot be reached right now; try again.")
        except TaskpathError as error:
            result = error
        # Not waited for: an answer that does not arrive is asked for again, and must not hold up commits.
        self._bus.send(call.reply_to, answer(call, result))

    async def _respond(self, call: Call) -> Response:
        query = call.body
        if isinstance(query, ClaimPartition):
            claimed = await self._records.claim(query.partition, query.claimant, self._clock.now())
            log.info("partition claimed", partition=query.partition, epoch=claimed.epoch, by=query.claimant)
            self._epoch = claimed.epoch
            return PartitionClaimed(partition=query.partition, epoch=claimed.epoch, active=claimed.active)
        if isinstance(query, LoadInstance):
            loaded = await self._records.load(query.id)
            if loaded.instance is not None:
                return loaded
            return InstanceLoaded(tombstone=await self._records.tombstone(query.id, self._clock.now()))
        if isinstance(query, AskCommitted):
            if query.epoch is not None and query.epoch < self._epoch:
                raise TaskpathError(
                    ErrorCode.CONFLICT, f"Another owner has claimed partition {query.partition}."
                )
            return AllCommitted()  # calls are answered when what came before them is committed
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"{_type(query)} is not a question for {self._mailbox}."
        )


async def _ended(*tasks: asyncio.Future[Any] | None) -> None:
    """Returns when these have been cancelled, if they were not done."""
    pending = [task for task in tasks if task is not None]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _type(message: Message | object) -> str:
    return type(message).__name__


def _facts(event: Write) -> dict[str, str | int]:
    """What a log line says of an event: never its content."""
    facts: dict[str, str | int] = {"instance": event.id, "type": _type(event)}
    if isinstance(event, (InstanceChanged, InstanceDeleted)):
        facts |= {"epoch": event.epoch, "revision": event.revision}
    if isinstance(event, InstanceChanged):
        facts["base_revision"] = event.base_revision
    return facts
