"""Realms: all instances of one deleted, page by page."""

from __future__ import annotations

import asyncio
from typing import Final

from taskpath.runtime.clock import Clock
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import ListInstances
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.reads import Reads

PAGE: Final = 200
AT_ONCE: Final = 50
PATIENCE_MS: Final = 60_000
"""A call takes no longer; whoever wants more deleted calls again."""


class Realms:
    """Deletes what belongs to a realm.

    Args:
        commands: delete.
        reads: list.
        clock: bounds how long a call takes.
    """

    def __init__(self, commands: Commands, reads: Reads, clock: Clock) -> None:
        self._commands = commands
        self._reads = reads
        self._clock = clock

    async def delete(self, realm: str) -> int:
        """Deletes the instances that a realm has; those that are created meanwhile may stay.

        Returns:
            How many there were.

        Raises:
            TaskpathError: UNAVAILABLE, if they were too many for one call; some are deleted then.
        """
        until = self._clock.now() + PATIENCE_MS
        places = asyncio.Semaphore(AT_ONCE)
        deleted = 0
        cursor: str | None = None
        while True:
            page = await self._reads.instances(ListInstances(realm=realm, limit=PAGE, cursor=cursor))
            deleted += sum(await asyncio.gather(*(self._delete(item.id, places) for item in page.items)))
            cursor = page.next_cursor
            if cursor is None:
                return deleted
            if self._clock.now() > until:
                raise TaskpathError(
                    ErrorCode.UNAVAILABLE,
                    f"{deleted} instances of the realm {realm!r} are deleted and more are left; call again.",
                )

    async def _delete(self, instance: str, places: asyncio.Semaphore) -> bool:
        async with places:
            try:
                await self._commands.delete(instance)
            except TaskpathError as error:
                if error.code is ErrorCode.UNKNOWN_INSTANCE:
                    return False  # somebody else was faster, or it was ephemeral and has ended
                raise
        return True
