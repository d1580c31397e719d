"""The owner of a partition: the actor that takes batches from its mailbox and lets out what they lead to.

Of several replicas that wait at a mailbox one is given its messages. It claims the partition with the first
of them: storage raises the epoch, and whatever an older owner still says is refused. Then, for each batch:
decide; let the effects out; answer; acknowledge. On a durable bus commands go before the events that record
them, so that a crash repeats the batch; on a bus that is lost with the process the events go first, so that
nothing is done or answered that is not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from taskpath.runtime.bus import Bus, Delivery, Inbox
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import ExecutorBeat, Probe
from taskpath_proto.queries import ClaimPartition, InstanceLoaded, LoadInstance, PartitionClaimed
from taskpath_services.scheduler.committing import Committing
from taskpath_services.scheduler.outlet import Outlet
from taskpath_services.scheduler.partition import Partition
from taskpath_services.scheduler.timers import Timers

log = structlog.get_logger("taskpath.scheduler")

LOAD_TIMEOUT: Final = 30.0
"""How long an instance's records are waited for, in seconds."""

ANSWER_TIMEOUT: Final = 10.0
"""How long an owner that hands over waits to give its last answers, in seconds."""

MAX_BATCH: Final = 2_000
"""Messages decided at once."""

MOST_LOADS: Final = 16
"""So many instances are read at once."""


class _Emptied:
    """Queues that were found empty when something of them was overdue.

    Args:
        look: when that was, ms since epoch.
        queues: their names.
    """

    __slots__ = ("asked", "look", "queues")

    def __init__(self, look: int, queues: set[str]) -> None:
        self.look = look
        self.queues = queues
        self.asked = False


