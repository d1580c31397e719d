"""The owner of a partition: the actor that takes batches from its mailbox and lets out what they lead to.

It claims the partition first: storage raises the epoch, and whatever an older owner still says is refused.
Then, for each batch: decide; let the effects out; answer; acknowledge. On a durable bus commands go before
the events that record them, so that a crash repeats the batch; on a bus that is lost with the process the
events go first, so that nothing is done or answered that is not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import structlog

from taskpath.runtime.bus import Bus, BusClosed, Delivery, Inbox
from taskpath.runtime.caller import Caller, answer
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import ClaimPartition, InstanceLoaded, LoadInstance, PartitionClaimed
from taskpath_services.scheduler.effects import Outcome
from taskpath_services.scheduler.partition import Partition
from taskpath_services.scheduler.timers import Timers

log = structlog.get_logger("taskpath.scheduler")

LOAD_TIMEOUT = 30.0
"""How long an instance's records are waited for, in seconds."""


class Owner(Service):
    """Owns one partition.

    Args:
        bus: the bus.
        clock: the time.
        caller: for asking storage.
        number: of the partition.
    """

    def __init__(self, bus: Bus, clock: Clock, caller: Caller, number: int) -> None:
        super().__init__(f"owner of partition {number}")
        self._bus = bus
        self._clock = clock
        self._caller = caller
        self._number = number
        self._mailbox = topology.scheduler_mailbox(number)
        self._storage = topology.storage_mailbox(number)
        self._timers = Timers()
        self._partition: Partition | None = None
        self._inbox: Inbox | None = None

    async def on_start(self) -> None:
        """Opens the mailbox, claims the partition and takes up what its last owner left unfinished."""
        self._inbox = await self._bus.consume(self._mailbox, exclusive=True)
        claimed = await self._claim()
        partition = self._partition = Partition(self._number, claimed.epoch)
        await self._load(partition, claimed.active)
        await self._let_out(partition.decide((), (), self._clock.now()))
        self.spawn(self._work(partition, self._inbox), "mailbox")

    async def on_stop(self) -> None:
        """Gives the mailbox back; the batch in hand is not acknowledged."""
        if self._inbox is not None:
            await self._inbox.close()

    async def _claim(self) -> PartitionClaimed:
        """Claims the partition; as long as storage is away nothing is processed."""
        while True:
            try:
                claim = ClaimPartition(self._number, self.name)
                return await self._caller.ask(self._storage, claim, PartitionClaimed)
            except TaskpathError as error:
                if error.code is not ErrorCode.UNAVAILABLE or not self.ready:
                    raise
                log.warning("storage does not answer the claim", partition=self._number)
                await self._clock.sleep(1.0)

    async def _work(self, partition: Partition, inbox: Inbox) -> None:
        taking: asyncio.Task[Delivery] | None = None
        try:
            while True:
                if taking is None:
                    taking = asyncio.get_running_loop().create_task(inbox.take(), name=f"{self.name}: take")
                delivery = await self._next(taking)
                if delivery is not None:
                    taking = None
                messages: Sequence[Message] = delivery.messages if delivery is not None else ()
                await self._load(partition, partition.unknown(messages))
                now = self._clock.now()
                outcome = partition.decide(messages, self._timers.due(now), now)
                await self._let_out(outcome)
                if delivery is not None:
                    delivery.ack()
        except BusClosed:
            return
        finally:
            if taking is not None:
                taking.cancel()

    async def _next(self, taking: asyncio.Task[Delivery]) -> Delivery | None:
        """The next messages, or None when a timer is due before any came."""
        due = self._timers.next_due
        if due is None:
            return await taking
        delay = (due - self._clock.now()) / 1000
        if taking.done():
            return taking.result()
        if delay > 0:
            sleeping = asyncio.get_running_loop().create_task(
                self._clock.sleep(delay), name=f"{self.name}: timer"
            )
            try:
                await asyncio.wait({taking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
        return taking.result() if taking.done() else None

    async def _load(self, partition: Partition, ids: Sequence[str]) -> None:
        for id in ids:
            while True:
                try:
                    loaded = await self._caller.ask(
                        self._storage, LoadInstance(id), InstanceLoaded, timeout=LOAD_TIMEOUT
                    )
                    break
                except TaskpathError as error:
                    if error.code is not ErrorCode.UNAVAILABLE or not self.ready:
                        raise
                    log.warning("storage does not answer", partition=self._number, instance=id)
            partition.load(id, loaded, self._clock.now())

    async def _let_out(self, outcome: Outcome) -> None:
        """Lets the effects of a batch out, in the order that loses nothing."""
        if self._bus.durable:
            await self._send_commands(outcome)
            await self._publish_events(outcome)
        else:
            await self._publish_events(outcome)
            await self._send_commands(outcome)
        for call, result in outcome.answers:
            await self._bus.send(call.reply_to, answer(call, result))
        for timer in outcome.timers:
            self._timers.arm(timer)

    async def _publish_events(self, outcome: Outcome) -> None:
        safe = [
            self._bus.publish(event, self._storage, topology.instance_key(event.id), topology.ALL_INSTANCES)
            for event in outcome.events
        ]
        for each in safe:
            await each

    async def _send_commands(self, outcome: Outcome) -> None:
        sent: list[Awaitable[None]] = [
            self._bus.send(mailbox, message) for mailbox, message in outcome.commands
        ]
        sent.extend(self._bus.publish(message, topology.EXECUTORS) for message in outcome.cancellations)
        for each in sent:
            await each
