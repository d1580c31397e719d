"""Time, as an argument.

Decisions take ``now`` as a number. What waits, waits on a :class:`Clock`, so that a test moves time by hand.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Where a service takes the time from."""

    def now(self) -> int:
        """The time in ms since epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """The time in ms since epoch."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Returns after that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until it is moved.

    Args:
        now: where it starts, ms since epoch.
    """

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> int:
        """The time in ms since epoch."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Returns when the clock was moved that far."""
        self._count += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + round(seconds * 1000), self._count, woken))
        await woken

    def move(self, seconds: float) -> None:
        """Moves the clock, and wakes whoever has slept long enough."""
        self._now += round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)
