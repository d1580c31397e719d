"""Records in DynamoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from heapq import merge
from typing import Final

import msgspec

from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import InstanceLoaded, InstanceView, LogsView, TaskView, Tombstone
from taskpath_proto.records import InstanceRecord, InstanceStatus, TaskRecord
from taskpath_proto.values import INLINE_BYTES, Inline, Value, size_of
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.beside import is_own
from taskpath_services.storage.records.contract import (
    DEAD_MS,
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
from taskpath_services.storage.records.dynamodb import keys, logs
from taskpath_services.storage.records.dynamodb.address import Address
from taskpath_services.storage.records.dynamodb.commit import Committing
from taskpath_services.storage.records.dynamodb.items import Update, int_of, number, text_of
from taskpath_services.storage.records.dynamodb.known import DEAD, Known, known_of, life_of
from taskpath_services.storage.records.dynamodb.reads import Reader
from taskpath_services.storage.records.dynamodb.sweeping import Sweeping
from taskpath_services.storage.records.dynamodb.table import Item, Table, gathered
from taskpath_services.storage.records.fields import (
    LEAN_FIELDS,
    RESULT_FIELDS,
    task_record,
    task_result,
    text_value,
)
from taskpath_services.storage.records.ledger import MAX_HEADS, Group, Ledger
from taskpath_services.storage.records.loglines import MAX_PAGE_BYTES
from taskpath_services.storage.selection import EVERYTHING, Selection, Span

ROUNDS: Final = 20
"""So often a group is judged anew because another replica has written meanwhile."""

VALUE_NAMES: Final[tuple[ValueName, ...]] = ("body", "argument", "updaters", "items")

_LEAN: Final = {name.encode() for name in LEAN_FIELDS}


class DynamoRecords:
    """The record store in one DynamoDB table.

    Args:
        url: ``dynamodb://[key:secret@]table[?region=…][&endpoint=…][&create=1]``.

    Raises:
        SettingsError: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        self._address = Address.parse(url)
        self._table = Table(self._address)
        self._reader = Reader(self._table)
        self._sweeping = Sweeping(self._table)
        self._ledger = Ledger()
        self._known: dict[str, Known] = {}
        self._writing = asyncio.Lock()

    async def migrate(self) -> list[str]:
        """Makes the table, unless it is there."""
        table = Table(msgspec.structs.replace(self._address, create=True))
        try:
            await table.open()
            return [f"table {self._address.table}"] if table.made else []
        finally:
            await table.close()

    async def open(self) -> None:
        """Connects."""
        await self._table.open()

    async def close(self) -> None:
        """Disconnects."""
        await self._sweeping.close()
        await self._table.close()

    async def begin(self, partitions: int, now: int) -> int:
        """Keeps how many partitions there are, and removes what is remembered no longer."""
        pk, sk = keys.DEPLOYMENT
        item: Item = {"pk": {"S": pk}, "sk": {"S": sk}, "partitions": number(partitions)}
        await self._table.put(item, {"ConditionExpression": "attribute_not_exists(pk)"})
        await self._sweeping.forget(now - DEAD_MS)
        self._sweeping.resume()
        return int_of(await self._table.get(keys.DEPLOYMENT) or item, "partitions")

    async def partitions(self) -> int | None:
        """How many partitions the deployment began with."""
        item = await self._table.get(keys.DEPLOYMENT)
        return None if item is None else int_of(item, "partitions")

    async def claim(self, partition: int, claimant: str, now: int) -> Claimed:
        """Raises the partition's epoch."""
        key = keys.partition(partition)
        for _ in range(ROUNDS):
            item = await self._table.get(key)
            stored = int_of(item or {}, "epoch")
            epoch = max(stored + 1, now)
            update = Update()
            update.set("epoch", number(epoch))
            update.set("claimant", {"S": claimant})
            condition = f"attribute_not_exists({update.name('epoch')})"
            if item is not None:
                condition = f"{update.name('epoch')} = {update.value(number(stored))}"
            if await self._table.update({"Update": update.request(key, condition)}):
                break
        else:
            raise StoreUnavailable(f"Partition {partition} is claimed by others all the time.")
        self._ledger.claimed(partition, epoch)
        pages = await gathered(
            [self._table.query(keys.active(partition, shard)) for shard in range(keys.LISTS)]
        )
        return Claimed(epoch, tuple(sorted(item["sk"]["S"] for page in pages for item in page)))

    async def commit(self, writes: Sequence[Write], now: int) -> list[Outcome]:
        """Commits a group, each write whole or not at all."""
        async with self._writing:
            if len(self._known) > MAX_HEADS:
                self._known.clear()
                self._ledger.clear()
            group = self._ledger.group(writes)
            for _ in range(ROUNDS):
                epochs = await self._learn(group)
                steps = group.judge()
                if steps is not None:
                    group.done(steps, await Committing(self._table, self._known, epochs, now).run(steps))
                if not group.open:
                    break
            else:
                raise StoreUnavailable("The records are written to by others all the time.")
        await self._bury(writes, group.outcomes, now)
        return group.outcomes

    async def _learn(self, group: Group) -> dict[int, int]:
        ids, partitions = group.unknown()
        items = await self._table.get_many([keys.workflow(id) for id in ids])
        found = {id: items.get(keys.workflow(id)) for id in ids}
        markers = {id: keys.any_values(known_life(id, item)) for id, item in found.items()}
        marked = await self._table.get_many(list(markers.values()))
        heads = {}
        for id, item in found.items():
            self._known[id] = known_of(item, markers[id] in marked)
            heads[id] = self._known[id].head
        read = await self._table.get_many([keys.partition(partition) for partition in partitions])
        epochs = {
            partition: int_of(read.get(keys.partition(partition), {}), "epoch") for partition in partitions
        }
        group.learn(heads, epochs)
        return group.epochs

    async def _bury(self, writes: Sequence[Write], outcomes: Sequence[Outcome], now: int) -> None:
        dead = [
            write
            for write, outcome in zip(writes, outcomes, strict=True)
            if isinstance(write, InstanceDeleted) and outcome is Outcome.APPLIED
        ]
        if dead:
            self._sweeping.resume()
            if await self._sweeping.forget(now - DEAD_MS):
                self._ledger.clear()
                self._known.clear()

    async def fallen_back(self) -> Sequence[Fallen]:
        """Nothing: the table keeps what it has taken."""
        return ()

    async def standing(self, id: str) -> Standing:
        """How far an instance is."""
        key = keys.workflow(id)
        item = (await self._table.get_many([key], ("state", "revision", "deleting"))).get(key)
        if item is None:
            return Standing(None)
        if item["state"]["S"] == DEAD:
            return Standing(None, deleted=True)
        deleting = text_of(item["deleting"]) == b"true" if "deleting" in item else False
        return Standing(int_of(item, "revision"), deleted=deleting)

    async def tombstone(self, id: str, now: int) -> Tombstone | None:
        """What is left of an ephemeral instance that has ended."""
        item = await self._table.get(keys.workflow(id))
        if item is None or item["state"]["S"] != DEAD or "status" not in item:
            return None
        if int_of(item, "deletedAt") <= now - TOMBSTONE_MS:
            return None
        return Tombstone(id, item["realm"]["S"], InstanceStatus(item["status"]["S"]))

    async def load(self, id: str) -> InstanceLoaded:
        """An instance and all its tasks' records."""
        found = await self._reader.spans(id, [EVERYTHING])
        record = None if found is None else await self._reader.record(id, found.item)
        if found is None or record is None:
            return InstanceLoaded()
        return InstanceLoaded(
            instance=record,
            tasks=[task_record(path, found.tasks[path].items()) for path in sorted(found.tasks)],
        )

    async def instance(self, id: str) -> InstanceRecord | None:
        """The record of an instance."""
        record = await self._reader.record(id)
        return None if record is None or record.deleting else record

    async def view(self, id: str, selection: Selection) -> InstanceView:
        """An instance and the selected records."""
        found = await self._reader.view(id, selection, LEAN_FIELDS)
        record = None if found is None else await self._reader.record(id, found.item)
        if found is None or record is None or record.deleting:
            return InstanceView()
        tasks = [
            task_record(path, ((name, text) for name, text in found.tasks[path].items() if name in _LEAN))
            for path in sorted(found.tasks)
            if selection.wants(path)
        ]
        return InstanceView(instance=record, tasks=tasks, removed_at=found.removed_at)

    async def task(self, id: str, path: str) -> TaskView:
        """An instance and the record of one task."""
        found = await self._reader.paths(id, [path])
        instance = None if found is None else await self._reader.record(id, found.item)
        if found is None or instance is None or instance.deleting:
            return TaskView()
        record = TaskRecord(path=path)
        if path in found.tasks:
            record = task_record(path, found.tasks[path].items())
        wanted: dict[ValueName, TextKey] = {}
        for name in VALUE_NAMES:
            value: Value | None = getattr(record, name)
            if value is not None and is_own(value, path, name) and size_of(value) <= INLINE_BYTES:
                wanted[name] = (path, name, OWN)
        texts = await self._reader.texts(id, list(wanted.values())) if wanted else {}
        for name, key in wanted.items():
            if key in texts:
                setattr(record, name, Inline(texts[key]))
        return TaskView(instance=instance, task=record)

    async def logs(self, id: str, path: str, after: int, limit: int) -> LogsView:
        """The lines of a task's log after a position."""
        item = await self._table.get(keys.workflow(id))
        if item is None or known_of(item, texts=False).deleting or item["state"]["S"] == DEAD:
            return LogsView(known=False)
        lines, last = await logs.read(self._table, life_of(id, item), path, after, limit, MAX_PAGE_BYTES)
        return LogsView(lines=lines, next=last)

    async def value(self, id: str, path: str, name: ValueName) -> Value | None:
        """A value of a task's record."""
        found = await self._reader.paths(id, [path])
        text = None if found is None else found.tasks.get(path, {}).get(name.encode())
        return None if text is None else text_value(text)

    async def results(
        self, id: str, spans: Sequence[Span], *, updated: bool = False, most: int | None = None
    ) -> list[TaskResult]:
        """What the tasks in some spans of paths have left."""
        names = {field.encode() for field in RESULT_FIELDS}
        found: list[TaskResult] = []
        for span in spans:
            if most is not None and len(found) > most:
                break
            page = await self._reader.spans(id, [span], RESULT_FIELDS)
            if page is None:
                break
            found.extend(
                task_result(path, ((name, text) for name, text in page.tasks[path].items() if name in names))
                for path in sorted(page.tasks)
                if not updated or b"updaters" in page.tasks[path]
            )
        return found

    async def texts(self, id: str, keys: Sequence[TextKey]) -> dict[TextKey, str]:
        """The JSON texts of values kept beside the records."""
        return await self._reader.texts(id, keys) if keys else {}

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids."""
        pages = await gathered(
            [
                self._table.query(keys.instances(shard), after=after or " ", limit=limit)
                for shard in range(keys.LISTS)
            ]
        )
        ids = list(merge(*([item["sk"]["S"] for item in page] for page in pages)))[:limit]
        items = await self._table.get_many([keys.workflow(id) for id in ids], ("indexed",))
        return [
            Indexed(id, int_of(items[key], "indexed")) for id in ids if (key := keys.workflow(id)) in items
        ]


def known_life(id: str, item: Item | None) -> str:
    """The life that an instance's values are of."""
    return keys.life_of(id, 1) if item is None else life_of(id, item)
