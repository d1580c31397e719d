"""Taking work: each queue has an inbox for orders, read while there is room, and one for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from taskpath.runtime.bus import Bus, BusClosed, Inbox
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.work import ExpandPlan, RunHandler, RunTasks
from taskpath_services.executor.reports import Held

MOST: Final = 8
"""How many messages are taken at once. What is taken here nobody else can run."""


class Intake(Service):
    """Takes messages from the mailboxes of queues.

    Args:
        bus: the bus.
        room: returns when there is room for more work.
        run: carries out orders, and settles each.
        expand: calls a generator, and settles the request.
        handle: calls handlers, and settles the request.
    """

    def __init__(
        self,
        bus: Bus,
        room: Callable[[], Awaitable[None]],
        run: Callable[[RunTasks, Held], None],
        expand: Callable[[ExpandPlan, Held], None],
        handle: Callable[[RunHandler, Held], None],
    ) -> None:
        super().__init__("intake")
        self._bus = bus
        self._room = room
        self._run = run
        self._expand = expand
        self._handle = handle
        self._inboxes: dict[str, Inbox] = {}
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
            await self._open(topology.generator_mailbox(queue), bounded=False)
            await self._open(topology.executor_mailbox(queue), bounded=True)
        return bool(new)

    async def _open(self, mailbox: str, *, bounded: bool) -> None:
        inbox = self._inboxes[mailbox] = await self._bus.consume(mailbox)
        self._readers.add(self.spawn(self._take(inbox, bounded=bounded), mailbox))

    async def _take(self, inbox: Inbox, *, bounded: bool) -> None:
        try:
            while True:
                if bounded:
                    await self._room()
                delivery = await inbox.take(MOST)
                orders = 0
                work: list[RunTasks | ExpandPlan | RunHandler] = []
                for message in delivery.messages:
                    if isinstance(message, RunTasks):
                        orders += len(message.orders)
                        work.append(message)
                    elif isinstance(message, (ExpandPlan, RunHandler)):
                        orders += 1
                        work.append(message)
                if orders == 0:
                    delivery.ack()
                    continue
                held = Held(delivery, orders)
                for message in work:
                    if isinstance(message, RunTasks):
                        self._run(message, held)
                    elif isinstance(message, ExpandPlan):
                        self._expand(message, held)
                    else:
                        self._handle(message, held)
        except BusClosed:
            return

    async def pause(self) -> None:
        """Takes no more; what was taken and is not settled stays taken until :meth:`stop`."""
        for reader in list(self._readers):
            reader.cancel()
        if self._readers:
            await asyncio.wait(list(self._readers))
        self._readers.clear()

    async def on_stop(self) -> None:
        """Gives up the mailboxes: what is not settled goes back."""
        await self.pause()
        for inbox in self._inboxes.values():
            await inbox.close()
