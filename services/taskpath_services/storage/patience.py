"""Patience with a store that is away: what is to be committed is tried again until it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from taskpath.runtime.clock import Clock
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.waiting import first_of

T = TypeVar("T")

log = structlog.get_logger("taskpath.storage")

FIRST_DELAY: Final = 0.1
LAST_DELAY: Final = 5.0
"""Seconds between two tries while a store is away; the delay doubles from the first to the last."""


class Patience:
    """Tries again, until it is used up.

    Args:
        clock: for the delays between tries.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used_up = asyncio.Event()

    def end(self) -> None:
        """From now on a store that is away is not waited for."""
        self._used_up.set()

    async def until_done(self, store: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What an attempt gives when it succeeds.

        Args:
            store: what it is called in the log.
            attempt: is made again as long as the store is unavailable.

        Raises:
            StoreUnavailable: only when the patience has ended.
        """
        delay = FIRST_DELAY
        while True:
            try:
                return await attempt()
            except StoreUnavailable as error:
                if self._used_up.is_set():
                    raise
                log.error("store unavailable", store=store, reason=str(error), retry_in=delay)
            await first_of(self._clock.sleep(delay), self._used_up.wait())
            delay = min(delay * 2, LAST_DELAY)
