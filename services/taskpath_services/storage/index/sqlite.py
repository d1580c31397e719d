"""The index in SQLite: that of the embedded system."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from taskpath_proto.queries import InstancesPage, InstanceSummary, ListInstances
from taskpath_proto.records import InstanceProgress, InstanceStatus
from taskpath_services.storage.database import Database
from taskpath_services.storage.history.times import Times
from taskpath_services.storage.index import sqlite_history
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, Kind
from taskpath_services.storage.index.listing import after_prefix, page_of, start_of
from taskpath_services.storage.index.merging import merged
from taskpath_services.storage.records.contract import Indexed
from taskpath_services.storage.unicode import cleaned

MARK: Final = 0x7470_6978
MIGRATIONS: Final = (
    """
    create table instances (
        id text primary key, revision integer not null, realm text not null default 'default',
        workflow text not null default '', name text, status text not null default 'inactive',
        progress text not null default '{}', created_at integer not null default 0,
        updated_at integer not null default 0
    ) without rowid;
    create index by_time on instances (created_at, id);
    create index by_status on instances (status, created_at, id);
    create index by_workflow on instances (workflow, created_at, id);
    create index by_name on instances (name, created_at, id);
    create index by_realm on instances (realm, created_at, id);
    create index by_realm_status on instances (realm, status, created_at, id);
    create index by_realm_workflow on instances (realm, workflow, created_at, id);
    create index by_realm_name on instances (realm, name, created_at, id)
    """,
    """
    create table durations (
        realm text not null, workflow text not null, path text not null, times text not null,
        seen_at integer not null, primary key (realm, workflow, path)
    ) without rowid
    """,
)

NEW: Final = """
    insert into instances (id, revision) select value ->> 'id', value ->> 'revision' from json_each(?)
    where true on conflict do nothing
"""

# What places an instance in most of the indexes is written only when it changes.
PLACE: Final = """
    update instances set
        realm = coalesce(c.value ->> 'realm', realm), workflow = coalesce(c.value ->> 'workflow', workflow),
        name = case when json_type(c.value, '$.name') is null then name else c.value ->> 'name' end,
        created_at = coalesce(c.value ->> 'createdAt', created_at)
    from json_each(?) c where instances.id = c.value ->> 'id'
"""

STATUS: Final = """
    update instances set status = c.value ->> 'status' from json_each(?) c
    where instances.id = c.value ->> 'id' and status <> c.value ->> 'status'
"""

PROGRESS: Final = """
    update instances set
        revision = c.value ->> 'revision', progress = coalesce(c.value -> 'progress', progress),
        updated_at = coalesce(c.value ->> 'updatedAt', updated_at)
    from json_each(?) c where instances.id = c.value ->> 'id'
"""

KNOWN: Final = """
    select json_group_object(i.id, i.revision) from json_each(?) c join instances i on i.id = c.value
