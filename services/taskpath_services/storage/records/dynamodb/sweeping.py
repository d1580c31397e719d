"""Removing what is left of deleted instances.

An instance is gone for everyone once its own item says so. Its life comes into the trash in the same
transaction, and its tasks are removed afterwards; if the process dies, the next one goes on.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.dynamodb import chunks, keys
from taskpath_services.storage.records.dynamodb.applying import in_parts
from taskpath_services.storage.records.dynamodb.items import int_of
from taskpath_services.storage.records.dynamodb.known import DEAD
from taskpath_services.storage.records.dynamodb.table import Table, bare, gathered, key_of

log = structlog.get_logger("taskpath.storage")

PATHS: Final = 500
"""So many paths of one shard are removed at once."""


class Sweeping:
    """Removes what is left of deleted instances.

    Args:
        table: where.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._running: asyncio.Task[None] | None = None
        self._again = False

    async def close(self) -> None:
        """Stops; what is left is gone on with after the next start."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    def resume(self) -> None:
        """Goes on by itself with everything that is to be removed."""
        self._again = True
        if self._running is None or self._running.done():
            loop = asyncio.get_running_loop()
            self._running = loop.create_task(self._sweep_all(), name="sweeping")

    async def forget(self, before: int) -> list[str]:
        """Forgets those that were deleted up to a time, in ms since epoch, and what came so late that it
        outlived them. Gives their ids."""
        high = f"{before + 1:015d}"
        pages = await gathered(
            [
                self._table.query(keys.tombstones(shard), low="0", high=high, attributes=("id",))
                for shard in range(keys.LISTS)
            ]
        )
        dead = {tombstone["id"]["S"]: key_of(tombstone) for page in pages for tombstone in page}
        await in_parts(list(dead), self._forget)
        await self._table.write_many(deletes=dead.values())
        return list(dead)

    async def _forget(self, id: str) -> None:
        item = await self._table.get(keys.workflow(id))
        if item is None or item["state"]["S"] != DEAD:
            return
        late = keys.life_of(id, int_of(item, "life", 1) + 1)
        if await self._table.get(keys.any_values(late)) is not None:
            await self.sweep(keys.list_of(id), late, 0)
        condition = {
            "ConditionExpression": "#state = :dead",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {":dead": {"S": DEAD}},
        }
        await self._table.update({"Delete": {"Key": bare(keys.workflow(id)), **condition}})

    async def sweep(self, shard: int, life: str, commit: int) -> None:
        """Removes all that is left of a life.

        Args:
            shard: of the trash that it is in.
            life: its name.
            commit: its last.
        """
        await gathered([self._sweep_shard(life, number) for number in keys.shards(items=True)])
        await self._sweep_journals(life, commit)
        await self._table.write_many(deletes=[keys.any_values(life), (keys.trash(shard), life)])

    async def _sweep_shard(self, life: str, number: int) -> None:
        table = self._table
        while page := await table.query(keys.tasks(life, number), limit=PATHS, attributes=("at",)):
            await table.write_many(deletes=[key_of(item) for item in page])
        while page := await table.query(keys.paths(life, number), limit=PATHS, attributes=("at",)):
            marked = [item["sk"]["S"] for item in page]
            await in_parts(marked, lambda mark: self._sweep_path(life, mark))
            await table.write_many(deletes=[key_of(item) for item in page])

    async def _sweep_path(self, life: str, mark: str) -> None:
        path = mark[1:]
        if mark.startswith(keys.VALUES):
            await self._sweep_values(life, path)
        else:
            await self._sweep_log(life, path)

    async def _sweep_values(self, life: str, path: str) -> None:
        values = await self._table.query(keys.values(life, path), attributes=("tag", "chunks"))
        for item in values:
            if "tag" in item:
                await chunks.delete(self._table, item["tag"]["S"], int_of(item, "chunks"))
        await self._table.write_many(deletes=[key_of(item) for item in values])

    async def _sweep_log(self, life: str, path: str) -> None:
        items = await self._table.query(keys.log(life, path), attributes=("at",))
        await self._table.write_many(deletes=[key_of(item) for item in items])

    async def _sweep_journals(self, life: str, commit: int) -> None:
        numbers = range(max(1, commit - keys.JOURNALS + 1), commit + 1)
        places = [keys.journal(life, number) for number in numbers]
        found = await self._table.get_many(places, ("tag", "chunks"))
        for item in found.values():
            if "tag" in item:
                await chunks.delete(self._table, item["tag"]["S"], int_of(item, "chunks"))
        await self._table.write_many(deletes=list(found))

    async def _sweep_all(self) -> None:
        try:
            while self._again:
                self._again = False
                for shard in range(keys.LISTS):
                    for item in await self._table.query(keys.trash(shard)):
                        await self.sweep(shard, item["sk"]["S"], int_of(item, "last"))
        except StoreUnavailable as error:
            log.warning("sweeping interrupted", reason=str(error))
