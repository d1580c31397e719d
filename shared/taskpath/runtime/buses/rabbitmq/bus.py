"""The bus over RabbitMQ: one connection to publish, one to consume, and what is open on them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from weakref import WeakSet

from aiormq import Connection

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath.runtime.buses.rabbitmq.address import Address
from taskpath.runtime.buses.rabbitmq.channel import closed
from taskpath.runtime.buses.rabbitmq.declaring import Declaring, Names, declare_reply_queue
from taskpath.runtime.buses.rabbitmq.inbox import RabbitInbox
from taskpath.runtime.buses.rabbitmq.link import Link, Silent, asked
from taskpath.runtime.buses.rabbitmq.publisher import CONFIRM_SECONDS, Publisher
from taskpath.runtime.buses.rabbitmq.subscription import RabbitSubscription
from taskpath_proto import topology
from taskpath_proto.codec import Message

E = TypeVar("E", RabbitInbox, RabbitSubscription)

HEARTBEAT: Final = 30
"""Seconds. A connection of which nothing was heard for twice as long is given up by the broker."""


class RabbitBus:
    """Services that reach each other through a broker.

    Args:
        broker: its address, as in :class:`Address`.
        name: of the service, for the broker's list of connections.
        partitions: how many mailboxes share the instances.
        heartbeat: in seconds.
        confirm: how long a confirm is waited for, in seconds.

    Raises:
        SettingsError: the address cannot be read.
    """

    durable = True

    def __init__(
        self,
        broker: str,
        *,
        name: str,
        partitions: int,
        heartbeat: int = HEARTBEAT,
        confirm: float = CONFIRM_SECONDS,
    ) -> None:
        address = Address(broker)
        self._name = name
        self._names = Names(address.prefix)
        self._publisher = Publisher(address, self._names, name, heartbeat, partitions, confirm)
        self._link = Link(address, f"{name} consumes", heartbeat, self._prepare)
        self._declaring: Declaring | None = None
        self._ends: WeakSet[RabbitInbox | RabbitSubscription] = WeakSet()

    @property
    def connected(self) -> bool:
        """Whether both of its connections are there."""
        return self._publisher.connected and self._link.connection is not None

    async def start(self) -> None:
        """Connects, and declares the whole topology; waits for a broker that is away.

        Raises:
            SettingsError: the broker refuses us.
        """
        await self._publisher.start()
        await self._link.start()

    async def stop(self) -> None:
        """Lets what was sent go out, then closes every inbox and subscription. Safe to call twice."""
        await self._publisher.stop()
        for end in list(self._ends):
            await end.close()
        await self._link.stop()

    def send(self, mailbox: str, message: Message) -> asyncio.Future[None]:
        """Puts a message into a mailbox."""
        return self._publisher.send(mailbox, message)

    def publish(self, message: Message, *keys: str) -> asyncio.Future[None]:
        """Publishes an event with these routing keys."""
        return self._publisher.publish(message, keys)

    async def consume(self, mailbox: str, *, exclusive: bool = False, prefetch: int = 100) -> RabbitInbox:
        """Opens a mailbox for reading.

        Raises:
            BusLost: the broker refuses.
            BusClosed: the bus was closed.
            ValueError: it is exclusive, and no mailbox of a partition: the others have any number of readers.
        """
        if exclusive and not topology.has_one_reader(mailbox):
            raise ValueError(f"{mailbox} is no mailbox of a partition; its consumers cannot be exclusive")
        reply = topology.is_reply_queue(mailbox)
        queue = self._names.queue(mailbox)

        async def open_inbox(connection: Connection) -> RabbitInbox:
            if not reply and self._declaring is not None:
                await self._declaring.mailbox(mailbox)
            channel = await asked(connection.channel(publisher_confirms=False))
            inbox = RabbitInbox(channel, mailbox, volatile=reply)
            try:
                if reply:
                    await declare_reply_queue(channel, queue)
                await inbox.consume(queue, prefetch)
            except BusLost:
                if self._declaring is not None:
                    self._declaring.forget(mailbox)
                await closed(channel)
                raise
            return inbox

        return await self._opened(open_inbox)

    async def subscribe(self, *keys: str, limit: int = 10_000) -> RabbitSubscription:
        """Opens a subscription to events with these keys.

        Raises:
            BusLost: the broker refuses.
            BusClosed: the bus was closed.
        """
        queue = self._names.queue(f"events.{self._name}.{uuid.uuid4().hex[:12]}")

        async def open_subscription(connection: Connection) -> RabbitSubscription:
            channel = await asked(connection.channel(publisher_confirms=False))
            subscription = RabbitSubscription(channel, queue, self._names.exchange, limit)
            try:
                await subscription.open()
                await subscription.bind(*keys)
            except BusLost:
                await closed(channel)
                raise
            return subscription

        return await self._opened(open_subscription)

    async def depth(self, mailbox: str) -> int:
        """How many parcels wait in a mailbox, without what its consumers have fetched."""
        return await self._ready_to_declare().depth(mailbox)

    async def readers(self, mailbox: str) -> int:
        """How many consumers a mailbox has: those that have paused are none."""
        return await self._ready_to_declare().readers(mailbox)

    def _ready_to_declare(self) -> Declaring:
        if not self._publisher.ready:
            raise BusClosed("the bus was closed")
        if self._declaring is None or self._link.connection is None:
            raise BusLost("there is no connection to the broker")
        return self._declaring

    async def _prepare(self, connection: Connection) -> None:
        self._declaring = Declaring(connection, self._names)

    async def _opened(self, open_end: Callable[[Connection], Awaitable[E]]) -> E:
        """An end that was opened on the connection, once it is there."""
        while True:
            connection = await self._link.established()
            try:
                end = await open_end(connection)
            except Silent as error:
                self._link.drop(connection, str(error))
                raise
            except BusLost:
                if connection is self._link.connection:
                    raise  # the broker refuses
                continue
            self._ends.add(end)
            return end
