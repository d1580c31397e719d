"""The bus of one process: mailboxes are lists, and messages are passed as they are.

It is not durable. An event published to a mailbox is safe, and seen by subscribers, when the mailbox's
consumer has acknowledged it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath_proto import topology
from taskpath_proto.codec import Message

LOST: Final = "the connection was lost"
AWAY: Final = "there is no connection"


class _Publication:
    """An event on its way: the mailboxes that have not acknowledged it yet, then its subscribers."""

    __slots__ = ("keys", "message", "pending", "safe")

    def __init__(
        self, message: Message, keys: Sequence[str], pending: int, safe: asyncio.Future[None]
    ) -> None:
        self.message = message
        self.keys = keys
        self.pending = pending
        self.safe = safe


class _Queue:
    """A mailbox: what waits in it, and who may take from it."""

    __slots__ = ("active", "consumers", "exclusive", "name", "redelivered", "waiting", "wake")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[tuple[Message, _Publication | None]] = deque()
        self.redelivered = 0
        self.exclusive = False
        self.active: MemoryInbox | None = None
        self.consumers: list[MemoryInbox] = []
        self.wake: deque[asyncio.Future[None]] = deque()

    def notify(self) -> None:
        while self.wake:
            waiter = self.wake.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def notify_all(self) -> None:
        while self.wake:
            waiter = self.wake.popleft()
            if not waiter.done():
                waiter.set_result(None)


class MemoryDelivery:
    """Messages taken from a mailbox together."""

    __slots__ = ("_entries", "_inbox", "messages", "redelivered")

    def __init__(
        self, inbox: MemoryInbox, entries: list[tuple[Message, _Publication | None]], redelivered: bool
    ) -> None:
        self._inbox = inbox
        self._entries = entries
        self.messages: Sequence[Message] = [message for message, _ in entries]
        self.redelivered = redelivered

    def ack(self) -> None:
        """Says that they have been dealt with."""
        self._inbox.acknowledge(self, self._entries)


class MemoryInbox:
    """A consumer's end of a mailbox."""

    def __init__(self, bus: MemoryBus, queue: _Queue, exclusive: bool) -> None:
        self._bus = bus
        self._queue = queue
        self._exclusive = exclusive
        self.paused = False
        self._closed = False
        self._lost = False
        self._unacknowledged: dict[MemoryDelivery, list[tuple[Message, _Publication | None]]] = {}

    async def take(self, most: int | None = None) -> MemoryDelivery:
        """Waits for messages and takes what is there, at most ``most``."""
        queue = self._queue
        while True:
            self._check()
            if queue.waiting and (not queue.exclusive or queue.active is self):
                break
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            queue.wake.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    queue.notify()
                raise
        count = len(queue.waiting) if most is None else min(most, len(queue.waiting))
        redelivered = queue.redelivered > 0
        queue.redelivered = max(0, queue.redelivered - count)
        if count == len(queue.waiting):
            entries = list(queue.waiting)
            queue.waiting.clear()
        else:
            entries = [queue.waiting.popleft() for _ in range(count)]
            queue.notify()
        delivery = MemoryDelivery(self, entries, redelivered)
        self._unacknowledged[delivery] = entries
        return delivery

    async def pause(self) -> Sequence[MemoryDelivery]:
        """Nothing is fetched before it is taken, so there is nothing to be given."""
        self._check()
        self.paused = True
        return ()

    async def resume(self, prefetch: int) -> None:
        """Counts as a reader again."""
        self._check()
        self.paused = False

    def _check(self) -> None:
        if self._lost:
            raise BusLost(LOST)
        if self._closed:
            raise BusClosed(f"the mailbox {self._queue.name} was closed")

    def acknowledge(
        self, delivery: MemoryDelivery, entries: list[tuple[Message, _Publication | None]]
    ) -> None:
        """Ends a delivery; events that no mailbox waits for any more become safe, in order."""
        if self._unacknowledged.pop(delivery, None) is None:
            return
        for _, publication in entries:
            if publication is not None:
                publication.pending -= 1
                if publication.pending == 0:
                    self._bus.settle(publication)

    async def close(self) -> None:
        """Gives up the mailbox; what was not acknowledged goes back to it, in its old order."""
        if self._closed:
            return
        self._closed = True
        queue = self._queue
        for entries in reversed(list(self._unacknowledged.values())):
            queue.waiting.extendleft(reversed(entries))
            queue.redelivered += len(entries)
        self._unacknowledged.clear()
        queue.consumers.remove(self)
        if queue.active is self:
            queue.active = next((other for other in queue.consumers if other._exclusive), None)
        queue.notify_all()
        self._bus.forget(self, queue.name if topology.is_reply_queue(queue.name) else None)

    async def lose(self) -> None:
        """The connection is gone: as far as the mailbox is concerned, it was closed."""
        self._lost = True
        await self.close()


