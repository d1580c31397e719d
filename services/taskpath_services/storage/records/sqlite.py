"""Records in SQLite: the store of the embedded system."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from taskpath_proto.events import LogLine
from taskpath_proto.plan import Plan
from taskpath_proto.queries import InstanceLoaded, InstanceView, LogsView, TaskView, Tombstone
from taskpath_proto.records import InstanceRecord, InstanceStatus, TaskRecord
from taskpath_proto.values import INLINE_BYTES, Inline, Value, size_of
from taskpath_services.storage.database import Database
from taskpath_services.storage.records import schema
from taskpath_services.storage.records.beside import is_own
from taskpath_services.storage.records.contract import (
    OWN,
    TOMBSTONE_MS,
    Claimed,
    Fallen,
    Indexed,
    Outcome,
    Standing,
    TaskResult,
    TextKey,
    ValueName,
    Write,
)
from taskpath_services.storage.records.documents import encoded, records
from taskpath_services.storage.records.judgement import Head
from taskpath_services.storage.records.loglines import MAX_LINES, MAX_PAGE_BYTES, LogHead
from taskpath_services.storage.records.sqlite_group import Group, forget_the_dead, stored_epoch
from taskpath_services.storage.selection import Selection, Span

PAGE_ROWS: Final = 2_000
"""Records are decoded in pages, so that Python's lock is not held for long."""

MAX_HEADS: Final = 50_000
"""Of so many instances the writer remembers how far they are."""

VALUE_NAMES: Final[tuple[ValueName, ...]] = ("body", "argument", "updaters", "items")

_instance_decoder: Final = msgspec.json.Decoder(InstanceRecord)
_plan_decoder: Final = msgspec.json.Decoder(Plan)
_value_decoder: Final[msgspec.json.Decoder[Value]] = msgspec.json.Decoder(Value)
_results_decoder: Final = msgspec.json.Decoder(list[TaskResult])
_counts_decoder: Final = msgspec.json.Decoder(dict[str, int | None])
_log_head_decoder: Final = msgspec.json.Decoder(LogHead)
_log_line_decoder: Final = msgspec.json.Decoder(LogLine)


