"""Reading a mailbox: parcels come in as far as the prefetch allows, are taken and acknowledged in batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPError

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath.runtime.buses.rabbitmq.channel import closed, watch
from taskpath.runtime.buses.rabbitmq.fragments import PART, PARTS, Assembling
from taskpath.runtime.buses.rabbitmq.link import asked
from taskpath_proto.codec import Message, decode_parcel

log = structlog.get_logger("taskpath.bus")

STEP_SECONDS: Final = 2.0
"""How long a pause, or the end of one, may take that is under way when the mailbox is given up."""


class RabbitDelivery:
    """Parcels that were taken together."""

    __slots__ = ("_inbox", "_tags", "messages", "redelivered")

    def __init__(
        self, inbox: RabbitInbox, tags: Sequence[int], messages: Sequence[Message], redelivered: bool
    ) -> None:
        self._inbox = inbox
        self._tags: Sequence[int] = tags
        self.messages = messages
        self.redelivered = redelivered

    def ack(self) -> None:
        """Says that they have been dealt with."""
        tags, self._tags = self._tags, ()
        self._inbox.acknowledge(tags)


class RabbitInbox:
    """A consumer on a channel of its own.

    It is given up by closing the channel: after a mere basic.cancel the next owner would run ahead of what is
    not acknowledged.

    Args:
        channel: its channel.
        mailbox: whose messages they are.
        volatile: the broker keeps nothing of what it has sent, and wants no acknowledgement.
    """

    def __init__(self, channel: AbstractChannel, mailbox: str, *, volatile: bool) -> None:
        self._channel = channel
        self._mailbox = mailbox
        self._volatile = volatile
        self._assembling = Assembling() if volatile else None
        self._arrived: deque[tuple[int, list[Message], bool]] = deque()
        self._wake = asyncio.Event()
        self._over: BusLost | BusClosed | None = None
        self._open: deque[int] = deque()
        self._dealt: set[int] = set()
        self._acknowledging: asyncio.Task[None] | None = None
        self._queue = ""
        self._consumer: str | None = None
        self._stepping: asyncio.Task[None] | None = None
        watch(channel, self._end)

    async def consume(self, queue: str, prefetch: int) -> None:
        """Begins to receive.

        Raises:
            BusLost: the connection was lost, or the broker refuses.
        """
        self._queue = queue
        await self._begin(prefetch)

    async def _begin(self, prefetch: int) -> None:
        if not self._volatile:
            await asked(self._channel.basic_qos(prefetch_count=prefetch))
        consuming = await asked(
            self._channel.basic_consume(self._queue, self._receive, no_ack=self._volatile)
        )
        self._consumer = consuming.consumer_tag

    async def _receive(self, message: DeliveredMessage) -> None:
        if self._over is not None:
            return
        tag = message.delivery_tag or 0
        body = message.body if self._assembling is None else self._whole(message, self._assembling)
        if body is None:
            return
        messages, wrong = decode_parcel(body)
        for text in wrong:
            log.error("message cannot be read, and is dropped", mailbox=self._mailbox, reason=text)
        if not self._volatile:
            self._open.append(tag)
        if messages:
            self._arrived.append((tag, messages, bool(message.redelivered)))
            self._wake.set()
        else:
            self.acknowledge((tag,))

    @staticmethod
    def _whole(message: DeliveredMessage, assembling: Assembling) -> bytes | None:
        """The parcel that a message is, or completes."""
        properties = message.header.properties
        headers = properties.headers or {}
        part, parts, whole = headers.get(PART), headers.get(PARTS), properties.correlation_id
        if isinstance(part, int) and isinstance(parts, int) and whole is not None:
            return assembling.add(whole, part, parts, message.body)
        return message.body

    async def take(self, most: int | None = None) -> RabbitDelivery:
        """Waits for parcels and takes those that are there, at most ``most`` messages."""
        arrived = self._arrived
        while True:
            if self._over is not None:
                raise self._over
            if arrived:
                break
            self._wake.clear()
            await self._wake.wait()
        tag, messages, redelivered = arrived.popleft()
        if not arrived or (most is not None and len(messages) >= most):
            return RabbitDelivery(self, (tag,), messages, redelivered)
        tags, taken = [tag], list(messages)
        while arrived and (most is None or len(taken) + len(arrived[0][1]) <= most):
            tag, messages, again = arrived.popleft()
            tags.append(tag)
            taken += messages
            redelivered = redelivered or again
        return RabbitDelivery(self, tags, taken, redelivered)

    async def pause(self) -> Sequence[RabbitDelivery]:
        """Lets others have what comes from now on; gives what had been fetched."""
        await self._step(self._cease)
        if self._over is not None:
            raise self._over
        arrived = [
            RabbitDelivery(self, (tag,), messages, redelivered)
            for tag, messages, redelivered in self._arrived
        ]
        self._arrived.clear()
        return arrived

    async def resume(self, prefetch: int) -> None:
        """Ends a pause."""
        await self._step(lambda: self._begin_again(prefetch))
        if self._over is not None:
            raise self._over

    async def _step(self, step: Callable[[], Awaitable[None]]) -> None:
        """Takes a step after those before it, and to its end even if the caller is cancelled.

        The client closes a channel on which something that it asked for is cancelled. Then all that is not
        acknowledged would go to others, while it is at work here.
        """
        before = self._stepping

        async def take() -> None:
            if before is not None:
                await asyncio.wait([before])
            await step()

        stepping = asyncio.get_running_loop().create_task(take(), name=f"steps of {self._mailbox}")
        self._stepping = stepping
        stepping.add_done_callback(_heed)
        await asyncio.shield(stepping)

    async def _cease(self) -> None:
        if self._over is None and self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            # What the broker sends before its answer comes before its answer.
            await asked(self._channel.basic_cancel(consumer))

    async def _begin_again(self, prefetch: int) -> None:
        if self._over is None and self._consumer is None:
            await self._begin(prefetch)

    def acknowledge(self, tags: Iterable[int]) -> None:
        """Ends a delivery."""
        if self._volatile or self._over is not None:
            return
        self._dealt.update(tags)
        if self._acknowledging is None:
            self._acknowledging = asyncio.get_running_loop().create_task(
                self._acknowledge(), name=f"acknowledging {self._mailbox}"
            )

    async def _acknowledge(self) -> None:
        """Tells the broker of all that was dealt with, in one frame as far as nothing before it is open."""
        try:
            while self._dealt:
                last = 0
                while self._open and self._open[0] in self._dealt:
                    last = self._open.popleft()
                    self._dealt.discard(last)
                if last:
                    await self._channel.basic_ack(last, multiple=True, wait=False)
                dealt, self._dealt = self._dealt, set()
                for tag in sorted(dealt):
                    self._open.remove(tag)
                    await self._channel.basic_ack(tag, wait=False)
        except (AMQPError, OSError, RuntimeError, asyncio.CancelledError):
            # The connection is lost: what was not acknowledged comes back.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        finally:
            self._acknowledging = None

    async def close(self) -> None:
        """Gives up the mailbox; what was not acknowledged goes back to it."""
        if self._over is None:
            self._end(BusClosed(f"the mailbox {self._mailbox} was closed"))
            if self._acknowledging is not None:
                await asyncio.wait([self._acknowledging])
        if self._stepping is not None:
            await asyncio.wait([self._stepping], timeout=STEP_SECONDS)
            self._stepping.cancel()
        await closed(self._channel)

    def _end(self, reason: BusLost | BusClosed) -> None:
        if self._over is None:
            self._over = reason
            self._arrived.clear()
            self._wake.set()


def _heed(stepping: asyncio.Task[None]) -> None:
    """What came of it, whoever waits hears; nobody may."""
    if not stepping.cancelled():
        stepping.exception()
