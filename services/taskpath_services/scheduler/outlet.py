"""Letting out: the effects of an owner's batches, in the order that loses nothing.

On a bus that is lost with the process the events go first: nothing is done or answered that is not stored.

On a durable bus the commands go before the events that record them, and the batch is acknowledged last, so
a crash repeats it. Several batches are on their way at once: the next is decided while the broker still
confirms the one before. Each keeps its own order, events are published in the order of the batches, and so
are acknowledgements; what a crash cuts short is repeated from the first batch that is not acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Delivery
from taskpath.runtime.caller import answer
from taskpath_proto import topology
from taskpath_proto.queries import AskWanted
from taskpath_services.scheduler.committing import Committing
from taskpath_services.scheduler.effects import Outcome

log = structlog.get_logger("taskpath.scheduler")

MOST_UNDER_WAY: Final = 8
"""Batches that are decided and not acknowledged."""

ANSWERING: Final = 10.0
"""How long callers may wait for storage when a partition is handed over, in seconds."""


class _Batch(NamedTuple):
    outcome: Outcome
    delivery: Delivery | None
    sent: Sequence[Awaitable[None]]


class _Published(NamedTuple):
    outcome: Outcome
    delivery: Delivery | None
    safe: Sequence[Awaitable[None]]


class Outlet:
    """The way out of one owner.

    Args:
        bus: the bus.
        partition: whose events.
        committing: how far storage is.
    """

    def __init__(self, bus: Bus, partition: int, committing: Committing) -> None:
        self._bus = bus
        self._partition = partition
        self._storage = topology.storage_mailbox(partition)
        self._committing = committing
        self._sent: asyncio.Queue[_Batch] = asyncio.Queue(MOST_UNDER_WAY)
        self._published: asyncio.Queue[_Published] = asyncio.Queue(MOST_UNDER_WAY)
        self._answering: set[asyncio.Task[None]] = set()
        self._stages: list[asyncio.Task[None]] = []

    async def let_out(self, outcome: Outcome, delivery: Delivery | None = None) -> None:
        """Lets the effects of a batch out, and acknowledges it when they are safe: on a bus of one process
        before this returns, on a durable one some time after.

        Raises:
            BusLost: the connection was lost, now or with an earlier batch.
            BusClosed: the bus was closed.
        """
        if self._bus.durable:
            self._start()
            await self._unless_failed(self._sent.put(_Batch(outcome, delivery, self._send(outcome))))
            return
        for event in self._publish(outcome):
            await event
        for command in self._send(outcome):
            await command
        for call, result in outcome.answers:
            await self._bus.send(call.reply_to, answer(call, result))
        if delivery is not None:
            delivery.ack()

    async def drain(self) -> None:
        """Returns when everything is let out and acknowledged. Raises as :meth:`let_out` does."""
        if self._stages:
            await self._unless_failed(self._sent.join())
            await self._unless_failed(self._published.join())
        if self._answering:
            await asyncio.wait(self._answering, timeout=ANSWERING)

    async def close(self) -> None:
        """Stops; what was not acknowledged will be repeated."""
        tasks = [*self._stages, *self._answering]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def failed(self) -> asyncio.Task[None] | None:
        """The stage that has failed, if one has."""
        return next((stage for stage in self._stages if stage.done()), None)

    @property
    def stages(self) -> Sequence[asyncio.Task[None]]:
        """What ends only by failing."""
        return self._stages

    def _start(self) -> None:
        if not self._stages:
            loop, name = asyncio.get_running_loop(), f"partition {self._partition}"
            self._stages = [
                loop.create_task(self._await_commands(), name=f"{name}: commands"),
                loop.create_task(self._await_events(), name=f"{name}: events"),
            ]

    async def _unless_failed(self, step: Awaitable[None]) -> None:
        """Takes a step, unless a stage has failed, or fails before it is done."""
        stepping = asyncio.ensure_future(step)
        try:
            await asyncio.wait({stepping, *self._stages}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stepping.cancel()
        if (failed := self.failed) is not None:
            failed.result()

    async def _await_commands(self) -> None:
        while True:
            outcome, delivery, sent = await self._sent.get()
            for command in sent:
                await command
            await self._published.put(_Published(outcome, delivery, self._publish(outcome)))
            self._sent.task_done()

    async def _await_events(self) -> None:
        while True:
            outcome, delivery, safe = await self._published.get()
            for event in safe:
                await event
            self._committing.published(len(outcome.events))
            self._answer_later(outcome)
            if delivery is not None:
                delivery.ack()
            await self._committing.near()
            self._published.task_done()

    def _answer_later(self, outcome: Outcome) -> None:
        """Answers callers when storage has what they asked for."""
        if not outcome.answers:
            return
        # A repeated command is answered without an event of its own, but not before that of the first.
        commands = any(not isinstance(call.body, AskWanted) for call, _ in outcome.answers)
        wait = bool(outcome.events) or (commands and self._committing.behind)
        stored = self._committing.stored() if wait else None
        answering = asyncio.get_running_loop().create_task(
            self._answer(outcome, stored), name=f"partition {self._partition}: answers"
        )
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, outcome: Outcome, stored: Awaitable[None] | None) -> None:
        try:
            if stored is not None:
                await asyncio.shield(stored)
            for call, result in outcome.answers:
                await self._bus.send(call.reply_to, answer(call, result))
        except (BusLost, BusClosed):
            log.debug("answers were lost with the connection", partition=self._partition)

    def _publish(self, outcome: Outcome) -> list[Awaitable[None]]:
        return [
            self._bus.publish(event, self._storage, topology.instance_key(event.id))
            for event in outcome.events
        ]

    def _send(self, outcome: Outcome) -> list[Awaitable[None]]:
        sent: list[Awaitable[None]] = [
            self._bus.send(mailbox, message) for mailbox, message in outcome.commands
        ]
        sent.extend(self._bus.publish(message, topology.EXECUTORS) for message in outcome.cancellations)
        return sent
