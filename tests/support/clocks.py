"""Moving time by hand while something goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from taskpath.runtime.clock import ManualClock

T = TypeVar("T")


async def moving(clock: ManualClock, work: Coroutine[Any, Any, T], step: float = 0.1) -> T:
    """The result of some work for which the clock has to move on.

    Args:
        clock: moved until the work has ended.
        work: what is waited for.
        step: how far it is moved at once, in seconds.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        clock.move(step)
        for _ in range(20):
            await asyncio.sleep(0)  # noqa: TID251  (it does not wait: the loop turns)
    return await task
