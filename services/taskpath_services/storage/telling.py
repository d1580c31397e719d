"""Telling gateways that the index has changed, so that they read the lists again that somebody watches."""

from __future__ import annotations

import asyncio
from typing import Final

from taskpath.runtime.bus import Bus, BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.events import IndexChanged

INTERVAL: Final = 0.125
"""Seconds between two tellings. The first after quiet is not delayed."""

AGAIN: Final = 1.0
"""Seconds until it is told again what the broker did not take."""


class Telling(Service):
    """Tells it, not more often than is of use.

    It is told once at the start, too: who was here before may have ended between a change and the telling.

    Args:
        bus: where it is told.
        clock: for the interval.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        super().__init__("storage telling")
        self._bus = bus
        self._clock = clock
        self._due = asyncio.Event()
        self._due.set()

    async def on_start(self) -> None:
        """Begins to tell."""
        self.spawn(self._tell(), "tell")

    def changed(self) -> None:
        """The index has changed."""
        self._due.set()

    async def _tell(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._bus.publish(IndexChanged(), topology.INDEX)
            except BusLost:
                self._due.set()
                await self._clock.sleep(AGAIN)
            except BusClosed:
                return
            else:
                await self._clock.sleep(INTERVAL)
