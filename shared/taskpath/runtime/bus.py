"""The bus contract: how messages travel between services.

A *mailbox* is a named queue. Work in a mailbox is never lost while the bus lives: what was taken and not
acknowledged comes back, marked as redelivered. ``publish`` puts an event on the exchange ``events``: it
reaches every mailbox whose name is among its routing keys, and every subscription bound to one of them.

What ``send`` and ``publish`` return is done when the message is *safe*. On a durable bus that is when the
broker has it. A bus that is not durable cannot promise that, so its ``publish`` is safe only when the
mailboxes it reached have acknowledged the event (storage has committed it), and subscribers see it after
that. The order in which an owner lets its effects out follows from :attr:`Bus.durable`; nothing else does.

Messages are values: whoever sends one does not change it afterwards, whoever receives one never does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from taskpath_proto.codec import Message


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
        """Whether any of them may have been delivered before."""
        ...

    def ack(self) -> None:
        """Says that they have been dealt with. On a closed inbox it does nothing: they come back."""
        ...


class Inbox(Protocol):
    """A consumer's end of a mailbox."""

    async def take(self, most: int | None = None) -> Delivery:
        """Waits for messages and takes what is there, at most ``most`` messages (a larger parcel is not cut).

        Raises:
            BusClosed: the inbox was closed.
        """
        ...

    async def close(self) -> None:
        """Gives up the mailbox; what was not acknowledged goes back to it. Safe to call twice."""
        ...


class Subscription(Protocol):
    """A volatile queue of events, bound by routing keys. It is bounded: a reader that is too slow loses the
    oldest."""

    async def bind(self, *keys: str) -> None:
        """Receives events with these keys from now on: what is published after this returned is not
        missed."""
        ...

    async def unbind(self, *keys: str) -> None:
        """Receives events with these keys no more."""
        ...

    async def take(self) -> Sequence[Message]:
        """Waits for events and takes all that are there.

        Raises:
            BusClosed: the subscription was closed.
        """
        ...

    def lost(self) -> bool:
        """Whether events were dropped since this was last asked."""
        ...

    async def close(self) -> None:
        """Ends the subscription. Safe to call twice."""
        ...


class Bus(Protocol):
    """How services reach each other."""

    @property
    def durable(self) -> bool:
        """Whether what the bus has taken survives the end of every process."""
        ...

    async def start(self) -> None:
        """Connects, and declares the whole topology."""
        ...

    async def stop(self) -> None:
        """Closes every inbox and subscription. Safe to call twice, and before start."""
        ...

    def send(self, mailbox: str, message: Message) -> Awaitable[None]:
        """Puts a message into a mailbox; done when it is safe. A reply queue that is gone is no error."""
        ...

    def publish(self, message: Message, *keys: str) -> asyncio.Future[None]:
        """Publishes an event with these routing keys; done when it is safe."""
        ...

    async def consume(self, mailbox: str, *, exclusive: bool = False) -> Inbox:
        """Opens a mailbox for reading. Of several exclusive consumers one is active, the others wait."""
        ...

    async def subscribe(self, *keys: str, limit: int = 10_000) -> Subscription:
        """Opens a subscription to events with these keys, of at most ``limit`` waiting messages."""
        ...
