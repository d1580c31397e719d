"""Taking work: each queue has an inbox for orders, read while there is room, and one for the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple, Protocol

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Delivery
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.work import ExpandPlan, RunHandler, RunTasks
from taskpath_services.executor.appetite import MOST_PARCELS, Appetite, Workers
from taskpath_services.executor.holding import Held, Line

log = structlog.get_logger("taskpath.executor")

MOST_REQUESTS: Final = 200
"""Likewise of requests, which are taken however busy we are, and acknowledged when they are answered."""
AGAIN_SECONDS: Final = 1.0
"""How long to wait before a mailbox is opened again that the broker refused."""


class Taker(Workers, Protocol):
    """Who gets what was taken."""

    def run(self, message: RunTasks, held: Held, redelivered: bool) -> None:
        """Carries out orders, and settles the message."""
        ...

    def decline(self, message: RunTasks, held: Held) -> None:
        """Returns orders at once."""
        ...

    def expand(self, request: ExpandPlan, queue: str, held: Held) -> None:
        """Calls a generator, and settles the request."""
        ...

    def handle(self, request: RunHandler, queue: str, held: Held) -> None:
        """Calls handlers, and settles the request."""
        ...

    def lost(self) -> None:
        """A connection was lost: what came by it, is not acknowledged and has not begun is another's."""
        ...


class _Source(NamedTuple):
    """A mailbox, and how it is read."""

    mailbox: str
    queue: str
    prefetch: int
    take: Callable[[Line, str], Awaitable[None]]


class Intake(Service):
    """Takes messages from the mailboxes of queues. When a connection is lost, it opens them again.

    Args:
        bus: the bus.
        clock: the time.
        taker: who gets them.
    """

    def __init__(self, bus: Bus, clock: Clock, taker: Taker) -> None:
        super().__init__("intake")
        self._bus = bus
        self._clock = clock
        self._taker = taker
        self._lines: dict[_Source, Line] = {}
        self._queues: set[str] = set()
        self._readers: set[asyncio.Task[None]] = set()

    @property
    def queues(self) -> Iterable[str]:
        """The queues that are served."""
        return self._queues

    async def open(self, queues: Iterable[str]) -> bool:
        """Serves these queues, too; whether any is new."""
        new = [queue for queue in queues if queue not in self._queues]
        self._queues.update(new)
        for queue in new:
            for source in (
                _Source(topology.generator_mailbox(queue), queue, MOST_REQUESTS, self._take_requests),
                _Source(topology.executor_mailbox(queue), queue, MOST_PARCELS, self._take_orders),
            ):
                line = await self._line(source)
                self._readers.add(self.spawn(self._read(source, line), source.mailbox))
        return bool(new)

    async def _line(self, source: _Source) -> Line:
        """Opens a mailbox, once there is a connection."""
        while True:
            try:
                line = Line(await self._bus.consume(source.mailbox, prefetch=source.prefetch))
            except BusLost as error:
                log.warning("no mailbox", mailbox=source.mailbox, reason=str(error))
                await self._clock.sleep(AGAIN_SECONDS)
                continue
            self._lines[source] = line
            return line

    async def _read(self, source: _Source, line: Line | None) -> None:
        try:
            while True:
                try:
                    if line is None:
                        line = await self._line(source)
                    else:
                        await source.take(line, source.queue)
                except BusLost:
                    if line is not None and not line.lost:
                        line.lost = True
                        self._taker.lost()
                    line = None
                except BusClosed:
                    if line is None or not line.lost:
                        raise
                    line = None
        except BusClosed:
            return

    async def renew(self) -> None:
        """A connection was lost, maybe without a reader having noticed: everything is opened again."""
        lines = [line for line in self._lines.values() if not line.lost]
        for line in lines:
            line.lost = True
        self._taker.lost()
        for line in lines:
            await line.inbox.close()

    async def _take_orders(self, line: Line, queue: str) -> None:
        appetite = Appetite(
            self._bus,
            self._clock,
            self._taker,
            topology.executor_mailbox(queue),
            line.inbox,
            lambda delivery: self._pass_on(delivery, line, queue, decline=True),
        )
        while True:
            await appetite.room()
            delivery = await line.inbox.take(appetite.messages)
            appetite.ate(len(delivery.messages), self._pass_on(delivery, line, queue))

    async def _take_requests(self, line: Line, queue: str) -> None:
        while True:
            self._pass_on(await line.inbox.take(), line, queue)

    def _pass_on(self, delivery: Delivery, line: Line, queue: str, *, decline: bool = False) -> int:
        """Passes on what was taken, or declines it; returns how many orders that is."""
        count = 0
        work: list[RunTasks | ExpandPlan | RunHandler] = []
        for message in delivery.messages:
            if isinstance(message, RunTasks) and message.orders:
                count += len(message.orders)
                work.append(message)
            elif isinstance(message, (ExpandPlan, RunHandler)):
                work.append(message)
        if not work:
            delivery.ack()
            return 0
        held = Held(delivery, len(work), line)
        for message in work:
            if isinstance(message, RunTasks) and decline and not delivery.redelivered:
                self._taker.decline(message, held)
            elif isinstance(message, RunTasks):
                self._taker.run(message, held, delivery.redelivered)
            elif isinstance(message, ExpandPlan):
                self._taker.expand(message, queue, held)
            else:
                self._taker.handle(message, queue, held)
        return count

    async def pause(self) -> None:
        """Takes no more; what was taken and is not settled stays taken until :meth:`stop`.

        What the broker has sent already is returned by message: what goes back without having been looked at
        is suspect to whoever gets it next.
        """
        readers = list(self._readers)
        self._readers.clear()
        for reader in readers:
            reader.cancel()
        if readers:
            await asyncio.wait(readers)
            for source, line in list(self._lines.items()):
                with contextlib.suppress(BusLost, BusClosed):
                    for delivery in await line.inbox.pause():
                        self._pass_on(delivery, line, source.queue, decline=True)

    async def on_stop(self) -> None:
        """Gives up the mailboxes: what is not settled goes back."""
        await self.pause()
        for line in self._lines.values():
            await line.inbox.close()
