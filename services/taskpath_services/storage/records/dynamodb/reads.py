"""How an instance is read that changes meanwhile.

Its tasks are written after the commit, and while they are read others may come. So the instance's own record
is read before them and after them, and the journals of the last commits are laid over what was read: the
whole is what the instance was at the moment of the second reading.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from taskpath_proto.records import InstanceRecord
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.contract import OWN, TextKey
from taskpath_services.storage.records.dynamodb import chunks, keys
from taskpath_services.storage.records.dynamodb.items import fields_of, int_of, text_of
from taskpath_services.storage.records.dynamodb.journal import Journal, Kept, Region, overlaid
from taskpath_services.storage.records.dynamodb.known import DEAD, journal_of, life_of, record_of
from taskpath_services.storage.records.dynamodb.table import Item, Table, gathered
from taskpath_services.storage.selection import Selection, Span

TRIES: Final = 20

BEHIND: Final = 16
"""So many commits may come during a read; if there are more it is begun anew."""

Tasks: TypeAlias = dict[str, dict[bytes, bytes]]
"""The fields of records by path."""


class Snapshot(msgspec.Struct):
    """An instance and some of its tasks at one moment.

    Attributes:
        item: of the instance.
        tasks: their fields by path.
        journals: those that were laid over them.
    """

    item: Item
    tasks: Tasks
    journals: list[Journal]

    @property
    def removed_at(self) -> int:
        """The revision at which tasks were last removed."""
        return int_of(self.item, "removed")


class Reader:
    """Reads instances.

    Args:
        table: where they are.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    async def record(self, id: str, item: Item | None = None) -> InstanceRecord | None:
        """The record of an instance."""
        for _ in range(TRIES):
            item = item or await self._table.get(keys.workflow(id))
            if item is None or item["state"]["S"] == DEAD:
                return None
            record = await record_of(self._table, id, item)
            if record is not None:
                return record
            item = None
        raise _restless(id)

    async def spans(self, id: str, spans: Sequence[Span], attributes: Sequence[str] = ()) -> Snapshot | None:
        """An instance and its tasks in some spans; None if there is none."""

        async def read(item: Item, life: str) -> Tasks:
            return await self._in_spans(item, life, spans, attributes)

        return await self._settled(id, read, Region(spans))

    async def paths(self, id: str, paths: Sequence[str]) -> Snapshot | None:
        """An instance and its tasks at some paths; None if there is none."""

        async def read(_: Item, life: str) -> Tasks:
            return await self._at(life, paths)

        return await self._settled(id, read, Region((path, path + "\x01") for path in paths))

    async def view(self, id: str, selection: Selection, attributes: Sequence[str]) -> Snapshot | None:
        """An instance and the selected tasks; None if there is none, or it is being deleted."""
        for _ in range(TRIES):
            record = await self.record(id)
            if record is None or record.deleting:
                return None
            counts: dict[str, int] = {}
            spans = await self._chosen(record, selection, counts)
            if spans is None:
                return None
            found = await self._view(id, spans, selection.since, attributes, counts)
            if found is None:
                return None
            if int_of(found.item, "planVersion", 1) == record.plan_version and all(
                int(found.tasks.get(path, {}).get(b"count", b"0")) == count for path, count in counts.items()
            ):
                wanted = Region(spans)
                since = selection.since
                found.tasks = {
                    path: fields
                    for path, fields in found.tasks.items()
                    if path in wanted and int(fields[b"revision"]) > since
                }
                return found
        raise _restless(id)

    async def texts(self, id: str, wanted: Sequence[TextKey]) -> dict[TextKey, str]:
        """The texts of values kept beside records."""
        for _ in range(TRIES):
            item = await self._table.get(keys.workflow(id))
            if item is None or item["state"]["S"] == DEAD:
                # What is put before its instance belongs to the life that begins then.
                number = 1 if item is None else int_of(item, "life", 1) + 1
                return await self._kept(keys.life_of(id, number), wanted, [])
            life = life_of(id, item)
            commit = int_of(item, "commit")
            journals = await self._journals(life, item, commit - 1, commit)
            if journals is not None:
                return await self._kept(life, wanted, [(commit, journal) for journal in journals])
        raise _restless(id)

    async def _kept(
        self, life: str, wanted: Sequence[TextKey], journals: Iterable[tuple[int, Journal]]
    ) -> dict[TextKey, str]:
        places = {keys.value(life, *key): key for key in wanted}
        found: dict[TextKey, Kept] = {}
        written: dict[TextKey, int] = {}
        for place, item in (await self._table.get_many(list(places))).items():
            tag = item.get("tag")
            text = text_of(item["text"]) if tag is None else b""
            written[places[place]] = int_of(item, "at")
            found[places[place]] = Kept(
                (text or b"").decode(), None if tag is None else tag["S"], int_of(item, "chunks")
            )
        for number, journal in journals:
            region = Region(journal.spans)
            for key in wanted:
                path, name, version = key
                if written.get(key, 0) >= number:
                    continue
                if path in region:
                    found.pop(key, None)
                effect = journal.values.get(path, {}).get(name)
                if effect is None or version != OWN:
                    continue
                if effect.kept is not None:
                    found[key] = effect.kept
                elif not effect.own and effect.least > OWN:
                    found.pop(key, None)
        texts: dict[TextKey, str] = {}
        for key, kept in found.items():
            if kept.tag is None:
                texts[key] = kept.text or ""
            elif (data := await chunks.get(self._table, kept.tag, kept.chunks)) is not None:
                texts[key] = data.decode()
        return texts

    async def _chosen(
        self, record: InstanceRecord, selection: Selection, known: dict[str, int]
    ) -> list[Span] | None:
        """The spans of a selection; what was read of counts on the way is added to those known."""
        steps = selection.spans(record.plan)
        try:
            asked = next(steps)
            while True:
                found = await self.paths(record.id, asked)
                if found is None:
                    return None
                for path in asked:
                    known[path] = int(found.tasks.get(path, {}).get(b"count", b"0"))
                asked = steps.send({path: known[path] for path in asked})
        except StopIteration as done:
            spans: list[Span] = done.value
            return spans

    async def _view(
        self, id: str, spans: Sequence[Span], since: int, attributes: Sequence[str], counted: Iterable[str]
    ) -> Snapshot | None:
        paths = list(counted)

        async def read(item: Item, life: str) -> Tasks:
            tasks = await self._in_spans(item, life, spans, attributes, since)
            return tasks | await self._at(life, [path for path in paths if path not in tasks])

        alone = [(path, path + "\x01") for path in paths]
        return await self._settled(id, read, None if since else Region([*spans, *alone]))

    async def _settled(
        self, id: str, read: Callable[[Item, str], Awaitable[Tasks]], complete: Region | None
    ) -> Snapshot | None:
        """What is read, as it is at one moment.

        Args:
            id: the instance.
            read: reads tasks.
            complete: where it reads all there are; None if it leaves some out everywhere.
        """
        key = keys.workflow(id)
        first = await self._table.get(key)
        for _ in range(TRIES):
            if first is None or first["state"]["S"] == DEAD:
                return None
            life, begun = life_of(id, first), int_of(first, "commit")
            tasks = await read(first, life)
            both = await self._table.get_many([key, keys.journal(life, begun)])
            last = both.get(key)
            if (
                last is None
                or last["state"]["S"] == DEAD
                or int_of(last, "life", 1) != int_of(first, "life", 1)
            ):
                first = last
                continue
            ended = int_of(last, "commit")
            journals = None
            if ended - begun <= BEHIND:
                journals = await self._journals(
                    life, last, begun - 1, ended, both.get(keys.journal(life, begun))
                )
            if journals is not None:
                if complete is None:
                    known = {path for journal in journals for path in journal.tasks} - tasks.keys()
                    tasks.update(await self._at(life, sorted(known)))
                for journal in journals:
                    overlaid(tasks, journal)
                if complete is not None:
                    tasks = {path: fields for path, fields in tasks.items() if path in complete}
                return Snapshot(last, tasks, journals)
            first = last
        raise _restless(id)

    async def _journals(
        self, life: str, item: Item, done: int, last: int, first: Item | None = None
    ) -> list[Journal] | None:
        """The journals after one, up to another; None if not all are there any more.

        Args:
            life: of the instance.
            item: of the instance.
            done: the commit before the first.
            last: the last commit.
            first: the item of the first journal, if it has been read.
        """
        if int_of(item, "applied") == done + 1:
            done += 1
        wanted = [keys.journal(life, number) for number in range(done + 1, last + 1)]
        found = {} if first is None or not wanted else {wanted[0]: first}
        missing = [key for key in wanted if key not in found]
        if missing:
            found |= await self._table.get_many(missing)
        journals: list[Journal] = []
        for number, key in enumerate(wanted, done + 1):
            journal = await journal_of(self._table, found.get(key), number)
            if journal is None:
                return None
            journals.append(journal)
        return journals

    async def _in_spans(
        self, item: Item, life: str, spans: Sequence[Span], attributes: Sequence[str], since: int = 0
    ) -> Tasks:
        pages = await gathered(
            [
                self._table.query(
                    keys.tasks(life, shard), low=low, high=high, attributes=attributes, newer=since
                )
                for low, high in Region(spans).spans
                for shard in keys.shards("items" in item)
            ]
        )
        return {found["sk"]["S"]: _fields(found) for page in pages for found in page}

    async def _at(self, life: str, paths: Sequence[str]) -> Tasks:
        found = await self._table.get_many([keys.task(life, path) for path in paths])
        return {item["sk"]["S"]: _fields(item) for item in found.values()}


def _fields(item: Item) -> dict[bytes, bytes]:
    return {name: text for name, text in fields_of(item) if text is not None}


def _restless(id: str) -> StoreUnavailable:
    return StoreUnavailable(f"Instance {id!r} changes faster than it can be read.")
