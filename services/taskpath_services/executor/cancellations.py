"""Hearing what is said to all executors: which attempts are not wanted any more, and who wants to know us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Subscription
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.events import AnnounceYourself
from taskpath_proto.work import CancelAttempts, WhatIsHeld
from taskpath_services.executor.intake import AGAIN_SECONDS

log = structlog.get_logger("taskpath.executor")


class Cancellations(Service):
    """Hears cancellations, and tells when some may have been missed.

    Args:
        bus: the bus.
        clock: the time.
        cancel: called with each.
        announce: called when somebody has come who has not heard of any executor yet.
        tell: called when an owner wants to know what is here.
        lost: called when the connection was lost.
        missed: called when cancellations may have been missed, and will not be from now on.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        cancel: Callable[[CancelAttempts], None],
        announce: Callable[[], Awaitable[None]],
        tell: Callable[[WhatIsHeld], None],
        lost: Callable[[], Awaitable[None]],
        missed: Callable[[], None],
    ) -> None:
        super().__init__("cancellations")
        self._bus = bus
        self._clock = clock
        self._cancel = cancel
        self._announce = announce
        self._tell = tell
        self._connection_lost = lost
        self._missed = missed
        self._subscription: Subscription | None = None

    async def on_start(self) -> None:
        """Listens."""
        self.spawn(self._listen(await self._open()), "listen")

    async def on_stop(self) -> None:
        """Listens no more."""
        if self._subscription is not None:
            await self._subscription.close()

    async def _open(self) -> Subscription:
        while True:
            try:
                subscription = self._subscription = await self._bus.subscribe(topology.EXECUTORS)
            except BusLost as error:
                log.warning("cancellations are not heard", reason=str(error))
                await self._clock.sleep(AGAIN_SECONDS)
                continue
            return subscription

    async def _listen(self, subscription: Subscription) -> None:
        try:
            while True:
                try:
                    await self._hear(subscription)
                except BusLost:
                    await self._connection_lost()
                    await subscription.close()
                    subscription = await self._open()
                    self._missed()
        except BusClosed:
            return

    async def _hear(self, subscription: Subscription) -> None:
        while True:
            for message in await subscription.take():
                if isinstance(message, CancelAttempts):
                    self._cancel(message)
                elif isinstance(message, WhatIsHeld):
                    self._tell(message)
                elif isinstance(message, AnnounceYourself):
                    await self._announce()
            if subscription.lost():
                self._missed()
