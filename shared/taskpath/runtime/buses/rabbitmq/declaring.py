"""What is declared at the broker, and how. Nothing else knows the arguments of a queue.

| what | how |
| --- | --- |
| exchange ``events`` | direct, durable |
| mailboxes | durable quorum queues, bound to ``events`` by their own names |
| mailboxes of partitions | likewise, with a single active consumer |
| ``queries`` | durable, but what is in it is volatile: calls that are a minute old wait for nobody |
| reply queues | exclusive, gone with their reader |
| subscriptions | exclusive, bounded, gone with their reader; a queue beside each tells of what was dropped |

What is there already is taken as it is: an operator may have declared it with other arguments.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiormq import ChannelNotFoundEntity, Connection, spec
from aiormq.abc import AbstractChannel

from taskpath.runtime.bus import BusLost
from taskpath.runtime.buses.rabbitmq.link import asked
from taskpath_proto import topology

_QUERY_MILLISECONDS: Final = 60_000
_MOST_QUERIES: Final = 100_000
_SUBSCRIPTION_BYTES: Final = 64 * 1024 * 1024


class Names:
    """What things are called at the broker.

    Args:
        prefix: with what every name begins.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.exchange: Final = f"{prefix}events"

    def queue(self, name: str) -> str:
        """The queue of a mailbox or of anything else."""
        return self._prefix + name


class Declaring:
    """Declares, on one connection, what is not known to be there.

    Args:
        connection: the connection.
        names: what things are called.
    """

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._known: set[str] = set()
        self._lock = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._version = str(connection.server_properties.get("version", ""))

    async def everything(self, partitions: int) -> None:
        """Declares all but the mailboxes of executors, whose names are the authors'.

        Raises:
            BusLost: the connection was lost, or the broker refuses.
        """
        async with self._lock:
            await self._exchange()
        for partition in range(partitions):
            await self.mailbox(topology.scheduler_mailbox(partition))
            await self.mailbox(topology.storage_mailbox(partition))
        await self.mailbox(topology.QUERIES)

    async def mailbox(self, name: str) -> None:
        """Declares a mailbox, unless it has been. Raises as :meth:`everything` does."""
        if name in self._known:
            return
        async with self._lock:
            if name in self._known:
                return
            queue = self._names.queue(name)
            await self._queue(queue, arguments_of(name, self._version))
            if topology.is_mailbox(name):
                channel = await self._open()
                await asked(channel.queue_bind(queue, self._names.exchange, name))
            self._known.add(name)

    def forget(self, name: str) -> None:
        """A mailbox is not there any more."""
        self._known.discard(name)

    async def depth(self, name: str) -> int:
        """How many parcels wait in a mailbox; none if there is no such mailbox."""
        found = await self._look_at(name)
        return (found.message_count or 0) if found is not None else 0

    async def readers(self, name: str) -> int:
        """How many consumers a mailbox has; none if there is no such mailbox."""
        found = await self._look_at(name)
        return (found.consumer_count or 0) if found is not None else 0

    async def _look_at(self, name: str) -> spec.Queue.DeclareOk | None:
        """What the broker says of a mailbox; None if there is no such mailbox."""
        async with self._lock:
            channel = await self._open()
            try:
                return await asked(channel.queue_declare(self._names.queue(name), passive=True))
            except BusLost as error:
                if isinstance(error.__cause__, ChannelNotFoundEntity):
                    return None
                raise

    async def _exchange(self) -> None:
        channel = await self._open()
        try:
            await asked(channel.exchange_declare(self._names.exchange, passive=True))
        except BusLost as error:
            if not isinstance(error.__cause__, ChannelNotFoundEntity):
                raise
            channel = await self._open()
            await asked(channel.exchange_declare(self._names.exchange, exchange_type="direct", durable=True))

    async def _queue(self, queue: str, arguments: dict[str, Any]) -> None:
        channel = await self._open()
        try:
            await asked(channel.queue_declare(queue, passive=True))
        except BusLost as error:
            if not isinstance(error.__cause__, ChannelNotFoundEntity):
                raise
            channel = await self._open()
            await asked(channel.queue_declare(queue, durable=True, arguments=arguments))

    async def _open(self) -> AbstractChannel:
        """A channel: the broker closes one on which something was asked for that is not there."""
        if self._channel is None or self._channel.is_closed:
            self._channel = await asked(self._connection.channel(publisher_confirms=False))
        return self._channel


def arguments_of(name: str, version: str) -> dict[str, Any]:
    """The arguments of a mailbox's queue.

    Args:
        name: of the mailbox.
        version: of the broker, such as ``3.10.8``.
    """
    if name == topology.QUERIES:
        return {"x-message-ttl": _QUERY_MILLISECONDS, "x-max-length": _MOST_QUERIES}
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if topology.has_one_reader(name):
        arguments["x-single-active-consumer"] = True
    major = version.split(".")[0]
    if major.isdigit() and int(major) >= 4:
        # Up to 3.x there is no limit unless one is set, and a negative one is taken for 0.
        arguments["x-delivery-limit"] = -1
    return arguments


async def declare_reply_queue(channel: AbstractChannel, queue: str) -> None:
    """Declares the volatile queue of a caller."""
    await asked(channel.queue_declare(queue, exclusive=True, auto_delete=True))


async def declare_subscription(channel: AbstractChannel, queue: str, losses: str, limit: int) -> None:
    """Declares the bounded queue of a subscriber, and the one that tells of what it has dropped.

    When the first is full, the broker drops its oldest parcel by moving it to the second, which has room for
    one. So whoever reads the second knows of every loss, and no publisher waits for a slow subscriber.
    """
    await asked(
        channel.queue_declare(losses, exclusive=True, auto_delete=True, arguments={"x-max-length": 1})
    )
    await asked(
        channel.queue_declare(
            queue,
            exclusive=True,
            auto_delete=True,
            arguments={
                "x-max-length": limit,
                "x-max-length-bytes": _SUBSCRIPTION_BYTES,
                "x-overflow": "drop-head",
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": losses,
            },
        )
    )