class SqliteRecords:
    """The record store in one SQLite file.

    Args:
        path: the file.
        patience: how long a lock of another process is waited for, in seconds.
    """

    def __init__(self, path: Path, patience: float = 0.2) -> None:
        self._database = Database(
            path,
            kind="records",
            mark=schema.MARK,
            migrations=schema.MIGRATIONS,
            synchronous="FULL",
            patience=patience,
        )
        # What the writer knows of the file. Only its thread uses it.
        self._heads: dict[str, Head] = {}
        self._epochs: dict[int, int] = {}
        self._seen: tuple[sqlite3.Connection, int] | None = None

    async def migrate(self) -> list[str]:
        """Does nothing: opening the file brings its schema up to date."""
        return []

    async def open(self) -> None:
        """Opens the file and brings its schema up to date."""
        await self._database.open()

    async def close(self) -> None:
        """Finishes what is under way and closes the file."""
        await self._database.close()

    async def begin(self, partitions: int, now: int) -> int:
        """Keeps how many partitions there are, and removes what is remembered no longer."""

        def job(connection: sqlite3.Connection) -> int:
            while forget_the_dead(connection, now):
                pass
            row = connection.execute("select partitions from deployment").fetchone()
            if row is None:
                connection.execute("insert into deployment values (?)", (partitions,))
            return partitions if row is None else int(row[0])

        return await self._database.write(job)

    async def partitions(self) -> int | None:
        """How many partitions the deployment began with."""

        def job(connection: sqlite3.Connection) -> int | None:
            row = connection.execute("select partitions from deployment").fetchone()
            return None if row is None else int(row[0])

        return await self._database.read(job)

    async def claim(self, partition: int, claimant: str, now: int) -> Claimed:
        """Raises the partition's epoch."""

        def job(connection: sqlite3.Connection) -> Claimed:
            self._refresh(connection)
            epoch = max(stored_epoch(connection, partition) + 1, now)
            connection.execute(
                "insert or replace into partitions values (?, ?, ?)", (partition, epoch, claimant)
            )
            self._epochs[partition] = epoch
            rows = connection.execute(schema.ACTIVE, (partition,))
            return Claimed(epoch=epoch, active=tuple(id for (id,) in rows))

        return await self._database.write(job)

    async def commit(self, writes: Sequence[Write], now: int) -> list[Outcome]:
        """Commits a group."""

        def job(connection: sqlite3.Connection) -> list[Outcome]:
            self._refresh(connection)
            return Group(connection, self._heads, self._epochs, now).run(writes)

        return await self._database.write(job)

    def _refresh(self, connection: sqlite3.Connection) -> None:
        """Forgets what was known of the file if a commit failed since, or somebody else has written to it."""
        (version,) = connection.execute("pragma data_version").fetchone()
        if self._seen != (connection, version) or len(self._heads) > MAX_HEADS:
            self._heads.clear()
            self._epochs.clear()
            self._seen = (connection, version)

    async def fallen_back(self) -> Sequence[Fallen]:
        """Nothing: what is committed is synced."""
        return ()

    async def standing(self, id: str) -> Standing:
        """How far an instance is."""

        def job(connection: sqlite3.Connection) -> Standing:
            row = connection.execute(
                "select revision, deleting from instances where id = ?", (id,)
            ).fetchone()
            if row is not None:
                return Standing(revision=row[0], deleted=bool(row[1]))
            dead = connection.execute("select 1 from tombstones where id = ?", (id,)).fetchone()
            return Standing(revision=None, deleted=dead is not None)

        return await self._database.read(job)

    async def tombstone(self, id: str, now: int) -> Tombstone | None:
        """What is left of an ephemeral instance that has ended."""

        def job(connection: sqlite3.Connection) -> Tombstone | None:
            row = connection.execute(
                "select realm, status from tombstones where id = ? and status is not null and deleted_at > ?",
                (id, now - TOMBSTONE_MS),
            ).fetchone()
            return None if row is None else Tombstone(id=id, realm=row[0], status=InstanceStatus(row[1]))

        return await self._database.read(job)

    async def load(self, id: str) -> InstanceLoaded:
        """An instance and all its tasks' records."""

        def job(connection: sqlite3.Connection) -> InstanceLoaded:
            instance = _instance(connection, id)
            if instance is None:
                return InstanceLoaded()
            return InstanceLoaded(instance=instance, tasks=_records(connection, schema.PAGE, id, ("#", "$")))

        return await self._database.read(job)

    async def instance(self, id: str) -> InstanceRecord | None:
        """The record of an instance."""
        return await self._database.read(lambda connection: _shown(connection, id))

    async def view(self, id: str, selection: Selection) -> InstanceView:
        """An instance and the selected records."""

        def job(connection: sqlite3.Connection) -> InstanceView:
            instance = _shown(connection, id)
            if instance is None:
                return InstanceView()
            found: list[TaskRecord] = []
            for span in _spans(connection, id, selection, instance.plan):
                found.extend(_records(connection, schema.LEAN_PAGE, id, span, selection.since))
            row = connection.execute("select removed from instances where id = ?", (id,)).fetchone()
            return InstanceView(
                instance=instance,
                tasks=[task for task in found if selection.wants(task.path)],
                removed_at=row[0] or 0,
            )

        return await self._database.read(job)

    async def task(self, id: str, path: str) -> TaskView:
        """An instance and the record of one task."""

        def job(connection: sqlite3.Connection) -> TaskView:
            instance = _shown(connection, id)
            if instance is None:
                return TaskView()
            found = _records(connection, schema.PAGE, id, (path, path + "\x01"))
            record = found[0] if found else TaskRecord(path=path)
            for name in VALUE_NAMES:
                value: Value | None = getattr(record, name)
                if value is None or not is_own(value, path, name) or size_of(value) > INLINE_BYTES:
                    continue
                text = _text(connection, id, (path, name, OWN))
                if text is not None:
                    setattr(record, name, Inline(text))
            return TaskView(instance=instance, task=record)

        return await self._database.read(job)

    async def logs(self, id: str, path: str, after: int, limit: int) -> LogsView:
        """The lines of a task's log after a position."""

        def job(connection: sqlite3.Connection) -> LogsView:
            known = "select 1 from instances where id = ? and deleting is not 1"
            if connection.execute(known, (id,)).fetchone() is None:
                return LogsView(known=False)
            row = connection.execute(
                "select doc from log_heads where instance = ? and path = ?", (id, path)
            ).fetchone()
            last = _log_head_decoder.decode(row[0]).last if row is not None else 0
            lines: list[LogLine] = []
            position, size = min(max(after, 0), last), 0
            rows = connection.execute(
                "select position, doc from log_lines where instance = ? and path = ? and position > ?"
                " order by position limit ?",
                (id, path, max(position, last - MAX_LINES), limit),
            )
            for found, doc in rows:
                size += len(doc)
                if lines and size > MAX_PAGE_BYTES:
                    break
                lines.append(_log_line_decoder.decode(doc))
                position = found
            return LogsView(lines=lines, next=position)

        return await self._database.read(job)

    async def value(self, id: str, path: str, name: ValueName) -> Value | None:
        """A value of a task's record."""

        def job(connection: sqlite3.Connection) -> Value | None:
            row = connection.execute(
                "select doc -> ('$.' || ?) from tasks where instance = ? and path = ?", (name, id, path)
            ).fetchone()
            return _value_decoder.decode(row[0]) if row is not None and row[0] not in (None, "null") else None

        return await self._database.read(job)

    async def results(
        self, id: str, spans: Sequence[Span], *, updated: bool = False, most: int | None = None
    ) -> list[TaskResult]:
        """What the tasks in some spans of paths have left."""
        statement = schema.UPDATED_RESULTS if updated else schema.RESULTS

        def job(connection: sqlite3.Connection) -> list[TaskResult]:
            found: list[TaskResult] = []
            for low, high in spans:
                count = PAGE_ROWS
                while count == PAGE_ROWS and (most is None or len(found) <= most):
                    page, last, count = connection.execute(statement, (id, low, high, PAGE_ROWS)).fetchone()
                    if count:
                        found.extend(_results_decoder.decode(page))
                        low = last + "\x01"
            return found

        return await self._database.read(job)

    async def texts(self, id: str, keys: Sequence[TextKey]) -> dict[TextKey, str]:
        """The JSON texts of values kept beside the records."""

        def job(connection: sqlite3.Connection) -> dict[TextKey, str]:
            found = {key: _text(connection, id, key) for key in keys}
            return {key: text for key, text in found.items() if text is not None}

        return await self._database.read(job)

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids."""

        def job(connection: sqlite3.Connection) -> list[Indexed]:
            rows = connection.execute(
                "select id, indexed from instances where id > ? and deleting is not 1 order by id limit ?",
                (after, limit),
            )
            return [Indexed(id=id, revision=revision) for id, revision in rows]

        return await self._database.read(job)


def _instance(connection: sqlite3.Connection, id: str) -> InstanceRecord | None:
    row = connection.execute(
        "select h.epoch, h.revision, h.doc, i.plan, i.data, i.base_context"
        " from instances h left join inputs i on i.id = h.id where h.id = ?",
        (id,),
    ).fetchone()
    if row is None:
        return None
    epoch, revision, doc, plan, data, base_context = row
    record = _instance_decoder.decode(doc)
    record.id, record.epoch, record.revision = id, epoch, revision
    if plan is not None:
        record.plan = _plan_decoder.decode(plan)
    if data is not None:
        record.data = _value_decoder.decode(data)
    if base_context is not None:
        record.base_context = _value_decoder.decode(base_context)
    return record


def _shown(connection: sqlite3.Connection, id: str) -> InstanceRecord | None:
    """The instance, unless it is being deleted."""
    instance = _instance(connection, id)
    return None if instance is None or instance.deleting else instance


def _records(
    connection: sqlite3.Connection, statement: str, id: str, span: Span, since: int = -1
) -> list[TaskRecord]:
    low, high = span
    found: list[TaskRecord] = []
    while True:
        page, last, count = connection.execute(statement, (id, low, high, since, PAGE_ROWS)).fetchone()
        if count:
            found.extend(records(page))
        if count < PAGE_ROWS:
            return found
        low = last + "\x01"


def _spans(connection: sqlite3.Connection, id: str, selection: Selection, plan: Plan) -> list[Span]:
    steps = selection.spans(plan)
    try:
        asked = next(steps)
        while True:
            (page,) = connection.execute(schema.COUNTS, (id, encoded(asked).decode())).fetchone()
            counts = _counts_decoder.decode(page)
            asked = steps.send({path: count for path, count in counts.items() if count is not None})
    except StopIteration as done:
        spans: list[Span] = done.value
        return spans


def _text(connection: sqlite3.Connection, id: str, key: TextKey) -> str | None:
    row = connection.execute(
        "select json from texts where instance = ? and path = ? and name = ? and version = ?", (id, *key)
    ).fetchone()
    return row[0] if row is not None else None
