"""Events as they come: a bounded, volatile queue of its own, bound by routing keys.

It is bounded at both ends. A process that reads but is slow drops the oldest events that wait in it. One that
does not read at all lets its queue at the broker fill; what the broker then drops goes to a second queue, and
the first of those parcels tells of all of them (:func:`declaring.declare_subscription`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Sequence

import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath.runtime.buses.rabbitmq.channel import closed, watch
from taskpath.runtime.buses.rabbitmq.declaring import declare_subscription
from taskpath.runtime.buses.rabbitmq.link import asked
from taskpath_proto.codec import Message, decode_parcel

log = structlog.get_logger("taskpath.bus")


class RabbitSubscription:
    """A subscriber on a channel of its own.

    Args:
        channel: its channel.
        queue: the name of its queue.
        exchange: where events are published.
        limit: so many events may wait, and as many parcels at the broker.
    """

    def __init__(self, channel: AbstractChannel, queue: str, exchange: str, limit: int) -> None:
        self._channel = channel
        self._queue = queue
        self._exchange = exchange
        self._limit = limit
        self._events: deque[Message] = deque(maxlen=limit)
        self._dropped = False
        self._losses: int | None = None
        self._asking: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._over: BusLost | BusClosed | None = None
        watch(channel, self._end)

    async def open(self) -> None:
        """Declares the queues and begins to receive.

        Raises:
            BusLost: the connection was lost, or the broker refuses.
        """
        losses = f"{self._queue}.losses"
        await declare_subscription(self._channel, self._queue, losses, self._limit)
        # One parcel is enough to know; the next comes when the loss was told.
        await asked(self._channel.basic_qos(prefetch_count=1))
        await asked(self._channel.basic_consume(losses, self._receive_loss))
        await asked(self._channel.basic_consume(self._queue, self._receive, no_ack=True))

    async def bind(self, *keys: str) -> None:
        """Receives events with these keys from now on."""
        for key in keys:
            self._check()
            await self._ask(self._channel.queue_bind(self._queue, self._exchange, key))

    async def unbind(self, *keys: str) -> None:
        """Receives events with these keys no more."""
        for key in keys:
            self._check()
            await self._ask(self._channel.queue_unbind(self._queue, self._exchange, key))

    async def _ask(self, call: Awaitable[object]) -> None:
        """Without an answer nobody knows what is bound: then it is over, and whoever reads opens another."""
        try:
            await asked(call)
        except BusLost as error:
            self._end(error)
            raise

    async def take(self) -> Sequence[Message]:
        """Waits for events and takes all that are there; none, if there is only a loss to be told."""
        while not self._events and not self._dropped:
            self._check()
            self._wake.clear()
            await self._wake.wait()
        self._check()
        events = list(self._events)
        self._events.clear()
        return events

    def lost(self) -> bool:
        """Whether events were dropped since this was last asked."""
        dropped, self._dropped = self._dropped, False
        losses, self._losses = self._losses, None
        if losses is not None and self._over is None:
            self._asking = asyncio.get_running_loop().create_task(
                self._ask_for_losses(losses), name=f"losses of {self._queue}"
            )
        return dropped

    async def close(self) -> None:
        """Ends the subscription."""
        self._end(BusClosed("the subscription was closed"))
        if self._asking is not None:
            self._asking.cancel()
        await closed(self._channel)

    async def _ask_for_losses(self, told: int) -> None:
        with contextlib.suppress(BusLost):
            await asked(self._channel.basic_ack(told, wait=False))

    async def _receive(self, message: DeliveredMessage) -> None:
        messages, wrong = decode_parcel(message.body)
        for text in wrong:
            log.error("event cannot be read, and is dropped", reason=text)
        if len(self._events) + len(messages) > self._limit:
            self._dropped = True
        self._events.extend(messages)
        self._wake.set()

    async def _receive_loss(self, message: DeliveredMessage) -> None:
        self._losses = message.delivery_tag
        self._dropped = True
        self._wake.set()

    def _check(self) -> None:
        if self._over is not None:
            raise self._over

    def _end(self, reason: BusLost | BusClosed) -> None:
        if self._over is None:
            self._over = reason
            self._events.clear()
            self._dropped = False
            self._wake.set()