class MemorySubscription:
    """A bounded queue of events, bound by routing keys."""

    def __init__(self, bus: MemoryBus, limit: int) -> None:
        self._bus = bus
        self._events: deque[Message] = deque(maxlen=limit)
        self._keys: set[str] = set()
        self._dropped = False
        self._closed = False
        self._lost = False
        self._waiter: asyncio.Future[None] | None = None

    async def bind(self, *keys: str) -> None:
        """Receives events with these keys from now on."""
        self._check()
        self._keys.update(keys)
        for key in keys:
            self._bus.bindings.setdefault(key, {})[self] = None

    async def unbind(self, *keys: str) -> None:
        """Receives events with these keys no more."""
        self._check()
        self._unbind(*keys)

    def _unbind(self, *keys: str) -> None:
        self._keys.difference_update(keys)
        for key in keys:
            bound = self._bus.bindings.get(key)
            if bound is not None:
                bound.pop(self, None)
                if not bound:
                    del self._bus.bindings[key]

    def put(self, message: Message) -> None:
        """Adds an event; the oldest goes if there is no room."""
        if len(self._events) == self._events.maxlen:
            self._dropped = True
        self._events.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> Sequence[Message]:
        """Waits for events and takes all that are there."""
        while not self._events:
            self._check()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        events = list(self._events)
        self._events.clear()
        return events

    def lost(self) -> bool:
        """Whether events were dropped since this was last asked."""
        dropped, self._dropped = self._dropped, False
        return dropped

    def _check(self) -> None:
        if self._lost:
            raise BusLost(LOST)
        if self._closed:
            raise BusClosed("the subscription was closed")

    def lose(self) -> None:
        """The connection is gone."""
        self._lost = True
        self._events.clear()
        self._end()

    async def close(self) -> None:
        """Ends the subscription."""
        self._end()

    def _end(self) -> None:
        self._unbind(*self._keys)
        self._closed = True
        self._bus.subscriptions.discard(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class MemoryBus:
    """All services in one process.

    For tests it can lose its connection: :meth:`lose` and :meth:`restore`.
    """

    durable = False

    def __init__(self) -> None:
        self.bindings: dict[str, dict[MemorySubscription, None]] = {}
        self.subscriptions: set[MemorySubscription] = set()
        self._queues: dict[str, _Queue] = {}
        self._inboxes: set[MemoryInbox] = set()
        self._closed = False
        self._there = asyncio.Event()
        self._there.set()

    @property
    def connected(self) -> bool:
        """Whether it is connected: always, unless a test says otherwise."""
        return not self._closed and self._there.is_set()

    async def start(self) -> None:
        """Nothing has to be declared."""

    async def stop(self) -> None:
        """Closes every inbox and subscription; what was published and is not safe will never be."""
        self._closed = True
        self._there.set()
        for inbox in list(self._inboxes):
            await inbox.close()
        for subscription in list(self.subscriptions):
            await subscription.close()
        for queue in self._queues.values():
            for _, publication in queue.waiting:
                if publication is not None and not publication.safe.done():
                    publication.safe.set_exception(BusClosed("the bus was closed before the event was safe"))
                    publication.safe.exception()

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue(name)
        return queue

    def send(self, mailbox: str, message: Message) -> asyncio.Future[None]:
        """Puts a message into a mailbox."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._unsendable(done):
            pass
        elif topology.is_reply_queue(mailbox) and mailbox not in self._queues:
            done.set_result(None)
        else:
            queue = self._queue(mailbox)
            queue.waiting.append((message, None))
            if queue.wake:
                queue.notify_all() if queue.exclusive else queue.notify()
            done.set_result(None)
        return done

    def publish(self, message: Message, *keys: str) -> asyncio.Future[None]:
        """Publishes an event with these routing keys."""
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._unsendable(safe):
            return safe
        mailboxes = [self._queue(key) for key in keys if topology.is_mailbox(key)]
        publication = _Publication(message, keys, len(mailboxes), safe)
        if not mailboxes:
            self.settle(publication)
            return safe
        for queue in mailboxes:
            queue.waiting.append((message, publication))
            queue.notify_all() if queue.exclusive else queue.notify()
        return safe

    def _unsendable(self, done: asyncio.Future[None]) -> bool:
        if self.connected:
            return False
        done.set_exception(BusClosed("the bus was closed") if self._closed else BusLost(AWAY))
        done.exception()
        return True

    async def lose(self) -> None:
        """The connection is lost, as it may be to a broker: every end is dead, and what was taken goes back.

        What was published and is not safe yet may or may not have arrived: here it has, but the publisher
        cannot know.
        """
        self._there.clear()
        for inbox in list(self._inboxes):
            await inbox.lose()
        for subscription in list(self.subscriptions):
            subscription.lose()
        for queue in self._queues.values():
            for _, publication in queue.waiting:
                if publication is not None and not publication.safe.done():
                    publication.safe.set_exception(BusLost(LOST))
                    publication.safe.exception()

    def restore(self) -> None:
        """It is connected again."""
        self._there.set()

    def settle(self, publication: _Publication) -> None:
        """The event is safe: its subscribers see it."""
        bindings = self.bindings
        reached: set[MemorySubscription] = set()
        for key in publication.keys:
            for subscription in bindings.get(key, ()):
                if subscription not in reached:
                    reached.add(subscription)
                    subscription.put(publication.message)
        if not publication.safe.done():
            publication.safe.set_result(None)

    def forget(self, inbox: MemoryInbox, reply_queue: str | None) -> None:
        """An inbox was closed; a reply queue goes with its only reader."""
        self._inboxes.discard(inbox)
        if reply_queue is not None:
            self._queues.pop(reply_queue, None)

    async def consume(self, mailbox: str, *, exclusive: bool = False, prefetch: int = 100) -> MemoryInbox:
        """Opens a mailbox for reading; nothing is fetched before it is taken."""
        await self._there.wait()
        if self._closed:
            raise BusClosed("the bus was closed")
        queue = self._queue(mailbox)
        queue.exclusive = queue.exclusive or exclusive
        inbox = MemoryInbox(self, queue, exclusive)
        queue.consumers.append(inbox)
        if exclusive and queue.active is None:
            queue.active = inbox
        self._inboxes.add(inbox)
        return inbox

    async def subscribe(self, *keys: str, limit: int = 10_000) -> MemorySubscription:
        """Opens a subscription to events with these keys."""
        await self._there.wait()
        if self._closed:
            raise BusClosed("the bus was closed")
        subscription = MemorySubscription(self, limit)
        self.subscriptions.add(subscription)
        await subscription.bind(*keys)
        return subscription

    async def depth(self, mailbox: str) -> int:
        """How many messages wait in a mailbox."""
        queue = self._existing(mailbox)
        return len(queue.waiting) if queue is not None else 0

    async def readers(self, mailbox: str) -> int:
        """How many read a mailbox and have not paused."""
        queue = self._existing(mailbox)
        return sum(not inbox.paused for inbox in queue.consumers) if queue is not None else 0

    def _existing(self, mailbox: str) -> _Queue | None:
        if not self.connected:
            raise BusClosed("the bus was closed") if self._closed else BusLost(AWAY)
        return self._queues.get(mailbox)
