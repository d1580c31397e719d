"""Moving time by hand while something goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from taskpath.runtime.clock import ManualClock

T = TypeVar("T")

_PATIENCE_SECONDS = 10.0


async def moving(clock: ManualClock, work: Awaitable[T], step: float = 0.1) -> T:
    """The result of some work for which the clock has to move on.

    Args:
        clock: moved until the work has ended.
        work: what is waited for.
        step: how far it is moved at once, in seconds.
    """
    task = asyncio.ensure_future(work)
    latest = time.monotonic() + _PATIENCE_SECONDS
    while not task.done():
        assert time.monotonic() < latest, "it did not come about"
        clock.move(step)
        for _ in range(20):
            await asyncio.sleep(0)  # noqa: TID251  (it does not wait: the loop turns)
    return await task