"""

_known_decoder: Final = msgspec.json.Decoder(dict[str, int])
_progress_decoder: Final = msgspec.json.Decoder(InstanceProgress)


class SqliteIndex:
    """The index in one SQLite file.

    Args:
        path: the file.
        patience: how long a lock of another process is waited for, in seconds.
    """

    def __init__(self, path: Path, patience: float = 0.2) -> None:
        self._database = Database(
            path, kind="index", mark=MARK, migrations=MIGRATIONS, synchronous="NORMAL", patience=patience
        )

    async def open(self) -> None:
        """Opens the file and brings its schema up to date."""
        await self._database.open()

    async def migrate(self) -> list[str]:
        """Does nothing: opening the file brings its schema up to date."""
        return []

    async def close(self) -> None:
        """Finishes what is under way and closes the file."""
        await self._database.close()

    async def apply(self, steps: Sequence[IndexChange | IndexDeletion]) -> None:
        """Applies changes in their order."""
        await self._database.write(lambda connection: _apply(connection, steps))

    async def replace(self, gone: Sequence[Indexed], changes: Sequence[IndexChange]) -> None:
        """Takes instances out, then puts others in."""

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "delete from instances where id = ? and revision = ?",
                [(row.id, row.revision) for row in gone],
            )
            _apply(connection, changes)

        await self._database.write(job)

    async def page(self, query: ListInstances) -> InstancesPage:
        """A page of instances, newest first."""
        statement, values = _select(query)

        def job(connection: sqlite3.Connection) -> InstancesPage:
            items = [_summary(row) for row in connection.execute(statement, values)]
            return page_of(items, query.limit)

        return await self._database.read(job)

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids."""

        def job(connection: sqlite3.Connection) -> list[Indexed]:
            rows = connection.execute(
                "select id, revision from instances where id > ? order by id limit ?", (after, limit)
            )
            return [Indexed(id=id, revision=revision) for id, revision in rows]

        return await self._database.read(job)

    async def places(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The realm and the workflow of instances."""
        return await self._database.read(lambda connection: sqlite_history.places(connection, ids))

    async def learn(self, seen: Mapping[Kind, Times], now: int) -> None:
        """Adds durations that were seen."""
        await self._database.write(lambda connection: sqlite_history.learn(connection, seen, now))

    async def times(self, realm: str, workflow: str) -> dict[str, Times]:
        """The durations that were seen of a workflow's tasks."""
        return await self._database.read(lambda connection: sqlite_history.times(connection, realm, workflow))


def _apply(connection: sqlite3.Connection, steps: Sequence[IndexChange | IndexDeletion]) -> None:
    ids = msgspec.json.encode(list({step.id for step in steps})).decode()
    (known,) = connection.execute(KNOWN, (ids,)).fetchone()
    result = merged(steps, _known_decoder.decode(known))
    for id in result.gone:
        connection.execute("delete from instances where id = ?", (id,))
    if not result.merges:
        return
    # An instance's fields as JSON are those of its change that are not unset.
    rows = [
        {**msgspec.to_builtins(merge.change), "id": merge.id, "revision": merge.revision}
        for merge in result.merges
    ]
    try:
        text = msgspec.json.encode(rows).decode()
    except UnicodeEncodeError:
        rows = cleaned(rows)
        text = msgspec.json.encode(rows).decode()
    if any(merge.fresh for merge in result.merges):
        connection.execute(NEW, (text,))
    placed = [row for row in rows if not row.keys().isdisjoint(("realm", "workflow", "name", "createdAt"))]
    if placed:
        connection.execute(PLACE, (msgspec.json.encode(placed).decode(),))
    if any("status" in row for row in rows):
        connection.execute(STATUS, (text,))
    connection.execute(PROGRESS, (text,))


def _select(query: ListInstances) -> tuple[str, list[Any]]:
    """The statement of a page. Which index serves it is said here, so that no page ever scans the table."""
    start = start_of(query)
    where: list[str] = []
    values: list[Any] = []

    def restrict(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(cleaned(value) if isinstance(value, str) else value for value in given)

    index = "by"
    if query.realm is not None:
        restrict("realm = ?", query.realm)
        index += "_realm"
    if query.name:
        restrict("name >= ?", query.name)
        if (end := after_prefix(query.name)) is not None:
            restrict("name < ?", end)
        index += "_name"
    elif query.status is not None:
        index += "_status"
    elif query.workflow is not None:
        index += "_workflow"
    elif query.realm is None:
        index += "_time"
    if query.status is not None:
        restrict("status = ?", query.status.value)
    if query.workflow is not None:
        restrict("workflow = ?", query.workflow)
    if query.created_after is not None:
        restrict("created_at > ?", query.created_after)
    if query.created_before is not None:
        restrict("created_at < ?", query.created_before)
    if start is not None:
        restrict("(created_at, id) < (?, ?)", start.created_at, start.id)
    values.append(query.limit + 1)
    condition = f" where {' and '.join(where)}" if where else ""
    return (
        "select id, workflow, realm, name, status, progress, created_at, updated_at"
        f" from instances indexed by {index}{condition} order by created_at desc, id desc limit ?",
        values,
    )


def _summary(row: tuple[Any, ...]) -> InstanceSummary:
    id, workflow, realm, name, status, progress, created_at, updated_at = row
    return InstanceSummary(
        id=id,
        workflow=workflow,
        realm=realm,
        name=name,
        status=InstanceStatus(status),
        progress=InstanceProgress() if progress == "{}" else _progress_decoder.decode(progress),
        created_at=created_at,
        updated_at=updated_at,
    )
