"""The index in MySQL or MariaDB: that of several services on several machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from asyncmy import Connection

from taskpath_proto.queries import InstancesPage, ListInstances
from taskpath_services.storage.history.times import Times
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, Kind
from taskpath_services.storage.index.listing import page_of
from taskpath_services.storage.index.merging import merged
from taskpath_services.storage.index.mysql import history, schema, statements
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.server import Server, execute, select
from taskpath_services.storage.index.mysql.statements import Row, as_bytes
from taskpath_services.storage.records.contract import Indexed

MAX_ROWS: Final = 1_000
"""Rows put in by one statement."""

MAX_IDS: Final = 500
"""Ids in one list. Of 1,000 MariaDB makes a table, joins it, and reads, and locks, all instances."""


class MysqlIndex:
    """The index in a database of a server. Any number of them may be open at once, also on one database.

    Args:
        address: of the database.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._server = Server(address)

    async def migrate(self) -> list[str]:
        """Makes the tables, or brings them up to date."""
        # Building an index on a large table takes its time.
        server = Server(self._address, most=1, seconds=3600)
        await server.open()
        try:
            return await server.run(lambda connection: schema.migrate(connection, self._address.database))
        finally:
            await server.close()

    async def open(self) -> None:
        """Connects."""
        await self._server.open()
        try:
            await self._server.run(lambda connection: schema.expect(connection, str(self._address)))
        except BaseException:
            await self._server.close()
            raise

    async def close(self) -> None:
        """Finishes what is under way and disconnects."""
        await self._server.close()

    async def apply(self, steps: Sequence[IndexChange | IndexDeletion]) -> None:
        """Applies changes in their order."""
        if steps:
            await self._server.run(lambda connection: _in_transaction(connection, (), steps))

    async def replace(self, gone: Sequence[Indexed], changes: Sequence[IndexChange]) -> None:
        """Takes instances out that are as they were seen, then applies changes."""
        if gone or changes:
            await self._server.run(lambda connection: _in_transaction(connection, gone, changes))

    async def page(self, query: ListInstances) -> InstancesPage:
        """A page of instances, newest first."""
        statement, values = statements.page(query)
        rows = await self._server.run(lambda connection: select(connection, statement, values))
        return page_of([statements.summary_of(row) for row in rows], query.limit)

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids."""
        rows = await self._server.run(
            lambda connection: select(connection, statements.INDEXED, (as_bytes(after), limit))
        )
        return [Indexed(id=id.decode(), revision=revision) for id, revision in rows]

    async def places(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The realm and the workflow of instances."""
        return await self._server.run(lambda connection: history.places(connection, ids))

    async def learn(self, seen: Mapping[Kind, Times], now: int) -> None:
        """Adds durations that were seen."""
        if seen:
            await self._server.run(lambda connection: history.learn(connection, seen, now))

    async def times(self, realm: str, workflow: str) -> dict[str, Times]:
        """The durations that were seen of a workflow's tasks."""
        return await self._server.run(lambda connection: history.times(connection, realm, workflow))


async def _in_transaction(
    connection: Connection, gone: Sequence[Indexed], steps: Sequence[IndexChange | IndexDeletion]
) -> None:
    # A connection that is given up in a transaction is closed, and the server takes back what it did.
    await connection.begin()
    if gone:
        rows = await _lock(connection, [row.id for row in gone])
        seen = {(as_bytes(row.id), row.revision) for row in gone}
        await _delete(connection, [id for id, row in rows.items() if (id, row[1]) in seen])
    if steps:
        await _apply(connection, steps)
    await connection.commit()


async def _apply(connection: Connection, steps: Sequence[IndexChange | IndexDeletion]) -> None:
    before = await _lock(connection, {step.id for step in steps})
    result = merged(steps, {id.decode(): row[1] for id, row in before.items()})
    await _delete(connection, [as_bytes(id) for id in result.gone])
    fresh: list[Row] = []
    there: list[Row] = []
    for merge in result.merges:
        row = statements.row_of(merge, before.get(as_bytes(merge.id)))
        (fresh if merge.fresh else there).append(row)
    await _put(connection, statements.REPLACE, there)
    # If another replica has just put one of them in, the whole is done again, with that row there.
    await _put(connection, statements.INSERT, fresh)


async def _put(connection: Connection, statement: str, rows: list[Row]) -> None:
    # Everybody locks in the same order.
    rows.sort(key=_id)
    for start in range(0, len(rows), MAX_ROWS):
        async with connection.cursor() as cursor:
            await cursor.executemany(statement, rows[start : start + MAX_ROWS])


def _id(row: Row) -> bytes:
    id: bytes = row[0]
    return id


async def _lock(connection: Connection, ids: Sequence[str] | set[str]) -> dict[bytes, Row]:
    """The rows of instances, locked until the end of the transaction."""
    rows: dict[bytes, Row] = {}
    ordered = sorted(map(as_bytes, ids))
    for start in range(0, len(ordered), MAX_IDS):
        some = ordered[start : start + MAX_IDS]
        statement = statements.ROWS.format(statements.places(len(some)))
        rows.update((row[0], row) for row in await select(connection, statement, some))
    return rows


async def _delete(connection: Connection, ids: Sequence[bytes]) -> None:
    for start in range(0, len(ids), MAX_IDS):
        some = ids[start : start + MAX_IDS]
        await execute(connection, statements.DELETE.format(statements.places(len(some))), some)
