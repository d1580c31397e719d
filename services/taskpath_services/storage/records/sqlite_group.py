"""A group of writes on its way into SQLite: judged one by one, written table by table.

What a group holds is gathered and flushed with one statement a table. The few writes whose order within a
group matters for more than one table (removals, deletions) flush what was gathered before them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogLine, LogsWritten
from taskpath_proto.queries import PutBlob
from taskpath_services.storage.records import schema
from taskpath_services.storage.records.beside import Refresh
from taskpath_services.storage.records.contract import DEAD_MS, OWN, Outcome, Write
from taskpath_services.storage.records.documents import (
    Prepared,
    encoded,
    encoded_or_none,
    listed,
    prepare,
)
from taskpath_services.storage.records.judgement import (
    Head,
    after_change,
    after_deletion,
    changes,
    judge_change,
    judge_deletion,
)
from taskpath_services.storage.records.loglines import LogHead, append, trimmed
from taskpath_services.storage.selection import at_or_under

_log_heads_decoder: Final = msgspec.json.Decoder(list[tuple[str, str, LogHead]])


class Group:
    """One commit.

    Args:
        connection: in a transaction.
        heads: what is known of instances; completed and kept up to date here.
        epochs: what is known of the epochs of partitions; likewise.
        now: ms since epoch.
    """

    def __init__(
        self, connection: sqlite3.Connection, heads: dict[str, Head], epochs: dict[int, int], now: int
    ) -> None:
        self._connection = connection
        self._heads = heads
        self._epochs = epochs
        self._now = now
        self._tasks: list[bytes] = []
        self._instances: list[bytes] = []
        self._inputs: list[tuple[str, str | None, str | None, str | None]] = []
        self._refreshed: dict[tuple[str, str, str], int | None] = {}
        self._texts: list[tuple[str, str, str, int, str]] = []
        self._logs: dict[tuple[str, str], list[LogLine]] = {}

    def run(self, writes: Sequence[Write]) -> list[Outcome]:
        """Does it all, and says what became of each write."""
        self._learn(writes)
        outcomes: list[Outcome] = []
        for write in writes:
            if isinstance(write, InstanceChanged):
                outcomes.append(self._change(write))
            elif isinstance(write, LogsWritten):
                outcomes.append(self._log(write))
            elif isinstance(write, InstanceDeleted):
                outcomes.append(self._delete(write))
            else:
                outcomes.append(self._put(write))
        self._flush()
        return outcomes

    def _learn(self, writes: Sequence[Write]) -> None:
        """Reads what is not known yet of the instances and partitions of these writes."""
        unknown = {write.id for write in writes} - self._heads.keys()
        if unknown:
            for id, live_epoch, live, digest, gap, dead_epoch, dead, texts in self._connection.execute(
                schema.HEADS, (encoded(list(unknown)).decode(),)
            ):
                if live is not None:
                    self._heads[id] = Head(live, live_epoch, digest, gap=gap, texts=bool(texts))
                else:
                    self._heads[id] = Head(dead, dead_epoch or 0, deleted=dead is not None, texts=bool(texts))
        for write in writes:
            if isinstance(write, (InstanceChanged, InstanceDeleted)) and write.partition not in self._epochs:
                self._epochs[write.partition] = stored_epoch(self._connection, write.partition)

    def _change(self, event: InstanceChanged) -> Outcome:
        head = self._heads[event.id]
        prepared = prepare(event)
        outcome = judge_change(event, prepared.digest, self._epochs[event.partition], head)
        if not changes(outcome, event, head):
            return outcome
        self._raise_epoch(event.partition, event.epoch)
        if head.deleted:
            self._connection.execute("delete from tombstones where id = ?", (event.id,))
        if event.removed:
            self._flush()
            self._remove(event.id, event.removed)
        texts = self._refresh(event.id, prepared.refreshed, head.texts)
        if event.whole:
            self._make_room(event)
        name = encoded(event.id)
        for part in prepared.tasks:
            self._tasks.append(b"[%b,%d,%b]" % (name, event.revision, part))
        after = after_change(event, prepared.digest, outcome, head)
        self._instances.append(_instance_row(event, prepared, after))
        change = event.instance
        if change is not None and not (change.plan is change.data is change.base_context is UNSET):
            plan, data, base_context = map(encoded_or_none, (change.plan, change.data, change.base_context))
            self._inputs.append((event.id, plan, data, base_context))
        self._heads[event.id] = msgspec.structs.replace(after, texts=texts)
        return outcome

    def _make_room(self, event: InstanceChanged) -> None:
        """Takes away what a whole change replaces."""
        self._flush()
        connection = self._connection
        stored = {path for (path,) in connection.execute(schema.TASK_PATHS, (event.id,))}
        gone = [(event.id, path) for path in stored - {change.path for change in event.tasks}]
        for table in schema.BY_PATH:
            connection.executemany(f"delete from {table} where instance = ? and path = ?", gone)
        connection.execute("delete from tasks where instance = ?", (event.id,))
        if event.instance is not None:
            connection.execute("delete from instances where id = ?", (event.id,))

    def _refresh(self, id: str, refreshed: list[Refresh], texts: bool) -> bool:
        """Notes which values are new: what was kept beside a record goes when it has something newer."""
        for path, name, version, text in refreshed:
            if texts or text is not None:
                # Of what a record refers to, only the committed is looked at.
                if (id, path, name) in self._refreshed:
                    self._flush()
                self._refreshed[id, path, name] = version
            if text is not None:
                self._texts.append((id, path, name, OWN, text))
                self._refreshed[id, path, name] = OWN
                texts = True
        return texts

    def _log(self, event: LogsWritten) -> Outcome:
        # Lines may come before the creation of their instance: they travel by themselves.
        if self._heads[event.id].deleted:
            return Outcome.REFUSED
        self._logs.setdefault((event.id, event.path), []).extend(event.lines)
        return Outcome.APPLIED

    def _put(self, blob: PutBlob) -> Outcome:
        self._texts.append((blob.id, blob.path, blob.name, blob.version, blob.json))
        head = self._heads[blob.id]
        if not head.texts:
            self._heads[blob.id] = msgspec.structs.replace(head, texts=True)
        return Outcome.APPLIED

    def _delete(self, event: InstanceDeleted) -> Outcome:
        outcome = judge_deletion(event, self._epochs[event.partition], self._heads[event.id])
        if outcome is not Outcome.APPLIED:
            return outcome
        self._raise_epoch(event.partition, event.epoch)
        self._flush()
        connection = self._connection
        for table in schema.BY_PATH:
            connection.execute(f"delete from {table} where instance = ?", (event.id,))
        connection.execute("delete from instances where id = ?", (event.id,))
        connection.execute("delete from inputs where id = ?", (event.id,))
        connection.execute(
            "insert or replace into tombstones (id, epoch, revision, deleted_at, realm, status)"
            " values (?, ?, ?, ?, ?, ?)",
            (event.id, event.epoch, event.revision, self._now, event.realm, event.status),
        )
        self._heads[event.id] = after_deletion(event)
        for id in forget_the_dead(connection, self._now):
            self._heads.pop(id, None)
        return outcome

    def _raise_epoch(self, partition: int, epoch: int) -> None:
        """A store that lost its last second learns the epoch from the owner."""
        if epoch > self._epochs[partition]:
            self._connection.execute(
                "insert or replace into partitions values (?, ?, '')", (partition, epoch)
            )
            self._epochs[partition] = epoch

    def _remove(self, id: str, removed: Iterable[str]) -> None:
        spans = encoded([span for path in removed for span in at_or_under(path)]).decode()
        for table in schema.BY_PATH:
            self._connection.execute(schema.REMOVED.format(table=table), (id, spans))

    def _flush(self) -> None:
        connection = self._connection
        if self._refreshed:
            rows = [(*key, version) for key, version in self._refreshed.items()]
            connection.execute(schema.OUTDATED, (encoded(rows).decode(),))
            self._refreshed = {}
        if self._texts:
            connection.executemany(schema.TEXT, self._texts)
            self._texts = []
        if self._tasks:
            connection.execute(schema.TASKS, (listed(self._tasks),))
            self._tasks = []
        if self._instances:
            connection.execute(schema.INSTANCES, (listed(self._instances),))
            self._instances = []
        if self._inputs:
            connection.executemany(schema.INPUTS, self._inputs)
            self._inputs = []
        if self._logs:
            self._flush_logs()

    def _flush_logs(self) -> None:
        connection = self._connection
        keys = list(self._logs)
        (known,) = connection.execute(schema.LOG_HEADS, (encoded(keys).decode(),)).fetchone()
        heads = {(id, path): head for id, path, head in _log_heads_decoder.decode(known)}
        lines: list[tuple[str, str, int, LogLine]] = []
        after: list[tuple[str, str, LogHead]] = []
        short: list[tuple[str, str, int]] = []
        for (id, path), written in self._logs.items():
            head = heads.get((id, path), LogHead())
            head, added = append(head, written)
            if not added:
                continue
            cut = trimmed(head)
            if cut is not head:
                short.append((id, path, cut.first))
                added = [(position, line) for position, line in added if position >= cut.first]
            lines.extend((id, path, position, line) for position, line in added)
            after.append((id, path, cut))
        self._logs = {}
        if lines:
            connection.execute(schema.PUT_LOG_LINES, (encoded(lines).decode(),))
            connection.execute(schema.PUT_LOG_HEADS, (encoded(after).decode(),))
        if short:
            connection.executemany(
                "delete from log_lines where instance = ? and path = ? and position < ?", short
            )


def stored_epoch(connection: sqlite3.Connection, partition: int) -> int:
    """The epoch of a partition; 0 if it was never claimed."""
    row = connection.execute("select epoch from partitions where partition = ?", (partition,)).fetchone()
    return row[0] if row is not None else 0


def forget_the_dead(connection: sqlite3.Connection, now: int) -> list[str]:
    """Removes a few old tombstones, and what came so late that it outlived its instance; gives whose."""
    rows = connection.execute(
        "select id from tombstones where deleted_at <= ? limit 100", (now - DEAD_MS,)
    ).fetchall()
    for (id,) in rows:
        for table in schema.BY_PATH:
            connection.execute(f"delete from {table} where instance = ?", (id,))
        connection.execute("delete from tombstones where id = ?", (id,))
    return [id for (id,) in rows]


def _instance_row(event: InstanceChanged, prepared: Prepared, after: Head) -> bytes:
    change = event.instance
    running = handling = deleting = None
    if change is not None:
        running = None if change.runs is UNSET else int(bool(change.runs))
        handling = None if change.handlers is UNSET else int(bool(change.handlers))
        deleting = None if change.deleting is UNSET else int(change.deleting)
    return encoded(
        (
            event.id,
            event.partition,
            event.epoch,
            event.revision,
            after.digest,
            event.revision if change is not None else None,
            running,
            handling,
            deleting,
            event.revision if event.removed or event.whole else None,
            after.gap or 0,
            msgspec.Raw(prepared.instance if prepared.instance is not None else b"{}"),
        )
    )
