"""Records in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from taskpath_proto.events import InstanceDeleted, LogLine
from taskpath_proto.queries import InstanceLoaded, InstanceView, LogsView, TaskView, Tombstone
from taskpath_proto.records import InstanceRecord, InstanceStatus, TaskRecord
from taskpath_proto.values import INLINE_BYTES, Inline, Value
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.beside import is_own
from taskpath_services.storage.records.contract import (
    DEAD_MS,
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
from taskpath_services.storage.records.fields import RESULT_FIELDS, task_record, task_result, text_value
from taskpath_services.storage.records.ledger import Group, Ledger
from taskpath_services.storage.records.loglines import MAX_LINES, MAX_PAGE_BYTES
from taskpath_services.storage.records.redis.connection import Address, Connection, script
from taskpath_services.storage.records.redis.keys import Keys
from taskpath_services.storage.records.redis.reads import PAGE, Reader, instance_of, pairs
from taskpath_services.storage.records.redis.sweeping import Sweeping
from taskpath_services.storage.records.redis.writes import calls_of, text_head
from taskpath_services.storage.selection import Selection, Span

ROUNDS: Final = 20
"""So often a group is judged anew because another replica has written meanwhile."""

LOOKED_AT: Final = 500
"""So many heads are read at once."""

STALE: Final = 1
DIRTY: Final = 2

_HEADS: Final = script("heads")
_CLAIM: Final = script("claim")
_COMMIT: Final = script("commit")
_TASK: Final = script("task")
_LOGS: Final = script("logs")

_log_line_decoder: Final = msgspec.json.Decoder(LogLine)


class RedisRecords:
    """The record store in Redis.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db][?prefix=…]``, or ``rediss://…`` for TLS.

    Raises:
        SettingsError: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        address = Address.parse(url)
        self._connection = Connection(address)
        self._keys = Keys(address.prefix)
        self._reader = Reader(self._connection, self._keys)
        self._sweeping = Sweeping(self._connection, self._keys)
        self._ledger = Ledger()
        self._writing = asyncio.Lock()
        self._run_id = ""

    async def migrate(self) -> list[str]:
        """Does nothing: Redis has no schema."""
        return []

    async def open(self) -> None:
        """Connects."""
        await self._connection.open()
        self._run_id = await self._connection.run_id()

    async def close(self) -> None:
        """Disconnects."""
        await self._sweeping.close()
        await self._connection.close()

    async def begin(self, partitions: int, now: int) -> int:
        """Keeps how many partitions there are, and removes what is remembered no longer."""
        while await self._sweeping.forget(now - DEAD_MS):
            pass
        self._sweeping.resume()
        key = self._keys.deployment
        _, kept = await self._connection.ask(
            ("HSETNX", key, "partitions", partitions), ("HGET", key, "partitions")
        )
        return int(kept)

    async def partitions(self) -> int | None:
        """How many partitions the deployment began with."""
        (kept,) = await self._connection.ask(("HGET", self._keys.deployment, "partitions"))
        return None if kept is None else int(kept)

    async def claim(self, partition: int, claimant: str, now: int) -> Claimed:
        """Raises the partition's epoch."""
        epoch, active = await self._connection.run(_CLAIM, partition, claimant, now)
        self._ledger.claimed(partition, int(epoch))
        return Claimed(int(epoch), tuple(sorted(id.decode() for id in active)))

    async def commit(self, writes: Sequence[Write], now: int) -> list[Outcome]:
        """Commits a group, each write whole or not at all."""
        async with self._writing:
            group = self._ledger.group(writes)
            for _ in range(ROUNDS):
                await self._learn(group)
                steps = group.judge()
                if steps is not None:
                    calls = calls_of(step for step in steps if step.writes)
                    stale: set[int] = set()
                    dirty: set[str] = set()
                    arguments = [(now, *call) for call in calls.arguments]
                    answers = await self._connection.run_all(_COMMIT, arguments)
                    for places, results in zip(calls.places, answers, strict=True):
                        for place, result in zip(places, results, strict=True):
                            if result in (STALE, DIRTY):
                                stale.add(place)
                            if result == DIRTY:
                                dirty.add(writes[place].id)
                    group.done(steps, stale)
                    for id in dirty:
                        await self._sweeping.sweep(id)
                if not group.open:
                    break
            else:
                raise StoreUnavailable("The records are written to by others all the time.")
        await self._bury(writes, group.outcomes, now)
        return group.outcomes

    async def _learn(self, group: Group) -> None:
        ids, partitions = group.unknown()
        heads, epochs = {}, {}
        if ids:
            found = await self._connection.run(_HEADS, *ids)
            heads = {
                id: text_head(found[2 * place], bool(found[2 * place + 1])) for place, id in enumerate(ids)
            }
        if partitions:
            known = await self._connection.ask(
                *(("HGET", self._keys.partition(partition), "epoch") for partition in partitions)
            )
            epochs = {partition: int(epoch or 0) for partition, epoch in zip(partitions, known, strict=True)}
        group.learn(heads, epochs)

    async def _bury(self, writes: Sequence[Write], outcomes: Sequence[Outcome], now: int) -> None:
        dead = [
            write.id
            for write, outcome in zip(writes, outcomes, strict=True)
            if isinstance(write, InstanceDeleted) and outcome is Outcome.APPLIED
        ]
        for id in dead:
            await self._sweeping.begin(id)
        if dead and await self._sweeping.forget(now - DEAD_MS):
            self._ledger.clear()

    async def fallen_back(self) -> Sequence[Fallen]:
        """What is gone with the server's last writes; looked for when it is another process than before."""
        run_id = await self._connection.run_id()
        if run_id == self._run_id:
            return ()
        async with self._writing:
            known = {id: head for id, head in self._ledger.known().items() if head.revision is not None}
            fallen: list[Fallen] = []
            remembered = list(known)
            for start in range(0, len(remembered), LOOKED_AT):
                ids = remembered[start : start + LOOKED_AT]
                found = await self._connection.run(_HEADS, *ids)
                for place, id in enumerate(ids):
                    was, now = known[id], text_head(found[2 * place], False)
                    if (now.revision or 0) < (was.revision or 0) or now.deleted < was.deleted:
                        fallen.append(Fallen(id, was.epoch, was.revision or 0, was.deleted))
            self._ledger.forget(one.id for one in fallen)
            self._run_id = run_id
        return fallen

    async def standing(self, id: str) -> Standing:
        """How far an instance is."""
        (revision, deleting), dead = await self._connection.ask(
            ("HMGET", self._keys.workflow(id), "revision", "deleting"),
            ("EXISTS", self._keys.tombstone(id)),
        )
        if revision is not None:
            return Standing(int(revision), deleted=deleting == b"true")
        return Standing(None, deleted=bool(dead))

    async def tombstone(self, id: str, now: int) -> Tombstone | None:
        """What is left of an ephemeral instance that has ended."""
        ((realm, status, deleted_at),) = await self._connection.ask(
            ("HMGET", self._keys.tombstone(id), "realm", "status", "deletedAt")
        )
        if status is None or int(deleted_at) <= now - TOMBSTONE_MS:
            return None
        return Tombstone(id, realm.decode(), InstanceStatus(status.decode()))

    async def load(self, id: str) -> InstanceLoaded:
        """An instance and all its tasks' records."""
        found = await self._reader.load(id)
        if found is None:
            return InstanceLoaded()
        return InstanceLoaded(
            instance=found.instance, tasks=[found.tasks[path] for path in sorted(found.tasks)]
        )

    async def instance(self, id: str) -> InstanceRecord | None:
        """The record of an instance."""
        found = await self._reader.instance(id)
        return None if found is None or found[0].deleting else found[0]

    async def view(self, id: str, selection: Selection) -> InstanceView:
        """An instance and the selected records."""
        found = await self._reader.view(id, selection)
        if found is None:
            return InstanceView()
        return InstanceView(
            instance=found.instance,
            tasks=[found.tasks[path] for path in sorted(found.tasks) if selection.wants(path)],
            removed_at=found.removed_at,
        )

    async def task(self, id: str, path: str) -> TaskView:
        """An instance and the record of one task."""
        instance, task, values = await self._connection.run(_TASK, id, path, INLINE_BYTES)
        found = instance_of(id, pairs(instance))
        if found is None or found[0].deleting:
            return TaskView()
        record = task_record(path, pairs(task).items()) if task else TaskRecord(path=path)
        for name, text in pairs(values).items():
            field: ValueName = name.decode()  # type: ignore[assignment]  # the script asks for these names
            if is_own(getattr(record, field), path, field):
                setattr(record, field, Inline(text.decode()))
        return TaskView(instance=found[0], task=record)

    async def logs(self, id: str, path: str, after: int, limit: int) -> LogsView:
        """The lines of a task's log after a position."""
        found = await self._connection.run(_LOGS, id, path, after, limit, MAX_PAGE_BYTES, MAX_LINES)
        if found is None:
            return LogsView(known=False)
        last, first, texts = found
        lines: list[LogLine] = []
        size = 0
        for text in texts:
            size += len(text)
            if lines and size > MAX_PAGE_BYTES:
                break
            lines.append(_log_line_decoder.decode(text))
        return LogsView(lines=lines, next=first + len(lines) - 1 if lines else min(max(after, 0), last))

    async def value(self, id: str, path: str, name: ValueName) -> Value | None:
        """A value of a task's record."""
        (text,) = await self._connection.ask(("HGET", self._keys.task(id, path), name))
        return None if text is None else text_value(text)

    async def results(
        self, id: str, spans: Sequence[Span], *, updated: bool = False, most: int | None = None
    ) -> list[TaskResult]:
        """What the tasks in some spans of paths have left."""
        names = [field.encode() for field in RESULT_FIELDS]
        paths = "workflowUpdated" if updated else "workflowTasks"
        found: list[TaskResult] = []
        for low, high in spans:
            count = PAGE
            while count == PAGE and (most is None or len(found) <= most):
                page = await self._reader.page(id, paths, (low, high), RESULT_FIELDS)
                found.extend(task_result(path, zip(names, values, strict=True)) for path, values in page)
                count = len(page)
                if page:
                    low = page[-1][0] + "\x01"
        return found

    async def texts(self, id: str, keys: Sequence[TextKey]) -> dict[TextKey, str]:
        """The JSON texts of values kept beside the records."""
        if not keys:
            return {}
        found = await self._connection.ask(
            *(("HGET", self._keys.value(id, path), f"{name}:{version}") for path, name, version in keys)
        )
        return {key: text.decode() for key, text in zip(keys, found, strict=True) if text is not None}

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids."""
        rows: list[Indexed] = []
        while len(rows) < limit:
            least = f"({after}" if after else "-"
            (ids,) = await self._connection.ask(
                ("ZRANGEBYLEX", self._keys.instances, least, "+", "LIMIT", 0, limit - len(rows))
            )
            if not ids:
                break
            names = [id.decode() for id in ids]
            after = names[-1]
            revisions = await self._connection.ask(
                *(("HMGET", self._keys.workflow(id), "revision", "indexed") for id in names)
            )
            rows.extend(
                Indexed(id, int(indexed or 0))
                for id, (revision, indexed) in zip(names, revisions, strict=True)
                if revision is not None
            )
        return rows
