"""Waiting for something, but no longer than a deadline of the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from taskpath.runtime.clock import Clock

T = TypeVar("T")


class Late(Exception):
    """The deadline passed first."""


async def by(deadline: int, clock: Clock, awaited: Awaitable[T]) -> T:
    """The result of what is awaited.

    Args:
        deadline: ms since epoch.
        clock: which says when that is.
        awaited: is cancelled when the deadline passes.

    Raises:
        Late: the deadline passed first.
    """
    work = asyncio.ensure_future(awaited)
    await first_of(work, clock.sleep(max(0, deadline - clock.now()) / 1000))
    if work.cancelled():
        raise Late
    return work.result()


async def first_of(*awaited: Awaitable[object]) -> None:
    """Waits for the first of several, and cancels the others."""
    tasks = {asyncio.ensure_future(one) for one in awaited}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)