class Owner:
    """Waits for one partition, owns it, and hands it over.

    Args:
        bus: the bus.
        clock: the time.
        caller: for asking storage.
        number: of the partition.
        replica: the id of this scheduler.
        lease: after how many seconds of silence an executor's works are lost.
    """

    def __init__(
        self, bus: Bus, clock: Clock, caller: Caller, number: int, replica: str, lease: float
    ) -> None:
        self.number = number
        self.owning = asyncio.Event()
        self._bus = bus
        self._clock = clock
        self._caller = caller
        self._replica = replica
        self._lease = round(lease * 1000) if bus.durable else None
        self._mailbox = topology.scheduler_mailbox(number)
        self._storage = topology.storage_mailbox(number)
        self._timers = Timers()
        self._committing = Committing(caller, clock, number)
        self._outlet = Outlet(bus, number, self._committing)
        self._news: list[Message] = []
        self._emptied: _Emptied | None = None
        self._leaving = False
        self._woken: asyncio.Future[None] | None = None

    def hear(self, message: Message) -> None:
        """Takes in what is said to all owners; it is decided with the next batch.

        That an executor is gone comes through the mailbox as well, behind its last report: only that counts.
        """
        if self.owning.is_set() and not (isinstance(message, ExecutorBeat) and message.gone):
            self._news.append(message)
            self._wake()

    def hand_over(self) -> None:
        """Ends :meth:`run` when the batch in hand is finished."""
        self._leaving = True
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def run(self) -> None:
        """Waits until the partition is this one's, then works until it is handed over.

        Raises:
            BusLost: the connection was lost; what was taken is another owner's.
            BusClosed: the bus was closed.
        """
        inbox = await self._bus.consume(self._mailbox, exclusive=True)
        taking: asyncio.Task[Delivery] | None = None
        try:
            taking = self._take(inbox)
            # AMQP does not tell a consumer that it became the active one: the first message does.
            await self._bus.send(self._mailbox, Probe(self.number))
            while not taking.done() and not self._leaving:
                await self._until(taking)
            if not taking.done():
                return
            taking.result()  # if the connection was lost, nothing was taken, and nothing is to be claimed
            partition = await self._claim()
            self.owning.set()
            while True:
                delivery = taking.result() if taking.done() else None
                await self._batch(partition, delivery)
                if delivery is not None:
                    taking = self._take(inbox)
                if not self._news:
                    await self._until(taking)
                if self._leaving:
                    await self._outlet.drain()
                    return
        finally:
            self.owning.clear()
            if taking is not None:
                taking.cancel()
                await asyncio.wait([taking])
            # Closing, and not cancelling the consumer, lets nobody run ahead of what is not acknowledged.
            await inbox.close()
            await self._outlet.close()
            await self._committing.close()

    def _take(self, inbox: Inbox) -> asyncio.Task[Delivery]:
        return asyncio.get_running_loop().create_task(
            inbox.take(MAX_BATCH), name=f"owner of partition {self.number}: take"
        )

    async def _until(self, taking: asyncio.Task[Delivery]) -> None:
        """Returns when there are messages, news, a timer that is due, or a wish that it ends."""
        if taking.done() or self._leaving:
            return
        self._woken = asyncio.get_running_loop().create_future()
        waits: set[asyncio.Future[None] | asyncio.Task[Delivery] | asyncio.Task[None]]
        waits = {taking, self._woken, *self._outlet.stages}
        sleeping: asyncio.Task[None] | None = None
        due = self._timers.next_due
        if due is not None:
            delay = (due - self._clock.now()) / 1000
            if delay <= 0:
                return
            sleeping = asyncio.get_running_loop().create_task(
                self._clock.sleep(delay), name=f"owner of partition {self.number}: timer"
            )
            waits.add(sleeping)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._woken = None
            if sleeping is not None:
                sleeping.cancel()

    async def _claim(self) -> Partition:
        """Claims the partition, and takes up what its last owner left unfinished.

        As long as storage is away nothing is processed.
        """
        while True:
            try:
                claimed = await self._caller.ask(
                    self._storage, ClaimPartition(self.number, self._replica), PartitionClaimed
                )
                break
            except TaskpathError as error:
                if error.code is not ErrorCode.UNAVAILABLE or self._leaving:
                    raise
                log.warning("storage does not answer the claim", partition=self.number)
                await self._clock.sleep(1.0)
        log.info("partition owned", partition=self.number, epoch=claimed.epoch, active=len(claimed.active))
        self._committing.epoch = claimed.epoch
        partition = Partition(self.number, claimed.epoch, self._lease)
        await self._load(partition, claimed.active)
        await self._decide(partition)
        return partition

    async def _decide(self, partition: Partition) -> None:
        """Lets out what is to be done without any message."""
        outcome = partition.decide((), (), self._clock.now())
        for timer in outcome.timers:
            self._timers.arm(timer)
        await self._outlet.let_out(outcome)

    async def _batch(self, partition: Partition, delivery: Delivery | None) -> None:
        """Deals with a batch, which is acknowledged when its effects are safe."""
        news, self._news = self._news, []
        messages: list[Message] = [*news, *delivery.messages] if delivery is not None else news
        redelivered = delivery is not None and delivery.redelivered
        await self._load(partition, partition.unknown(messages, redelivered=redelivered))
        now = self._clock.now()
        timers = self._timers.due(now)
        outcome = partition.decide(messages, timers, now, redelivered=redelivered)
        for timer in outcome.timers:
            self._timers.arm(timer)
        await self._outlet.let_out(outcome, delivery)
        emptied = self._emptied
        if emptied is not None and any(
            isinstance(message, Probe) and message.look == emptied.look for message in messages
        ):
            self._emptied = None
            await self._send_again(partition, emptied)
        if timers:
            await self._find_lost(partition, now)

    async def _find_lost(self, partition: Partition, now: int) -> None:
        """Looks whether something is neither reported nor waiting in its queue.

        What was taken from a queue meanwhile may have been reported, too: so nothing is sent again before the
        next look, and not before everything is read that was in the mailbox then.
        """
        if self._emptied is not None:
            if not self._emptied.asked:
                self._emptied.asked = True
                await self._bus.send(self._mailbox, Probe(self.number, self._emptied.look))
            return
        empty = {
            queue
            for queue in partition.overdue(now)
            if await self._bus.depth(topology.executor_mailbox(queue)) == 0
        }
        if empty:
            self._emptied = _Emptied(now, empty)

    async def _send_again(self, partition: Partition, emptied: _Emptied) -> None:
        """What is still overdue has got lost."""
        if partition.found_empty(emptied.queues, emptied.look, self._clock.now()):
            log.warning("sent again what got lost", partition=self.number, queues=sorted(emptied.queues))
            await self._decide(partition)

    async def _load(self, partition: Partition, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), MOST_LOADS):
            some = ids[start : start + MOST_LOADS]
            loads = [asyncio.ensure_future(self._read(id)) for id in some]
            try:
                for id, loaded in zip(some, await asyncio.gather(*loads), strict=True):
                    partition.load(id, loaded, self._clock.now())
            finally:
                for load in loads:
                    load.cancel()

    async def _read(self, id: str) -> InstanceLoaded:
        while True:
            try:
                return await self._caller.ask(
                    self._storage, LoadInstance(id), InstanceLoaded, timeout=LOAD_TIMEOUT
                )
            except TaskpathError as error:
                if error.code is not ErrorCode.UNAVAILABLE or self._leaving:
                    raise
                log.warning("storage does not answer", partition=self.number, instance=id)
                await self._clock.sleep(1.0)
