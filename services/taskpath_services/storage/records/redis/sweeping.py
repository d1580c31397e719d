"""Removing what is left of deleted instances, a few hundred tasks at a time.

An instance is gone for everyone once its own record is; its tasks are found no more. With the same write its
id comes into the trash, and its tasks are removed in steps that hold up nobody for long. If the process dies,
the next one goes on.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.redis.connection import Connection, script
from taskpath_services.storage.records.redis.keys import Keys

log = structlog.get_logger("taskpath.storage")

PATHS: Final = 300
"""Paths that are removed at once."""

STEPS_AT_ONCE: Final = 4
"""A commit makes so many steps itself; the rest of a larger tree goes in the background."""

FORGOTTEN: Final = 100
"""Tombstones that are removed at once."""

_SWEEP: Final = script("sweep")
_FORGET: Final = script("forget")


class Sweeping:
    """Removes what is left of deleted instances.

    Args:
        connection: to Redis.
        keys: of the store.
    """

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._running: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stops; what is left is gone on with after the next start."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    async def sweep(self, id: str) -> None:
        """Removes all that is left of an instance."""
        while await self._connection.run(_SWEEP, id, PATHS):
            pass

    async def begin(self, id: str) -> None:
        """Removes what is left of an instance if it is little, and goes on by itself if it is much."""
        for _ in range(STEPS_AT_ONCE):
            if not await self._connection.run(_SWEEP, id, PATHS):
                return
        self.resume()

    def resume(self) -> None:
        """Goes on by itself with everything that is to be removed."""
        if self._running is None or self._running.done():
            loop = asyncio.get_running_loop()
            self._running = loop.create_task(self._sweep_all(), name="sweeping")

    async def forget(self, before: int) -> bool:
        """Forgets some of those that were deleted up to a time, in ms since epoch; whether there were any."""
        ids = await self._connection.run(_FORGET, before, FORGOTTEN)
        for id in ids:
            await self.begin(id.decode())
        return bool(ids)

    async def _sweep_all(self) -> None:
        try:
            (ids,) = await self._connection.ask(("SMEMBERS", self._keys.trash))
            while ids:
                for id in ids:
                    await self.sweep(id.decode())
                (ids,) = await self._connection.ask(("SMEMBERS", self._keys.trash))
        except StoreUnavailable as error:
            log.warning("sweeping interrupted", reason=str(error))
