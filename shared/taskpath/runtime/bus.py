"""The bus contract: how messages travel between services.

A *mailbox* is a named queue. Work in a mailbox is never lost while the bus lives: what was taken and not
acknowledged comes back, marked as redelivered. ``publish`` puts an event on the exchange ``events``: it
reaches every mailbox whose name is among its routing keys, and every subscription bound to one of them.

What ``send`` and ``publish`` return is done when the message is *safe*. On a durable bus that is when the
broker has it. A bus that is not durable cannot promise that, so its ``publish`` is safe only when the
mailboxes it reached have acknowledged the event (storage has committed it), and subscribers see it after
that. The order in which an owner lets its effects out follows from :attr:`Bus.durable`; nothing else does.

A connection can be lost. Whoever gets :class:`BusLost` drops what it has taken and what it knows, and starts
over (:mod:`taskpath.runtime.revived`); the bus connects again by itself. A bus may gather messages into
*parcels*. So a subscriber may receive events that it has not bound, because they came in one parcel with some
that it has: readers ignore what they do not know.

Messages are values: whoever sends one does not change it afterwards, whoever receives one never does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from taskpath_proto.codec import Message


class BusLost(ConnectionError):
    """The connection to the broker was lost: what was taken and not acknowledged comes back, what was sent
    may or may not have arrived. The bus connects again by itself; this end of it is dead: open another."""


class Undelivered(BusLost):
    """The broker has refused the message, or no queue took it: surely it has not arrived, and neither has
    what was sent to the same mailbox after it. The mailbox is declared again when it is next used."""


class BusClosed(ConnectionError):
    """The bus, or this end of it, has been closed."""


class Delivery(Protocol):
    """Messages that were taken together and are acknowledged together."""

    @property
    def messages(self) -> Sequence[Message]:
        """The messages, oldest first; at least one."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether any of them may have been delivered before, to somebody who may or may not have seen it."""
        ...

    def ack(self) -> None:
        """Says that they have been dealt with. On a closed or dead inbox it does nothing: they come back."""
        ...


class Inbox(Protocol):
    """A consumer's end of a mailbox."""

    async def take(self, most: int | None = None) -> Delivery:
        """Waits for messages and takes what is there, at most ``most`` messages (a larger parcel is not cut).

        Raises:
            BusLost: the connection was lost; the inbox is dead.
            BusClosed: the inbox was closed.
        """
        ...

    async def pause(self) -> Sequence[Delivery]:
        """Lets others have what comes from now on, until :meth:`resume`; nobody takes meanwhile. Not for
        exclusive inboxes: the next of them would run ahead of what is not acknowledged.

        Returns:
            what had been fetched and not taken.

        Raises:
            BusLost: the connection was lost; the inbox is dead.
            BusClosed: the inbox was closed.
        """
        ...

    async def resume(self, prefetch: int) -> None:
        """Ends a pause, if there is one. Raises as :meth:`pause` does.

        Args:
            prefetch: as of :meth:`Bus.consume`.
        """
        ...

    async def close(self) -> None:
        """Gives up the mailbox; what was not acknowledged goes back to it. Safe to call twice, and when
        dead."""
        ...


class Subscription(Protocol):
    """A volatile queue of events, bound by routing keys. It is bounded: a reader that is too slow loses the
    oldest."""

    async def bind(self, *keys: str) -> None:
        """Receives events with these keys from now on: what is published after this returned is not
        missed.

        Raises:
            BusLost: the connection was lost; the subscription is dead.
            BusClosed: the subscription was closed.
        """
        ...

    async def unbind(self, *keys: str) -> None:
        """Receives events with these keys no more. Raises as :meth:`bind` does."""
        ...

    async def take(self) -> Sequence[Message]:
        """Waits for events and takes all that are there; none, if there is only a loss to be told.

        Raises:
            BusLost: the connection was lost; the subscription is dead.
            BusClosed: the subscription was closed.
        """
        ...

    def lost(self) -> bool:
        """Whether events were dropped since this was last asked: ask after every :meth:`take`. A loss may be
        told twice, and is never kept back; what it tells of may have come before events already taken."""
        ...

    async def close(self) -> None:
        """Ends the subscription. Safe to call twice, and when dead."""
        ...


class Bus(Protocol):
    """How services reach each other."""

    @property
    def durable(self) -> bool:
        """Whether what the bus has taken survives the end of every process."""
        ...

    @property
    def connected(self) -> bool:
        """Whether it is connected, as far as it knows."""
        ...

    async def start(self) -> None:
        """Connects, and declares the whole topology. A broker that cannot be reached is waited for.

        Raises:
            SettingsError: the broker refuses us.
        """
        ...

    async def stop(self) -> None:
        """Closes every inbox and subscription. Safe to call twice, and before start."""
        ...

    def send(self, mailbox: str, message: Message) -> Awaitable[None]:
        """Puts a message into a mailbox; done when it is safe. A reply queue that is gone is no error.

        What is sent to one mailbox arrives in the order in which it was sent, events included.

        Raises:
            BusLost: when awaited: the connection was lost, or is away, or the broker did not confirm in time.
            BusClosed: when awaited: the bus was closed.
        """
        ...

    def publish(self, message: Message, *keys: str) -> asyncio.Future[None]:
        """Publishes an event with these routing keys; done when it is safe. Raises as :meth:`send` does.

        Args:
            message: the event.
            keys: mailboxes, which have to take it, and other keys, to which nobody has to listen.
        """
        ...

    async def consume(self, mailbox: str, *, exclusive: bool = False, prefetch: int = 100) -> Inbox:
        """Opens a mailbox for reading, once the bus is connected.

        Args:
            mailbox: its name.
            exclusive: of several such consumers one is active, the others wait.
            prefetch: so many parcels may be on their way to this consumer or unacknowledged; what it holds
                nobody else can take.

        Raises:
            BusLost: the connection was lost, or the broker refuses.
            BusClosed: the bus was closed.
        """
        ...

    async def subscribe(self, *keys: str, limit: int = 10_000) -> Subscription:
        """Opens a subscription to events with these keys, of at most ``limit`` waiting messages, once the bus
        is connected. Raises as :meth:`consume` does."""
        ...

    async def readers(self, mailbox: str) -> int:
        """How many read a mailbox now, all over the world: inboxes that are open and not paused.

        Raises:
            BusLost: the connection was lost, or is away.
            BusClosed: the bus was closed.
        """
        ...

    async def depth(self, mailbox: str) -> int:
        """How much waits in a mailbox, without what was taken from it: messages, or parcels if it has those.

        Raises:
            BusLost: the connection was lost, or is away.
            BusClosed: the bus was closed.
        """
        ...
