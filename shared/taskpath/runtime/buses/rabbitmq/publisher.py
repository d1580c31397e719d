"""Sending: for each mailbox a lane, on which one parcel at a time waits for its confirm.

What is sent meanwhile makes up the next parcel. There is no timer, so a lone message waits for nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog
from aiormq import Channel, Connection, DeliveryError
from pamqp.commands import Basic
from pamqp.common import FieldTable, FieldValue

from taskpath.runtime.bus import BusClosed, BusLost, Undelivered
from taskpath.runtime.buses.rabbitmq import fragments
from taskpath.runtime.buses.rabbitmq.address import Address
from taskpath.runtime.buses.rabbitmq.declaring import Declaring, Names
from taskpath.runtime.buses.rabbitmq.link import Link, Silent, asked
from taskpath.runtime.buses.rabbitmq.parcels import Item, Parcel, cut, lane_of
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.codec import Message, encode_message

log = structlog.get_logger("taskpath.bus")

CONFIRM_SECONDS: Final = 10.0
"""How long a confirm is waited for. Then the connection is given up."""

FLUSH_SECONDS: Final = 5.0
"""How long what was sent may take to go out when the bus is closed."""

MOST_MESSAGE: Final = 16 * 1024 * 1024
"""The size of the largest message to a mailbox, in bytes: what a broker takes by default."""

MOST_ANSWER: Final = 256 * 1024 * 1024
"""The size of the largest message to a volatile queue, which goes in fragments."""

_VOLATILE: Final = 1
_PERSISTENT: Final = 2


class _Lane:
    """What waits for one mailbox."""

    __slots__ = ("name", "running", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Item] = deque()
        self.running: asyncio.Task[None] | None = None


class Publisher(Service):
    """Sends messages and publishes events, on a connection of its own.

    Args:
        address: of the broker.
        names: what things are called there.
        name: of the service.
        heartbeat: in seconds.
        partitions: whose mailboxes are declared.
        confirm: how long a confirm is waited for, in seconds.
    """

    def __init__(
        self,
        address: Address,
        names: Names,
        name: str,
        heartbeat: int,
        partitions: int,
        confirm: float = CONFIRM_SECONDS,
    ) -> None:
        super().__init__(f"publisher of {name}")
        self._names = names
        self._partitions = partitions
        self._confirm = confirm
        self._link = Link(address, f"{name} publishes", heartbeat, self._prepare, self._lost)
        self._lanes: dict[str, _Lane] = {}
        self._numbers = itertools.count(1)
        self._id = uuid.uuid4().hex
        self._declaring: Declaring | None = None
        self._channel: Channel | None = None

    @property
    def connected(self) -> bool:
        """Whether it can send."""
        return self._channel is not None

    async def on_start(self) -> None:
        """Connects and declares. Raises as :meth:`Link.on_start` does."""
        await self._link.start()

    async def on_stop(self) -> None:
        """Lets what was sent go out, as far as that takes no more than a moment."""
        running = [lane.running for lane in self._lanes.values() if lane.running is not None]
        if running and self.connected:
            await asyncio.wait(running, timeout=FLUSH_SECONDS)
        await self._link.stop()
        running = [lane.running for lane in self._lanes.values() if lane.running is not None]
        for sending in running:
            sending.cancel()
        if running:
            await asyncio.wait(running)
        for lane in self._lanes.values():  # of those that had not begun
            _fail(lane.waiting, BusClosed("the bus was closed"))

    def send(self, mailbox: str, message: Message) -> asyncio.Future[None]:
        """Puts a message into a mailbox."""
        return self._put(mailbox, message, None)

    def publish(self, message: Message, keys: tuple[str, ...]) -> asyncio.Future[None]:
        """Publishes an event."""
        return self._put(lane_of(keys), message, keys)

    def _put(self, name: str, message: Message, keys: tuple[str, ...] | None) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.ready:
            return _failed(done, BusClosed("the bus was closed"))
        if self._channel is None:
            return _failed(done, BusLost("there is no connection to the broker"))
        data = encode_message(message)
        most = MOST_ANSWER if topology.is_reply_queue(name) else MOST_MESSAGE
        if len(data) > most:
            kind = type(message).__name__
            return _failed(done, ValueError(f"a {kind} of {len(data)} bytes is larger than {most}"))
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name)
        lane.waiting.append(Item(data, keys, done))
        if lane.running is None:
            lane.running = asyncio.get_running_loop().create_task(self._run(lane))
        return done

    async def _run(self, lane: _Lane) -> None:
        """Sends what waits on a lane, parcel by parcel."""
        items: Sequence[Item] = ()
        try:
            while lane.waiting:
                parcel = cut(lane.waiting)
                items = parcel.items
                await self._deliver(lane.name, parcel)
                for item in items:
                    if not item.done.done():
                        item.done.set_result(None)
        except BusLost as error:
            _fail(items, error)
            _fail(lane.waiting, error)
        except asyncio.CancelledError:
            _fail(items, BusClosed("the bus was closed"))
            _fail(lane.waiting, BusClosed("the bus was closed"))
            raise
        except Exception as error:
            log.error("message cannot be sent", mailbox=lane.name, exc_info=error)
            _fail(items, error)
            _fail(lane.waiting, error)
        finally:
            lane.waiting.clear()
            del self._lanes[lane.name]

    async def _deliver(self, name: str, parcel: Parcel) -> None:
        channel, declaring = self._channel, self._declaring
        if channel is None or declaring is None:
            raise BusLost("there is no connection to the broker")
        kept = topology.is_mailbox(name)
        needed = kept or name == topology.QUERIES
        exchange, key = "", name
        headers: FieldTable | None = None
        if parcel.keys is None:
            key = self._names.queue(name)
        else:
            exchange = self._names.exchange
            others = [other for other in parcel.keys if other != name]
            if others:
                # Like CC, but the broker takes it off again, and readers need not decode it.
                headers = {"BCC": list[FieldValue](others)}
        body = parcel.take_body()
        parts = fragments.count(body) if topology.is_reply_queue(name) else 1
        try:
            if needed:
                await declaring.mailbox(name)
            if parts == 1:
                await self._publish(channel, body, exchange, key, kept, needed, headers)
                return
            whole = f"{self._id}.{next(self._numbers)}"
            for part, fragment in enumerate(fragments.split(body)):
                headers = {fragments.PART: part, fragments.PARTS: parts}
                await self._publish(channel, bytes(fragment), "", key, False, False, headers, whole)
        except BusLost as error:
            if isinstance(error.__cause__, DeliveryError):
                declaring.forget(name)
                log.error("undelivered", mailbox=name, messages=len(parcel.items))
                raise Undelivered(f"the broker did not deliver a parcel to {name}") from None
            if isinstance(error, Silent):
                # It may still arrive, and what comes after it must not pass it.
                self._link.drop(channel.connection, f"{name}: {error}")
            raise

    async def _publish(
        self,
        channel: Channel,
        body: bytes,
        exchange: str,
        key: str,
        persistent: bool,
        mandatory: bool,
        headers: FieldTable | None,
        whole: str | None = None,
    ) -> None:
        properties = Basic.Properties(
            delivery_mode=_PERSISTENT if persistent else _VOLATILE,
            message_id=str(next(self._numbers)),  # by which the client knows what was returned
            headers=headers,
            correlation_id=whole,
        )
        publishing = channel.basic_publish(
            body,
            exchange=exchange,
            routing_key=key,
            properties=properties,
            mandatory=mandatory,
            timeout=self._confirm,
            wait=False,
        )
        await asked(publishing, None)

    async def _prepare(self, connection: Connection) -> None:
        declaring = Declaring(connection, self._names)
        await declaring.everything(self._partitions)
        channel = await asked(connection.channel(publisher_confirms=True))
        assert isinstance(channel, Channel)
        # The broker closes a channel when something on it is wrong for good; a new connection is the way out.
        channel.closing.add_done_callback(lambda _: self._link.drop(connection, "its channel was closed"))
        self._declaring, self._channel = declaring, channel

    def _lost(self) -> None:
        self._channel = self._declaring = None


def _fail(items: Sequence[Item] | deque[Item], error: Exception) -> None:
    for item in items:
        if not item.done.done():
            _failed(item.done, error)


def _failed(done: asyncio.Future[None], error: Exception) -> asyncio.Future[None]:
    """Whoever does not wait for what it sent has chosen not to know."""
    done.set_exception(error)
    done.exception()
    return done
