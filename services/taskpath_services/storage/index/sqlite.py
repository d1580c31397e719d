"""The index in SQLite: that of the embedded system."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import InstancesPage, InstanceSummary, ListInstances
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceStatus
from taskpath_services.storage.database import Database
from taskpath_services.storage.index import cursor as cursors
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion
from taskpath_services.storage.records.contract import Indexed
from taskpath_services.storage.unicode import cleaned

MAX_PAGE: Final = 200

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

    async def close(self) -> None:
        """Finishes what is under way and closes the file."""
        await self._database.close()

    async def apply(self, steps: Sequence[IndexChange | IndexDeletion]) -> None:
        """Applies changes in their order."""
        await self._database.write(lambda connection: _apply(connection, steps))

    async def replace(self, gone: Sequence[str], changes: Sequence[IndexChange]) -> None:
        """Takes instances out, then puts others in."""

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany("delete from instances where id = ?", [(id,) for id in gone])
            _apply(connection, changes)

        await self._database.write(job)

    async def page(self, query: ListInstances) -> InstancesPage:
        """A page of instances, newest first."""
        if not 1 <= query.limit <= MAX_PAGE:
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST,
                f"limit is {query.limit}; a number from 1 to {MAX_PAGE} is expected.",
            )
        statement, values = _select(query)

        def job(connection: sqlite3.Connection) -> InstancesPage:
            items = [_summary(row) for row in connection.execute(statement, values)]
            more = len(items) > query.limit
            items = items[: query.limit]
            end = cursors.Cursor(items[-1].created_at, items[-1].id) if more else None
            return InstancesPage(items=items, next_cursor=cursors.encode(end) if end else None)

        return await self._database.read(job)

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids."""

        def job(connection: sqlite3.Connection) -> list[Indexed]:
            rows = connection.execute(
                "select id, revision from instances where id > ? order by id limit ?", (after, limit)
            )
            return [Indexed(id=id, revision=revision) for id, revision in rows]

        return await self._database.read(job)


def _apply(connection: sqlite3.Connection, steps: Sequence[IndexChange | IndexDeletion]) -> None:
    ids = msgspec.json.encode(list({step.id for step in steps})).decode()
    (page,) = connection.execute(KNOWN, (ids,)).fetchone()
    known = _known_decoder.decode(page)
    before = set(known)
    changed: dict[str, dict[str, Any]] = {}
    for step in steps:
        if step.revision <= known.get(step.id, -1) and isinstance(step, IndexChange):
            continue
        if isinstance(step, IndexChange) and not step.new and step.id not in known:
            continue
        if isinstance(step, IndexDeletion):
            changed.pop(step.id, None)
            if step.id in known and known.pop(step.id) <= step.revision:
                connection.execute("delete from instances where id = ?", (step.id,))
                before.discard(step.id)
            continue
        known[step.id] = step.revision
        fields = changed.setdefault(step.id, {"id": step.id})
        fields["revision"] = step.revision
        fields.update(_fields(step.change))
    if not changed:
        return
    everything = list(changed.values())
    try:
        text = msgspec.json.encode(everything).decode()
    except UnicodeEncodeError:
        everything = cleaned(everything)
        text = msgspec.json.encode(everything).decode()
    if not before.issuperset(changed):
        connection.execute(NEW, (text,))
    placed = [
        row for row in everything if not row.keys().isdisjoint(("realm", "workflow", "name", "createdAt"))
    ]
    if placed:
        connection.execute(PLACE, (msgspec.json.encode(placed).decode(),))
    if any("status" in row for row in everything):
        connection.execute(STATUS, (text,))
    connection.execute(PROGRESS, (text,))


def _fields(change: InstanceChange) -> dict[str, Any]:
    """The fields that the index holds, of those that changed."""
    fields = {
        "realm": change.realm,
        "workflow": change.workflow,
        "name": change.name,
        "status": change.status,
        "progress": change.progress,
        "createdAt": change.created_at,
        "updatedAt": change.updated_at,
    }
    return {name: value for name, value in fields.items() if value is not UNSET}


def _select(query: ListInstances) -> tuple[str, list[Any]]:
    """The statement of a page. Which index serves it is said here, so that no page ever scans the table."""
    where: list[str] = []
    values: list[Any] = []

    def restrict(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    index = "by"
    if query.realm is not None:
        restrict("realm = ?", query.realm)
        index += "_realm"
    if query.name:
        restrict("name >= ?", query.name)
        if (end := _after_prefix(query.name)) is not None:
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
    if query.cursor is not None:
        cursor = cursors.decode(query.cursor)
        restrict("(created_at, id) < (?, ?)", cursor.created_at, cursor.id)
    values.append(query.limit + 1)
    condition = f" where {' and '.join(where)}" if where else ""
    return (
        "select id, workflow, realm, name, status, progress, created_at, updated_at"
        f" from instances indexed by {index}{condition} order by created_at desc, id desc limit ?",
        values,
    )


def _after_prefix(prefix: str) -> str | None:
    """The first text after all that begin with a prefix; None if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1
            return prefix[:-1] + chr(following)
        prefix = prefix[:-1]
    return None


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
