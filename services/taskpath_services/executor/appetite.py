"""Appetite: how much is taken of a mailbox, so that an idle executor finds what a busy one could not begin.

A broker is asked for as many parcels at once as there are free workers for their orders, or as are done in a
moment. When there is no room, and that does not pass in a moment, nothing more is to be sent; what had been
sent already is returned.

Orders that came in a parcel with others, and find no worker, wait here. If the mailbox is empty meanwhile,
and somebody else reads it, who therefore has room, those that would not begin within a second are returned.
If it is not empty, everybody is busy; then a little more may be taken, as it may be of a kind for which there
are workers here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from taskpath.runtime.bus import Bus, BusLost, Delivery, Inbox
from taskpath.runtime.clock import Clock

MOST_PARCELS: Final = 8
"""How many parcels a broker sends at most before the first of them is acknowledged."""
MOST_MESSAGES: Final = 8
"""How many messages are taken at once at most."""
PATIENCE_SECONDS: Final = 0.05
"""If there is no room for so long, nothing more is to be sent. It is less than what was taken is held for."""
FIRST_PROBE_SECONDS: Final = 0.1
PROBE_SECONDS: Final = 1.0
"""How soon, and then how often, it is looked whether the mailbox is empty, while there is no room."""


class Workers(Protocol):
    """Those who carry out orders, as far as their number matters."""

    @property
    def has_room(self) -> bool:
        """Whether there is room for more orders."""
        ...

    @property
    def free(self) -> int:
        """How many more orders could begin at once or in a moment."""
        ...

    @property
    def may_probe(self) -> bool:
        """Whether some orders may be taken although others wait."""
        ...

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when something holds that the end of orders may bring about."""
        ...

    def spare(self) -> bool:
        """Returns orders that wait for a worker; whether there were any."""
        ...


class Appetite:
    """Looks after one mailbox of orders.

    Args:
        bus: the bus.
        clock: the time.
        workers: who carries out the orders.
        mailbox: the mailbox.
        inbox: this executor's end of it, opened for ``MOST_PARCELS``.
        decline: returns what was sent and is not wanted.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        workers: Workers,
        mailbox: str,
        inbox: Inbox,
        decline: Callable[[Delivery], object],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._workers = workers
        self._mailbox = mailbox
        self._inbox = inbox
        self._decline = decline
        self._prefetch = MOST_PARCELS
        self._per_message = self._per_parcel = 1

    def ate(self, messages: int, orders: int) -> None:
        """Takes note of what was taken."""
        self._per_message = max(1, orders // messages)
        # Of several parcels it is not known which orders came with which; then one counts for a message.
        self._per_parcel = max(1, orders if self._prefetch == 1 else self._per_message)

    @property
    def messages(self) -> int:
        """How many messages are to be taken at once."""
        return max(1, min(MOST_MESSAGES, self._workers.free // self._per_message))

    @property
    def parcels(self) -> int:
        """How many parcels are to be on their way at once."""
        return max(1, min(MOST_PARCELS, self._workers.free // self._per_parcel))

    async def room(self) -> None:
        """Returns when more is to be taken.

        Raises:
            BusLost: the connection was lost.
            BusClosed: the inbox was closed.
        """
        workers = self._workers
        if workers.has_room:
            if self.parcels >= 2 * self._prefetch:
                await self._ask_for(self.parcels)
            return
        if await self._within(PATIENCE_SECONDS, lambda: workers.has_room):
            return
        await self._pause()
        if self._bus.durable:
            await self._wait()
        else:
            await workers.until(lambda: workers.has_room)
        await self._ask_for(self.parcels)

    async def _pause(self) -> None:
        for delivery in await self._inbox.pause():
            self._decline(delivery)

    async def _ask_for(self, parcels: int) -> None:
        await self._pause()
        self._prefetch = parcels
        await self._inbox.resume(prefetch=parcels)

    async def _wait(self) -> None:
        """Waits for room; for a worker, if what waited here was returned; or for work that nobody takes."""
        workers, spared, probe = self._workers, False, FIRST_PROBE_SECONDS
        while True:
            enough = _has_worker(workers) if spared else _has_room(workers)
            if await self._within(probe, enough):
                return
            try:
                empty = await self._bus.depth(self._mailbox) == 0
                taken = empty and await self._bus.readers(self._mailbox) > 0
            except BusLost:
                continue
            if enough():
                return
            if not empty and workers.may_probe and probe == PROBE_SECONDS:
                return
            if taken and workers.spare():
                spared = True
            probe = PROBE_SECONDS

    async def _within(self, seconds: float, condition: Callable[[], bool]) -> bool:
        """Whether something holds within so many seconds."""
        holds = asyncio.ensure_future(self._workers.until(condition))
        limit = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((holds, limit), return_when=asyncio.FIRST_COMPLETED)
            return holds.done()
        finally:
            holds.cancel()
            limit.cancel()


def _has_room(workers: Workers) -> Callable[[], bool]:
    return lambda: workers.has_room


def _has_worker(workers: Workers) -> Callable[[], bool]:
    return lambda: workers.has_room and workers.free > 0
